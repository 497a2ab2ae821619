"""Cells that are not selected: what pulses on their lines, warm neighbours and reads amount to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._checks import check_word
from devices.disturb import Disturb, Worth
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile

Selection = Literal["transistor", "half", "third"]
ByCell = Float[Array, "cells blocks row_tiles rows col_tiles lines"]
ROWS, LINES = 3, 5  # axes


def unselected(up: ByCell, down: ByCell, select: Selection, disturb: Disturb) -> Worth:
    """What pulses to cells amount to in all others of their tile, if word lines are pulsed in turn and the columns of
    each side by side.

    Half: cells of the word line whose own column is at rest, and cells of a column whose word line is, see V/2. Third: these
    see V/3, all others of the tile -V/3. Transistor: no other cell sees a voltage. The four neighbours are warm in any case.

    Args:
        up, down: pulses to each cell. The cells of a weight are on bit lines of their own, and driven one after the other.
    """
    warm = Worth(disturb.heat * _neighbours(up), disturb.heat * _neighbours(down))
    if select == "transistor":
        return warm
    if select == "half":
        return Worth(disturb.half_up * _on_lines(up) + warm.up, disturb.half_down * _on_lines(down) + warm.down)
    return Worth(
        disturb.third_up * (_on_lines(up) + _elsewhere(down)) + warm.up,
        disturb.third_down * (_on_lines(down) + _elsewhere(up)) + warm.down,
    )


def unselected_by_trains(
    up: ByCell, down: ByCell, rows: Array, cols: Array, select: Selection, disturb: Disturb
) -> Worth:
    """The same of pulse trains: of a cell that got `up + down` of the pulses on its lines, the others count.

    Args:
        rows, cols: pulses on each line, of both signs, as axes of `up`. Their signs are not kept: half counts either way.
    """
    mine = up + down
    warm = Worth(disturb.heat * _neighbours(up), disturb.heat * _neighbours(down))
    if select == "transistor":
        return warm
    on = jnp.maximum(rows + cols - 2 * mine, 0) / 2
    if select == "half":
        return Worth(disturb.half_up * on + warm.up, disturb.half_down * on + warm.down)
    slots = jnp.maximum(jnp.max(rows, (ROWS,), keepdims=True), jnp.max(cols, (LINES,), keepdims=True))
    both = on + jnp.maximum(slots - rows - cols + mine, 0) / 2
    return Worth(disturb.third_up * both + warm.up, disturb.third_down * both + warm.down)


def at_part_of_the_voltage(n: ByCell, select: Selection) -> ByCell:
    """Pulses that a cell sees at a half (`"half"`) or a third (`"third"`) of their voltage, of `n` to each cell."""
    if select == "transistor":
        return jnp.zeros_like(n)
    return _on_lines(n) if select == "half" else _on_lines(n) + _elsewhere(n)


def check_selection(select: str, tile: Tile) -> None:
    """Raises ValueError for a scheme that does not exist, or a device that does not say what it does to other cells."""
    check_word("chip.pulse: select", select, ("transistor", "half", "third"))
    if select != "transistor":
        _check_law(f"pulse(select={select!r})", tile)


def check_reads(reads: Array | float, tiles: Mapping[int, Tile]) -> Array | float:
    """A number of reads.

    Raises:
        ValueError: if it is below 0, or a device does not say what a read does.
    """
    if not isinstance(reads, jax.Array) and not 0 <= reads < float("inf"):
        raise ValueError(f"chip.wait: reads={reads!r}; it takes a number of reads, 0 or more.")
    if isinstance(reads, jax.Array) or reads > 0:
        for tile in tiles.values():
            _check_law("wait(reads=...)", tile)
    return reads if isinstance(reads, jax.Array) else float(reads)


def _check_law(what: str, tile: Tile) -> None:
    if tile.device.disturb is None:
        raise ValueError(
            f"chip.{what}: {tile.device.provenance.name} does not say what disturbs it. Give it "
            "dataclasses.replace(device, disturb=devices.Disturb(half_up=..., read=...))."
        )


def disturbed(tile: Tile, array: ProgrammedArray, worth: Worth) -> ProgrammedArray:
    """The array after that."""
    return dataclasses.replace(array, cells=tile.device.disturbed(array.cells, worth))


def read_often(tile: Tile, array: ProgrammedArray, reads: Array) -> ProgrammedArray:
    """The array after each of its cells has been read `reads` times."""
    disturb = tile.device.disturb
    if disturb is None:
        return array
    n = disturb.read * jnp.broadcast_to(reads, array.cells.g.shape)
    return disturbed(tile, array, Worth(jnp.maximum(n, 0), jnp.maximum(-n, 0)))


def _on_lines(n: ByCell) -> ByCell:
    """Pulses during which one line of a cell is driven, and not the other."""
    return _slots(n) + jnp.sum(n, ROWS, keepdims=True) - 2 * n


def _elsewhere(n: ByCell) -> ByCell:
    """Pulses during which neither line of a cell is."""
    slots = _slots(n)
    return (jnp.sum(slots, ROWS, keepdims=True) - slots) - (jnp.sum(n, ROWS, keepdims=True) - n)


def _slots(n: ByCell) -> Float[Array, "cells blocks row_tiles rows col_tiles 1"]:
    """Pulses on each word line."""
    return jnp.max(n, LINES, keepdims=True)


def _neighbours(n: ByCell) -> ByCell:
    """Pulses to the four nearest cells."""
    return sum((_moved(n, axis, by) for axis in (ROWS, LINES) for by in (1, -1)), jnp.zeros_like(n))


def _moved(n: ByCell, axis: int, by: int) -> ByCell:
    """Every value one place further, 0 where none comes from."""
    at = jnp.arange(n.shape[axis])
    edge = 0 if by == 1 else n.shape[axis] - 1
    keep = (at != edge).reshape(-1, *(1,) * (n.ndim - 1 - axis))
    return jnp.where(keep, jnp.roll(n, by, axis), 0)
