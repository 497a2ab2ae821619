"""Maps of single pulses: how far a pulse of a voltage and width takes a cell, and how surely."""

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
from devices.fitting.engine.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.instruments.trace import FileError, Trace

BLOCKS = 40
COLUMNS = ("y", "start", "decades", "v", "v_gate")


class PulseMap(AbstractCandidate):
    """What one pulse does to the logarithm of a conductance, `x = log10 g`, where pulses differ in voltage and width.

    $$ p = S\\Bigl(\\frac{v - v_{50} + a \\ell + b\\,\\delta x}{s}\\Bigr)\\, S\\Bigl(\\frac{v_g - v_{g50} + a_g \\ell +
    b_g\\,\\delta x + c v}{s_g}\\Bigr), \\qquad
       x_{end} = e + e_v v + e_g v_g + e_w \\ell $$

    with S the logistic function, v the magnitude of the pulse, l = log10(width / median width) and delta x the start
    less the mean start.
    Cells that do not switch come back to the mean start by the share `forget`, as reads of noisy states do. Voltages in
    x_end count
    from the middle of the map. Gate and width take part where they were varied.

    None of this is a law of `Device`, whose pulses all have one voltage and width: the results are the numbers
    themselves, and the voltage of half switching at each width (`measures`).

    Reference: thresholds that fall with the logarithm of the width: Waser et al. 2009, 10.1002/adma.200900375 (recalled,
    not read).

    Breaks when: voltages of both signs are in one map; cells were pulsed more than once (rows are taken to be independent).
    """

    kind: ClassVar[str] = "pulse-map"
    starts: ClassVar[int] = 4
    noises: ClassVar[tuple[str, ...]]

    ranges: Mapping[str, Any]  # of v and v_gate: lowest and highest
    center: Any  # mean start [decades]
    width: Any  # median width [s]
    gated: bool = eqx.field(static=True)
    timed: bool = eqx.field(static=True)

    @classmethod
    def of(cls, trace: Trace) -> tuple[PulseMap, Any]:
        if (trace["g_before"] <= 0).any() or (trace["g_after"] <= 0).any() or (trace["width"] <= 0).any():
            raise FileError(
                f"{trace.name}: conductances and widths of a pulse map must be above 0; exclude the rows that are not."
            )
        if len(trace) < 50 or np.ptp(np.abs(trace["v"])) == 0:
            raise FileError(
                f"{trace.name}: {len(trace)} pulses from {np.min(trace['v']):g} to {np.max(trace['v']):g} V; a map needs 50 "
                "at several voltages."
            )
        gate = trace["v_gate"] if "v_gate" in trace else np.zeros(len(trace))
        width = np.median(trace["width"])
        before = np.log10(trace["g_before"])
        rows = {
            "y": np.log10(trace["g_after"]) - before, "start": before - before.mean(),
            "decades": np.log10(trace["width"] / width), "v": np.abs(trace["v"]), "v_gate": gate,
        }  # fmt: skip
        ranges = {name: np.array([rows[name].min(), rows[name].max()]) for name in ("v", "v_gate")}
        gated, timed = bool(np.ptp(gate) > 0), bool(np.ptp(rows["decades"]) > 0)
        return cls(ranges, np.asarray(before.mean()), np.asarray(width), gated, timed), _blocks(rows)

    def parameters(self) -> tuple[Parameter, ...]:
        found = []
        for name, tag in (("v", ""), ("v_gate", "_gate"))[: 1 + self.gated]:
            low, high = self.ranges[name]
            span = high - low
            found.append(Parameter(f"v50{tag}", "V", low - 3 * span, high + 3 * span, (low, high)))
            found.append(Parameter(f"slope{tag}", "V", 2e-3 * span, 2 * span, (0.02 * span, 0.2 * span), log=True))
            found.append(Parameter(f"start{tag}", "V/decade", -8 * span, 8 * span, (-0.3 * span, 0.3 * span)))
            if self.timed:
                found.append(Parameter(f"shift{tag}", "V/decade", -span, span, (0.0, 0.2 * span)))
        if self.gated:
            found.append(Parameter("coupling", "", -3.0, 3.0, (-0.3, 0.3)))
        found.append(Parameter("end", "decades", self.center - 6, self.center + 6, (self.center - 1, self.center + 1)))
        found.append(Parameter("end_v", "decades/V", -3.0, 3.0, (-0.3, 0.3)))
        found += [Parameter("end_gate", "decades/V", -3.0, 3.0, (-0.3, 0.3))] * self.gated
        found += [Parameter("end_width", "", -2.0, 2.0, (-0.1, 0.1))] * self.timed
        found.append(Parameter("forget", "", 0.0, 1.0, (0.01, 0.3)))
        found += [Parameter(name, "decades", 1e-4, 3.0, (0.01, 0.3), log=True) for name in self.noises]
        found += [Parameter("tail", "", 1.2, 60.0, (2.0, 20.0), log=True)] * bool(self.noises)
        return tuple(found)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        used = np.asarray(data["used"]) > 0
        y, start, v, gate = (np.asarray(data[name])[used] for name in ("y", "start", "v", "v_gate"))
        strong = v >= np.quantile(v, 0.8)
        strong &= gate >= (np.quantile(gate[strong], 0.7) if self.gated else -np.inf)
        moved = y[strong][np.abs(y[strong]) >= np.quantile(np.abs(y[strong]), 0.5)].mean()
        first = {p.name: 0.0 for p in self.parameters()} | {"tail": 4.0, "forget": 0.05}
        first |= {"end": self.center + start[strong].mean() + moved, **dict.fromkeys(self.noises, float(np.std(y)) / 3)}
        out = []
        for at, of_gate in ((0.3, 0.2), (0.7, 0.7), (0.9, 0.8), (0.5, 0.4)):
            for name, tag, share in (("v", "", at), ("v_gate", "_gate", of_gate)):
                low, high = self.ranges[name]
                first |= {f"v50{tag}": low + share * (high - low), f"slope{tag}": 0.08 * (high - low)}
            out.append(dict(first))
        return out

    def switching(self, values: Mapping[str, Any], data: Any) -> tuple[Any, Any, Any]:
        """p, the change of those that switch, and of those that do not, each [blocks, rows]."""
        start, decades = jnp.asarray(data["start"]), jnp.asarray(data["decades"])
        v, gate = jnp.asarray(data["v"]), jnp.asarray(data["v_gate"])

        def side(volts, tag):
            moved = (
                volts - values[f"v50{tag}"] + values.get(f"shift{tag}", 0.0) * decades + values[f"start{tag}"] * start
            )
            return jax.nn.sigmoid(moved / values[f"slope{tag}"])

        p = side(v, "") * (side(gate + values["coupling"] * v, "_gate") if self.gated else 1.0)
        end = (
            values["end"] + values["end_v"] * (v - jnp.mean(self.ranges["v"])) + values.get("end_width", 0.0) * decades
        )
        if self.gated:
            end = end + values["end_gate"] * (gate - jnp.mean(self.ranges["v_gate"]))
        return p, end - self.center - start, -values["forget"] * start

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]))

    def predictions(self, values: Mapping[str, float], data: Any) -> dict[str, np.ndarray]:
        """Rows of data with p, mean, standard deviation and quantile of each."""
        with jax.enable_x64(True):
            found = _predicted(self, {n: np.asarray(v) for n, v in values.items()}, data)
        rows = {**{name: data[name] for name in COLUMNS}, **found}
        return {name: np.asarray(x)[np.asarray(data["used"]) > 0] for name, x in rows.items()}

    @staticmethod
    def _conditions(rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Number of the combination of voltages and width of each row."""
        settings = np.stack([rows[name].round(6) for name in ("v", "v_gate", "decades")], 1)
        return np.unique(settings, axis=0, return_inverse=True)[1].ravel()

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        rows = self.predictions(values, data)
        found = (checks.uniform(self._cumulative(values, rows), "changes of log10 g"),)
        group = self._conditions(rows)
        if len(group) < 3 * (group.max() + 1):  # no repetitions
            return found
        z = (rows["y"] - rows["mean"]) / rows["sd"]
        return (
            *found,
            checks.lack_of_fit(np.zeros_like(z), z, group, len(self.parameters()), "standardised changes of log10 g"),
        )

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        """RMSE [decades] and R2 of log10(R0/R1), the R2 that means of equal pulses have, and the voltage of half
        switching (the
        gate being open) by width."""
        rows = self.predictions(values, data)
        y, group = rows["y"], self._conditions(rows)
        means = (np.bincount(group, y) / np.bincount(group))[group]
        out = {
            "RMSE": float(np.sqrt(np.mean((y - rows["mean"]) ** 2))),
            "R2": float(1 - np.mean((y - rows["mean"]) ** 2) / y.var()),
            "R2 of condition means": float(1 - np.mean((y - means) ** 2) / y.var()),
        }
        for decades in np.unique(rows["decades"].round(6)):
            v50 = values["v50"] - values.get("shift", 0.0) * decades
            out[f"v50 at {float(self.width) * 10**decades:.3g} s"] = float(v50)
        return out

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        return {}

    def deviation(self, values: Mapping[str, Any], p: Any, on: Any, off: Any) -> Any:
        """Standard deviation of the change."""
        raise NotImplementedError

    def _cumulative(self, values: Mapping[str, float], rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probability of a smaller change than the one seen."""
        raise NotImplementedError


@eqx.filter_jit
def _predicted(candidate: PulseMap, values: Any, data: Any) -> dict[str, Any]:
    p, on, off = candidate.switching(values, data)
    mean = p * on + (1 - p) * off
    return {"p": p, "on": on, "off": off, "mean": mean, "sd": candidate.deviation(values, p, on, off)}


def _blocks(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows dealt out to blocks one by one, so that each block has pulses of all kinds."""
    count = len(rows["y"])
    blocks = min(BLOCKS, count // 10)
    length = -(-count // blocks)
    at = np.minimum(np.arange(blocks * length), count - 1)
    deal = lambda x: x.reshape(length, blocks).T  # noqa: E731
    used = (np.arange(blocks * length) < count).astype(float)
    return {**{name: deal(x[at]) for name, x in rows.items()}, "used": deal(used)}


def _log_t(x: Float[Array, "*any"], scale: Float[Array, "*#any"], nu: Float[Array, ""]) -> Float[Array, "*any"]:
    """Logarithm of Student's density."""
    norm = jax.lax.lgamma((nu + 1) / 2) - jax.lax.lgamma(nu / 2) - 0.5 * jnp.log(nu * jnp.pi)
    return norm - jnp.log(scale) - (nu + 1) / 2 * jnp.log1p((x / scale) ** 2 / nu)


def _t_deviation(nu: Any) -> Any:
    """Standard deviation of Student's distribution over its scale; for tails without one, of the distribution cut off."""
    return jnp.sqrt(jnp.where(nu > 2.2, nu / jnp.maximum(nu - 2, 0.2), 11.0))


class MeanSwitching(PulseMap, AbstractResiduals):
    """The mean change, by least squares: noise is normal and the same for all pulses; the rest as in `PulseMap`."""

    name: ClassVar[str] = "mean"
    law: ClassVar[str] = "log10 (g1/g0) = p(v, width, start) (end - start) + sigma eps"
    noises: ClassVar[tuple[str, ...]] = ()

    def residuals(self, values: Mapping[str, Any], data: Any) -> Float[Array, "blocks rows"]:
        p, on, off = self.switching(values, data)
        return (p * on + (1 - p) * off - data["y"]) * data["used"]

    def used(self, data: Any) -> Float[Array, "blocks rows"]:
        return jnp.asarray(data["used"])

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]))

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        p, on, off = self.switching(values, data)
        return {**data, "y": p * on + (1 - p) * off + values["sigma"] * jax.random.normal(key, p.shape, p.dtype)}

    def deviation(self, values, p, on, off):
        """Standard deviation of the change."""
        return values["sigma"] + 0 * p

    def _cumulative(self, values, rows):
        return stats.norm.cdf((rows["y"] - rows["mean"]) / rows["sd"])


