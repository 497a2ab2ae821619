"""Spikes that can be trained: a step forward, a smooth curve's slope backward."""

from __future__ import annotations

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Surrogate = Literal["fast_sigmoid", "arctan"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def spike(
    x: Float[Array, "*any"], surrogate: Surrogate = "fast_sigmoid", sharpness: float = 25.0
) -> Float[Array, "*any"]:
    """1 where `x` has reached 0, else 0; differentiated as if it were smooth.

    $$ \\frac{ds}{dx} = \\frac{1}{(1 + k|x|)^2} \\text{ (fast sigmoid)}, \\qquad
       \\frac{ds}{dx} = \\frac{1}{1 + (\\pi k x / 2)^2} \\text{ (arctan)} $$

    Args:
        x: distance to the threshold, in units of it. surrogate: the curve. sharpness: k.

    Reference: Zenke and Ganguli 2018, 10.1162/neco_a_01086 (fast sigmoid); Fang et al. 2021, 10.1109/ICCV48922.2021.00266
        (arctan).

    Breaks when: neurons stay far from their threshold: slopes vanish, and what never spikes never learns.
    """
    if surrogate not in ("fast_sigmoid", "arctan"):
        raise ValueError(f"spike: surrogate={surrogate!r}; it must be 'fast_sigmoid' or 'arctan'.")
    return (x >= 0).astype(x.dtype)


@spike.defjvp
def _spike_jvp(surrogate, sharpness, primals, tangents):
    (x,), (dx,) = primals, tangents
    arctan, sigmoid = 1 / (1 + (0.5 * math.pi * sharpness * x) ** 2), 1 / (1 + sharpness * jnp.abs(x)) ** 2
    slope = arctan if surrogate == "arctan" else sigmoid
    return spike(x, surrogate, sharpness), slope * dx
