"""Networks for grey images of digits and clothes: plain Equinox modules for one image."""

from __future__ import annotations

import math

import equinox as eqx
import jax
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


class LeNet5(eqx.Module):
    """Two 5 x 5 convolutions (6 and 16 channels) with average pooling, and dense layers 400-120-84; ReLU. For 28 x 28 images.

    Reference: LeCun et al. 1998, 10.1109/5.726791, with plain averages, ReLU, and a dense output.
    """

    convolutions: list[eqx.nn.Conv2d]
    dense: list[eqx.nn.Linear]

    def __init__(self, height: int, width: int, classes: int, *, key: PRNGKeyArray):
        if (height, width) != (28, 28):
            raise ValueError(f"LeNet5: images are {height} x {width}; it takes 28 x 28.")
        keys = jax.random.split(key, 5)
        sizes = ((1, 6, 2), (6, 16, 0))
        self.convolutions = [
            eqx.nn.Conv2d(a, b, 5, padding=p, key=k) for (a, b, p), k in zip(sizes, keys[:2], strict=True)
        ]
        lines = zip((400, 120, 84), (120, 84, classes), keys[2:], strict=True)
        self.dense = [eqx.nn.Linear(a, b, key=k) for a, b, k in lines]

    def __call__(self, image: Float[Array, "height width"]) -> Float[Array, " classes"]:
        x = image[None]
        for layer in self.convolutions:
            x = jax.nn.relu(layer(x))
            x = x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean((2, 4))
        x = x.ravel()
        for layer in self.dense[:-1]:
            x = jax.nn.relu(layer(x))
        return self.dense[-1](x)
