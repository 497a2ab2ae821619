"""Supervised training with Optax; the forward pass is pluggable, so that noise of the hardware can be in it."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from experiments import checkpoints
from experiments.framework import progress
from experiments.framework.errors import UsageError
from experiments.networks import weights
from experiments.networks.network import Network, Score, cross_entropy
from experiments.public_data.places import cache
from xbar.graph.work import inner_jaxprs
from xbar.training import ArrayWeights, clip_weights
from xbar.training.array_weights import Per

Perturb = Callable[[Any, PRNGKeyArray, Array], Any]
Forward = Callable[[Any, Array, PRNGKeyArray, Any], Float[Array, "batch classes"]]


class Trainer:
    """Adam with a cosine schedule on the loss of a forward pass; compiled once, then run on any data.

    A convenience for experiments: it combines functions of `xbar.training` and Optax, which you can use in your own loops.

    Args:
        forward: `(model, inputs, key, extra) -> outputs`; `key` is new in each step, `extra` is what `run` was given.
        steps: gradient steps of one run. batch: inputs per step.
        clip: clip each weight to this many standard deviations after each step, or None; weights, clip_per: which weights, and
            of their tensors or channels, as `xbar.training.clip_weights` takes them.
        loss: `(outputs, labels) -> number`. To distil, `xbar.training.distillation_loss`, with the teacher's logits as labels.
        optimiser: whose updates are multiplied by the rate of a run; Adam with a cosine schedule by default.
        perturb: `(model, key, progress) -> model` in the forward pass only, such as noise on weights; `progress` goes from 0
            to 1, for a schedule of it.
        gradient: turns a gradient function into another one, such as `xbar.training.sharpness_aware`.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        steps: int,
        batch: int = 64,
        clip: float | None = None,
        clip_per: Per = "tensor",
        weights: ArrayWeights | None = None,
        loss: Score = cross_entropy,
        optimiser: optax.GradientTransformation | None = None,
        perturb: Perturb | None = None,
        gradient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    ):
        self.forward, self.steps, self.batch, self.loss = forward, steps, batch, loss
        self.clip, self.weights = clip, weights
        self.clip_per: Per = clip_per
        self.optimiser = optimiser or optax.adam(optax.cosine_decay_schedule(1.0, steps))
        self.perturb, self.gradient = perturb, gradient or (lambda f: f)

    def run(
        self,
        model: Any,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        key: PRNGKeyArray,
        rate: float = 3e-3,
        extra: Any = None,
        checkpoint: pathlib.Path | None = None,
    ) -> Any:
        """The trained model; `rate` is the initial learning rate.

        Args:
            checkpoint: a file that keeps the state between parts of the run. After a kill, the same run resumes from there and
                ends with the same weights; it starts over if anything that it depends on, the program included, has changed.
        """
        params, static = eqx.partition(model, eqx.is_inexact_array)
        batch = (jnp.asarray(images), jnp.asarray(labels))
        state = (params, jax.jit(self.optimiser.init)(params))
        parts = list(enumerate(_parts(jax.random.split(key, self.steps))))
        done, name = 0, ""
        if checkpoint is not None:
            settings = (self.steps, self.batch, self.clip, self.clip_per, rate)
            program = checkpoints.program(
                self._step, static, state, *batch, key, jnp.asarray(0), jnp.asarray(rate), extra
            )
            name = checkpoints.fingerprint(params, batch, jax.random.key_data(key), settings, extra, program)
            done, state = checkpoints.load(checkpoint, name, state)
        apart = self._convolves(model, batch[0], extra)
        for i, part in progress.steps(parts[done:], "training"):
            for at in range(0, len(part), 1 if apart else len(part)):
                keys, first = part[at : at + 1] if apart else part, jnp.asarray(i * len(part) + at)
                state = self._run(static, state, *batch, keys, first, jnp.asarray(rate), extra, apart)
            jax.block_until_ready(state)
            if checkpoint is not None:
                checkpoints.save(checkpoint, name, i + 1, state)
        return eqx.combine(state[0], static)

    @eqx.filter_jit
    def _run(self, static, state, images, labels, keys, first, rate, extra, apart):
        step = lambda state, at: (self._step(static, state, images, labels, at[0], at[1], rate, extra), None)  # noqa: E731
        if apart:
            return step(state, (keys[0], first))[0]
        return jax.lax.scan(step, state, (keys, first + jnp.arange(len(keys))))[0]

    def _step(self, static, state, images, labels, key, number, rate, extra):
        """The parameters and the state of the optimiser after one gradient step."""
        params, opt_state = state
        pick, noise = jax.random.split(key)
        rows = jax.random.randint(pick, (self.batch,), 0, len(labels))
        share = number / self.steps

        def loss(params, x, y, noise, share):
            model = eqx.combine(params, static)
            if self.perturb is not None:
                noise, own = jax.random.split(noise)
                model = self.perturb(model, own, share)
            return self.loss(self.forward(model, x, noise, extra), y)

        grads = self.gradient(jax.grad(loss))(params, images[rows], labels[rows], noise, share)
        updates, opt_state = self.optimiser.update(grads, opt_state, params)
        params = optax.apply_updates(params, jax.tree.map(lambda u: rate * u, updates))
        if self.clip is not None:
            model = clip_weights(eqx.combine(params, static), self.clip, per=self.clip_per, weights=self.weights)
            params = eqx.partition(model, eqx.is_inexact_array)[0]
        return params, opt_state

    def _convolves(self, model: Any, images: Any, extra: Any) -> bool:
        """Whether steps are run one by one: on a CPU, XLA's convolutions take ten times as long in a loop."""
        if jax.default_backend() != "cpu":
            return False
        arrays, static = eqx.partition((model, images[: self.batch], jax.random.key(0), extra), eqx.is_array)
        traced = jax.make_jaxpr(lambda given: self.forward(*eqx.combine(given, static)))(arrays)
        return _holds_convolutions(traced)


