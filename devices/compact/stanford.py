"""Stanford-PKU: the gap between the tip of a filament and the electrode."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import optional_array
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.constants import BOLTZMANN_EV
from devices.random import unit_normals


class StanfordPKU(AbstractMemristor):
    """Filamentary RRAM whose state is the gap `g` [m] between filament tip and electrode; heat comes from the cell's
    own power.

    $$ i = I_0 e^{-g/g_0} \\sinh(v/V_0), \\qquad T = T_0 + |v i| R_{th} $$

    $$ \\dot g = -v_0\\, e^{-E_a/kT} \\sinh\\left(\\frac{\\gamma a_0}{t_{ox}} \\frac{q v}{kT}\\right), \\qquad
       \\gamma = \\gamma_0 - \\beta (g / 1\\,\\text{nm})^3 $$

    `gamma` is 0 where the field `gamma |v| / t_ox` is below `f_min`. The published program has a jump there; here
    `gamma` is multiplied by `[1 + tanh((gamma |v| / t_ox - f_min) / f_width)] / 2`, so that gradients exist. A
    positive voltage SETs (closes the gap).

    Args:
        i_0, g_0, v_0: of the read-out [A], [m], [V]. velocity: v_0 of the gap [m/s]. activation: E_a [eV]. a_0:
            atomic distance [m].
        t_ox: thickness of the oxide [m]. beta, gamma_0: field enhancement. gamma_0_reset: gamma_0 at negative
            voltage; None: the same.
        r_th: thermal resistance [K/W]. ambient: T_0 [K]. f_min: smallest field that moves the gap [V/m]; None: no
            such limit.
        f_width: width of that limit [V/m]. g_min, g_max: the state's ends [m]. start: gap of a fresh cell [m], by
            default `g_max`.

    Reference: Guan, Yu, Wong, IEEE Electron Device Lett. 33, 1405 (2012), 10.1109/LED.2012.2210856; Jiang et al.,
    IEEE Trans. Electron Devices 63, 1884 (2016), 10.1109/TED.2016.2545412 (both recalled, not read); Verilog-A
    program 10.4231/D37H1DN48.

    Breaks when: forming or complementary switching matter; the filament heats slower than the voltage changes (there
    is no thermal capacity); the low resistance state is metallic (the read-out is a sinh in every state).
    """

    i_0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    v_0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    velocity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    activation: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    t_ox: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    beta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    gamma_0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    gamma_0_reset: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)
    r_th: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=2.1e3)
    ambient: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=298.0)
    f_min: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=1.4e9)
    f_width: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=2e7)
    g_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.2e-9)
    g_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.7e-9)
    start: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.i_0 * jnp.exp(-x / self.g_0) * jnp.sinh(v / self.v_0)

    def temperature(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Temperature of the filament [K]."""
        return self.ambient + v * self.current(x, v) * self.r_th

    def enhancement(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Field enhancement gamma, 0 where the field is too weak to move anything."""
        zero = self.gamma_0 if self.gamma_0_reset is None else jnp.where(v < 0, self.gamma_0_reset, self.gamma_0)
        gamma = zero - self.beta * (x * 1e9) ** 3
        if self.f_min is None:
            return gamma
        return gamma * jax.nn.sigmoid(
            2 * (gamma * jnp.abs(v) / self.t_ox - self.f_min) / self.f_width
        )  # (1 + tanh z) / 2

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        thermal = BOLTZMANN_EV * self.temperature(x, v)
        push = self.enhancement(x, v) * self.a_0 / self.t_ox * v / thermal
        barrier = self.activation / thermal
        return -self.velocity * (jnp.exp(push - barrier) - jnp.exp(-push - barrier)) / 2

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.g_min, self.g_max

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.g_max if self.start is None else self.start


class NoisyStanfordPKU(AbstractMemristor):
    """`StanfordPKU` whose gap performs a random walk, amplified by heat.

    $$ dg = \\dot g\\, dt + \\frac{\\delta}{1 + e^{(T_c - T)/T_s}} \\sqrt{\\tau}\\, dW \\quad (v \\ne 0) $$

    The published program adds `N(0, 1) delta / (1 + exp(...))` to the rate once per time step, so that its noise
    depends on the step. This walk has the same variance at steps of `tau`, and keeps it at any other step.

    Args:
        model: the cell without noise. delta: [m/s]. t_c, t_s: where heat sets in and how softly [K]. tau: time step
            of the program [s].

    Reference: as `StanfordPKU`.
    """

    stochastic: ClassVar[bool] = True
    model: StanfordPKU
    delta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.02)
    t_c: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=450.0)
    t_s: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=500.0)
    tau: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1e-9)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.model.current(x, v)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.model.derivative(x, v)

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        if key is None:
            raise ValueError("NoisyStanfordPKU.step needs a key: step(x, v, dt, key=jax.random.key(0)).")
        mean = self.model.step(x, v, dt)
        heat = jax.nn.sigmoid((self.model.temperature(x, v) - self.t_c) / self.t_s)
        sigma = jnp.where(v == 0, 0, self.delta * heat * jnp.sqrt(self.tau * dt))
        return jnp.clip(mean + sigma * unit_normals(key, mean), *self.bounds)

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.model.bounds

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.model.initial


@published(
    Provenance(
        name="stanford_hfox_default",
        technology="HfOx RRAM, 12 nm oxide",
        doi="10.1109/LED.2012.2210856",
        also=("10.4231/D37H1DN48",),
        measured="defaults of the Verilog-A program, version 1.0.0",
        numbers="read",
        volts=2.0,
        notes=(
            "A positive voltage SETs.",
            "Use it behind a compliance (Circuit): nothing else stops the SET before the smallest gap.",
        ),
    )
)
def stanford_hfox_default() -> StanfordPKU:
    """Stanford-PKU with the defaults of its Verilog-A program: gap 0.2 to 1.7 nm, on/off ratio exp(6) = 400."""
    return StanfordPKU(
        i_0=1e-3,
        g_0=0.25e-9,
        v_0=0.25,
        velocity=10.0,
        activation=0.6,
        a_0=0.25e-9,
        t_ox=12e-9,
        beta=0.8,
        gamma_0=16.0,
        gamma_0_reset=16.0,
    )


@published(
    Provenance(
        name="stanford_alon",
        technology="nitrogen doped AlOx RRAM, 15 nm oxide",
        doi="10.1109/LED.2012.2210856",
        measured="fitted by others to loops of an N-doped AlOx cell",
        numbers="read",
        volts=3.0,
        notes=(
            "A positive voltage SETs.",
            "From akashlevy/pyxbar (models/rram_wp_paper.va, test/test_1R_AlON.sp): no heat, no smallest field.",
        ),
    )
)
def stanford_alon() -> StanfordPKU:
    """Stanford-PKU of an N-doped AlOx cell, without self-heating: gap 0 to 1.7 nm, -2 to 3 V."""
    return StanfordPKU(
        i_0=3e-6,
        g_0=0.175e-9,
        v_0=0.4,
        velocity=18.0,
        activation=0.6,
        a_0=0.4e-9,
        t_ox=15e-9,
        beta=2.35,
        gamma_0=14.5,
        r_th=0.0,
        ambient=300.0,
        f_min=None,
        g_min=0.0,
    )


@published(
    Provenance(
        name="stanford_hfo2_granada",
        technology="Ni/HfO2/Si RRAM",
        doi="10.1063/5.0055982",
        measured="loops of HfO2 cells, fitted by the University of Granada",
        numbers="read",
        volts=1.5,
        notes=(
            "A positive voltage SETs.",
            "From LabL4/stanford_rram_model_l4_mod (veriloga.va), whose series resistance is 0: put the cell "
            "into Circuit for yours.",
        ),
    )
)
def stanford_hfo2_granada() -> StanfordPKU:
    """Stanford-PKU of HfO2 cells of the University of Granada: gap 0 to 0.425 nm, moves only above 1.4 V/nm, then
    within picoseconds."""
    return StanfordPKU(
        i_0=0.1206,
        g_0=4.43025e-11,
        v_0=1.3254,
        velocity=783029.19,
        activation=0.6,
        a_0=0.25e-9,
        t_ox=1e-9,
        beta=22.260869565217394,
        gamma_0=2.096,
        f_width=1e6,
        g_min=5e-14,
        g_max=0.425e-9,
        start=2.84225e-10,
    )
