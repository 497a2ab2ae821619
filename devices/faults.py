"""Faults and ageing: cells that do not respond as they should."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from devices._checks import at_least_0, chance, positive, positive_siemens, real, siemens
from devices.base import AbstractFaults
from devices.random import unit_uniforms


class NoFaults(AbstractFaults):
    """Every cell works."""

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any) -> Float[Array, "*cells"]:
        return g


class StuckAt(AbstractFaults):
    """Cells stuck at a low or a high conductance, or open, each independently of the others.

    The yield is `1 - p_low - p_high - p_open`.

    Args:
        p_low, p_high, p_open: probability that a cell is stuck low, stuck high or open.
        g_low, g_high: where it is stuck [S]; an open cell conducts nothing.

    Raises:
        ValueError: if concrete probabilities are negative or sum to more than 1.

    Breaks when: faults come in clusters or along lines; see `FaultMap`.
    """

    p_low: Float[Array, ""] = eqx.field(converter=chance)
    p_high: Float[Array, ""] = eqx.field(converter=chance)
    g_low: Float[Array, ""] = eqx.field(converter=siemens)
    g_high: Float[Array, ""] = eqx.field(converter=siemens)
    p_open: Float[Array, ""] = eqx.field(converter=chance, default=0.0)

    def __check_init__(self):
        chances = (self.p_low, self.p_high, self.p_open)
        if any(isinstance(p, Tracer) or not isinstance(p, jax.Array) or p.ndim for p in chances):
            return
        values = [float(p) for p in chances]
        if min(values) < 0 or sum(values) > 1 + 1e-6:
            raise ValueError(
                f"StuckAt: p_low={values[0]:g}, p_high={values[1]:g}, p_open={values[2]:g} must be 0 or more and sum "
                "to 1 at most."
            )

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return unit_uniforms(key, target)

    def __call__(self, g: Float[Array, "*cells"], z: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        stuck_high = jnp.where(z >= 1 - self.p_high, self.g_high, g)
        opened = jnp.where((z >= self.p_low) & (z < self.p_low + self.p_open), 0, stuck_high)
        return jnp.where(z < self.p_low, self.g_low, opened)


class FaultMap(AbstractFaults):
    """Known faults: a map of a particular array of cells, from a test of it.

    Args:
        stuck: whether each cell is stuck. g: where [S]; 0 for an open cell. Their shape is that of the cells, or
            broadcasts to it.

    Breaks when: cells are laid out differently from the map, as in the tiles of a network; write it for that layout.
    """

    stuck: Bool[Array, "*#cells"]
    g: Float[Array, "*#cells"] = eqx.field(converter=siemens)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any) -> Float[Array, "*cells"]:
        return jnp.where(self.stuck, self.g.astype(g.dtype), g)


class Wear(eqx.Module):
    """How worn a cell is: a uniform number that decides its lifetime, and the write cycles since it was made."""

    chance: Float[Array, "*cells"]
    written: Int[Array, "*cells"]


class WornOut(AbstractFaults):
    """Endurance: after some cycles the window closes and cells fail.

    A cell fails, stuck at `g_stuck`, once it has seen more cycles than its lifetime `scale (-ln u)^(1/shape)`,
    Weibull distributed. Cells count: from the `cycles` behind them when `Device.program` makes them, every pulse and
    every `Device.reprogram` adds one. The conductance of a surviving cell is compressed into a window that closes with
    every decade of cycles N past an onset:

    $$ \\log_{10} g' = \\mathrm{clip}(\\log_{10} g, \\log_{10} g_{min} + c_{low} D, \\log_{10} g_{max} - c_{high} D), \\quad
       D = \\log_{10}\\max(N/N_{on}, 1) $$

    Args:
        cycles: write cycles behind the cells when they are made, one number or one per cell. scale, shape: of the
            Weibull distribution, in cycles and 1.
        g_stuck: [S], where failed cells end. g_min, g_max: the window of a fresh cell [S].
        close_low, close_high: `c_low`, `c_high`: decades of conductance lost per decade of cycles. onset: `N_on`.

    Reference: the window has the form of Lammie et al. 2021 in MemTorch (recalled, not read), in conductance.

    Breaks when: pulses are weaker than the full cycles that lifetimes were measured with, since each counts as one.
    """

    cycles: Float[Array, "*#cells"] = eqx.field(converter=at_least_0)
    scale: Float[Array, ""] = eqx.field(converter=positive.but(infinite=True))
    shape: Float[Array, ""] = eqx.field(converter=positive)
    g_stuck: Float[Array, ""] = eqx.field(converter=siemens)
    g_min: Float[Array, ""] = eqx.field(converter=siemens)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    close_low: Float[Array, ""] = eqx.field(converter=real, default=0.0)
    close_high: Float[Array, ""] = eqx.field(converter=real, default=0.0)
    onset: Float[Array, ""] = eqx.field(converter=positive, default=1.0)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Wear:
        return Wear(unit_uniforms(key, target), jnp.zeros(target.shape, jnp.int32))

    def worn(self, z: Wear, n: Num[Array, "*#cells"]) -> Wear:
        n = jnp.asarray(n, jnp.int32)
        return Wear(z.chance, jnp.minimum(z.written, jnp.iinfo(jnp.int32).max - n) + n)

    def lifetime(self, z: Wear) -> Float[Array, "*cells"]:
        """Cycles after which each cell fails."""
        return self.scale * jnp.maximum(-jnp.log1p(-z.chance), 1e-12) ** (1 / self.shape)

    def seen(self, z: Wear) -> Float[Array, "*cells"]:
        """Cycles that each cell has seen."""
        return self.cycles + z.written.astype(z.chance.dtype)

    def window(
        self, seen: Float[Array, "*#cells"] | None = None
    ) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        """Lowest and highest conductance [S] that living cells reach once they have `seen` that many cycles, by default
        the cycles behind them when they are made."""
        decades = jnp.log10(jnp.maximum((self.cycles if seen is None else seen) / self.onset, 1))
        low, high = self.g_min * 10 ** (self.close_low * decades), self.g_max * 10 ** (-self.close_high * decades)
        middle = jnp.sqrt(self.g_min * self.g_max)
        return jnp.minimum(low, jnp.maximum(middle, self.g_min)), jnp.maximum(high, jnp.maximum(middle, self.g_min))

    def __call__(self, g: Float[Array, "*cells"], z: Wear) -> Float[Array, "*cells"]:
        seen = self.seen(z)
        low, high = self.window(seen)
        return jnp.where(seen > self.lifetime(z), self.g_stuck, jnp.clip(g, low, high))


class SumOfFaults(AbstractFaults):
    """Several kinds of faults at once; later ones take precedence.

    Args:
        parts: the faults.
    """

    parts: tuple[AbstractFaults, ...]

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> tuple[Any, ...]:
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.latents(target, key=k) for part, k in zip(self.parts, keys, strict=True))

    def worn(self, z: tuple[Any, ...], n: Num[Array, "*#cells"]) -> tuple[Any, ...]:
        return tuple(part.worn(own, n) for part, own in zip(self.parts, z, strict=True))

    def __call__(self, g: Float[Array, "*cells"], z: tuple[Any, ...]) -> Float[Array, "*cells"]:
        for part, own in zip(self.parts, z, strict=True):
            g = part(g, own)
        return g