class GradualSwitching(PulseMap):
    """Every cell goes the share p of the way; the rest as in `PulseMap`.

    $$ y = p\\,(x_{end} - x) - (1-p) f\\,\\delta x + \\sigma t_\\nu, \\qquad \\sigma^2 = (1-p)\\sigma_{off}^2 +
    p\\,\\sigma_{on}^2 + 4 p (1-p) \\sigma_{half}^2 $$
    """

    name: ClassVar[str] = "gradual"
    law: ClassVar[str] = "log10 (g1/g0) = p(v, width, start) (end - start) + sigma(p) t"
    noises: ClassVar[tuple[str, ...]] = ("off", "on", "half")

    def _scale(self, values, p):
        return jnp.sqrt((1 - p) * values["off"] ** 2 + p * values["on"] ** 2 + 4 * p * (1 - p) * values["half"] ** 2)

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        p, on, off = self.switching(values, data)
        miss = data["y"] - p * on - (1 - p) * off
        return -jnp.sum(data["used"] * _log_t(miss, self._scale(values, p), values["tail"]), 1)

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        p, on, off = self.switching(values, data)
        noise = jax.random.t(key, values["tail"], p.shape, p.dtype)
        return {**data, "y": p * on + (1 - p) * off + self._scale(values, p) * noise}

    def deviation(self, values, p, on, off):
        """Standard deviation of the change."""
        return self._scale(values, p) * _t_deviation(values["tail"])

    def _cumulative(self, values, rows):
        scale = rows["sd"] / float(_t_deviation(values["tail"]))
        return stats.t.cdf((rows["y"] - rows["mean"]) / scale, values["tail"])


