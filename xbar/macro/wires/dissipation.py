"""Where the heat of an array arises: in its cells, its word lines, its bit lines, or what is in series with them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.state import ProgrammedArray, Signals
from xbar.macro.tile import Tile


def array_shares(
    tile: Tile, array: ProgrammedArray, signals: Signals, mask: Float[Array, "row_tiles col_tiles rows lines"]
) -> tuple[Array | float, Array | float, Array | float]:
    """The parts of the arrays' heat in word lines, bit lines, and terminals or access devices [J]; cells have the rest.

    By Cohn's theorem the power in one resistor of a network between sources is its conductance times the derivative of
    the total power with respect to it: with all conductances of one kind multiplied by s, `P_kind = dP/ds` at s = 1. So
    the parts are as exact as the whole, for any number of inputs.

    Args:
        mask: 1 where cells are in use, for wires in which the others can be told apart (`AbstractWires.isolated`).

    Breaks when: cells are not ohmic, wires do not tell their parts apart (`AbstractWires.scaled`), tiles are spread
    over devices, or the chip was taken at a time and keeps no cells: all is then assigned to the cells.
    """
    nothing = 0.0, 0.0, 0.0
    if not tile.coupled or tile.spread or array.cells is None or signals.cells is None:
        return nothing
    one = jnp.ones((), signals.volts.dtype)
    if tile.wires.scaled(one, one, one) is tile.wires:
        return nothing
    g = jnp.swapaxes(signals.cells, 3, 4)  # [cell, block, row tile, column tile, row, line]

    def seen(s: Array) -> Array:
        wires = tile.wires.scaled(s[0], s[1], s[2])
        over_tiles = lambda f: jax.vmap(jax.vmap(jax.vmap(jax.vmap(f))))(g)  # noqa: E731
        if wires.isolated:
            return jnp.einsum("cbijrl,ijrl->bir", over_tiles(wires.effective), mask)
        return jnp.sum(over_tiles(lambda g: wires.terminals(g)[1]), (0, 3))

    by_kind = jax.jacfwd(seen)(jnp.ones(3, signals.volts.dtype))
    v = tile.dac.power_levels(signals.volts, tile.v_read)
    powers = "pbivr,birk,pbivr->k" if tile.wires.isolated else "pbivr,birqk,pbivq->k"
    watts = jnp.einsum(powers, v, by_kind, v, precision=jax.lax.Precision.HIGHEST)
    word, bit, access = watts * tile.read_time
    return word, bit, access
