"""Telegraph noise: hidden Markov models of a series of reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import expm
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.curves import Constant
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import CONTINUED, AbstractCandidate, Proposals
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.read_noise.spectrum_data import relative, series
from devices.fitting.read_noise.telegraph_start import dwell_of, mixture
from devices.instruments.trace import FileError, Trace
from devices.noise import SumOfNoises, TelegraphNoise, WhiteReadNoise

LONGEST = 1e6  # dwell times, in reads
SHORTEST = 0.2
_WAYS = ((1, 2), (2, 1), (2, 3), (3, 2), (1, 3))  # between levels, whose times are free


class OneTrap(AbstractCandidate):
    """Two levels in white noise: one trap.

    $$ x_n = \\ell + b\\,(n/N - \\tfrac12) + d\\,(1 - z_n) + s\\,\\varepsilon_n, \\qquad z_n \\in \\{0, 1\\}, \\quad
       P(z_{n+1} = 1) = p + (z_n - p)\\,e^{-(1/\\tau_c + 1/\\tau_e)/r}, \\quad p = \\frac{\\tau_e}{\\tau_c + \\tau_e} $$

    x is the conductance relative to its mean, less its straight line in time, of which b (`slope`) restores the part
    due to the levels; z = 1 while the trap is full, which lowers x by d; reads see instants, r of them per second.
    `tau_c`: mean time to capture (empty, high level), `tau_e` to emission. The likelihood is the forward algorithm's,
    and is the density of the same numbers as that of the spectra, so that a Lorentzian or 1/f noise are its rivals: a
    trap must beat them by having levels.

    The series is cut into about sqrt(N) blocks; transfer matrices are multiplied within all blocks at once, then
    chained.

    Reference: Rabiner 1989, 10.1109/5.18626, for hidden Markov models (recalled, not read).

    Breaks when: the trap switches many times within a read; 1/f noise is as large as the distance of the levels (the
    check of what is left then rejects, and BIC keeps rising with the number of levels).
    """

    kind: ClassVar[str] = "noise"
    name: ClassVar[str] = "1 trap"
    law: ClassVar[str] = "two levels, exponential dwell times, white noise"
    starts: ClassVar[int] = 2
    traps: ClassVar[int] = 1
    nuisances: ClassVar[tuple[str, ...]] = ("level", "slope")

    @classmethod
    def of(cls, trace: Trace) -> tuple[OneTrap, dict[str, Any]]:
        g, rate = series(trace)
        if g.shape[1] > 1:
            raise FileError(
                f"{trace.name}: {g.shape[1]} cells; levels are those of one cell. Choose one with the column device."
            )
        x = relative(g)[:, 0]
        rows = int(np.ceil(np.sqrt(len(x))))
        pad = -len(x) % rows
        used = np.pad(np.ones(len(x)), (0, pad)).reshape(-1, rows)
        return cls(), {
            "x": np.pad(x, (0, pad)).reshape(-1, rows),
            "used": used,
            "ramp": (np.arange(used.size) / len(x) - 0.5).reshape(-1, rows),
            "rate": np.asarray(rate, float),
            "g": np.asarray(g.mean()),
        }

    def parameters(self) -> tuple[Parameter, ...]:
        found = [
            Parameter("level", "", -10.0, 10.0, (-0.1, 0.1)),
            Parameter("slope", "", -10.0, 10.0, (-0.01, 0.01)),
            Parameter("s", "", 1e-7, 10.0, (1e-3, 0.1), log=True),
        ]
        for k in range(1, self.traps + 1):
            found += [
                Parameter(f"d{k}", "", 1e-7, 10.0, (1e-3, 0.1), log=True),
                Parameter(f"tau_c{k}", "reads", SHORTEST, LONGEST, (1.0, 1e3), log=True),
                Parameter(f"tau_e{k}", "reads", SHORTEST, LONGEST, (1.0, 1e3), log=True),
            ]
        return tuple(found)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        """From a mixture of normals, with dwell times as the levels are crossed and thirty times as long."""
        x = data["x"][data["used"] > 0]
        levels, s = mixture(x, 2)
        tau = dwell_of(x, levels)
        found = []
        for longer in (1.0, 30.0):
            base = {"level": float(levels[0]), "slope": 0.0, "s": float(s)}
            for k in range(1, self.traps + 1):
                size, slower = float(levels[1] - levels[0]) / k, longer * 10 ** (k - 1)
                base |= {f"d{k}": size, f"tau_c{k}": float(tau[1]) * slower, f"tau_e{k}": float(tau[0]) * slower}
            found.append(base)
        return found

    def chain(self, values: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Levels, matrix of transitions from one read to the next, and stationary shares; traps are independent."""
        levels, moves, shares = jnp.asarray(values["level"])[None], jnp.ones((1, 1)), jnp.ones(1)
        for k in range(1, self.traps + 1):
            capture, emission = values[f"tau_c{k}"], values[f"tau_e{k}"]
            full = emission / (capture + emission)
            keep = jnp.exp(-(1 / capture + 1 / emission))
            own = jnp.stack([full, 1 - full])  # full first: the lower level
            one = keep * jnp.eye(2) + (1 - keep) * own[None, :]
            levels = (levels[:, None] + jnp.stack([0.0 * capture, values[f"d{k}"]])[None]).ravel()
            moves, shares = jnp.kron(moves, one), jnp.kron(shares, own)
        return levels, moves, shares

    def detrended(self, values: Mapping[str, Any], data: Any) -> Any:
        """The reads without the slope of the levels."""
        return data["x"] - values["slope"] * data["ramp"]

    def _densities(self, values: Mapping[str, Any], data: Any) -> tuple[Any, Any]:
        """Density of each read at each level over the largest, and the logarithm of the largest; 1 and 0 where
        unused."""
        levels, *_ = self.chain(values)
        z = (self.detrended(values, data)[..., None] - levels) / values["s"]
        logs = (-0.5 * z**2 - jnp.log(values["s"]) - 0.5 * jnp.log(2 * jnp.pi)) * data["used"][..., None]
        top = jnp.max(logs, -1)
        return jnp.exp(logs - top[..., None]), top

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        _, moves, shares = self.chain(values)
        density, top = self._densities(values, data)

        @jax.checkpoint
        def within(carry, now):
            product, logs = (
                carry  # levels x levels x blocks: sums over a few levels, written out, vectorise over blocks
            )
            product = jnp.sum(product[:, :, None] * moves[:, :, None], 1) * now
            size = jnp.sum(product, (0, 1))
            return (product / size, logs + jnp.log(size)), None

        blocks = len(top)
        first = jnp.broadcast_to(jnp.eye(len(shares))[..., None], (*moves.shape, blocks)), jnp.zeros(blocks)
        (products, logs), _ = lax.scan(within, first, jnp.transpose(density, (1, 2, 0)))

        def along(alpha, product):
            alpha = alpha @ product
            size = jnp.sum(alpha)
            return alpha / size, jnp.log(size)

        _, chained = lax.scan(along, shares, jnp.moveaxis(products, 2, 0))
        return -(chained + logs + jnp.sum(top, 1))

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        levels, moves, shares = self.chain(values)
        first, walk, noise = jax.random.split(key, 3)
        step = lambda state, k: (new := jax.random.categorical(k, jnp.log(moves[state])), new)  # noqa: E731
        start = jax.random.categorical(first, jnp.log(shares))
        _, states = lax.scan(step, start, jax.random.split(walk, data["x"].size))
        x = levels[states] + values["s"] * jax.random.normal(noise, states.shape, jnp.float64)
        x = x.reshape(data["x"].shape) + values["slope"] * data["ramp"]
        return {**data, "x": x * data["used"]}

    def count(self, data: Any) -> int:
        return int(data["used"].sum())

    def level_probabilities(self, values: Mapping[str, float], data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Probability of each level given the reads before and including it, and each read's distribution function
        given those before."""
        with jax.enable_x64(True):
            p = {n: jnp.asarray(v) for n, v in values.items()}
            density, _ = self._densities(p, data)
            now, u = _filter(
                *self.chain(p), p["s"], density.reshape(-1, density.shape[-1]), self.detrended(p, data).ravel()
            )
        used = data["used"].ravel() > 0
        return np.asarray(now)[used], np.asarray(u)[used]

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        _, u = self.level_probabilities(values, data)
        z = stats.norm.ppf(np.clip(u, 1e-12, 1 - 1e-12))
        return checks.uniform(u, "reads given those before"), checks.uncorrelated(
            z, "reads, given those before and the levels,"
        )

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        found = {}
        for k in range(1, self.traps + 1):
            found |= {f"dG/G {k}": values[f"d{k}"], f"step over noise {k}": values[f"d{k}"] / values["s"]}
            found |= {f"{t}{k} [s]": values[f"{t}{k}"] / float(data["rate"]) for t in ("tau_c", "tau_e")}
        return found

    def experiments(self, data: Any) -> Proposals:
        return (
            (
                "record four times as long",
                {**data, **{k: np.tile(data[k], (4, 1)) for k in ("x", "used", "ramp")}},
                CONTINUED,
            ),
        )

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Telegraph noise of each trap and white noise of a bandwidth of half the rate. The law draws dwell times of
        a cell independently, so each trap is given as the one that is full half of the time with the same variance
        and the same spectrum."""
        g, rate = data["g"], data["rate"]
        parts: list[Any] = [WhiteReadNoise(Constant((values["s"] * g) ** 2), g, rate / 2)]
        for k in range(1, self.traps + 1):
            capture, emission = values[f"tau_c{k}"] / rate, values[f"tau_e{k}"] / rate
            dwell = 2 / (1 / capture + 1 / emission)
            share = emission / (capture + emission)
            step = 2 * values[f"d{k}"] * jnp.sqrt(share * (1 - share))
            parts.append(TelegraphNoise(Constant(step), g, 0.0, dwell, dwell))
        return {"read_noise": SumOfNoises(tuple(parts))}


class TwoTraps(OneTrap):
    """`OneTrap` with two independent traps: four levels."""

    name: ClassVar[str] = "2 traps"
    law: ClassVar[str] = "two independent two-level traps, white noise"
    traps: ClassVar[int] = 2


class ThreeLevels(OneTrap):
    """Three levels of one trap, or of one atom in three places, that follow each other in any order and in balance.

    $$ x_n = \\ell_{z_n} + s\\,\\varepsilon_n, \\qquad P(z_{n+1} = j \\mid z_n = i) = (e^Q)_{ij}, \\qquad
       Q_{ij} = 1 / \\tau_{ij}, \\quad \\tau_{31} = \\frac{\\tau_{13}\\,\\tau_{32}\\,\\tau_{21}}{\\tau_{12}\\,\\tau_{23}} $$

    with levels 1, 2, 3 at `level`, `level + d1`, `level + d1 + d2` and times in reads. The last equation is detailed
    balance: there is no net circulation between levels, which makes the spectrum a sum of two Lorentzians.

    Breaks when: as for `OneTrap`; current drives the trap round a cycle; a direct transition between levels 1 and 3 is
    rare (its time then only has a lower bound).
    """

    name: ClassVar[str] = "3 levels"
    law: ClassVar[str] = "three levels in detailed balance, exponential dwell times, white noise"
    traps: ClassVar[int] = 0

    def parameters(self) -> tuple[Parameter, ...]:
        steps = [Parameter(d, "", 1e-7, 10.0, (1e-3, 0.1), log=True) for d in ("d1", "d2")]
        times = [Parameter(f"tau_{a}{b}", "reads", SHORTEST, LONGEST, (1.0, 1e3), log=True) for a, b in _WAYS]
        return (*super().parameters(), *steps, *times)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        """From a mixture of normals, with transitions counted between the nearest levels, and ten times as rare."""
        x = data["x"][data["used"] > 0]
        levels, s = mixture(x, 3)
        state = np.argmin(np.abs(x[:, None] - levels), 1)
        jumps = np.zeros((3, 3))
        np.add.at(jumps, (state[:-1], state[1:]), 1)
        stay = np.bincount(state, minlength=3) + 1.0
        found = {
            "level": float(levels[0]),
            "slope": 0.0,
            "s": s,
            "d1": float(levels[1] - levels[0]),
            "d2": float(levels[2] - levels[1]),
        }
        tau = {f"tau_{a}{b}": stay[a - 1] / (jumps[a - 1, b - 1] + 0.5) for a, b in _WAYS}
        return [found | {n: float(np.clip(longer * t, 0.5, 1e5)) for n, t in tau.items()} for longer in (1.0, 10.0)]

    def rates(self, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """Q [1/reads] and stationary shares."""
        k12, k21, k23, k32, k13 = (1 / values[f"tau_{a}{b}"] for a, b in _WAYS)
        k31 = k13 * k32 * k21 / (k12 * k23)
        off = jnp.stack(
            [jnp.stack([0 * k12, k12, k13]), jnp.stack([k21, 0 * k12, k23]), jnp.stack([k31, k32, 0 * k12])]
        )
        weight = jnp.stack([k21 * k32, k12 * k32, k12 * k23])
        return off - jnp.diag(jnp.sum(off, 1)), weight / jnp.sum(weight)

    def chain(self, values: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        rates, shares = self.rates(values)
        levels = values["level"] + jnp.stack([0 * values["d1"], values["d1"], values["d1"] + values["d2"]])
        return levels, expm(rates, max_squarings=24), shares

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        with jax.enable_x64(True):
            rates, shares = (np.asarray(v) for v in self.rates({n: jnp.asarray(v) for n, v in values.items()}))
        found = {f"share of level {k + 1}": float(shares[k]) for k in range(3)}
        found |= {f"dwell at level {k + 1} [s]": float(-1 / rates[k, k] / data["rate"]) for k in range(3)}
        return found | {f"step over noise {k}": values[f"d{k}"] / values["s"] for k in (1, 2)}

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """White noise, and two traps full half of the time that have the spectrum of the three levels."""
        g, rate = data["g"], data["rate"]
        rates, shares = self.rates(values)
        levels, *_ = self.chain(values)
        root = jnp.sqrt(shares)
        decay, modes = jnp.linalg.eigh(root[:, None] * rates / root)
        size = modes.T @ (root * (levels - jnp.sum(shares * levels)))
        parts: list[Any] = [WhiteReadNoise(Constant((values["s"] * g) ** 2), g, rate / 2)]
        for k in range(2):  # the last decays with 0: the mean
            dwell = 2 / (-decay[k] * rate)
            parts.append(TelegraphNoise(Constant(2 * jnp.abs(size[k])), g, 0.0, dwell, dwell))
        return {"read_noise": SumOfNoises(tuple(parts))}


@jax.jit
def _filter(levels, moves, shares, s, density, x):
    """Filtered probabilities of the levels, and the distribution function of each read given those before."""

    def advance(alpha, now):
        like, read = now
        before = alpha @ moves
        u = jnp.sum(before * jax.scipy.stats.norm.cdf((read - levels) / s))
        after = before * like
        after = after / jnp.sum(after)
        return after, (after, u)

    return lax.scan(advance, shares, (density, x))[1]
