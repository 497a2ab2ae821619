"""A small transformer for characters; for one window each."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Block(eqx.Module):
    """Causal attention and a two-layer perceptron of four times the width, each after a layer norm and added to its input."""

    norm1: eqx.nn.LayerNorm
    query: eqx.nn.Linear
    key: eqx.nn.Linear
    value: eqx.nn.Linear
    out: eqx.nn.Linear
    norm2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 6)
        self.norm1, self.norm2 = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (eqx.nn.Linear(width, width, key=k) for k in keys[:4])
        self.up = eqx.nn.Linear(width, 4 * width, key=keys[4])
        self.down = eqx.nn.Linear(4 * width, width, key=keys[5])
        self.heads = heads

    def __call__(self, x: Float[Array, "time width"]) -> Float[Array, "time width"]:
        x = x + self._attention(jax.vmap(self.norm1)(x))
        y = jax.vmap(self.up)(jax.vmap(self.norm2)(x))
        return x + jax.vmap(self.down)(jax.nn.gelu(y))

    def _attention(self, x: Float[Array, "time width"]) -> Float[Array, "time width"]:
        split = lambda layer: jax.vmap(layer)(x).reshape(len(x), self.heads, -1)  # noqa: E731
        q, k, v = split(self.query), split(self.key), split(self.value)
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(q.shape[-1])
        past = jnp.tril(jnp.ones((len(x), len(x)), bool))
        weights = jax.nn.softmax(jnp.where(past, scores, -jnp.inf))
        return jax.vmap(self.out)(jnp.einsum("hqk,khd->qhd", weights, v).reshape(len(x), -1))


class Transformer(eqx.Module):
    """Embeddings of symbols and positions, equal blocks, a layer norm, a dense layer: next-symbol logits at each position.

    Args:
        symbols: number of symbols. context: longest window. width, depth, heads: of the blocks.
    """

    symbol: Float[Array, "symbols width"]
    position: Float[Array, "context width"]
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    dense: eqx.nn.Linear

    def __init__(
        self, symbols: int, *, key: PRNGKeyArray, context: int = 64, width: int = 128, depth: int = 4, heads: int = 4
    ):
        first, second, last, *keys = jax.random.split(key, depth + 3)
        self.symbol = 0.02 * jax.random.normal(first, (symbols, width))
        self.position = 0.02 * jax.random.normal(second, (context, width))
        self.blocks = [Block(width, heads, key=k) for k in keys]
        self.norm = eqx.nn.LayerNorm(width)
        self.dense = eqx.nn.Linear(width, symbols, key=last)

    def __call__(self, window: Int[Array, " time"]) -> Float[Array, "time symbols"]:
        x = self.symbol[window] + self.position[: len(window)]
        for block in self.blocks:
            x = block(x)
        return jax.vmap(self.dense)(jax.vmap(self.norm)(x))
