"""The dynamic memdiode: a diode whose amplitude is the memory."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor


class Memdiode(AbstractMemristor):
    """A filamentary cell: antiparallel diodes behind a resistor, all three interpolated by the memory state H.

    $$ \\dot H = \\frac{1 - H}{\\tau_S(v)} - \\frac{H}{\\tau_R(v)}, \\qquad \\tau_S = T_S e^{-v/V_S}, \\quad \\tau_R =
    T_R e^{v/V_R} $$
    $$ i = I_0(H)\\big[e^{\\beta\\alpha(H) (v - i R_s(H))} - e^{-(1 - \\beta)\\alpha(H) (v - i R_s(H))}\\big] $$

    with `I_0`, `alpha` and `R_s` linear in H. The rate is linear in H, so a step at a frozen voltage is exact; the
    current is solved for, and its derivatives are those of the implicit function.

    Args:
        set_time, set_voltage: `T_S` [s], `V_S` [V]. reset_time, reset_voltage: `T_R` [s], `V_R` [V].
        i_min, i_max: `I_0` at H = 0 and 1 [A]. alpha_min, alpha_max: [1/V]. r_min, r_max: `R_s` [ohm]. beta: share of
            the forward slope.
        h0: H at the start.

    Reference: Miranda, IEEE Trans. Nanotechnol. 14, 787 (2015), 10.1109/TNANO.2015.2455235; dynamic form: Aguirre et al.,
    Front. Phys. 9, 735021 (2021), 10.3389/fphy.2021.735021.

    Breaks when: retention matters (the same two rates hold at 0 V: H relaxes there within `T_R` or `T_S`); the internal
    voltage, not that of the whole cell, should drive the state; in float32 beyond 80 times `V_S` or `V_R`.
    """

    set_time: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    set_voltage: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    reset_time: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    reset_voltage: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    i_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    i_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    alpha_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    alpha_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    beta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.5)
    h0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)

    def diode(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Current [A] at the voltage `u` [V] across the diodes alone."""
        slope = self.alpha_min + (self.alpha_max - self.alpha_min) * x
        forward, backward = jnp.expm1(self.beta * slope * u), jnp.expm1(-(1 - self.beta) * slope * u)
        return (self.i_min + (self.i_max - self.i_min) * x) * (forward - backward)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        series = self.r_min + (self.r_max - self.r_min) * x
        drop = lambda u: u + series * self.diode(x, u) - v  # noqa: E731
        v_all = jnp.broadcast_to(v, jax.eval_shape(drop, v).shape)
        return self.diode(x, solve_increasing(drop, jnp.minimum(v_all, 0), jnp.maximum(v_all, 0)))

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        setting = jnp.exp(v / self.set_voltage) / self.set_time
        resetting = jnp.exp(-v / self.reset_voltage) / self.reset_time
        return setting * (1 - x) - resetting * x

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.h0


@published(
    Provenance(
        name="memdiode_aguirre",
        technology="filamentary oxide (HfO2-type), slow loops between 1.3 and -1.3 V",
        doi="10.3389/fphy.2021.735021",
        also=("10.1109/TNANO.2015.2455235",),
        measured="a netlist's parameters; the loop they were fitted to is not given with them",
        volts=1.3,
        notes=(
            "At 0 V the state relaxes in 132 s: loops of a minute, as in the netlist (60 s), not retention.",
            "The works cited describe the model; whether this very set is printed in them was not checked.",
        ),
    )
)
def memdiode_aguirre() -> Memdiode:
    """A memdiode that, swept at 0.09 V/s, is half set at 1.26 V and half reset at -0.68 V; 1 mA against 3 uA at 0.5 V.

    Checked: oliviakuk/AI_semiconductor (HSPICE netlist `memdiode2`, sweeps of 15 s a leg to 1.3 and -1.3 V).
    """
    return Memdiode(
        set_time=1.796e6,
        set_voltage=0.0899,
        reset_time=132.0,
        reset_voltage=0.1905,
        i_min=1.8e-6,
        i_max=1.23e-3,
        alpha_min=3.0,
        alpha_max=3.8,
        r_min=117.0,
        r_max=256.0,
        beta=0.308,
    )
