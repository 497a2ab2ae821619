"""What experiments call a network: a function with its parameters, and the data it is measured on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from experiments.datasets import Dataset
from experiments.framework.errors import UsageError

Score = Callable[[Array, ArrayLike], Float[Array, ""]]


def forward(model: Callable[[Array], Array], inputs: Array) -> Array:
    """Outputs for a batch, of a network written for one input: the function that experiments pass to `xbar.analog`."""
    return jax.vmap(model)(inputs)


def accuracy(logits: Float[Array, "... classes"], labels: ArrayLike) -> Float[Array, ""]:
    """Share of the labels (one for each vector of logits) that have the largest logit."""
    return jnp.mean(jnp.argmax(logits, axis=-1) == jnp.asarray(labels))


def cross_entropy(logits: Float[Array, "... classes"], labels: ArrayLike) -> Float[Array, ""]:
    """Mean of `-ln softmax(logits)[label]` [nat]; the perplexity is its exponential."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(labels)))


def squared_error(outputs: Float[Array, "..."], targets: ArrayLike) -> Float[Array, ""]:
    """Mean of the squared differences; for an autoencoder the targets are its inputs."""
    return jnp.mean((outputs - jnp.asarray(targets)) ** 2)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that experiments run.

    Args:
        name: as it was asked for.
        f: `f(params, inputs) -> outputs` of a batch.
        params: a pytree; an Equinox module for the networks of this package.
        data: what it is trained and measured on; None where none is available, with the reason in `no_data`.
        trained: whether the weights are given. Such a network is not trained digitally.
        steps, rate: of digital training otherwise: gradient steps, and the initial learning rate.
        kept: whether trained weights are kept in the cache.
        loss: what training minimises. metric: what experiments report.
    """

    name: str
    f: Callable[[Any, Any], Any]
    params: Any
    data: Dataset | None
    trained: bool
    steps: int = 1500
    rate: float = 3e-3
    loss: Score = cross_entropy
    metric: Score = accuracy
    no_data: str = ""
    kept: bool = False

    @property
    def teachable(self) -> bool:
        """Whether there is data to train on."""
        return self.data is not None and len(self.data.x_train) > 0

    def measured_on(self) -> Dataset:
        """Its data.

        Raises:
            UsageError: if there is none.
        """
        if self.data is None:
            raise UsageError(f"network {self.name!r} has no data to be measured on: {self.no_data}")
        return self.data

    def unlabelled(self, most: int) -> np.ndarray:
        """At most `most` inputs to calibrate converters with: of the training set, where there is one."""
        return self.measured_on().some("train" if self.teachable else "test", most)[0]
