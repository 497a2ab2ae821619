"""Networks computed as matrix products, as arrays would: on a CPU, the derivative of a convolution by its kernel is slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

import devices
import xbar

LINES = 4096  # of a tile that holds any layer whole


def as_products(f: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """`f(params, x)` whose convolutions are products of patches, on cells without any error: the same numbers to rounding.

    XLA's derivative of a convolution by its kernel takes several times as long on a CPU as that of the product.
    """
    tile = xbar.Tile(devices.Device(0.0, 1e-4), LINES, LINES, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
    analog = xbar.analog(f, tile)
    return lambda params, x: analog(params, x, key=jax.random.key(0))
