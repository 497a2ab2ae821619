"""Power-law drift with an individual exponent for every cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.curves import ClippedLogarithm, Constant
from devices.drift import PowerLawDrift
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate, Data, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.retention import relaxation_measures
from devices.fitting.retention.relaxation_models import reads_of_writes
from devices.instruments.trace import FileError, Trace


class PowerLawRetention(AbstractCandidate):
    """Power-law drift of cells whose exponents differ, read with noise that is proportional to the conductance.

    $$ \\ln\\frac{g(t)}{g_0} = -\\nu_i \\ln(1 + t/t_0) + \\sigma(\\epsilon_t - \\epsilon_0), \\qquad
       \\nu_i \\sim N(\\nu(x), \\nu_{std}^2) $$

    `g_0` is the first read, `t` the time since then and `t_0` its time after the programming pulse. With `sloping`, nu is
    linear in ln g_0 between `nu_low` and `nu_high` at the ends of the data's range. Blocks are cells.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9 (exponents of PCM cells, clipped logarithm of the state).

    Breaks when: conductances wander (see `relaxation`), or all times are far from t0, which then trades off with the
    noise of `g_0`.
    """

    kind: ClassVar[str] = "retention"
    starts: ClassVar[int] = 4
    sloping: ClassVar[bool]

    reach: Float[np.ndarray | Array, "2"]  # of ln(g0/g_max)
    g_min: Float[np.ndarray | Array, ""]
    g_max: Float[np.ndarray | Array, ""]
    first: Float[np.ndarray | Array, ""]  # time [s]
    blocks: int

    @classmethod
    def of(cls, trace: Trace):
        if "temperature" in trace and len(np.unique(trace["temperature"])) > 1:
            raise FileError(f"is for one temperature, and {trace.name} has {len(np.unique(trace['temperature']))}.")
        lowest = min(np.min(trace["g"]), np.min(trace["g0"]))
        if not lowest > 0:
            raise FileError(f"needs conductances above 0, and the lowest of {trace.name} is {lowest:g} S.")
        data = reads_of_writes(trace["t"], trace["g"], trace["g0"], trace["device"], trace["device"])
        g_max = float(trace.protocol.get("g_max", np.max(data["g0"])))
        low, high = np.log(np.quantile(data["g0"], [0.005, 0.995]) / g_max)
        reach = np.array([low, high]) if high > low else np.array([low - 0.01, high + 0.01])
        return cls(
            reach, np.asarray(np.min(data["g0"])), np.asarray(g_max), np.asarray(np.min(data["t"])), len(data["g0"])
        ), data

    def parameters(self) -> tuple[Parameter, ...]:
        first = float(self.first)
        nus = ("nu_low", "nu_high") if self.sloping else ("nu",)
        return (
            *(Parameter(name, "", -np.inf, np.inf, (-0.05, 0.15)) for name in nus),
            Parameter("nu_std", "", 0.0, np.inf, (1e-3, 0.1), log=True),
            Parameter("t0", "s", first * 1e-4, first * 1e4, (first * 0.1, first * 10), log=True),
            Parameter("noise", "", 0.0, np.inf, (1e-3, 0.1), log=True),
        )

    def guesses(self, data: Data) -> list[dict[str, float]]:
        row, last = np.arange(len(data["g0"])), np.sum(data["used"], 1).astype(int) - 1
        slope = -np.log1p(data["d"][row, last] / data["g0"]) / np.log1p(data["t"][row, last] / self.first)
        middle, spread = float(np.median(slope)), float(np.std(slope)) + 1e-4
        found = {
            "nu": middle,
            "nu_low": middle,
            "nu_high": middle,
            "nu_std": spread,
            "t0": float(self.first),
            "noise": 0.02,
        }
        return [{p.name: found[p.name] for p in self.parameters()}]

    def exponent(self, values: Values) -> ClippedLogarithm:
        """Mean exponent over x."""
        low, high = (values[n] for n in (("nu_low", "nu_high") if self.sloping else ("nu", "nu")))
        slope = (high - low) / (self.reach[1] - self.reach[0])
        return ClippedLogarithm(slope, low - slope * self.reach[0], jnp.minimum(low, high), jnp.maximum(low, high))

    def _decay(self, values: Values, data: Data) -> tuple[Float[Array, "writes reads"], Float[Array, "writes reads"]]:
        """ln(1 + t/t0), and the mean of ln(g/g0)."""
        passed = jnp.log1p(data["t"] / values["t0"]) * data["used"]
        return passed, -self.exponent(values)(jnp.asarray(data["g0"]) / self.g_max)[:, None] * passed

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        passed, mean = self._decay(values, data)
        logs = jnp.log1p(data["d"] / data["g0"][:, None])
        y, n = (logs - mean) * data["used"], jnp.sum(data["used"], 1)
        along = passed * values["nu_std"] / values["noise"]
        # the covariance is the identity and two more directions: the noise of g0, and the exponent
        a, b, c = 1 + n, jnp.sum(along, 1), 1 + jnp.sum(along**2, 1)
        v, w, det = jnp.sum(y, 1), jnp.sum(along * y, 1), a * c - b**2
        squares = jnp.sum(y**2, 1) - (c * v**2 - 2 * b * v * w + a * w**2) / det
        size = n * jnp.log(values["noise"]) + jnp.log(det) / 2 + n / 2 * jnp.log(2 * jnp.pi)
        return (
            size
            + squares / (2 * values["noise"] ** 2)
            + jnp.sum(data["used"] * (logs + jnp.log(data["g0"])[:, None]), 1)
        )

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        passed, mean = self._decay(values, data)
        cell, start, read = jax.random.split(key, 3)
        normal = lambda k, shape: jax.random.normal(k, shape, jnp.float64)  # noqa: E731
        column = (passed.shape[0], 1)
        y = mean - values["nu_std"] * normal(cell, column) * passed
        y = y + values["noise"] * (normal(read, passed.shape) - normal(start, column))
        return {**data, "d": jnp.asarray(data["g0"])[:, None] * jnp.expm1(y) * data["used"]}

    def count(self, data: Data) -> int:
        return int(np.sum(data["used"]))

    def marginal(self, values: Mapping[str, float], data: Data):
        with jax.enable_x64(True):
            passed, mean = (np.asarray(v) for v in self._decay({n: jnp.asarray(v) for n, v in values.items()}, data))
        spread = np.sqrt(2 * values["noise"] ** 2 + (values["nu_std"] * passed) ** 2)
        g = data["g0"][:, None] * np.exp(mean)
        return g - data["g0"][:, None], g * spread, stats.norm(), passed, mean

    def scores(self, values: Mapping[str, float], data: Data) -> np.ndarray:
        """What each read adds to the earlier ones of its cell, as standard normal numbers; NaN where there is no read."""
        *_, passed, mean = self.marginal(values, data)
        used = np.asarray(data["used"])
        y = (np.log1p(data["d"] / data["g0"][:, None]) - mean) * used
        outer = lambda v: v[:, :, None] * v[:, None, :]  # noqa: E731
        spread = values["noise"] ** 2 * (np.eye(used.shape[1]) + outer(used)) + values["nu_std"] ** 2 * outer(passed)
        z = np.linalg.solve(np.linalg.cholesky(spread), y[:, :, None])[:, :, 0]
        return np.where(used > 0, z, np.nan)

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        z = self.scores(values, data)
        there = np.isfinite(z)
        group = relaxation_measures.group_of(data, 6)[:, None] * z.shape[1] + np.arange(z.shape[1])
        found = [
            checks.uniform(stats.norm.cdf(z[there]), "logarithms of conductance"),
            checks.even_scatter(z[there], group[there], len(self.parameters()), "conductances and times"),
        ]
        return (*found, checks.uncorrelated(z, "logarithms of conductance")) if z.shape[1] > 1 else tuple(found)

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        return relaxation_measures.measures(*self.marginal(values, data)[:3], data, float(self.g_max))

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        drift = PowerLawDrift(self.exponent(values), Constant(values["nu_std"]), self.g_max, values["t0"])
        return {"drift": drift, "g_min": self.g_min, "g_max": self.g_max}


class OneExponent(PowerLawRetention):
    __doc__ = PowerLawRetention.__doc__
    name: ClassVar[str] = "power law"
    law: ClassVar[str] = "g = g0 (1 + t/t0)^-nu, nu ~ N(nu, nu_std^2)"
    sloping: ClassVar[bool] = False


class ExponentOfState(PowerLawRetention):
    __doc__ = PowerLawRetention.__doc__
    name: ClassVar[str] = "power law of the state"
    law: ClassVar[str] = "g = g0 (1 + t/t0)^-nu, nu ~ N(a + b ln g0, nu_std^2)"
    sloping: ClassVar[bool] = True


CANDIDATES = (OneExponent, ExponentOfState)
