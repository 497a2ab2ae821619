"""Step laws: how far one programming pulse moves a conductance, as a function of the conductance."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from devices._checks import Checked, ordered, positive_siemens, real, siemens, signed_siemens
from devices._numerics import between_nodes, phi1, polynomial, solve_increasing
from devices.neurosim_labels import a_from_label

Number = float | int | Float[Array, ""]


class AbstractStep(Checked):
    """The mean response of one cell to one pulse, in either direction.

    Any parameter may be an array, one value per cell: that is how cells are made to differ.
    """

    closed_form: ClassVar[bool] = False  # True: `after` gives many pulses at once
    g_min: eqx.AbstractVar[Float[Array, "*#cells"]]
    g_max: eqx.AbstractVar[Float[Array, "*#cells"]]

    def __check_init__(self):
        ordered(self, "g_min", "g_max")

    @abc.abstractmethod
    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Increase [S] by one potentiating pulse at conductance `g` [S], ignoring the bounds."""

    @abc.abstractmethod
    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Decrease [S] by one depressing pulse at conductance `g` [S], ignoring the bounds."""

    def clip(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """`g` kept between this cell's bounds."""
        return jnp.clip(g, self.g_min, jnp.maximum(self.g_max, self.g_min))

    def after(self, g: Float[Array, "*cells"], n: Num[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Conductance [S] after `n` pulses, in closed form; only where `closed_form`."""
        raise NotImplementedError(f"{type(self).__name__} has no closed form for many pulses")

    def symmetry_point(self, like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Conductance [S] at which a pulse up and a pulse down cancel, for cells of the shape of `like`.

        Where one direction is stronger at every conductance, the bound to which it leads.
        """
        low, high = (jnp.broadcast_to(b, like.shape).astype(like.dtype) for b in (self.g_min, self.g_max))
        return solve_increasing(lambda g: self.down(g) - self.up(g), low, high)


def mean_after(
    law: AbstractStep, g: Float[Array, "*cells"], n: Num[Array, "*#cells"], parts: int
) -> Float[Array, "*cells"]:
    """Conductance [S] after `n` pulses of the mean step, `n` any real number: the law's closed form where it has one, `parts`
    midpoint steps elsewhere."""
    if law.closed_form:
        return law.after(g, n)
    step = lambda g: jnp.where(n > 0, law.up(g), -law.down(g))  # noqa: E731
    each = jnp.abs(n) / parts
    for _ in range(parts):
        g = law.clip(g + each * step(law.clip(g + each / 2 * step(g))))
    return g


class ConstantStep(AbstractStep):
    """The same step at every conductance.

    $$ \\Delta g_+ = s_+, \\qquad \\Delta g_- = s_- $$

    Args:
        step_up, step_down: `s_+`, `s_-` [S]. g_min, g_max: hard bounds [S].

    Reference: Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333.

    Breaks when: the device saturates, as all do near their bounds.
    """

    closed_form: ClassVar[bool] = True
    step_up: Float[Array, "*#cells"] = eqx.field(converter=siemens)
    step_down: Num[Array, "*#cells"] = eqx.field(converter=siemens)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.broadcast_to(self.step_up, g.shape).astype(g.dtype)

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return jnp.broadcast_to(self.step_down, g.shape).astype(g.dtype)

    def after(self, g: Float[Array, "*cells"], n: Num[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.clip(g + n * jnp.where(n > 0, self.step_up, self.step_down))


class LinearStep(AbstractStep):
    """A step that changes linearly with the conductance.

    $$ \\Delta g_+ = s_+ \\Bigl(1 - \\gamma_+ \\frac{g - g_0}{g_{max} - g_0}\\Bigr), \\qquad
       \\Delta g_- = s_- \\Bigl(1 - \\gamma_- \\frac{g_0 - g}{g_0 - g_{min}}\\Bigr) $$

    Args:
        step_up, step_down: steps at `g_0` [S]. gamma_up, gamma_down: relative loss of step from `g_0` to the bound; 0 is
            `ConstantStep`, 1 `SoftBounds`.
        g_zero: `g_0` [S], the conductance of a weight of 0. g_min, g_max: hard bounds [S].

    Reference: as in aihwkit 1.2.0, `LinearStepDevice` (MIT licence).

    Breaks when: gamma exceeds 1 (the step changes sign before the bound).
    """

    closed_form: ClassVar[bool] = True
    step_up: Float[Array, "*#cells"] = eqx.field(converter=siemens)
    step_down: Num[Array, "*#cells"] = eqx.field(converter=siemens)
    gamma_up: Float[Array, "*#cells"] = eqx.field(converter=real)
    gamma_down: Num[Array, "*#cells"] = eqx.field(converter=real)
    g_zero: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_up * (1 - self.gamma_up * (g - self.g_zero) / (self.g_max - self.g_zero))

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_down * (1 - self.gamma_down * (self.g_zero - g) / (self.g_zero - self.g_min))

    def after(self, g: Float[Array, "*cells"], n: Num[Array, "*#cells"]) -> Float[Array, "*cells"]:
        up = n > 0
        slope_up = -self.step_up * self.gamma_up / (self.g_max - self.g_zero)
        slope_down = -self.step_down * self.gamma_down / (self.g_zero - self.g_min)
        step, slope = jnp.where(up, self.up(g), -self.down(g)), jnp.where(up, slope_up, slope_down)
        return self.clip(_affine(g, step, slope, jnp.abs(n)))


class SoftBounds(AbstractStep):
    """A step in proportion to the distance from where the cell saturates.

    $$ \\Delta g_+ = s_+ \\frac{g_\\uparrow - g}{g_\\uparrow - g_0}, \\qquad
       \\Delta g_- = s_- \\frac{g - g_\\downarrow}{g_0 - g_\\downarrow} $$

    so that n pulses lead to `g_inf + (g - g_inf) (1 - s / |g_inf - g_0|)^n`, an exponential approach.

    Args:
        step_up, step_down: steps at `g_0` [S]. g_zero: `g_0` [S].
        g_min, g_max: hard bounds [S]. low, high: where depression and potentiation saturate [S]; by default the bounds.

    Reference: Fusi, Abbott 2007, 10.1038/nn1859 (soft bounds; recalled, not read).

    Breaks when: steps are so large that `s > g_inf - g_0`.
    """

    closed_form: ClassVar[bool] = True
    step_up: Float[Array, "*#cells"] = eqx.field(converter=siemens)
    step_down: Num[Array, "*#cells"] = eqx.field(converter=siemens)
    g_zero: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    low: Float[Array, "*#cells"] | None = eqx.field(converter=signed_siemens.but(optional=True), default=None)
    high: Float[Array, "*#cells"] | None = eqx.field(converter=signed_siemens.but(optional=True), default=None)

    def _ends(self):
        return self.g_min if self.low is None else self.low, self.g_max if self.high is None else self.high

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        _, high = self._ends()
        return self.step_up * (high - g) / (high - self.g_zero)

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        low, _ = self._ends()
        return self.step_down * (g - low) / (self.g_zero - low)

    def after(self, g: Float[Array, "*cells"], n: Num[Array, "*#cells"]) -> Float[Array, "*cells"]:
        (low, high), up = self._ends(), n > 0
        step = jnp.where(up, self.up(g), -self.down(g))
        slope = jnp.where(up, -self.step_up / (high - self.g_zero), -self.step_down / (self.g_zero - low))
        return self.clip(_affine(g, step, slope, jnp.abs(n)))


def _affine(g, step, slope, n):
    """`n` times `g -> g + step + slope (g' - g)`, a geometric series; smooth through `slope = 0`."""
    slope = jnp.maximum(slope, -1 + 1e-7)
    small = jnp.abs(slope) < 1e-3
    rate = jnp.log1p(slope)
    ratio = jnp.where(small, 1 - slope / 2 + slope**2 / 3 - slope**3 / 4, rate / jnp.where(small, 1, slope))
    return g + step * n * phi1(n * rate) * ratio


def soft_bounds_pmax(p_max: Number, alpha: Number, g_min: Number, g_max: Number) -> SoftBounds:
    """`SoftBounds` from a full sweep: `p_max` pulses lead from one bound to the other along `1 - exp(-alpha p)`.

    $$ g(p) = g_{min} + (g_{max} - g_{min}) \\frac{1 - e^{-\\alpha p}}{1 - e^{-\\alpha p_{max}}} $$

    and the mirror image downwards.

    Args:
        p_max: pulses of a full sweep. alpha: curvature per pulse. g_min, g_max: ends of the sweep and hard bounds [S].

    Reference: the parametrisation of aihwkit's `SoftBoundsPmaxDevice` (MIT licence); NeuroSim's exponential with A = 1/alpha.
    """
    return _exponential_sweeps(p_max, 1 / jnp.asarray(alpha), p_max, 1 / jnp.asarray(alpha), g_min, g_max)


def neurosim_exponential(
    g_min: Number, g_max: Number, pulses_up: Number, pulses_down: Number, label_up: Number, label_down: Number
) -> SoftBounds:
    """NeuroSim's potentiation and depression: exponential sweeps of `N` pulses between `g_min` and `g_max`.

    $$ g_{LTP}(n) = B (1 - e^{-n/A}) + g_{min}, \\quad g_{LTD}(n) = g_{max} - B(1 - e^{(n-N)/A}), \\quad
       B = \\frac{g_{max} - g_{min}}{1 - e^{-N/A}} $$

    Args:
        g_min, g_max: ends of both sweeps [S]. pulses_up, pulses_down: N of each sweep.
        label_up, label_down: NeuroSim's nonlinearity labels, between 0.01 and 9; the sign of a label is its direction there
            and ignored here.

    Reference: Chen, Peng, Yu 2018, 10.1109/TCAD.2018.2789723; label and A are tied by `a_from_label`.

    Breaks when: potentiation and depression end at different conductances. Give `SoftBounds` its `low` and `high` then.
    """
    a_up = pulses_up * a_from_label(jnp.abs(jnp.asarray(label_up, jnp.result_type(float))))
    a_down = pulses_down * a_from_label(jnp.abs(jnp.asarray(label_down, jnp.result_type(float))))
    return _exponential_sweeps(pulses_up, a_up, pulses_down, a_down, g_min, g_max)


def _exponential_sweeps(n_up, a_up, n_down, a_down, g_min, g_max) -> SoftBounds:
    span = g_max - g_min
    high = g_min - span / jnp.expm1(-n_up / a_up)
    low = g_max + span / jnp.expm1(-n_down / a_down)
    middle = (g_min + g_max) / 2
    up, down = -jnp.expm1(-1 / a_up) * (high - middle), -jnp.expm1(-1 / a_down) * (middle - low)
    return SoftBounds(up, down, middle, g_min, g_max, low, high)


class ExponentialStep(AbstractStep):
    """A step that decays exponentially towards the bounds.

    $$ \\Delta g_\\pm = s_\\pm \\max(1 - A_\\pm e^{\\pm\\gamma_\\pm z}, 0), \\qquad
       z = 2 a \\frac{g - g_0}{g_{max} - g_{min}} + b $$

    Args:
        step_up, step_down: `s` [S]. amplitude_up, amplitude_down: A. gamma_up, gamma_down: exponents.
        scale, offset: a and b. g_zero: `g_0` [S]. g_min, g_max: hard bounds [S].

    Reference: Gong et al. 2018, 10.1038/s41467-018-04485-1; the form of aihwkit 1.2.0, `ExpStepDevice` (MIT licence).
    """

    step_up: Float[Array, "*#cells"] = eqx.field(converter=siemens)
    step_down: Num[Array, "*#cells"] = eqx.field(converter=siemens)
    amplitude_up: Float[Array, "*#cells"] = eqx.field(converter=real)
    amplitude_down: Num[Array, "*#cells"] = eqx.field(converter=real)
    gamma_up: Float[Array, "*#cells"] = eqx.field(converter=real)
    gamma_down: Num[Array, "*#cells"] = eqx.field(converter=real)
    scale: Float[Array, "*#cells"] = eqx.field(converter=real)
    offset: Float[Array, "*#cells"] = eqx.field(converter=real)
    g_zero: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)

    def _z(self, g):
        return 2 * self.scale * (g - self.g_zero) / (self.g_max - self.g_min) + self.offset

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_up * jnp.maximum(1 - self.amplitude_up * jnp.exp(self.gamma_up * self._z(g)), 0)

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_down * jnp.maximum(1 - self.amplitude_down * jnp.exp(-self.gamma_down * self._z(g)), 0)


class PowerStep(AbstractStep):
    """A step that falls with a power of the distance to the bound.

    $$ \\Delta g_+ = s_+ \\omega^{\\gamma_+}, \\qquad \\Delta g_- = s_- (1-\\omega)^{\\gamma_-}, \\qquad
       \\omega = \\frac{g_{max} - g}{g_{max} - g_{min}} $$

    Args:
        step_up, step_down: steps at the far bound [S]. gamma_up, gamma_down: exponents. g_min, g_max: hard bounds [S].

    Reference: aihwkit 1.2.0, `PowStepDevice` (MIT licence).
    """

    step_up: Float[Array, "*#cells"] = eqx.field(converter=siemens)
    step_down: Num[Array, "*#cells"] = eqx.field(converter=siemens)
    gamma_up: Float[Array, "*#cells"] = eqx.field(converter=real)
    gamma_down: Num[Array, "*#cells"] = eqx.field(converter=real)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)

    def _omega(self, g):
        return jnp.clip((self.g_max - g) / (self.g_max - self.g_min), 1e-9, 1 - 1e-9)

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_up * self._omega(g) ** self.gamma_up

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_down * (1 - self._omega(g)) ** self.gamma_down


class PiecewiseStep(AbstractStep):
    """A measured step: linear between equidistant nodes from `g_min` to `g_max`.

    Args:
        steps_up, steps_down: steps [S] at the nodes. g_min, g_max: range of the nodes and hard bounds [S].
        step_up, step_down: factors on the tables, so that cells can differ in them.

    Breaks when: the conductance leaves the range (the end nodes are used there).
    """

    steps_up: Float[Array, " nodes"] = eqx.field(converter=signed_siemens)
    steps_down: Float[Array, " nodes"] = eqx.field(converter=signed_siemens)
    g_min: Num[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens)
    step_up: Float[Array, "*#cells"] = eqx.field(converter=real, default=1.0)
    step_down: Float[Array, "*#cells"] = eqx.field(converter=real, default=1.0)

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_up * between_nodes(self.steps_up, g, self.g_min, self.g_max)

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.step_down * between_nodes(self.steps_down, g, self.g_min, self.g_max)


class LogPolynomialStep(AbstractStep):
    """A step of the logarithm of the conductance: what a pulse does to the charge of a floating gate below threshold.

    $$ \\Delta g_\\pm = \\pm g \\bigl(e^{\\pm s_\\pm P_\\pm(z)} - 1\\bigr), \\qquad
       P(z) = \\max\\Bigl(\\sum_k c_k z^k, 0\\Bigr), \\qquad z = 2 \\frac{\\ln(g / g_{min})}{\\ln(g_{max} / g_{min})} - 1 $$

    Args:
        coefficients_up, coefficients_down: `c_k` of the change of ln g by one pulse, ascending powers.
        g_min, g_max: range of `z` and hard bounds [S], above 0. step_up, step_down: factors `s`, so that cells can
        differ in them.

    Reference: the form in which Wang et al. 2022, "A memristive deep belief neural network based on silicon synapses",
    describe Y-Flash cells (recalled, not read).

    Breaks when: conductances reach 0 S, from where no such step leads back.
    """

    coefficients_up: Float[Array, " powers"] = eqx.field(converter=real)
    coefficients_down: Num[Array, " others"] = eqx.field(converter=real)
    g_min: Float[Array, "*#cells"] = eqx.field(converter=positive_siemens)
    g_max: Float[Array, "*#cells"] = eqx.field(converter=positive_siemens)
    step_up: Float[Array, "*#cells"] = eqx.field(converter=real, default=1.0)
    step_down: Float[Array, "*#cells"] = eqx.field(converter=real, default=1.0)

    def _change(self, coefficients, g):
        z = 2 * jnp.log(jnp.maximum(g / self.g_min, 1e-6)) / jnp.log(self.g_max / self.g_min) - 1
        return jnp.maximum(polynomial(coefficients, z), 0)

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return g * jnp.expm1(self.step_up * self._change(self.coefficients_up, g))

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return -g * jnp.expm1(-self.step_down * self._change(self.coefficients_down, g))


class Referenced(AbstractStep):
    """A step law seen from a reference: `g` is the difference between the cell and its reference cell.

    Args:
        law: the law of the cell itself. reference: conductance of the reference [S], subtracted from the cell's.
        at_symmetry: subtract the law's own symmetry point as well, cell by cell, as if each reference had been
            programmed to it.

    Reference: Gokmen, Haensch 2020, 10.3389/fnins.2020.00103 (zero shifting; recalled); aihwkit's `SoftBoundsReferenceDevice`
    and `PowStepReferenceDevice` are this law around `SoftBounds` and `PowerStep`.
    """

    law: AbstractStep
    reference: Float[Array, "*#cells"] = eqx.field(converter=signed_siemens, default=0.0)
    at_symmetry: bool = eqx.field(static=True, default=False)

    def _shift(self):
        if not self.at_symmetry:
            return self.reference
        shape = jnp.broadcast_shapes(*(jnp.shape(p) for p in (self.law.g_min, self.law.g_max, self.reference)))
        return self.reference + self.law.symmetry_point(jnp.zeros(shape, jnp.result_type(self.law.g_max)))

    @property
    def g_min(self) -> Float[Array, "*#cells"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.law.g_min - self._shift()

    @property
    def g_max(self) -> Float[Array, "*#cells"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.law.g_max - self._shift()

    def up(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.law.up(g + self._shift())

    def down(self, g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return self.law.down(g + self._shift())
