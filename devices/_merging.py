"""Cells of which some were written and others were not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from devices.base import Cells


def undated(cells: Cells) -> Cells:
    """What a write renews."""
    return Cells(cells.g, cells.drift, cells.read_noise, None, cells.update)


def chosen(hit: Any, fresh: Cells, old: Cells) -> Cells:
    """The `fresh` cells where `hit`, else the `old` ones; an array shared by several places of both stays shared."""
    found: dict[tuple[int, int], Any] = {}

    def choose(new: Any, before: Any) -> Any:
        pair = id(new), id(before)
        if pair not in found:
            found[pair] = _where(hit, new, before)
        return found[pair]

    return jax.tree.map(choose, fresh, old)


def _where(hit: Any, new: Any, old: Any) -> Any:
    """`new` for the cells that are `hit`, `old` for the others; anything that is not one value per cell comes from
    `new`."""
    if new is old or jnp.shape(new)[: hit.ndim] != hit.shape or jnp.shape(new) != jnp.shape(old):
        return new
    return jnp.where(hit.reshape(*hit.shape, *(1,) * (jnp.ndim(new) - hit.ndim)), new, old)
