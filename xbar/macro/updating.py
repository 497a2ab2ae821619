"""Cells that are written again: pulses, re-programming, waiting."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from devices import Cells
from devices.device import not_above
from xbar.macro.disturbing import Selection, disturbed, read_often, unselected
from xbar.macro.layout import beside_rows, to_cells
from xbar.macro.partition import Partition
from xbar.macro.programming import line_keys, product_with_ones, stored
from xbar.macro.reading import drift_gain, magnitudes, per_tile_or_column, settle
from xbar.macro.sharding import BY_TILE, CELLS
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile


def wait(
    tile: Tile, array: ProgrammedArray, t: Float[Array, ""], reads: Float[Array, ""] | float = 0.0
) -> ProgrammedArray:
    """The array `t` [s] later, each of its cells read `reads` times."""
    array = dataclasses.replace(array, cells=tile.device.wait(array.cells, t))
    return array if isinstance(reads, float) and reads == 0 else read_often(tile, array, jnp.asarray(reads))


def pulse(
    tile: Tile,
    array: ProgrammedArray,
    part: Partition,
    n: Num[Array, "cells groups k n"],
    t: Float[Array, ""],
    key: PRNGKeyArray,
    *,
    most: int,
    select: Selection = "transistor",
) -> ProgrammedArray:
    """`n` pulses to each cell of each weight, `t` [s] after the cells were last returned; none to other cells.

    Args:
        select: what other cells see of the pulses.

    What is subtracted where inputs are offset changes by as much as the product with ones.
    """
    counts = to_cells(n, part, array.cells.g.shape[-1] - part.used_cols)
    pulsed = pulse_cells(tile, array, part, counts, t, key, most=most)
    if tile.device.disturb is not None:
        n = counts.astype(array.cells.g.dtype)
        worth = unselected(jnp.maximum(n, 0), jnp.maximum(-n, 0), select, tile.device.disturb)
        pulsed = disturbed(tile, pulsed, worth)
    if array.ones is not None:
        first, ones = jnp.asarray(tile.device.first_time, t.dtype), functools.partial(product_with_ones, tile, part)
        before = ones(tile.device.conductance(array.cells, jnp.maximum(t, first)), array.code)
        after = ones(tile.device.conductance(pulsed.cells, first), array.code)
        pulsed = dataclasses.replace(pulsed, ones=array.ones + (after - before))
    return dataclasses.replace(pulsed, reference=_renewed_reference(tile, part, array, pulsed, t))


def pulse_cells(
    tile: Tile,
    array: ProgrammedArray,
    part: Partition,
    counts: Num[Array, "cells blocks row_tiles rows col_tiles lines"],
    t: Float[Array, ""],
    key: PRNGKeyArray,
    *,
    most: int,
    trusted: bool = False,
) -> ProgrammedArray:
    """`counts` pulses to each cell, `t` [s] after the cells were last returned.

    Args:
        trusted: whether no cell can get more than `most`.
    """
    how: dict[str, Any] = dict(t=t, most=most, trusted=trusted)
    if tile.spread and not trusted:  # devices check nothing on their own: what is wrong with one is wrong with all
        how = dict(t=not_above(t, counts, most), most=most, trusted=True)
    one = lambda cells, n, k: tile.device.pulse(cells, n, key=k, **how)  # noqa: E731
    return dataclasses.replace(array, cells=_by_line(tile, one, array.cells, counts, part, key))


def reprogram(
    tile: Tile,
    array: ProgrammedArray,
    part: Partition,
    w: Float[Array, "groups k n"],
    rows: Bool[Array, " k"],
    t: Float[Array, ""],
    key: PRNGKeyArray,
) -> ProgrammedArray:
    """Rewrites the `rows` of matrices on an array, `t` [s] after its cells were last returned.

    Raises:
        RuntimeError: if some rows, and not all, are written with weights for which the scale of a column would have to change.
    """
    targets, code = tile.mapping.encode(part.split(w), tile.device.g_min, tile.device.g_max)
    code = jax.tree.map(lambda leaf: beside_rows(leaf) if leaf.ndim >= 5 else leaf, code)
    whole, none = jnp.all(rows), ~jnp.any(rows)
    same = [jnp.allclose(a, b, rtol=1e-5) for a, b in zip(*map(jax.tree.leaves, (code, array.code)), strict=True)]
    whole = eqx.error_if(  # of a scalar: what passes a check passes through one device
        whole,
        ~(whole | none | jnp.all(jnp.stack(same))),
        "reprogram: with these weights in some rows the scale of a column changes, which all rows share. Write the "
        "whole layer, or weights that leave each column's largest magnitude as it is.",
    )
    code = jax.tree.map(lambda new, old: jnp.where(whole, new, old), code, array.code)
    cells = array.cells
    where = jnp.broadcast_to(rows[:, None], (len(cells.g), part.groups, part.k, part.n))
    hit = to_cells(where, part, cells.g.shape[-1] - part.used_cols) | whole  # then cells beyond the matrix as well
    one = lambda cells, x, k: tile.device.reprogram(cells, x[0], x[1], key=k, t=t)  # noqa: E731
    cells = _by_line(tile, one, cells, (beside_rows(targets), hit), part, key)
    ones = array.ones
    if ones is not None:
        ones = jnp.where(none, ones, product_with_ones(tile, part, beside_rows(targets), code))
    written = dataclasses.replace(array, code=code, cells=cells, ones=ones)
    return dataclasses.replace(written, reference=_renewed_reference(tile, part, array, written, t, rows))


def retarget(
    tile: Tile,
    array: ProgrammedArray,
    part: Partition,
    targets: Float[Array, "cells blocks row_tiles rows col_tiles lines"],
    where: Bool[Array, "cells blocks row_tiles rows col_tiles lines"],
    t: Float[Array, ""],
    key: PRNGKeyArray,
) -> ProgrammedArray:
    """Writes the cells in `where` to `targets` [S], `t` [s] after the array's cells were last returned; its code stays."""
    one = lambda cells, x, k: tile.device.reprogram(cells, x[0], x[1], key=k, t=t)  # noqa: E731
    written = dataclasses.replace(array, cells=_by_line(tile, one, array.cells, (targets, where), part, key))
    return dataclasses.replace(written, reference=_renewed_reference(tile, part, array, written, t))


