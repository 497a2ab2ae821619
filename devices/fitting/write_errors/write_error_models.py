"""Models of programming logs: where write-verify leaves a cell, and how it relaxes from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from devices.fitting.engine import checks
from devices.fitting.engine.candidate import Data, Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.retention.relaxation_models import LogTime, reads_of_writes
from devices.fitting.retention.tails import AbstractTails, MixtureTails, NoTails, StudentTails
from devices.fitting.write_errors.final_error_models import FinalErrors
from devices.instruments.trace import FileError, Trace
from devices.programming import QuantileProgramming

_STARTS = np.linspace(0.01, 0.99, 50)  # quantiles of the first reads that the law keeps where no windows were logged
_TAIL = np.array([0.002, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 0.999])  # quantiles of a miss that the law keeps


def windows(
    target: np.ndarray, g0: np.ndarray, low: np.ndarray | None, high: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The window that each write had to reach [S]: as logged, or one as wide as the scatter of writes to the same
    target."""
    if low is not None and high is not None:
        return low, high
    _, level = np.unique(target, return_inverse=True)
    count = np.bincount(level)
    mean = np.bincount(level, g0) / count
    half = np.sqrt(3 * np.maximum(np.bincount(level, (g0 - mean[level]) ** 2) / count, 0))
    half = np.maximum(half, 1e-6 * np.max(np.abs(g0)))
    return (mean - half)[level], (mean + half)[level]


