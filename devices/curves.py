"""Curves of a property against a cell's normalised conductance `g / g_max`, as published characterisations give them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._checks import Checked, Law, Number, at_least_0, positive, real, same_length, siemens, signed_siemens
from devices._numerics import polynomial

Curve = Callable[[Float[Array, "*cells"]], Float[Array, "*cells"]]
bound = real.but(infinite=True)
_TINY = 1e-12  # stands for g = 0 in a logarithm; every published curve is clipped long before


@dataclasses.dataclass(frozen=True)
class Curves:
    """A converter for fields that hold a curve, or a number that stands for a constant curve.

    Args:
        number: unit and bounds of that number.
    """

    number: Number

    @property
    def unit(self) -> str:
        """Of the curve's values."""
        return self.number.unit

    def __call__(self, value: Any) -> Any:
        number = value if callable(value) else self.number(value)
        return Constant(number) if isinstance(number, jax.Array) else value

    def check(self, where: str, value: Any) -> None:
        """Raises unless this is a curve or a possible number."""
        if isinstance(value, Constant):
            self.number.check(where, value.value)
        elif isinstance(value, (type, Law)) or not callable(value):
            found = value.__name__ if isinstance(value, type) else repr(value)
            raise TypeError(
                f"{where} is {found}; it takes a number or a curve of the normalised conductance (see devices.curves)."
            )


as_curve = Curves(real)
spread_curve = Curves(at_least_0)
siemens_curve = Curves(signed_siemens)
siemens_spread = Curves(siemens)


class Constant(Checked):
    """`value`, whatever the conductance."""

    value: Float[Array, ""] = eqx.field(converter=real)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.broadcast_to(self.value, x.shape).astype(x.dtype)


class Polynomial(Checked):
    """`max(sum_k coefficients[k] x^k, 0)`, ascending powers."""

    coefficients: Float[Array, " powers"] = eqx.field(converter=real)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.maximum(polynomial(self.coefficients, x), 0)


class ClippedLogarithm(Checked):
    """`clip(slope ln(x) + offset, low, high)`."""

    slope: Float[Array, ""] = eqx.field(converter=real)
    offset: Float[Array, ""] = eqx.field(converter=real)
    low: Float[Array, ""] = eqx.field(converter=bound)
    high: Float[Array, ""] = eqx.field(converter=bound)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.clip(self.slope * jnp.log(jnp.maximum(x, _TINY)) + self.offset, self.low, self.high)


class ClippedPower(Checked):
    """`min(factor / x^exponent, high)`."""

    factor: Float[Array, ""] = eqx.field(converter=real)
    exponent: Float[Array, ""] = eqx.field(converter=real)
    high: Float[Array, ""] = eqx.field(converter=bound)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        log = jnp.log(jnp.maximum(x, _TINY))  # XLA calls a scalar pow() for each element of a power
        return jnp.minimum(self.factor * jnp.exp(-self.exponent * log), self.high)


class Proportional(Checked):
    """`factor x`."""

    factor: Float[Array, ""] = eqx.field(converter=real)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.factor * x


class InverselyProportional(Checked):
    """`min(factor / x, high)`."""

    factor: Float[Array, ""] = eqx.field(converter=real)
    high: Float[Array, ""] = eqx.field(converter=bound)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.minimum(self.factor / jnp.maximum(x, _TINY), self.high)


class Saturating(Checked):
    """`high (1 - exp(-x / scale))`."""

    high: Float[Array, ""] = eqx.field(converter=bound)
    scale: Float[Array, ""] = eqx.field(converter=positive)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return -self.high * jnp.expm1(-x / self.scale)


class LogarithmicOverState(Checked):
    """`factor log10(x / unit) / x`: an absolute amplitude that grows with the logarithm of the state, relative to the
    state."""

    factor: Float[Array, ""] = eqx.field(converter=real)
    unit: Float[Array, ""] = eqx.field(converter=positive)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        x = jnp.maximum(x, _TINY)
        return self.factor * jnp.log10(jnp.maximum(x / self.unit, 1)) / x


class Table(Checked):
    """Linear between measured points, constant beyond them.

    Args:
        x: normalised conductances, ascending. y: values there.
    """

    x: Float[Array, " points"] = eqx.field(converter=real.but(ascending=True))
    y: Float[Array, " points"] = eqx.field(converter=real)

    def __check_init__(self):
        same_length(self, "x", "y")

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.interp(x, self.x.astype(x.dtype), self.y.astype(x.dtype))


class Split(Checked):
    """One curve below a threshold and another from there on."""

    threshold: Float[Array, ""] = eqx.field(converter=real)
    below: Curve
    above: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.where(x < self.threshold, self.below(x), self.above(x))


class Squared(Checked):
    """The square of a curve: a variance from a standard deviation."""

    curve: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.curve(x) ** 2


class ClippedPolynomial(Checked):
    """`sum_k coefficients[k] c^k` with `c = clip(x, low, high)`, ascending powers: of any sign, and constant beyond the data.

    Args:
        coefficients: ascending powers. low, high: range of the data in x.
    """

    coefficients: Float[Array, " powers"] = eqx.field(converter=real)
    low: Float[Array, ""] = eqx.field(converter=bound)
    high: Float[Array, ""] = eqx.field(converter=bound)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return polynomial(self.coefficients, jnp.clip(x, self.low, self.high).astype(x.dtype))


class PowerAndPolynomial(Checked):
    """`power ln c + sum_k coefficients[k] c^k` with `c = clip(x, low, high)`: the logarithm of a property that goes as a power
    of x where x is small.

    Args:
        power: of x. coefficients: ascending powers. low, high: range of the data in x; low is positive.
    """

    power: Float[Array, ""] = eqx.field(converter=real)
    coefficients: Float[Array, " powers"] = eqx.field(converter=real)
    low: Float[Array, ""] = eqx.field(converter=positive)
    high: Float[Array, ""] = eqx.field(converter=bound)

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        c = jnp.clip(x, self.low, self.high).astype(x.dtype)
        return self.power * jnp.log(c) + polynomial(self.coefficients, c)


class Exponential(Checked):
    """The exponential of a curve: a property whose logarithm is smooth."""

    curve: Curve

    def __call__(self, x: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.exp(self.curve(x))
