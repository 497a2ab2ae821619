"""Relaxation in logarithmic time: the likelihood of repeated reads, which programming logs and retention share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.curves import Constant, Curve
from devices.drift import LogTimeRelaxation
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import CONTINUED, AbstractCandidate, Data, Proposals, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.retention import relaxation_measures
from devices.fitting.retention.node_curves import polynomial_through, spread_through
from devices.fitting.retention.tails import AbstractTails
from devices.instruments.trace import FileError

MOST = 48  # reads of one write that a fit uses
ENOUGH = 4  # reads of one write that tell what is forgotten from noise
CORRELATION = 6.0  # e-folds of time over which deviations are forgotten, where nothing is known
LONG = 1e5  # time of the last read over that of the first: below, a power of log time cannot be told from another onset


def reads_of_writes(
    t: np.ndarray, g: np.ndarray, g0: np.ndarray, write: np.ndarray, block: np.ndarray
) -> dict[str, np.ndarray]:
    """Rows of a table as one row per write: times, changes since the write, which of them are there, start and block.

    Args:
        t, g, g0: time [s], read and first conductance [S]; rows at t <= 0 are left out. write: which rows are of one write.
        block: which writes are of one cell.

    Raises:
        FileError: if no row has a time after the write.
    """
    later = np.isfinite(t) & np.isfinite(g) & np.isfinite(g0) & (t > 0)
    if not later.any():
        raise FileError(
            "no read has a time after the write (t > 0) and a finite conductance; relaxation needs column t in seconds."
        )
    t, g, g0, write, block = (v[later] for v in (t, g, g0, write, block))
    order = np.lexsort((t, write))
    t, g, g0, write, block = (v[order] for v in (t, g, g0, write, block))
    _, first, row, counts = np.unique(write, return_index=True, return_inverse=True, return_counts=True)
    column = np.arange(len(t)) - first[row]
    column, counts = _thinned(column, counts[row])
    kept = column >= 0
    t, g, g0, row, column = (v[kept] for v in (t, g, g0, row, column))
    used = np.arange(counts.max()) < counts[first][:, None]
    times = np.repeat(t[np.cumsum(counts[first]) - 1][:, None], used.shape[1], 1)
    change = np.zeros(times.shape)
    times[row, column], change[row, column] = t, g - g0
    start = g0[np.searchsorted(row, np.arange(len(first)))]
    block = np.unique(block[first], return_inverse=True)[1]
    return {"t": times, "d": change, "used": used.astype(float), "g0": start, "block": block}


def _thinned(column: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and counts, with at most `MOST` reads per write left, evenly in the logarithm of their number; -1 for
    those left out."""
    if counts.max() <= MOST:
        return column, counts
    wanted = np.unique(np.round(np.geomspace(1, counts.max(), MOST)).astype(int)) - 1
    place = np.full(counts.max(), -1)
    place[wanted] = np.arange(len(wanted))
    return place[column], np.searchsorted(wanted, counts - 1, side="right")


