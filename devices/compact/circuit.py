"""The circuit between the source and the cell: series resistance, current compliance, reversed polarity."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import optional_array, solve_increasing
from devices.compact.base import AbstractMemristor


class Circuit(AbstractMemristor):
    """A memristor behind a resistor and a source with a current limit; its state is the memristor's.

    At every instant the voltage `v_m` across the memristor is the one of smallest magnitude with

    $$ v_m + R\\,i(x, v_m) = v \\quad\\text{or}\\quad |i(x, v_m)| = i_{max} $$

    The current is never clipped afterwards: in compliance the memristor sees the voltage that drives the limit through it.
    Derivatives with respect to everything come from the implicit function theorem.

    A reversed cell sees `-v` and gives `-i`; `offset` is a current parallel to it, in its own direction: leakage, or
    the zero offset of an ammeter.

    Args:
        model: the memristor. resistance: R [ohm]. compliance: `i_max` [A]; None: no limit. offset: [A].
        reversed: whether a negative voltage does what a positive one does to the model.
        start: state before anything is applied, as a share of the model's range; None: the model's own.

    Raises:
        ValueError: if a concrete resistance is negative, a concrete compliance not positive, or a start outside 0 .. 1.

    Breaks when: the memristor's current falls with rising voltage at a fixed state (`v_m` is then not unique, and one
    of the solutions is returned); or the instrument limits more slowly than the cell switches (there is no overshoot here).
    A stochastic memristor sees, for each whole step, the voltage of the step's start: first order.
    """

    model: AbstractMemristor
    resistance: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    compliance: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)
    offset: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    reversed: bool = eqx.field(static=True, default=False)
    start: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)

    def __check_init__(self):
        if _breaks(self.resistance, lambda r: r >= 0):
            raise ValueError(f"Circuit needs a resistance [ohm] of 0 or more, got {self.resistance}.")
        if _breaks(self.compliance, lambda i: i > 0):
            raise ValueError(f"Circuit needs a compliance [A] above 0, or None for no limit, got {self.compliance}.")
        if _breaks(self.start, lambda x: (x >= 0) & (x <= 1)):
            raise ValueError(f"Circuit needs a start between 0 and 1, or None for the model's own, got {self.start}.")

    @property
    def stochastic(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.model.stochastic

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        if self.stochastic:
            return self.model.step(x, self.cell_voltage(x, v), dt, key=key)
        return super().step(x, v, dt)

    def cell_voltage(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Voltage [V] across the memristor, in its own direction, when the source is set to `v` [V]."""
        v = -v if self.reversed else v
        limit = () if self.compliance is None else self.compliance.shape
        shape = jnp.broadcast_shapes(jax.eval_shape(self.model.current, x, v).shape, self.resistance.shape, limit)
        x, v = jnp.broadcast_to(x, shape), jnp.broadcast_to(v, shape)

        def excess(u):
            i = self.model.current(x, u)
            drop = u + self.resistance * i - v
            if self.compliance is None:
                return drop
            over = (i - jnp.sign(v) * self.compliance) * jnp.abs(v) / self.compliance
            return jnp.where(v < 0, jnp.minimum(drop, over), jnp.maximum(drop, over))

        return solve_increasing(excess, jnp.minimum(v, 0), jnp.maximum(v, 0))

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        i = self.model.current(x, self.cell_voltage(x, v)) + self.offset
        return -i if self.reversed else i

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.model.derivative(x, self.cell_voltage(x, v))

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.model.bounds

    @property
    def initial(self) -> Float[Array, "*cells"]:
        if self.start is None:
            return self.model.initial
        low, high = self.model.bounds
        return low + (high - low) * self.start


def _breaks(value, rule) -> bool:
    return isinstance(value, jax.Array) and not isinstance(value, Tracer) and not bool(jnp.all(rule(value)))
