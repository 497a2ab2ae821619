"""Energy, area and conversion time of analog-to-digital converters: published laws behind one interface.

Widths are real numbers: between whole bits every law is interpolated in the logarithm of its energy, so that a width can
be optimised and then rounded.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from xbar.energy.units import as_float, concrete, interpolate


def soft_min(x: ArrayLike, y: ArrayLike, temperature: ArrayLike = 0.0) -> jax.Array:
    """min(x, y) = x - softplus(x - y) with the corner rounded over `temperature`; the exact minimum at 0."""
    t = jnp.asarray(temperature)
    safe = jnp.where(t > 0, t, 1.0)
    smooth = x - safe * jax.nn.softplus((x - jnp.asarray(y)) / safe)
    return jnp.where(t > 0, smooth, jnp.minimum(x, y))


def between_whole_bits(law: Callable[[jax.Array], jax.Array], bits: ArrayLike, least: int = 1) -> jax.Array:
    """`law` of whole bits, log-linear between them: ln E(b) = (1 - s) ln E(k) + s ln E(k + 1), k = floor(b), s = b - k.

    Below `least` bits the line from `least` to `least + 1` is continued.
    """
    b = as_float(bits)
    below = jnp.maximum(jnp.floor(jax.lax.stop_gradient(b)), float(least))
    low, high = jnp.log(law(below)), jnp.log(law(below + 1))
    return jnp.exp(low + (b - below) * (high - low))


def survey_bound(bits: ArrayLike) -> Float[Array, "*_"]:
    """Lowest energy per conversion seen in any published converter: 0.267 pJ + 0.145 aJ 4^bits.

    Args:
        bits: effective number of bits.

    Returns:
        Energy per conversion [J].

    Reference: [M] mean of the best three of 725 designs, B. Murmann, ADC-survey, file of 2025.

    Breaks when: read as typical. It is the single best case at any node and speed.
    """
    return 0.267e-12 + 0.145e-18 * 4.0 ** jnp.asarray(bits)


def regression_area(energy: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
    """Area [m^2]: exp(1.34619 + 0.99328 ln T + 0.18072 ln f + 0.29912 ln E) um^2, T in nm, f in Hz, E in pJ.

    Reference: [R] hwcomponents-adc `model.yaml`; Andrulis et al., arXiv:2404.06553.

    Breaks when: a design was sized for area: it is five times too large for ISAAC's converter.
    """
    logs = 0.99328 * jnp.log(jnp.asarray(node) * 1e9) + 0.18072 * jnp.log(rate)
    return 1e-12 * jnp.exp(1.34619 + logs + 0.29912 * jnp.log(jnp.asarray(energy) * 1e12))


class AbstractADCModel(eqx.Module):
    """Energy, area and time of one converter as laws of width, rate and node."""

    @abc.abstractmethod
    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J] for `bits` (a real number), sampling `rate` [Hz] and technology `node` [m]."""

    def idle_energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy [J] of converting a column with no driven row; the same as for any other column unless a law knows
        better."""
        return self.energy(bits, rate, node)

    def area(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Area of one converter [m^2]; by `regression_area` unless a law knows better."""
        return regression_area(self.energy(bits, rate, node), rate, node)

    def time(self, bits: ArrayLike, rate: ArrayLike) -> Float[Array, "*_"]:
        """Time of one conversion [s]: 1/rate unless a law has a clock of its own."""
        return 1.0 / as_float(rate)

    @abc.abstractmethod
    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Sentences about a use outside the law's range; values that are traced are not checked."""


class Andrulis(AbstractADCModel):
    """Regression over the ADC survey, the default and the median of our estimate.

        FoM  = min(213.7807 - 2.8719 ln f,  128.3068 + 3.22045 b)                    [dB]
        SNDR = 6.0206 b + 1.7609                                                     [dB]
        E    = 10^((SNDR - FoM)/10) / 2 * exp(24.57942 + 1.88004 ln T - 2.82913 ln b)   [pJ], T in nm

    at whole bits b, log-linear between them. Below 4 bits the line from 4 to 5 bits is continued, never under
    `survey_bound`.

    Reference: [R] hwcomponents-adc `model.yaml`; Andrulis et al., arXiv:2404.06553.

    Breaks when: bits < 4 or node outside 14-130 nm (`notes` says so). Below about 17 nm the regression itself is under the
    survey's bound at 4 bits, so that fewer than 4 bits cost more there. Known checks: ISAAC 8 b, 1.2 GS/s,
    32 nm gives 1.85 pJ against 1.67 published; Newton 9 b 5.3 against 2.58; FORMS 4 b 0.92 against 0.226.
    """

    rate_fom: Float[Array, "*_"] = eqx.field(converter=as_float, default=213.7807)
    rate_slope: Float[Array, "*_"] = eqx.field(converter=as_float, default=2.8719)
    bits_fom: Float[Array, "*_"] = eqx.field(converter=as_float, default=128.3068)
    bits_slope: Float[Array, "*_"] = eqx.field(converter=as_float, default=3.22045)
    log_scale: Float[Array, "*_"] = eqx.field(converter=as_float, default=26.04962 - 1.47020)
    node_exponent: Float[Array, "*_"] = eqx.field(converter=as_float, default=1.88004)
    bits_exponent: Float[Array, "*_"] = eqx.field(converter=as_float, default=-2.82913)
    temperature: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J]; `temperature` > 0 [dB] rounds the corner where the rate begins to count."""
        found = between_whole_bits(lambda b: self._at_whole_bits(b, rate, node), bits, 4)
        return jnp.where(as_float(bits) < 4, jnp.maximum(found, survey_bound(as_float(bits))), found)

    def _at_whole_bits(self, b: jax.Array, rate: ArrayLike, node: ArrayLike) -> jax.Array:
        by_rate = self.rate_fom - self.rate_slope * jnp.log(rate)
        by_bits = self.bits_fom + self.bits_slope * b
        decibels = 6.0206 * b + 1.7609 - soft_min(by_rate, by_bits, self.temperature)
        nanometres = jnp.asarray(node) * 1e9
        exponent = self.log_scale + self.node_exponent * jnp.log(nanometres) + self.bits_exponent * jnp.log(b)
        return 1e-12 * 0.5 * jnp.exp(decibels * (np.log(10.0) / 10.0) + exponent)

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Warns below 4 bits and outside 14-130 nm."""
        return range_notes("ADC regression", bits, 4, node, 14e-9, 130e-9)


