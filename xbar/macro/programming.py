"""Programming one weight matrix onto its tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Var
from jaxtyping import Array, Float, Key, PRNGKeyArray

from devices import Device
from xbar.macro.partition import Partition
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile

AT_ONCE = 2**16  # cells that are programmed together: enough to fill vector units, few enough for the cache


def program(
    tile: Tile, w: Float[Array, "groups k n"], *, key: PRNGKeyArray, straight_through: bool = False
) -> ProgrammedArray:
    """Programs one stack of matrices.

    Each word line of each tile draws from a key of its own, made from its place (block, tile row, tile column, cell,
    row), so many numbers as it has columns: a chip does not depend on padding, on what else is programmed, or on the dtype.

    Args:
        straight_through: derivatives by the weights are those of ideal cells at a fixed scale, whatever the device
            and the wires made of them.
    """
    part = tile.partition(*w.shape)
    weights = part.split(w)
    fixed = lax.stop_gradient(weights) if straight_through else weights
    device, mapping = tile.device, tile.mapping
    targets, code = mapping.encode(fixed, device.g_min, device.g_max)
    lines = targets.reshape(-1, targets.shape[-1])  # cell x block x row tile x column tile x row, column
    one = lambda line: device.program(line[0], key=line[1])  # noqa: E731
    keys = line_keys(key, part, targets.shape[0])
    cells = _in_turns(one, (lines, keys), lines.shape[-1], _draws(device, lines.dtype))
    lead = targets.shape[:-1]
    code = jax.tree.map(_beside_rows, code)
    residual = ones = None
    if straight_through:
        residual = _zeros_like_with_slope(_beside_rows(mapping.net(weights, device.g_min, device.g_max, code)))
    if tile.dac.negative == "offset":
        ones = ideal_ones(tile, part, targets, code)
    cells = jax.tree.map(lambda leaf: _beside_rows(leaf.reshape(*lead, *leaf.shape[1:]), len(lead)), cells)
    return ProgrammedArray(cells, code, residual=residual, ones=ones)


def ideal_ones(
    tile: Tile, part: Partition, targets: Float[Array, "cells blocks row_tiles col_tiles rows lines"], code: Any
) -> Float[Array, "blocks row_tiles 1 col_tiles cols"]:
    """The product with 1 on every word line in use, if all cells were on target."""
    driven = part.rows_in_use().astype(targets.dtype)  # [block, row tile, 1, row]
    current = jnp.sum(_beside_rows(targets) * jnp.swapaxes(driven, -1, -2)[..., None], 3, keepdims=True)
    total = jnp.sum(driven, -1)[..., None, None]
    return tile.mapping.decode(tile.mapping.combine(current, code), total, code)


@jax.custom_jvp
def _zeros_like_with_slope(x: Array) -> Array:
    """Zeros that have the derivative of `x`."""
    return jnp.zeros_like(x)


_zeros_like_with_slope.defjvp(lambda primals, tangents: (jnp.zeros_like(primals[0]), tangents[0]))


def _beside_rows(leaf: Array, lead: int | None = None) -> Array:
    """`[..., column tile, row, column, ...] -> [..., row, column tile, column, ...]`; arrays without these axes stay.

    Args:
        lead: number of axes up to and including that of rows, where others than that of columns follow.
    """
    if lead is not None:
        return jnp.swapaxes(leaf, lead - 2, lead - 1)
    return jnp.swapaxes(leaf, -3, -2) if leaf.ndim >= 5 else leaf


def _in_turns(f: Callable, xs: Any, cells: int, draws: bool) -> Any:
    """`jax.vmap(f)(xs)`, in a loop over equal parts of at most `AT_ONCE` cells if it draws.

    What a loop returns exists once. Outside of one, XLA repeats draws and laws in every piece of code that uses them, most
    of all in derivatives (on a CPU it looks through optimization barriers).
    """
    count = len(jax.tree.leaves(xs)[0])
    together = next(n for n in range(count, 0, -1) if count % n == 0 and (n * cells <= AT_ONCE or n == 1))
    return lax.map(f, xs, batch_size=together) if draws and together < count else jax.vmap(f)(xs)


def _draws(device: Device, dtype) -> bool:
    """Whether programming a cell depends on its key."""
    program = lambda key: device.program(jnp.full(1, device.g_min, dtype), key=key)  # noqa: E731
    traced = jax.make_jaxpr(program)(jax.random.key(0)).jaxpr
    random = set(traced.invars)
    for eqn in traced.eqns:
        if any(isinstance(v, Var) and v in random for v in eqn.invars):
            random.update(eqn.outvars)
    return any(v in random for v in traced.outvars if isinstance(v, Var))


def line_keys(key: PRNGKeyArray, part: Partition, cells: int) -> Key[Array, " lines"]:
    """One key for each word line: cell x block x row tile x column tile x row, a function of its place only."""
    block = stacked_keys(key, part.blocks)
    row, col = jnp.meshgrid(jnp.arange(part.row_tiles), jnp.arange(part.col_tiles), indexing="ij")
    tile = _fold_each(block, (row * 2**16 + col).ravel())
    cell, line = jnp.meshgrid(jnp.arange(cells), jnp.arange(part.used_rows), indexing="ij")
    keys = _fold_each(tile, (cells * line + cell).ravel()).reshape(-1, cells, part.used_rows)
    return jnp.moveaxis(keys, 1, 0).reshape(-1)


def stacked_keys(key: PRNGKeyArray, n: int) -> Key[Array, " n"]:
    """`n` keys; the first ones do not depend on `n`."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


def _fold_each(keys: Key[Array, " keys"], places: Array) -> Key[Array, " more"]:
    return jax.vmap(lambda k: jax.vmap(lambda i: jax.random.fold_in(k, i))(places))(keys).reshape(-1)
