"""A pair of cells for each weight, read against each other."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.mappings.base import AbstractMapping, column_scale, spread


@jax.custom_jvp
def _both_signs(x: Float[Array, "*any"]) -> Float[Array, "2 *any"]:
    """`x` and `-x`, as a product, which XLA fuses with what follows; with the derivative of a stack, which it need not sum."""
    return jnp.array([1, -1], x.dtype).reshape(2, *(1,) * x.ndim) * x[None]


_both_signs.defjvp(lambda x, slope: (_both_signs(*x), jnp.stack([slope[0], -slope[0]])))


class Differential(AbstractMapping):
    """A pair of cells per weight, read against each other; the cell that is not needed rests at `g_min`.

    $$ g^\\pm = g_{min} + \\frac{\\max(\\pm w, 0)}{s}(g_{max} - g_{min}), \\qquad
       s = \\max_{column}|w| \\text{ or } \\max_{tile}|w| $$

    Args:
        per: `"column"` uses the whole conductance range in each column of each tile, at the price of one digital
            factor per column; `"tile"` uses one factor per tile.

    Breaks when: a column is dominated by one outlier, which leaves the other weights little of the conductance range.
    """

    per: Literal["column", "tile"] = eqx.field(static=True, default="column")

    def __check_init__(self):
        if self.per not in ("column", "tile"):
            raise ValueError(f"Differential: per={self.per!r}; it must be 'column' or 'tile'.")

    def encode(
        self,
        w: Float[Array, "*tiles rows cols"],
        g_min: Float[Array, ""],
        g_max: Float[Array, ""],
        scale: Float[Array, ""] | float | None = None,
    ) -> tuple[Float[Array, "2 *tiles rows cols"], Any]:
        s = column_scale(w, self.per) if scale is None else jnp.asarray(scale, w.dtype)
        x = w / spread(s, w.shape)
        code = s * (
            1 / (g_max - g_min)
        )  # what XLA makes of a division, but not in small arrays: no chip depends on its size
        return g_min + jnp.maximum(_both_signs(x), 0) * (g_max - g_min), code

    def combine(self, currents: Float[Array, "2 *any"], code: Any) -> Float[Array, "1 *any"]:
        positive, negative = jax.lax.split(currents, (1, 1), 0)  # a split, whose derivative is one concatenation
        return positive - negative

    def decode(
        self, values: Float[Array, "1 *any"], input_sum: Float[Array, "..."], code: Any, transpose: bool = False
    ) -> Float[Array, "..."]:
        return values[0] if transpose else values[0] * spread(code.astype(values.dtype), values.shape[1:])

    def transpose_gain(self, code: Any) -> Float[Array, "..."]:
        return code

    def combine_variance(self, variance: Float[Array, "2 *any"], code: Any) -> Float[Array, "1 *any"]:
        positive, negative = jax.lax.split(variance, (1, 1), 0)
        return positive + negative

    def net(self, w: Float[Array, "*tiles rows cols"], g_min: Float[Array, ""], g_max: Float[Array, ""], code: Any):
        return (w / code)[None]
