"""Drift, relaxation and retention: the conductance as time passes."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import unit_normals
from devices.base import AbstractDrift
from devices.curves import Curve, Polynomial, as_curve


class NoDrift(AbstractDrift):
    """`g(t) = g(0)`."""

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, ""]) -> Float[Array, "*cells"]:
        return g


class StateAndNormal(eqx.Module):
    """The latents of a law conditioned on the programmed state: the target [S] and a unit normal."""

    target: Float[Array, "*cells"]
    normal: Float[Array, "*cells"]


class PowerLawDrift(AbstractDrift):
    """Structural-relaxation drift with an exponent of its own for every cell.

    $$ g(t) = g_0 (1 + t/t_0)^{-\\nu}, \\qquad \\nu = |\\nu_{mean}(x) + \\nu_{std}(x)\\,z|, \\quad x = g_T / g_{max} $$

    `g_0` is the conductance at `t_0` after the programming pulse, the moment at which `t = 0`.

    Args:
        nu_mean, nu_std: mean and spread of the exponent: a number, or a curve of the normalised target.
        g_max: normalisation of the curves [S].
        t0: time from the programming pulse to the first read [s].

    Reference: Nandakumar et al. 2019, 10.1109/ICECS46596.2019.8964852; Joshi et al. 2020, 10.1038/s41467-020-16108-9.

    Breaks when: temperature changes (the exponent is for one), or the state is re-programmed (drift starts anew).
    """

    nu_mean: Curve = eqx.field(converter=as_curve)
    nu_std: Curve = eqx.field(converter=as_curve)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    t0: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, unit_normals(key, target))

    def exponent(self, z: StateAndNormal) -> Float[Array, "*cells"]:
        """The drift exponent of each cell."""
        x = z.target / self.g_max
        return jnp.abs(self.nu_mean(x) + self.nu_std(x) * z.normal)

    def __call__(self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, ""]) -> Float[Array, "*cells"]:
        return g * jnp.exp(-self.exponent(z) * jnp.log1p(t / self.t0))


class TabulatedSpread(AbstractDrift):
    """Spread around the target that was measured at a few times only.

    $$ g(t_i) = \\max(g_0 + \\sigma_i(g_T / g_{max})\\,z, 0) $$

    One latent `z` per cell for all times: the spread at each time is the published one, and a cell that reads high
    at one time reads high at the others. The correlation between times was not published; this takes it to be 1.

    Args:
        times: the measured times [s].
        coefficients: [S], a row of ascending powers of the normalised target for each time.
        g_max: normalisation [S].

    Breaks when: asked for any other time; the nearest tabulated one answers here, and `Device` refuses.
    """

    times: tuple[float, ...] = eqx.field(static=True)
    coefficients: Float[Array, "times powers"] = eqx.field(converter=jnp.asarray)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> StateAndNormal:
        return StateAndNormal(target, unit_normals(key, target))

    def __call__(self, g: Float[Array, "*cells"], z: StateAndNormal, t: Float[Array, ""]) -> Float[Array, "*cells"]:
        nearest = jnp.argmin(jnp.abs(jax.lax.stop_gradient(t) - jnp.asarray(self.times, t.dtype)))
        spread = Polynomial(self.coefficients[nearest])(z.target / self.g_max)
        return jnp.maximum(g + spread * z.normal, 0)
