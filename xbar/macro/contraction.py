"""Sums over word lines, on every platform at full precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from devices._numerics import at_least_float32


def contract(
    v: Float[Array, "planes blocks row_tiles vectors rows"],
    g: Float[Array, "lines blocks row_tiles rows col_tiles cols"],
) -> Float[Array, "planes lines blocks row_tiles vectors col_tiles cols"]:
    """`sum_r v[p, s, i, m, r] g[l, s, i, r, j, c]`, in float32 at least."""
    planes, blocks, row_tiles, vectors, rows = v.shape
    lines, *_, col_tiles, cols = g.shape
    flat_v = jnp.moveaxis(v, 0, 2).reshape(blocks * row_tiles, planes * vectors, rows)
    flat_g = jnp.moveaxis(g, 0, 3).reshape(blocks * row_tiles, rows, -1)
    least = at_least_float32(v.dtype)
    i = jnp.matmul(flat_v, flat_g, precision=lax.Precision.HIGHEST, preferred_element_type=least)
    i = i.reshape(blocks, row_tiles, planes, vectors, lines, col_tiles, cols)
    return jnp.moveaxis(i, (2, 4), (0, 1))


@jax.custom_jvp
def contract_positive(v: Array, g: Array) -> Array:
    """`contract` of numbers of one sign. Those in float32 are rounded to bfloat16 and summed in float32: every sum is right
    to 2^-7 at worst, typically to 2e-4, and up to three times as fast. Derivatives are not rounded."""
    if v.dtype != jnp.float32:
        return contract(v, g)
    return contract(v.astype(jnp.bfloat16), g.astype(jnp.bfloat16))


@contract_positive.defjvp
def _contract_positive_tangent(primals, tangents):
    (v, g), (slope_v, slope_g) = primals, tangents
    return contract_positive(v, g), contract(slope_v, g) + contract(v, slope_g)
