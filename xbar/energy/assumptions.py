"""The notes of a ledger: every assumption, extrapolation and recalled constant in use, each once."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from xbar.energy.adc import bound_notes
from xbar.energy.pricing import TERMS, Recipe
from xbar.energy.scaling import scaling_notes
from xbar.energy.technology import Technology, coefficients
from xbar.energy.units import concrete
from xbar.energy.usage import LayerCosts, Usage

SCOPE_NOTE = "not priced: voltage supplies, host and board, time and energy to load weights (see programming)"
SPREAD_NOTE = (
    "P10-P90: log-normal coefficients, shared by all layers, independent of each other; their spreads are judgements"
)
EVENT_NOTE = (
    "events: rows at rest and tiles without a driven row convert nothing; leakage and the cost of every step remain"
)
INTEGRATOR_NOTE = (
    "integrators hold the sums of columns, also over row tiles; their mismatch, leak and noise are not modelled"
)
FIXED_NOTE = "FIXED ENERGY MODE: inputs and weights are left out; every cell conducts (g_min + g_max) / 2"


def notes_of(recipe: Recipe, terms: jax.Array) -> tuple[str, ...]:
    """The notes of a ledger; terms that are known to be zero bring none."""
    tech = recipe.technology
    notes = [SCOPE_NOTE, SPREAD_NOTE]
    if recipe.fixed:
        notes.insert(
            0, f"{FIXED_NOTE}, word lines are driven with a mean square of {_said(tech.activity)} of full scale"
        )
    known = coefficients(tech)
    for number, (_, sources) in enumerate(TERMS.values()):
        if not _surely_zero(terms[..., number]):
            for source in sources:
                notes += known[source].footnotes(source)
    if tech.events:
        notes.append(EVENT_NOTE)
    if tech.readout == "integrators":
        notes.append(INTEGRATOR_NOTE)
    notes += scaling_notes(tech.node, tech.supply)
    for cost, use in zip(recipe.costs, recipe.usages, strict=True):
        notes += _converter_notes(cost, use, tech)
        if cost.r_row is not None and concrete(use.word_joules + use.bit_joules + use.access_joules) == 0:
            notes.append(
                f"{cost.name}: all heat of the arrays is assigned to their cells; splitting it needs ohmic cells, a "
                "chip that was not taken at a time (chip.at), and tiles on one device"
            )
    notes += _part_notes(tech)
    if concrete(tech.off_chip_share) == 0:
        notes.append("inputs and outputs are on the chip (Technology(off_chip_share=1) moves them over a link)")
    if any(work.unbounded for _, work, _ in recipe.work):
        notes.append("a while loop of unknown length is in the digital work: counted as one iteration")
    return tuple(dict.fromkeys(notes))


def _said(value: jax.Array) -> str:
    number = concrete(value)
    return "a traced share" if number is None else f"{number:g}"


def _surely_zero(x: jax.Array) -> bool:
    return not isinstance(x, Tracer) and bool(np.all(np.asarray(x) == 0))


def _part_notes(tech: Technology) -> Iterable[str]:
    for part in tech.parts:
        if part.tag in ("L", "3"):
            said = "recalled [L], not read" if part.tag == "L" else "restated by a third party [3]"
            yield f"{part.name} is {said}: {part.source}"


def _converter_notes(cost: LayerCosts, use: Usage, tech: Technology) -> Iterable[str]:
    if tech.readout == "converters" and cost.adc_bits is None and concrete(use.adc_conversions) != 0:
        yield f"{cost.name}: an unquantised ADC (bits=None) has no defined energy: entry is NaN"
    if cost.dac_bits is None and concrete(use.dac_conversions) != 0:
        yield f"{cost.name}: an unquantised DAC (bits=None) has no defined energy: entry is NaN"
    if (
        tech.readout == "converters"
        and cost.adc_bits is not None
        and concrete(use.adc_conversions) != 0
        and concrete(jnp.asarray(tech.adc.value)) != 0
    ):
        rate = tech.rate(cost.read_time)
        yield from tech.adc_model.notes(cost.adc_bits, rate, tech.node)
        yield from bound_notes(tech.adc_conversion(cost.adc_bits, cost.read_time), cost.adc_bits)
