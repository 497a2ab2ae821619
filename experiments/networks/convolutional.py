"""Convolutional networks for heartbeats and speech; for one recording each."""

from __future__ import annotations

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.networks.recurrent import SCALE


class BeatCNN(eqx.Module):
    """Three convolutions in time (16, 32, 32 channels, 7 samples, stride 2) with ReLU, and a dense layer."""

    convolutions: list[eqx.nn.Conv1d]
    dense: eqx.nn.Linear

    def __init__(self, classes: int, *, key: PRNGKeyArray):
        *keys, last = jax.random.split(key, 4)
        channels = zip((1, 16, 32), (16, 32, 32), keys, strict=True)
        self.convolutions = [eqx.nn.Conv1d(a, b, 7, 2, 3, key=k) for a, b, k in channels]
        self.dense = eqx.nn.Linear(32 * 16, classes, key=last)

    def __call__(self, beat: Float[Array, " 128"]) -> Float[Array, " classes"]:
        x = beat[None]
        for layer in self.convolutions:
            x = jax.nn.relu(layer(x))
        return self.dense(x.ravel())


class SpeechCNN(eqx.Module):
    """Three 3 x 3 convolutions (16, 32, 32 channels, stride 2 but for the first) with ReLU, and a dense layer."""

    convolutions: list[eqx.nn.Conv2d]
    dense: eqx.nn.Linear

    def __init__(self, classes: int, *, key: PRNGKeyArray):
        *keys, last = jax.random.split(key, 4)
        shapes = zip((1, 16, 32), (16, 32, 32), (1, 2, 2), keys, strict=True)
        self.convolutions = [eqx.nn.Conv2d(a, b, 3, s, 1, key=k) for a, b, s, k in shapes]
        self.dense = eqx.nn.Linear(32 * 13 * 3, classes, key=last)

    def __call__(self, mfcc: Float[Array, "49 10"]) -> Float[Array, " classes"]:
        x = mfcc[None] / SCALE
        for layer in self.convolutions:
            x = jax.nn.relu(layer(x))
        return self.dense(x.ravel())
