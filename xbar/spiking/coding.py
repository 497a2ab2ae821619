"""Encoding numbers as spikes, and decoding spikes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray


def rate(x: Float[Array, "*any"], steps: int, *, key: PRNGKeyArray) -> Bool[Array, "steps *any"]:
    """A spike in each step with probability `x`, in [0, 1] (values outside are clipped)."""
    return jax.random.uniform(key, (steps, *x.shape)) < x


def regular(x: Float[Array, "*any"], steps: int) -> Bool[Array, "steps *any"]:
    """Evenly spaced spikes, `round(x steps)` of them, for `x` in [0, 1]: how a neuron without a leak responds to a
    constant."""
    level = jnp.clip(x, 0, 1) * jnp.arange(steps + 1, dtype=jnp.float32).reshape(-1, *(1,) * x.ndim) + 0.5
    return jnp.floor(level[1:]) > jnp.floor(level[:-1])


def latency(x: Float[Array, "*any"], steps: int) -> Bool[Array, "steps *any"]:
    """One spike, the earlier the larger `x` in [0, 1]: in step `round((1 - x)(steps - 1))`; none where `x` is 0."""
    when = jnp.round((1 - jnp.clip(x, 0, 1)) * (steps - 1)).astype(jnp.int32)
    at = jnp.arange(steps).reshape(-1, *(1,) * x.ndim)
    return (at == when) & (x > 0)


def delta(x: Float[Array, "steps *any"], threshold: float) -> Bool[Array, "steps 2 *any"]:
    """Spikes where a signal has risen (first channel) or fallen (second) by `threshold` since the last spike.

    Breaks when: the signal changes by several thresholds within a step: one spike is sent, and the rest follows in
    later steps.
    """

    def step(level, now):
        up, down = now - level >= threshold, level - now >= threshold
        return level + threshold * (up.astype(x.dtype) - down.astype(x.dtype)), jnp.stack([up, down])

    return jax.lax.scan(step, x[0], x)[1]


def direct(x: Float[Array, "*any"], steps: int) -> Float[Array, "steps *any"]:
    """The number itself in every step: the first layer makes the spikes."""
    return jnp.broadcast_to(x, (steps, *x.shape))


def count(spikes: Array) -> Float[Array, "*any"]:
    """Spikes of each neuron over all steps, the first axis."""
    return jnp.sum(spikes, axis=0, dtype=jnp.float32)


def first_spike(spikes: Array) -> Float[Array, "*any"]:
    """Step of the first spike; the number of steps where there is none. Not differentiable."""
    fired = spikes > 0
    return jnp.where(jnp.any(fired, 0), jnp.argmax(fired, 0), len(spikes)).astype(jnp.float32)


def membrane_mean(v: Float[Array, "steps *any"]) -> Float[Array, "*any"]:
    """Mean membrane over all steps: an output without spikes, with a gradient everywhere."""
    return jnp.mean(v, axis=0)
