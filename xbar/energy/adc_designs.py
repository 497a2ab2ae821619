"""Published converters of in-memory computing: one design point each, carried to other widths and nodes."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from xbar.energy.adc import AbstractADCModel, Andrulis, between_whole_bits, range_notes
from xbar.energy.scaling import area_scale, energy_scale
from xbar.energy.units import as_float, concrete


class DesignPoint(AbstractADCModel):
    """One published converter; log-linear between the widths it is known at, with the regression's slope beyond them.

    Between nodes it scales like logic (`energy_scale`, `area_scale`).

    Args:
        name: of the design. widths: bits it is known at, ascending whole numbers.
        joules: energy per conversion at each [J]. published_rate: sampling rate [Hz]. square_metres: area [m^2]; NaN if
            not known: the regression's is then used. published_node: technology node [m]. tag, source: provenance.

    Breaks when: far from its own width: a converter of another width is another design.
    """

    name: str = eqx.field(static=True)
    widths: tuple[int, ...] = eqx.field(static=True)
    joules: Float[Array, " widths"] = eqx.field(converter=as_float)
    published_rate: Float[Array, ""] = eqx.field(converter=as_float)
    square_metres: Float[Array, ""] = eqx.field(converter=as_float)
    published_node: float = eqx.field(static=True)
    tag: str = eqx.field(static=True)
    source: str = eqx.field(static=True)

    def energy(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Energy per conversion [J]; `rate` is not used, as the design has its own."""
        return between_whole_bits(self._at_whole_bits, bits) * energy_scale(self.published_node, node)

    def _at_whole_bits(self, b: ArrayLike) -> Float[Array, "*_"]:
        inside = jnp.clip(b, self.widths[0], self.widths[-1])
        known = jnp.exp(jnp.interp(inside, jnp.asarray(self.widths, float), jnp.log(self.joules)))
        law = lambda x: Andrulis().energy(x, 1e8, self.published_node)  # noqa: E731
        return known * law(b) / law(inside)

    def area(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> Float[Array, "*_"]:
        """Area [m^2], of the published width whatever `bits`."""
        known = self.square_metres * area_scale(self.published_node, node)
        return jnp.where(jnp.isnan(self.square_metres), super().area(bits, self.published_rate, node), known)

    def notes(self, bits: ArrayLike, rate: ArrayLike, node: ArrayLike) -> tuple[str, ...]:
        width, metres = concrete(bits), concrete(node)
        found = list(range_notes(f"{self.name} ADC", bits, self.widths[0], node, 7e-9, 130e-9))
        if width is not None and width > self.widths[-1]:
            found.append(
                f"{self.name} ADC used at {width:g} bits, above its {self.widths[-1]}: scaled by the regression"
            )
        if metres is not None and not math.isclose(metres, self.published_node, rel_tol=1e-3):
            found.append(f"{self.name} ADC was published at {self.published_node * 1e9:.0f} nm: scaled like logic")
        if self.tag in ("L", "3"):
            found.append(
                f"{self.name} ADC is {'recalled' if self.tag == 'L' else 'restated'} [{self.tag}]: {self.source}"
            )
        return tuple(found)


_LIB = "accelergy-library-plug-in"


def isaac_adc() -> DesignPoint:
    """ISAAC: 8 b SAR, 1.2 GS/s, 32 nm, 2 mW, 1200 um^2; 4 to 10 b scaled as a SAR."""
    joules = np.array([0.79e-12, 0.99e-12, 1.20e-12, 1.42e-12, 2e-3 / 1.2e9, 1.97e-12, 2.38e-12])
    return DesignPoint("ISAAC", tuple(range(4, 11)), joules, 1.2e9, 1200e-12, 32e-9, "R", _LIB)


def newton_adc() -> DesignPoint:
    """Newton: 9 b, 2.58 pJ, 32 nm."""
    return DesignPoint("Newton", (9,), np.array([2.58e-12]), 1.2e9, np.nan, 32e-9, "R", _LIB)


def forms_adc() -> DesignPoint:
    """FORMS: 4 b, 2.1 GS/s, 0.226 pJ, 284 um^2, 32 nm."""
    return DesignPoint("FORMS", (4,), np.array([0.226e-12]), 2.1e9, 284e-12, 32e-9, "R", _LIB)


def timely_adc() -> DesignPoint:
    """TIMELY: 8 b time-to-digital converter, 0.145 pJ, 65 nm."""
    return DesignPoint("TIMELY", (8,), np.array([0.145e-12]), 1e8, np.nan, 65e-9, "R", _LIB)


def neurram_adc() -> DesignPoint:
    """NeuRRAM: 0.3 pJ for each of the up to 2^(b - 1) steps of charge that its neuron removes, 130 nm; 3 to 10 b."""
    widths = tuple(range(3, 11))
    steps = 0.3e-12 * 2.0 ** (np.array(widths) - 1)
    return DesignPoint("NeuRRAM", widths, steps, 1e6, 1270e-12, 130e-9, "R", _LIB)
