"""The wires of a tile without its cells, and the test that a solution obeys Kirchhoff's laws in them."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.wires.conjugate import Report
from xbar.macro.wires.ladder import Ladders


class Network(eqx.Module):
    """The wires of a tile without its cells: the voltages that they leave the cells at given cell currents.

    The voltages across the cells are `d = e - Z i`, with e those that the drivers give while no current flows. Z is symmetric
    and not negative, a sum along the lines without a division by a resistance.

    Args:
        words, bits: ladders without load.
    """

    words: Ladders
    bits: Ladders

    def voltages(
        self, i: Float[Array, "rows cols"], v: Float[Array, " rows"] | None
    ) -> tuple[Float[Array, "rows cols"], Float[Array, "rows cols"]]:
        """Voltage of every word-line and bit-line node [V]."""
        return self.words.voltages(-i.T, v).T, self.bits.voltages(i)

    def across(self, i: Float[Array, "rows cols"], v: Float[Array, " rows"] | None) -> Float[Array, "rows cols"]:
        """Voltage across every cell [V]."""
        word, bit = self.voltages(i, v)
        return word - bit


def kirchhoff_checked(
    report: Report,
    network: Network,
    resistance: Float[Array, "rows cols"],
    g: Float[Array, "rows cols"],
    w: Float[Array, "rows cols"],
    u: Float[Array, "rows cols"],
    v: Float[Array, " rows"],
) -> Report:
    """`report` with the misfit of node voltages `w` and `u` of ohmic cells.

    The cells' currents are put into the bare wires; what the cells would conduct at the voltages that are left for them
    differs by the misfit, each cell in series with the `resistance` of the lines to it: where this is large compared
    with the cell's, the difference of the node voltages says little about its current.
    """
    i = g * (w - u)
    missing = (g * network.across(i, v) - i) / (1 + g * resistance)
    largest = jnp.max(jnp.maximum(jnp.abs(i), jnp.abs(missing)))
    i, missing = (
        x / jnp.where(largest > 0, largest, 1) for x in (i, missing)
    )  # squares of small currents would vanish
    norm = lambda x: jnp.sqrt(jnp.sum(x**2))  # noqa: E731
    size = jnp.maximum(norm(i), norm(i + missing))
    return dataclasses.replace(report, misfit=norm(missing) / jnp.where(size > 0, size, 1))
