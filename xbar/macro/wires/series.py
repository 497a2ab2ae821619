"""Wires as circuit estimators model them: every cell in series with its own path, and no path meets another."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.wires.base import AbstractWires
from xbar.macro.wires.wire_checks import check_resistances, ohms


class SeriesWires(AbstractWires):
    """Every cell in series with the wires to it and an access device, as if no other cell conducted.

    $$ 1/g_{eff} = 1/g_{ij} + (m(j + 1/2) + 1/2)\\,r_{row} + (n - i)\\,r_{col} + r_{access} $$

    for cell (i, j) of n rows, i and j from 0, and m bit lines for each column of weights, in whose middle all cells of a
    weight are taken to be.

    Args:
        r_row, r_col: resistance of a word-line and of a bit-line segment [ohm]. r_access: of what is in series with a cell.
        lines: m, bit lines of one column of weights.

    Reference: DNN_NeuroSim V1.4 estimates its columns in this way.

    Breaks when: lines drop tens of per cent: currents of other cells, which share the wires, are left out. Use
    `ResistiveWires`.
    """

    isolated = True

    r_row: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_row"))
    r_col: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_col"))
    r_access: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_access"), default=0.0)
    lines: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_resistances(r_row=self.r_row, r_col=self.r_col, r_source=self.r_access, r_sense=0.0)
        if isinstance(self.lines, bool) or not isinstance(self.lines, int) or self.lines < 1:
            raise ValueError(f"SeriesWires: lines={self.lines!r}; give the bit lines of a weight, 1 or more.")

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return g / (1 + g * self._way(g))

    def _way(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """Resistance in series with every cell [ohm]."""
        rows, cols = g.shape
        along = (self.lines * (jnp.arange(cols) + 0.5) + 0.5) * self.r_row
        across = (rows - jnp.arange(rows)) * self.r_col
        return (along[None] + across[:, None] + self.r_access).astype(g.dtype)

    def sensitivity(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return 1 / (1 + g * self._way(g)) ** 2

    def scaled(self, word: Float[Array, ""], bit: Float[Array, ""], access: Float[Array, ""]) -> SeriesWires:
        resistances = lambda w: (w.r_row, w.r_col, w.r_access)  # noqa: E731
        parts = tuple(r / s for r, s in zip(resistances(self), (word, bit, access), strict=True))
        return eqx.tree_at(resistances, self, parts)
