"""Chips programmed with trained weights and read at several times, as they are and with matched statistics."""

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
"""Test inputs that a chip reads at a time: the patches of convolutions take most of the memory."""


def scores(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """The score of each input: 1 where it is classified correctly, else 0; for text, the mean loss of a window [nat]."""
    if labels.ndim > 1:
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, labels), -1)
    return (jnp.argmax(outputs, -1) == labels).astype(outputs.dtype)


def in_batches(f: Any, x: Any, y: Any) -> np.ndarray:
    """`scores` of `f(x)`, a batch of inputs at a time.

    Batches are a Python loop: on a CPU, convolutions take ten times as long in an XLA loop.
    """
    count = len(x)
    size = min(BATCH, count)
    rows = np.arange(-(-count // size) * size) % count
    found = [scores(f(jnp.asarray(x[i])), jnp.asarray(y[i])) for i in rows.reshape(-1, size)]
    return np.concatenate([np.asarray(part) for part in found])[:count]


class Reader:
    """One network on one macro; compiled once for all weights and chips.

    Args:
        percentile: of the converters' signals in calibration that their ranges cover.
    """

    def __init__(self, network: Network, tile: xbar.Tile, percentile: float):
        self.network, self.percentile = network, percentile
        self.analog = xbar.analog(network.f, tile)
        self._digital = eqx.filter_jit(network.f)

    def clean(self, trained: Trained, x: Any, y: Any) -> np.ndarray:
        """Scores of the weights without hardware, [inputs]."""
        return in_batches(lambda b: self._digital(trained.params, b), x, y)

    def read(self, trained: Trained, x_cal: Any, x: Any, y: Any, times: Any, key: Any) -> np.ndarray:
        """Scores of one chip, [times, repairs, inputs]."""
        write, noise, reads = jax.random.split(key, 3)
        x_cal = jnp.asarray(x_cal)
        chip = self.analog.program(trained.params, x_cal[:1], key=write)
        chip = xbar.calibrate(chip, x_cal, key=noise, method="percentile", percentile=self.percentile)
        if trained.adapters is not None:
            chip = chip.with_corrections(trained.adapters)
        found = []
        for t in times:
            now = chip.at(t)
            matched = training.match_statistics(now, trained.params, x_cal, key=noise)
            found.append([in_batches(lambda b, c=c: c(b, key=reads), x, y) for c in (now, matched)])
        return np.array(found)
