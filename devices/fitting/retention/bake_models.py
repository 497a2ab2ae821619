"""Models of bakes: retention at several temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices._numerics import log_gamma_half, rowwise
from devices.constants import BOLTZMANN_EV
from devices.curves import Curve
from devices.drift import ActivatedLoss, Arrhenius, LogTimeRelaxation, Sequential
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate, Data, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.retention import bake_pairs
from devices.fitting.retention.node_curves import polynomial_through, spread_through
from devices.fitting.retention.relaxation_measures import group_of
from devices.instruments.trace import FileError, Trace
from devices.programming import Normal, StudentT

ATTEMPT = 1e-13  # s: the usual attempt time of an ion at a barrier; bakes of one length cannot tell it from the barrier
LEAST_FOLDS = 10.0  # least ratio of any time of a bake to the attempt time
MOST = 512  # cells that the search sees
REACH = 3.2  # standard deviations of barrier heights
_OVERLAP = 0.65  # standard deviation of a slice of barriers in its width: less would leave ripples in the likelihood
_SLICES = np.linspace(-REACH, REACH, 25)
_SHARE = np.diff(stats.norm.cdf(_SLICES)) / np.diff(stats.norm.cdf(_SLICES[[0, -1]]))
_EDGES = _SLICES / np.sqrt(1 + (_OVERLAP * np.diff(_SLICES)[0]) ** 2)  # slices and all that is in them: of variance 1
_MIDDLE = (_EDGES[1:] + _EDGES[:-1]) / 2
_RANGES = 32


class Bake(AbstractCandidate):
    """Relaxation that begins over one barrier, and loss over barriers of many heights.

    $$ g - g_0 = (g_r - g_0)(1 - e^{-t/\\tau}) + m(x)\\,\\ell + s(x)\\sqrt{\\ell}\\,z, \\qquad
       \\ell = \\ln\\frac{t}{\\tau_0} - \\frac{E_{relax}}{kT}, \\quad
       \\ln\\frac{\\tau}{\\tau_0} = \\frac{E(x) + E_{spread}\\,\\xi}{kT},
       \\quad x = g_0/g_{max} $$

    with `tau_0` an attempt time of 1e-13 s (`protocol["attempt_time"]`), `xi` normal and `z` normal or Student's t. `m` and
    `E` are polynomials, `s` a power of x times the exponential of one, through their values at conductances that divide the
    range evenly. Without `losing` there is no first term. Blocks are cells: the same cell in bakes at several temperatures.
    Of many cells every n-th is used.

    Reference: distributed barriers, Gibbs et al. 1983, 10.1063/1.331650 (recalled, not read).

    Breaks when: temperatures are below the coldest bake, where faster processes of lower barriers show; or the loss of
    one cell has several barriers.
    """

    kind: ClassVar[str] = "retention"
    starts: ClassVar[int] = 2
    losing: ClassVar[bool]
    heavy: ClassVar[bool]

    reach: Float[np.ndarray | Array, "2"]
    g_min: Float[np.ndarray | Array, ""]
    g_max: Float[np.ndarray | Array, ""]
    attempt: Float[np.ndarray | Array, ""]
    hottest: Float[np.ndarray | Array, ""]  # t and T of the mildest and the hardest bake: ln(t/tau0) k T [eV]
    mildest: Float[np.ndarray | Array, ""]
    coldest: Float[np.ndarray | Array, ""]  # T [K]
    blocks: int

    @classmethod
    def of(cls, trace: Trace, most: int = MOST):
        if "temperature" not in trace or len(np.unique(trace["temperature"])) < 2:
            raise FileError(
                f"needs a column temperature with two temperatures or more, which {trace.name} does not have."
            )
        found = bake_pairs.pairs(trace)
        trace = trace.where(bake_pairs.kept(trace, found))
        if len(np.unique(trace["temperature"][trace["t"] > 0])) < 2:
            raise FileError(
                f"{trace.name} has one temperature left. " + " ".join(bake_pairs.sentences(bake_pairs.as_array(found)))
            )
        later = trace["t"] > 0
        cells = np.unique(trace["device"][later])
        start = dict(zip(trace["device"][later][::-1], trace["g0"][later][::-1], strict=True))
        ordered = cells[np.argsort([start[d] for d in cells], kind="stable")]
        kept = ordered[:: max(-(-len(ordered) // most), 1)]
        rows = np.flatnonzero(later & np.isin(trace["device"], kept))
        data = {n: trace[c][rows] for n, c in (("t", "t"), ("g", "g"), ("g0", "g0"), ("kelvin", "temperature"))}
        attempt = float(trace.protocol.get("attempt_time", ATTEMPT))
        if not len(rows) or data["t"].min() < LEAST_FOLDS * attempt:
            raise FileError(
                f"needs times well above the attempt time of {attempt:g} s, which {trace.name} does not have."
            )
        data["block"] = np.unique(trace["device"][rows], return_inverse=True)[1]
        data["pairs"] = bake_pairs.as_array(found)
        g_max = float(trace.protocol.get("g_max", np.max(data["g0"])))
        reached = np.log(data["t"] / attempt) * BOLTZMANN_EV * data["kelvin"]
        return cls(
            reach=np.quantile(data["g0"] / g_max, [0.005, 0.995]),
            g_min=np.asarray(np.min(data["g0"])),
            g_max=np.asarray(g_max),
            attempt=np.asarray(attempt),
            hottest=np.asarray(np.max(reached)),
            mildest=np.asarray(np.min(reached)),
            coldest=np.asarray(np.min(data["kelvin"])),
            blocks=len(kept),
        ), data

    def parameters(self) -> tuple[Parameter, ...]:
        size, hard, mild = float(self.g_max), float(self.hottest), float(self.mildest)
        shifts = [Parameter(f"shift_{k + 1}", "S", -np.inf, np.inf, (-size / 100, size / 100)) for k in range(4)]
        spreads = [Parameter(f"spread_{k + 1}", "S", 0.0, np.inf, (size / 1000, size / 30), log=True) for k in range(4)]
        tails = [Parameter("dof", "", 1.0, 200.0, (2.0, 20.0), log=True)] if self.heavy else []
        relax = Parameter("E_relax", "eV", 0.01 * mild, 0.999 * mild, (0.3 * mild, 0.9 * mild))
        if not self.losing:
            return (*shifts, *spreads, relax, *tails)
        barriers = [Parameter(f"E_{k + 1}", "eV", 0.3 * hard, 2 * hard, (0.9 * hard, 1.1 * hard)) for k in range(3)]
        spread = Parameter("E_spread", "eV", 0.003 * hard, 0.5 * hard, (0.03 * hard, 0.15 * hard), log=True)
        rest = Parameter("rest", "S", -0.2 * size, 0.8 * size, (0.0, 0.3 * size))
        return (*shifts, *spreads, relax, *barriers, spread, rest, *tails)

    def guesses(self, data: Data) -> list[dict[str, float]]:
        """Shift and spread near each node in the coldest bake, with a barrier of 0.85 of what it reaches."""
        cold = data["kelvin"] == self.coldest
        x, d = (data["g0"] / self.g_max)[cold], (data["g"] - data["g0"])[cold]
        near = np.argmin(np.abs(x[:, None] - np.linspace(float(self.reach[0]), float(self.reach[1]), 4)), 1)
        folds = 0.15 * float(self.mildest) / (BOLTZMANN_EV * float(self.coldest))
        found = {
            "E_relax": 0.85 * float(self.mildest),
            "dof": 6.0,
            "E_spread": 0.07 * float(self.hottest),
            "rest": 0.1 * float(self.g_max),
        }
        found |= {f"E_{k + 1}": float(self.hottest) for k in range(3)}
        for k in range(4):
            c = d[near == k] if (near == k).sum() > 4 else d
            found[f"shift_{k + 1}"] = float(np.median(c)) / folds
            found[f"spread_{k + 1}"] = float(np.subtract(*np.quantile(c, [0.84, 0.16]))) / 2 / np.sqrt(
                folds
            ) + 1e-6 * float(self.g_max)
        return [{p.name: found[p.name] for p in self.parameters()}]

    def _shift(self, values: Values) -> Curve:
        return polynomial_through(values, "shift", 4, self.reach)

    def _spread(self, values: Values) -> Curve:
        return spread_through(values, "spread", 4, self.reach)

    def _barrier(self, values: Values) -> Curve:
        return polynomial_through(values, "E", 3, self.reach)

    def relaxed(self, values: Values, data: Data) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
        """Mean and scale [S] of the change by relaxation."""
        x = jnp.asarray(data["g0"]) / self.g_max
        folds = jnp.log(data["t"] / self.attempt) - values["E_relax"] / (BOLTZMANN_EV * data["kelvin"])
        return self._shift(values)(x) * folds, self._spread(values)(x) * jnp.sqrt(folds)

    def _row(self, values: Values, data: Data) -> Float[Array, "rows 6"]:
        """What the likelihood of each row depends on: mean and scale of relaxation [S], mean and spread of the barrier over
        kT, the state that loss leads to [S], degrees of freedom."""
        mean, scale = self.relaxed(values, data)
        x, heat = jnp.asarray(data["g0"]) / self.g_max, BOLTZMANN_EV * data["kelvin"]
        barrier, spread = self._barrier(values)(x) / heat, values["E_spread"] / heat
        same = (jnp.broadcast_to(values[n], mean.shape) for n in ("rest", "dof"))
        return jnp.stack([mean, scale, barrier, spread, *same], 1)

    def _given(self, data: Data) -> dict[str, Any]:
        """What else it depends on."""
        rows = {n: jnp.asarray(data[n]) for n in ("t", "g", "g0")}
        return {**rows, "attempt": jnp.broadcast_to(self.attempt, rows["t"].shape)}

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        if self.losing:
            cost = rowwise(_cost, self._row(values, data), self._given(data))
        else:
            mean, scale = self.relaxed(values, data)
            cost = ((data["g"] - data["g0"] - mean) / scale) ** 2 / 2 + jnp.log(scale) + jnp.log(2 * jnp.pi) / 2
        return jax.ops.segment_sum(cost, data["block"], self.blocks)

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        noise, barrier, tails = jax.random.split(key, 3)
        mean, scale = self.relaxed(values, data)
        z = jax.random.normal(noise, mean.shape, jnp.float64)
        if self.heavy:
            z = z * jnp.sqrt(values["dof"] / 2 / jax.random.gamma(tails, values["dof"] / 2, mean.shape, jnp.float64))
        change = mean + scale * z
        if self.losing:
            xi = jax.random.truncated_normal(barrier, -REACH, REACH, mean.shape, jnp.float64)
            change = change + jax.vmap(_lost)(self._row(values, data), self._given(data), xi)
        return {**data, "g": data["g0"] + change}

    def count(self, data: Data) -> int:
        return len(data["g"])

    def change_distribution(self, values: Mapping[str, float], data: Data):
        with jax.enable_x64(True):
            numbers = {n: jnp.asarray(v) for n, v in values.items()}
            if not self.losing:
                mean, scale = (np.asarray(v)[:, None] for v in self.relaxed(numbers, data))
                return mean, scale, stats.norm(), np.ones(1)
            mean, scale, dof = (np.asarray(v) for v in jax.vmap(_mixture)(self._row(numbers, data), self._given(data)))
        return mean, scale, stats.t(dof), _SHARE

    def probabilities(self, values: Mapping[str, float], data: Data) -> np.ndarray:
        """Probability by the model of a change no larger than each that was measured."""
        mean, scale, shape, share = self.change_distribution(values, data)
        return shape.cdf(((data["g"] - data["g0"])[:, None] - mean) / scale) @ share

    def notes(self, data: Data) -> tuple[str, ...]:
        return bake_pairs.sentences(data["pairs"])

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        p = np.clip(self.probabilities(values, data), 1e-12, 1 - 1e-12)
        group = group_of(data, 4) * 1000.0 + data["kelvin"]
        return (
            checks.uniform(p, "changes of conductance"),
            checks.even_scatter(
                stats.norm.ppf(p), group, len(self.parameters()), "conductances and temperatures (Arrhenius' law)"
            ),
        )

    def moments(self, values: Mapping[str, float], data: Data) -> tuple[np.ndarray, ...]:
        """Measured and modelled mean and variance of the change in 32 ranges of conductance (10 cells or more) at every
        temperature, with the temperatures."""
        mean, scale, shape, share = self.change_distribution(values, data)
        first, second = mean @ share, (mean**2 + scale**2 * shape.var()) @ share
        change, ranges, found = data["g"] - data["g0"], np.floor(data["g0"] / self.g_max * _RANGES), []
        for kelvin in np.unique(data["kelvin"]):
            for k in range(_RANGES):
                rows = (ranges == k) & (data["kelvin"] == kelvin)
                if rows.sum() >= 10:
                    d, m = change[rows], first[rows].mean()
                    found.append((d.mean(), m, d.var(), second[rows].mean() - m**2, kelvin))
        return tuple(np.array(found).reshape(-1, 5).T)

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        mean, model, variance, expected, _ = self.moments(values, data)
        if len(mean) < 3 or not np.isfinite(expected).all():
            return {}
        y, error = np.log(variance), np.log(expected / variance)
        return {
            "R2 of ln variance": 1 - float(np.sum(error**2) / np.sum((y - y.mean()) ** 2)),
            "RMS ln variance": float(np.sqrt(np.mean(error**2))),
            "R2 of mean": 1 - float(np.sum((mean - model) ** 2) / np.sum((mean - mean.mean()) ** 2)),
        }

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        """At the temperature of the coldest bake; other temperatures go into `Arrhenius` and `ActivatedLoss`."""
        begin = self.attempt * jnp.exp(values["E_relax"] / (BOLTZMANN_EV * self.coldest))
        error = StudentT(values["dof"]) if self.heavy else Normal()
        relax = LogTimeRelaxation(self._shift(values), self._spread(values), self.g_max, begin, 0.0, 0.5, error)
        drift = Arrhenius(relax, values["E_relax"], self.coldest, self.coldest)
        if self.losing:
            loss = ActivatedLoss(
                self._barrier(values), values["E_spread"], self.g_max, self.coldest, values["rest"], self.attempt
            )
            drift = Sequential((loss, drift))
        return {"drift": drift, "g_min": self.g_min, "g_max": self.g_max}


def _lost(row: Float[Array, "6"], data: Any, xi: Any) -> Float[Array, "*slices"]:
    """Change [S] by loss over barriers `xi` standard deviations from the mean."""
    _, _, barrier, spread, rest, _ = row
    passed = jnp.exp(jnp.minimum(jnp.log(data["t"] / data["attempt"]) - barrier - spread * xi, 30.0))
    return (rest - data["g0"]) * -jnp.expm1(-passed)


def _mixture(row: Float[Array, "6"], data: Any) -> tuple[Float[Array, " slices"], ...]:
    """Mean and scale [S] of the change for every slice of barriers, and its degrees of freedom.

    Slices overlap, each a normal of 0.65 of its width, which is how much the losses at its edges differ: there are no
    ripples in the sum, which would trap a search. As a slice gets wider than the scale of relaxation, its tails get
    less heavy: those of the sum of a normal and a Student's t.
    """
    mean, scale, _, _, _, dof = row
    width = _OVERLAP * jnp.diff(_lost(row, data, _EDGES))
    return mean + _lost(row, data, _MIDDLE), jnp.sqrt(scale**2 + width**2), dof * (1 + (width / scale) ** 2)


def _cost(row: Float[Array, "6"], data: Any) -> Float[Array, ""]:
    """Negative log likelihood of a row."""
    mean, scale, dof = _mixture(row, data)
    z = (data["g"] - data["g0"] - mean) / scale
    level = log_gamma_half(dof / 2) - jnp.log(dof * jnp.pi) / 2
    logs = level - (dof + 1) / 2 * jnp.log1p(z**2 / dof) - jnp.log(scale)
    return -jax.nn.logsumexp(logs + np.log(_SHARE))


class OneBarrier(Bake):
    __doc__ = Bake.__doc__
    name: ClassVar[str] = "bake, one barrier"
    law: ClassVar[str] = "g - g0 ~ N(m(g0) l, s(g0)^2 l), l = ln(t/tau0) - E_relax/kT"
    losing: ClassVar[bool] = False
    heavy: ClassVar[bool] = False


class RelaxationAndLoss(Bake):
    __doc__ = Bake.__doc__
    name: ClassVar[str] = "bake, relaxation and loss"
    law: ClassVar[str] = (
        "g = rest + (g0 - rest) exp(-t/tau) + m(g0) l + s(g0) sqrt(l) z, tau = tau0 exp((E(g0) + E_spread xi)/kT)"
    )
    losing: ClassVar[bool] = True
    heavy: ClassVar[bool] = True


CANDIDATES = (OneBarrier, RelaxationAndLoss)
