"""What one cell does to the current of its bit line: each cell seen from its own word line and its own bit line.

A word line is a ladder whose loads are cells in series with the resistance that their bit lines show them, and the other
way round:

$$ y_{ik} = \\frac{g_{ik}}{1 + g_{ik} R^{bit}_{ik}}, \\qquad
   \\mathrm{d} I_j = \\sum_i a_{ij} w_{ij} v_i \\, \\mathrm{d} g_{ij} $$

w is the voltage across a cell per volt of its driver, a the share of a current beside the cell that reaches the sense node.
Only loops over several lines are left out. What they carry is of the order of (drop along a line)^2 / (cells of a line):
at 64 x 64 cells of 20 uS and 20 ohm per segment a is accurate to 0.2 %. All sums are of positive terms: 0 ohm, 0 S are
allowed.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from xbar.macro.wires.ladder import Ladders

ITERATIONS = 3  # of the resistances that word and bit lines show each other: each gains a factor of a line's cells


class Coupling(eqx.Module):
    """How a voltage on a node of a line, the cell at this node left out, spreads along the line.

    Args:
        resistance: of the line to its ends, seen from each node [ohm]. away: voltage of a node over that of the node
            before it, seen from the driven end, when driven from there. towards: over that of the node behind it.
    """

    resistance: Float[Array, "n lines"]
    away: Float[Array, "n lines"]
    towards: Float[Array, "n lines"]

    @classmethod
    def of(
        cls, load: Float[Array, "n lines"], resistances: Float[Array, " n"], last: Float[Array, ""] | None
    ) -> Coupling:
        """Of ladders as in `Ladders.of`."""

        def onwards(before, at):
            y, r = at
            seen = before + r
            loaded = seen / (1 + y * seen)
            return loaded, (seen, loaded)

        nothing = jnp.zeros_like(load[0])
        _, (before, loaded) = lax.scan(onwards, nothing, (load, resistances))
        behind_it = jnp.concatenate([before[1:], jnp.ones_like(before[:1])])
        towards = jnp.where(behind_it > 0, loaded / jnp.where(behind_it > 0, behind_it, 1), 0)

        def back(behind, at):
            y, r = at
            total = behind + y
            factor = 1 / (1 + r * total)
            return factor * total, (behind, factor)

        end = nothing if last is None else jnp.full_like(nothing, 1 / last)
        _, (behind, away) = lax.scan(back, end, (load, resistances), reverse=True)
        return cls(before / (1 + before * behind), away, towards)

    def neighbours(self, x: Float[Array, "n lines"]) -> Float[Array, "n lines"]:
        """Sum of `x` over all other nodes of the line, each with the square of its voltage per volt at this node."""

        def step(total, at):
            ratio, here = at
            return ratio**2 * (here + total), total

        nothing = jnp.zeros_like(x[0])
        after = lax.scan(step, nothing, (self.away, x), reverse=True)[1]
        return after + lax.scan(step, nothing, (self.towards, x))[1]


class Family(eqx.Module):
    """Equal lines of one direction.

    Args:
        resistances: of the segment to each node from the one before it, or from the driven end [ohm]. last: from the last
            node to a second end [ohm], or None.
    """

    resistances: Float[Array, " n"]
    last: Float[Array, ""] | None

    def coupling(self, load: Float[Array, "n lines"]) -> Coupling:
        return Coupling.of(load, self.resistances, self.last)

    def ladders(self, load: Float[Array, "n lines"]) -> Ladders:
        return Ladders.of(load, self.resistances, self.last)

    def transmitted(self, load: Float[Array, "n lines"]) -> Float[Array, "n lines"]:
        """Voltage of each node per volt of the ends."""
        return self.ladders(load).voltages(None, jnp.ones_like(load[0]))


class Sensitivities(eqx.Module):
    """The sensitivities of one tile, rows from the bottom up.

    Args:
        g: cells, or their slopes where they are not ohmic [S]. drive: `w`, voltage across each cell per volt of its own
            driver. sense: `a`, share of a current beside each cell that its own sense node gets. word, bit: spread along
            the lines; those of the word lines transposed.
    """

    g: Float[Array, "rows cols"]
    drive: Float[Array, "rows cols"]
    sense: Float[Array, "rows cols"]
    word: Coupling
    bit: Coupling

    @classmethod
    def of(cls, g: Float[Array, "rows cols"], words: Family, bits: Family) -> Sensitivities:
        behind = jnp.zeros_like(g)
        for _ in range(ITERATIONS):
            word = words.coupling((g / (1 + g * behind)).T)
            at_bit = g / (1 + g * word.resistance.T)
            bit = bits.coupling(at_bit)
            behind = bit.resistance
        share = 1 / (1 + g * bit.resistance)
        drive = words.transmitted((g * share).T).T * share
        sense = bits.transmitted(at_bit) / (1 + g * word.resistance.T)
        return cls(g, drive, sense, word, bit)

    def beside(self, x: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """What the other cells of each cell's word line add to the variance of its column.

        Args:
            x: squared noise currents beside the cells.
        """
        seen = x / (1 + self.g * self.bit.resistance) ** 2
        lifted = self.g * self.sense * self.word.resistance.T
        return lifted**2 * self.word.neighbours(seen.T).T

    def below(self, x: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """The sum of `x` over the other cells of each cell's column, each with the square of the voltage that the cell's
        own driver puts across it through the bit line."""
        seen = x / (1 + self.g * self.word.resistance.T) ** 2
        lifted = self.g * self.drive * self.bit.resistance
        return lifted**2 * self.bit.neighbours(seen)

    def column_variance(self, x: Float[Array, "rows cols"]) -> Float[Array, " cols"]:
        """Variance of each bit line's current [A^2] for squared noise currents `x` [A^2] beside the cells."""
        return jnp.sum(self.sense**2 * x + self.beside(x), 0)
