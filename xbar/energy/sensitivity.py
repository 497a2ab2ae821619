"""The sensitivity of the energy to each number of the model, by automatic differentiation."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from xbar.energy.coefficient import Coefficient
from xbar.energy.pricing import Recipe, priced

_SIZES = (
    "node",
    "supply",
    "feature",
    "v_select",
    "columns_per_adc",
    "adc_rate",
    "cycle",
    "clock",
    "lanes",
    "activation_bits",
    "buffer_bytes",
    "off_chip_share",
    "overhead",
)
_FACTS = ("adc_bits", "read_time", "v_read")


def elasticities(recipe: Recipe, batch: int) -> dict[str, Float[Array, "*batch"]]:
    """d ln E / d ln theta of everything that a recipe is priced by, the largest magnitude first.

    Args:
        batch: leading axes of the recipe's numbers, for wafers.
    """
    arrays, static = eqx.partition(recipe, eqx.is_array)
    one = lambda a: _of_one(a, static)  # noqa: E731
    for _ in range(batch):
        one = jax.vmap(one)
    found = jax.jit(one)(arrays)
    if any(isinstance(x, Tracer) for x in found.values()):
        return found
    size = lambda name: -float(np.mean(np.abs(np.nan_to_num(np.asarray(found[name])))))  # noqa: E731
    return {name: found[name] for name in sorted(found, key=size)}


def _of_one(arrays: Any, static: Any) -> dict[str, Array]:
    """d ln E / d ln theta = theta dE/dtheta / E."""
    total = lambda a: priced(eqx.combine(a, static)).terms.sum()  # noqa: E731
    floats, rest = eqx.partition(arrays, eqx.is_inexact_array)
    energy, slopes = jax.value_and_grad(lambda f: total(eqx.combine(f, rest)))(floats)
    share = lambda x, dx: jnp.sum(x * dx) / energy  # noqa: E731
    tech, by_tech = floats.technology, slopes.technology
    found = {}
    for name in tech.__dataclass_fields__:
        value = getattr(tech, name)
        if isinstance(value, Coefficient):
            found[name] = share(value.value, getattr(by_tech, name).value)
        elif name in _SIZES and value is not None:
            found[name] = share(value, getattr(by_tech, name))
    for cost, by_cost in zip(floats.costs, slopes.costs, strict=True):
        for name in _FACTS:
            if getattr(cost, name) is not None:
                found[f"{cost.name}: {name}"] = share(getattr(cost, name), getattr(by_cost, name))
    return found
