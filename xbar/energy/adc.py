"""Energy and area of analog-to-digital converters: three published laws behind one interface."""

from __future__ import annotations

import abc

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


def soft_ceil(x: ArrayLike, temperature: ArrayLike = 0.0) -> jax.Array:
    """ceil(x) with each step drawn out into a ramp as wide as `temperature`; exact at 0, x itself from 1 on.

    Whatever the temperature, integers map to themselves, so an optimised real width and its integer agree.
    """
    t = jnp.clip(jnp.asarray(temperature), 0.0, 1.0)
    x = jnp.asarray(x)
    ramp = jnp.floor(x) + jnp.minimum((x - jnp.floor(x)) / jnp.where(t > 0, t, 1.0), 1.0)
    return jnp.where(t > 0, ramp, jnp.ceil(x))


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


class AbstractADCModel(eqx.Module):
    """Energy of one conversion as a law of width, rate and node."""

    @abc.abstractmethod
    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J] for `bits`, sampling `rate` [Hz] and technology `node` [m]."""

    @abc.abstractmethod
    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Sentences about a use outside the law's range; values that are traced are not checked."""


class Andrulis(AbstractADCModel):
    """Regression over the ADC survey, the default and the median of our estimate.

        FoM  = min(213.7807 - 2.8719 ln f,  128.3068 + 3.22045 ceil(b))              [dB]
        SNDR = 6.0206 b + 1.7609                                                     [dB]
        E    = 10^((SNDR - FoM)/10) / 2 * exp(24.57942 + 1.88004 ln T - 2.82913 ln b)   [pJ], T in nm

    Reference: [R] hwcomponents-adc `model.yaml`; Andrulis et al., arXiv:2404.06553.

    Breaks when: bits < 4 or node outside 14-130 nm (`notes` says so). Checks known: ISAAC 8 b, 1.2 GS/s,
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
        """Energy per conversion [J]; `temperature` > 0 smooths ceil [bits] and min [dB] for optimisation."""
        b = jnp.asarray(bits, dtype=float)
        by_rate = self.rate_fom - self.rate_slope * jnp.log(rate)
        by_bits = self.bits_fom + self.bits_slope * soft_ceil(b, self.temperature)
        decibels = 6.0206 * b + 1.7609 - soft_min(by_rate, by_bits, self.temperature)
        nanometres = jnp.asarray(node) * 1e9
        exponent = self.log_scale + self.node_exponent * jnp.log(nanometres) + self.bits_exponent * jnp.log(b)
        return 1e-12 * 0.5 * jnp.exp(decibels * (np.log(10.0) / 10.0) + exponent)

    def area(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Area [m^2]: exp(1.34619 + 0.99328 ln T + 0.18072 ln f + 0.29912 ln E) um^2, T in nm, E in pJ [R].

        Breaks when: a design was sized for area; five times above ISAAC's converter.
        """
        nanometres, picojoules = jnp.asarray(node) * 1e9, self.energy(bits, rate, node) * 1e12
        logs = 0.99328 * jnp.log(nanometres) + 0.18072 * jnp.log(rate) + 0.29912 * jnp.log(picojoules)
        return 1e-12 * jnp.exp(1.34619 + logs)

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Warns below 4 bits and outside 14-130 nm."""
        return _range_notes("ADC regression", bits, 4, node, 14e-9, 130e-9)


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
    """Optimistic law of a circuit simulator: a SAR converter of (a b + c) uW for (b + 1) ns.

    a and c are interpolated between nodes in log(node). The low end: 8 to 20 times below `Andrulis`.

    Reference: [R] constants of DNN_NeuroSim_V1.4, 14-130 nm.

    Breaks when: taken as whole. It leaves out the column's own energy, which NeuroSim adds to the same term.
    """

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J]; the rate is the law's own, (bits + 1) ns, and `rate` is not used."""
        log_node, table = jnp.log(jnp.asarray(node) * 1e9), np.log(_SAR)
        slope = jnp.exp(interpolate(log_node, table[:, 0], table[:, 1]))
        offset = jnp.exp(interpolate(log_node, table[:, 0], table[:, 2]))
        b = jnp.asarray(bits)
        return (slope * b + offset) * (b + 1.0) * 1e-15

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        """Warns outside 14-130 nm and where the law's own conversion time is longer than asked for."""
        width, hertz = concrete(bits), concrete(rate)
        slow = width is not None and hertz is not None and hertz * (width + 1) * 1e-9 > 1
        text = ("NeuroSim's SAR takes (bits + 1) ns per conversion, longer than the rate allows",) if slow else ()
        return _range_notes("NeuroSim SAR law", bits, 1, node, 14e-9, 130e-9) + text


def _range_notes(
    law: str, bits: ArrayLike, lowest: int, node: ArrayLike, smallest: float, largest: float
) -> tuple[str, ...]:
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
