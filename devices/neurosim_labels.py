"""NeuroSim's nonlinearity labels of pulse trains, and the constants of the exponentials that they stand for."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import solve_increasing


def label_from_a(a: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """NeuroSim's nonlinearity label of an exponential sweep with `a = A/N`.

    The label is 10.1 times the largest deviation of the normalised curve `(1 - e^{-x/a}) / (1 - e^{-1/a})` from the straight
    line; this reproduces NeuroSim's table of 900 labels (checked from 0.01 to 9 within its rounding).
    """
    full = -jnp.expm1(-1 / a)
    x = jnp.clip(-a * jnp.log(a * full), 0, 1)
    return 10.1 * (-jnp.expm1(-x / a) / full - x)


def a_from_label(label: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`A/N` of NeuroSim's nonlinearity label, the inverse of `label_from_a`."""
    low, high = jnp.full_like(label, jnp.log(1e-3)), jnp.full_like(label, jnp.log(1e3))
    return jnp.exp(solve_increasing(lambda log_a: label - label_from_a(jnp.exp(log_a)), low, high))
