"""The Simmons tunnel barrier: a TiO2 cell whose barrier changes in width."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor

# In nm, eV, V: charge^2 ln 2 / (8 pi eps_0), charge^2 / (2 pi h), 4 pi sqrt(2 m charge) / h.
_IMAGE, _CURRENT, _DECAY = 0.49902, 6.1654e-6, 10.2463


class SimmonsTunnelBarrier(AbstractMemristor):
    """A tunnel barrier of width `w` [m] in series with a resistor: the measured physics of a TiO2 cell, behind TEAM.

    $$ \\dot w = f_{off} \\sinh\\frac{|i|}{i_{off}} \\exp\\left[-e^{(w - a_{off})/w_c - |i|/b} - \\frac{w}{w_c}\\right],
       \\quad i > 0 $$

    $$ \\dot w = -f_{on} \\sinh\\frac{|i|}{i_{on}} \\exp\\left[-e^{-(w - a_{on})/w_c - |i|/b} - \\frac{w}{w_c}\\right],
       \\quad i < 0 $$

    $$ i = \\frac{j_0 A}{\\Delta w^2} \\left[\\phi_I e^{-B \\sqrt{\\phi_I}}
       - (\\phi_I + |v_g|) e^{-B \\sqrt{\\phi_I + |v_g|}}\\right],
       \\quad v = v_g + R\\, i $$

    `phi_I`, `dw` are barrier height and width that image charges leave at the barrier's voltage `v_g`, which is
    solved for. As published a POSITIVE voltage RESETs (widens the barrier). Needs 64 bits beyond about 0.1 mA of
    negative current, where the rate spans 40 decades.

    Where `phi_I` would fall below `lowest` (at `v_g` of 0.35 V at 1.1 nm, 0.55 V at 1.9 nm) Simmons' formula fails, as
    its current would fall with the voltage; from there on `i(v_g)` is continued as a straight line.

    Args:
        f_off, f_on: rates [m/s]. i_off, i_on: currents of the sinh [A]. a_off, a_on: widths that stop the growth, the
            shrinking [m].
        b: current that shifts them [A]. w_c: [m]. barrier: phi_0 [eV]. permittivity: relative. area: A [m^2].
        resistance: R [ohm].
        w_min, w_max: the state's bounds [m]. start: width of a fresh cell [m]. lowest: see above [eV].

    Reference: Pickett et al., J. Appl. Phys. 106, 074508 (2009), 10.1063/1.3236506 (recalled, not read); Simmons, J.
    Appl. Phys. 34, 1793 (1963), 10.1063/1.1702682 (recalled, not read).

    Breaks when: asked for speed: solving for `v_g` makes it several times slower than TEAM. It does not contain the
    temperature.
    """

    f_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    f_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    i_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    i_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    b: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    w_c: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    barrier: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    permittivity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    area: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    resistance: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    w_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.1e-9)
    w_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.9e-9)
    start: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.4e-9)
    lowest: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.1)

    def barrier_voltage(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Voltage [V] across the barrier when `v` [V] is across barrier and resistor."""
        x, v = jnp.broadcast_arrays(x, v)
        excess = lambda u: u + self.resistance * self.tunnelling(x, u) - v  # noqa: E731
        return solve_increasing(excess, jnp.minimum(v, 0), jnp.maximum(v, 0))

    def tunnelling(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Current [A] through a barrier of width `x` [m] at the voltage `v` [V] across it."""
        w, u = jnp.broadcast_arrays(x * 1e9, jnp.abs(v))
        none = jnp.zeros_like(u)
        flat, _ = self._shape(w, none)
        probe, _ = self._shape(w, none + 0.1)
        end = jnp.maximum((flat - self.lowest) * 0.1 / (flat - probe), 0.01)
        inside = jnp.minimum(u, end)
        slope = (self._simmons(w, end) - self._simmons(w, 0.99 * end)) / (0.01 * end)
        return jnp.sign(v) * (self._simmons(w, inside) + slope * (u - inside))

    def _shape(self, w, u):
        """Height [eV] and width [nm] of the barrier that image charges leave at voltage `u`."""
        image = _IMAGE / self.permittivity / w
        near = 1.2 * image * w / self.barrier
        width = w * (1 - 9.2 * image / (3 * self.barrier + 4 * image - 2 * u))
        far = near + width
        logarithm = jnp.log(far * (w - near) / (near * (w - far)))
        return self.barrier - u * (near + far) / w - 1.15 * image * w / width * logarithm, width

    def _simmons(self, w, u):
        height, width = self._shape(w, u)
        flow = lambda phi: phi * jnp.exp(-_DECAY * width * jnp.sqrt(phi))  # noqa: E731
        return _CURRENT * (self.area * 1e18) / width**2 * (flow(height) - flow(height + u))

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.tunnelling(x, self.barrier_voltage(x, v))

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.rate(x, self.current(x, v))

    def rate(self, x: Float[Array, "*#cells"], i: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Rate of change of the width [m/s] at the current `i` [A]."""
        size = jnp.abs(i)

        def speed(f, scale, beyond):
            z = size / scale
            stop = jnp.exp(jnp.minimum(beyond / self.w_c - size / self.b, 60.0))
            return f * jnp.exp(z - stop - x / self.w_c) * -jnp.expm1(-2 * z) / 2

        return jnp.where(
            i > 0, speed(self.f_off, self.i_off, x - self.a_off), -speed(self.f_on, self.i_on, self.a_on - x)
        )

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.w_min, self.w_max

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.start


@published(
    Provenance(
        name="simmons_pickett2009",
        technology="Pt/TiO2/Pt crosspoint, 50 nm film",
        doi="10.1063/1.3236506",
        measured="switching of a device in current and voltage steps",
        numbers="recalled",
        volts=1.0,
        notes=(
            "A positive voltage RESETs.",
            "Rates, currents, w_c, b and a_off agree with the Technion Verilog-A manual (which has a_on 2 nm, "
            "not 1.8, with its 3 nm film); "
            "barrier, permittivity, area and resistance have no second source.",
        ),
    )
)
def simmons_pickett2009() -> SimmonsTunnelBarrier:
    """Simmons tunnel barrier with the numbers of Pickett et al. (2009): growth stops near 1.8 nm, shrinking near 1.2
    nm."""
    return SimmonsTunnelBarrier(
        f_off=3.5e-6,
        f_on=40e-6,
        i_off=115e-6,
        i_on=8.9e-6,
        a_off=1.2e-9,
        a_on=1.8e-9,
        b=500e-6,
        w_c=0.107e-9,
        barrier=0.95,
        permittivity=5.0,
        area=1e-14,
        resistance=215.0,
    )
