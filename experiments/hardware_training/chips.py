"""Chips that are programmed with trained weights and read at several times, as they are and with statistics matched."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import xbar
from experiments.hardware_training.techniques import Trained
from experiments.networks.network import Network
from xbar import training

REPAIRS = ("none", "statistics matched")
BATCH = 100
"""Test inputs that a chip reads at a time: patches of convolutions are the memory."""


def scores(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """What each input counts: 1 where it is classified correctly, else 0; of text, the mean loss of a window [nat]."""
    if labels.ndim > 1:
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, labels), -1)
    return (jnp.argmax(outputs, -1) == labels).astype(outputs.dtype)


def in_batches(f: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """`scores` of `f(x)`, some inputs at a time."""
    count = len(x)
    size = min(BATCH, count)
    rows = jnp.arange(-(-count // size) * size) % count
    split = lambda a: a[rows].reshape(-1, size, *a.shape[1:])  # noqa: E731
    return jax.lax.map(lambda xy: scores(f(xy[0]), xy[1]), (split(x), split(y))).reshape(-1)[:count]


class Reader:
    """One network on one macro; compiled once for all weights and chips.

    Args:
        percentile: of what converters see in calibration, that their ranges cover.
    """

    def __init__(self, network: Network, tile: xbar.Tile, percentile: float):
        self.network, self.percentile = network, percentile
        self.analog = xbar.analog(network.f, tile)
        self._read = eqx.filter_jit(self._of_one_chip)
        self._clean = eqx.filter_jit(lambda params, x, y: in_batches(lambda b: network.f(params, b), x, y))

    def clean(self, trained: Trained, x: Any, y: Any) -> np.ndarray:
        """Scores of the weights without hardware, [inputs]."""
        return np.asarray(self._clean(trained.params, jnp.asarray(x), jnp.asarray(y)))

    def read(self, trained: Trained, x_cal: Any, x: Any, y: Any, times: Any, key: Any) -> np.ndarray:
        """Scores of one chip, [times, repairs, inputs]."""
        calibration, inputs, labels, when = map(jnp.asarray, (x_cal, x, y, times))
        return np.asarray(self._read(trained.params, trained.adapters, calibration, inputs, labels, when, key))

    def _of_one_chip(self, params, adapters, x_cal, x, y, times, key):
        write, noise, reads = jax.random.split(key, 3)
        chip = self.analog.program(params, x_cal[:1], key=write)
        chip = xbar.calibrate(chip, x_cal, key=noise, method="percentile", percentile=self.percentile)
        if adapters is not None:
            chip = chip.with_corrections(adapters)

        def at(t):
            now = chip.at(t)
            matched = training.match_statistics(now, params, x_cal, key=noise)
            return jnp.stack([in_batches(lambda b, c=c: c(b, key=reads), x, y) for c in (now, matched)])

        return jax.lax.map(at, times)
