"""Read noise: the variance of a conductance from one read to the next, and its course in time."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import (
    Number,
    at_least_0,
    hertz,
    kelvin,
    ordered,
    positive,
    positive_seconds,
    positive_siemens,
    seconds,
    volts,
)
from devices._numerics import phi1
from devices.base import AbstractReadNoise
from devices.constants import BOLTZMANN, ELEMENTARY_CHARGE
from devices.curves import Curve, spread_curve
from devices.random import unit_normals, unit_uniforms


class NoReadNoise(AbstractReadNoise):
    """Every read of a cell gives the same conductance."""

    silent: ClassVar[bool] = True
    timeless: ClassVar[bool] = True

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return jnp.zeros_like(g)


class WhiteReadNoise(AbstractReadNoise):
    """White read noise.

    $$ \\mathrm{var} = V(g / g_{max})\\, B / B_0 $$

    Args:
        variance: `V`, the variance [S^2] at the reference bandwidth: a number or a curve of `g / g_max`.
        g_max: normalisation [S].
        bandwidth: `B_0`, the noise bandwidth at which `variance` was measured [Hz].

    Breaks when: the noise is coloured, so that averaging longer helps less than this says.
    """

    timeless: ClassVar[bool] = True
    variance: Curve = eqx.field(converter=spread_curve)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    bandwidth: Float[Array, ""] = eqx.field(converter=hertz)

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return self.variance(g / self.g_max) * bandwidth / self.bandwidth


class ThermalNoise(AbstractReadNoise):
    """Johnson-Nyquist noise of the cell, referred to its conductance.

    $$ S_i = 4 k T g \\;\\Rightarrow\\; \\mathrm{var} = 4 k T g B / V^2 $$

    Args:
        v_read: V [V]. temperature: T [K].

    Breaks when: inputs are far from `v_read`: the current noise does not shrink with the voltage as assumed here. At
    25 uS, 0.2 V and 2 MHz it is 2e-7 of the signal.
    """

    timeless: ClassVar[bool] = True
    v_read: Float[Array, ""] = eqx.field(converter=volts)
    temperature: Float[Array, ""] = eqx.field(converter=kelvin, default=300.0)

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return (4 * BOLTZMANN * self.temperature) * g * bandwidth / self.v_read**2


class ShotNoise(AbstractReadNoise):
    """Shot noise of the cell's current, referred to its conductance.

    $$ S_i = 2 q g V F \\;\\Rightarrow\\; \\mathrm{var} = 2 q F g B / V $$

    Args:
        v_read: V [V]. fano: F; 1 for independent charges (tunnelling), below 1 for diffusive conductors.

    Breaks when: inputs are far from `v_read`.
    """

    timeless: ClassVar[bool] = True
    v_read: Float[Array, ""] = eqx.field(converter=volts)
    fano: Float[Array, ""] = eqx.field(converter=at_least_0, default=1.0)

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return (2 * ELEMENTARY_CHARGE * self.fano) * g * bandwidth / self.v_read


class OneOverFNoise(AbstractReadNoise):
    """1/f^b noise, accumulated since programming.

    $$ \\mathrm{var} = (g Q(x))^2 \\int_{1/(\\tau + t_r)}^{1/2t_r} \\frac{df}{f^b}, \\quad \\tau = t + t_0,
       \\; t_r = \\frac{1}{2B}, \\; x = g_0 / g_{max} $$

    which is `(g Q)^2 ln((tau + t_r) / 2 t_r)` at b = 1. `g_0` is the conductance just after programming: the state
    sets the noise amplitude, and drift scales both.

    Args:
        q: relative noise amplitude `Q` [Hz^((b-1)/2)]: a number or a curve of `g_0 / g_max`.
        g_max: normalisation [S].
        t0: time from the programming pulse to `t = 0` [s].
        exponent: b, between 0 and 2.
        present: take the conductance at the time of the read for `g_0` instead.

    Reference: Nandakumar et al. 2019, 10.1109/ICECS46596.2019.8964852 (Q and the integral, for PCM).

    Breaks when: reads follow each other quickly: successive reads of a product are drawn independently, while real 1/f
    noise moves slowly (`trace` has the correlation). A read shorter than half the age of the cell is assumed.
    """

    q: Curve = eqx.field(converter=spread_curve)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    t0: Float[Array, ""] = eqx.field(converter=seconds)
    exponent: Float[Array, ""] = eqx.field(converter=Number(low=0.0, high=2.0), default=1.0)
    present: bool = eqx.field(static=True, default=False)

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return programmed

    def rewritten(self, z: Float[Array, "*cells"], g: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        return g

    def amplitude(self, g: Float[Array, "*cells"], z: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """`g Q`: square root of the one-sided spectral density at 1 Hz [S/sqrt(Hz)]."""
        return g * self.q((g if self.present else z) / self.g_max)

    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: Float[Array, "*cells"],
        t: Float[Array, "*#cells"],
        bandwidth: Float[Array, ""],
    ) -> Float[Array, "*cells"]:
        decades = jnp.log(jnp.maximum(bandwidth * (t + self.t0) + 0.5, 1.0))
        bend = 1 - self.exponent
        lowest = jnp.log(t + self.t0 + 0.5 / bandwidth)  # minus its logarithm
        return self.amplitude(g, z) ** 2 * jnp.exp(-bend * lowest) * decades * phi1(bend * decades)

    def trace(
        self,
        g: Float[Array, "*cells"],
        z: Float[Array, "*cells"],
        t: Float[Array, "*#cells"],
        rate: Float[Array, ""],
        *,
        points: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "points *cells"]:
        """Fluctuation [S] around `g`: a bank of Ornstein-Uhlenbeck processes, three corner frequencies a decade from
        the inverse of the duration to half the rate, weighted so that their sum has the density `A f^-b`.

        Breaks when: the highest octave matters (sampled processes alias) or the lowest (there is nothing slower than
        the series).
        """
        decades = np.log10(points / 2)
        corners = max(2, int(np.ceil(3 * decades)) + 1)
        log_f = jnp.linspace(jnp.log(rate / points), jnp.log(rate / 2), corners)
        # sum_k s_k^2 (2/pi) f_k / (f_k^2 + f^2) -> A f^-b for s_k^2 = A f_k^(1-b) dlnf sin(pi (2-b)/2)
        weight = (log_f[1] - log_f[0]) * jnp.sin(jnp.pi * (2 - self.exponent) / 2)
        spread = jnp.sqrt(weight * jnp.exp((1 - self.exponent) * log_f))
        keep = jnp.exp(-2 * jnp.pi * jnp.exp(log_f) / rate)
        over = lambda v: v.reshape(-1, *(1,) * g.ndim).astype(g.dtype)  # noqa: E731  corners x cells
        keep, spread = over(keep), over(spread)

        def advance(x, key):
            x = keep * x + jnp.sqrt(1 - keep**2) * unit_normals(key, x)
            return x, jnp.sum(spread * x, 0)

        first, rest = jax.random.split(key)
        start = unit_normals(first, jnp.broadcast_to(g, (corners, *g.shape)))
        _, moved = lax.scan(advance, start, jax.random.split(rest, points))
        return self.amplitude(g, z)[None] * moved


class Trap(eqx.Module):
    """A cell's trap: a unit normal for its size, unit uniforms for its times."""

    size: Float[Array, "*cells"]
    capture: Float[Array, "*cells"]
    emission: Float[Array, "*cells"]


