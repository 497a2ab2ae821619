"""Write-verify: pulse, read, compare, repeat."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from devices._checks import at_least_0, real, seconds, siemens
from devices.base import AbstractProgramming
from devices.programming import QuantileProgramming
from devices.random import unit_normals
from devices.updates import PulseUpdate


class Written(eqx.Module):
    """The result of a write-verify loop.

    Args:
        g: conductance [S] at the end. accepted: whether the last verification found it in the window.
        pulses_up, pulses_down, reads: how many each cell took. energy: dissipated in the cell [J].
    """

    g: Float[Array, "*cells"]
    accepted: Bool[Array, "*cells"]
    pulses_up: Float[Array, "*cells"]
    pulses_down: Float[Array, "*cells"]
    reads: Float[Array, "*cells"]
    energy: Float[Array, "*cells"]


class WriteVerify(AbstractProgramming):
    """A closed loop: read; stop inside the window around the target; otherwise one pulse towards it.

    Each verification reads `g + verify_noise xi`, so that a cell may be accepted, or refused, wrongly. Energy is
    `V^2 g t` of each pulse and read at the conductance before it, or, for pulses whose `update` knows its own heat (as
    those of compact models do), that heat.

    Args:
        update: what a pulse does.
        window: largest accepted deviation [S] of the verified conductance. relative: the window is a fraction of the
            target instead.
        start: conductance [S] of a cell before the first pulse; None: the law's lowest.
        most: pulses after which the loop gives a cell up and leaves it where it is.
        verify_noise: standard deviation of a verifying read [S].
        v_up, v_down, v_read: voltages [V]. width, t_read: durations [s]. Those of pulses affect only the energy.

    Breaks when: cells drift while the loop runs (it takes no time here: the clock of every cell starts at its end), or
    pulse amplitudes are ramped (a law is for one pulse shape). A pulse larger than the window makes
    cells hop over it until they are given up. Cell-to-cell spread of the pulse law is drawn afresh for the loop.
    """

    update: PulseUpdate
    window: Float[Array, ""] = eqx.field(converter=at_least_0)
    most: int = eqx.field(static=True, default=100)
    start: Float[Array, ""] | None = eqx.field(converter=siemens.but(optional=True), default=None)
    verify_noise: Float[Array, ""] = eqx.field(converter=siemens, default=0.0)
    v_up: Float[Array, ""] = eqx.field(converter=real.but(unit="V", likely=100.0), default=1.0)
    v_down: Float[Array, ""] = eqx.field(converter=real.but(unit="V", likely=100.0), default=1.0)
    v_read: Float[Array, ""] = eqx.field(converter=real.but(unit="V", likely=100.0), default=0.2)
    width: Float[Array, ""] = eqx.field(converter=seconds, default=1e-7)
    t_read: Float[Array, ""] = eqx.field(converter=seconds, default=1e-6)
    relative: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if isinstance(self.most, bool) or not isinstance(self.most, (int, np.integer)) or self.most < 1:
            raise ValueError(f"WriteVerify: most={self.most!r} pulses; it takes a whole number of 1 or more.")

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return self.write(target, key=key).g

    def write(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Written:
        """Runs the loop for every cell [S] and counts what it took."""
        first, *keys = jax.random.split(key, self.most + 2)
        law = self.update.law
        begin = law.g_min if self.start is None else self.start
        g = jnp.broadcast_to(jnp.asarray(begin, target.dtype), target.shape)
        none = jnp.zeros_like(target)
        z = self.update.latents(g, key=first)
        window = self.window * (target if self.relative else 1)

        def turn(carry, key):
            g, z, done, up, down, reads, energy = carry
            read, pulse = jax.random.split(key)
            deviation = g + self.verify_noise * unit_normals(read, g) - target
            reads = reads + ~done
            energy = energy + jnp.where(done, 0, self.v_read**2 * g * self.t_read)
            done = done | (jnp.abs(deviation) <= window)
            n = jnp.where(done, 0, jnp.where(deviation < 0, 1, -1)).astype(g.dtype)
            energy = energy + self._heat(g, n)
            moved, z = self.update(g, z, n, key=pulse, most=1)
            return (moved, z, done, up + (n > 0), down + (n < 0), reads, energy), None

        carry = (g, z, jnp.zeros(target.shape, bool), none, none, none, none)
        (g, z, done, up, down, reads, energy), _ = lax.scan(turn, carry, jnp.stack(keys[:-1]))
        last = g + self.verify_noise * unit_normals(keys[-1], g) - target
        accepted = done | (jnp.abs(last) <= window)
        return Written(
            g, accepted, up, down, reads + ~done, energy + jnp.where(done, 0, self.v_read**2 * g * self.t_read)
        )

    def _heat(self, g: Float[Array, "*cells"], n: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Energy of one pulse, or of none [J]."""
        if self.update.heat is not None:
            return self.update.heat(g, n)
        return jnp.abs(n) * jnp.where(n > 0, self.v_up, self.v_down) ** 2 * g * self.width


def summarise(
    programming: AbstractProgramming,
    targets: Float[Array, " targets"],
    *,
    key: PRNGKeyArray,
    draws: int = 10_000,
    probabilities: int = 201,
) -> QuantileProgramming:
    """The statistics of a programming law, fast to draw from: quantiles of its error at some targets.

    Args:
        programming: for instance a `WriteVerify` loop. targets: where to measure [S], two or more, ascending.
        draws: cells per target. probabilities: quantiles per target, equally spaced.
    """
    cells = jnp.broadcast_to(targets[:, None], (targets.shape[0], draws))
    error = programming(cells, key=key) - cells
    p = (jnp.arange(probabilities) + 0.5) / probabilities
    return QuantileProgramming(targets, p, jnp.quantile(error, p, axis=1).T)
