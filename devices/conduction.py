"""Conduction: the current through a cell at a read voltage."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices.base import AbstractConduction


class Ohmic(AbstractConduction):
    """`i = g v`."""

    linear: ClassVar[bool] = True

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * v


class Cubic(AbstractConduction):
    """`i = g (v + curvature v^3)`: the lowest odd correction to Ohm's law.

    Args:
        curvature: [1/V^2]; positive for a barrier, negative for self-limiting conduction.

    Breaks when: `|v|` leaves the range over which the curvature was fitted.
    """

    linear: ClassVar[bool] = False
    curvature: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * (v + self.curvature * v**3)
