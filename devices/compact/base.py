"""The interface of a compact model: a memristor as one state, one rate and one read-out."""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import phi1


class AbstractMemristor(eqx.Module):
    """A two-terminal memristor with one state `x`.

    $$ \\dot x = f(x, v), \\qquad i = I(x, v) $$

    Everything is written for one cell and elementwise, so that arrays of cells, and parameters that differ from cell to
    cell, work by broadcasting. What `x` is (a filament gap in metres, a fraction of switched sites, a resistance) is up
    to the model; `bounds` says between which values it stays. Positive voltage makes the cell more conductive unless
    a model's docstring says otherwise.

    A stochastic model overrides `step` too, and gives the ensemble's mean rate in `derivative`.
    """

    stochastic: ClassVar[bool] = False  # True: `step` needs a key

    @abc.abstractmethod
    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Current [A] at voltage `v` [V]; 0 at 0 V, and with the sign of the voltage."""

    @abc.abstractmethod
    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Rate of change of the state [unit of x per second] at voltage `v` [V]."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        """Lowest and highest value of the state."""

    @property
    @abc.abstractmethod
    def initial(self) -> Float[Array, "*cells"]:
        """State of a cell before anything is applied to it."""

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        """State after `dt` [s] at a voltage that does not change.

        The exponential Rosenbrock-Euler step `x + dt phi_1(dt f_x) f`, kept within `bounds`: exact wherever the rate is
        linear in `x`, second order otherwise, stable for any stiffness. Override it with a closed form where there is one.
        """
        return exponential_step(self.derivative, x, v, dt, self.bounds)


def exponential_step(f, x, v, dt, bounds):
    """One exponential Rosenbrock-Euler step of `dx/dt = f(x, v)`, kept within `bounds`.

    A step that is too long may cross a bound at which the rate vanishes, as windows make it: clipped there, the state
    would stick for ever, and two step lengths would agree on it. Then the distance d to the bound shrinks to
    `d exp(-f dt / d)` instead.

    Reference: Hochbruck, Ostermann, Acta Numerica 19, 209 (2010), 10.1017/S0962492910000048 (recalled, not read).
    """
    x, v = jnp.broadcast_arrays(x, v)
    rate, slope = jax.jvp(lambda x: f(x, v), (x,), (jnp.ones_like(x),))
    new = x + dt * phi1(dt * slope) * rate
    low, high = bounds
    bound = jnp.where(rate > 0, high, low) + jnp.zeros_like(x)
    vanishes = f(bound, v) * jnp.sign(rate) < 1e-3 * jnp.abs(rate)
    distance = jnp.abs(bound - x)
    shrinks = ((new > high) | (new < low)) & vanishes & (distance > 1e-6 * (high - low))
    speed = jnp.where(shrinks, jnp.abs(rate), 0) / jnp.where(shrinks, distance, 1)
    return jnp.clip(jnp.where(shrinks, bound + (x - bound) * jnp.exp(-dt * speed), new), low, high)
