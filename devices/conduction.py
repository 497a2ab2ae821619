"""Conduction: the current through a cell at a read voltage."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._checks import Number, kelvin, positive, positive_siemens, real, volts
from devices._numerics import safe_sqrt, solve_increasing
from devices.base import AbstractConduction
from devices.constants import BOLTZMANN_EV


class Ohmic(AbstractConduction):
    """`i = g v`."""

    linear: ClassVar[bool] = True
    separable: ClassVar[bool] = True

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * v


class Cubic(AbstractConduction):
    """`i = g (v + curvature v^3)`: the lowest odd correction to Ohm's law.

    Args:
        curvature: [1/V^2]; positive for a barrier, negative for self-limiting conduction.

    Breaks when: `|v|` leaves the range over which the curvature was fitted.
    """

    linear: ClassVar[bool] = False
    separable: ClassVar[bool] = True
    curvature: Float[Array, ""] = eqx.field(converter=Number("1/V^2"))

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * (v + self.curvature * v**3)


class Sinh(AbstractConduction):
    """`i = g v_0 sinh(v / v_0)`: tunnelling through a barrier, or hopping; `g` is the conductance at small voltage.

    Args:
        v0: voltage of the onset of the exponential [V].
    """

    linear: ClassVar[bool] = False
    separable: ClassVar[bool] = True
    v0: Float[Array, ""] = eqx.field(converter=volts)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * self.v0 * jnp.sinh(v / self.v0)


class PooleFrenkel(AbstractConduction):
    """`i = g v exp(sqrt(|v| / v_0))`: emission from traps whose barrier the field lowers.

    Args:
        v0: [V]; from the film, `v_0 = pi eps d (kT/q)^2 / q` with d its thickness.

    Breaks when: `|v|` is so small that emission is not what limits the current (the law starts with a square root, and its
    second derivative diverges at 0 V).
    """

    linear: ClassVar[bool] = False
    separable: ClassVar[bool] = True
    v0: Float[Array, ""] = eqx.field(converter=volts)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * v * jnp.exp(safe_sqrt(jnp.abs(v) / self.v0))


class Schottky(AbstractConduction):
    """A rectifying contact: exponential in forward bias, saturating with image-force lowering in reverse bias.

    $$ i = g n V_t (e^{v/nV_t} - 1)\\,\\times\\,\\bigl(e^{\\sqrt{|v|/v_s}} \\text{ for } v < 0\\bigr), \\qquad V_t = kT/q $$

    `g` is the conductance at 0 V, the same from both sides.

    Args:
        ideality: n. v_lowering: `v_s` [V]; infinity switches the lowering off. temperature: T [K].

    Breaks when: the series resistance of the cell limits the forward current; see `WithSeriesResistance`.
    """

    linear: ClassVar[bool] = False
    separable: ClassVar[bool] = True
    ideality: Float[Array, ""] = eqx.field(converter=positive, default=1.0)
    v_lowering: Float[Array, ""] = eqx.field(converter=volts.but(infinite=True), default=jnp.inf)
    temperature: Float[Array, ""] = eqx.field(converter=kelvin, default=300.0)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        scale = self.ideality * BOLTZMANN_EV * self.temperature
        lowering = jnp.exp(safe_sqrt(jnp.maximum(-v, 0) / self.v_lowering))
        return g * scale * jnp.expm1(v / scale) * lowering


class StateDependent(AbstractConduction):
    """Quadratic and cubic terms that depend on the state.

    $$ i = g v + q(\\log_{10} g)\\,v^2 + c(\\log_{10} g)\\,v^3 $$

    Args:
        quadratic, cubic: ascending powers of `log10(g / 1 S)`, [A/V^2] and [A/V^3].

    Reference: Milo et al. 2021, 10.1109/IRPS46558.2021.9405119, in CrossSim 3.2 (BSD-3).

    Breaks when: `g` or `v` leave the range of the fit; nothing keeps the current from changing sign there.
    """

    linear: ClassVar[bool] = False
    quadratic: Float[Array, " powers"] = eqx.field(converter=real)
    cubic: Float[Array, " powers"] = eqx.field(converter=real)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        state = jnp.log10(jnp.maximum(g, 1e-12))
        series = lambda c: sum(c[k] * state**k for k in range(c.shape[0]))  # noqa: E731
        return g * v + series(self.quadratic) * v**2 + series(self.cubic) * v**3


class MovingVoltage(AbstractConduction):
    """Any conduction law whose voltages move with the conductance, from one value in poor conductors to another in good ones.

    $$ i = r(g)\\,i_{law}\\bigl(g, v / r(g)\\bigr), \\qquad \\ln r(g) = \\frac{\\ln r}{1 + (g_s/g)^p} $$

    Emission over barriers where a filament has a gap, nearly Ohm's law where it has none: with `PooleFrenkel(v0)`
    inside, the voltage scale is `v0` far below `g_s` and `r v0` far above it. The conductance at small voltage stays
    `g`.

    Args:
        law: conduction of poor conductors. ratio: r, voltage scale of good conductors over that of poor ones. g_step:
            `g_s` [S], the middle of the step of ln v0. sharpness: p; the step takes about `4/p` e-folds of conductance.

    Breaks when: cells of one conductance conduct in different ways.
    """

    linear: ClassVar[bool] = False
    law: AbstractConduction
    ratio: Float[Array, ""] = eqx.field(converter=positive)
    g_step: Float[Array, ""] = eqx.field(converter=positive_siemens)
    sharpness: Float[Array, ""] = eqx.field(converter=positive)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        folds = jnp.log(jnp.maximum(g, 1e-30) / self.g_step)
        ratio = self.ratio ** jax.nn.sigmoid(self.sharpness * folds)
        return ratio * self.law(g, v / ratio)


class TitaniumOxide(AbstractConduction):
    """Static conduction of a passive TiO2-x crossbar cell, odd in the voltage and temperature dependent.

    $$ i = A_1 v + A_3 v^3, \\quad A_1 = a_0 + a_1 g + a_2 T, \\quad A_3 = b_0 g + b_1 g^2 + b_2 T^{-1.33} $$

    Args:
        temperature: [K]; the fit's T is in degrees Celsius.
        linear_terms, cubic_terms: a [S, 1, S/C] and b.

    Reference: the mean model of the TiO2-x cells of Strukov's group, in pytorch-metal-oxide-memristor-crossbar
    (github.com/caixunshiren, Apache-2.0).

    Breaks when: `g` leaves 3 - 300 uS, or T is below 0 C (the power of T in Celsius). The published spread of `A_1` and
    `A_3` between cells is not part of this law.
    """

    linear: ClassVar[bool] = False
    temperature: Float[Array, ""] = eqx.field(converter=kelvin, default=298.15)
    linear_terms: Float[Array, "3"] = eqx.field(converter=real, default=(-2.58e-6, 0.977, 1.166e-7))
    cubic_terms: Float[Array, "3"] = eqx.field(converter=real, default=(1.18, 6596.0, 1.605e-3))

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        a, b = self.linear_terms, self.cubic_terms
        celsius = self.temperature - 273.15
        first = a[0] + a[1] * g + a[2] * celsius
        third = b[0] * g + b[1] * g**2 + b[2] * celsius**-1.33
        return first * v + third * v**3


class AtTemperature(AbstractConduction):
    """Any conduction law with a conductance that depends on temperature.

    $$ g(T) = g\\,[1 + \\alpha (T - T_0)]\\,e^{-\\frac{E_a}{k}(1/T - 1/T_0)} $$

    Args:
        law: the conduction at `reference`. temperature: T [K]. coefficient: alpha [1/K], metallic if negative.
        activation: `E_a` [eV], of a semiconducting state. reference: `T_0` [K].
    """

    law: AbstractConduction
    temperature: Float[Array, ""] = eqx.field(converter=kelvin)
    coefficient: Float[Array, ""] = eqx.field(converter=Number("1/K"), default=0.0)
    activation: Float[Array, ""] = eqx.field(converter=Number("eV"), default=0.0)
    reference: Float[Array, ""] = eqx.field(converter=kelvin, default=300.0)

    @property
    def linear(self) -> bool:
        return self.law.linear

    @property
    def separable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.law.separable

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        metallic = 1 + self.coefficient * (self.temperature - self.reference)
        activated = jnp.exp(-self.activation / BOLTZMANN_EV * (1 / self.temperature - 1 / self.reference))
        return self.law(g * metallic * activated, v)


class WithSeriesResistance(AbstractConduction):
    """Any conduction law behind a resistor: `i = i_law(g, v - R i)`, solved for the voltage left to the cell.

    Args:
        law: conduction of the cell, its current increasing with the voltage. resistance: R [ohm], of an access device.
    """

    law: AbstractConduction
    resistance: Float[Array, ""] = eqx.field(converter=Number("ohm", low=0.0))

    @property
    def linear(self) -> bool:
        return False  # even around an ohmic cell g v / (1 + R g) is not proportional to g

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        g, v = jnp.broadcast_arrays(g, v)
        excess = lambda u: u + self.resistance * self.law(g, u) - v  # noqa: E731
        return self.law(g, solve_increasing(excess, jnp.minimum(v, 0), jnp.maximum(v, 0)))
