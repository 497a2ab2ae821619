"""Programming weight matrices onto their tiles."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Var
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from devices import Cells, Device
from devices.random import DRAW
from xbar.macro.layout import beside_rows
from xbar.macro.partition import Partition
from xbar.macro.reading import settled
from xbar.macro.sharding import BY_TILE, CELLS
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile

AT_ONCE = 2**16  # cells that are programmed together: enough to fill vector units, few enough for the cache


class Job(NamedTuple):
    """One stack of matrices to be programmed.

    Args:
        tile: the macro. w: the matrices. key: decides their devices; one for each matrix of a stack.
    """

    tile: Tile
    w: Float[Array, "*stack groups k n"]
    key: PRNGKeyArray


class _Targets(NamedTuple):
    """What is written to the cells of a job's tiles, and what the periphery keeps for reading them."""

    conductance: Float[Array, "*stack cells blocks row_tiles col_tiles rows lines"]
    keys: Any  # of lines, as `line_keys` gives them; None: not yet there
    code: Any
    residual: Array | None
    ones: Array | None


def program(
    tile: Tile, w: Float[Array, "groups k n"], *, key: PRNGKeyArray, straight_through: bool = False
) -> ProgrammedArray:
    """Programs one stack of matrices; see `program_all`."""
    return program_all([Job(tile, w, key)], straight_through=straight_through)[0]


def program_all(
    jobs: Sequence[Job], *, straight_through: bool = False, times: Sequence[Float[Array, ""]] | None = None
) -> list[ProgrammedArray]:
    """Programs many matrices, all word lines of one device in one loop, whatever they belong to: it is compiled once.

    Each word line of each tile draws from a key of its own, made from its place (block, tile row, tile column, cell,
    row), as many numbers as it has columns: a chip does not depend on padding, on what else is programmed, or on the
    dtype.

    Args:
        straight_through: derivatives with respect to the weights are those of ideal cells at a fixed scale, whatever
            the device and the wires made of them.
        times: for each job, the only time since programming at which its cells will be read [s]: nothing else of them
            is kept. Derivatives then recompute the laws from the same draws, which are kept. None keeps the cells.
    """
    joint = bool(jobs) and all(job.tile.sharding is None for job in jobs)
    make = lambda tile, w, key: _targets(tile, w, None if joint else key, straight_through)  # noqa: E731
    targets = [_each(functools.partial(make, job.tile), job) for job in jobs]
    if joint:
        targets = [t._replace(keys=k) for t, k in zip(targets, _keys_of_lines(jobs, targets), strict=True)]
    parts = [job.tile.partition(*job.w.shape[-3:]) for job in jobs]
    found: dict[int, Any] = {}
    for members in _alike(jobs, targets):
        tile = jobs[members[0]].tile
        own = [None if times is None else times[i] for i in members]
        written = _write_everywhere(tile, [targets[i] for i in members], own)
        found.update(zip(members, written, strict=True))
    arrays = []
    for i, (job, part, target) in enumerate(zip(jobs, parts, targets, strict=True)):
        array = ProgrammedArray(None, target.code, residual=target.residual, ones=target.ones)
        if times is None:
            array = dataclasses.replace(array, cells=found[i])
        else:
            settle = lambda a, g, v, tile=job.tile, part=part: settled(tile, a, g, v, part)  # noqa: E731
            for _ in job.w.shape[:-3]:
                settle = jax.vmap(settle)
            array = dataclasses.replace(array, settled=settle(array, *found[i]))
        arrays.append(array)
    return arrays


def _each(f: Callable, job: Job) -> Any:
    for _ in job.w.shape[:-3]:
        f = jax.vmap(f)
    return f(job.w, job.key)


