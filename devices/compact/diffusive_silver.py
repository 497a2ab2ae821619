"""A diffusive memristor: silver gathers into a filament under voltage, and disperses without it."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.constants import BOLTZMANN_EV
from devices.random import unit_normals


class DiffusiveSilver(AbstractMemristor):
    """A volatile threshold switch; the state x is how much of the filament has gathered, and it bridges the gap at x = 1/2.

    $$ \\dot x = \\frac{\\sigma((|v| - V_{th}) / w)}{2\\,t_0\\,e^{-|v|/V_0}} - \\sigma((V_h - |v|) / w)\\,\\frac{\\ln
    2}{\\tau(T)}\\,x, \\qquad
    \\tau(T) = \\tau\\,e^{E_a / k\\,(1/T - 1/300\\,K)} $$
    $$ i = g_{off}\\,(g_{on} / g_{off})^{\\sigma(20 x - 10)}\\,v $$

    with the logistic function sigma. Above the threshold the cell turns on after the delay `t_0 exp(-|v|/V_0)`; below
    the hold voltage a fully gathered filament lets go after `tau`; between the two it stays as it is. Pulses shorter
    than the delay add up, and leak away: a neuron. The rate is linear in `x`, so a step at a frozen voltage is exact
    until `x` meets 0 or 1.

    Variability is in the parameters: `spread` draws them, once for each device or again for each cycle.

    Args:
        threshold, hold: `V_th`, `V_h` [V]. delay, delay_voltage: `t_0` [s], `V_0` [V]. decay: tau at 300 K [s].
        energy: `E_a` [eV]. g_on, g_off: conductances [S]. width: w, how sharp the thresholds are [V]. temperature: T [K].

    Reference: phenomenon: Wang et al., Nature Materials 16, 101 (2017), 10.1038/nmat4756. The rate law is ours, of the
    kind that histograms of thresholds, delays and relaxation times support.

    Breaks when: a strong filament stays for good (large compliance current); consecutive cycles are correlated;
    polarity matters.
    """

    threshold: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    hold: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    delay: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    delay_voltage: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    decay: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    energy: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    width: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.005)
    temperature: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=300.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        bridged = jax.nn.sigmoid(20 * x - 10)
        return jnp.exp((1 - bridged) * jnp.log(self.g_off) + bridged * jnp.log(self.g_on)) * v

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        size = jnp.abs(v)
        gathering = (
            jax.nn.sigmoid((size - self.threshold) / self.width) * jnp.exp(size / self.delay_voltage) / (2 * self.delay)
        )
        decay = self.decay * jnp.exp(self.energy / BOLTZMANN_EV * (1 / self.temperature - 1 / 300))
        return gathering - jax.nn.sigmoid((self.hold - size) / self.width) * jnp.log(2) / decay * x

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, ""]:
        return jnp.asarray(0.0)


def spread(
    model: DiffusiveSilver,
    shape: tuple[int, ...],
    *,
    key: PRNGKeyArray,
    threshold: Float[Array, ""] | float = 0.0,
    delay: Float[Array, ""] | float = 0.0,
    decay: Float[Array, ""] | float = 0.0,
) -> DiffusiveSilver:
    """Cells, or cycles, that differ: normal thresholds, lognormal delays and decays.

    Args:
        model: the median cell. shape: of the array of cells. threshold: standard deviation [V].
        delay, decay: standard deviations of their natural logarithms. Gradients with respect to all three are correct.
    """
    like = jnp.zeros(shape)
    v, on, off = (unit_normals(k, like) for k in jax.random.split(key, 3))
    drawn = (model.threshold + threshold * v, model.delay * jnp.exp(delay * on), model.decay * jnp.exp(decay * off))
    return eqx.tree_at(lambda m: (m.threshold, m.delay, m.decay), model, drawn)


@published(
    Provenance(
        name="ag_hfo2_selector",
        technology="threshold selector of ordered Ag nanodots on HfO2 (AND-TS)",
        doi="10.1002/advs.201900024",
        also=("10.1016/j.neucom.2025.129454", "10.1038/nmat4756"),
        measured="20 sweeps of one device; switching within 210 ns on and 240 ns off at 1.5 V",
        numbers="assumed",
        volts=1.5,
        notes=(
            "Read from the second work's model of the device, positive side: threshold 0.294 V (standard deviation "
            "0.038 V from cycle to "
            "cycle), hold 0.080 V, 806 ohm on, 1 pA off, 210 and 240 ns.",
            "Assumed: how the delay falls with the voltage (0.25 V per factor of e, from 210 ns at 1.5 V), the "
            "activation energy, the width.",
            "On the negative side that device switches at 0.119 V already: this model is symmetric.",
        ),
    )
)
def ag_hfo2_selector() -> DiffusiveSilver:
    """A silver-nanodot selector: 0.3 V on, 0.08 V off, eight decades between, a few hundred nanoseconds either way.

    Draw its cycles with `spread(model, (cycles,), key=key, threshold=0.038)`.
    """
    return DiffusiveSilver(
        threshold=0.294,
        hold=0.080,
        delay=210e-9 * 403.4287934927351,  # times e^(1.5 / 0.25)
        delay_voltage=0.25,
        decay=240e-9,
        energy=0.3,
        g_on=1 / 806,
        g_off=1e-12 / 0.294,
    )
