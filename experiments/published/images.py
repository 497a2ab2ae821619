"""Networks on CIFAR-10's images, read by chips a few images at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import devices
import xbar
from devices import noise
from experiments import datasets, networks

BATCH = 100
"""Images that a chip reads at a time: the patches of a convolution take most of the memory."""


class Images(eqx.Module):
    """Test images and labels, in batches."""

    x: jax.Array
    y: jax.Array

    @classmethod
    def of(cls, name: str) -> Images:
        data = datasets.load(name)
        count = len(data.x_test) // BATCH * BATCH
        x = jnp.asarray(data.x_test[:count]).reshape(-1, BATCH, *data.x_test.shape[1:])
        return cls(x, jnp.asarray(data.y_test[:count]).reshape(-1, BATCH))

    def accuracy(self, f: Any) -> jax.Array:
        """Share of images whose largest output is the label's."""
        right = jax.lax.map(lambda xy: jnp.mean(jnp.argmax(f(xy[0]), -1) == xy[1]), (self.x, self.y))
        return jnp.mean(right)


def network(name: str) -> Any:
    """A network of the zoo with its given weights."""
    return networks.find(name, jax.random.key(0))


def rounded(params: Any, bits: int = 8) -> Any:
    """Weights rounded to `bits`, symmetric about zero, with one scale for each layer; biases as they are."""
    top = 2 ** (bits - 1) - 1

    def quantised(w: Any) -> Any:
        if not eqx.is_inexact_array(w) or w.ndim < 2:
            return w
        scale = jnp.maximum(jnp.max(jnp.abs(w)), 1e-30) / top
        return jnp.round(w / scale) * scale if _is_weight(w) else w

    return jax.tree.map(quantised, params)


def _is_weight(w: Any) -> bool:
    return int(np.prod(w.shape)) > max(w.shape)


def one_tile_a_layer(device: devices.Device, bits: int | None = None) -> xbar.Tile:
    """Every layer on one tile with one scale, as published: 576 word lines hold a patch of 3 x 3 x 64."""
    dac, adc = xbar.DAC(bits=bits), xbar.ADC(bits=bits)
    return xbar.Tile(device, rows=576, cols=64, dac=dac, adc=adc, mapping=xbar.Differential(per="tile"))


def write_errors_alone(device: devices.Device) -> devices.Device:
    """The device without read noise."""
    return dataclasses.replace(device, read_noise=noise.NoReadNoise())
