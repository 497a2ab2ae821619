"""Perceptrons of LIF neurons: coding of inputs as spikes, the network as a function of its weights, its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from experiments.supervised import Trainer, kept
from xbar import spiking
from xbar.spiking.conversion import NEVER
from xbar.training import weight_noise

Coding = Literal["rate", "regular"]
DT = 1e-3  # s, a time step
TAU = 10e-3  # s, of the membranes
SHARPNESS = 10.0


@dataclasses.dataclass(frozen=True)
class LIFNetwork:
    """Dense layers of LIF neurons; those of the last layer do not spike, and their mean membranes are the logits.

    Args:
        sizes: neurons of each layer, the inputs first. steps: T. coding: "rate" (a spike in each step with the probability of
            the input) or "regular" (evenly spaced). gain: factor on inputs before they are coded, and cut off at 1.
        signed: whether inputs have two rows each, one for each sign.
    """

    sizes: tuple[int, ...]
    steps: int
    coding: Coding = "regular"
    gain: float = 1.0
    signed: bool = False

    def start(self, key: PRNGKeyArray) -> list[eqx.nn.Linear]:
        """Random weights."""
        keys = jax.random.split(key, len(self.sizes) - 1)
        return [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(self.sizes[:-1], self.sizes[1:], keys, strict=True)]

    def encode(self, x: Float[Array, "batch ..."], key: PRNGKeyArray) -> Float[Array, "steps batch inputs"]:
        """Inputs as spikes."""
        x = self.gain * x.reshape(len(x), -1)
        x = jnp.concatenate([jnp.maximum(x, 0), jnp.maximum(-x, 0)], -1) if self.signed else x
        made = spiking.rate(x, self.steps, key=key) if self.coding == "rate" else spiking.regular(x, self.steps)
        return made.astype(jnp.float32)

    def spiking(self, layers: list[eqx.nn.Linear]) -> spiking.Spiking:
        """The network with these weights."""
        r = 1 / (1 - np.exp(-DT / TAU))  # a spike adds its weight to the membrane
        body = lambda top: spiking.LIF(tau=TAU, r=r, threshold=top, sharpness=SHARPNESS)  # noqa: E731
        neurons = [body(1.0) for _ in layers[:-1]] + [body(NEVER)]
        return spiking.Spiking(layers, neurons, DT)

    def __call__(self, layers: list[eqx.nn.Linear], spikes: Shaped[Array, "steps batch inputs"]) -> Array:
        """Logits: the function that is mapped to arrays."""
        return spiking.membrane_mean(self.spiking(layers)(spikes).v)

    def events(self, layers: list[eqx.nn.Linear], spikes: Array) -> spiking.EventCounts:
        """Events of an inference."""
        network = self.spiking(layers)
        return spiking.count_events(network, spikes, network(spikes))

    def trained(
        self,
        x: Any,
        y: Any,
        *,
        steps: int,
        key: PRNGKeyArray,
        noise: float = 0.0,
        penalty: float = 0.0,
        rate: float = 2e-3,
        batch: int = 128,
        start: list[eqx.nn.Linear] | None = None,
    ) -> list[eqx.nn.Linear]:
        """Weights after surrogate-gradient training; kept in the cache, so that the same training is done only once.

        Args:
            noise: of weights in the forward pass, a share of the largest. penalty: on hidden spikes, per neuron and step.
        """
        first, key = jax.random.split(key)

        def forward(layers, images, key, extra):
            code, own = jax.random.split(key)
            layers = weight_noise(layers, noise, key=own) if noise else layers
            run = self.spiking(layers)(self.encode(images, code))
            busy = sum(jnp.mean(s) for s in run.spikes[:-1]) if penalty else 0.0
            return spiking.membrane_mean(run.v), busy

        def loss(found, labels):
            from experiments.networks.network import cross_entropy

            return cross_entropy(found[0], labels) + penalty * found[1]

        trainer = Trainer(forward, steps=steps, batch=batch, loss=loss)  # pyright: ignore[reportArgumentType]
        begin = start or self.start(first)
        program = str(jax.make_jaxpr(lambda w, x: forward(w, x, key, None))(begin, jnp.asarray(x[:1])))
        settings = (program, steps, noise, penalty, rate, batch, jax.random.key_data(key).tolist())
        make = lambda: trainer.run(begin, x, y, key=key, rate=rate)  # noqa: E731
        return kept("lif", begin, (x, y), settings, make)

    def logits(self, layers: Any, x: Any, key: PRNGKeyArray, batch: int = 500) -> Array:
        """Logits of many inputs, a batch at a time."""
        run: Callable[..., Array] = eqx.filter_jit(lambda layers, x, k: self(layers, self.encode(x, k)))
        keys = jax.random.split(key, -(-len(x) // batch))
        return jnp.concatenate(
            [run(layers, jnp.asarray(x[i * batch : (i + 1) * batch]), k) for i, k in enumerate(keys)]
        )
