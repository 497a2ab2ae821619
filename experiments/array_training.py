"""Training loops on arrays, for experiments: epochs of one sample after another, or of batches, each one compiled call."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.training import insitu

Loss = Callable[[Any, Any], Float[Array, ""]]


def cross_entropy(logits: Array, labels: Array) -> Float[Array, ""]:
    """Mean over a batch."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], -1))


@dataclasses.dataclass(frozen=True)
class ArrayTrainer:
    """Trains a chip in place.

    Args:
        rule: from `insitu.on_arrays`. loss: of (outputs, labels), a mean over the batch. batch: samples of an update.
        seconds: from one update to the next [s].
    """

    rule: Any
    loss: Loss = cross_entropy
    batch: int = 1
    seconds: float = 0.0

    def epoch(self, state: insitu.OnArrays, x: Array, y: Array, key: PRNGKeyArray) -> tuple[insitu.OnArrays, Array]:
        """The state after all samples, in the order given, and the loss of each update. What is left over of the
        last batch is not used."""
        updates = len(x) // self.batch
        cut = lambda a: a[: updates * self.batch].reshape(updates, self.batch, *a.shape[1:])  # noqa: E731
        return self._epoch(state, cut(x), cut(y), jax.random.split(key, updates))

    @functools.partial(eqx.filter_jit)
    def _epoch(self, state, x, y, keys):
        arrays, static = eqx.partition(state, eqx.is_array)

        def step(arrays, at):
            (x, y), key = at[:2], at[2]
            state = eqx.combine(arrays, static)
            read, write = jax.random.split(key)
            value, found = insitu.backpropagate(state.reading(), (x,), lambda out: self.loss(out, y), key=read)
            _, state = self.rule.update(found, state, key=write, t=self.seconds)
            return eqx.filter(state, eqx.is_array), value

        arrays, losses = jax.lax.scan(step, arrays, (x, y, keys))
        return eqx.combine(arrays, static), losses


@eqx.filter_jit
def accuracy(state: insitu.OnArrays, x: Array, y: Array, key: PRNGKeyArray, batch: int = 1000) -> Float[Array, ""]:
    """Share of samples whose largest output is the label's, read by the chip as it is."""
    chip = state.reading()
    count = max(len(x) // batch, 1)
    size = min(batch, len(x))
    cut = lambda a: a[: count * size].reshape(count, size, *a.shape[1:])  # noqa: E731
    right = lambda at: jnp.mean(jnp.argmax(chip(at[0], key=at[2]), -1) == at[1])  # noqa: E731
    return jnp.mean(jax.lax.map(right, (cut(x), cut(y), jax.random.split(key, count))))
