"""A filament with two states and exponential switching rates; many of them in parallel make a spectrum of thresholds."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import phi1
from devices.compact.base import AbstractMemristor


class Filament(AbstractMemristor):
    """A filament between a conducting and an insulating state, with rates that are exponential in the voltage.

    $$ \\dot x = \\frac{1 - x}{\\tau}\\,e^{(v - V_s)/w_s} - \\frac{x}{\\tau}\\,e^{-(v + V_r)/w_r} $$
    $$ i = v\\,G_{on}(v)^x\\,G_{off}(v)^{1 - x}, \\qquad G(v) = g\\,\\frac{\\sinh bv}{bv} $$

    The rate is linear in `x`, so a step at a frozen voltage is exact. Arrays of parameters are filaments in parallel: the
    current of the device is the sum over them (see `bundle`).

    Args:
        g_on, g_off: conductances at small voltage, `x` = 1 and 0 [S]. b_on, b_off: how steeply they rise with voltage
            [1/V].
        v_set, v_reset: voltages at which it sets and resets within `tau` [V]; the latter is negative, and given without
            its sign.
        w_set, w_reset: voltage changes that make switching e times faster [V]. tau: [s]. x0: state at the start.

    Reference: rates as in Miranda, IEEE Trans. Nanotechnol. 14, 787 (2015), 10.1109/TNANO.2015.2455235 (recalled, not
    read); the read-out is ours.

    Breaks when: retention matters (the rates at 0 V are what the exponentials give there); heat couples the filaments.
    """

    g_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    v_set: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    v_reset: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    w_set: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    w_reset: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    tau: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    b_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    b_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    x0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        on = jnp.log(self.g_on) + _log_sinhc(self.b_on * v)
        off = jnp.log(self.g_off) + _log_sinhc(self.b_off * v)
        return v * jnp.exp(off + x * (on - off))

    def rates(self, v: Float[Array, "*#cells"]) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        """Rates [1/s] of setting and resetting."""
        setting = jnp.minimum((v - self.v_set) / self.w_set, 60.0)  # switching is over within tau / e^60
        resetting = jnp.minimum(-(v + self.v_reset) / self.w_reset, 60.0)
        return jnp.exp(setting) / self.tau, jnp.exp(resetting) / self.tau

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        setting, resetting = self.rates(v)
        return setting * (1 - x) - resetting * x

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        setting, resetting = self.rates(v)
        return x + dt * phi1(-(setting + resetting) * dt) * (setting * (1 - x) - resetting * x)

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.x0


def bundle(
    filament: Filament, count: int, spread_set: Float[Array, ""] | float, spread_reset: Float[Array, ""] | float
) -> Filament:
    """`count` filaments in parallel that share the conductance of one, with normally distributed thresholds.

    $$ V_{s,k} = V_s + \\sigma_s z_k, \\quad V_{r,k} = V_r + \\sigma_r z_k,
       \\quad z_k = \\Phi^{-1}\\Big(\\frac{k - 1/2}{n}\\Big) $$

    Args:
        filament: their mean, with scalar parameters. count: n. spread_set: standard deviation of `v_set` [V], not negative.
            spread_reset: of `v_reset` [V]; negative where the filament that sets last resets first.
    """
    z = ndtri((jnp.arange(count) + 0.5) / count)
    return eqx.tree_at(
        lambda f: (f.g_on, f.g_off, f.v_set, f.v_reset),
        filament,
        (
            jnp.broadcast_to(filament.g_on / count, count),
            jnp.broadcast_to(filament.g_off / count, count),
            filament.v_set + spread_set * z,
            filament.v_reset + spread_reset * z,
        ),
    )


def _log_sinhc(z):
    """`ln(sinh(z) / z)`, smooth through 0."""
    size = jnp.abs(z)
    small = size < 1e-2
    safe = jnp.where(small, 1.0, size)
    return jnp.where(small, z**2 / 6, safe + jnp.log(-jnp.expm1(-2 * safe) / (2 * safe)))
