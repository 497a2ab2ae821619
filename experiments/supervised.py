"""Supervised training with Optax; the forward pass is pluggable, so that noise of the hardware can be in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.framework import progress
from experiments.networks.network import Network, Score, cross_entropy

Forward = Callable[[Any, Array, PRNGKeyArray, Any], Float[Array, "batch classes"]]


def clip_weights(params: Any, sigmas: float) -> Any:
    """Clips each array of two or more dimensions to `sigmas` times its own standard deviation.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9: without outliers the other weights use more of the conductances.
    """
    limit = lambda w: sigmas * jnp.std(w)  # noqa: E731
    return jax.tree.map(lambda w: jnp.clip(w, -limit(w), limit(w)) if w.ndim > 1 else w, params)


class Trainer:
    """Adam with a cosine schedule on the loss of a forward pass; compiled once, then run on any data.

    Args:
        forward: `(model, images, key, extra) -> logits`; `key` is new in each step, `extra` is what `run` was given.
        steps: gradient steps of one run. batch: images a step.
        clip: clip each weight matrix to this many of its standard deviations after each step, or None.
        loss: `(logits, labels) -> number`.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        steps: int,
        batch: int = 64,
        clip: float | None = None,
        loss: Score = cross_entropy,
    ):
        self.forward, self.steps, self.batch, self.clip, self.loss = forward, steps, batch, clip, loss
        self.optimiser = optax.adam(optax.cosine_decay_schedule(1.0, steps))

    def run(
        self,
        model: Any,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        key: PRNGKeyArray,
        rate: float = 3e-3,
        extra: Any = None,
    ) -> Any:
        """The trained model; `rate` is the initial learning rate."""
        params, static = eqx.partition(model, eqx.is_inexact_array)
        batch = (jnp.asarray(images), jnp.asarray(labels))
        state = (params, jax.jit(self.optimiser.init)(params))
        for part in progress.steps(_parts(jax.random.split(key, self.steps)), "training"):
            state = self._run(static, state, *batch, part, jnp.asarray(rate), extra)
            jax.block_until_ready(state)
        return eqx.combine(state[0], static)

    @eqx.filter_jit
    def _run(self, static, state, images, labels, keys, rate, extra):
        def step(state, key):
            params, opt_state = state
            pick, noise = jax.random.split(key)
            rows = jax.random.randint(pick, (self.batch,), 0, len(labels))
            grads = jax.grad(loss)(params, images[rows], labels[rows], noise)
            updates, opt_state = self.optimiser.update(grads, opt_state)
            params = optax.apply_updates(params, jax.tree.map(lambda u: rate * u, updates))
            return (params if self.clip is None else clip_weights(params, self.clip), opt_state), None

        def loss(params, x, y, noise):
            logits = self.forward(eqx.combine(params, static), x, noise, extra)
            return self.loss(logits, y)

        return jax.lax.scan(step, state, keys)[0]


def _parts(keys: Array) -> list[Array]:
    """The keys of all steps in equal parts, so that one program runs each of them and progress can be shown between."""
    count = next(n for n in range(20, 0, -1) if len(keys) % n == 0)
    return list(keys.reshape(count, -1))


def trained(network: Network, steps: int | None = None, *, key: PRNGKeyArray) -> Any:
    """The parameters of a network after digital training; those that it has if its weights are given.

    Args:
        steps: gradient steps, the network's own number if None.

    Raises:
        UsageError: if there is nothing to train on.
    """
    if network.trained:
        return network.params
    data = network.measured_on()
    plain = Trainer(lambda m, x, k, extra: network.f(m, x), steps=steps or network.steps, loss=network.loss)
    return plain.run(network.params, data.x_train, data.y_train, key=key, rate=network.rate)
