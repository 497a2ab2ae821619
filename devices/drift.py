"""Drift, relaxation and retention: the conductance over time."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import (
    Number,
    at_least_0,
    kelvin,
    positive,
    positive_seconds,
    positive_siemens,
    real,
    same_length,
    seconds,
    signed_siemens,
)
from devices._numerics import nearest, polynomial
from devices.base import AbstractDrift
from devices.constants import BOLTZMANN_EV
from devices.curves import Curve, as_curve, siemens_curve, siemens_spread, spread_curve
from devices.programming import AbstractError, Normal
from devices.random import unit_normals


class NoDrift(AbstractDrift):
    """`g(t) = g(0)`."""

    timeless: ClassVar[bool] = True

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return g


class StateAndNormal(eqx.Module):
    """The latents of a law conditioned on the programmed state: the target [S] and a random number of unit scale."""

    target: Float[Array, "*cells"]
    normal: Float[Array, "*cells"]

    def at(self, g: Float[Array, "*cells"]) -> StateAndNormal:
        """The same cell in another state [S]."""
        return StateAndNormal(g, self.normal)


class PowerLawDrift(AbstractDrift):
    """Structural-relaxation drift with an individual exponent for every cell.

    $$ g(t) = g_0 (1 + t/t_0)^{-\\nu}, \\qquad \\nu = |\\nu_{mean}(x) + \\nu_{std}(x)\\,z|, \\quad x = g_T / g_{max} $$

    `g_0` is the conductance at `t_0` after the programming pulse, the moment at which `t = 0`.

    Args:
        nu_mean, nu_std: mean and spread of the exponent: a number, or a curve of the normalised target
            (`devices.curves.Table` for measured values).
        g_max: normalisation of the curves [S].
        t0: time from the programming pulse to the first read [s].

    Reference: Nandakumar et al. 2019, 10.1109/ICECS46596.2019.8964852; Joshi et al. 2020, 10.1038/s41467-020-16108-9.

    Breaks when: temperature changes (the exponent holds at one temperature; see `Arrhenius`), or the state is
    re-programmed (drift restarts).
    """

    nu_mean: Curve = eqx.field(converter=as_curve)
    nu_std: Curve = eqx.field(converter=spread_curve)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    t0: Float[Array, ""] = eqx.field(converter=positive_seconds)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, unit_normals(key, target))

    def rewritten(self, z: StateAndNormal, g: Float[Array, "*cells"]) -> StateAndNormal:
        return z.at(g)

    def exponent(self, z: StateAndNormal) -> Float[Array, "*cells"]:
        """The drift exponent of each cell."""
        x = z.target / self.g_max
        return jnp.abs(self.nu_mean(x) + self.nu_std(x) * z.normal)

    def __call__(
        self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        return g * jnp.exp(-self.exponent(z) * jnp.log1p(t / self.t0))


class LogTimeRelaxation(AbstractDrift):
    """Relaxation in logarithmic time, mean and spread, with tails of any weight.

    $$ g(t) = g_0 + m(x)\\,\\ell + s(x)\\,(\\ell + \\ell_0)^p\\,z, \\qquad
       \\ell = \\ln\\max(t/t_0, 1) \\;\\text{or, if soft,}\\; \\ln(1 + t/t_0) $$

    `p = 1/2` is the variance linear in log time of filamentary ReRAM after write-verify; `p = 1` a spread linear in
    log time. One `z` per cell: its trajectory keeps its sign and its rank.

    Args:
        shift: m [S] per e-fold of time, spread: s [S], power: p; a number or a curve of the normalised target.
        g_max: normalisation [S]. t0: first time of the data [s]; before it, the conductance is that at `t0`.
        offset: `l_0`, e-folds of relaxation that have passed by `t0`.
        error: distribution of z: `Normal()`, `StudentT(dof)` or `NormalMixture(share, widening)` of `devices.programming`.
        low, high: bounds of the conductance [S]. soft: whether relaxation sets in gradually around `t0`.

    Reference: A. Levy et al. for the variance linear in log time (recalled, not read); Falcone et al. 2025,
    10.1002/adfm.202504688 (recalled), as in aihwkit's `ReRamCMONoiseModel`, for a mean and a spread linear in log time.

    Breaks when: cells wander back (successive reads of a real cell are less than fully correlated in their deviation).
    """

    shift: Curve = eqx.field(converter=siemens_curve)
    spread: Curve = eqx.field(converter=siemens_spread)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    t0: Float[Array, ""] = eqx.field(converter=positive_seconds)
    offset: Float[Array, ""] = eqx.field(converter=real, default=0.0)
    power: Curve = eqx.field(converter=as_curve, default=0.5)
    error: AbstractError = eqx.field(default_factory=Normal)
    low: Float[Array, ""] = eqx.field(converter=signed_siemens.but(infinite=True), default=0.0)
    high: Float[Array, ""] | None = eqx.field(converter=signed_siemens.but(infinite=True, optional=True), default=None)
    soft: bool = eqx.field(static=True, default=False)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, self.error(target, key=key))

    def rewritten(self, z: StateAndNormal, g: Float[Array, "*cells"]) -> StateAndNormal:
        return z.at(g)

    def __call__(
        self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        x = z.target / self.g_max
        folds = jnp.log1p(t / self.t0) if self.soft else jnp.log(jnp.maximum(t / self.t0, 1))
        passed = folds + self.offset
        growth = jnp.where(passed > 0, jnp.exp(self.power(x) * jnp.log(jnp.where(passed > 0, passed, 1))), 0)
        moved = jnp.maximum(g + self.shift(x) * folds + self.spread(x) * growth * z.normal, self.low)
        return moved if self.high is None else jnp.minimum(moved, self.high)


class StretchedExponential(AbstractDrift):
    """Decay towards a rest state, as in electrochemical and volatile cells.

    $$ g(t) = g_r + (g_0 - g_r)\\,e^{-(t/\\tau)^\\beta}, \\qquad \\tau = \\tau_0 e^{\\sigma z} $$

    Args:
        tau: `tau_0` [s]. beta: stretching; 1 is a plain exponential, as for a leaking capacitor.
        rest: `g_r` [S]. spread: sigma, of ln tau over cells.
    """

    tau: Float[Array, ""] = eqx.field(converter=positive_seconds)
    beta: Float[Array, ""] = eqx.field(converter=positive, default=1.0)
    rest: Float[Array, ""] = eqx.field(converter=signed_siemens, default=0.0)
    spread: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)

    def __call__(
        self, g: Float[Array, "*cells"], z: Float[Array, "*cells"], t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        ratio = t / (self.tau * jnp.exp(self.spread * z))
        passed = jnp.where(ratio > 0, jnp.where(ratio > 0, ratio, 1) ** self.beta, 0)
        return self.rest + (g - self.rest) * jnp.exp(-passed)


class TabulatedSpread(AbstractDrift):
    """Spread around the target that was measured at a few times only.

    $$ g(t_i) = \\max(g_0 + \\sigma_i(g_T / g_{max})\\,z, 0) $$

    One latent `z` per cell for all times: the spread at each time is the published one, and a cell that reads high
    at one time reads high at the others. The correlation between times was not published; this takes it to be 1.

    Args:
        times: the measured times [s].
        coefficients: [S], a row of ascending powers of the normalised target for each time.
        g_max: normalisation [S].

    Breaks when: asked for any other time; the nearest tabulated one is used here, and `Device` refuses.
    """

    times: tuple[float, ...] = eqx.field(static=True)
    coefficients: Float[Array, "times powers"] = eqx.field(converter=real)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, unit_normals(key, target))

    def rewritten(self, z: StateAndNormal, g: Float[Array, "*cells"]) -> StateAndNormal:
        return z.at(g)

    def __call__(
        self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        measured = self.coefficients[nearest(t, jnp.asarray(self.times))]
        spread = jnp.maximum(polynomial(measured, z.target / self.g_max), 0)
        return jnp.maximum(g + spread * z.normal, 0)


class InterpolatedShift(AbstractDrift):
    """Mean shift and spread that were measured at several times, linear in time between them.

    $$ g(t) = \\max\\bigl(\\bar g + \\sigma_t(\\bar g)\\,z, 0\\bigr), \\quad \\bar g = g_0 + \\Delta_t(g_0), \\quad
       \\sigma_t(g) = A_t (1 - e^{-g/B_t}) $$

    with `Delta_t` a polynomial of `g_0 / g_max` whose coefficients, like `A_t` and `B_t`, are interpolated in time.
    Before the first and after the last time the end values hold.

    Args:
        times: [s]. shift: [S], a row of ascending powers of `g_0 / g_max` for each time. a, b: A, B [S] at each time.
            g_max: [S].

    Reference: Agrawal et al. 2022, 10.1109/IEDM45625.2022.10019564 (SONOS).

    Breaks when: times lie outside the data; `Device` warns.
    """

    times: Float[Array, " times"] = eqx.field(converter=seconds.but(ascending=True))
    shift: Float[Array, "times powers"] = eqx.field(converter=real)
    a: Float[Array, " times"] = eqx.field(converter=real)
    b: Float[Array, " times"] = eqx.field(converter=positive_siemens)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)

    def __check_init__(self):
        same_length(self, "times", "shift", "a", "b")

    def __call__(
        self, g: Float[Array, "*cells"], z: Float[Array, "*cells"], t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        at = lambda values: jnp.interp(t, self.times.astype(t.dtype), values.astype(t.dtype))  # noqa: E731
        x, moved = g / self.g_max, jnp.zeros_like(g)
        for power in reversed(range(self.shift.shape[1])):
            moved = moved * x + at(self.shift[:, power])
        mean = jnp.maximum(g + moved, 0)
        return jnp.maximum(mean - at(self.a) * jnp.expm1(-mean / at(self.b)) * z, 0)


class Arrhenius(AbstractDrift):
    """Any drift law at another temperature: time runs faster when it is hot.

    $$ g(t; T) = D(g, z, a\\,t), \\qquad a = \\exp\\Bigl[\\frac{E_a}{k}\\Bigl(\\frac1{T_0} - \\frac1T\\Bigr)\\Bigr] $$

    For a power law this is `t0(T) = t0 exp[E_a/k (1/T - 1/T_0)]`.

    Args:
        law: the drift law, known at `reference`. energy: activation energy [eV]. temperature: T [K]. reference: `T_0` [K].

    Breaks when: several processes of different energies take part, or the temperature changes during the drift. Do not
    use it around laws that know only a few times.
    """

    law: AbstractDrift
    energy: Float[Array, ""] = eqx.field(converter=Number("eV"))
    temperature: Float[Array, ""] = eqx.field(converter=kelvin)
    reference: Float[Array, ""] = eqx.field(converter=kelvin, default=300.0)

    def acceleration(self) -> Float[Array, ""]:
        """How many times faster than at the reference temperature."""
        return jnp.exp(self.energy / BOLTZMANN_EV * (1 / self.reference - 1 / self.temperature))

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return self.law.latents(target, key=key)

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        return self.law.rewritten(z, g)

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.law(g, z, t * self.acceleration())


class ActivatedLoss(AbstractDrift):
    """Decay over an individual barrier for every cell, as in filaments that dissolve when hot.

    $$ g(t) = g_r + (g_0 - g_r)\\,e^{-t/\\tau}, \\qquad \\tau = \\tau_0\\,e^{(E(x) + \\sigma z) / kT}, \\quad
       x = g_T / g_{max} $$

    Args:
        barrier: E [eV], a number or a curve of the normalised target. spread: sigma [eV], over cells.
        g_max: normalisation [S]. temperature: T [K]. rest: `g_r` [S]. attempt: `tau_0` [s].

    Reference: distributed barriers with one attempt frequency, Gibbs et al. 1983, 10.1063/1.331650 (recalled, not read).

    Breaks when: a cell has several barriers, or its temperature changes during the decay.
    """

    barrier: Curve = eqx.field(converter=as_curve)
    spread: Float[Array, ""] = eqx.field(converter=at_least_0.but(unit="eV"))
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    temperature: Float[Array, ""] = eqx.field(converter=kelvin)
    rest: Float[Array, ""] = eqx.field(converter=signed_siemens, default=0.0)
    attempt: Float[Array, ""] = eqx.field(converter=positive_seconds, default=1e-13)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, unit_normals(key, target))

    def rewritten(self, z: StateAndNormal, g: Float[Array, "*cells"]) -> StateAndNormal:
        return z.at(g)

    def __call__(
        self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        barrier = self.barrier(z.target / self.g_max) + self.spread * z.normal
        rate = jnp.exp(jnp.minimum(-barrier / (BOLTZMANN_EV * self.temperature) - jnp.log(self.attempt), 80.0))
        return self.rest + (g - self.rest) * jnp.exp(-t * rate)


class Sequential(AbstractDrift):
    """Several drift laws at once: each acts on what the earlier ones leave.

    Args:
        parts: the laws.
    """

    parts: tuple[AbstractDrift, ...]

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> tuple[Any, ...]:
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.latents(target, key=k) for part, k in zip(self.parts, keys, strict=True))

    def rewritten(self, z: tuple[Any, ...], g: Float[Array, "*cells"]) -> tuple[Any, ...]:
        return tuple(part.rewritten(own, g) for part, own in zip(self.parts, z, strict=True))

    def __call__(
        self, g: Float[Array, "*cells"], z: tuple[Any, ...], t: Float[Array, "*#cells"]
    ) -> Float[Array, "*cells"]:
        for part, own in zip(self.parts, z, strict=True):
            g = part(g, own, t)
        return g


class ScaledDrift(AbstractDrift):
    """The drift of a cell with another range, at the same share of that range.

    $$ g(t) = D(s\\,g, z, t) / s $$

    Args:
        drift: D, of the other cell. factor: s, the other cell's largest conductance over this one's.
    """

    drift: AbstractDrift
    factor: Float[Array, ""] = eqx.field(converter=positive)

    @property
    def timeless(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.drift.timeless

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return self.drift.latents(target * self.factor.astype(target.dtype), key=key)

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        return self.drift.rewritten(z, g * self.factor.astype(g.dtype))

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        factor = self.factor.astype(g.dtype)
        return self.drift(g * factor, z, t) / factor
