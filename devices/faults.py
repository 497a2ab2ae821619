"""Faults: cells that do not do what they are told."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import unit_uniforms
from devices.base import AbstractFaults


class NoFaults(AbstractFaults):
    """Every cell works."""

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any) -> Float[Array, "*cells"]:
        return g


class StuckAt(AbstractFaults):
    """Cells stuck at a low or a high conductance, each independently of the others.

    Args:
        p_low, p_high: probability that a cell is stuck low or high.
        g_low, g_high: where it is stuck [S].

    Breaks when: faults come in clusters or along lines.
    """

    p_low: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    p_high: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    g_low: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    g_high: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return unit_uniforms(key, target)

    def __call__(self, g: Float[Array, "*cells"], z: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        stuck_high = jnp.where(z >= 1 - self.p_high, self.g_high, g)
        return jnp.where(z < self.p_low, self.g_low, stuck_high)
