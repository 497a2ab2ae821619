"""Counting what a chip does with its inputs, for the energy ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.energy.ledger import Ledger, price
from xbar.energy.technology import Technology
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.nodes import Layer, Plan, Traced
from xbar.macro.state import ProgrammedArray, Signals
from xbar.macro.tile import Tile


def usage_of_read(layer: Layer, tile: Tile, signals: Signals) -> Usage:
    """What one read of one layer costs in events, and the joules its cells turn into heat."""
    groups, k, n = layer.product.sizes
    part = tile.partition(groups, k, n)
    planes, reads, vectors = *signals.current.shape[:2], signals.volts.shape[3]
    serial = tile.dac.encoding == "bit_serial"
    driven = jnp.sum(jnp.abs(signals.volts) > tile.v_read / 2) * part.col_tiles  # of planes that are -v, 0 or +v
    outputs = groups * vectors * n
    return Usage(
        array_joules=array_joules(tile, signals, part.mask()),
        dac_conversions=0 if serial else planes * groups * vectors * k * part.col_tiles,
        driver_pulses=driven if serial else 0,
        adc_conversions=signals.outputs,
        accumulations=outputs * (part.row_tiles - 1) + outputs * part.row_tiles * (planes * reads - 1),
        multiplications=outputs * part.row_tiles,
        macs=groups * vectors * k * n,
        buffer_accesses=groups * vectors * (k + n),
    )


def array_joules(tile: Tile, signals: Signals, mask: Float[Array, "row_tiles col_tiles rows cols"]) -> Float[Array, ""]:
    """Heat of one read in the cells that hold weights [J]: `t_read * sum v i(v)`, which is `t_read * sum g v^2` if ohmic.
    Where there are wires, what the drivers deliver to them and to all cells."""
    if signals.watts is not None:
        return signals.watts * tile.read_time
    lines = signals.conductance.shape[-1] - mask.shape[-1]  # those besides the lines of weights are in use, too
    mask = jnp.pad(mask, ((0, 0), (0, 0), (0, 0), (0, lines)), mode="edge")
    held = jnp.swapaxes(mask, 1, 2).astype(signals.conductance.dtype)[None, None]
    if tile.device.conduction.linear:
        per_row = jnp.sum(signals.conductance * held, axis=(0, 4, 5))  # [group, row tile, row]
        watts = jnp.sum(signals.volts**2 * per_row[None, :, :, None, :])
        return watts * tile.read_time
    g = jnp.moveaxis(signals.conductance * held, 3, 0)
    v = jnp.moveaxis(signals.volts, -1, 0)[:, None, ..., None, None]  # [row, 1, plane, group, row tile, vector, 1, 1]

    def add_row(total, row):
        volts, pair = row
        return total + jnp.sum(volts * tile.device.conduction(pair[:, None, :, :, None], volts)), None

    return jax.lax.scan(add_row, jnp.zeros((), g.dtype), (v, g))[0] * tile.read_time


@dataclasses.dataclass(frozen=True)
class Counter:
    """A watcher of reads that counts events; for `Chip.watch`."""

    layers: tuple[Layer, ...]

    def __call__(self, i: int, tile: Tile, array: ProgrammedArray, signals: Signals) -> Usage:
        return usage_of_read(self.layers[i], tile, signals)


def ledger(
    traced: Traced,
    plan: Plan,
    tiles: Mapping[int, Tile],
    usages: Mapping[int, Usage],
    technology: Technology | None,
    inferences: int,
) -> Ledger:
    """Prices what was counted in one call that held this many inferences."""
    work = traced.digital_work(plan, frozenset(tiles))
    costs, totals = [], []
    for i in sorted(usages):
        names = traced.layers[i].names
        for j, name in enumerate(names):
            own = jax.tree.map(lambda x, j=j: x[j], usages[i]) if len(names) > 1 else usages[i]
            totals.append(jax.tree.map(jnp.sum, own))
            costs.append(_costs(name, tiles[i]))
    return price(costs, totals, work, technology or Technology(), inferences)


def _costs(name: str, tile: Tile) -> LayerCosts:
    return LayerCosts(
        name=name,
        adc_bits=tile.adc.bits,
        dac_bits=tile.dac.bits if tile.dac.encoding == "amplitude" else 2,
        rows=tile.rows,
        cols=tile.mapping.cells * (tile.cols + tile.mapping.extra_cols),
        read_time=tile.read_time,
        v_read=tile.v_read,
    )
