"""Sums over word lines, on every platform at full precision."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from devices._numerics import at_least_float32


def contract(
    v: Float[Array, "planes blocks row_tiles vectors rows"],
    g: Float[Array, "lines blocks row_tiles rows col_tiles cols"],
    spread: bool = False,
) -> Float[Array, "planes lines blocks row_tiles vectors col_tiles cols"]:
    """`sum_r v[p, s, i, m, r] g[l, s, i, r, j, c]`, in float32 at least.

    Args:
        spread: whether axes of tiles are spread over devices: they then stay apart, as XLA gathers an axis if it merges
            any part of it but the first. On one device merged axes are faster.
    """
    least = at_least_float32(v.dtype)
    if spread:
        dims = (((4,), (3,)), ((1, 2), (1, 2)))
        i = lax.dot_general(v, g, dims, precision=lax.Precision.HIGHEST, preferred_element_type=least)
        return jnp.moveaxis(i, (2, 4), (0, 1))
    planes, blocks, row_tiles, vectors, rows = v.shape
    lines, *_, col_tiles, cols = g.shape
    flat_v = jnp.moveaxis(v, 0, 2).reshape(blocks * row_tiles, planes * vectors, rows)
    flat_g = jnp.moveaxis(g, 0, 3).reshape(blocks * row_tiles, rows, -1)
    i = jnp.matmul(flat_v, flat_g, precision=lax.Precision.HIGHEST, preferred_element_type=least)
    i = i.reshape(blocks, row_tiles, planes, vectors, lines, col_tiles, cols)
    return jnp.moveaxis(i, (2, 4), (0, 1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def contract_positive(v: Array, g: Array, spread: bool = False) -> Array:
    """`contract` of numbers of one sign. Those in float32 are rounded to bfloat16 and summed in float32: every sum is
    accurate to 2^-7 at worst, typically to 2e-4, and takes as little as a third of the time. Derivatives are not
    rounded."""
    if v.dtype != jnp.float32:
        return contract(v, g, spread)
    return contract(v.astype(jnp.bfloat16), g.astype(jnp.bfloat16), spread)


@contract_positive.defjvp
def _contract_positive_tangent(spread, primals, tangents):
    (v, g), (slope_v, slope_g) = primals, tangents
    return contract_positive(v, g, spread), contract(slope_v, g, spread) + contract(v, slope_g, spread)
