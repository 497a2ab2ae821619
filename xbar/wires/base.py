"""The interface of wire models, and the wires that drop no voltage."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractWires(eqx.Module):
    """For ohmic cells, wires are a linear map of conductances: `i = effective(g).T @ v`."""

    @abc.abstractmethod
    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """The transfer conductance [S] from each word-line driver to each bit-line sense node of one tile, given the
        conductances `g` [S] of its cells."""

    def terminals(self, g: Float[Array, "rows cols"]) -> tuple[Float[Array, "rows cols"], Float[Array, "rows rows"]]:
        """`effective(g)`, and the drivers' currents per volt of each driver [S], for the power that they deliver.

        Where a model of wires does not define it, each driver's current is what its own voltage transfers.
        """
        transfer = self.effective(g)
        return transfer, jnp.diag(jnp.sum(transfer, 1))

    def currents(
        self,
        g: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        conduction: Callable[[Any, Any], Any] | None = None,
    ) -> tuple[Float[Array, "inputs cols"], Float[Array, ""]]:
        """Bit-line currents [A], and the power [W] that the drivers deliver to all inputs together.

        Args:
            conduction: law of the cells; None: ohmic. `Tile` refuses others where a model of wires does not define this.
        """
        if conduction is not None:
            raise NotImplementedError(f"{type(self).__name__} is defined for ohmic cells only.")
        transfer, admittance = self.terminals(g)
        return v @ transfer, jnp.sum(v * (v @ admittance))

    def prefers_direct_solve(self, inputs: int) -> bool:
        """Whether `currents` of so few inputs cost less than `terminals`."""
        return False


class IdealWires(AbstractWires):
    """Wires of no resistance: every cell sees the whole voltage."""

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return g
