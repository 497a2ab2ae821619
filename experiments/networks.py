"""The networks that experiments run: plain Equinox modules for one image."""

from __future__ import annotations

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class MLP(eqx.Module):
    """Dense layers with ReLU between them: 64-32-10 for 8 x 8 images, 784-256-128-10 for 28 x 28."""

    layers: list[eqx.nn.Linear]

    def __init__(self, height: int, width: int, classes: int, *, key: PRNGKeyArray):
        hidden = (32,) if height * width <= 64 else (256, 128)
        sizes = (height * width, *hidden, classes)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]

    def __call__(self, image: Float[Array, "height width"]) -> Float[Array, " classes"]:
        x = image.ravel()
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


class CNN(eqx.Module):
    """Two 3 x 3 convolutions with ReLU, the second with stride 2, then one dense layer; 28 x 28 images are strided twice."""

    first: eqx.nn.Conv2d
    second: eqx.nn.Conv2d
    dense: eqx.nn.Linear

    def __init__(self, height: int, width: int, classes: int, *, key: PRNGKeyArray):
        k1, k2, k3 = jax.random.split(key, 3)
        stride = 1 if height <= 8 else 2
        self.first = eqx.nn.Conv2d(1, 8, 3, stride=stride, padding=1, key=k1)
        self.second = eqx.nn.Conv2d(8, 16, 3, stride=2, padding=1, key=k2)
        pixels = math.ceil(height / stride / 2) * math.ceil(width / stride / 2)
        self.dense = eqx.nn.Linear(16 * pixels, classes, key=k3)

    def __call__(self, image: Float[Array, "height width"]) -> Float[Array, " classes"]:
        x = jax.nn.relu(self.second(jax.nn.relu(self.first(image[None]))))
        return self.dense(x.ravel())


def make(name: str, height: int, width: int, classes: int = 10, *, key: PRNGKeyArray) -> MLP | CNN:
    """A network by name, with random weights."""
    return {"mlp": MLP, "cnn": CNN}[name](height, width, classes, key=key)


def forward(
    model: Callable[[Float[Array, "height width"]], Float[Array, " classes"]],
    images: Float[Array, "batch height width"],
) -> Float[Array, "batch classes"]:
    """Logits of a batch: the function that experiments hand to `xbar.analog`."""
    return jax.vmap(model)(images)


def accuracy(logits: Float[Array, "batch classes"], labels: Array) -> Float[Array, ""]:
    """Share of the batch whose largest logit is the label's."""
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)
