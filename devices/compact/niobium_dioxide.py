"""Threshold switching in NbO2: a hot Poole-Frenkel conductor, and a Mott insulator with a metallic core."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import safe_sqrt, solve_increasing
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.constants import BOLTZMANN_EV, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY


class PooleFrenkelSwitch(AbstractMemristor):
    """A volatile switch without a phase change: field and heat free trapped charge, the current heats. The state is the
    temperature.

    $$ i = \\sigma_0 A \\frac{v}{L} \\exp\\Big(-\\frac{E_a - q\\sqrt{q |v| / (\\pi\\epsilon_0\\epsilon_r L)}}{kT}\\Big),
    \\qquad
    C \\dot T = v i - \\frac{T - T_0}{R_{th}} $$

    Held at a temperature it needs the voltage `holding_voltage`, which rises to the threshold and then falls: negative
    differential resistance. Beyond the threshold only a series resistance (`Circuit`) keeps it from running away.

    Args:
        conductivity: sigma_0 [S/m]. area: A [m2]. thickness: L [m]. energy: E_a [eV]. permittivity: epsilon_r.
        capacity: C [J/K]. resistance: R_th [K/W]. ambient: T_0 [K]. hottest: the temperature is held below this, melting [K].

    Reference: Slesazeck et al., RSC Adv. 5, 102318 (2015), 10.1039/C5RA19300A (abstract read; equations recalled).

    Breaks when: the cell gets hot enough for the metal-insulator transition of NbO2 (1080 K), a second threshold; the current
    filament is narrower than the cell.
    """

    conductivity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    area: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    thickness: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    energy: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    permittivity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    capacity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    resistance: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    ambient: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=300.0)
    hottest: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=2170.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        field = ELEMENTARY_CHARGE / (jnp.pi * VACUUM_PERMITTIVITY * self.permittivity * self.thickness)
        barrier = self.energy - safe_sqrt(field * jnp.abs(v))
        return self.conductivity * self.area * v / self.thickness * jnp.exp(-barrier / (BOLTZMANN_EV * x))

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return (v * self.current(x, v) - (x - self.ambient) / self.resistance) / self.capacity

    def holding_voltage(self, x: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Positive voltage [V] at which the cell stays at the temperature `x` [K]; its largest value is the threshold."""
        lost = (x - self.ambient) / self.resistance
        # at this voltage the heat would suffice without the help of the field
        enough = safe_sqrt(
            lost * self.thickness / (self.conductivity * self.area) * jnp.exp(self.energy / (BOLTZMANN_EV * x))
        )
        return solve_increasing(lambda v: v * self.current(x, v) - lost, jnp.zeros_like(enough), enough)

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.ambient, self.hottest

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.ambient


class MottSwitch(AbstractMemristor):
    """A cylinder of a Mott insulator whose core is heated into the metal; the state u is the core's share of the radius.

    $$ R = \\frac{\\rho_i L / (\\pi r^2)}{1 + (\\rho_i / \\rho_m - 1) u^2}, \\quad \\Gamma = \\frac{2\\pi
    L\\kappa}{\\ln(1/u)}, \\quad
    \\frac{dH}{du} = \\pi L r^2 \\Big[c_p \\Delta T\\,\\frac{1 - u^2 + 2 u^2 \\ln u}{2 u \\ln^2 u} + 2 \\Delta h\\,u\\Big] $$
    $$ i = v / R(u), \\qquad \\dot u = \\frac{v i - \\Gamma(u) \\Delta T}{dH/du} $$

    Args:
        insulating, metallic: resistivities [ohm m]. conductivity: kappa, of heat [W/(m K)]. heat: c_p [J/(m3 K)].
        rise: Delta T, from ambient to the transition [K]. enthalpy: Delta h of the transition [J/m3].
        radius, length: of the channel [m]. core: (smallest, largest) u; the smallest sets the threshold, if only
            through its logarithm.

    Reference: Pickett, Williams, Nanotechnology 23, 215202 (2012), 10.1088/0957-4484/23/21/215202.

    Breaks when: conduction in the insulator is not ohmic (see `PooleFrenkelSwitch`); the electrodes, not the cylinder,
    carry the heat.
    """

    insulating: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    metallic: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    conductivity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    heat: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    rise: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    enthalpy: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    radius: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    length: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    core: tuple[float, float] = eqx.field(static=True, default=(1e-3, 0.99))

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        section = jnp.pi * self.radius**2
        return v * section / (self.insulating * self.length) * (1 + (self.insulating / self.metallic - 1) * x**2)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        x = jnp.clip(x, *self.core)
        log = jnp.log(x)
        lost = -2 * jnp.pi * self.length * self.conductivity / log * self.rise
        warming = self.heat * self.rise * (1 - x**2 + 2 * x**2 * log) / (2 * x * log**2)
        volume = jnp.pi * self.length * self.radius**2
        return (v * self.current(x, v) - lost) / (volume * (warming + 2 * self.enthalpy * x))

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(self.core[0]), jnp.asarray(self.core[1])

    @property
    def initial(self) -> Float[Array, ""]:
        return jnp.asarray(self.core[0])


@published(
    Provenance(
        name="nbo2_poole_frenkel",
        technology="NbO2 crosspoint of 50 nm radius and 30 nm thickness",
        doi="10.1039/C5RA19300A",
        measured="nothing: chosen to switch near 1 V after a moderate temperature rise, which the work reports to be 150 K",
        numbers="assumed",
        volts=1.5,
        notes=(
            "Only the 150 K were read (abstract); the barrier of 0.215 eV and epsilon_r = 45 are recalled, the rest "
            "is a choice of ours.",
        ),
    )
)
def nbo2_poole_frenkel() -> PooleFrenkelSwitch:
    """An NbO2 threshold switch with assumed numbers: it turns on at 1.02 V, 90 K above ambient.

    Its heat capacity is that of 2.6e6 J/(m3 K) in its volume, so that it cools in 0.6 ns.
    """
    return PooleFrenkelSwitch(
        conductivity=2.8e4,
        area=7.85e-15,
        thickness=30e-9,
        energy=0.215,
        permittivity=45.0,
        capacity=6.1e-16,
        resistance=1e6,
    )


@published(
    Provenance(
        name="nbo2_pickett2012",
        technology="NbO2 crosspoint with a channel of 30 nm radius and 20 nm length",
        doi="10.1088/0957-4484/23/21/215202",
        measured="threshold switching of crosspoint nanodevices",
        numbers="recalled",
        volts=2.0,
        notes=("The smallest core, 0.001 of the radius, is a choice of ours and sets the threshold.",),
    )
)
def nbo2_pickett2012() -> MottSwitch:
    """HP's NbO2 threshold switch: 70 kohm, and 33 times less when the whole channel is metallic."""
    return MottSwitch(
        insulating=1e-2,
        metallic=3e-4,
        conductivity=1.5,
        heat=2.6e6,
        rise=784.0,
        enthalpy=1.6e8,
        radius=30e-9,
        length=20e-9,
    )
