"""Weights around stuck cells: the partner of a stuck cell makes up for it, and lines with faults carry what suffers
least from them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from xbar.chip import Chip
from xbar.graph.stationary_weights import weights as matrices_of
from xbar.graph.tracing import flatten
from xbar.macro.layout import beside_rows
from xbar.macro.mappings import Differential
from xbar.macro.tile import Tile
from xbar.macro.updating import retarget


def program_around_faults(
    chip: Chip, params: Any, *inputs: Any, key: PRNGKeyArray, t: Float[Array, ""] | float = 0.0
) -> Chip:
    """Writes the partner of every stuck cell of a differential pair so that the pair holds its weight, if it can.

    $$ g^- \\leftarrow \\mathrm{clip}(g^+_{stuck} - d,\\ g_{min}, g_{max}), \\qquad
       g^+ \\leftarrow \\mathrm{clip}(g^-_{stuck} + d,\\ g_{min}, g_{max}), \\qquad d = g^+_T - g^-_T $$

    A cell is known to be stuck if it reads the same whether it is written low or high. Pairs of two stuck cells, and weights
    that the range does not reach, stay wrong.

    Args:
        chip: programmed, not taken at a time. params: what was programmed. inputs: example inputs.
        key: decides the write errors of partners. t: time since the chip was programmed [s]; all other cells age by it.

    Raises:
        ValueError: for a mapping other than `xbar.Differential`, or a wafer.

    Reference: Chen et al. 2017, 10.23919/DATE.2017.7926952, map around faults that are known; the use of the partner follows
    from the pair's equation.

    Breaks when: faults come later, by wear.
    """
    if chip.wafer:
        raise ValueError("program_around_faults: give one chip; for a wafer, use jax.vmap over its chips.")
    for i, tile in chip.tiles.items():
        if not isinstance(tile.mapping, Differential):
            kind = type(tile.mapping).__name__
            raise ValueError(
                f"program_around_faults: {chip.plan_layers[i].path} is mapped by {kind}; only cells of a "
                "Differential pair have partners."
            )
    traced, given = chip._traced(inputs)
    matrices = matrices_of(traced, flatten(params)[0], given.captured, frozenset(chip.arrays))
    for number, (i, w) in enumerate(matrices.items()):
        targets, where = _partners(chip, i, w)
        own = jax.random.fold_in(key, i)
        chip = chip._rewritten(i, retarget, (targets, where), t if number == 0 else 0.0, own)
    return chip


def _partners(chip: Chip, i: int, w: Float[Array, "*stack groups k n"]) -> tuple[Array, Array]:
    """Targets [S] of all cells of a layer, and which of them are to be written."""
    tile, array = chip.tiles[i], chip.arrays[i]
    one = lambda w, z: _around(tile, tile.partition(*chip.plan_layers[i].product.sizes).split(w), z)  # noqa: E731
    for _ in chip.plan_layers[i].lengths:
        one = jax.vmap(one)
    return one(w, array.cells.faults)


def _around(tile: Tile, w: Float[Array, "blocks row_tiles col_tiles rows cols"], z: Any) -> tuple[Array, Array]:
    device = tile.device
    targets = beside_rows(tile.mapping.encode(w, device.g_min, device.g_max)[0])
    low, high = (device.faults(jnp.full_like(targets, g), z) for g in (device.g_min, device.g_max))
    stuck = jnp.broadcast_to(low == high, targets.shape)
    wanted = targets[0] - targets[1]
    partner = jnp.stack([low[1] + wanted, low[0] - wanted])
    where = ~stuck & stuck[::-1]
    return jnp.where(where, jnp.clip(partner, device.g_min, device.g_max), targets), where


def line_order(w: Float[Array, "k n"], stuck: Bool[Array, "2 k n"], at: Float[Array, "2 k n"]) -> Int[np.ndarray, " k"]:
    """Which input each word line should carry so that stuck cells cost least: an optimal assignment.

    $$ \\min_\\pi \\sum_j \\sum_c \\bigl(w_{\\pi(j) c} - \\hat w_{\\pi(j) c}(j)\\bigr)^2 $$

    with `w^` the nearest weight that the pair of line j and column c can hold, its partner written around faults. Program
    `w[order]` and read it with `x[..., order]`: the product is the same.

    Args:
        w: weights in units of their column's scale, from -1 to 1. stuck: which cells of each pair (positive, negative) are
            stuck, by physical line. at: where [share of the conductance range], 0 to 1.

    Returns:
        `order`: line j carries input `order[j]`.

    Reference: Chen et al. 2017, 10.23919/DATE.2017.7926952 (large weights away from abnormal cells).

    Breaks when: most lines have faults in most columns: every order is then about as bad.
    """
    from scipy.optimize import linear_sum_assignment

    rows, dead, share = np.asarray(w, float), np.asarray(stuck), np.asarray(at, float)
    cost = np.stack([_held_errors(rows, dead[:, j], share[:, j]) for j in range(len(rows))])
    return linear_sum_assignment(cost)[1]


def _held_errors(w: np.ndarray, stuck: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Squared error of every row of weights on one line of pairs."""
    low = np.where(stuck[0], at[0], 0) - np.where(stuck[1], at[1], 1)
    high = np.where(stuck[0], at[0], 1) - np.where(stuck[1], at[1], 0)
    return np.sum((w - np.clip(w, low, high)) ** 2, -1)
