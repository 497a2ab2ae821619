"""Small numerical tools that every law needs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def unit_normals(key: PRNGKeyArray, like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
    """Unit normals of the shape and dtype of `like`, always drawn in float32 so that dtype does not change a chip."""
    return jax.random.normal(key, like.shape, jnp.float32).astype(like.dtype)


def unit_uniforms(key: PRNGKeyArray, like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
    """Uniforms on [0, 1) of the shape and dtype of `like`, always drawn in float32."""
    return jax.random.uniform(key, like.shape, jnp.float32).astype(like.dtype)


def safe_sqrt(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`sqrt(max(x, 0))` whose derivative is 0, not infinite, where `x <= 0`."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
