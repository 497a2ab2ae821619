"""Likelihood of pulse trains: a Kalman filter that separates the noise of reads from that of updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices.steps import AbstractStep


class StateSpace(eqx.Module):
    """Pulses on a hidden conductance, and reads of it.

    $$ h_k = h_{k-1} + d_k e^{u + a_k}\\,\\Delta(h_{k-1}) + \\sigma_k \\xi_k, \\qquad \\sigma_k = \\sigma_r |e^{u + a_k}
    \\Delta| + \\sigma_f, \\qquad
       y_k = h_k + \\rho(h_k) \\epsilon_k $$

    with xi, epsilon unit normal, and u one normal number for each train.

    Args:
        law: the step Delta. ageing: `a` for pulses up and down, an array over trains for each. spread: standard
        deviation of u,
            over trains. relative: `sigma_r`. floor: `sigma_f` as a function of the conductance. read: rho likewise.
    """

    law: AbstractStep
    ageing: tuple[Float[Array, " trains"], Float[Array, " trains"]]
    spread: Float[Array, " trains"]
    relative: Float[Array, ""]
    floor: Callable
    read: Callable

    def step(self, h: Float[Array, " trains"], direction: Float[Array, " trains"]) -> Float[Array, " trains"]:
        """Mean signed step, u aside."""
        up, down = self.ageing
        return jnp.where(direction > 0, jnp.exp(up) * self.law.up(h), -jnp.exp(down) * self.law.down(h)) * (
            direction != 0
        )


class Filtered(eqx.Module):
    """Of each reading after a pulse: reading minus prediction, its variance, the prediction. Of each train: mean and
    variance of u."""

    miss: Float[Array, "trains pulses"]
    total: Float[Array, "trains pulses"]
    predicted: Float[Array, "trains pulses"]
    factor: Float[Array, " trains"]
    variance: Float[Array, " trains"]


def kalman(model: StateSpace, data: Mapping[str, Any]) -> Filtered:
    """The extended Kalman filter, with the state (h, u); the first reading of a train only says where it starts.

    It runs twice: at first `exp(u)` is linearised about the estimate of u from the train so far, then about that from
    the whole train. Without the second, factors of a few tenths bias the steps by a quarter of their error.
    """
    y, used, direction = (jnp.asarray(data[name]) for name in ("y", "used", "direction"))
    none = jnp.zeros(y.shape[0])
    first = (y[:, 0], none, model.read(y[:, 0]) ** 2, none, model.spread**2)
    rows = y[:, 1:].T, direction[:, 1:].T, used[:, 1:].T

    def filtered(about: Callable):
        """The factor of the train about which to linearise, given its readings so far."""

        def pulse(carry, row):
            h, u, hh, hu, uu = carry
            reading, d, there = row
            factor, away = jnp.exp(about(u)), u - about(u)
            step, slope = jax.jvp(lambda x: factor * model.step(x, d), (h,), (jnp.ones_like(h),))
            noise, slope = model.relative * jnp.abs(step) + model.floor(h) * (d != 0), 1 + slope * (1 + away)
            hh = slope**2 * hh + 2 * slope * step * hu + step**2 * uu + noise**2
            hu, h = slope * hu + step * uu, h + step * (1 + away)
            total, miss = hh + model.read(h) ** 2, reading - h
            gain, pull = there * hh / total, there * hu / total
            after = (h + gain * miss, u + pull * miss, hh * (1 - gain), hu * (1 - gain), uu - pull * hu)
            return after, (jnp.where(there > 0, miss, 0), jnp.where(there > 0, total, 0.5 / jnp.pi), h)

        return lax.scan(pulse, first, rows)

    (_, u, *_), _ = filtered(lambda u: u)
    (_, u, _, _, uu), seen = filtered(lambda _, whole=u: whole)
    return Filtered(seen[0].T, seen[1].T, seen[2].T, u, uu)


def simulate(model: StateSpace, data: Mapping[str, Any], *, key: PRNGKeyArray) -> Float[Array, "trains rows"]:
    """Readings drawn from the model, from the first reading of each train on."""
    y, direction = jnp.asarray(data["y"]), jnp.asarray(data["direction"])
    keys = jax.random.split(key, 4)
    u = model.spread * jax.random.normal(keys[0], y.shape[:1], y.dtype)
    start = y[:, 0] + model.read(y[:, 0]) * jax.random.normal(keys[1], u.shape, y.dtype)
    fresh = jax.random.normal(keys[2], direction[:, 1:].T.shape, y.dtype)

    def pulse(h, row):
        d, xi = row
        step = jnp.exp(u) * model.step(h, d)
        h = h + step + (model.relative * jnp.abs(step) + model.floor(h)) * (d != 0) * xi
        return h, h

    _, hidden = lax.scan(pulse, start, (direction[:, 1:].T, fresh))
    seen = hidden.T + model.read(hidden.T) * jax.random.normal(keys[3], hidden.T.shape, y.dtype)
    return jnp.concatenate([y[:, :1], seen], 1)


def curve(
    model: StateSpace, start: Float[Array, " trains"], direction: Float[Array, "trains rows"]
) -> Float[Array, "trains rows"]:
    """The course of the mean law from `start`, without noise."""

    def pulse(h, d):
        h = h + model.step(h, d)
        return h, h

    _, after = lax.scan(pulse, start, direction[:, 1:].T)
    return jnp.concatenate([start[:, None], after.T], 1)
