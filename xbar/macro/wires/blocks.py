"""All transfer conductances of a tile with resistive wires at once: blocks of cells, joined two by two.

A word line is cut at the left and at the right of a block, a bit line at its bottom and at its top. Given the voltages `v`
at left and bottom and the currents `i` that leave at right and top, the others follow:

$$ i_l = i_r + k_l, \\quad v_r = v_l + k_r, \\quad i_b = i_t + k_b, \\quad v_t = v_b + k_t, \\quad
   k = K (v_l, i_r, v_b, i_t) $$

K is symmetric. The contribution of the wires alone is left out of it, so that it is small and little is lost to
rounding, and nothing in it is infinite for wires of 0 ohm or cells of 0 S.
"""

from __future__ import annotations

import functools
import math
from itertools import combinations_with_replacement

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

BLOCK = 8  # cells along a side of the first blocks: larger ones take longer to solve, smaller ones to join
PANEL = 16  # columns that are eliminated together
INVERTED_AT_ONCE = 2**15  # numbers of all matrices that are inverted together
SIDES = "lrbt"
Whole = dict[str, Float[Array, "_ _"]]  # the parts of K: "ll", "lr", ... "tt"
Blocks = dict[str, Float[Array, "_ _ _ _"]]  # of a grid of equal blocks


@jax.jit
def joined(g: Float[Array, "rows cols"], r: Float[Array, " cols"], c: Float[Array, " rows"]) -> Whole:
    """K of a whole tile by parts, such as "lb" for left and bottom; padding makes it a little larger than the tile.

    `O(rows cols (rows + cols))` operations in `log2(rows cols)` steps.

    Args:
        g: cells [S], rows from the bottom up. r, c: resistances of the segments to the left of each column and below each
            row [ohm].
    """
    rows, cols = (_halvings(n) for n in g.shape)
    size = tuple(math.ceil(n / 2**k) for n, k in zip(g.shape, (rows, cols), strict=True))
    pad = [(0, s * 2**k - n) for n, s, k in zip(g.shape, size, (rows, cols), strict=True)]
    g, r, c = jnp.pad(g, pad), jnp.pad(r, pad[1]), jnp.pad(c, pad[0])
    cells = jnp.swapaxes(g.reshape(2**rows, size[0], 2**cols, size[1]), 1, 2)
    k = _by_sides(_smallest_blocks(cells, r.reshape(2**cols, size[1]), c.reshape(2**rows, size[0])), *size)
    while rows or cols:
        if cols and (not rows or k["bb"].shape[-1] <= k["ll"].shape[-1]):
            k, cols = _joined_horizontally(k), cols - 1
        else:
            k, rows = _joined_vertically(k), rows - 1
    return {name: part[0, 0] for name, part in k.items()}


@functools.partial(jax.jit, static_argnums=1)
def closed(k: Whole, side: str, ohm: Float[Array, ""]) -> Whole:
    """K of the other sides once each line's end at the far `side` is tied, through `ohm` above 0, to the voltage at
    which its near end is held. The currents of both ends of a line are then summed. Far ends that are not closed are
    open."""
    others = [s for s in SIDES if s != side and s + s in k]
    tied = inverse(ohm * jnp.eye(k[side + side].shape[0], dtype=ohm.dtype) - k[side + side])
    moved = {s: _product(tied, part(k, side, s)) for s in others}
    return {
        a + b: part(k, a, b) + _product(part(k, a, side), moved[b]) for a, b in combinations_with_replacement(others, 2)
    }


def _halvings(n: int) -> int:
    return max(0, math.ceil(math.log2(n / BLOCK)))


@jax.custom_jvp
def _smallest_blocks(
    g: Float[Array, "grid_rows grid_cols p q"], r: Float[Array, "grid_cols q"], c: Float[Array, "grid_rows p"]
) -> Float[Array, "ports ports grid_rows grid_cols"]:
    """K of blocks of `p` x `q` cells."""
    return _cell_by_cell(g, r, c)