def _renewed_reference(
    tile: Tile,
    part: Partition,
    old: ProgrammedArray,
    new: ProgrammedArray,
    t: Float[Array, ""],
    rows: Bool[Array, " k"] | None = None,
) -> Array | None:
    """The reference for drift compensation [S], read again once an array has been rewritten `t` [s] after it was returned.

    Else the gain would take the change of the weights for drift. Rows that are programmed anew start without a gain, like
    a new chip. All others keep the gain that they have, so that it makes up for the drift before and after.

    Args:
        rows: that are programmed anew; None: none.
    """
    reference = old.reference
    if reference is None:
        return None
    first = jnp.asarray(tile.device.first_time, t.dtype)
    before, after = settle(tile, old, jnp.maximum(t, first), part), settle(tile, new, first, part)
    gain = drift_gain(reference, before.readout)
    read_out = lambda x: per_tile_or_column(jnp.sum(x, (0, 3)), reference)  # noqa: E731
    if rows is None:
        return (gain * read_out(magnitudes(after.net, part))).astype(reference.dtype)
    anew = part.split_inputs(jnp.broadcast_to(rows, (part.groups, 1, part.k)).astype(t.dtype))
    anew = jnp.swapaxes(anew, -1, -2)[None, ..., None] > 0  # [1, block, row tile, row, 1, 1]
    fresh = read_out(jnp.where(anew, magnitudes(after.net, part), 0))
    kept = read_out(jnp.where(anew, 0, magnitudes(before.net, part)))
    return (fresh + jnp.where(kept > 0, gain * kept, 0)).astype(reference.dtype)


def _by_line(tile: Tile, f: Callable, cells: Cells, values: Any, part: Partition, key: PRNGKeyArray) -> Cells:
    """`f` of the cells and values of every word line, each with a key made from its place."""
    shape = cells.g.shape
    age = None if cells.age is None else jnp.broadcast_to(cells.age, shape)
    cells = dataclasses.replace(cells, age=age)
    keys = line_keys(key, part, shape[0]).reshape(*shape[:3], shape[4], shape[3])

    def write(cells, values, keys):
        tiled = jax.tree.map(_lines, cells), jax.tree.map(_lines, values)
        found = jax.vmap(lambda *line: stored(tile.device, f(*line)))(*tiled, keys.reshape(-1))
        back = lambda leaf: jnp.swapaxes(leaf.reshape(*keys.shape, *leaf.shape[1:]), 3, 4)  # noqa: E731
        return jax.tree.map(back, found)

    if tile.sharding is not None:
        write = tile.sharding.each_device(write, (CELLS, CELLS, BY_TILE), CELLS)
    return write(cells, values, keys)


def _lines(leaf: Array) -> Array:
    """[cell, block, row tile, row, column tile, column, ...] -> [line, column, ...]."""
    leaf = jnp.swapaxes(leaf, 3, 4)
    return leaf.reshape(-1, *leaf.shape[5:])
