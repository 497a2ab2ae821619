"""Values of all cells of a matrix: from the shape of the matrix to that of its tiles, and back."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from xbar.macro.partition import Partition


def beside_rows(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`[..., column tile, row, column] -> [..., row, column tile, column]`."""
    return jnp.swapaxes(x, -3, -2)


def to_cells(
    values: Shaped[Array, "cells groups k n"], part: Partition, extra_cols: int = 0
) -> Shaped[Array, "cells blocks row_tiles rows col_tiles lines"]:
    """A value for each cell of each weight, in the layout of `ProgrammedArray`; 0 for all other cells.

    Args:
        extra_cols: lines of a tile besides those of its weights.
    """
    tiles = beside_rows(jnp.stack([part.split(v) for v in values]))
    return jnp.pad(tiles, [(0, 0)] * 5 + [(0, extra_cols)])


def from_cells(
    cells: Shaped[Array, "cells blocks row_tiles rows col_tiles lines"], part: Partition
) -> Shaped[Array, "cells groups k n"]:
    """The values of the cells of weights, as matrices."""
    cells = cells[..., : part.used_cols]
    blocks = cells.reshape(len(cells), part.blocks, part.row_tiles * part.used_rows, part.col_tiles * part.used_cols)
    blocks = blocks[:, :, : part.packed * part.k, : part.packed * part.n]
    own = blocks.reshape(len(cells), part.blocks, part.packed, part.k, part.packed, part.n)
    matrices = jnp.moveaxis(jnp.diagonal(own, axis1=2, axis2=4), -1, 2)  # of each group, its own rows and columns
    return matrices.reshape(len(cells), part.blocks * part.packed, part.k, part.n)[:, : part.groups]
