"""Counting what a chip does with its inputs, for the energy ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.energy.ledger import Ledger, price
from xbar.energy.schedule import Schedule
from xbar.energy.technology import Technology
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.nodes import Layer, Plan, Traced
from xbar.graph.rows_of_work import digital_rows
from xbar.graph.work import Work
from xbar.macro.partition import Partition
from xbar.macro.state import ProgrammedArray, Signals
from xbar.macro.tile import Tile
from xbar.macro.wires.dissipation import array_shares


def usage_of_read(layer: Layer, tile: Tile, array: ProgrammedArray, signals: Signals) -> Usage:
    """What one read of one layer costs in events, and the joules its cells turn into heat."""
    groups, k, n = layer.product.sizes
    part = tile.partition(groups, k, n)
    planes, reads, vectors = *signals.current.shape[:2], signals.volts.shape[3]
    driven = _count(_driven(tile, signals)) * part.col_tiles
    outputs = groups * vectors * n
    mask = _held(part.mask(), signals)
    joules = array_joules(tile, signals, mask)
    word, bit, access = array_shares(tile, array, signals, mask)
    return Usage(
        **_counts(tile, part, planes, reads, vectors, driven),
        adc_conversions=signals.outputs,
        array_joules=joules,
        active_inputs=groups * vectors * k * _input_activity(tile, part, signals),
        active_outputs=outputs * _output_activity(tile, part, signals),
        idle_conversions=reads * n * groups * _count(~jnp.any(_driven(tile, signals), -1)) / part.blocks,
        line_swing=_swing(signals.volts) * part.col_tiles,
        driven_rows=driven,
        word_joules=word,
        bit_joules=bit,
        access_joules=access,
    )


def fixed_usage(layer: Layer, tile: Tile, signals: Signals) -> Usage:
    """The same whatever the data: every row driven to full scale in every plane, every cell at (g_min + g_max) / 2."""
    groups, k, n = layer.product.sizes
    part = tile.partition(groups, k, n)
    planes, reads, vectors = *signals.current.shape[:2], signals.volts.shape[3]
    rows = planes * groups * vectors * k * part.col_tiles
    cells = groups * k * n * tile.mapping.cells + groups * k * tile.mapping.extra_cols * part.col_tiles
    g = (tile.device.g_min + tile.device.g_max) / 2
    joules = planes * vectors * cells * tile.v_read**2 * g * tile.read_time
    return Usage(
        **_counts(tile, part, planes, reads, vectors, rows),
        adc_conversions=signals.outputs,
        array_joules=joules,
        line_swing=rows * tile.v_read**2,
        driven_rows=rows,
    )


def _counts(tile: Tile, part: Partition, planes: int, reads: int, vectors: int, driven: Any) -> dict[str, Any]:
    """Events that depend on data only through the number of driven rows."""
    outputs, serial = part.groups * vectors * part.n, tile.dac.encoding == "bit_serial"
    return {
        "dac_conversions": 0 if serial else planes * part.groups * vectors * part.k * part.col_tiles,
        "driver_pulses": driven if serial else 0,
        "accumulations": outputs * (part.row_tiles - 1) + outputs * part.row_tiles * (planes * reads - 1),
        "multiplications": outputs * part.row_tiles,
        "macs": part.groups * vectors * part.k * part.n,
        "inputs": part.groups * vectors * part.k,
        "outputs": outputs,
        "vectors": vectors,
    }


def _driven(tile: Tile, signals: Signals) -> Array:
    """Word lines that are selected: those at a plane's voltage; with amplitudes, those that are not at 0 V."""
    least = tile.v_read / 2 if tile.dac.encoding == "bit_serial" else jnp.zeros(())
    return jnp.abs(signals.volts) > least


def _count(true: Array) -> Array:
    """How many are true, as a real number."""
    return jnp.sum(true.astype(jnp.result_type(float)))


def _swing(volts: Float[Array, "planes blocks row_tiles vectors rows"]) -> Float[Array, ""]:
    """Sum over word lines and edges of dV^2 / 2 [V^2], from 0 through the planes of each vector and back to 0."""
    ends = jnp.pad(volts, ((1, 1), *((0, 0),) * 4))
    return 0.5 * jnp.sum(jnp.square(jnp.diff(ends, axis=0)))


def _input_activity(tile: Tile, part: Partition, signals: Signals) -> Array:
    """Set bits of the inputs' codes, relative to half the bits of a magnitude."""
    rows = signals.volts.shape[0] * part.groups * signals.volts.shape[3] * part.k
    if tile.dac.encoding == "bit_serial":
        return _count(_driven(tile, signals)) / (0.5 * rows)
    level = jnp.abs(signals.volts) / tile.v_read.astype(signals.volts.dtype)
    if tile.dac.bits is None:
        return 2.0 * _count(level > 0) / rows
    return jnp.sum(_set_bits(level, tile.dac.bits)) / (0.5 * (tile.dac.bits - 1) * rows)


def _output_activity(tile: Tile, part: Partition, signals: Signals) -> Array:
    """Set bits of the converters' codes, relative to half the bits of a magnitude."""
    if signals.outputs == 0 or tile.adc.bits is None:
        return jnp.ones(())
    used = part.columns_in_use()[None, None]  # [1, 1, block, 1, 1, column tile, column]
    level = jnp.abs(signals.codes) / jnp.where(signals.full_scale > 0, signals.full_scale, 1.0)
    bits = jnp.sum(_set_bits(level, tile.adc.bits) * used)
    return bits / (0.5 * (tile.adc.bits - 1) * signals.outputs)


