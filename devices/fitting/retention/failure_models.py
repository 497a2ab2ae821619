"""Retention as times to failure: each cell failed between two readings, or before the first, or not yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.constants import BOLTZMANN_EV
from devices.curves import Constant
from devices.drift import ActivatedLoss
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate, Data, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.retention import bake_pairs
from devices.fitting.retention.bake_models import ATTEMPT
from devices.instruments.trace import FileError, Trace

LIMIT = 0.5  # lost share of the conductance that counts as failure, unless the protocol gives `loss_limit`
FEWEST = 5  # failures
YEAR = 365.25 * 86_400.0  # s


class Failures(AbstractCandidate):
    """Cells fail when they have lost a share L of their conductance, over individual barriers.

    $$ g = g_0\\,e^{-t/\\tau}, \\quad \\tau = \\tau_0\\,e^{(E + E_{spread}\\,\\xi)/kT}, \\qquad
       \\ln t_{fail} = \\ln(-\\tau_0 \\ln(1 - L)) + \\frac{E + E_{spread}\\,\\xi}{kT}, \\quad \\xi \\sim N(0, 1) $$

    So times to failure are lognormal, and follow Arrhenius' law over temperatures. A cell counts with the probability of
    failing between the last reading before it lost its conductance for good and the next (interval censoring); one that
    had failed at the first reading, or had not at the last, with what is known of it. L is 0.5
    (`protocol["loss_limit"]`). `tau_0` is fitted where cells failed at two temperatures or more, else it is 1e-13 s
    (`protocol["attempt_time"]`).

    Blocks are cells. Reference: lognormal times of thermally activated failure, Nelson 1990, Accelerated Testing,
    10.1002/9780470316795 (recalled, not read).

    Breaks when: cells recover, gain conductance, or lose it in steps; several processes fail cells (the check over
    temperatures and times then rejects).
    """

    kind: ClassVar[str] = "retention"
    name: ClassVar[str] = "failures"
    law: ClassVar[str] = "ln t_fail ~ N(ln(-tau0 ln(1 - L)) + E/kT, (E_spread/kT)^2), interval censored"
    starts: ClassVar[int] = 4
    ranked: ClassVar[bool] = False

    g_min: Float[np.ndarray | Array, ""]
    g_max: Float[np.ndarray | Array, ""]
    attempt: Float[np.ndarray | Array, ""]
    limit: Float[np.ndarray | Array, ""]
    coldest: Float[np.ndarray | Array, ""]  # T [K]
    reached: Float[np.ndarray | Array, ""]  # kT ln(t/tau0) [eV], a typical barrier
    several: bool  # temperatures at which cells failed
    blocks: int

    @classmethod
    def of(cls, trace: Trace):
        limit = float(trace.protocol.get("loss_limit", LIMIT))
        if not 0 < limit < 1:
            raise FileError(f"{trace.name}: loss_limit={limit} must be between 0 and 1, the share of g0 that is lost.")
        found = bake_pairs.pairs(trace)
        trace = trace.where(bake_pairs.kept(trace, found))
        kelvin = trace["temperature"] if "temperature" in trace else np.full(len(trace), 300.0)
        good = np.isfinite(trace["g"]) & np.isfinite(trace["g0"]) & (trace["t"] > 0)
        order = np.flatnonzero(good)[np.lexsort([a[good] for a in (trace["t"], kelvin, trace["device"])])]
        samples = np.stack([trace["device"][order], kelvin[order]])
        first = np.flatnonzero(np.append(True, (np.diff(samples) != 0).any(0))) if len(order) else np.empty(0, int)
        ends = np.append(first[1:], len(order))
        kept = trace["g"][order] > (1 - limit) * trace["g0"][order]
        looks = np.full((len(first), int((ends - first).max(initial=0)) + 1), np.inf)
        fell = np.zeros(len(first), int)
        for k, (a, b) in enumerate(zip(first, ends, strict=True)):
            looks[k, : b - a] = trace["t"][order[a:b]]
            fell[k] = np.flatnonzero(kept[a:b])[-1] + 1 if kept[a:b].any() else 0
        failed = np.isfinite(looks[np.arange(len(fell)), fell]) if len(fell) else np.empty(0, bool)
        if failed.sum() < FEWEST:
            raise FileError(
                f"has {int(failed.sum())} cells that lost {limit:.0%} of their conductance permanently, and needs {FEWEST}: "
                f"{trace.name}."
            )
        heat = BOLTZMANN_EV * samples[1, first]
        attempt = float(trace.protocol.get("attempt_time", ATTEMPT))
        middle = np.where(np.isfinite(looks), np.log(np.where(np.isfinite(looks), looks, 1) / attempt), np.nan)
        data = {
            "looks": looks, "fell": fell, "heat": heat, "g0": trace["g0"][order[first]],
            "block": np.unique(samples[0, first], return_inverse=True)[1],
        }  # fmt: skip
        data["pairs"] = bake_pairs.as_array(found)
        g_max = float(trace.protocol.get("g_max", np.max(data["g0"])))
        return cls(
            g_min=np.asarray(np.min(data["g0"])),
            g_max=np.asarray(g_max),
            attempt=np.asarray(attempt),
            limit=np.asarray(limit),
            coldest=np.asarray(np.min(heat) / BOLTZMANN_EV),
            reached=np.asarray(np.median(np.nanmedian(middle, 1) * heat)),
            several=len(np.unique(heat[failed])) > 1,
            blocks=int(data["block"].max()) + 1,
        ), data

    def parameters(self) -> tuple[Parameter, ...]:
        e = float(self.reached)
        both = (
            Parameter("E", "eV", 0.02 * e, 5 * e, (0.6 * e, 1.5 * e), log=True),
            Parameter("E_spread", "eV", 1e-4 * e, 2 * e, (0.01 * e, 0.3 * e), log=True),
        )
        wide = Parameter("tau_0", "s", float(self.attempt) * 1e-12, 1e6, (1e-14, 1e-8), log=True)
        return (*both, wide) if self.several else both

    def guesses(self, data: Data) -> list[dict[str, float]]:
        """A median time where cells fell, and a straight line of these over 1/kT where there are several temperatures."""
        when = self._when(data)
        heats = [h for h in np.unique(data["heat"]) if np.isfinite(when[data["heat"] == h]).any()]
        at = np.array([np.nanmedian(when[data["heat"] == h]) for h in heats])
        spread = max(float(np.nanstd(when - np.interp(data["heat"], heats, at))), 0.1) * float(np.median(data["heat"]))
        shift = np.log(-np.log1p(-float(self.limit)))
        if not self.several:
            e = float((at[0] - shift - np.log(float(self.attempt))) * heats[0])
            return [{"E": e, "E_spread": spread}]
        slope, level = np.polyfit(1 / np.array(heats), at, 1)
        return [{"E": float(slope), "E_spread": spread, "tau_0": float(np.exp(np.clip(level - shift, -60, 10)))}]

    def _when(self, data: Data) -> np.ndarray:
        """Logarithm of the middle of each interval of failure; NaN without one."""
        row, fell = np.arange(len(data["fell"])), data["fell"]
        high = data["looks"][row, fell]
        low = np.where(fell > 0, data["looks"][row, fell - 1], 0.5 * high)
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(high), np.log(np.where(np.isfinite(high), low * high, 1)) / 2, np.nan)

    def _scores(self, values: Values, data: Data, t: Any) -> Any:
        """Standard normal scores of times (samples, ...)."""
        heat = jnp.expand_dims(jnp.asarray(data["heat"]), tuple(range(1, jnp.ndim(t))))
        begin = jnp.log(values.get("tau_0", self.attempt)) + jnp.log(-jnp.log1p(-self.limit))
        return (jnp.log(t) - begin - values["E"] / heat) * heat / values["E_spread"]

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        looks, fell = jnp.asarray(data["looks"]), jnp.asarray(data["fell"])
        row = jnp.arange(len(fell))
        high, low = looks[row, fell], looks[row, jnp.maximum(fell - 1, 0)]
        early, late = fell == 0, ~jnp.isfinite(high)
        b = self._scores(values, data, jnp.where(late, low, high))
        a = self._scores(values, data, jnp.where(early, high, low))
        # log of Phi(b) - Phi(a), from the side on which both are small
        side = jnp.where(a + b > 0, -1.0, 1.0)
        larger, less = jnp.where(side > 0, b, -a), jnp.where(side > 0, a, -b)
        gap = jnp.where(early | late, -1.0, jnp.minimum(log_ndtr(less) - log_ndtr(larger), -1e-12))
        between = log_ndtr(larger) + jnp.log(-jnp.expm1(gap))
        cost = -jnp.where(early, log_ndtr(b), jnp.where(late, log_ndtr(-a), between))
        return jax.ops.segment_sum(cost, data["block"], self.blocks)

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        xi = jax.random.normal(key, jnp.shape(data["heat"]), jnp.float64)
        z = self._scores(values, data, jnp.where(jnp.isfinite(data["looks"]), data["looks"], 1.0))
        return {**data, "fell": jnp.sum(jnp.isfinite(data["looks"]) & (z < xi[:, None]), 1)}

    def count(self, data: Data) -> int:
        return len(data["fell"])

    def failure_counts(
        self, values: Mapping[str, float], data: Data
    ) -> list[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
        """For every temperature: k T, edges of time, and the numbers of cells that fell between them, seen and expected."""
        with jax.enable_x64(True):
            finite = np.isfinite(data["looks"])
            z = np.asarray(
                self._scores({n: jnp.asarray(v) for n, v in values.items()}, data, np.where(finite, data["looks"], 1.0))
            )
        until = np.where(finite, stats.norm.cdf(z), 1.0)
        share = np.diff(until, axis=1, prepend=0.0)
        found = []
        for heat in np.unique(data["heat"]):
            rows = data["heat"] == heat
            ends = np.unique(data["looks"][rows])
            edges = ends[np.unique(np.linspace(0, len(ends) - 1, 12).astype(int))]
            place = np.searchsorted(edges, data["looks"][rows])
            seen = np.bincount(np.take_along_axis(place, data["fell"][rows][:, None], 1)[:, 0], minlength=len(edges))
            found.append((heat, edges, seen, np.bincount(place.ravel(), share[rows].ravel(), len(edges))))
        return found

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        """Chi-squared of the numbers of failures at every temperature and between readings."""
        squares, freedom = 0.0, -len(self.parameters())
        for _, _, seen, expected in self.failure_counts(values, data):
            enough = expected > 2
            squares += float(np.sum((seen - expected)[enough] ** 2 / expected[enough]))
            freedom += int(enough.sum()) - 1
        what = "failures over times and temperatures (Arrhenius' law)"
        return (checks.scatter(squares, float(freedom), what),) if freedom > 0 else ()

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        failed = np.isfinite(data["looks"][np.arange(len(data["fell"])), data["fell"]])
        found = {"failed": float(failed.mean())}
        begin = np.log(values.get("tau_0", float(self.attempt))) + np.log(-np.log1p(-float(self.limit)))
        for celsius in (85.0, 25.0) if self.several else ():
            heat = BOLTZMANN_EV * (celsius + 273.15)
            z = stats.norm.ppf(0.01)
            found[f"1 % failed at {celsius:.0f} C [years]"] = float(
                np.exp(min(begin + (values["E"] + z * values["E_spread"]) / heat, 700.0)) / YEAR
            )
        return found

    def notes(self, data: Data) -> tuple[str, ...]:
        fixed = "" if self.several else f" The attempt time is taken as {float(self.attempt):.1g} s."
        failed = f"a cell has failed when it has permanently lost {float(self.limit):.0%} of its conductance.{fixed}"
        return (failed, *bake_pairs.sentences(data["pairs"]))

    def experiments(self, data: Data) -> tuple[tuple[str, Data], ...]:
        return (
            ("measure as many cells once more", data),
            ("measure as many cells 50 K hotter as well", {**data, "heat": data["heat"] + 50 * BOLTZMANN_EV}),
            ("measure as many cells 50 K colder as well", {**data, "heat": data["heat"] - 50 * BOLTZMANN_EV}),
        )

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        """Loss at the temperature of the coldest bake; other temperatures go into `ActivatedLoss`."""
        attempt = values.get("tau_0", self.attempt)
        law = ActivatedLoss(Constant(values["E"]), values["E_spread"], self.g_max, self.coldest, 0.0, attempt)
        return {"drift": law, "g_min": jnp.minimum(self.g_min, (1 - self.limit) * self.g_max), "g_max": self.g_max}


CANDIDATES = (Failures,)
