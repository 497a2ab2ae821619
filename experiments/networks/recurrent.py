"""Recurrent networks for frames of speech; for one clip each."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

SCALE = 20.0  # of the MFCCs, so that gates start unsaturated


class GRU(eqx.Module):
    """A gated recurrent unit of 64 states over the frames, and a dense layer on its last state."""

    cell: eqx.nn.GRUCell
    dense: eqx.nn.Linear

    def __init__(self, features: int, classes: int, *, key: PRNGKeyArray, width: int = 64):
        first, last = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(features, width, key=first)
        self.dense = eqx.nn.Linear(width, classes, key=last)

    def __call__(self, frames: Float[Array, "time features"]) -> Float[Array, " classes"]:
        start = jnp.zeros(self.cell.hidden_size)
        state, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), start, frames / SCALE)
        return self.dense(state)


class LSTM(eqx.Module):
    """A long short-term memory of 64 states over the frames, and a dense layer on its last output."""

    cell: eqx.nn.LSTMCell
    dense: eqx.nn.Linear

    def __init__(self, features: int, classes: int, *, key: PRNGKeyArray, width: int = 64):
        first, last = jax.random.split(key)
        self.cell = eqx.nn.LSTMCell(features, width, key=first)
        self.dense = eqx.nn.Linear(width, classes, key=last)

    def __call__(self, frames: Float[Array, "time features"]) -> Float[Array, " classes"]:
        zeros = jnp.zeros(self.cell.hidden_size)
        state, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), (zeros, zeros), frames / SCALE)
        return self.dense(state[0])