class SurveyBound(AbstractADCModel):
    """The best published converters of any node and speed (`survey_bound`): what no design is expected to undercut."""

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        return survey_bound(as_float(bits))

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        return ("ADC energy is the survey's lower bound: the best of 725 designs, at any node and speed",)


# [R] DNN_NeuroSim_V1.4, SAR converter, low-standby-power devices: node [nm], slope per bit and offset [uW].
_SAR = np.array(
    [
        [14, 0.3132, 2.5681],
        [22, 0.538, 4.3753],
        [32, 1.1294, 8.8998],
        [65, 3.7506, 25.844],
        [130, 8.4483, 65.243],
    ]
)


class NeuroSimSAR(AbstractADCModel):
    """Optimistic law of a circuit simulator: a SAR converter of (a b + c) uW for (b + 1) ns, 1 uW where no row is driven.

    a and c are interpolated between nodes in log(node). The low end: 8 to 20 times below `Andrulis`, and below the survey's
    bound (a note says so).

    Reference: [R] constants of DNN_NeuroSim_V1.4, 14-130 nm.

    Breaks when: taken as the whole cost. It leaves out the column's own energy, which NeuroSim adds to the same term.
    """

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J]; the rate is the law's own, (bits + 1) ns, and `rate` is not used."""
        return between_whole_bits(lambda b: self._watts(b, node) * self.time(b, rate), bits)

    def _watts(self, b: jax.Array, node: ArrayLike) -> jax.Array:
        log_node, table = jnp.log(jnp.asarray(node) * 1e9), np.log(_SAR)
        slope = jnp.exp(interpolate(log_node, table[:, 0], table[:, 1]))
        return 1e-6 * (slope * b + jnp.exp(interpolate(log_node, table[:, 0], table[:, 2])))

    def idle_energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        return 1e-6 * self.time(bits, rate)

    def time(self, bits: ArrayLike, rate: ArrayLike) -> Float[Array, "*_"]:
        return (as_float(bits) + 1.0) * 1e-9

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Warns outside 14-130 nm and where the law's own conversion time is longer than asked for."""
        width, hertz = concrete(bits), concrete(rate)
        slow = width is not None and hertz is not None and hertz * (width + 1) * 1e-9 > 1 + 1e-5
        text = ("NeuroSim's SAR takes (bits + 1) ns per conversion, longer than the rate allows",) if slow else ()
        return range_notes("NeuroSim SAR law", bits, 1, node, 14e-9, 130e-9) + text


class NeuroSimSenseAmplifier(AbstractADCModel):
    """NeuroSim's multilevel sense amplifiers, a comparator for each level: 2.02 fJ (2^b - 1), done in 0.34 ns.

    Reference: [D] from three runs of DNN_NeuroSim_V1.4 at 22 nm and 5 bits: a part that is the same for all inputs and cells,
    and one that follows the columns' currents, which gives the time.

    Breaks when: bits are not 5 or the node is not 22 nm (`notes` says so): nothing else was run.
    """

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J]."""
        return between_whole_bits(lambda b: 2.02e-15 * (2.0**b - 1.0) * jnp.ones_like(jnp.asarray(node)), bits)

    def time(self, bits: ArrayLike, rate: ArrayLike) -> Float[Array, "*_"]:
        return 0.344e-9 * jnp.ones_like(as_float(bits))

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        width = concrete(bits)
        other = (
            () if width in (None, 5.0) else (f"NeuroSim's sense amplifiers at {width:g} bits: scaled by levels from 5",)
        )
        return range_notes("NeuroSim sense-amplifier law", bits, 1, node, 22e-9, 22e-9) + other


def range_notes(
    law: str, bits: ArrayLike, lowest: int, node: ArrayLike, smallest: float, largest: float
) -> tuple[str, ...]:
    """Sentences about a width below `lowest` or a node [m] outside a law's range."""
    notes = []
    width, metres = concrete(bits), concrete(node)
    if width is not None and width < lowest:
        notes.append(f"{law} used at {width:g} bits, below its range (>= {lowest:g} bits): extrapolated")
    if metres is not None and not smallest * 0.999 <= metres <= largest * 1.001:
        limits = f"{smallest * 1e9:.0f}-{largest * 1e9:.0f} nm"
        notes.append(f"{law} used at {metres * 1e9:.3g} nm, outside its {limits}: extrapolated")
    return tuple(notes)


def bound_notes(energy: ArrayLike, bits: ArrayLike) -> tuple[str, ...]:
    """Warns where an energy per conversion [J] lies below the best published converter of that width."""
    joules, bound = concrete(energy), concrete(bits) and concrete(survey_bound(bits))
    if joules is None or bound is None or joules >= bound:
        return ()
    return (
        f"ADC at {concrete(bits):g} bits costs {joules * 1e12:.3g} pJ, below the best published "
        f"converter ({bound * 1e12:.3g} pJ): needs extraordinary justification",
    )
