"""The interface of mappings: weights to conductances, and what is read of them back to weights times inputs."""

from __future__ import annotations

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def spread(x: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """`x` broadcast, as an array of its own: XLA sums its derivative faster than one that it fuses with products."""
    return jax.lax.optimization_barrier(jnp.broadcast_to(x, shape))


def column_scale(w: Float[Array, "*tiles rows cols"], per: str) -> Float[Array, "*tiles 1 cols"]:
    """The largest magnitude in each column of a tile, or in the whole tile; 1 where all weights are 0."""
    largest = jnp.max(jnp.abs(w), axis=-2 if per == "column" else (-2, -1), keepdims=True)
    return jnp.broadcast_to(jnp.where(largest > 0, largest, 1), (*w.shape[:-2], 1, w.shape[-1]))


class AbstractMapping(eqx.Module):
    """How one weight becomes the conductances of its cells, and how what is read of them becomes a product.

    A mapping owns the axis of cells, the first one of what `encode` returns: slices, polarities, redundant copies. A read
    then goes

    $$ g \\xrightarrow{\\text{wires, inputs}} \\text{currents} \\xrightarrow{\\texttt{combine}} \\text{ADC}
       \\xrightarrow{\\texttt{decode}} \\sum_i w_i x_i $$

    All methods are elementwise over tiles and columns. What `encode` returns as `code` is a pytree whose arrays have the
    axes `*tiles 1 cols` last (or are scalars); `combine` and `decode` see them broadcast against what they get.

    A mapping of your own defines `encode`, `combine` and `decode`; the rest follows from them.
    """

    @abc.abstractmethod
    def encode(
        self, w: Float[Array, "*tiles rows cols"], g_min: Float[Array, ""], g_max: Float[Array, ""]
    ) -> tuple[Float[Array, "cells *tiles rows physical_cols"], Any]:
        """Target conductances [S] of all cells, and what `combine` and `decode` need to know.

        Args:
            w: weights; rows and columns beyond a matrix hold 0.

        A mapping that others may be laid over (`BitSliced`, `Redundant`) takes `scale=` too: the weight of a full conductance
        range, found from `w` if None.
        """

    @abc.abstractmethod
    def combine(self, currents: Float[Array, "cells *any"], code: Any) -> Float[Array, "reads *any"]:
        """Combines the currents [A] of a weight's cells as analog circuits do before the converter: linear, and the
        same for all rows, so that conductances [S] may be combined instead."""

    @abc.abstractmethod
    def decode(
        self, values: Float[Array, "reads *any"], input_sum: Float[Array, "..."], code: Any
    ) -> Float[Array, "..."]:
        """The product of weights and inputs, from what the converters report.

        Args:
            values: reported currents by the voltage of a full-scale input [S]: `sum_i g_i x_i`, the inputs x in [-1, 1].
            input_sum: `sum_i x_i` over the rows of the tile.

        A mapping for backward reads takes `transpose=True`: inputs on the columns, multiplied by `transpose_gain` before,
        and values for each row.
        """

    def transpose_gain(self, code: Any) -> Float[Array, "..."] | float:
        """The factor by which the input of each column is multiplied, digitally, before a backward read."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no backward read: give it transpose_gain(code) and decode(..., transpose=True)."
        )

    @property
    def cells(self) -> int:
        """Cells of one weight."""
        return _shapes(self)[0]

    @property
    def reads(self) -> int:
        """Analog values that are converted for one product."""
        return _shapes(self)[1]

    @property
    def extra_cols(self) -> int:
        """Bit lines of each kind that a tile has besides those of its weights, such as a reference column."""
        return _shapes(self)[2]

    @property
    def shared_lines(self) -> bool:
        """Whether one line's current enters several outputs, so that their noise is correlated."""
        return self.extra_cols > 0

    def combine_variance(self, variance: Float[Array, "cells *any"], code: Any) -> Float[Array, "reads *any"]:
        """Variance of what `combine` makes of independent cells: its coefficients squared."""

        def of_cell(c):
            alone = lambda x: self.combine(jnp.zeros_like(variance).at[c].set(x), code)  # noqa: E731
            return alone(variance[c]) * alone(jnp.ones_like(variance[c]))

        return sum((of_cell(c) for c in range(1, len(variance))), of_cell(0))

    def full_scale(self, g_min: Float[Array, ""], g_max: Float[Array, ""]) -> Float[Array, ""]:
        """The largest magnitude that `combine` makes of one weight's conductances [S], for converters without a range."""
        return g_max - g_min

    def net(self, w: Float[Array, "*tiles rows cols"], g_min: Float[Array, ""], g_max: Float[Array, ""], code: Any):
        """What `combine` makes of ideal cells that hold `w` [S]."""
        return self.combine(self.encode(w, g_min, g_max)[0], code)


@functools.lru_cache(maxsize=64)
def _shapes_of(treedef: Any, leaves: tuple) -> tuple[int, int, int]:
    def shapes(w, low, high, leaves):
        mapping = jax.tree.unflatten(treedef, leaves)
        targets, code = mapping.encode(w, low, high)
        return targets, mapping.combine(targets, code)

    name = type(jax.tree.unflatten(treedef, leaves)).__name__
    of = lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32)  # noqa: E731
    targets, combined = jax.eval_shape(shapes, of((1, 1)), of(()), of(()), [jax.ShapeDtypeStruct(*x) for x in leaves])
    if targets.ndim != 3 or targets.shape[1] != 1:
        raise ValueError(
            f"{name}: encode gave targets of shape {targets.shape} for weights of shape (1, 1); expected "
            "(cells, 1, columns): the axis of cells comes first."
        )
    if combined.ndim != 3 or combined.shape[1:] != (1, 1):
        raise ValueError(
            f"{name}: combine gave shape {combined.shape} for currents of shape {targets.shape}; expected (reads, 1, 1): "
            "one value for each column of weights and read."
        )
    return targets.shape[0], combined.shape[0], targets.shape[2] - 1


def _shapes(mapping: AbstractMapping) -> tuple[int, int, int]:
    """(cells, reads, extra columns), from what the mapping makes of one weight."""
    leaves, treedef = jax.tree.flatten(mapping)
    return _shapes_of(treedef, tuple((jnp.shape(x), jnp.result_type(x)) for x in leaves))
