"""The tiles of a matrix: how a stack of matrices is cut, and how small ones share a tile."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

Pack = bool | Literal["in_turns"]


class Partition(eqx.Module):
    """The tiles of a stack of matrices: `groups` matrices of `k` inputs and `n` outputs on tiles of `rows` x `cols` weights.

    Tiles share rows and columns evenly, each filled from its first row and column on, so that no line is longer than it must
    be; with `fill`, rows fill one tile after the other. `used_rows` and `used_cols` are the part of each tile that is
    simulated; the last tiles may leave a few of these lines empty.

    With `packed` > 1 that many matrices share a tile, block-diagonally: each has rows and columns of its own, and the
    cells where the rows of one cross the columns of another hold 0. All of them are read at once. `blocks` is what is
    left to be cut into tiles: block-diagonal matrices of `packed k` inputs and `packed n` outputs.

    With `shared` > 1 that many blocks lie on one tile in the same way and are read one after the other: while one is,
    the word lines of the others carry no voltage, so that each is simulated as a tile of its own.
    """

    groups: int = eqx.field(static=True)
    k: int = eqx.field(static=True)
    n: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    cols: int = eqx.field(static=True)
    packed: int = eqx.field(static=True, default=1)
    shared: int = eqx.field(static=True, default=1)
    fill: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(cls, groups: int, k: int, n: int, rows: int, cols: int, pack: Pack, fill: bool = False) -> Partition:
        """The partition with the fewest tiles, and of these the one that shares groups evenly."""
        most = min(rows // k, cols // n, groups) if pack and k <= rows and n <= cols else 1
        blocks = -(-groups // max(most, 1))
        together = -(-groups // blocks)
        packed, shared = (1, together) if pack == "in_turns" else (together, 1)
        return cls(groups, k, n, rows, cols, packed, shared, fill)

    @property
    def blocks(self) -> int:
        return -(-self.groups // self.packed)

    @property
    def row_tiles(self) -> int:
        return -(-self.packed * self.k // self.rows)

    @property
    def col_tiles(self) -> int:
        return -(-self.packed * self.n // self.cols)

    @property
    def used_rows(self) -> int:
        return self.rows if self.fill and self.row_tiles > 1 else -(-self.packed * self.k // self.row_tiles)

    @property
    def used_cols(self) -> int:
        return -(-self.packed * self.n // self.col_tiles)

    @property
    def tiles(self) -> int:
        return -(-self.blocks // self.shared) * self.row_tiles * self.col_tiles

    @property
    def utilisation(self) -> float:
        """Share of the tiles' places that hold a weight."""
        return self.groups * self.k * self.n / (self.tiles * self.rows * self.cols)

    def split(self, w: Shaped[Array, "groups k n"]) -> Shaped[Array, "blocks row_tiles col_tiles rows cols"]:
        """Cuts matrices into tiles, padding with zeros."""
        if self.packed > 1:
            w = jnp.pad(w, ((0, self.blocks * self.packed - self.groups), (0, 0), (0, 0)))
            w = w.reshape(self.blocks, self.packed, self.k, self.n)
            own = jnp.eye(self.packed, dtype=bool)[:, None, :, None]
            w = jnp.where(
                own, w[:, :, :, None, :], jnp.zeros((), w.dtype)
            )  # block, group, row, group of the column, column
            w = w.reshape(self.blocks, self.packed * self.k, self.packed * self.n)
        pad_k = self.row_tiles * self.used_rows - w.shape[1]
        pad_n = self.col_tiles * self.used_cols - w.shape[2]
        w = jnp.pad(w, ((0, 0), (0, pad_k), (0, pad_n)))
        w = w.reshape(self.blocks, self.row_tiles, self.used_rows, self.col_tiles, self.used_cols)
        return jnp.moveaxis(w, 3, 2)

    def split_inputs(self, x: Float[Array, "groups vectors k"]) -> Float[Array, "blocks row_tiles vectors rows"]:
        """Cuts input vectors into the pieces that each row of tiles sees."""
        if self.packed > 1:
            x = jnp.pad(x, ((0, self.blocks * self.packed - self.groups), (0, 0), (0, 0)))
            x = jnp.moveaxis(x.reshape(self.blocks, self.packed, -1, self.k), 1, 2)
            x = x.reshape(self.blocks, -1, self.packed * self.k)
        x = jnp.pad(x, ((0, 0), (0, 0), (0, self.row_tiles * self.used_rows - x.shape[-1])))
        return jnp.moveaxis(x.reshape(self.blocks, -1, self.row_tiles, self.used_rows), 2, 1)

    def join(self, y: Float[Array, "blocks vectors all_cols"]) -> Float[Array, "groups vectors n"]:
        """The outputs of each matrix from those of all columns of its tiles."""
        y = y[..., : self.packed * self.n]
        if self.packed > 1:
            y = jnp.moveaxis(y.reshape(self.blocks, -1, self.packed, self.n), 2, 1)
            y = y.reshape(self.blocks * self.packed, -1, self.n)
        return y[: self.groups]

    def mask(self) -> Float[Array, "row_tiles col_tiles rows cols"]:
        """1 where a tile's cells are in use, 0 where it is padded; the same for all blocks."""
        one = Partition(1, self.packed * self.k, self.packed * self.n, self.rows, self.cols, fill=self.fill)
        return one.split(jnp.ones((1, one.k, one.n)))[0]

    def weights_mask(self) -> Float[Array, "blocks row_tiles col_tiles rows cols"]:
        """1 where a tile's cells hold a weight, 0 where it is padded or the rows of one group cross the columns of another."""
        return self.split(jnp.ones((self.groups, self.k, self.n)))

    def rows_in_use(self) -> Float[Array, "blocks row_tiles 1 rows"]:
        """1 for every word line that an input drives."""
        return self.split_inputs(jnp.ones((self.groups, 1, self.k)))

    def columns_in_use(self) -> Float[Array, "blocks 1 1 col_tiles cols"]:
        """1 for every column whose output is used."""
        across = Partition(self.groups, self.n, self.k, self.cols, self.rows, self.packed)
        return jnp.moveaxis(across.rows_in_use(), 1, 2)[:, None]