def _targets(tile: Tile, w: Float[Array, "groups k n"], key: PRNGKeyArray | None, straight_through: bool) -> _Targets:
    part = tile.partition(*w.shape)
    weights = part.split(w)
    fixed = lax.stop_gradient(weights) if straight_through else weights
    device, mapping = tile.device, tile.mapping
    targets, by_tile = _encode(tile, fixed)
    code = jax.tree.map(lambda leaf: beside_rows(leaf) if leaf.ndim >= 5 else leaf, by_tile)
    residual = ones = None
    if straight_through:
        net = mapping.net(weights, device.g_min, device.g_max, by_tile)
        residual = _zeros_like_with_slope(beside_rows(net))
        if tile.sharding is not None:
            residual = tile.sharding.keep(residual, CELLS)
    if tile.dac.negative == "offset":
        ones = product_with_ones(tile, part, beside_rows(targets), code)
    keys = None if key is None else line_keys(key, part, targets.shape[0])
    return _Targets(targets, keys, code, residual, ones)


def encoded(tile: Tile, w: Float[Array, "groups k n"], key: PRNGKeyArray) -> tuple[Array, Key[Array, " lines"]]:
    """Targets of all cells of one stack of matrices [S], and a key for each of their word lines."""
    targets = _targets(tile, w, None, False).conductance
    return targets, line_keys(key, tile.partition(*w.shape), targets.shape[0])


def _encode(tile: Tile, weights: Float[Array, "blocks row_tiles col_tiles rows cols"]) -> tuple[Array, Any]:
    """Targets of the cells, and what the mapping needs to read them; by each device for its own tiles."""

    def encode(tile: Tile, w: Array) -> tuple[Array, Any]:
        targets, code = tile.mapping.encode(w, tile.device.g_min, tile.device.g_max)
        return targets, jax.tree.map(jnp.asarray, code)  # a mapping may give plain numbers

    if tile.sharding is None:
        return encode(tile, weights)
    of_tile = lambda leaf: "." * (leaf.ndim - 5) + "bij" if leaf.shape[-5:-2] == weights.shape[:3] else ""  # noqa: E731
    out = jax.tree.map(of_tile, jax.eval_shape(encode, tile, weights))
    return tile.sharding.each_device(encode, ("", "bij"), out)(tile, weights)


def _alike(jobs: Sequence[Job], targets: Sequence[_Targets]) -> list[list[int]]:
    """Jobs whose lines are written in one loop: those of one device and width. Narrow ones join wider ones if that adds less
    than one iteration of the loop. Where nothing is drawn there is no loop, and every job is on its own."""
    groups: list[list[int]] = []
    order = sorted(range(len(jobs)), key=lambda i: -targets[i].conductance.shape[-1])
    for i in order:
        size, width = targets[i].conductance.size, targets[i].conductance.shape[-1]
        for group in groups:
            first = group[0]
            wide = targets[first].conductance.shape[-1]
            one, other = jobs[first].tile, jobs[i].tile
            same = one.device is other.device and one.read_time is other.read_time and one.sharding == other.sharding
            dtype = targets[i].conductance.dtype
            same = same and targets[first].conductance.dtype == dtype and _draws(other.device, dtype)
            if same and size * (wide - width) // width <= AT_ONCE:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _write_everywhere(tile: Tile, targets: Sequence[_Targets], times: Sequence[Array | None]) -> list[Any]:
    """`_write`; by each device on its own tiles, where they are spread over several.

    One loop over the lines of all devices would gather them on each.
    """
    sharding = tile.sharding
    if sharding is None:
        return _write(tile, targets, times)
    stacks = ["." * (t.conductance.ndim - 6) for t in targets]
    values = [(t.conductance, t.keys.reshape(t.conductance.shape[:-1])) for t in targets]

    def own(tile, times, *values):
        return _write(tile, [_Targets(g, k, None, None, None) for g, k in values], times)

    layouts = ("", "", *[stack + BY_TILE for stack in stacks])
    return sharding.each_device(own, layouts, [stack + CELLS for stack in stacks])(tile, list(times), *values)


