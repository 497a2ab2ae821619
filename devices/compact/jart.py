"""JART VCM v1b: oxygen vacancies between plug and disc of a filament, under a Schottky contact."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import optional_array, safe_sqrt, solve_increasing
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.compact.windows import power
from devices.constants import BOLTZMANN_EV, ELECTRON_MASS, ELEMENTARY_CHARGE, PLANCK, VACUUM_PERMITTIVITY

_UNIT = 1e26  # vacancy densities are in units of this [1/m^3]
_TUNNEL = (
    PLANCK / (4 * math.pi) * math.sqrt(_UNIT / (ELECTRON_MASS * VACUUM_PERMITTIVITY))
)  # w_00 [V] of charge, density, permittivity 1


class JartVCM(AbstractMemristor):
    """Valence change cell: plug, disc and Schottky contact in series with the lines; its state is ln N, N the vacancies
    in the disc [1e26/m^3].

    $$ R_{disc} = \\frac{l}{N z e \\mu A},\\quad R_{plug} = \\frac{l_c - l}{N_p z e \\mu A},\\quad
       R_s = R_{TiOx} + R_0 (1 + \\alpha R_0 R_{th,line} i^2),\\quad A = \\pi r^2 $$

    $$ i = A A^* T^2 e^{-\\phi_b/V_T} (e^{V_s/V_T} - 1),\\; V_s > 0; \\qquad
       i = -A A^* T \\frac{e}{k} \\sqrt{\\pi w_{00} (|V_s| + \\phi_b/\\cosh^2 \\tfrac{w_{00}}{V_T})}\\, e^{-\\phi_b/w_0}
       (e^{|V_s|/\\epsilon'} - 1),\\; V_s < 0 $$

    $$ \\dot N = -\\frac{c\\, a \\nu}{l} \\left(e^{-W_{min}/V_T} - e^{-W_{max}/V_T}\\right) F_{lim},\\quad
       c = \\frac{N_p + N}{2},\\quad T = T_0 + i (V_{disc} + V_{plug} + V_s) R_{th} $$

    with `V_T = kT/e`, `w_0 = w_00 coth(w_00/V_T)`, `1/eps' = 1/V_T - tanh(w_00/V_T)/w_00`, image-lowered barrier
    `phi_b = phi_0 - [e^3 z N (phi_0 - phi_n - V_s) / (8 pi^2 eps_phi^3)]^(1/4)` (not below 0; `phi_0` for `V_s >
    phi_0 - phi_n`), `W_min/max = W (sqrt(1 - g^2) -/+ g pi/2 + g asin g)`, `g = z a E / (pi W)`. In SET, E is the
    field over the disc and `F_lim = 1 - (N/N_max)^10`; in RESET the field over the cell, `F_lim = 1 - (N_min/N)^10`,
    and `R_th` is smaller by `heat_reset`. As published a NEGATIVE voltage SETs.

    The voltage `V_s` of the contact is solved for, with implicit derivatives. At positive voltage the barrier's
    sudden rise at `V_s = phi_0 - phi_n` gives up to three solutions; this is the one with the smallest `V_s` (below
    the rise if there is one there), which a source that starts from 0 reaches.

    Args:
        n_min, n_max, n_plug: N of the emptiest and fullest disc, of the plug [1e26/m^3]. start: N of a fresh cell, by
            default `n_min`.
        length: l of the disc [m]. cell_length: l_c [m]. radius: r of the filament [m]. hop: a [m]. attempts: nu [Hz].
        activation: W [eV]. barrier: phi_0 [eV]. fermi: phi_n [eV]. mobility: mu [m^2/Vs]. permittivity,
        permittivity_image: relative.
        richardson: A* [A/m^2K^2]. ambient: T_0 [K]. r_th: [K/W]. heat_reset: factor on it. r_oxide: R_TiOx [ohm].
        r_line: R_0 [ohm].
        r_th_line: [K/W]. alpha_line: [1/K]. charge: z.

    Reference: Cueppers et al., APL Mater. 7, 091105 (2019), 10.1063/1.5108654; Bengel et al., IEEE Trans. Circuits
    Syst. I 67, 4618 (2020), 10.1109/TCSI.2020.3018502 (recalled, not read; equations and numbers from public programs
    that implement the model).

    Breaks when: run in 32 bits for more than a quick look (N spans 4 decades and its rate 20); forming, retention and
    the vacancies' random jumps matter; the source has too little resistance to make the solution unique (see above).
    """

    n_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.008)
    n_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=20.0)
    n_plug: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=20.0)
    length: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.4e-9)
    cell_length: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=3e-9)
    radius: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=45e-9)
    hop: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.25e-9)
    attempts: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=2e13)
    activation: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.35)
    barrier: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.18)
    fermi: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.1)
    mobility: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=4e-6)
    permittivity: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=17.0)
    permittivity_image: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=5.5)
    richardson: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=6.01e5)
    ambient: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=293.0)
    r_th: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=15.72e6)
    heat_reset: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.27)
    r_oxide: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=650.0)
    r_line: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=719.2437)
    r_th_line: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=90471.47)
    alpha_line: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=3.92e-3)
    charge: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=2.0)
    start: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)

    def contact_voltage(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Voltage [V] across the Schottky contact when `v` [V] is across the cell."""
        x, v = jnp.broadcast_arrays(x, v)
        n = jnp.exp(x)

        def excess(u):
            i = self._series_current(n, v - u)
            return self._schottky(n, u, self._temperature(n, u, i, v)) - i

        low, high = self._bracket(excess, v)
        return solve_increasing(excess, low, high, steps=24)  # from a bracket of a sixteenth of the voltage

    def _bracket(self, excess, v, points=16):
        """The bracket of the solution of smallest magnitude: the first two of several voltages between which `excess`
        changes its sign.

        The voltages lie closer and closer together towards the sudden rise of the barrier.
        """
        rise = jnp.minimum(self.barrier - self.fermi, v)

        def look(k, at):
            low, high = at
            u = rise * (1 - (1 - k / points) ** 3)
            new = (high == v) & (v > 0)  # none found yet
            positive = excess(u) >= 0
            return jnp.where(new & ~positive, u, low), jnp.where(new & positive, u, high)

        low, high = jax.lax.fori_loop(1, points + 1, look, (jnp.minimum(v, 0), jnp.maximum(v, 0)))
        return jax.lax.stop_gradient((low, high))

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self._series_current(jnp.exp(x), v - self.contact_voltage(x, v))

    def temperature(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Temperature of the filament [K]."""
        n, u = jnp.exp(x), self.contact_voltage(x, v)
        return self._temperature(n, u, self._series_current(n, v - u), v)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        n, u = jnp.exp(x), self.contact_voltage(x, v)
        i = self._series_current(n, v - u)
        disc, plug = self._resistances(n)
        thermal = BOLTZMANN_EV * self._temperature(n, u, i, v)
        field = jnp.where(v < 0, i * disc / self.length, (u + i * (disc + plug)) / self.cell_length)
        room = jnp.where(
            v < 0, 1 - power(n / self.n_max, jnp.asarray(10.0)), 1 - power(self.n_min / n, jnp.asarray(10.0))
        )
        g = jnp.clip(self.charge * self.hop * field / (jnp.pi * self.activation), -0.999, 0.999)
        mean = self.activation * (jnp.sqrt(1 - g**2) + g * jnp.arcsin(g)) / thermal
        tilt = self.activation * g * jnp.pi / 2 / thermal
        hops = jnp.exp(tilt - mean) - jnp.exp(-tilt - mean)
        return -(self.n_plug + n) / 2 / n * self.hop * self.attempts / self.length * hops * room

    def _resistances(self, n):
        """Resistance of disc and plug [ohm]."""
        per_length = 1 / (_UNIT * ELEMENTARY_CHARGE * self.charge * self.mobility * jnp.pi * self.radius**2)
        return per_length * self.length / n, per_length * (self.cell_length - self.length) / self.n_plug

    def _series_current(self, n, v):
        """Current that drives `v` through disc, plug and lines: the root of `R i + K i^3 = v`, in closed form."""
        disc, plug = self._resistances(n)
        r = disc + plug + self.r_oxide + self.r_line
        strength = self.alpha_line * self.r_line**2 * self.r_th_line * v**2 / r**3
        weak = strength < 1e-5
        root = jnp.sqrt(3 * jnp.where(weak, 1, strength))
        cubic = 2 / root * jnp.sinh(jnp.arcsinh(1.5 * root) / 3)
        return v / r * jnp.where(weak, 1 - strength + 3 * strength**2, cubic)

    def _temperature(self, n, u, i, v):
        disc, plug = self._resistances(n)
        return self.ambient + i * (i * (disc + plug) + u) * self.r_th * jnp.where(v < 0, 1, self.heat_reset)

    def _lowering(self, n):
        """The barrier is lowered by this [V^(3/4)] times the fourth root of the contact's voltage."""
        length = ELEMENTARY_CHARGE / (VACUUM_PERMITTIVITY * self.permittivity_image)
        return jnp.sqrt(jnp.sqrt(length**3 * _UNIT * self.charge * n / (8 * jnp.pi**2)))

    def _schottky(self, n, u, temperature):
        """Current through the contact [A] at its voltage `u`."""
        vt = BOLTZMANN_EV * temperature
        bend = self.barrier - self.fermi - u
        image = self._lowering(n) * safe_sqrt(safe_sqrt(bend))
        phi = jnp.maximum(self.barrier - image, 0)
        scale = jnp.pi * self.radius**2 * self.richardson * temperature
        forward = scale * temperature * jnp.exp(-phi / vt) * jnp.expm1(jnp.clip(u / vt, 0, 80))
        w00 = _TUNNEL * jnp.sqrt(self.charge * n / self.permittivity)
        ratio = w00 / vt
        size = jnp.maximum(-u, 0)
        prefactor = safe_sqrt(jnp.pi * w00 * (size + phi / jnp.cosh(ratio) ** 2)) / BOLTZMANN_EV
        slope = 1 / vt - jnp.tanh(ratio) / w00
        backward = (
            scale * prefactor * jnp.exp(-phi * jnp.tanh(ratio) / w00) * jnp.expm1(jnp.minimum(size * slope, 80.0))
        )
        return jnp.where(u < 0, -backward, forward)

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return jnp.log(self.n_min), jnp.log(self.n_max)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return jnp.log(self.n_min if self.start is None else self.start)


_SPREAD = {"n_min": 0.25, "n_max": 0.05, "length": 0.1, "radius": 1 / 9}  # standard deviations as fractions of the mean


def device_to_device(model: JartVCM, shape: tuple[int, ...], *, key: PRNGKeyArray, cut: float = 2.0) -> JartVCM:
    """Cells with individual `n_min`, `n_max`, `length` and `radius`, around those of `model`; a thinner filament is
    hotter (`r_th` as 1/radius^2).

    Normal, cut off at `cut` standard deviations: 0.002 and 1 [1e26/m^3], 0.04 nm, 5 nm at the model's default means.
    The widths are those of public programs of the variability-aware model; that they are normal and where they end is
    a choice of ours.
    """
    keys = jax.random.split(key, len(_SPREAD))
    draw = lambda key: jax.random.truncated_normal(key, -cut, cut, shape, jnp.float32)  # noqa: E731
    return _spread(model, model, {name: draw(k) for name, k in zip(_SPREAD, keys, strict=True)})


def cycle_to_cycle(
    cells: JartVCM, nominal: JartVCM, *, key: PRNGKeyArray, step: float = 0.1, cut: float = 2.0
) -> JartVCM:
    """The same cells one cycle later: every parameter of `device_to_device` has made a step of a bounded random walk.

    A step is uniform within +-`step` standard deviations of the spread between devices, and reflected at `cut` standard
    deviations from `nominal`; so a cell remembers its last cycles. The published program also walks; the size of the
    steps is a choice of ours.

    Args:
        cells: the cells in this cycle. nominal: the model that they were drawn from.
    """
    shape = jnp.shape(cells.radius)
    moved = {}
    for (name, sigma), k in zip(_SPREAD.items(), jax.random.split(key, len(_SPREAD)), strict=True):
        z = (getattr(cells, name) / getattr(nominal, name) - 1) / sigma
        z = z + step * jax.random.uniform(k, shape, jnp.float32, -1, 1)
        moved[name] = jnp.where(jnp.abs(z) > cut, 2 * jnp.sign(z) * cut - z, z)
    return _spread(cells, nominal, moved)


def _spread(cells, nominal, z):
    """`cells` with the parameters that lie `z` standard deviations from the nominal ones."""
    dtype = nominal.radius.dtype
    values = {name: getattr(nominal, name) * (1 + sigma * z[name].astype(dtype)) for name, sigma in _SPREAD.items()}
    values["r_th"] = nominal.r_th * (nominal.radius / values["radius"]) ** 2
    return dataclasses.replace(cells, **values)


_NOTES = (
    "A NEGATIVE voltage SETs, as published.",
    "Numbers from public programs that implement the model. One of them found R_th = 1e7, not 1.572e7 K/W, to "
    "match the original program's currents.",
)


@published(
    Provenance(
        name="jart_vcm_v1b",
        technology="Pt/HfO2/TiOx/Ti valence change cell, filament of 45 nm radius",
        doi="10.1063/1.5108654",
        also=("10.1109/TCSI.2020.3018502",),
        measured="sweeps and SET/RESET kinetics of HfO2/TiOx cells over decades of time",
        notes=_NOTES,
        numbers="read",
        volts=1.5,
    )
)
def jart_vcm_v1b() -> JartVCM:
    """JART VCM v1b, deterministic, fresh cell in the high resistance state: abrupt SET near -0.45 V at 1 V/s, RESET
    near +0.9 V."""
    return JartVCM()


@published(
    Provenance(
        name="jart_vcm_v1b_variable",
        technology="Pt/HfO2/TiOx/Ti valence change cell, filament of 45 nm radius",
        doi="10.1063/1.5108654",
        also=("10.1109/TCSI.2020.3018502",),
        measured="as jart_vcm_v1b; spreads of a 4-parameter draw",
        notes=(*_NOTES, "The form of the spread, and of the walk from cycle to cycle, is ours."),
        numbers="read",
        volts=1.5,
    )
)
def jart_vcm_v1b_variable(shape: tuple[int, ...], *, key: PRNGKeyArray) -> JartVCM:
    """JART VCM v1b with cells of `shape` that differ from one another; `cycle_to_cycle` moves them on by one cycle."""
    return device_to_device(JartVCM(), shape, key=key)
