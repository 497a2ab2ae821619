"""Tests and figures of merit of fitted pulse trains."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import stats

from devices.fitting.engine import checks
from devices.fitting.engine.result import Check
from devices.fitting.pulses import pulse_data
from devices.fitting.pulses.exponential_sweeps import sweeps
from devices.fitting.pulses.pulse_filter import curve, kalman

SIDES = {"up": 1.0, "down": -1.0}
LEAST = 0.3  # least variance of a mean times its number, as a share of that of single errors


@dataclasses.dataclass(frozen=True)
class PulseDiagnostics:
    """What the fitted model says about the data: standardised errors ahead and predictions (NaN where there is no
    reading), the factor of each train, and the law's course through it."""

    error: np.ndarray
    predicted: np.ndarray
    factor: np.ndarray
    course: np.ndarray


def diagnose(candidate: Any, values: Any, data: Any) -> PulseDiagnostics:
    """Everything that figures, tests and measures of merit need, as NumPy arrays."""
    with jax.enable_x64(True):
        found, course = jax.tree.map(
            np.asarray, _diagnose(candidate, {n: np.asarray(v) for n, v in values.items()}, data)
        )
    used = np.asarray(data["used"]) > 0
    error = np.where(used[:, 1:], found.miss / np.sqrt(found.total), np.nan)
    course = np.where(used | (np.arange(used.shape[1]) == 0), course, np.nan)
    return PulseDiagnostics(error, np.where(used[:, 1:], found.predicted, np.nan), found.factor, course)


@eqx.filter_jit
def _diagnose(candidate: Any, values: Any, data: Any):
    """The filter, and the law's course from the start that suits each train best (least squares)."""
    model = candidate.state_space(values, data)
    found = kalman(model, data)
    model = eqx.tree_at(lambda m: m.ageing, model, tuple(a + found.factor for a in model.ageing))
    y, direction = jnp.asarray(data["y"]), jnp.asarray(data["direction"])
    inside = jnp.asarray(data["used"]).at[:, 0].set(1.0)

    near = y[:, 0] / 3 if candidate.decades else 0.3 * (candidate.shape.high - candidate.shape.low)

    def closer(start, _):
        course, slope = jax.jvp(lambda s: curve(model, s, direction), (start,), (jnp.ones_like(start),))
        move = jnp.sum(inside * slope * (course - y), 1) / jnp.maximum(jnp.sum(inside * slope**2, 1), 1e-300)
        return jnp.clip(start - jnp.nan_to_num(move), y[:, 0] - near, y[:, 0] + near), None

    start, _ = lax.scan(closer, y[:, 0], length=4)
    return found, curve(model, start, direction)


def pulse_checks(candidate: Any, values: Any, data: Any) -> tuple[Check, ...]:
    """Distribution and correlation of standardised errors ahead, and their means at different conductances."""
    seen = diagnose(candidate, values, data)
    return (
        checks.uniform(stats.norm.cdf(seen.error), "one-pulse-ahead errors"),
        checks.uncorrelated(seen.error, "one-pulse-ahead errors"),
        *_shape_check(candidate, seen, data),
    )


def _shape_check(candidate: Any, seen: PulseDiagnostics, data: Any) -> tuple[Check, ...]:
    """Whether errors average to zero at every conductance, separately for pulses up and down.

    Neighbouring errors share a reading, so that a mean of n of them varies by `(s_0 + 2 s_1) / n`, with their own variance
    and covariance of neighbours. Where the law has as many parameters as there are means, these are zero anyway: no test.
    """
    own, neighbours = np.nanmean(seen.error**2), np.nanmean(seen.error[:, 1:] * seen.error[:, :-1])
    variance = max(float(own + 2 * neighbours), LEAST * float(own))
    squares, freedom = 0.0, 0
    for side in candidate.sides:
        along = np.isfinite(seen.error) & (np.asarray(data["direction"])[:, 1:] == SIDES[side])
        order = np.argsort(seen.predicted[along])
        groups = np.array_split(seen.error[along][order], max(min(10, len(order) // 10), 1))
        squares += sum(len(g) * g.mean() ** 2 for g in groups)
        freedom += len(groups)
    if freedom <= sum(len(candidate.shape.parameters(side)) for side in candidate.sides):
        return ()
    return (checks.scatter(float(squares) / variance, float(freedom), "mean steps at different conductances"),)


def pulse_measures(candidate: Any, values: Any, data: Any) -> dict[str, float]:
    """By direction: `R2` and `nRMSE` (of the range) of the law's own curve through a train and of NeuroSim's exponential,
    medians over trains; `A/N` of the latter; `R2` and residual `sd` of single steps of ln g, fatigue in and spread left
    out; the mean step of ln g and its standard deviation over trains."""
    course, out, fits = diagnose(candidate, values, data).course, {}, sweeps(data)
    y = np.where(np.isfinite(course), data["y"], np.nan)
    error, span = np.sqrt(np.nanmean((course - y) ** 2, 1)), np.nanmax(y, 1) - np.nanmin(y, 1)
    for side in candidate.sides:
        of = np.asarray(data["side"]) == SIDES[side]
        if not of.any() or pulse_data.mixed(data):
            continue
        out[f"R2 {side}"] = float(np.median(1 - error[of] ** 2 / np.nanvar(y[of], 1)))
        out[f"nRMSE {side}"] = float(np.median(error[of] / span[of]))
        out[f"NeuroSim R2 {side}"] = float(np.median(fits.r2[of]))
        out[f"NeuroSim nRMSE {side}"] = float(np.median(fits.nrmse[of]))
        out[f"A/N {side}"] = float(np.median(fits.shape[of]))
        if (np.asarray(data["y"]) > 0).all():
            out |= _logarithmic(candidate, values, data, side, of)
    return out


def _logarithmic(candidate: Any, values: Any, data: Any, side: str, of: np.ndarray) -> dict[str, float]:
    """How well single steps of ln g are predicted from the reading before."""
    with jax.enable_x64(True):
        steps = np.asarray(_steps_ahead(candidate, {n: np.asarray(v) for n, v in values.items()}, data))
    ahead = np.log(np.maximum(1 + steps / data["y"][:, :-1], 1e-9))
    seen, used = np.diff(np.log(data["y"]), axis=1), (np.asarray(data["used"])[:, 1:] > 0) & of[:, None]
    miss = (seen - ahead)[used]
    means = np.array([s[u].mean() for s, u in zip(seen[of], used[of], strict=True)])
    return {
        f"R2 ln steps {side}": float(1 - np.mean(miss**2) / np.var(seen[used])),
        f"sd ln steps {side}": float(np.sqrt(np.mean(miss**2))),
        f"mean ln step {side}": float(means.mean()),
        f"spread of mean ln step {side}": float(means.std()),
    }


@eqx.filter_jit
def _steps_ahead(candidate: Any, values: Any, data: Any):
    """Mean step from each reading, the factors of trains left out."""
    step = candidate.state_space(values, data).step
    return jax.vmap(step, (1, 1), 1)(jnp.asarray(data["y"])[:, :-1], jnp.asarray(data["direction"])[:, 1:])
