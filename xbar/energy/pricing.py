"""From events to joules, seconds and square metres: the price list of a ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from xbar.energy.schedule import Schedule, mesh_hops
from xbar.energy.technology import Technology
from xbar.energy.units import as_float
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.rows_of_work import NEURONS
from xbar.graph.work import Work

COMPONENTS = (
    "array",
    "lines",
    "dac",
    "sample_hold",
    "adc",
    "accumulate",
    "digital",
    "memory",
    "network",
    "off_chip",
    "leakage",
    "clock",
    "neurons",
)
# Every priced term, the component it belongs to, and the coefficients whose notes come with it.
TERMS = {
    "cells": ("array", ("array",)),
    "word_wires": ("array", ("array",)),
    "bit_wires": ("array", ("array",)),
    "access": ("array", ("array",)),
    "word_lines": ("lines", ("wire",)),
    "select_lines": ("lines", ("wire", "gate")),
    "dac": ("dac", ("dac",)),
    "pulse_width": ("dac", ("pulse_width",)),
    "driver": ("dac", ("driver",)),
    "sample_hold": ("sample_hold", ("sample_hold",)),
    "adc": ("adc", ("adc",)),
    "shift_add": ("accumulate", ("shift_add",)),
    "rescale": ("accumulate", ("rescale",)),
    "operation": ("digital", ("fp16_add", "fp16_multiply")),
    "transcendental": ("digital", ("transcendental",)),
    "memory": ("memory", ("memory",)),
    "hop": ("network", ("hop",)),
    "link": ("off_chip", ("link",)),
    "adc_leakage": ("leakage", ("adc_leakage",)),
    "memory_leakage": ("leakage", ("memory_leakage",)),
    "register": ("clock", ("register",)),
    "integrator": ("neurons", ("integrator",)),
    "comparator": ("neurons", ("comparator",)),
    **{f"published_{name}": (name, ("published",)) for name in COMPONENTS},
}
CONSTANT = ("dac", "sample_hold", "adc", "clock", "leakage")  # what a chip costs whatever its inputs


class Recipe(eqx.Module):
    """All that a price depends on.

    Args:
        costs, usages: facts and events of each analog layer. technology: prices. schedule: order of work.
        inferences: in the run. elements: numbers that go into and come out of the network in the run.
        work: digital work by name, and the number of the analog layer whose outputs it works on (None: of no layer).
        fixed: whether data were left out of the events.
    """

    costs: tuple[LayerCosts, ...]
    usages: tuple[Usage, ...]
    technology: Technology
    schedule: Schedule
    inferences: Float[Array, "*batch"]
    elements: tuple[Float[Array, "*batch"], Float[Array, "*batch"]]
    work: tuple[tuple[str, Work, int | None], ...] = eqx.field(static=True)
    fixed: bool = eqx.field(static=True, default=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The rows of the ledger."""
        return (*(cost.name for cost in self.costs), *(name for name, *_ in self.work))

    def copies(self, i: int) -> int:
        """How many copies of an analog layer's arrays there are."""
        return self.schedule.copies_of(self.costs[i].name)


class Priced(NamedTuple):
    """What a recipe costs, per inference: joules by layer and term, seconds and square metres by layer and component."""

    terms: Float[Array, "layers terms"]
    seconds: Float[Array, "layers components"]
    area: Float[Array, "layers components"]


def priced(recipe: Recipe) -> Priced:
    """Prices a recipe."""
    tech = recipe.technology
    timings = [timing(c, u, tech, recipe.copies(i), recipe.inferences) for i, (c, u) in enumerate(_pairs(recipe))]
    digital = [
        {"digital": as_float(w.total) / recipe.inferences / (tech.lanes * tech.clock)} for _, w, _ in recipe.work
    ]
    seconds = _table([*timings, *digital], COMPONENTS)
    rows = [_events(c, u, recipe) for c, u in _pairs(recipe)]
    rows += [_digital(w, recipe, after, is_neurons(name)) for name, w, after in recipe.work]
    dynamic = _table(rows, tuple(TERMS)) / recipe.inferences
    held = _held(recipe, jnp.sum(seconds, -1))
    moved = _moved(recipe)
    area = [_area(c, tech, recipe.copies(i)) for i, c in enumerate(recipe.costs)]
    lane = {"digital": tech.lanes * tech.at_node(tech.lane_area) * tech.overhead}
    area += [lane if i == 0 else {} for i in range(len(recipe.work))]
    return Priced(dynamic + held + moved, seconds, _table(area, COMPONENTS))


