"""Where the heat of an array arises: in its cells, its word lines, its bit lines, or what is in series with them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.state import ProgrammedArray, Signals
from xbar.macro.tile import Tile


def array_shares(
    tile: Tile, array: ProgrammedArray, signals: Signals, joules: Float[Array, ""]
) -> tuple[Array | float, Array | float, Array | float]:
    """The parts of `joules` that heat word lines, bit lines, and terminals or access devices [J]; cells have the rest.

    By Cohn's theorem the power in one resistor of a network between sources is its conductance times the derivative of all the
    power by it: with all conductances of one kind multiplied by s, `P_kind = dP/ds` at s = 1. So the parts are as exact as the
    whole, for any number of inputs.

    Breaks when: cells are not ohmic, wires say nothing of their parts (`AbstractWires.scaled`), or the chip was taken at a
    time and keeps no cells: all is then booked on the cells.
    """
    nothing = 0.0, 0.0, 0.0
    if not tile.coupled or array.cells is None or signals.cells is None:
        return nothing
    one = jnp.ones((), signals.volts.dtype)
    if tile.wires.scaled(one, one, one) is tile.wires:
        return nothing
    g = jnp.swapaxes(signals.cells, 3, 4)  # [cell, block, row tile, column tile, row, line]

    def admittance(s: Any) -> Array:
        wires = tile.wires.scaled(*s)
        of_tiles = jax.vmap(jax.vmap(jax.vmap(jax.vmap(lambda g: wires.terminals(g)[1]))))
        return jnp.sum(of_tiles(g), (0, 3))

    by_kind = jax.jacfwd(lambda s: admittance((s[0], s[1], s[2])))(jnp.ones(3, signals.volts.dtype))
    v = tile.dac.power_levels(signals.volts, tile.v_read)
    watts = jnp.einsum("pbivr,birqk,pbivq->k", v, by_kind, v, precision=jax.lax.Precision.HIGHEST)
    word, bit, access = watts * tile.read_time
    return word, bit, access