class LogTime(AbstractCandidate):
    """Deviations that grow with logarithmic time around a mean shift and are forgotten in it, and noise that is
    independent between reads.

    $$ g(t_k) - g_0 = m(x)\\,\\ell_k + s(x)\\,\\lambda\\,(\\ell_k + \\rho)^{p(x) - 1/2} (\\sqrt{\\ell_k}\\,f_k +
       \\sqrt{\\rho}\\,\\epsilon_k), \\quad \\ell = \\ln(1 + t/t_0), \\quad x = g_0 / g_{max} $$

    with f and epsilon unit normal, `corr(f_j, f_k) = exp(-|l_j - l_k| / L)`.

    `m` is a polynomial and `s` a power of x times the exponential of one, both given by their values at conductances that
    divide the range of the data evenly (`shift_1` at the lowest); so is the power p, linear in x, where the last read of a
    write is 1e5 times later than the first, else it is 1/2. lambda is 1, or one random number per write (`tails`): with
    `lambda^2 = dof / chi^2_dof` every deviation is Student's t; with `widening` for a `share` of the writes, a mixture of two
    normal distributions. So the variance is `s^2 (ln(1 + t/t_0) + rho)^2p` times the mean of lambda^2. L is `correlation`, in
    e-folds of time; with fewer than four reads of a write, which could not tell it from noise, it is 6, as measured.

    The likelihood is that of Kalman's filter over the reads of each write. Blocks are cells. Reference: the variance linear in
    log time is that of A. Levy et al. (recalled, not read); that it sets in softly around `t0`, that cells forget their
    deviation (by 5 to 7 e-folds in four sets of reads of filamentary ReRAM), and that over seven decades of time the
    variance grows faster in cells of high conductance, is ours.

    Breaks when: deviations are asymmetric, or tails get lighter with time, as those made of few jumps do; or a part of them
    lasts, as half does over seven decades of time (single reads are described all the same).
    """

    tails: ClassVar[AbstractTails]
    shift_nodes: ClassVar[int] = 2
    spread_nodes: ClassVar[int] = 4
    starts: ClassVar[int] = 2

    reach: Float[np.ndarray | Array, "2"]  # of x in the data
    g_max: Float[np.ndarray | Array, ""]
    first: Float[np.ndarray | Array, ""]  # time
    last: Float[np.ndarray | Array, ""]
    size: Float[np.ndarray | Array, ""]  # of changes
    blocks: int
    different: int = eqx.field(static=True)  # different conductances that cells start from, at most four
    forgets: bool = eqx.field(static=True)
    long: bool = eqx.field(static=True)

    @classmethod
    def about(cls, data: Data, g_max: float, **more: Any):
        """The candidate for reads of writes.

        Raises:
            FileError: if no conductance is above 0.
        """
        if not g_max > 0:
            raise FileError(f"needs conductances above 0; the largest that cells start from is {g_max:g} S.")
        x = data["g0"] / g_max
        low, high = np.quantile(x, [0.005, 0.995])
        if not high > low:
            low, high = x.min() - 0.01, x.max() + 0.01
        size = max(np.sqrt(np.mean(data["d"][data["used"] > 0] ** 2)), 1e-4 * g_max)
        forgets = bool(np.median(np.sum(data["used"], 1)) >= ENOUGH)
        return cls(
            reach=np.array([low, high]),
            g_max=np.asarray(g_max, float),
            first=np.asarray(data["t"].min()),
            last=np.asarray(data["t"].max()),
            size=np.asarray(size),
            blocks=int(data["block"].max()) + 1,
            different=min(len(np.unique(np.round(x, 4))), cls.spread_nodes),
            forgets=forgets,
            long=forgets and bool(np.median(data["t"][:, -1] / data["t"][:, 0]) >= LONG),
            **more,
        )

    def parameters(self) -> tuple[Parameter, ...]:
        size, first, last = float(self.size), float(self.first), float(self.last)
        shifts = [
            Parameter(f"shift_{k + 1}", "S", -np.inf, np.inf, (-size / 5, size / 5))
            for k in range(self.nodes(self.shift_nodes))
        ]
        spreads = [
            Parameter(f"spread_{k + 1}", "S", 0.0, np.inf, (size / 10, size), log=True)
            for k in range(self.nodes(self.spread_nodes))
        ]
        rest = [
            Parameter("t0", "s", first * 1e-9, 10 * last, (first * 0.01, first), log=True),
            Parameter("noise", "", 1e-4, 1e4, (0.1, 3.0), log=True),
        ]
        if self.forgets:
            rest.append(Parameter("correlation", "", 0.05, 1e3, (2.0, 20.0), log=True))
        if self.long:
            rest += [Parameter(f"power_{k + 1}", "", 0.05, 2.0, (0.4, 0.6)) for k in range(self.nodes(2))]
        return (*shifts, *spreads, *rest, *self.tails.parameters())

    def guesses(self, data: Data) -> list[dict[str, float]]:
        """The median shift and the spread of changes near each node, as if relaxation had begun soon before the first read."""
        x, last = np.clip(data["g0"] / self.g_max, *self.reach), np.sum(data["used"], 1).astype(int) - 1
        folds = np.log1p(data["t"] / (self.first * 0.3))
        row = np.arange(len(x))
        change, root = data["d"][row, last], np.sqrt(folds[row, last])
        found = {
            "t0": float(self.first) * 0.3,
            "noise": 0.5,
            "correlation": CORRELATION,
            "power_1": 0.5,
            "power_2": 0.5,
        }
        found |= self.tails.guess()
        for name, most in (("shift", self.shift_nodes), ("spread", self.spread_nodes)):
            count = self.nodes(most)
            nodes = np.linspace(float(self.reach[0]), float(self.reach[1]), count)
            near = np.argmin(np.abs(x[:, None] - nodes), 1)
            for k in range(count):
                c, f = (v[near == k] if (near == k).any() else v for v in (change, root))
                spread = np.subtract(*np.quantile(c / f, [0.84, 0.16])) / 2 if len(c) > 4 else 0.0
                value = np.median(c / f**2) if name == "shift" else max(spread, float(self.size) / 100)
                found[f"{name}_{k + 1}"] = float(value)
        return [found]

    def nodes(self, most: int) -> int:
        """Values through which a curve of the conductance goes: no more than cells start from."""
        return min(most, self.different)

    def shift(self, values: Values) -> Curve:
        """Mean change [S] per e-fold of time over x."""
        return polynomial_through(values, "shift", self.nodes(self.shift_nodes), self.reach)

    def spread(self, values: Values) -> Curve:
        """Scale of the change [S] at one e-fold of time over x."""
        return spread_through(values, "spread", self.nodes(self.spread_nodes), self.reach)

    def power(self, values: Values) -> Curve:
        """Power of e-folds of time with which that scale grows, over x."""
        return polynomial_through(values, "power", self.nodes(2), self.reach) if self.long else Constant(0.5)

    def folds(self, values: Values, data: Data) -> Float[Array, "writes reads"]:
        """E-folds of time since relaxation began."""
        return jnp.log1p(data["t"] / values["t0"])

    def noise(self, values: Values) -> Float[Array, ""]:
        """Variance of the noise of single reads, in units of that of one e-fold."""
        return values["noise"]

    def curves(self, values: Values, data: Data) -> tuple[Float[Array, "writes reads"], Float[Array, "writes reads"]]:
        """Shift, and scale of what grows with the root of e-folds of time [S], of each read."""
        x, folds = jnp.asarray(data["g0"]) / self.g_max, self.folds(values, data)
        shift = self.shift(values)(x)[:, None] * folds
        scale = jnp.broadcast_to(self.spread(values)(x)[:, None], folds.shape)
        if self.long:
            scale = scale * jnp.exp((self.power(values)(x)[:, None] - 0.5) * jnp.log(folds + self.noise(values)))
        return shift, scale

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        return jax.ops.segment_sum(self.costs(values, data), data["block"], self.blocks)

    def costs(self, values: Values, data: Data) -> Float[Array, " writes"]:
        """Negative log likelihood of each write."""
        (shift, scale), used = self.curves(values, data), jnp.asarray(data["used"])
        z, logs = self._innovations(values, self.folds(values, data), (data["d"] - shift) / scale, used)
        squares, reads = jnp.sum(used * z**2, 1), jnp.sum(used, 1)
        return jnp.sum(used * (logs / 2 + jnp.log(scale)), 1) + self.tails.cost(values, squares, reads)

    def _innovations(self, values: Values, folds: Float[Array, "writes reads"], y: Any, used: Any):
        """Kalman's filter: each read less what the earlier ones of its write predict, in units of its deviation, and
        the logarithm of the variance, both with lambda 1."""
        noise, length = self.noise(values), values.get("correlation", CORRELATION)

        def step(carry, read):
            f, variance, last = carry
            folds, y, used = read
            kept = jnp.exp(-(folds - last) / length)
            f, variance = kept * f, 1 + kept**2 * (variance - 1)
            along = jnp.sqrt(folds) * variance
            total, miss = jnp.sqrt(folds) * along + noise, y - jnp.sqrt(folds) * f
            gain = used * along / total
            return (f + gain * miss, variance - gain * along, folds), (miss / jnp.sqrt(total), jnp.log(total))

        nothing = jnp.zeros(len(folds))
        _, (z, logs) = lax.scan(step, (nothing, nothing + 1, nothing), (folds.T, y.T, used.T))
        return z.T, logs.T

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        folds, (shift, scale) = self.folds(values, data), self.curves(values, data)
        wander, noise, tails = jax.random.split(key, 3)
        fresh = jax.random.normal(wander, folds.shape, jnp.float64)
        steps = jnp.diff(folds, axis=1, prepend=-jnp.inf)
        kept = jnp.exp(-steps / values.get("correlation", CORRELATION))

        def forget(f, step):
            f = step[0] * f + jnp.sqrt(1 - step[0] ** 2) * step[1]
            return f, f

        _, f = lax.scan(forget, jnp.zeros(len(folds)), (kept.T, fresh.T))
        unit = jnp.sqrt(folds) * f.T + jnp.sqrt(self.noise(values)) * jax.random.normal(noise, folds.shape, jnp.float64)
        unit = unit * self.tails.factors(values, folds.shape[:1], key=tails)[:, None]
        return {**data, "d": (shift + scale * unit) * data["used"]}

    def count(self, data: Data) -> int:
        return int(np.sum(data["used"]))

    def marginal(self, values: Mapping[str, float], data: Data) -> tuple[np.ndarray, np.ndarray, Any]:
        """Mean and scale [S] of every change, and the distribution of a change in units of the scale."""
        with jax.enable_x64(True):
            numbers = {n: jnp.asarray(v) for n, v in values.items()}
            shift, scale = (np.asarray(v) for v in self.curves(numbers, data))
            folds = np.asarray(self.folds(numbers, data))
            growth = np.sqrt(folds + float(self.noise(numbers)))
        return shift, scale * growth, self.tails.shape(values)

    def scores(self, values: Mapping[str, float], data: Data) -> np.ndarray:
        """What each read adds to the earlier ones of its write, as standard normal numbers; NaN where there is no read.

        The tails are those that remain after the surprises of the earlier reads.
        """
        mean, _, _ = self.marginal(values, data)
        with jax.enable_x64(True):
            numbers, used = {n: jnp.asarray(v) for n, v in values.items()}, jnp.asarray(data["used"])
            y = (data["d"] - mean) / self.curves(numbers, data)[1]
            plain = np.asarray(self._innovations(numbers, self.folds(numbers, data), y, used)[0])
        used = np.asarray(data["used"])
        squares, seen = (np.cumsum(v, 1) - v for v in (used * plain**2, used))
        return np.where(used > 0, self.tails.scores(values, plain, squares, seen), np.nan)

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        z = self.scores(values, data)
        there = np.isfinite(z)
        group = relaxation_measures.group_of(data, 6)[:, None] * z.shape[1] + np.arange(z.shape[1])
        found = [
            checks.uniform(stats.norm.cdf(z[there]), "changes of conductance"),
            checks.even_scatter(z[there], group[there], len(self.parameters()), "conductances and times"),
        ]
        if z.shape[1] > 1:
            found.append(checks.uncorrelated(z, "changes of conductance"))
        return tuple(found)

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        return relaxation_measures.measures(*self.marginal(values, data), data, float(self.g_max))

    def experiments(self, data: Data) -> Proposals:
        t, used = (np.concatenate([data[n], data[n][:, -1:] * f], 1) for n, f in (("t", 100), ("used", 1)))
        later = {**data, "t": t, "used": used, "d": np.zeros(t.shape)}
        return (("one more read of every write, at 100 times the last time", later, CONTINUED),)

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        law = LogTimeRelaxation(
            self.shift(values), self.spread(values), self.g_max, values["t0"], self.noise(values), self.power(values),
            self.tails.error(values), soft=True,
        )  # fmt: skip
        return {"drift": law}