def is_neurons(row: str) -> bool:
    """Whether a row of digital work is steps of spiking neurons."""
    return row.endswith(f"({NEURONS})")


def _pairs(recipe: Recipe) -> list[tuple[LayerCosts, Usage]]:
    return list(zip(recipe.costs, recipe.usages, strict=True))


def _table(rows: Sequence[Mapping[str, jax.Array]], names: tuple[str, ...]) -> jax.Array:
    if not rows:
        return jnp.zeros((0, len(names)))
    zero = jnp.zeros(())
    return jnp.stack([jnp.stack([as_float(row.get(name, zero)) for name in names]) for row in rows])


def timing(cost: LayerCosts, use: Usage, tech: Technology, copies: int, inferences: ArrayLike) -> dict[str, jax.Array]:
    """Time of a layer for one inference [s] by component: V reads of P planes each, and what follows the last one.

        t = ceil(V / copies) P t_plane + t_drain,    t_plane = max(t_settle + t_read, n_mux t_adc), or the given cycle

    Settling counts as the lines' share and reading as the array's; what conversions take beyond both, and the last
    conversions, count as the ADC's; `accumulate` is one clock for each level of the tree of partial sums, plus one.
    """
    vectors = use.vectors / inferences
    vectors = vectors if copies == 1 else jnp.ceil(vectors / copies)
    settle = tech.settling(cost.rows, cost.cols, cost.adc_bits, cost.r_row, cost.r_col)
    convert = jnp.zeros(())
    if tech.readout == "converters":
        bits = 8.0 if cost.adc_bits is None else cost.adc_bits
        muxed = jnp.minimum(tech.columns_per_adc, cost.converted)
        convert = muxed * tech.adc_model.time(bits, tech.rate(cost.read_time))
    reads = vectors * cost.planes
    digital = (math.ceil(math.log2(cost.row_tiles)) + 1) / tech.clock
    some = jnp.where(vectors > 0, 1.0, 0.0)
    if tech.cycle is not None:
        return {"array": reads * tech.cycle, "accumulate": 0.0 * some}
    beyond = jnp.maximum(convert - settle - cost.read_time, 0.0)
    return {
        "lines": reads * settle,
        "array": reads * jnp.asarray(cost.read_time),
        "adc": reads * beyond + some * convert,
        "accumulate": some * digital,
    }


def _events(cost: LayerCosts, use: Usage, recipe: Recipe) -> dict[str, jax.Array]:
    """Energy of a run that events cause [J]."""
    tech, activity = recipe.technology, recipe.technology.activity if recipe.fixed else 1.0
    wires = [use.word_joules, use.bit_joules, use.access_joules]
    array = activity * tech.array.value
    conversion = tech.input_conversion(cost.dac_bits, cost.encoding)
    timed = cost.encoding == "pulse_width"
    ratio_in, ratio_out = activities(use, tech)
    active = use.inputs * ratio_in + use.outputs * ratio_out
    return {
        "cells": array * (use.array_joules - sum(wires)),
        **{name: array * x for name, x in zip(("word_wires", "bit_wires", "access"), wires, strict=True)},
        "word_lines": jnp.zeros(())
        if tech.inputs_on_gates
        else activity * use.line_swing * tech.line_capacitance(cost.cols),
        "select_lines": activity
        * use.driven_rows
        * tech.selects_per_read
        * tech.select_energy(cost.cols, as_float(cost.g_max)),
        "pulse_width" if timed else "dac": _times(input_conversions(use, tech), conversion),
        "driver": activity * use.driver_pulses * tech.at_node(tech.driver),
        **_column_ends(cost, use, tech),
        "shift_add": ratio_out * use.accumulations * tech.at_node(tech.shift_add),
        "rescale": ratio_out * use.multiplications * tech.at_node(tech.rescale),
        "memory": active * tech.activation_bits * tech.memory_bit(),
    }


def input_conversions(use: Usage, tech: Technology) -> jax.Array:
    """Multi-bit input conversions of a run: of every row, or of driven rows alone where circuits wait for events."""
    return jnp.minimum(use.dac_conversions, use.driven_rows) if tech.events else use.dac_conversions


def output_conversions(use: Usage, tech: Technology) -> jax.Array:
    """Output conversions of a run: of every column, or of those of tiles with a driven row where circuits wait for events."""
    return use.adc_conversions - use.idle_conversions if tech.events else use.adc_conversions


