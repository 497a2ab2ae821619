"""The reference networks of MLPerf Tiny, with batch norm folded into the layers before it; for one input each.

Reference: Banbury et al. 2021, arXiv 2106.07597; github.com/mlcommons/tiny, benchmark/training.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.networks.weights import Arrays

Layers = dict[str, eqx.nn.Conv2d | eqx.nn.Linear]
Shape = tuple[str, int, int, int | tuple[int, int], int]  # name, inputs, outputs, kernel, stride


class DSCNN(eqx.Module):
    """Keyword spotting: a 10 x 4 convolution and four depthwise-separable ones, 64 channels. For 49 x 10 MFCCs, 12 classes."""

    layers: Layers

    def __init__(self, *, key: PRNGKeyArray):
        pairs = [("dw1 pw1", 64, 64, 1), ("dw2 pw2", 64, 64, 1), ("dw3 pw3", 64, 64, 1), ("dw4 pw4", 64, 64, 1)]
        self.layers = _separable([("conv0", 1, 64, (10, 4), 2)], pairs, 12, key=key)

    def __call__(self, mfcc: Float[Array, "49 10"]) -> Float[Array, " 12"]:
        return _chain(self.layers, mfcc[None])


class MobileNet(eqx.Module):
    """Visual wake words: MobileNetV1 of width 0.25, 8 to 256 channels. For 96 x 96 RGB images in [0, 1]; 1 is a person."""

    layers: Layers

    def __init__(self, *, key: PRNGKeyArray):
        channels = (8, 16, 32, 32, 64, 64, *(128,) * 6, 256, 256)
        strided = (2, 4, 6, 12)
        pairs = [
            (f"dw{i} pw{i}", channels[i - 1], channels[i], 2 if i in strided else 1) for i in range(1, len(channels))
        ]
        self.layers = _separable([("conv0", 3, 8, 3, 2)], pairs, 2, key=key)

    def __call__(self, image: Float[Array, "96 96 3"]) -> Float[Array, " 2"]:
        return _chain(self.layers, jnp.moveaxis(image, -1, 0))


class ResNet8(eqx.Module):
    """Image classification: three residual blocks of 16, 32 and 64 channels. For 32 x 32 RGB images in [0, 1], 10 classes."""

    layers: Layers

    def __init__(self, *, key: PRNGKeyArray):
        shapes: list[Shape] = [("conv0", 3, 16, 3, 1)]
        for i, (a, b, stride) in enumerate(((16, 16, 1), (16, 32, 2), (32, 64, 2)), 1):
            shapes += [(f"s{i}_conv1", a, b, 3, stride), (f"s{i}_conv2", b, b, 3, 1)]
            shapes += [(f"s{i}_short", a, b, 1, stride)] if stride > 1 else []
        self.layers = _separable(shapes, [], 10, key=key, width=64)

    def __call__(self, image: Float[Array, "32 32 3"]) -> Float[Array, " 10"]:
        layers = self.layers
        x = jax.nn.relu(layers["conv0"](255 * jnp.moveaxis(image, -1, 0)))  # trained on pixels from 0 to 255
        for i in (1, 2, 3):
            y = layers[f"s{i}_conv2"](jax.nn.relu(layers[f"s{i}_conv1"](x)))
            short = layers[f"s{i}_short"](x) if f"s{i}_short" in layers else x
            x = jax.nn.relu(short + y)
        return layers["dense"](x.mean((1, 2)))


class Autoencoder(eqx.Module):
    """Anomaly detection: dense layers 640-128-128-128-128-8-128-128-128-128-640 with ReLU. For 5 frames of 128 log-mels."""

    layers: Layers

    def __init__(self, *, key: PRNGKeyArray):
        sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
        keys = jax.random.split(key, len(sizes) - 1)
        lines = enumerate(zip(sizes[:-1], sizes[1:], keys, strict=True))
        self.layers = {f"dense{i}": eqx.nn.Linear(a, b, key=k) for i, (a, b, k) in lines}

    def __call__(self, x: Float[Array, " 640"]) -> Float[Array, " 640"]:
        for i in range(9):
            x = jax.nn.relu(self.layers[f"dense{i}"](x))
        return self.layers["dense9"](x)


def from_keras(arrays: Arrays) -> dict[str, np.ndarray]:
    """Arrays of a data pack (`conv0/kernel`, `conv0/bias`) under these networks' paths, output channels first.

    Kernels are `[height, width, in, out]`, `[height, width, channels]` of depthwise convolutions, `[in, out]` of dense layers.
    """
    found = {}
    for name, array in arrays.items():
        layer, _, part = name.partition("/")
        if part == "kernel":
            found[f"layers.{layer}.weight"] = _output_first(array)
        elif part == "bias":
            found[f"layers.{layer}.bias"] = array
    return found


def _output_first(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(2, 0, 1)[:, None] if kernel.ndim == 3 else np.moveaxis(kernel, (-1, -2), (0, 1))


def _separable(
    shapes: Sequence[Shape],
    pairs: Sequence[tuple[str, int, int, int]],
    classes: int,
    *,
    key: PRNGKeyArray,
    width: int = 0,
) -> Layers:
    """Convolutions, pairs of a depthwise and a 1 x 1 one, and a dense layer, by name.

    Padding is TensorFlow's SAME: the smaller half at the top and left.
    """
    keys = iter(jax.random.split(key, len(shapes) + 2 * len(pairs) + 1))
    made: Layers = {}
    for name, a, b, kernel, stride in shapes:
        made[name] = eqx.nn.Conv2d(a, b, kernel, stride, "SAME", key=next(keys))
    for names, a, b, stride in pairs:
        deep, point = names.split()
        made[deep] = eqx.nn.Conv2d(a, a, 3, stride, "SAME", groups=a, key=next(keys))
        made[point] = eqx.nn.Conv2d(a, b, 1, key=next(keys))
    made["dense"] = eqx.nn.Linear(width or pairs[-1][2], classes, key=next(keys))
    return made


def _chain(layers: Layers, x: Float[Array, "channels height width"]) -> Float[Array, " classes"]:
    """Convolutions with ReLU one after another, the mean over positions, and the dense layer."""
    pairs = range(1, len(layers) // 2)
    for name in ("conv0", *(f"{kind}{i}" for i in pairs for kind in ("dw", "pw"))):  # a pytree sorts its names
        x = jax.nn.relu(layers[name](x))
    return layers["dense"](x.mean((1, 2)))