def _holds_convolutions(traced: Any) -> bool:
    for eqn in traced.jaxpr.eqns:
        if eqn.primitive.name == "conv_general_dilated" or any(map(_holds_convolutions, inner_jaxprs(eqn.params))):
            return True
    return False


def _parts(keys: Array) -> list[Array]:
    """The keys of all steps in equal parts, so that one program runs each of them and progress can be shown in between."""
    count = next(n for n in range(20, 0, -1) if len(keys) % n == 0)
    return list(keys.reshape(count, -1))


def trained(network: Network, steps: int | None = None, *, key: PRNGKeyArray) -> Any:
    """The parameters of a network after digital training; its own if its weights are given.

    Training that takes minutes (`network.kept`) is done once: its weights are kept in the cache, under a hash of everything
    that they depend on.

    Args:
        steps: gradient steps, the network's own number if None.

    Raises:
        UsageError: if there is nothing to train on.
    """
    if network.trained:
        return network.params
    data, steps = network.measured_on(), steps or network.steps
    plain = _plain_trainer(network.f, steps, network.loss)
    make = lambda: plain.run(network.params, data.x_train, data.y_train, key=key, rate=network.rate)  # noqa: E731
    if not network.kept:
        return make()
    first = jnp.asarray(data.x_train[:1])
    program = str(jax.make_jaxpr(lambda x: network.f(network.params, x))(first))
    settings = (program, steps, network.rate, network.loss.__name__, jax.random.key_data(key).tolist())
    return kept(network.name, network.params, (data.x_train, data.y_train), settings, make)


def kept(name: str, first: Any, data: Sequence[ArrayLike], settings: Any, make: Callable[[], Any]) -> Any:
    """What `make` trains; done once, as it is kept in the cache under a hash of everything that it depends on.

    Args:
        name: of the file. first: parameters before training, of the same structure. data: that it is trained on.
        settings: everything else that determines it, the program included; its `repr` counts.
    """
    seen = hashlib.sha256(checkpoints.without_places(repr((settings, jax.__version__))).encode())
    for array in (*jax.tree.leaves(eqx.filter(first, eqx.is_array)), *data):
        seen.update(np.ascontiguousarray(array).tobytes())
    path = cache().parent / "networks" / f"{name}-{seen.hexdigest()[:16]}.npz"
    if path.is_file():
        try:
            return weights.load(first, path)
        except UsageError:
            pass  # damaged: trained and written again
    params = make()
    weights.save(params, path)
    return params


@functools.lru_cache(maxsize=4)
def _plain_trainer(f: Callable[..., Any], steps: int, loss: Score) -> Trainer:
    return Trainer(lambda m, x, k, extra: f(m, x), steps=steps, loss=loss)
