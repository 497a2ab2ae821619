"""Residual networks for CIFAR-10 of 6 n + 2 layers, with batch norm folded into the convolutions; for one image each.

Reference: He et al. 2016, 10.1109/CVPR.2016.90, section 4.2; with a 1 x 1 convolution where the number of channels changes.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.networks.weights import Arrays, fold_batch_norm

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels in [0, 1], as the weights were trained
FIRST_EPSILON, EPSILON = 1e-3, 1e-5  # of the first batch norm, and of all others


class Block(eqx.Module):
    """Two 3 x 3 convolutions, and a skip connection."""

    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    downsample: eqx.nn.Conv2d | None

    def __init__(self, inputs: int, outputs: int, *, key: PRNGKeyArray):
        k1, k2, k3 = jax.random.split(key, 3)
        stride = outputs // inputs
        self.conv1 = eqx.nn.Conv2d(inputs, outputs, 3, stride, 1, key=k1)
        self.conv2 = eqx.nn.Conv2d(outputs, outputs, 3, 1, 1, key=k2)
        self.downsample = eqx.nn.Conv2d(inputs, outputs, 1, stride, key=k3) if stride > 1 else None

    def __call__(self, x: Float[Array, "inputs height width"]) -> Float[Array, "outputs high wide"]:
        y = self.conv2(jax.nn.relu(self.conv1(x)))
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(eqx.Module):
    """A 3 x 3 convolution, three stages of `blocks` residual blocks with 16, 32 and 64 channels, and a dense layer.

    For 32 x 32 RGB images in [0, 1], which it normalises. `blocks` is 2, 3, 5 for ResNet-14, -20, -32.
    """

    conv1: eqx.nn.Conv2d
    stages: list[list[Block]]
    dense: eqx.nn.Linear

    def __init__(self, blocks: int, classes: int = 10, *, key: PRNGKeyArray):
        first, last, *keys = jax.random.split(key, 3 * blocks + 2)
        self.conv1 = eqx.nn.Conv2d(3, 16, 3, 1, 1, key=first)
        self.stages = []
        for inputs, outputs in ((16, 16), (16, 32), (32, 64)):
            own, keys = keys[:blocks], keys[blocks:]
            self.stages.append([Block(inputs if i == 0 else outputs, outputs, key=k) for i, k in enumerate(own)])
        self.dense = eqx.nn.Linear(64, classes, key=last)

    def __call__(self, image: Float[Array, "32 32 3"]) -> Float[Array, " classes"]:
        x = jnp.moveaxis((image - jnp.array(MEAN)) / jnp.array(SPREAD), -1, 0)
        x = jax.nn.relu(self.conv1(x))
        for block in (block for stage in self.stages for block in stage):
            x = block(x)
        return self.dense(x.mean((1, 2)))


def from_torch_names(arrays: Arrays) -> dict[str, np.ndarray]:
    """Arrays of a PyTorch checkpoint (`res1.0.conv1.weight`, `res1.0.bn1.running_mean`) under `ResNet`'s paths, folded."""
    found = {"dense.weight": arrays["classifier.2.weight"], "dense.bias": arrays["classifier.2.bias"]}
    convolutions = [n for n, a in arrays.items() if n.endswith(".weight") and a.ndim == 4]
    for name in convolutions:
        conv = name.removesuffix(".weight")
        norm = conv[:-1] + "1" if conv.endswith("downsample.0") else conv.replace("conv", "bn")
        epsilon = FIRST_EPSILON if conv == "conv1" else EPSILON
        statistics = dict(zip(("gamma", "beta", "mean", "variance"), _norm(arrays, norm), strict=True))
        weight, bias = fold_batch_norm(arrays[name], None, epsilon=epsilon, **statistics)
        path = conv.removesuffix(".0") if conv.endswith("downsample.0") else conv
        if path.startswith("res"):
            path = f"stages.{int(path[3]) - 1}{path[4:]}"
        found |= {f"{path}.weight": weight, f"{path}.bias": bias}
    return found


def _norm(arrays: Arrays, name: str) -> list[np.ndarray]:
    return [arrays[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
