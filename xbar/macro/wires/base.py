"""The interface of wire models, and the wires that drop no voltage."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from xbar.macro.wires.noise_map import NoiseMap


class AbstractWires(eqx.Module):
    """For ohmic cells, wires are a linear map of conductances: `i = effective(g).T @ v`."""

    isolated = False  # whether no cell's current drops a voltage that another cell sees
    exact_noise = False  # whether reads take the variance of each input from `noise_variance` instead of `noise_map`

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

    def scaled(self, word: Float[Array, ""], bit: Float[Array, ""], access: Float[Array, ""]) -> AbstractWires:
        """These wires with the conductances of word lines, bit lines, and of what is in series with both (drivers, sense
        nodes, access devices) multiplied by factors; itself where a model does not tell them apart."""
        return self

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

    def perturbed(self, g: Float[Array, "rows cols"], dg: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """What changes `dg` [S] of the cells add to `effective(g)` [S], to first order."""
        return jax.jvp(self.effective, (g,), (dg,))[1]

    def sensitivity(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """What a cell's own transfer conductance gains from its own conductance: the diagonal of `perturbed`."""
        return jnp.ones_like(g)

    def noise_map(self, g: Float[Array, "rows cols"], var: Float[Array, "rows cols"]) -> NoiseMap:
        """How ohmic cells of variances `var` [S^2] disturb reads, worked out once for all inputs.

        Where a model of wires does not define it, every cell acts on the current of its own input and column alone, by
        its `sensitivity`.
        """
        return NoiseMap(var * self.sensitivity(g) ** 2)

    def noise_variance(
        self,
        g: Float[Array, "rows cols"],
        var: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        conduction: Callable[[Any, Any], Any] | None = None,
        *,
        exact: bool = True,
    ) -> Float[Array, "inputs cols"]:
        """Variance of the current of every column [A^2] for given inputs: by `noise_map` where wires do not define it."""
        if conduction is not None and not getattr(conduction, "linear", False):
            raise NotImplementedError(f"{type(self).__name__}.noise_variance is defined for ohmic cells only.")
        return self.noise_map(g, var).variance(v)

    def backward_noise_variance(
        self, g: Float[Array, "rows cols"], var: Float[Array, "rows cols"], v: Float[Array, "inputs cols"]
    ) -> Float[Array, "inputs rows"]:
        """Variance of the current of every word line [A^2] for inputs on the bit lines, of ohmic cells.

        Where a model of wires does not define it, that of each bit line driven alone, summed: by reciprocity the part of
        `noise_map` by squares.
        """
        return jnp.matmul(v**2, self.noise_map(g, var).squares.T, precision=lax.Precision.HIGHEST)

    def prefers_direct_solve(self, inputs: int) -> bool:
        """Whether `currents` of this few inputs cost less than `terminals`."""
        return False


class IdealWires(AbstractWires):
    """Wires of no resistance: every cell sees the whole voltage."""

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return g

    def perturbed(self, g: Float[Array, "rows cols"], dg: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return dg