def _column_ends(cost: LayerCosts, use: Usage, tech: Technology) -> dict[str, jax.Array]:
    """Energy of what stands at the end of columns [J]: converters, or integrators and comparators."""
    if tech.readout == "integrators":
        return {
            "integrator": use.adc_conversions * tech.at_node(tech.integrator),
            "comparator": use.outputs * tech.at_node(tech.comparator),
        }
    made = output_conversions(use, tech)
    return {
        "sample_hold": made * tech.at_node(tech.sample_hold),
        "adc": jnp.zeros(()) if tech.free_running else _conversions(cost, use, tech),
        "register": made * tech.at_node(tech.register),
    }


def _conversions(cost: LayerCosts, use: Usage, tech: Technology) -> jax.Array:
    if tech.events:
        return _times(output_conversions(use, tech), tech.adc_conversion(cost.adc_bits, cost.read_time))
    busy = _times(use.adc_conversions - use.idle_conversions, tech.adc_conversion(cost.adc_bits, cost.read_time))
    return busy + _times(use.idle_conversions, tech.adc_conversion(cost.adc_bits, cost.read_time, idle=True))


def activities(use: Usage, tech: Technology) -> tuple[jax.Array, jax.Array]:
    """How much the inputs' and the outputs' codes make digital circuits switch, against random codes."""
    share = lambda active, all_: jnp.where(all_ > 0, active / jnp.where(all_ > 0, all_, 1.0), 0.0)  # noqa: E731
    one = jnp.ones(())
    inputs = one if use.active_inputs is None else share(use.active_inputs, use.inputs)
    outputs = one if use.active_outputs is None else share(use.active_outputs, use.outputs)
    mixed = lambda x: 1.0 - tech.toggling + tech.toggling * x  # noqa: E731
    return mixed(inputs), mixed(outputs)


def _digital(work: Work, recipe: Recipe, after: int | None, neurons: bool) -> dict[str, jax.Array]:
    """Digital work of a run [J], as active as the codes of the layer that it follows. Neurons are updated in every step
    whatever comes in, or not at all where they are analog."""
    tech = recipe.technology
    if neurons and tech.readout == "integrators":
        return {}
    ratio = jnp.ones(()) if after is None or recipe.fixed or neurons else activities(recipe.usages[after], tech)[1]
    accesses = 2.0 * work.elements_moved + work.operands  # a move is one read and one write
    return {
        "operation": ratio * float(work.ops + work.mac_ops) * tech.operation(),
        "transcendental": ratio * float(work.transcendental) * tech.at_node(tech.transcendental),
        "memory": ratio * accesses * tech.activation_bits * tech.memory_bit(),
    }


def converters(cost: LayerCosts, tech: Technology) -> jax.Array:
    """Converters of one array, at least one; a real number, so that columns per converter can be optimised."""
    return jnp.maximum(cost.converted / tech.columns_per_adc, 1.0)


def _held(recipe: Recipe, seconds: jax.Array) -> jax.Array:
    """Energy of an inference that time causes [J]: leakage as long as the schedule lasts, free-running converters and
    published powers while their arrays work."""
    tech, rows = recipe.technology, []
    period = recipe.schedule.period(seconds)
    memory = tech.buffer_bytes / tech.arrays_per_buffer * tech.at_node(tech.memory_leakage)
    for i, (cost, use) in enumerate(_pairs(recipe)):
        arrays = cost.tiles * recipe.copies(i)
        some = jnp.sign(use.adc_conversions)  # converters that are never used have no defined power
        power = column_watts(cost, some, tech) * arrays
        busy = seconds[i]  # copies work side by side, each for its share of the vectors
        leaking = arrays + (tech.idle_arrays if i == 0 else 0.0)
        row = {
            "adc_leakage": jnp.where(tech.adc_leakage.value > 0, power * tech.adc_leakage.value, 0.0) * period,
            "memory_leakage": leaking * memory * period,
        }
        if tech.free_running:
            row["adc"] = power * busy
        for part in tech.parts:
            name = f"published_{part.component}"
            drawn = part.watts * arrays / part.arrays * (busy + part.idle * (period - busy))
            row[name] = row.get(name, 0.0) + tech.published.value * drawn
        rows.append(row)
    return _table([*rows, *({} for _ in recipe.work)], tuple(TERMS))


