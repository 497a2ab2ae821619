"""What updates of an array cost in all: pulses, joules, seconds, reads and digital work."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from devices._checks import Checked, positive_seconds, seconds, volts
from xbar.macro.disturbing import Selection
from xbar.macro.write_counts import Writes


class Drive(Checked):
    """The programming pulses of an array.

    Args:
        v_up, v_down: across a cell, of a pulse that makes it more, and less, conductive [V]. width: duration [s]. gap: from
            one pulse to the next [s].
        select: what other cells see. `"transistor"`: nothing. `"half"`: half the voltage on every cell of a line that
            carries a pulse. `"third"`: a third on all cells of the array but the selected ones, while any line carries one.

    The voltages decide only the energy, and not even that of selected cells where the device's `update` knows the heat
    of its pulses. What a pulse does is the device's law, and what it does to cells that are not selected, the device's
    `disturb`, if it has one: neighbours are warm whatever is selected.
    """

    v_up: Float[Array, ""] = eqx.field(converter=volts, default=1.0)
    v_down: Float[Array, ""] = eqx.field(converter=volts, default=1.0)
    width: Float[Array, ""] = eqx.field(converter=positive_seconds, default=1e-7)
    gap: Float[Array, ""] = eqx.field(converter=seconds, default=0.0)
    select: Selection = eqx.field(static=True, default="transistor")


NAMES = ("pulses_up", "pulses_down", "joules", "disturbing", "seconds", "reads", "written", "digital")
UNITS = ("pulses up", "pulses down", "J", "J disturbing", "s", "reads", "cells written", "digital operations")


class Spent(eqx.Module):
    """The total cost of updates of one array.

    All numbers share one array, because a loop that carries them pays for each array; see the properties.
    """

    numbers: Float[Array, "*any 8"]

    @classmethod
    def of(cls, **known: Any) -> Spent:
        """What is known, by the names of the properties; 0 elsewhere."""
        return cls(jnp.stack([jnp.asarray(known.get(name, 0.0), jnp.float32) for name in NAMES]))

    def __repr__(self) -> str:
        if isinstance(self.numbers, Tracer) or not isinstance(self.numbers, jax.Array):
            return "Spent(traced)"
        numbers = [float(n) for n in self.summed().numbers]
        shown = [f"{n:.3g} {unit}" for n, unit in zip(numbers, UNITS, strict=True) if n]
        return f"Spent({', '.join(shown) or 'nothing'})"

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.numbers + other.numbers)

    def summed(self) -> Spent:
        """Of many, all together."""
        return Spent(jnp.sum(self.numbers.reshape(-1, len(NAMES)), 0))

    @property
    def pulses_up(self) -> Float[Array, "*any"]:
        """Pulses that made cells more conductive."""
        return self.numbers[..., 0]

    @property
    def pulses_down(self) -> Float[Array, "*any"]:
        """Pulses that made cells less conductive."""
        return self.numbers[..., 1]

    @property
    def joules(self) -> Float[Array, "*any"]:
        """Heat of these pulses in the cells that they switch, `V^2 g width` [J]."""
        return self.numbers[..., 2]

    @property
    def disturbing(self) -> Float[Array, "*any"]:
        """Heat in cells of selected lines that are not switched [J]."""
        return self.numbers[..., 3]

    @property
    def seconds(self) -> Float[Array, "*any"]:
        """Time during which lines carried pulses, or rows were read [s]."""
        return self.numbers[..., 4]

    @property
    def reads(self) -> Float[Array, "*any"]:
        """Values converted to be transferred or verified."""
        return self.numbers[..., 5]

    @property
    def written(self) -> Float[Array, "*any"]:
        """Cells programmed to a target."""
        return self.numbers[..., 6]

    @property
    def digital(self) -> Float[Array, "*any"]:
        """Digital operations; a multiply-accumulate is two."""
        return self.numbers[..., 7]

    @property
    def pulses(self) -> Float[Array, "*any"]:
        """Both kinds."""
        return self.pulses_up + self.pulses_down

    def writes(self) -> Writes:
        """As `Ledger.with_programming` takes it: pulses, converted reads and joules."""
        all_ = self.summed()
        return Writes(
            cells=all_.written,
            pulses_up=all_.pulses_up,
            pulses_down=all_.pulses_down,
            reads=all_.reads,
            joules=all_.joules + all_.disturbing,
            refused=jnp.zeros(()),
        )


class Total(eqx.Module):
    """A long sum of `Spent`, with what float32 loses kept apart (Kahan), so that a billion pulses are counted
    exactly."""

    sum: Spent
    lost: Spent

    def __repr__(self) -> str:
        return repr(self.sum)

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
