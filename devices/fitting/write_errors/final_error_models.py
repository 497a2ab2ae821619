"""Write-verify tables without times: the final conductance of each write against its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate, Data, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.instruments.trace import FileError, Trace
from devices.programming import QuantileProgramming

FEWEST = 20  # writes
_QUANTILES = np.linspace(0.002, 0.998, 41)  # of the normal error that the law keeps


class FinalErrors(AbstractCandidate):
    """Write errors, of which a part is the same for all targets and a part grows with the target.

    $$ g - g_T \\sim N(b, \\sigma_0^2 + (\\rho g_T)^2) $$

    Parameters: `bias` b [S], `sd_floor` sigma_0 [S], `sd_relative` rho. For logs without times: those with times are
    fitted with relaxation.

    Breaks when: few writes miss by far (heavy tails), or windows cut the errors off; the tests then reject it.
    """

    kind: ClassVar[str] = "programming"
    name: ClassVar[str] = "write errors"
    law: ClassVar[str] = "g - target ~ N(bias, sd_floor^2 + (sd_relative target)^2)"
    starts: ClassVar[int] = 6

    targets: Any  # [S], ascending
    scale: Any  # standard deviation of all errors [S]

    @classmethod
    def of(cls, trace: Trace) -> tuple[FinalErrors, Data]:
        if "t" in trace:
            raise FileError(
                f"{trace.name}: reads have times; use the models of relaxation, which include the write errors."
            )
        rows = np.isfinite(trace["target"]) & np.isfinite(trace["g"])
        target, g = trace["target"][rows], trace["g"][rows]
        if len(g) < FEWEST or not np.ptp(g - target) > 0:
            raise FileError(
                f"{trace.name}: {len(g)} writes with a target; write errors need {FEWEST} or more that differ."
            )
        return cls(np.unique(target), np.asarray(np.std(g - target))), {"target": target, "g": g}

    def parameters(self) -> tuple[Parameter, ...]:
        s, top = float(self.scale), float(np.max(self.targets))
        return (
            Parameter("bias", "S", -np.inf, np.inf, (-s, s)),
            Parameter("sd_floor", "S", 1e-4 * s, 10 * s, (0.1 * s, s), log=True),
            Parameter("sd_relative", "", 1e-4 * s / top, 100 * s / top, (0.1 * s / top, s / top), log=True),
        )

    def _spread(self, values: Values, target: Any) -> Any:
        return jnp.sqrt(values["sd_floor"] ** 2 + (values["sd_relative"] * target) ** 2)

    def nll(self, values: Values, data: Data) -> Float[Array, " writes"]:
        sd = self._spread(values, data["target"])
        z = (data["g"] - data["target"] - values["bias"]) / sd
        return jnp.log(sd) + 0.5 * jnp.log(2 * jnp.pi) + z**2 / 2

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        z = jax.random.normal(key, jnp.shape(data["g"]), jnp.float64)
        return {**data, "g": data["target"] + values["bias"] + self._spread(values, data["target"]) * z}

    def count(self, data: Data) -> int:
        return len(data["g"])

    def scores(self, values: Mapping[str, float], data: Data) -> np.ndarray:
        """Errors in standard deviations of the model."""
        sd = np.sqrt(values["sd_floor"] ** 2 + (values["sd_relative"] * data["target"]) ** 2)
        return (data["g"] - data["target"] - values["bias"]) / sd

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        z = self.scores(values, data)
        return (
            checks.uniform(stats.norm.cdf(z), "write errors"),
            checks.even_scatter(z, data["target"], len(self.parameters()), "targets"),
        )

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        error = data["g"] - data["target"]
        found = {
            f"sd of g - target at {t:.3g} S [S]": float(np.std(error[data["target"] == t])) for t in self.targets[:12]
        }
        return {"sd of g - target [S]": float(np.std(error)), **found}

    def notes(self, data: Data) -> tuple[str, ...]:
        return (
            "no times: the state just after a write is known, but not how it changes later; measure retention as well.",
        )

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        target = jnp.asarray(self.targets)
        target = target if len(target) > 1 else jnp.stack([target[0], target[0] * 1.001])
        errors = values["bias"] + self._spread(values, target)[:, None] * jnp.asarray(stats.norm.ppf(_QUANTILES))
        programming = QuantileProgramming(target, jnp.asarray(_QUANTILES), errors)
        low = jnp.maximum(jnp.min(target[:, None] + errors), 1e-3 * jnp.min(target))
        return {"programming": programming, "g_min": low, "g_max": jnp.max(target)}
