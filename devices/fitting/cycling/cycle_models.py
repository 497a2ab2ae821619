"""Tables of switching cycles: currents and voltages of each cycle, their spread and their memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractPredictive
from devices.fitting.engine.linear_filter import LinearModel, correlation_parameters, correlation_root
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.instruments.trace import FileError, Trace

QUANTITIES = ("i_on", "i_off", "v_set", "v_reset")
BLOCK = 100  # cycles that are taken together


class CycleTable(AbstractPredictive):
    """Logarithms of what is measured in each cycle, as numbers with a memory.

    $$ \\log_{10}|q_j(t)| = m_j + b_j (t/T - \\tfrac12) + a_j(t) + w_j \\epsilon_j(t), \\qquad a_j(t) = \\rho_j a_j(t-1)
    + s_j\\sqrt{1 - \\rho_j^2}\\,\\eta_j(t) $$

    with the eta of a cycle correlated between quantities. Parameters: `mean`, `sd` s and, where the model has it, `lag1`
    rho, `white` w
    and `trend` b (over all T cycles) of each quantity in decades, and the correlations of eta (partial, given the
    quantities before).
    One recorded cycle to the next counts as one step. Stretches of 100 cycles are taken to be independent of each other.

    Breaks when: outliers are frequent (formed again, stuck); the rows leave out cycles that were not recorded,
    unevenly.
    """

    kind: ClassVar[str] = "cycles"
    starts: ClassVar[int] = 4
    parts: ClassVar[tuple[str, ...]]

    quantities: tuple[str, ...] = eqx.field(static=True)
    center: Any
    scale: Any
    v_read: Any

    @classmethod
    def of(cls, trace: Trace) -> tuple[CycleTable, Any]:
        quantities = tuple(q for q in QUANTITIES if q in trace and np.isfinite(trace[q]).any())
        if not quantities:
            raise FileError(
                f"{trace.name}: none of {', '.join(QUANTITIES)} is in the table of cycles; one of them is needed."
            )
        blocks = [_blocks(one, quantities) for one in trace.split("device")]
        data = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
        seen = np.where(data["used"] > 0, data["y"], np.nan).reshape(-1, len(quantities))
        if (np.isfinite(seen).sum(0) < 3).any():
            raise FileError(
                f"{trace.name}: fewer than 3 cycles with a value other than 0 of one of {', '.join(quantities)}."
            )
        v_read = trace.protocol.get("v_read", np.nan)
        return cls(quantities, np.nanmean(seen, 0), np.nanstd(seen, 0) + 1e-9, np.asarray(float(v_read))), data

    def parameters(self) -> tuple[Parameter, ...]:
        found = []
        for q, m, s in zip(self.quantities, self.center, self.scale, strict=True):
            found.append(Parameter(f"mean {q}", "decades", m - 30 * s, m + 30 * s, (m - s, m + s)))
            found.append(Parameter(f"sd {q}", "decades", 1e-2 * s, 10 * s, (0.3 * s, 1.5 * s), log=True))
            if "lag1" in self.parts:
                found.append(Parameter(f"lag1 {q}", "", -0.9, 0.9995, (0.2, 0.95)))
            if "white" in self.parts:
                found.append(Parameter(f"white {q}", "decades", 1e-2 * s, 10 * s, (0.2 * s, 0.8 * s), log=True))
            if "trend" in self.parts:
                found.append(Parameter(f"trend {q}", "decades", -20 * s, 20 * s, (-s, s)))
        return (*found, *correlation_parameters("correlation", self.quantities))

    def guesses(self, data: Any) -> list[dict[str, float]]:
        first = {p.name: 0.0 for p in self.parameters()}
        for q, m, s in zip(self.quantities, self.center, self.scale, strict=True):
            first |= {f"mean {q}": m, f"sd {q}": 0.8 * s, f"lag1 {q}": 0.85, f"white {q}": 0.5 * s}
        return [first, {**first, **{f"lag1 {q}": 0.5 for q in self.quantities}}]

    def _list(self, values: Mapping[str, Any], what: str) -> Float[Array, " q"]:
        return jnp.stack([jnp.asarray(values.get(f"{what} {q}", 0.0), float) for q in self.quantities])

    def model(self, values: Mapping[str, Any]) -> LinearModel:
        """The states are the a."""
        keep, sd = self._list(values, "lag1"), self._list(values, "sd")
        free = sd * jnp.sqrt(1 - keep**2)
        fresh = free[:, None] * correlation_root(values, "correlation", self.quantities)
        first = jnp.linalg.cholesky(fresh @ fresh.T / (1 - keep[:, None] * keep))
        return LinearModel(keep, first, fresh, self._list(values, "white"))

    def mean(self, values: Mapping[str, Any], data: Any) -> Float[Array, "blocks rows q"]:
        """m + b (t/T - 1/2)."""
        return self._list(values, "mean") + self._list(values, "trend") * (jnp.asarray(data["age"])[..., None] - 0.5)

    def _weights(self, data: Any):
        return jnp.broadcast_to(jnp.eye(len(self.quantities)), (*jnp.shape(data["y"]), len(self.quantities)))

    def errors(self, values: Mapping[str, Any], data: Any):
        """Reading minus prediction and its variance, [blocks, rows, quantities]."""
        return jax.vmap(self.model(values).innovations)(
            data["y"] - self.mean(values, data), self._weights(data), jnp.asarray(data["used"])
        )

    def innovations(
        self, values: Mapping[str, Any], data: Any
    ) -> tuple[Float[Array, "blocks rows"], Float[Array, "blocks rows"]]:
        miss, total = (x.reshape(x.shape[0], -1) for x in self.errors(values, data))
        return miss, total

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        keys = jax.random.split(key, jnp.shape(data["y"])[0])
        drawn = jax.vmap(lambda w, k: self.model(values).draw(w, key=k))(self._weights(data), keys)
        return {**data, "y": self.mean(values, data) + drawn}

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]))

    def standardised_errors(self, values: Mapping[str, float], data: Any) -> np.ndarray:
        with jax.enable_x64(True):
            miss, total = (np.asarray(x) for x in _errors(self, {n: np.asarray(v) for n, v in values.items()}, data))
        return np.where(np.asarray(data["used"]) > 0, miss / np.sqrt(total), np.nan)

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        z = self.standardised_errors(values, data)
        return (
            checks.uniform(stats.norm.cdf(z[np.isfinite(z)]), "one-cycle-ahead errors"),
            checks.uncorrelated(np.moveaxis(z, 2, 1).reshape(-1, z.shape[1]), "one-cycle-ahead errors"),
        )

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        """Standard deviation and lag-1 correlation of log10 of each quantity, in the data and in the model."""
        out = {}
        y = np.where(np.asarray(data["used"]) > 0, data["y"], np.nan)
        for k, q in enumerate(self.quantities):
            r = y[..., k] - np.nanmean(y[..., k])
            out[f"sd log10 {q}"] = float(np.sqrt(np.nanmean(r**2)))
            out[f"lag-1 {q}"] = float(np.nanmean(r[:, 1:] * r[:, :-1]) / np.nanmean(r**2))
            slow, white, trend = (
                values[f"sd {q}"] ** 2,
                values.get(f"white {q}", 0.0) ** 2,
                values.get(f"trend {q}", 0.0) ** 2 / 12,
            )
            total = slow + white + trend
            out[f"model sd log10 {q}"] = float(np.sqrt(total))
            out[f"model lag-1 {q}"] = float((slow * values.get(f"lag1 {q}", 0.0) + trend) / total)
        return out

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """`g_min` and `g_max`, the median currents over `v_read`, if the protocol gives that voltage."""
        if not np.isfinite(self.v_read):
            return {}
        ends = {"g_min": "mean i_off", "g_max": "mean i_on"}
        return {end: 10 ** values[name] / jnp.abs(self.v_read) for end, name in ends.items() if name in values}


@eqx.filter_jit
def _errors(candidate: CycleTable, values: Any, data: Any):
    return candidate.errors(values, data)


def _blocks(trace: Trace, quantities: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One device's table in stretches of equal length, of at most `BLOCK` cycles."""
    rows, order = len(trace), np.argsort(trace["cycle"], kind="stable")
    number = -(-rows // BLOCK)
    length = -(-rows // number) if rows < BLOCK else BLOCK
    at = np.minimum(np.arange(number * length), rows - 1)
    with np.errstate(divide="ignore"):
        y = np.log10(np.abs(np.stack([trace[q] for q in quantities], 1)))[order][at]
    used = np.isfinite(y) & (np.arange(number * length) < rows)[:, None]
    cycle = trace["cycle"][order][at]
    age = (cycle - cycle.min()) / max(np.ptp(cycle), 1)
    split = lambda x: x.reshape(number, length, *x.shape[1:])  # noqa: E731
    return {
        "y": split(np.where(used, y, 0.0)),
        "used": split(used.astype(float)),
        "cycle": split(cycle),
        "age": split(age),
    }


class IndependentCycles(CycleTable):
    """Independent cycles; the rest as in `CycleTable`."""

    name: ClassVar[str] = "independent"
    law: ClassVar[str] = "log10 q = m + s eta"
    parts: ClassVar[tuple[str, ...]] = ()


class CorrelatedCycles(CycleTable):
    """A first-order autoregression; the rest as in `CycleTable`."""

    name: ClassVar[str] = "ar1"
    law: ClassVar[str] = "log10 q = m + a, a = AR(1)"
    parts: ClassVar[tuple[str, ...]] = ("lag1",)


class NoisyCycles(CycleTable):
    """A first-order autoregression under white noise: a slow state, and a part that is new in each cycle; the rest as
    in `CycleTable`."""

    name: ClassVar[str] = "ar1-noise"
    law: ClassVar[str] = "log10 q = m + a + w eps, a = AR(1)"
    parts: ClassVar[tuple[str, ...]] = ("lag1", "white")


class AgeingCycles(CycleTable):
    """A linear trend with the cycles as well; the rest as in `CycleTable`."""

    name: ClassVar[str] = "ar1-noise-trend"
    law: ClassVar[str] = "log10 q = m + b t + a + w eps, a = AR(1)"
    parts: ClassVar[tuple[str, ...]] = ("lag1", "white", "trend")


CANDIDATES = (IndependentCycles, CorrelatedCycles, NoisyCycles, AgeingCycles)