class AllOrNothing(PulseMap):
    """A cell switches with probability p, or does not; the rest as in `PulseMap`.

    $$ y \\sim p\\; t_\\nu(x_{end} - x,\\ \\sigma_{on}) + (1 - p)\\; t_\\nu(-f\\,\\delta x,\\ \\sigma_{off}) $$
    """

    name: ClassVar[str] = "all-or-nothing"
    law: ClassVar[str] = "log10 (g1/g0) = end - start with probability p(v, width, start), else 0"
    noises: ClassVar[tuple[str, ...]] = ("off", "on")

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        p, on, off = self.switching(values, data)
        p = jnp.clip(p, 1e-12, 1 - 1e-12)
        switched = jnp.log(p) + _log_t(data["y"] - on, values["on"], values["tail"])
        stayed = jnp.log1p(-p) + _log_t(data["y"] - off, values["off"], values["tail"])
        return -jnp.sum(data["used"] * jnp.logaddexp(switched, stayed), 1)

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        p, on, off = self.switching(values, data)
        chance, noise = jax.random.split(key)
        switched = jax.random.uniform(chance, p.shape, p.dtype) < p
        noise = jax.random.t(noise, values["tail"], p.shape, p.dtype)
        return {**data, "y": jnp.where(switched, on + values["on"] * noise, off + values["off"] * noise)}

    def deviation(self, values, p, on, off):
        """Standard deviation of the change."""
        inner = (p * values["on"] ** 2 + (1 - p) * values["off"] ** 2) * _t_deviation(values["tail"]) ** 2
        return jnp.sqrt(inner + p * (1 - p) * (on - off) ** 2)

    def _cumulative(self, values, rows):
        p, tail = rows["p"], values["tail"]
        switched = stats.t.cdf((rows["y"] - rows["on"]) / values["on"], tail)
        return p * switched + (1 - p) * stats.t.cdf((rows["y"] - rows["off"]) / values["off"], tail)


CANDIDATES = (MeanSwitching, GradualSwitching, AllOrNothing)
