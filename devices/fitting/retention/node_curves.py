"""Curves of the conductance whose parameters are their values at conductances that divide the range of the data evenly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from devices.curves import ClippedPolynomial, Exponential, PowerAndPolynomial

_LEAST = 1e-3  # of the largest conductance, stands for none in a logarithm


def polynomial_through(values: Mapping[str, Any], name: str, count: int, reach: Any) -> ClippedPolynomial:
    """The polynomial of x with the values `name_1` to `name_count`, constant beyond `reach`, the range of the data in x."""
    nodes = reach[0] + (reach[1] - reach[0]) * jnp.linspace(0, 1, count)
    return ClippedPolynomial(jnp.linalg.solve(nodes[:, None] ** jnp.arange(count), _at(values, name, count)), *reach)


def spread_through(values: Mapping[str, Any], name: str, count: int, reach: Any) -> Exponential:
    """As `polynomial_through`, but positive, and a power of x where x is small: `c x^p exp(q_1 x + q_2 x^2 + ...)`.

    A spread vanishes with the conductance: of 16 000 relaxing cells of filamentary ReRAM the log likelihood is 190 better
    than with the exponential of a polynomial of one number more. One value alone makes it constant.
    """
    low = jnp.maximum(reach[0], _LEAST * reach[1])
    nodes = low + (reach[1] - low) * jnp.linspace(0, 1, count)
    columns = [jnp.ones(count), jnp.log(nodes), *(nodes**k for k in range(1, count - 1))]
    found = jnp.linalg.solve(jnp.stack(columns[:count], 1), jnp.log(_at(values, name, count)))
    power, polynomial = (found[1] if count > 1 else 0.0), jnp.concatenate([found[:1], found[2:]])
    return Exponential(PowerAndPolynomial(power, polynomial, low, reach[1]))


def _at(values: Mapping[str, Any], name: str, count: int) -> Float[Array, " nodes"]:
    return jnp.stack([values[f"{name}_{k + 1}"] for k in range(count)])