class TelegraphNoise(AbstractReadNoise):
    """Random telegraph noise: one trap per cell, two levels, exponential dwell times.

    A full trap lowers the conductance by `dg = g A(x) exp(sigma z)`. With mean dwell times `tau_c` (empty) and
    `tau_e` (full), the trap is full with probability `p = tau_e / (tau_c + tau_e)`, and a read that averages over `T
    = 1/2B` sees

    $$ \\mathrm{var} = dg^2\\,p (1-p)\\, W(T/\\tau), \\quad W(u) = \\frac{2}{u}\\Bigl(1 - \\frac{1 - e^{-u}}{u}\\Bigr), \\quad
       \\frac1\\tau = \\frac1{\\tau_c} + \\frac1{\\tau_e} $$

    The conductance given to the law is taken as the mean over both levels.

    Args:
        amplitude: A: a number or a curve of `g / g_max`. g_max: normalisation [S]. spread: sigma.
        shortest, longest: dwell times are log-uniform between these [s], each drawn independently.

    Reference: Machlup 1954, 10.1063/1.1721637, for the spectrum of the process (recalled, not read).

    Breaks when: few cells matter: a product draws its noise as normal with this variance, while one cell has two levels
    (`trace` has them).
    """

    timeless: ClassVar[bool] = True
    amplitude: Curve = eqx.field(converter=spread_curve)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    spread: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    shortest: Float[Array, ""] = eqx.field(converter=positive_seconds, default=1e-6)
    longest: Float[Array, ""] = eqx.field(converter=positive_seconds, default=1.0)

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Trap:
        size, capture, emission = jax.random.split(key, 3)
        return Trap(
            unit_normals(size, programmed), unit_uniforms(capture, programmed), unit_uniforms(emission, programmed)
        )

    def __check_init__(self):
        ordered(self, "shortest", "longest")

    def step(self, g: Float[Array, "*cells"], z: Trap) -> Float[Array, "*cells"]:
        """Distance between the levels of each cell [S]."""
        return g * self.amplitude(g / self.g_max) * jnp.exp(self.spread * z.size)

    def dwell(self, z: Trap) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        """Mean times to capture and to emission of each cell [s]."""
        span = jnp.log(self.longest / self.shortest)
        return self.shortest * jnp.exp(span * z.capture), self.shortest * jnp.exp(span * z.emission)

    def __call__(
        self, g: Float[Array, "*cells"], z: Trap, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        capture, emission = self.dwell(z)
        full = emission / (capture + emission)
        u = 0.5 / bandwidth * (1 / capture + 1 / emission)
        small = u < 1e-2  # the difference below cancels
        averaged = jnp.where(small, 1 - u / 3 + u**2 / 12, 2 / u * (1 - phi1(-jnp.where(small, 1, u))))
        return self.step(g, z) ** 2 * full * (1 - full) * averaged

    def trace(
        self,
        g: Float[Array, "*cells"],
        z: Trap,
        t: Float[Array, "*#cells"],
        rate: Float[Array, ""],
        *,
        points: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "points *cells"]:
        """Fluctuation [S] around `g`: the two-state Markov chain, seen at instants `1/rate` apart."""
        capture, emission = self.dwell(z)
        full = emission / (capture + emission)
        keep = jnp.exp(-(1 / capture + 1 / emission) / rate)

        def advance(state, key):
            state = (unit_uniforms(key, g) < full + (state - full) * keep).astype(g.dtype)
            return state, state

        first, rest = jax.random.split(key)
        start = (unit_uniforms(first, g) < full).astype(g.dtype)
        _, states = lax.scan(advance, start, jax.random.split(rest, points))
        return self.step(g, z)[None] * (full[None] - states)


class SumOfNoises(AbstractReadNoise):
    """Several independent noises of one cell: their variances add.

    Args:
        parts: the noises.
    """

    parts: tuple[AbstractReadNoise, ...]

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> tuple[Any, ...]:
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.latents(programmed, key=k) for part, k in zip(self.parts, keys, strict=True))

    def rewritten(self, z: tuple[Any, ...], g: Float[Array, "*cells"]) -> tuple[Any, ...]:
        return tuple(part.rewritten(own, g) for part, own in zip(self.parts, z, strict=True))

    def __call__(
        self, g: Float[Array, "*cells"], z: tuple[Any, ...], t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        variances = [part(g, own, t, bandwidth) for part, own in zip(self.parts, z, strict=True)]
        return sum(variances, jnp.zeros_like(g))

    def trace(
        self,
        g: Float[Array, "*cells"],
        z: tuple[Any, ...],
        t: Float[Array, "*#cells"],
        rate: Float[Array, ""],
        *,
        points: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "points *cells"]:
        """Fluctuation [S] around `g`: the sum of the parts'."""
        keys = jax.random.split(key, len(self.parts))
        moved = [p.trace(g, own, t, rate, points=points, key=k) for p, own, k in zip(self.parts, z, keys, strict=True)]
        return sum(moved, jnp.zeros((points, *g.shape), g.dtype))


class ScaledReadNoise(AbstractReadNoise):
    """The read noise of a cell with another range, at the same share of that range.

    $$ \\sigma^2(g) = \\sigma_{other}^2(s\\,g) / s^2 $$

    Args:
        read_noise: of the other cell. factor: s, the other cell's largest conductance over this one's.
    """

    read_noise: AbstractReadNoise
    factor: Float[Array, ""] = eqx.field(converter=positive)

    @property
    def silent(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.read_noise.silent

    @property
    def timeless(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.read_noise.timeless

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return self.read_noise.latents(programmed * self.factor.astype(programmed.dtype), key=key)

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        return self.read_noise.rewritten(z, g * self.factor.astype(g.dtype))

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        factor = self.factor.astype(g.dtype)
        return self.read_noise(g * factor, z, t, bandwidth) / factor**2

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
        """Fluctuation [S] around `g`: that of the other cell, scaled."""
        factor = self.factor.astype(g.dtype)
        return self.read_noise.trace(g * factor, z, t, rate, points=points, key=key) / factor