def column_watts(cost: LayerCosts, some: jax.Array, tech: Technology) -> jax.Array:
    """Power of what stands at the ends of one array's columns at full rate [W], of which leakage is a share."""
    if tech.readout == "integrators":
        return some * tech.at_node(tech.integrator) * cost.converted / jnp.asarray(cost.read_time)
    conversion = _times(some, tech.adc_conversion(cost.adc_bits, cost.read_time))
    return conversion * tech.rate(cost.read_time) * converters(cost, tech)


def _moved(recipe: Recipe) -> jax.Array:
    """Energy of an inference that its data cause on their way between tiles, and over the chip's edge [J]."""
    tech = recipe.technology
    hops = mesh_hops([c.tiles * recipe.copies(i) for i, c in enumerate(recipe.costs)], tech.arrays_per_node)
    price, link = tech.at_node(tech.hop), tech.at_node(tech.link) * tech.off_chip_share
    rows = []
    for i, (cost, use) in enumerate(_pairs(recipe)):
        ratio_in, ratio_out = activities(use, tech)
        sums = use.outputs * (cost.row_tiles - 1) * 2.0  # partial sums, twice as wide, go to a neighbour
        bits = ratio_out * (use.outputs * hops[i + 1] + sums) + (ratio_in * use.inputs * (cost.col_tiles - 1))
        if tech.events:  # an address for each driven row, on its way from the layer before to all tiles of this one
            share = tech.packet_bits / tech.activation_bits / cost.planes
            bits = events_in(cost, use) * (hops[i] + cost.col_tiles - 1) * share + ratio_out * sums
        row = {"hop": bits}
        if i == 0:
            row["hop"] = bits if tech.events else bits + ratio_in * recipe.elements[0] * hops[0]
            row["link"] = ratio_in * recipe.elements[0]
        if i == len(recipe.costs) - 1:
            row["link"] = row.get("link", 0.0) + ratio_out * recipe.elements[1]
        per_bit = tech.activation_bits / recipe.inferences
        row = {"hop": row["hop"] * price * per_bit, "link": row.get("link", jnp.zeros(())) * link * per_bit}
        rows.append(row)
    return _table([*rows, *({} for _ in recipe.work)], tuple(TERMS))


def events_in(cost: LayerCosts, use: Usage) -> jax.Array:
    """Driven rows of a run, each counted once however many tiles it crosses."""
    return use.driven_rows / cost.col_tiles


def _area(cost: LayerCosts, tech: Technology, copies: int) -> dict[str, jax.Array]:
    """Area of a layer's circuits [m^2]."""
    arrays = cost.tiles * copies
    cell = tech.cell[0] * tech.cell[1] * jnp.square(tech.half_pitch)
    number = converters(cost, tech)
    input_area = tech.dac_area if cost.encoding == "amplitude" else tech.driver_area
    found = {
        "array": cost.rows * cost.cols * cell * tech.cell_area.value,
        "dac": cost.rows * tech.at_node(input_area),
        **_column_area(cost, tech, number),
        "memory": tech.buffer_bytes / tech.arrays_per_buffer * tech.at_node(tech.memory_area),
        "network": tech.at_node(tech.router_area) / tech.arrays_per_node,
    }
    for part in tech.parts:
        found[part.component] = found.get(part.component, 0.0) + part.area / part.arrays
    return {name: arrays * x * tech.overhead for name, x in found.items()}


def _column_area(cost: LayerCosts, tech: Technology, number: jax.Array) -> dict[str, jax.Array]:
    """Area of what stands at the ends of one array's columns [m^2]."""
    if tech.readout == "integrators":
        return {"neurons": cost.converted * tech.at_node(tech.integrator_area)}
    bits = 8.0 if cost.adc_bits is None else cost.adc_bits
    area = tech.adc_area.value * tech.adc_model.area(bits, tech.rate(cost.read_time), tech.node)
    return {"adc": number * area, "accumulate": number * tech.at_node(tech.shift_add_area)}


def _times(events: jax.Array, joules: jax.Array) -> jax.Array:
    """events * joules, but no events cost nothing even where the price is undefined (NaN)."""
    return jnp.where(events == 0, 0.0, events * joules)


COMPONENT_OF_TERM = np.array([COMPONENTS.index(component) for component, _ in TERMS.values()])


def by_component(terms: jax.Array) -> jax.Array:
    """Sums of terms, along the last axis, to components."""
    columns = [terms[..., np.flatnonzero(c == COMPONENT_OF_TERM)].sum(-1) for c in range(len(COMPONENTS))]
    return jnp.stack(columns, axis=-1)
