"""Curves of a property against a cell's normalised conductance `g / g_max`, as published characterisations give them."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Curve = Callable[[Float[Array, "*cells"]], Float[Array, "*cells"]]
_TINY = 1e-12  # stands for g = 0 in a logarithm; every published curve is clipped long before


def as_curve(value: Curve | float) -> Curve:
    """A curve, or a number as the curve that is constant."""
    return value if callable(value) else Constant(value)


class Constant(eqx.Module):
    """`value`, whatever the conductance."""

    value: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.broadcast_to(self.value, x.shape).astype(x.dtype)


class Polynomial(eqx.Module):
    """`max(sum_k coefficients[k] x^k, 0)`, ascending powers."""

    coefficients: Float[Array, " powers"] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        total = jnp.zeros_like(x)
        for power in reversed(range(self.coefficients.shape[0])):
            total = total * x + self.coefficients[power].astype(x.dtype)
        return jnp.maximum(total, 0)


class ClippedLogarithm(eqx.Module):
    """`clip(slope ln(x) + offset, low, high)`."""

    slope: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    offset: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    low: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.clip(self.slope * jnp.log(jnp.maximum(x, _TINY)) + self.offset, self.low, self.high)


class ClippedPower(eqx.Module):
    """`min(factor / x^exponent, high)`."""

    factor: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    exponent: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.minimum(self.factor / jnp.maximum(x, _TINY) ** self.exponent, self.high)