def _set_bits(level: Array, bits: Any) -> Array:
    """Set bits of the magnitude's code of each value in [0, 1]."""
    codes = jnp.round(jax.lax.stop_gradient(level) * (2.0 ** (jnp.asarray(bits) - 1) - 1)).astype(jnp.int32)
    return jax.lax.population_count(codes).astype(jnp.result_type(float))


def _held(mask: Array, signals: Signals) -> Float[Array, "row_tiles col_tiles rows lines"]:
    """1 for cells in use; lines besides those of weights are in use on every row that is."""
    lines = signals.conductance.shape[-1] - mask.shape[-1]
    beside = jnp.repeat(jnp.max(mask, -1, keepdims=True), lines, -1)
    return jnp.concatenate([mask, beside], -1).astype(signals.conductance.dtype)


def array_joules(
    tile: Tile, signals: Signals, mask: Float[Array, "row_tiles col_tiles rows lines"]
) -> Float[Array, ""]:
    """Heat of one read in the cells that hold weights [J]: `t_read * sum v i(v)`, which is `t_read * sum g v^2` if ohmic.
    Where there are wires, what the drivers deliver to them and to all cells. With inputs as pulse widths the full voltage is
    applied for a share of the time."""
    if signals.watts is not None:
        return signals.watts * tile.read_time
    held = jnp.swapaxes(mask, 1, 2)[None, None]
    if tile.device.conduction.linear:
        per_row = jnp.sum(signals.conductance * held, axis=(0, 4, 5))  # [group, row tile, row]
        watts = jnp.sum(tile.dac.power_levels(signals.volts, tile.v_read) ** 2 * per_row[None, :, :, None, :])
        return watts * tile.read_time
    g = jnp.moveaxis(signals.conductance * held, 3, 0)
    v = jnp.moveaxis(signals.volts, -1, 0)[:, None, ..., None, None]  # [row, 1, plane, group, row tile, vector, 1, 1]

    def add_row(total, row):
        volts, pair = row
        return total + jnp.sum(volts * tile.device.conduction(pair[:, None, :, :, None], volts)), None

    return jax.lax.scan(add_row, jnp.zeros((), g.dtype), (v, g))[0] * tile.read_time


@dataclasses.dataclass(frozen=True)
class Counter:
    """A watcher of reads that counts events; for `Chip.watch`.

    Args:
        fixed: count what any data would cost.
    """

    layers: tuple[Layer, ...]
    fixed: bool = False

    def __call__(self, i: int, tile: Tile, array: ProgrammedArray, signals: Signals) -> Usage:
        if self.fixed:
            return fixed_usage(self.layers[i], tile, signals)
        return usage_of_read(self.layers[i], tile, array, signals)


def ledger(
    traced: Traced,
    plan: Plan,
    tiles: Mapping[int, Tile],
    usages: Mapping[int, Usage],
    technology: Technology | None,
    inferences: int,
    *,
    schedule: Schedule | None = None,
    fixed: bool = False,
    elements: tuple[int, int] = (0, 0),
) -> Ledger:
    """Prices what was counted in one call that held this many inferences."""
    costs, totals, first = [], [], {}
    for i in sorted(usages):
        names = traced.layers[i].names
        first[i] = len(costs)
        for j, name in enumerate(names):
            own = jax.tree.map(lambda x, j=j: x[j], usages[i]) if len(names) > 1 else usages[i]
            totals.append(jax.tree.map(jnp.sum, own))
            costs.append(costs_of(name, traced.layers[i], tiles[i], len(names)))
    work = _digital_work(traced, plan, frozenset(tiles), first)
    tech = technology or Technology()
    return price(costs, totals, work, tech, inferences, schedule=schedule, fixed=fixed, elements=elements)


def _digital_work(
    traced: Traced, plan: Plan, mapped: frozenset[int], first: Mapping[int, int]
) -> dict[str, tuple[Work, int | None]]:
    """Rows of digital work by name."""
    found: dict[str, tuple[Work, int | None]] = {}
    for row in digital_rows(traced, plan, mapped):
        layer = None if row.after is None else traced.layers[row.after].names[0]
        name = f"({row.what})" if layer is None else f"{layer} ({row.what})"
        found[name] = (row.work, None if row.after is None else first[row.after])
    return found


def costs_of(name: str, layer: Layer, tile: Tile, blocks: int) -> LayerCosts:
    """Facts of one layer, of one of its `blocks` where equal blocks share a stack."""
    part = tile.partition(*layer.product.sizes)
    stack = 1
    for length in layer.lengths:
        stack *= length
    wires: Any = tile.wires
    return LayerCosts(
        name=name,
        adc_bits=tile.adc.bits,
        dac_bits=2 if tile.dac.encoding == "bit_serial" else tile.dac.bits,
        rows=tile.rows,
        cols=tile.mapping.cells * (tile.cols + tile.mapping.extra_cols),
        read_time=tile.read_time,
        v_read=tile.v_read,
        encoding=tile.dac.encoding,
        planes=tile.dac.planes * part.shared,
        outputs=tile.cols * tile.mapping.reads,
        tiles=part.tiles * stack // blocks,
        row_tiles=part.row_tiles,
        col_tiles=part.col_tiles,
        g_max=tile.device.g_max,
        r_row=getattr(wires, "r_row", None),
        r_col=getattr(wires, "r_col", None),
    )


def elements_of(values: Sequence[Any]) -> int:
    """Numbers in the arrays of a call."""
    return sum(int(x.size) for x in jax.tree.leaves(list(values)) if hasattr(x, "size"))
