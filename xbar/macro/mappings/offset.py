"""One cell for each weight (or one and its reference), around a conductance that stands for 0."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.mappings.base import AbstractMapping, column_scale, spread


class Offset(AbstractMapping):
    """One cell per weight; the middle of the conductance range stands for 0.

    $$ g = g_0 + \\frac{w}{s}\\,\\frac{g_{max} - g_{min}}{2}, \\qquad g_0 = \\frac{g_{min} + g_{max}}{2} $$

    What `g_0` adds to every output, `g_0 sum_i x_i`, is subtracted again.

    Args:
        reference: `"column"`: by a column of cells at `g_0` in each tile, whose current is subtracted from all others before
            the converter; its errors and its noise are common to all outputs, and it drifts along with them. `"digital"`:
            after the converter, by the digital sum of the inputs; the converter then has to hold the whole current.
            `"cell"`: by a cell at `g_0` beside every cell, whose current is subtracted: what weights that learn by
            pulses need.
        per: `"column"` or `"tile"`, what shares one scale `s`.
        scale: `s` instead, the weight at the end of the range, the same for all; those beyond it are clipped. None:
            found from the weights. Leave room for weights that are to grow.
        series: resistance in series with every cell [ohm], such as an access transistor's, which a digital reference
            allows for: `g` is then read as `1/(1/g + series)` at both ends of the range.

    Breaks when: the conductance drifts and the reference is digital: `g_0` is then no longer what it was.
    """

    reference: Literal["column", "digital", "cell"] = eqx.field(static=True, default="column")
    per: Literal["column", "tile"] = eqx.field(static=True, default="column")
    series: float = eqx.field(static=True, default=0.0)
    scale: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.reference not in ("column", "digital", "cell"):
            raise ValueError(f"Offset: reference={self.reference!r}; it must be 'column', 'digital' or 'cell'.")
        if self.scale is not None and not (isinstance(self.scale, int | float) and 0 < self.scale < float("inf")):
            raise ValueError(f"Offset: scale={self.scale!r}; give the largest weight, a number above 0, or None.")
        if self.per not in ("column", "tile"):
            raise ValueError(f"Offset: per={self.per!r}; it must be 'column' or 'tile'.")
        if not (isinstance(self.series, int | float) and 0 <= self.series < float("inf")):
            raise ValueError(f"Offset: series={self.series!r}; give a resistance in ohms, 0 or more.")

    def encode(
        self,
        w: Float[Array, "*tiles rows cols"],
        g_min: Float[Array, ""],
        g_max: Float[Array, ""],
        scale: Float[Array, ""] | float | None = None,
    ) -> tuple[Float[Array, "cells *tiles rows physical_cols"], Any]:
        if scale is None and self.scale is not None:
            w, scale = jnp.clip(w, -self.scale, self.scale), self.scale
        s = column_scale(w, self.per) if scale is None else jnp.asarray(scale, w.dtype)
        zero, half = (g_min + g_max) / 2, (g_max - g_min) / 2
        targets = zero + w / spread(s, w.shape) * half
        if self.reference == "column":
            targets = jnp.concatenate([targets, jnp.broadcast_to(zero, (*w.shape[:-1], 1)).astype(w.dtype)], -1)
        if self.series:
            low, high = (g / (1 + g * self.series) for g in (g_min, g_max))
            zero, half = (low + high) / 2, (high - low) / 2
        targets = targets[None]
        if self.reference == "cell":
            targets = jnp.concatenate([targets, jnp.broadcast_to(zero, targets.shape).astype(w.dtype)])
        return targets, {"weight": s * (1 / half), "zero": zero}

    def combine(self, currents: Float[Array, "cells *any"], code: Any) -> Float[Array, "1 *any_less"]:
        if self.reference == "cell":
            return currents[:1] - currents[1:]
        return currents[..., :-1] - currents[..., -1:] if self.reference == "column" else currents

    def decode(
        self, values: Float[Array, "1 *any"], input_sum: Float[Array, "..."], code: Any, transpose: bool = False
    ) -> Float[Array, "..."]:
        digital = self.reference == "digital"
        value = values[0] - code["zero"].astype(values.dtype) * input_sum if digital else values[0]
        return value if transpose else value * spread(code["weight"].astype(value.dtype), value.shape)

    def transpose_gain(self, code: Any) -> Float[Array, "..."]:
        return code["weight"]

    def combine_variance(self, variance: Float[Array, "cells *any"], code: Any) -> Float[Array, "1 *any_less"]:
        if self.reference == "cell":
            return variance[:1] + variance[1:]
        return variance[..., :-1] + variance[..., -1:] if self.reference == "column" else variance

    def full_scale(self, g_min: Float[Array, ""], g_max: Float[Array, ""]) -> Float[Array, ""]:
        return g_max if self.reference == "digital" else (g_max - g_min) / 2
