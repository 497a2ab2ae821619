"""Networks computed as matrix products, as arrays would: on a CPU, the derivative of a convolution by its kernel is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax

import devices
import xbar
from xbar.graph.work import inner_jaxprs

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
    arrays, static = eqx.partition((params, x), eqx.is_array)
    traced = jax.make_jaxpr(lambda given: f(*eqx.combine(given, static)))(arrays)
    groups = [eqn.params["feature_group_count"] for eqn in _convolutions(traced.jaxpr)]
    return as_products(f) if groups and max(groups) == 1 else f


def _convolutions(jaxpr: Any) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "conv_general_dilated":
            yield eqn
        for inner in inner_jaxprs(eqn.params):
            yield from _convolutions(inner.jaxpr)
