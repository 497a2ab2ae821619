"""Small helpers: scalars as leaves, values that are known while tracing, engineering notation."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

_PREFIXES = ("y", "z", "a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E")


def as_float(x: ArrayLike) -> jax.Array:
    """A floating-point array, so that every number of a model is a leaf that can be differentiated."""
    return jnp.asarray(x, dtype=float)


def concrete(x: ArrayLike | None) -> float | None:
    """The Python float behind a scalar, or None where it is traced, batched or absent."""
    if x is None or isinstance(x, Tracer):
        return None
    array = np.asarray(x)
    return float(array) if array.ndim == 0 else None


def engineering(value: int | float, unit: str = "") -> str:
    """Three digits and an SI prefix: `engineering(1.67e-12, "J") == "1.67 pJ"`."""
    if math.isnan(value):
        return "undefined"
    if value == 0 or math.isinf(value):
        return f"{value:g} {unit}".rstrip()
    value = float(f"{value:.3g}")  # round first: 999.6 p becomes 1 n, not 1e+03 p
    exponent = math.floor(math.log10(abs(value)) / 3 + 1e-12)
    exponent = min(max(exponent, -8), 6)
    return f"{value / 1000.0**exponent:.3g} {_PREFIXES[exponent + 8]}{unit}".rstrip()


def interpolate(x: ArrayLike, points: ArrayLike, values: ArrayLike) -> jax.Array:
    """Linear interpolation of a table, held at its ends, in the dtype of `x`.

    The table is cast first: `jnp.interp` keeps what it compiled for a NumPy table of another dtype.
    """
    x = as_float(x)
    return jnp.interp(x, jnp.asarray(points, x.dtype), jnp.asarray(values, x.dtype))
