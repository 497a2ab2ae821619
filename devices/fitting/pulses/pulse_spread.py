"""From fitted pulse trains to the laws of a device: spread of cells, and noise of pulses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from devices.curves import ClippedPower, Constant
from devices.fitting.pulses.pulse_filter import kalman
from devices.noise import WhiteReadNoise
from devices.updates import CellSpread, CycleNoise, PulseUpdate


def device_laws(candidate: Any, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """`g_min`, `g_max`, `update` and `read_noise`.

    The cell is one halfway through the measured cycles. Differences between devices become `CellSpread`.
    Differences
    between the trains of one device become part of `CycleNoise`, whose correlation is such that whole trains scatter as
    much as they did. The read noise is given at the bandwidth of the reads: `bandwidth`, or half of `rate`, in the protocol,
    and 1 MHz where it gives neither (a note says so).
    """
    shape, model = candidate.shape, candidate.state_space(values, data)
    law = _aged(shape, values, model, data)
    between, within = _levels(candidate, values, data)
    relative, correlation = _slow(values["update"], within, jnp.mean(jnp.sum(jnp.asarray(data["used"]), 1)))
    power = -2 * values.get("read_exponent", 0.0)
    scale = values["read"] * (shape.high if candidate.decades else 1.0)
    variance = ClippedPower(scale**2, power, jnp.inf) if candidate.decades else Constant(scale**2)
    noise = {"slope": values["floor"]} if candidate.decades else {"additive": values["floor"]}
    return {
        "g_min": jnp.asarray(shape.low),
        "g_max": jnp.asarray(shape.high),
        "update": PulseUpdate(law, _cells(law, between), CycleNoise(relative, correlation=correlation, **noise)),
        "read_noise": WhiteReadNoise(variance, shape.high, candidate.bandwidth),
    }


def _aged(shape: Any, values: Mapping[str, Any], model: Any, data: Any):
    """The law in the middle of the cycles."""
    factors = {
        side: jnp.exp(jnp.sum(jnp.where(data["side"] == sign, age, 0)) / jnp.maximum(jnp.sum(data["side"] == sign), 1))
        for (side, sign), age in zip((("up", 1.0), ("down", -1.0)), model.ageing, strict=True)
    }
    scaled = {n: v * factors[n.rsplit("_", 1)[1]] if n.startswith("step") else v for n, v in values.items()}
    return shape.law(scaled)


def _levels(candidate: Any, values: Mapping[str, Any], data: Any):
    """Variances of ln(step): between devices (up, down, and their covariance), and between trains of a device.

    The likelihood gives their sum; analysis of variance of each train's factor gives the shares.
    """
    total = [values.get(f"spread_{side}", values.get("spread", 0.0)) ** 2 for side in ("up", "down")]
    device = np.asarray(data["device"]).astype(int)
    devices = int(device.max()) + 1
    factor = kalman(candidate.state_space(values, data), data).factor
    means, shares = [], []
    for sign in (1.0, -1.0):
        of = jnp.asarray(data["side"] == sign, factor.dtype)
        number = jax.ops.segment_sum(of, device, devices)
        mean = jax.ops.segment_sum(of * factor, device, devices) / jnp.maximum(number, 1)
        inner = jnp.sum(of * (factor - mean[device]) ** 2) / jnp.maximum(jnp.sum(jnp.maximum(number - 1, 0)), 1)
        outer = jnp.sum((number > 0) * (mean - jnp.mean(mean)) ** 2) / max(devices - 1, 1)
        outer = jnp.maximum(outer - inner / jnp.maximum(jnp.mean(number), 1), 0)
        shares.append(outer / jnp.maximum(outer + inner, 1e-12))
        means.append(mean - jnp.mean(mean))
    together = jnp.mean(means[0] * means[1]) / jnp.maximum(
        jnp.sqrt(jnp.mean(means[0] ** 2) * jnp.mean(means[1] ** 2)), 1e-12
    )
    between = [t * s for t, s in zip(total, shares, strict=True)]
    within = [total[k] * (1 - shares[k]) for k, side in enumerate(("up", "down")) if side in candidate.sides]
    return (*between, together * jnp.sqrt(between[0] * between[1])), jnp.mean(jnp.stack(within))


def _cells(law: Any, between: Any) -> CellSpread | None:
    """Spread common to both directions and between them, in units of the larger step: least squares to the two variances
    and the covariance."""
    up, down, shared = between
    steps = jnp.broadcast_to(law.step_up, ()), jnp.broadcast_to(law.step_down, ())
    larger = jnp.maximum(*steps)
    of_up, of_down = steps[0] / larger, steps[1] / larger
    both = jnp.maximum(of_up**2, of_down**2)
    total = (up * of_up**2 + down * of_down**2) / (of_up**2 + of_down**2)
    common = jnp.where((steps[0] > 0) & (steps[1] > 0), (total + shared * of_up * of_down / both) / 2, total)
    return CellSpread(
        step=jnp.sqrt(jnp.maximum(common, 0)), balance=jnp.sqrt(jnp.maximum(total - common, 0)), log_normal=True
    )


def _slow(white: Float[Array, ""], slow: Float[Array, ""], pulses: Float[Array, ""]):
    """Standard deviation and correlation of the AR(1) noise whose single steps, and sums of a train, scatter as those of
    white noise plus a factor that stays for a train.

    $$ \\sigma^2 = \\sigma_w^2 + \\tau^2, \\qquad \\sigma^2 \\Bigl(N \\frac{1+\\rho}{1-\\rho} - 2 \\rho \\frac{1 -
    \\rho^N}{(1-\\rho)^2}\\Bigr) = N \\sigma_w^2 + N^2 \\tau^2 $$
    """
    variance = white**2 + slow
    wanted = (pulses * white**2 + pulses**2 * slow) / variance

    def excess(rho):
        return pulses * (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**pulses) / (1 - rho) ** 2 - wanted

    rho = solve_increasing(excess, jnp.zeros_like(variance), jnp.full_like(variance, 1 - 1e-4))
    return jnp.sqrt(variance), rho


def factors(candidate: Any, values: Mapping[str, float], data: Any):
    """What `hierarchy.levels` takes: the logarithm of each train's step factor (fatigue removed), by device and cycle.

    Returns:
        estimates [rows, directions] (NaN where a device and cycle has no train of a direction), their covariances, device,
        cycle, names of the directions. What a train alone says: its posterior less the prior.
    """
    with jax.enable_x64(True):
        found = _filtered(candidate, {n: np.asarray(v) for n, v in values.items()}, data)
    keys, row = np.unique(np.stack([data["device"], data["age"]], 1), axis=0, return_inverse=True)
    row, sides = row.ravel(), candidate.sides
    estimates, covariances = np.full((len(keys), len(sides)), np.nan), np.tile(np.eye(len(sides)), (len(keys), 1, 1))
    for k, side in enumerate(sides):
        of = np.asarray(data["side"]) == (1.0 if side == "up" else -1.0)
        prior = values.get(f"spread_{side}", values.get("spread", np.nan)) ** 2
        known = np.maximum(1 / np.asarray(found.variance)[of] - 1 / prior, 1e-6 / prior)
        estimates[row[of], k] = np.asarray(found.factor)[of] / np.asarray(found.variance)[of] / known
        covariances[row[of], k, k] = 1 / known
    return estimates, covariances, keys[:, 0], keys[:, 1], sides


@eqx.filter_jit
def _filtered(candidate: Any, values: Any, data: Any):
    return kalman(candidate.state_space(values, data), data)