@_smallest_blocks.defjvp
def _(primals, tangents):
    """For a cell `dK = a a^T dg`, for a segment `dK = -j j^T dr`: a is the voltage across the cell, j the current
    through the segment, for each given voltage or current."""
    g, r, c = primals
    *_, p, q = g.shape
    ports = 2 * (p + q)
    rows = _cell_by_cell(g, r, c, voltages=True)
    a = rows[ports:].reshape(p, q, ports, *g.shape[:2])
    drawn = jnp.moveaxis(g, (2, 3), (0, 1))[:, :, None] * a
    out = jnp.eye(ports, dtype=g.dtype)[..., None, None]
    word = out[p : 2 * p, None] + lax.cumsum(drawn, 1, reverse=True)
    bit = out[None, 2 * p + q :] - lax.cumsum(drawn, 0, reverse=True)
    moved = jnp.einsum("klxij,klyij,ijkl->xyij", a, a, tangents[0], precision=lax.Precision.HIGHEST)
    moved -= jnp.einsum("klxij,klyij,jl->xyij", word, word, tangents[1], precision=lax.Precision.HIGHEST)
    moved -= jnp.einsum("klxij,klyij,ik->xyij", bit, bit, tangents[2], precision=lax.Precision.HIGHEST)
    return rows[:ports], moved


def _cell_by_cell(g, r, c, voltages: bool = False) -> Float[Array, "rows ports grid_rows grid_cols"]:
    """K of blocks, a cell at a time, and the voltages across all cells if asked for.

    A segment of resistance r at the end of a line takes r from the part of K for that end. A cell g between the ends of a
    word and a bit line draws `i = g d x / (1 + g R)`, `d x` the voltage between these ends before, R the resistance of
    the lines to them; what depends on the currents at the two ends changes by as much.
    """
    *grid, p, q = g.shape
    ports = 2 * (p + q)
    cells = jnp.moveaxis(g.reshape(*grid, p * q), 2, 0)

    def attach(rows, at):
        number, cell = at
        row, col = number // q, number % q
        left, right, bottom, top = row, p + row, 2 * p + col, 2 * p + q + col
        rows = rows.at[right, right].add(-r[None, :, col]).at[top, top].add(-c[:, None, row])
        by = rows[:, right] - rows[:, top]
        lines = by[top] - by[right]
        by = by.at[left].add(1).at[bottom].add(-1)
        share = 1 / (1 + cell * lines)
        rows = rows + by[:, None] * (cell * share * by[:ports])
        return rows.at[ports + number].set(share * by[:ports]) if voltages else rows, None

    start = jnp.zeros((ports + (p * q if voltages else 0), ports, *grid), g.dtype)
    return lax.scan(attach, start, (jnp.arange(p * q), cells))[0]


def _by_sides(whole: Float[Array, "_ _ grid_rows grid_cols"], p: int, q: int) -> Blocks:
    ends = (0, p, 2 * p, 2 * p + q, 2 * (p + q))
    at = {side: slice(*ends[n : n + 2]) for n, side in enumerate(SIDES)}
    whole = jnp.moveaxis(whole, (0, 1), (2, 3))
    return {a + b: whole[..., at[a], at[b]] for a, b in combinations_with_replacement(SIDES, 2)}


@jax.checkpoint
def _joined_horizontally(k: Blocks) -> Blocks:
    """Each block joined with its right neighbour."""
    return _join({n: x[:, 0::2] for n, x in k.items()}, {n: x[:, 1::2] for n, x in k.items()}, "l", "r", "bt")


@jax.checkpoint
def _joined_vertically(k: Blocks) -> Blocks:
    """Each block joined with the one above it."""
    return _join({n: x[0::2] for n, x in k.items()}, {n: x[1::2] for n, x in k.items()}, "b", "t", "lr")


