"""What updates of an array take: pulses, joules, seconds, reads and digital work, as they add up."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._checks import Checked, positive_seconds, seconds, volts
from xbar.macro.write_counts import Writes

Selection = Literal["transistor", "half", "third"]


class Drive(Checked):
    """The programming pulses of an array.

    Args:
        v_up, v_down: across a cell, of a pulse that makes it more, and less, conductive [V]. width: duration [s]. gap: from
            one pulse to the next [s].
        select: what other cells see. `"transistor"`: nothing. `"half"`: half the voltage on every cell of a line that
            carries a pulse. `"third"`: a third on all cells of the array but the selected ones, while any line carries one.

    The voltages decide the energy alone: what a pulse does is the device's law.
    """

    v_up: Float[Array, ""] = eqx.field(converter=volts, default=1.0)
    v_down: Float[Array, ""] = eqx.field(converter=volts, default=1.0)
    width: Float[Array, ""] = eqx.field(converter=positive_seconds, default=1e-7)
    gap: Float[Array, ""] = eqx.field(converter=seconds, default=0.0)
    select: Selection = eqx.field(static=True, default="transistor")


class Spent(eqx.Module):
    """What updates of one array took, in all.

    Args:
        pulses_up, pulses_down: to cells. joules: their heat in the cells that they switch, `V^2 g width` [J].
            disturbing: heat in cells of selected lines that are not switched [J]. seconds: during which lines
            carried pulses [s].
        reads: values converted to be transferred or verified. written: cells programmed to a target. digital: operations (a
            multiply-accumulate is two).
    """

    pulses_up: Float[Array, "*any"]
    pulses_down: Float[Array, "*any"]
    joules: Float[Array, "*any"]
    disturbing: Float[Array, "*any"]
    seconds: Float[Array, "*any"]
    reads: Float[Array, "*any"]
    written: Float[Array, "*any"]
    digital: Float[Array, "*any"]

    @classmethod
    def of(cls, **known: Any) -> Spent:
        """What is known; 0 elsewhere."""
        names = ("pulses_up", "pulses_down", "joules", "disturbing", "seconds", "reads", "written", "digital")
        return cls(**{name: jnp.asarray(known.get(name, 0.0), jnp.float32) for name in names})

    def __add__(self, other: Spent) -> Spent:
        return jax.tree.map(jnp.add, self, other)

    @property
    def pulses(self) -> Float[Array, "*any"]:
        """Both kinds."""
        return self.pulses_up + self.pulses_down

    def writes(self) -> Writes:
        """As `Ledger.with_programming` takes it: pulses, converted reads and joules."""
        total = lambda x: jnp.sum(x)  # noqa: E731
        return Writes(
            cells=total(self.written),
            pulses_up=total(self.pulses_up),
            pulses_down=total(self.pulses_down),
            reads=total(self.reads),
            joules=total(self.joules + self.disturbing),
            refused=jnp.zeros(()),
        )


class Total(eqx.Module):
    """A long sum of `Spent`: float32 keeps what it loses (Kahan), so that a thousand million pulses are counted one by one."""

    sum: Spent
    lost: Spent

    @classmethod
    def start(cls, like: Spent) -> Total:
        """Nothing yet."""
        nothing = jax.tree.map(jnp.zeros_like, like)
        return cls(nothing, nothing)

    def plus(self, more: Spent) -> Total:
        """With `more` added."""
        wanted = jax.tree.map(jnp.subtract, more, self.lost)
        grown = jax.tree.map(jnp.add, self.sum, wanted)
        lost = jax.tree.map(lambda new, old, add: (new - old) - add, grown, self.sum, wanted)
        return Total(grown, lost)
