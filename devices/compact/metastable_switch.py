"""Memristors made of many two-state switches: the generalised metastable switch of Knowm, its mean and its
randomness."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import phi1
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.constants import BOLTZMANN_EV


class MetastableSwitch(AbstractMemristor):
    """The mean of very many metastable switches beside a Schottky diode; the state is the fraction of switches that are on.

    $$ \\dot x = r_{on}(v) (1 - x) - r_{off}(v)\\,x, \\quad r_{on} = \\frac{1}{\\tau} \\sigma\\Big(\\frac{v -
    V_{on}}{V_T}\\Big), \\quad
    r_{off} = \\frac{1}{\\tau} \\sigma\\Big(\\frac{-v - V_{off}}{V_T}\\Big), \\quad V_T = kT/q $$
    $$ i = \\varphi v \\Big[\\frac{x}{R_{on}} + \\frac{1 - x}{R_{off}}\\Big] + (1 - \\varphi)
    \\big[S_f (e^{\\beta_f v} - 1) - S_r (e^{-\\beta_r v} - 1)\\big] $$

    with the logistic function sigma. The rate is linear in `x`, so a step at a frozen voltage is exact.

    Args:
        r_on, r_off: resistances with all switches on and off [ohm]. v_on, v_off: thresholds, both positive [V]. tau:
            attempt time [s].
        temperature: [K]. phi: share of the current that the switches carry, the rest is the diode's.
        forward_current, reverse_current: S [A]. forward_slope, reverse_slope: beta [1/V]. x0: state at the start.

    Reference: Nugent, Molter, PLoS ONE 9, e85175 (2014), 10.1371/journal.pone.0085175.

    Breaks when: the spread of switching times is wider than one exponential gives (loops at frequencies decades apart need
    several `tau`). The source's diode lacks the two `- 1`; they cancel only where `S_f = S_r`, as in its parameter sets.
    """

    r_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    v_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    v_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    tau: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    temperature: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=300.0)
    phi: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)
    forward_current: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    forward_slope: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    reverse_current: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    reverse_slope: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    x0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)

    def rates(self, v: Float[Array, "*#cells"]) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        """Rates [1/s] at which a switch that is off turns on, and one that is on turns off."""
        thermal = BOLTZMANN_EV * self.temperature
        return jax.nn.sigmoid((v - self.v_on) / thermal) / self.tau, jax.nn.sigmoid(
            (-v - self.v_off) / thermal
        ) / self.tau

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        switches = v * (x / self.r_on + (1 - x) / self.r_off)
        forward = self.forward_current * jnp.expm1(self.forward_slope * v)
        reverse = self.reverse_current * jnp.expm1(-self.reverse_slope * v)
        return self.phi * switches + (1 - self.phi) * (forward - reverse)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        on, off = self.rates(v)
        return on * (1 - x) - off * x

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.x0


class StochasticMetastableSwitch(AbstractMemristor):
    """A finite number N of metastable switches, each of which flips at random: cycle-to-cycle noise from one number.

    In a step the switches that turn on and off are binomial, with the exact probabilities of a two-state Markov chain,

    $$ p_{off \\to on} = x_\\infty (1 - e^{-(r_{on} + r_{off}) dt}), \\quad p_{on \\to off} = (1 - x_\\infty) (1 -
    e^{-(r_{on} + r_{off}) dt}) $$

    with `x_inf = r_on / (r_on + r_off)`. So the ensemble's mean is `MetastableSwitch` for steps of any length, and the
    variance of cells that start with all switches off (or on) is `x (1 - x) / N`. Gradients are those of the mean.

    Args:
        mean: the switch. switches: N, a whole number below 2**24.

    Reference: Nugent, Molter, PLoS ONE 9, e85175 (2014), 10.1371/journal.pone.0085175.

    Breaks when: the noise of a device is not that of equal, independent switches (real cycles are correlated).
    """

    stochastic: ClassVar[bool] = True
    mean: MetastableSwitch
    switches: Float[Array, "*cells"] = eqx.field(converter=lambda n: jnp.asarray(n, jnp.result_type(float)))

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.mean.current(x, v)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.mean.derivative(x, v)

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        if key is None:
            raise ValueError("StochasticMetastableSwitch.step needs a key: step(x, v, dt, key=jax.random.key(0)).")
        on, off = self.mean.rates(v)
        happens = dt * phi1(-(on + off) * dt)
        mean = x + happens * (on * (1 - x) - off * x)
        constant = lambda a: lax.stop_gradient(jnp.broadcast_to(a, mean.shape).astype(jnp.float32))  # noqa: E731
        n, lit = constant(self.switches), constant(jnp.round(x * self.switches))
        key_on, key_off = jax.random.split(key)
        up = jax.random.binomial(key_on, n - lit, constant(on * happens), dtype=jnp.float32)
        down = jax.random.binomial(key_off, lit, constant(off * happens), dtype=jnp.float32)
        return mean + lax.stop_gradient(((lit + up - down) / n).astype(mean.dtype) - mean)

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return self.mean.bounds

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.mean.initial


@published(
    Provenance(
        name="gmss_spice_default",
        technology="W-doped self-directed channel (Ag-chalcogenide), idealised",
        doi="10.1371/journal.pone.0085175",
        measured="the default of the vendor's circuit model, not a fit",
        temperature=298.5,
        notes=("A resistance ratio of only 3 and no diode: shapes, not magnitudes, of a measured W-SDC loop.",),
    )
)
def gmss_spice_default() -> MetastableSwitch:
    """Knowm's mean metastable switch with the values of its LTspice model.

    Checked: knowm/memristor-models-4-all, Metastable_Switch/LTSpice. It sets near 0.27 V and resets near -0.27 V at 100 Hz.
    """
    return MetastableSwitch(r_on=500.0, r_off=1500.0, v_on=0.27, v_off=0.27, tau=1e-4, temperature=298.5)


@published(
    Provenance(
        name="gmss_xyce",
        technology="W-doped self-directed channel (Ag-chalcogenide), idealised",
        doi="10.1371/journal.pone.0085175",
        measured="the example of the vendor's circuit model, not a fit",
        temperature=300.15,
        notes=("The example runs at Xyce's default of 27 C and starts with all switches on.",),
    )
)
def gmss_xyce() -> MetastableSwitch:
    """Knowm's generalised metastable switch, a fifth of its current through a diode, with the values of its Xyce example.

    Checked: knowm/memristor-models-4-all, Knowm/Xyce (0.5 V, 100 Hz, 500 ohm at the start).
    """
    return MetastableSwitch(
        r_on=500.0,
        r_off=1500.0,
        v_on=0.27,
        v_off=0.27,
        tau=1e-4,
        temperature=300.15,
        phi=0.8,
        forward_current=8e-4,
        forward_slope=4.0,
        reverse_current=8e-4,
        reverse_slope=4.0,
        x0=1.0,
    )