def _join(one: Blocks, two: Blocks, near: str, far: str, others: str) -> Blocks:
    """Blocks `one` whose `far` sides meet the `near` sides of the blocks `two`.

    At the cut, `one` is a source behind resistances R, `two` a load of admittances Y: `v = a - R i`, `i = b + Y v`. Both are
    of networks of resistors, so no eigenvalue of `1 + R Y` is below 1, whatever the blocks hold.
    """
    resistance, load = -one[far + far], two[near + near]
    identity = jnp.eye(load.shape[-1], dtype=load.dtype)
    parallel = _product(inverse(identity + _product(resistance, load)), resistance)  # source and load in parallel
    behind = load - _product(load, _product(parallel, load))  # the load behind the source's resistance
    source = {s: part(one, far, s) for s in near + others}
    source[near] += identity
    injected = {s: part(two, near, s) for s in far + others}  # current at the cut by the sides of `two`
    demanded = injected | {far: injected[far] + identity}
    drawn = {s: _product(behind, x) for s, x in source.items()}
    absorbed = {s: _product(parallel, x) for s, x in demanded.items()}
    passed = {s: injected[s] - _product(load, x) for s, x in absorbed.items()}

    def within_one(a, b):
        return part(one, a, b) + _product(_transposed(source[a]), drawn[b])

    def within_two(a, b):
        return part(two, a, b) - _product(_transposed(demanded[a]), absorbed[b])

    def across(a, b):
        return _product(_transposed(source[a]), passed[b]) + (part(one, a, far) if b == far else 0)

    def both_sides(a, b):
        if a == b == near:
            return within_one(a, b)
        if a == b == far:
            return within_two(a, b)
        if a == near and b == far:
            return across(a, b)
        if a == near:
            return jnp.concatenate([within_one(a, b), across(a, b)], -1)
        if a == far:
            return jnp.concatenate([_transposed(across(b, a)), within_two(a, b)], -1)
        rows = [
            jnp.concatenate(x, -1)
            for x in ((within_one(a, b), across(a, b)), (_transposed(across(b, a)), within_two(a, b)))
        ]
        return jnp.concatenate(rows, -2)

    order = near + far + others
    return {a + b: both_sides(a, b) for a, b in combinations_with_replacement(order, 2)}


@jax.custom_jvp
def inverse(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Inverses of positive definite matrices and of `1 + R Y`, by Gauss-Jordan elimination in place, without pivoting.

    For `1 + R Y`, with R and Y resistances and admittances of networks, the first pivot is at least 1, as Y is
    diagonally dominant and R is largest on its diagonal; no later one was seen below 1, from 0 to 100 kohm, with cells
    of up to 1 S.

    Not by LAPACK: two of its batched calls can wait for each other forever (jaxlib 0.10, two cores).
    """
    n = a.shape[-1]
    flat = a.reshape(-1, n, n)
    return lax.map(_eliminated, flat, batch_size=max(1, INVERTED_AT_ONCE // n**2)).reshape(a.shape)


@inverse.defjvp
def _(primals, tangents):
    (a,), (moved,) = primals, tangents
    found = inverse(a)
    return found, -_product(found, _product(moved, found))


def _eliminated(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    n = panel = a.shape[0]
    if n == 1:
        return 1 / a
    while panel > PANEL and panel % 2 == 0:
        panel //= 2
    panel = 1 if panel == n else panel
    eye = jnp.eye(n, dtype=a.dtype)

    def step(k, a):
        at = k * panel
        column = lax.dynamic_slice_in_dim(a, at, panel, 1)
        unit = lax.dynamic_slice_in_dim(eye, at, panel, 1)
        pivot = _eliminated(lax.dynamic_slice_in_dim(column, at, panel, 0))
        a = lax.dynamic_update_slice_in_dim(a, unit, at, 1)
        row = _product(pivot, lax.dynamic_slice_in_dim(a, at, panel, 0))
        others = lax.dynamic_update_slice_in_dim(column, jnp.zeros_like(pivot), at, 0)
        return lax.dynamic_update_slice_in_dim(a - _product(others, row), row, at, 0)

    return lax.fori_loop(0, n // panel, step, a)


def part(k: Whole | Blocks, a: str, b: str) -> Array:
    """The part of K for two sides, in whichever order it is kept."""
    return k[a + b] if a + b in k else _transposed(k[b + a])


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _transposed(a: Array) -> Array:
    return jnp.swapaxes(a, -1, -2)
