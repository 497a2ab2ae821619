"""Percentiles of many magnitudes without sorting them."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def percentile_of_magnitudes(x: Float[Array, "..."], percentile: float, axes: Sequence[int]) -> Float[Array, "..."]:
    """`jnp.nanpercentile(x, percentile, axis=axes)` of numbers that are not negative, NaN left out; to the last rounding.

    Numbers that are not negative are ordered as the integers of the same bits. The one of a wanted rank is found by halving
    the range of these integers and counting what lies below, once for each bit: on a CPU a tenth of the time of sorting.

    Args:
        x: magnitudes. percentile: in [0, 100], between two ranks linearly. axes: that are ranked together.

    Returns:
        NaN where nothing but NaN is ranked.
    """
    axes = tuple(a % x.ndim for a in axes)
    integer = jnp.int32 if x.dtype.itemsize == 4 else jnp.int64 if x.dtype.itemsize == 8 else jnp.int16
    bits = jax.lax.bitcast_convert_type(jnp.abs(x), integer)  # -0 is 0; those of NaN are above those of infinity
    below = lambda top: jnp.sum(bits <= jnp.expand_dims(top, axes), axis=axes)  # noqa: E731
    known = jnp.sum(~jnp.isnan(x), axis=axes)
    rank = percentile / 100 * jnp.maximum(known - 1, 0).astype(x.dtype)
    first = jnp.floor(rank).astype(known.dtype)

    def halve(_, ends):
        low, high = ends
        middle = low + (high - low) // 2
        enough = below(middle) > first
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    infinity = jax.lax.bitcast_convert_type(jnp.full(known.shape, jnp.inf, x.dtype), integer)
    found, _ = jax.lax.fori_loop(0, 8 * x.dtype.itemsize, halve, (jnp.zeros_like(infinity), infinity))
    lower = jax.lax.bitcast_convert_type(found, x.dtype)
    above = jnp.min(
        jnp.where(bits > jnp.expand_dims(found, axes), jnp.where(jnp.isnan(x), jnp.inf, x), jnp.inf), axis=axes
    )
    upper = jnp.where((below(found) > first + 1) | (first + 1 >= known), lower, above)
    share = rank - first.astype(x.dtype)
    between = jnp.where(share > 0, lower * (1 - share) + upper * share, lower)
    return jnp.where(known > 0, between, jnp.nan)
