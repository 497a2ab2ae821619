"""The interface of wire models, and the wires that drop no voltage."""

from __future__ import annotations

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractWires(eqx.Module):
    """For ohmic cells, wires are a linear map of conductances: `i = effective(g).T @ v`."""

    @abc.abstractmethod
    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """The transfer conductance [S] from each word-line driver to each bit-line sense node of one tile, given the
        conductances `g` [S] of its cells."""


class IdealWires(AbstractWires):
    """Wires of no resistance: every cell sees the whole voltage."""

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return g
