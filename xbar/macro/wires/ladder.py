"""Ladders: lines of resistors with a current injected at every node, solved without subtraction."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

SHORT = 1e-9  # ohm: stands for an end of 0 ohm, which has no admittance to write down


class Ladders(eqx.Module):
    """Many equal ladders: `n` nodes in a row, each loaded to ground, the first driven, the last too if `last` is given.

    Seen from node k away from the driven end, what is behind is a conductance `Y_k` and a current `J_k`,

    $$ Y_k = g_k + f_{k+1} Y_{k+1}, \\quad J_k = j_k + f_{k+1} J_{k+1}, \\quad f_k = 1 / (1 + r_k Y_k), \\qquad
       w_k = f_k (w_{k-1} + r_k J_k) $$

    All terms are positive: no accuracy is lost however different the resistances are, and 0 ohm is allowed.

    Args:
        factors: `f`. resistances: `r_k` between node k and the one before it, or the driver [ohm]. last: resistance
            from the last node to a second driver, `SHORT` or more [ohm]; None: the line is open there.
    """

    factors: Float[Array, "n lines"]
    resistances: Float[Array, " n"]
    last: Float[Array, ""] | None

    @classmethod
    def of(
        cls, load: Float[Array, "n lines"], resistances: Float[Array, " n"], last: Float[Array, ""] | None
    ) -> Ladders:
        """Ladders with conductances `load` [S] from every node to ground."""

        def before(behind, at):
            g, r = at
            y = g + behind
            factor = 1 / (1 + r * y)
            return factor * y, factor

        end = jnp.zeros_like(load[0]) if last is None else jnp.full_like(load[0], 1 / last)
        _, factors = lax.scan(before, end, (load, resistances), reverse=True)
        return cls(factors, resistances, last)

    def voltages(
        self, currents: Float[Array, "n lines"] | None, driver: Float[Array, " lines"] | None = None
    ) -> Float[Array, "n lines"]:
        """Voltage [V] of every node, with `currents` [A] injected and all drivers of a line at `driver` [V]; None is 0."""
        nothing = jnp.zeros_like(self.factors[0])
        start = nothing if driver is None else driver
        if currents is None and self.last is None:
            return lax.scan(lambda voltage, f: (f * voltage, f * voltage), start, self.factors)[1]
        currents = jnp.zeros_like(self.factors) if currents is None else currents
        end = nothing if driver is None or self.last is None else driver / self.last
        return self.swept(currents, start, end)[0]

    def swept(
        self,
        currents: Float[Array, "n lines"],
        start: Float[Array, " lines"],
        end: Float[Array, " lines"],
        into: tuple[Float[Array, "n lines"] | None, Float[Array, "n lines"] | None] = (None, None),
    ) -> tuple[Float[Array, "n lines"], Float[Array, "n lines"]]:
        """Voltages `w` [V] and currents `J` [A] of every node, from a voltage before the first and a current behind the last.

        Args:
            into: arrays whose memory J and w may take, in this order; inside a loop that passes them on, nothing is allocated.
        """

        def before(behind, at):
            factor, j = at
            j = j + behind
            return factor * j, j

        def after(voltage, at):
            factor, r, j = at
            voltage = factor * (voltage + r * j)
            return voltage, voltage

        behind = _scan(before, end, (self.factors, currents), into[0], reverse=True)
        return _scan(after, start, (self.factors, self.resistances, behind), into[1]), behind


def _scan(step, carry, xs, into, reverse: bool = False):
    """What `lax.scan` stacks, written over the array `into` if there is one."""
    if into is None:
        return lax.scan(step, carry, xs, reverse=reverse)[1]

    row = lambda x, k: lax.dynamic_index_in_dim(x, k, 0, False, allow_negative_indices=False)  # noqa: E731

    def body(i, at):
        carry, out = at
        k = into.shape[0] - 1 - i if reverse else i
        carry, new = step(carry, tuple(row(x, k) for x in xs))
        return carry, lax.dynamic_update_index_in_dim(out, new, k, 0, allow_negative_indices=False)

    return lax.fori_loop(0, into.shape[0], body, (carry, into))[1]


def line_resistances(n, end, segment, both, dtype):
    """Resistance [ohm] of a line without cells to its driven ends, from each of its `n` nodes."""
    first = (end + segment * jnp.arange(1.0, n + 1)).astype(dtype)
    if not both:
        return first
    total = first[0] + first[-1]
    return first * first[::-1] / jnp.where(total > 0, total, 1)


def share_of_first_end(n, end, segment, both, dtype):
    """The share of each node's current that takes the first end of its line."""
    if not both:
        return jnp.ones(n, dtype)
    second = (end + segment * jnp.arange(float(n), 0.0, -1.0)).astype(dtype)
    total = end + end + segment * (n + 1)
    return jnp.where(total > 0, second / jnp.where(total > 0, total, 1), 0.5)
