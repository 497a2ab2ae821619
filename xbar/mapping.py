"""Weights to conductances and back, and the partition of a matrix into tiles."""

from __future__ import annotations

import abc
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def spread(x: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """`x` broadcast, as an array of its own: XLA sums its derivative faster than one that it fuses with products."""
    return jax.lax.optimization_barrier(jnp.broadcast_to(x, shape))


@jax.custom_jvp
def _both_signs(x: Float[Array, "*any"]) -> Float[Array, "2 *any"]:
    """`x` and `-x`, as a product, which XLA fuses with what follows; with the derivative of a stack, which it need not sum."""
    return jnp.array([1, -1], x.dtype).reshape(2, *(1,) * x.ndim) * x


_both_signs.defjvp(lambda x, slope: (_both_signs(*x), jnp.stack([slope[0], -slope[0]])))


class AbstractMapping(eqx.Module):
    """How one weight becomes the conductances of a pair of cells; for one tile, or many along leading axes."""

    @abc.abstractmethod
    def scale(self, w: Float[Array, "*tiles rows cols"]) -> Float[Array, "*tiles 1 cols"]:
        """The largest magnitude that the cells of each column of a tile must represent, in units of the weights."""

    @abc.abstractmethod
    def targets(
        self, w: Float[Array, "*tiles rows cols"], g_min: Float[Array, ""], g_max: Float[Array, ""]
    ) -> Float[Array, "2 *tiles rows cols"]:
        """Target conductances [S] of the positive and the negative cell of each weight."""

    def weights(
        self,
        g: Float[Array, "2 *tiles rows cols"],
        scale: Float[Array, "*tiles 1 cols"],
        g_min: Float[Array, ""],
        g_max: Float[Array, ""],
    ) -> Float[Array, "*tiles rows cols"]:
        """The weights that a pair of conductances [S] stands for."""
        return (g[0] - g[1]) * scale / (g_max - g_min)


class Differential(AbstractMapping):
    """A pair of cells per weight, read against each other; the cell that is not needed rests at `g_min`.

    $$ g^\\pm = g_{min} + \\frac{\\max(\\pm w, 0)}{s}(g_{max} - g_{min}), \\qquad
       s = \\max_{column}|w| \\text{ or } \\max_{tile}|w| $$

    Args:
        per: `"column"` uses the whole conductance range in each column of each tile, at the price of one digital
            factor a column; `"tile"` uses one factor a tile.

    Breaks when: a column is dominated by one outlier, which leaves the other weights few of the conductances.
    """

    per: Literal["column", "tile"] = eqx.field(static=True, default="column")

    def __check_init__(self):
        if self.per not in ("column", "tile"):
            raise ValueError(f"Differential: per={self.per!r}; it is 'column' or 'tile'.")

    def scale(self, w: Float[Array, "*tiles rows cols"]) -> Float[Array, "*tiles 1 cols"]:
        largest = jnp.max(jnp.abs(w), axis=-2 if self.per == "column" else (-2, -1), keepdims=True)
        return jnp.broadcast_to(jnp.where(largest > 0, largest, 1), (*w.shape[:-2], 1, w.shape[-1]))

    def targets(
        self, w: Float[Array, "*tiles rows cols"], g_min: Float[Array, ""], g_max: Float[Array, ""]
    ) -> Float[Array, "2 *tiles rows cols"]:
        x = w / spread(self.scale(w), w.shape)
        return g_min + jnp.maximum(_both_signs(x), 0) * (g_max - g_min)


class Partition(eqx.Module):
    """The tiles of a stack of matrices: `groups` matrices of `k` inputs and `n` outputs on tiles of `rows` x `cols` cells.

    Tiles share rows and columns evenly, each filled from its first row and column on, so that no line is longer than it must
    be. `used_rows` and `used_cols` are what is simulated of each tile; the last ones may leave a few of them empty.
    """

    groups: int = eqx.field(static=True)
    k: int = eqx.field(static=True)
    n: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    cols: int = eqx.field(static=True)

    @property
    def row_tiles(self) -> int:
        return -(-self.k // self.rows)

    @property
    def col_tiles(self) -> int:
        return -(-self.n // self.cols)

    @property
    def used_rows(self) -> int:
        return -(-self.k // self.row_tiles)

    @property
    def used_cols(self) -> int:
        return -(-self.n // self.col_tiles)

    @property
    def tiles(self) -> int:
        return self.groups * self.row_tiles * self.col_tiles

    @property
    def utilisation(self) -> float:
        """Share of the tiles' cell pairs that hold a weight."""
        return self.groups * self.k * self.n / (self.tiles * self.rows * self.cols)

    def split(self, w: Float[Array, "groups k n"]) -> Float[Array, "groups row_tiles col_tiles rows cols"]:
        """Cuts matrices into tiles, padding with zeros."""
        pad_k = self.row_tiles * self.used_rows - self.k
        pad_n = self.col_tiles * self.used_cols - self.n
        w = jnp.pad(w, ((0, 0), (0, pad_k), (0, pad_n)))
        w = w.reshape(self.groups, self.row_tiles, self.used_rows, self.col_tiles, self.used_cols)
        return jnp.moveaxis(w, 3, 2)

    def split_inputs(self, x: Float[Array, "groups vectors k"]) -> Float[Array, "groups row_tiles vectors rows"]:
        """Cuts input vectors into the pieces that each row of tiles sees."""
        x = jnp.pad(x, ((0, 0), (0, 0), (0, self.row_tiles * self.used_rows - self.k)))
        return jnp.moveaxis(x.reshape(self.groups, -1, self.row_tiles, self.used_rows), 2, 1)

    def mask(self) -> Float[Array, "row_tiles col_tiles rows cols"]:
        """1 where a cell pair holds a weight, 0 where the tile is padded."""
        one = Partition(1, self.k, self.n, self.rows, self.cols)
        return one.split(jnp.ones((1, self.k, self.n)))[0]