class WriteErrors(LogTime):
    """Write-verify to a window, and relaxation in logarithmic time from there.

    $$ g_0 \\sim U(g_{low}, g_{high}) \\ \\text{with probability } 1 - missed, \\quad \\text{else beyond an edge} $$

    and the changes after that as in `LogTime`; writes that missed their window relax like the others. How far they miss
    it (exponentially distributed) and on which side is taken directly from the data. Without logged windows there are
    no misses either, and where writes start is taken directly from the data; without a column `g0` the first read of a
    write is its start.
    """

    kind: ClassVar[str] = "programming"
    count_missed: bool = False
    miss: Any = None  # mean distance from the window of writes that missed it [S]
    below: Any = None  # share of them that end below it
    levels: Any = None  # one row per target: target, mean edges of its windows [S]
    errors: Any = None  # one row per target: quantiles of first reads less the target [S], where no windows were logged

    @classmethod
    def of(cls, trace: Trace):
        if "t" not in trace:
            raise FileError(
                f"{trace.name}: reads have no times since their write; relaxation needs column t in seconds."
            )
        known = trace["g0"] if "g0" in trace else np.full(len(trace), np.nan)
        write = _writes(trace)
        if not np.isfinite(known).all():
            order = np.lexsort((trace["t"], write))
            _, first, row = np.unique(write[order], return_index=True, return_inverse=True)
            start = np.empty(len(trace))
            start[order] = trace["g"][order][first][row]
            known = np.where(np.isfinite(known), known, start)
        columns = {n: trace.columns.get(n) for n in ("g_low", "g_high")}
        low, high = windows(trace["target"], known, columns["g_low"], columns["g_high"])
        first_time = np.full(len(trace), 0.0) if "g0" in trace else _first_time(write, trace["t"])
        data = reads_of_writes(
            np.where(trace["t"] > first_time, trace["t"], 0), trace["g"], known, write, trace["device"]
        )
        kept = np.unique(write[(trace["t"] > first_time)], return_index=True)
        rows = np.flatnonzero(trace["t"] > first_time)[kept[1]]
        data |= {"target": trace["target"][rows], "low": low[rows], "high": high[rows]}
        targets = np.unique(data["target"])
        levels = np.array([[t, *(data[n][data["target"] == t].mean() for n in ("low", "high"))] for t in targets])
        logged = columns["g_low"] is not None and columns["g_high"] is not None
        errors = [np.quantile(data["g0"][data["target"] == t] - t, _STARTS) for t in targets]
        beyond = _beyond(data) if logged else np.zeros(1)
        missed = beyond[beyond != 0] if beyond.any() else np.array([-1e-9])
        g_max = float(max(levels[:, 2].max(), levels[:, 0].max()))
        return cls.about(
            data,
            g_max,
            count_missed=bool(beyond.any()),
            levels=levels,
            errors=None if logged else np.array(errors),
            miss=np.mean(np.abs(missed)),
            below=np.mean(missed < 0),
        ), data

    def parameters(self) -> tuple[Parameter, ...]:
        if not self.count_missed:
            return super().parameters()
        return (
            *super().parameters(),
            Parameter("missed", "", 1e-6, 0.9, (1e-3, 0.1), log=True),
        )

    def guesses(self, data: Data) -> list[dict[str, float]]:
        more = {"missed": float(np.mean(_beyond(data) != 0))} if self.count_missed else {}
        return [{**g, **more} for g in super().guesses(data)]

    def costs(self, values: Values, data: Data) -> Float[Array, " writes"]:
        found = super().costs(values, data)
        if self.errors is not None:
            return found
        found = found + jnp.log(data["high"] - data["low"])
        if not self.count_missed:
            return found
        beyond = jnp.abs(_beyond(data))
        inside = jnp.log1p(-values["missed"]) * jnp.ones_like(beyond)
        outside = jnp.log(values["missed"] / self.miss * (data["high"] - data["low"])) - beyond / self.miss
        return found - jnp.where(beyond > 0, outside, inside)

    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        relax, place, miss, far, side = jax.random.split(key, 5)
        shape = jnp.shape(data["g0"])
        if self.errors is not None:
            return super().simulate(values, data, key=relax)
        g0 = data["low"] + (data["high"] - data["low"]) * jax.random.uniform(place, shape, jnp.float64)
        if self.count_missed:
            away = self.miss * jax.random.exponential(far, shape, jnp.float64)
            beyond = jnp.where(jax.random.uniform(side, shape) < self.below, data["low"] - away, data["high"] + away)
            g0 = jnp.where(jax.random.uniform(miss, shape) < values["missed"], beyond, g0)
        return super().simulate(values, {**data, "g0": g0}, key=relax)

    def count(self, data: Data) -> int:
        return super().count(data) + (len(data["g0"]) if self.errors is None else 0)

    def notes(self, data: Data) -> tuple[str, ...]:
        if self.errors is None:
            return ()
        return ("no windows were logged: where writes start is taken directly from the data, with no model of misses.",)

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        if self.errors is not None:
            return super().checks(values, data)
        inside = _beyond(data) == 0
        place = (data["g0"] - data["low"]) / (data["high"] - data["low"])
        return (*super().checks(values, data), checks.uniform(place[inside], "accepted reads within their windows"))

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        found = super().measures(values, data)
        one = int(np.argmin(np.abs(np.log(np.median(data["t"], 0)))))
        used, missed = data["used"][:, one] > 0, (_beyond(data) != 0) & (self.errors is None)
        found[f"sd of g - g0 at {np.median(data['t'][:, one]):.2g} s [S]"] = float(
            np.std(data["d"][used & ~missed, one])
        )
        if self.errors is not None:
            return found
        found["missed"] = float(np.mean(missed))
        for t, measured, model in zip(*self.in_window(values, data), strict=True):
            found[f"in window at {t:.2g} s"], found[f"in window at {t:.2g} s, model"] = float(measured), float(model)
        return found

    def in_window(self, values: Mapping[str, float], data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times [s] and the share of reads within the window of their write, measured and by the model."""
        mean, scale, shape = self.marginal(values, data)
        used, start = data["used"] > 0, data["g0"][:, None] + mean
        g = data["g0"][:, None] + data["d"]
        low, high = data["low"][:, None], data["high"][:, None]
        model = shape.cdf((high - start) / scale) - shape.cdf((low - start) / scale)
        inside = (g >= low) & (g <= high)
        share = lambda what: np.sum(what * used, 0) / np.sum(used, 0)  # noqa: E731
        return np.median(data["t"], 0), share(inside), share(model)

    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        target, low, high = jnp.asarray(self.levels).T
        if self.errors is not None:
            errors = jnp.asarray(self.errors)
            programming = QuantileProgramming(*_pair(target, jnp.asarray(_STARTS), errors))
            g_min = jnp.minimum(jnp.min(target[:, None] + errors), jnp.min(target))
            return {**super().laws(values, data), "programming": programming, "g_min": g_min, "g_max": self.g_max}
        inside = np.array([1e-3, 1 - 1e-3])  # uniform: linear between the edges
        errors = [(low + (high - low) * u - target) for u in inside]
        probabilities = jnp.asarray(inside)
        if self.count_missed:
            p, below = values["missed"], self.below
            away = -self.miss * jnp.log1p(-_TAIL)  # ascending
            deep = [jnp.maximum(low - a, 0) - target for a in away[::-1]]
            errors = [*deep, *errors, *(high + a - target for a in away)]
            lost, over = p * jnp.maximum(below, 1e-4), p * jnp.maximum(1 - below, 1e-4)
            probabilities = jnp.concatenate(
                [lost * (1 - _TAIL[::-1]), lost + (1 - lost - over) * inside, 1 - over * (1 - _TAIL)]
            )
        programming = QuantileProgramming(*_pair(target, probabilities, jnp.stack(errors, 1)))
        g_min = jnp.minimum(jnp.min(low), jnp.min(target))
        return {**super().laws(values, data), "programming": programming, "g_min": g_min, "g_max": self.g_max}


def _pair(target, probabilities, errors):
    """A law of quantiles needs two targets at least: a lone one is given a neighbour with the same errors."""
    if target.shape[0] > 1:
        return target, probabilities, errors
    return jnp.stack([target[0], target[0] * 1.001]), probabilities, jnp.concatenate([errors, errors])


def _writes(trace: Trace) -> np.ndarray:
    """Which rows are of one write: the column of that name, or rows of one cell to one target."""
    if "write" in trace:
        return trace["write"]
    return np.unique(np.stack([trace["device"], trace["target"]]), axis=1, return_inverse=True)[1].ravel().astype(float)


def _first_time(write: np.ndarray, t: np.ndarray) -> np.ndarray:
    _, row = np.unique(write, return_inverse=True)
    first = np.full(row.max() + 1, np.inf)
    np.minimum.at(first, row, np.where(np.isnan(t), np.inf, t))
    return first[row]


def _beyond(data: Data):
    """How far each write ended above (+) or below (-) its window [S]; 0 inside."""
    g0, low, high = (data[n] for n in ("g0", "low", "high"))
    xp = np if isinstance(g0, np.ndarray) else jnp
    return xp.maximum(g0 - high, 0) - xp.maximum(low - g0, 0)


class NormalErrors(WriteErrors):
    __doc__ = WriteErrors.__doc__
    name: ClassVar[str] = "write-verify, normal"
    law: ClassVar[str] = "g0 uniform in its window; g(t) - g0 ~ N(m(g0) ln(1 + t/t0), s(g0)^2 (ln(1 + t/t0) + noise))"
    tails: ClassVar[AbstractTails] = NoTails()


class StudentErrors(WriteErrors):
    __doc__ = WriteErrors.__doc__
    name: ClassVar[str] = "write-verify, t"
    law: ClassVar[str] = (
        "g0 uniform in its window; g(t) - g0 = m(g0) ln(1 + t/t0) + s(g0) sqrt(ln(1 + t/t0) + noise) z, z Student t of dof"
    )
    tails: ClassVar[AbstractTails] = StudentTails()


class MixtureErrors(WriteErrors):
    __doc__ = WriteErrors.__doc__
    name: ClassVar[str] = "write-verify, mixture"
    law: ClassVar[str] = (
        "g0 uniform in its window; g(t) - g0 = m(g0) ln(1 + t/t0) + s(g0) sqrt(ln(1 + t/t0) + noise) z, "
        "z normal, for a share of writes widened"
    )
    tails: ClassVar[AbstractTails] = MixtureTails()


CANDIDATES = (NormalErrors, StudentErrors, MixtureErrors, FinalErrors)
