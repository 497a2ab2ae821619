"""The interface of wire models, and the wires that drop no voltage."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class AbstractWires(eqx.Module):
    """For ohmic cells, wires are a linear map of conductances: `i = effective(g).T @ v`."""

    @abc.abstractmethod
    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """The transfer conductance [S] from each word-line driver to each bit-line sense node of one tile, given the
        conductances `g` [S] of its cells."""

    def currents(
        self, g: Float[Array, "rows cols"], v: Float[Array, "inputs rows"], conduction: Callable[[Any, Any], Any]
    ) -> tuple[Float[Array, "inputs cols"], Float[Array, ""]]:
        """Bit-line currents [A], and the power [W] that the drivers deliver to all inputs together, of cells that are not
        ohmic. `Tile` refuses such cells where a model of wires does not define it."""
        raise NotImplementedError(f"{type(self).__name__} is defined for ohmic cells only.")


class IdealWires(AbstractWires):
    """Wires of no resistance: every cell sees the whole voltage."""

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return g