def _write(tile: Tile, targets: Sequence[_Targets], times: Sequence[Array | None]) -> list[Any]:
    """Cells of each member, or their conductance and noise variance at its time, in the layout of `ProgrammedArray`."""
    device, width = tile.device, targets[0].conductance.shape[-1]

    def one(line, key, t):
        cells = device.program(line, key=key)
        if t is None:
            return stored(device, cells)
        variance = device.read_variance(cells, t, tile.bandwidth) if device.has_read_noise else None
        return device.conductance(cells, t), variance

    lines, keys, when = [], [], []
    for target, t in zip(targets, times, strict=True):
        flat = target.conductance.reshape(-1, target.conductance.shape[-1])
        missing = width - flat.shape[-1]
        lines.append(jnp.pad(flat, ((0, 0), (0, missing)), mode="edge") if missing else flat)
        keys.append(target.keys.reshape(-1))
        when.append(None if t is None else jnp.full(len(flat), t))
    together = lambda xs: xs[0] if len(xs) == 1 else jnp.concatenate(xs)  # noqa: E731
    at = None if when[0] is None else together(when)
    written = _in_turns(one, (together(lines), together(keys), at), width, _draws(device, lines[0].dtype))
    found, start = [], 0
    for target in targets:
        *lead, cols = target.conductance.shape
        stop = start + math.prod(lead)

        def mine(leaf, a=start, b=stop, lead=lead, cols=cols):
            return leaf[a:b, :cols].reshape(*lead, cols, *leaf.shape[2:])

        axis = len(lead) - 2
        found.append(jax.tree.map(lambda leaf, m=mine, axis=axis: jnp.swapaxes(m(leaf), axis, axis + 1), written))
        start = stop
    return found


def stored(device: Device, cells: Cells) -> Cells:
    """Cells as an array keeps them: without copies of a conductance, unless pulses may make what laws remember differ
    from it."""
    return cells.compact() if device.update is None else cells


def product_with_ones(
    tile: Tile, part: Partition, g: Float[Array, "cells blocks row_tiles rows col_tiles lines"], code: Any
) -> Float[Array, "blocks row_tiles 1 col_tiles cols"]:
    """The product of cells of conductance `g` [S] with 1 on every word line in use."""
    driven = part.rows_in_use().astype(g.dtype)  # [block, row tile, 1, row]
    current = jnp.sum(g * jnp.swapaxes(driven, -1, -2)[None, ..., None], 3, keepdims=True)
    total = jnp.sum(driven, -1)[..., None, None]
    return tile.mapping.decode(tile.mapping.combine(current, code), total, code)


def _zeros_like_with_slope(x: Array) -> Array:
    """Zeros that have the derivative of `x`."""
    return x - lax.stop_gradient(x)


