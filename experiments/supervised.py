"""Supervised training with Optax; the forward pass is pluggable, so that noise of the hardware can be in it."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.framework import progress
from experiments.framework.errors import UsageError
from experiments.networks import weights
from experiments.networks.network import Network, Score, cross_entropy
from experiments.public_data.places import cache

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

    Training that takes minutes (`network.kept`) is done once: its weights are kept in the cache, under a hash of all that they
    depend on.

    Args:
        steps: gradient steps, the network's own number if None.

    Raises:
        UsageError: if there is nothing to train on.
    """
    if network.trained:
        return network.params
    data, steps = network.measured_on(), steps or network.steps
    path = _place(network, steps, key) if network.kept else None
    if path is not None and path.is_file():
        try:
            return weights.load(network.params, path)
        except UsageError:
            pass  # damaged: trained and written anew
    plain = Trainer(lambda m, x, k, extra: network.f(m, x), steps=steps, loss=network.loss)
    params = plain.run(network.params, data.x_train, data.y_train, key=key, rate=network.rate)
    if path is not None:
        weights.save(params, path)
    return params


def _place(network: Network, steps: int, key: PRNGKeyArray) -> pathlib.Path:
    """Where the trained weights are kept: a hash of the network's program and first weights, its data, and the training."""
    data = network.measured_on()
    first = jnp.asarray(data.x_train[:1])
    seen = hashlib.sha256(str(jax.make_jaxpr(lambda x: network.f(network.params, x))(first)).encode())
    for array in (*jax.tree.leaves(eqx.filter(network.params, eqx.is_array)), data.x_train, data.y_train):
        seen.update(np.ascontiguousarray(array).tobytes())
    settings = (steps, network.rate, network.loss.__name__, jax.random.key_data(key).tolist(), jax.__version__)
    seen.update(repr(settings).encode())
    return cache().parent / "networks" / f"{network.name}-{seen.hexdigest()[:16]}.npz"
