"""Networks computed as matrix products, as arrays would: on a CPU, the derivative of a convolution by its kernel is slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

import devices
import xbar
from xbar import training

LINES = 4096  # of a tile that holds any layer whole


def as_products(f: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """`f(params, x)` whose convolutions are products of patches, on cells without any error: the same numbers to rounding.

    XLA's derivative of a convolution by its kernel takes several times as long on a CPU as that of the product.
    """
    tile = xbar.Tile(devices.Device(0.0, 1e-4), LINES, LINES, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
    analog = xbar.analog(f, tile, gradient="straight_through")  # exact, as the cells are
    return lambda params, x: analog(params, x, key=jax.random.key(0))


def trained_as(f: Callable[..., Any], params: Any, x: Any) -> Callable[[Any, Any], Any]:
    """The form of `f` to train: products where it has convolutions and none of them is in groups, else `f` itself.

    Args:
        params, x: of a call; only shapes and dtypes matter.
    """
    channels = training.weights_of(f, params, x).channels
    kernels = [own for own, w in zip(channels, jax.tree.leaves(params), strict=True) if own is not None and w.ndim > 2]
    return as_products(f) if kernels and all(own == (0,) for own in kernels) else f
