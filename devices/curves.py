"""Curves of a property against a cell's normalised conductance `g / g_max`, as published characterisations give them."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import polynomial

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
        return jnp.maximum(polynomial(self.coefficients, x), 0)


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
        log = jnp.log(jnp.maximum(x, _TINY))  # XLA calls a scalar pow() for each element of a power
        return jnp.minimum(self.factor * jnp.exp(-self.exponent * log), self.high)


class Proportional(eqx.Module):
    """`factor x`."""

    factor: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.factor * x


class InverselyProportional(eqx.Module):
    """`min(factor / x, high)`."""

    factor: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.minimum(self.factor / jnp.maximum(x, _TINY), self.high)


class Saturating(eqx.Module):
    """`high (1 - exp(-x / scale))`."""

    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    scale: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return -self.high * jnp.expm1(-x / self.scale)


class LogarithmicOverState(eqx.Module):
    """`factor log10(x / unit) / x`: an absolute amplitude that grows with the logarithm of the state, relative to the
    state."""

    factor: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    unit: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        x = jnp.maximum(x, _TINY)
        return self.factor * jnp.log10(jnp.maximum(x / self.unit, 1)) / x


class Table(eqx.Module):
    """Linear between measured points, constant beyond them.

    Args:
        x: normalised conductances, ascending. y: values there.
    """

    x: Float[Array, " points"] = eqx.field(converter=jnp.asarray)
    y: Float[Array, " points"] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.interp(x, self.x.astype(x.dtype), self.y.astype(x.dtype))


class Split(eqx.Module):
    """One curve below a threshold and another from there on."""

    threshold: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    below: Curve
    above: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.where(x < self.threshold, self.below(x), self.above(x))


class Squared(eqx.Module):
    """The square of a curve: a variance from a standard deviation."""

    curve: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.curve(x) ** 2


class ClippedPolynomial(eqx.Module):
    """`sum_k coefficients[k] c^k` with `c = clip(x, low, high)`, ascending powers: of any sign, and constant beyond the data.

    Args:
        coefficients: ascending powers. low, high: reach of the data in x.
    """

    coefficients: Float[Array, " powers"] = eqx.field(converter=jnp.asarray)
    low: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return polynomial(self.coefficients, jnp.clip(x, self.low, self.high).astype(x.dtype))


class PowerAndPolynomial(eqx.Module):
    """`power ln c + sum_k coefficients[k] c^k` with `c = clip(x, low, high)`: the logarithm of a property that goes as a power
    of x where x is small.

    Args:
        power: of x. coefficients: ascending powers. low, high: reach of the data in x; low is positive.
    """

    power: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    coefficients: Float[Array, " powers"] = eqx.field(converter=jnp.asarray)
    low: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        c = jnp.clip(x, self.low, self.high).astype(x.dtype)
        return self.power * jnp.log(c) + polynomial(self.coefficients, c)


class Exponential(eqx.Module):
    """The exponential of a curve: a property whose logarithm is smooth."""

    curve: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.exp(self.curve(x))