def _in_turns(f: Callable, xs: Any, cells: int, draws: bool) -> Any:
    """`f` of every line, in a loop over equal parts of at most `AT_ONCE` cells if it draws.

    What a loop returns is computed once. Outside of one, XLA repeats draws and laws in every piece of code that uses
    them, most of all in derivatives (on a CPU it looks through optimization barriers).
    """
    count = len(jax.tree.leaves(xs)[0])
    together = max(1, AT_ONCE // cells)
    every = jax.vmap(f, in_axes=(0, 0, None if xs[2] is None else 0))
    if not draws or count <= together:
        return every(*xs)
    turns = -(-count // together)
    together = -(-count // turns)
    whole = lambda x: jnp.concatenate([x, x[: turns * together - count]]) if turns * together > count else x  # noqa: E731
    parts = jax.tree.map(lambda x: _rearranged(x, whole).reshape(turns, together, *x.shape[1:]), xs)
    # derivatives recompute the laws from draws that are kept: all that lies between is ten times as much
    body = jax.checkpoint(lambda x: every(*x), policy=jax.checkpoint_policies.save_only_these_names(DRAW))
    done = lax.map(body, parts)
    return jax.tree.map(lambda x: x.reshape(turns * together, *x.shape[2:])[:count], done)


def _draws(device: Device, dtype) -> bool:
    """Whether programming a cell depends on its key."""
    program = lambda key: device.program(jnp.full(1, device.g_min, dtype), key=key)  # noqa: E731
    traced = jax.make_jaxpr(program)(jax.random.key(0)).jaxpr
    random = set(traced.invars)
    for eqn in traced.eqns:
        if any(isinstance(v, Var) and v in random for v in eqn.invars):
            random.update(eqn.outvars)
    return any(v in random for v in traced.outvars if isinstance(v, Var))


def _keys_of_lines(jobs: Sequence[Job], targets: Sequence[_Targets]) -> list[Key[Array, "*stack lines"]]:
    """`line_keys` of all jobs, with one fold for each level: every fold is a loop that has to be compiled."""
    impl = jax.random.key_impl(jobs[0].key)
    parts = [job.tile.partition(*job.w.shape[-3:]) for job in jobs]
    words = [
        jax.random.key_data(job.key).reshape(-1, *jax.random.key_data(job.key).shape[job.key.ndim :]) for job in jobs
    ]
    cells = [t.conductance.shape[-6] for t in targets]
    for places in (
        [jnp.arange(p.blocks) for p in parts],
        [_tile_places(p) for p in parts],
        [_line_places(p, n) for p, n in zip(parts, cells, strict=True)],
    ):
        words = _fold_all(words, places, impl)
    found = []
    for job, part, n, own in zip(jobs, parts, cells, words, strict=True):
        own = own.reshape(math.prod(job.key.shape), -1, n, part.used_rows, own.shape[-1])
        own = jnp.swapaxes(own, 1, 2).reshape(*job.key.shape, -1, own.shape[-1])
        found.append(jax.random.wrap_key_data(own, impl=impl))
    return found


def _fold_all(words: list[Array], places: list[Array], impl: Any) -> list[Array]:
    """The words of every key of a list folded with each of its places; of all lists in one call."""
    sizes = [len(w) * len(p) for w, p in zip(words, places, strict=True)]
    pairs = list(zip(words, places, strict=True))
    keys = jnp.concatenate(
        [jnp.broadcast_to(w[:, None], (len(w), len(p), w.shape[-1])).reshape(-1, w.shape[-1]) for w, p in pairs]
    )
    at = jnp.concatenate([jnp.broadcast_to(p, (len(w), len(p))).reshape(-1) for w, p in pairs])
    folded = jax.random.key_data(jax.vmap(jax.random.fold_in)(jax.random.wrap_key_data(keys, impl=impl), at))
    return jnp.split(folded, np.cumsum(sizes)[:-1].tolist())


def line_keys(key: PRNGKeyArray, part: Partition, cells: int) -> Key[Array, " lines"]:
    """One key for each word line: cell x block x row tile x column tile x row, a function of its place only."""
    block = stacked_keys(key, part.blocks)
    tile = _fold_each(block, _tile_places(part))
    keys = _fold_each(tile, _line_places(part, cells)).reshape(-1, cells, part.used_rows)
    return _rearranged(keys, lambda x: jnp.moveaxis(x, 1, 0)).reshape(-1)


def _tile_places(part: Partition) -> Int[Array, " tiles"]:
    row, col = jnp.meshgrid(jnp.arange(part.row_tiles), jnp.arange(part.col_tiles), indexing="ij")
    return (row * 2**16 + col).ravel()


def _line_places(part: Partition, cells: int) -> Int[Array, " lines"]:
    cell, line = jnp.meshgrid(jnp.arange(cells), jnp.arange(part.used_rows), indexing="ij")
    return (cells * line + cell).ravel()


def stacked_keys(key: PRNGKeyArray, n: int) -> Key[Array, " n"]:
    """`n` keys; the first ones do not depend on `n`."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


def keys_of_stack(key: PRNGKeyArray, lengths: Sequence[int]) -> Key[Array, "*stack"]:
    """A key for each matrix of a stack, whose axes have these lengths; the key itself where there is no stack."""
    for length in lengths:
        key = jax.vmap(lambda k, n=length: stacked_keys(k, n))(key.reshape(-1)).reshape(*key.shape, length)
    return key


def _rearranged(x: Array, move: Callable[[Array], Array]) -> Array:
    """`move(x)`; of keys via their words, because JAX's check for reused keys takes moved keys for used ones."""
    if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return move(x)
    return jax.random.wrap_key_data(move(jax.random.key_data(x)), impl=jax.random.key_impl(x))


def _fold_each(keys: Key[Array, " keys"], places: Array) -> Key[Array, " more"]:
    return jax.vmap(lambda k: jax.vmap(lambda i: jax.random.fold_in(k, i))(places))(keys).reshape(-1)
