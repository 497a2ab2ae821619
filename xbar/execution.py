"""What all layers of a chip do in one call: each function here is one compiled program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from xbar.graph.nodes import Context, Layer, Plan, Traced
from xbar.macro.partition import Partition
from xbar.macro.programming import stacked_keys
from xbar.macro.reading import freeze, read, read_in_turn, settle
from xbar.macro.state import ProgrammedArray, Signals
from xbar.macro.tile import Tile
from xbar.macro.updating import wait

Watch = Callable[[int, Tile, ProgrammedArray, Signals], Any]


def run_layers(traced: Traced, mapped: frozenset[int]) -> Callable[..., tuple[list[Any], dict[int, Any]]]:
    """The compiled call of a trace: `(watch, merge, cells, inputs, captured, key) -> outputs, what was seen`. It is
    freed with the trace."""
    make = lambda: jax.jit(functools.partial(_run, traced.pruned(mapped), traced.layers), static_argnums=(0, 1))  # noqa: E731
    return traced.kept(("run", mapped), make)


def _run(
    plan: Plan, layers: tuple[Layer, ...], watch: Watch | None, merge: Callable, cells: tuple, inputs, captured, key
) -> tuple[list[Any], dict[int, Any]]:
    arrays, tiles, times = cells
    if key is not None:
        arrays = with_frozen_noise(layers, tiles, arrays, times, key)

    def read_layer(i, array, product, x, noise, probe):
        n = product.sizes[2]
        if watch is None and product.turns > 1 and tiles[i].sharding is None:
            part = product.vectors_of(x)
            return read_in_turn(tiles[i], array, part, product.turns, n, t=times[i], key=noise), None
        y, signals = read(tiles[i], array, product.vectors(x), n, t=times[i], key=noise, watched=watch is not None)
        return y, None if watch is None or signals is None else watch(i, tiles[i], array, signals)

    scans = {i: x.scans for i, x in enumerate(layers)}
    return plan.run(inputs, key, Context(arrays, scans, read_layer, merge, captured))


def with_frozen_noise(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    times: dict[int, Array],
    key: PRNGKeyArray,
) -> dict[int, ProgrammedArray]:
    """The arrays with the noise that all reads of one call share, drawn once for each layer (and step of a stack)."""
    drawn = dict(arrays)
    for i, array in arrays.items():
        tile = tiles[i]
        if tile.read_noise != "frozen" or not tile.device.has_read_noise:
            continue
        part = tile.partition(*layers[i].product.sizes)
        draw = lambda a, k, i=i, tile=tile, part=part: freeze(tile, a, times[i], part, k)  # noqa: E731
        for _ in layers[i].lengths:
            draw = lambda a, k, inner=draw: jax.vmap(inner)(a, stacked_keys(k, len(jax.tree.leaves(a)[0])))  # noqa: E731
        own = jax.random.fold_in(jax.random.fold_in(key, 2**31 - 1), i)  # apart from the keys of reads
        drawn[i] = dataclasses.replace(array, frozen=draw(array, own))
    return drawn


@functools.partial(jax.jit, static_argnums=0)
def settle_layers(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    times: dict[int, Array],
) -> dict[int, ProgrammedArray]:
    settled = {}
    for i, array in arrays.items():
        part = tiles[i].partition(*layers[i].product.sizes)
        at = lambda a, i=i, part=part: settled_at(tiles[i], a, times[i], part)  # noqa: E731
        for _ in layers[i].lengths:
            at = jax.vmap(at)
        settled[i] = at(array)
    return settled


def settled_at(tile: Tile, array: ProgrammedArray, t: Array, part: Partition) -> ProgrammedArray:
    """The array at `t` [s] for many reads: of the cells only what a read meets is kept, if that is enough."""
    cells = array.cells if tile.needs_cells else None
    return dataclasses.replace(array, cells=cells, settled=array.settled or settle(tile, array, t, part))


@functools.partial(jax.jit, static_argnums=(0, 1))
def rewrite_layer(layer: Layer, rewrite: Callable, tile: Tile, array: ProgrammedArray, *values: Any) -> ProgrammedArray:
    """`rewrite(tile, array, part, *values)` of one layer; of each matrix of a stack, with values of its own."""
    part = tile.partition(*layer.product.sizes)
    one = lambda a, *v: rewrite(tile, a, part, *v)  # noqa: E731
    for _ in layer.lengths:
        one = jax.vmap(one)
    return one(array, *values)


def wait_layers(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    t: Array,
    reads: Array | float = 0.0,
) -> dict[int, ProgrammedArray]:
    """The arrays `t` [s] later, each of their cells read `reads` times."""
    later = {}
    for i, array in arrays.items():
        one = lambda a, i=i: wait(tiles[i], a, t, reads)  # noqa: E731
        for _ in layers[i].lengths:
            one = jax.vmap(one)
        later[i] = one(array)
    return later
