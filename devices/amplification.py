"""Devices with multiplied imperfections: the basis of tolerances and sensitivities.

Each law here wraps another one and carries a factor, 1 for the device as it is and 0 for one without that imperfection.
Factors are leaves: derivatives with respect to them are exact, in any chip.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import at_least_0, chance, positive, siemens
from devices.base import AbstractConduction, AbstractDrift, AbstractFaults, AbstractProgramming, AbstractReadNoise
from devices.device import Device
from devices.drift import NoDrift, StateAndNormal
from devices.noise import NoReadNoise
from devices.programming import ExactProgramming
from devices.random import unit_uniforms


class Factors(eqx.Module):
    """The factor on each imperfection.

    Args:
        write: write error. drift_mean: what a typical cell drifts by. drift_spread: how far cells deviate from it.
            read_noise: rms read noise. nonlinearity: departure of the read current from Ohm's law.
    """

    write: Any = 1.0
    drift_mean: Any = 1.0
    drift_spread: Any = 1.0
    read_noise: Any = 1.0
    nonlinearity: Any = 1.0


def amplify(device: Device, factors: Factors) -> Device:
    """The device with its imperfections multiplied by `factors`; parts without a law stay as they are.

    The range, faults and pulse update are those of the device.
    """
    changed: dict[str, Any] = {}
    if not isinstance(device.programming, ExactProgramming):
        changed["programming"] = AmplifiedProgramming(device.programming, factors.write)
    if not isinstance(device.drift, NoDrift):
        changed["drift"] = AmplifiedDrift(device.drift, factors.drift_mean, factors.drift_spread)
    if not isinstance(device.read_noise, NoReadNoise):
        changed["read_noise"] = AmplifiedReadNoise(device.read_noise, factors.read_noise)
    if not device.conduction.linear:
        changed["conduction"] = AmplifiedNonlinearity(device.conduction, factors.nonlinearity)
    return dataclasses.replace(device, **changed)


class AmplifiedProgramming(AbstractProgramming):
    """A write error multiplied by `factor`.

    $$ g = \\max(g_T + s\\,(P(g_T) - g_T), 0) $$

    Args:
        programming: P. factor: s.

    Breaks when: P is bounded (levels, a window); the bounds grow with s, too.
    """

    programming: AbstractProgramming
    factor: Float[Array, ""] = eqx.field(converter=at_least_0)

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        error = self.programming(target, key=key) - target
        return jnp.maximum(target + self.factor.astype(target.dtype) * error, 0)


class AmplifiedDrift(AbstractDrift):
    """Drift whose typical course and spread over cells are multiplied separately.

    $$ g(t) = \\max\\bigl(g + m\\,[D(g, 0, t) - g] + D(g, s z, t) - D(g, 0, t),\\, 0\\bigr) $$

    `D(g, 0, t)` is the cell whose unit random numbers are 0. With a factor m of 1 this is the law at `s z`: for a power law
    the same mean exponent, and s times its spread.

    Args:
        drift: D. mean: m. spread: s.

    Raises:
        TypeError: for a law that remembers more of a cell than unit random numbers, alone or with its target.
    """

    drift: AbstractDrift
    mean: Float[Array, ""] = eqx.field(converter=at_least_0)
    spread: Float[Array, ""] = eqx.field(converter=at_least_0)

    @property
    def timeless(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.drift.timeless

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return self.drift.latents(target, key=key)

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        return self.drift.rewritten(z, g)

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        mean = self.mean.astype(g.dtype)
        typical = self.drift(g, _times(z, 0.0, self.drift), t)
        own = self.drift(g, _times(z, self.spread.astype(g.dtype), self.drift), t)
        return jnp.maximum(g + mean * (typical - g) + (own - typical), 0)


def _times(z: Any, factor: Any, law: AbstractDrift) -> Any:
    """Latents with their unit random numbers multiplied."""
    if isinstance(z, StateAndNormal):
        return StateAndNormal(z.target, z.normal * factor)
    if isinstance(z, tuple):
        return tuple(_times(part, factor, law) for part in z)
    if isinstance(z, jax.Array):
        return z * factor
    if z is None:
        return None
    raise TypeError(
        f"AmplifiedDrift: {type(law).__name__} remembers a {type(z).__name__} of each cell; expected a law that "
        "remembers unit random numbers, alone or as a StateAndNormal."
    )


class AmplifiedReadNoise(AbstractReadNoise):
    """Read noise whose rms is multiplied by `factor`: `var = s^2 V`.

    Args:
        read_noise: V. factor: s.
    """

    read_noise: AbstractReadNoise
    factor: Float[Array, ""] = eqx.field(converter=at_least_0)

    @property
    def silent(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.read_noise.silent

    @property
    def timeless(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.read_noise.timeless

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return self.read_noise.latents(programmed, key=key)

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        return self.read_noise.rewritten(z, g)

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return self.factor.astype(g.dtype) ** 2 * self.read_noise(g, z, t, bandwidth)

    def trace(
        self,
        g: Float[Array, "*cells"],
        z: Any,
        t: Float[Array, "*#cells"],
        rate: Float[Array, ""],
        *,
        points: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "points *cells"]:
        """Fluctuation [S] around `g`: that of the law, multiplied."""
        return self.factor.astype(g.dtype) * self.read_noise.trace(g, z, t, rate, points=points, key=key)


class AmplifiedNonlinearity(AbstractConduction):
    """A departure from Ohm's law multiplied by `factor`: `i = g v + s (C(g, v) - g v)`.

    Args:
        law: C. factor: s.
    """

    linear: ClassVar[bool] = False
    law: AbstractConduction
    factor: Float[Array, ""] = eqx.field(converter=at_least_0)

    @property
    def separable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.law.separable

    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g * v + self.factor * (self.law(g, v) - g * v)


class PartlyStuck(AbstractFaults):
    """Stuck cells whose share is differentiable: cells whose random number lies near the threshold are partly stuck.

    $$ g' = g + b\\,(g_{stuck} - g), \\qquad b = \\mathrm{clip}\\Bigl(\\frac{p (1 + w) - u}{2 w p}, 0, 1\\Bigr) $$

    with u uniform on (0, 1), so that the mean of b is p and that of its derivative is 1. For `StuckAt` that derivative is 0
    almost everywhere. With w = 1/2 the mean square of b is 5/6 of p.

    Args:
        share: p, of stuck cells, at most `1 / (1 + w)`. high: share of them that is stuck at `g_high`; the others are at
        `g_low`.
        g_low, g_high: [S]. width: w, at most 1.

    Breaks when: the result depends on single cells; use `StuckAt` for the final count.
    """

    share: Float[Array, ""] = eqx.field(converter=chance)
    high: Float[Array, ""] = eqx.field(converter=chance)
    g_low: Float[Array, ""] = eqx.field(converter=siemens)
    g_high: Float[Array, ""] = eqx.field(converter=siemens)
    width: Float[Array, ""] = eqx.field(converter=positive.but(high=1.0), default=0.5)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> tuple[Any, Any]:
        whether, where = jax.random.split(key)
        return unit_uniforms(whether, target), unit_uniforms(where, target)

    def __call__(self, g: Float[Array, "*cells"], z: tuple[Any, Any]) -> Float[Array, "*cells"]:
        whether, where = z
        ramp = 2 * self.width * jnp.maximum(self.share, 1e-12)
        stuck = jnp.clip((self.share * (1 + self.width) - whether) / ramp, 0, 1)
        at = jnp.where(where < self.high, self.g_high, self.g_low)
        return (g + stuck * (at - g)).astype(g.dtype)
