"""Redundant cells: several where a mapping has one."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.mappings.base import AbstractMapping
from xbar.macro.mappings.differential import Differential


class Redundant(AbstractMapping):
    """`n` cells wherever `over` has one, their currents added: independent errors shrink with the square root of n.

    Args:
        n: copies of each cell, written to the same target. over: the mapping of the weight.
    """

    n: int = eqx.field(static=True)
    over: AbstractMapping = eqx.field(default_factory=Differential)

    def __check_init__(self):
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise ValueError(f"Redundant: n={self.n!r}; give the number of cells, a whole number of at least 1.")
        if not isinstance(self.over, AbstractMapping):
            raise TypeError(f"Redundant: over is a {type(self.over).__name__}; give a mapping, such as Differential().")

    def _added(self, x: Float[Array, "cells *any"]) -> Float[Array, "fewer *any"]:
        return jnp.sum(x.reshape(self.n, -1, *x.shape[1:]), 0)

    def encode(
        self,
        w: Float[Array, "*tiles rows cols"],
        g_min: Float[Array, ""],
        g_max: Float[Array, ""],
        scale: Float[Array, ""] | float | None = None,
    ) -> tuple[Float[Array, "cells *tiles rows physical_cols"], Any]:
        targets, code = self.over.encode(w, g_min, g_max, **({} if scale is None else {"scale": scale}))
        return jnp.concatenate([targets] * self.n), code

    def combine(self, currents: Float[Array, "cells *any"], code: Any) -> Float[Array, "reads *any_less"]:
        return self.over.combine(self._added(currents), code)

    def decode(
        self, values: Float[Array, "reads *any"], input_sum: Float[Array, "..."], code: Any, transpose: bool = False
    ) -> Float[Array, "..."]:
        back = {"transpose": True} if transpose else {}
        return self.over.decode(values / self.n, input_sum, code, **back)

    def transpose_gain(self, code: Any) -> Float[Array, "..."] | float:
        return self.over.transpose_gain(code)

    def combine_variance(self, variance: Float[Array, "cells *any"], code: Any) -> Float[Array, "reads *any_less"]:
        return self.over.combine_variance(self._added(variance), code)

    def full_scale(self, g_min: Float[Array, ""], g_max: Float[Array, ""]) -> Float[Array, ""]:
        return self.n * self.over.full_scale(g_min, g_max)
