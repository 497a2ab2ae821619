"""From voltages to the currents of bit lines, through the cells of one weight matrix and the wires around them."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from xbar.macro.contraction import contract
from xbar.macro.state import ProgrammedArray, Settled
from xbar.macro.tile import Tile


def each_tile(tile: Tile, f: Callable) -> Callable:
    """`f` of one array of cells, over cells, blocks, row tiles and column tiles."""
    over_tiles = jax.vmap(jax.vmap(jax.vmap(jax.vmap(f))))
    sharding = tile.sharding
    if sharding is None:
        return over_tiles
    return lambda *x: sharding.each_device(over_tiles, ("cbij",) * len(x), "cbij")(*x)


def felt(tile: Tile, g: Float[Array, "cells blocks row_tiles col_tiles rows lines"]) -> Array:
    """The share of a change of a weight's conductance that reaches its output through the wires, averaged over its
    cells."""
    return jnp.swapaxes(jnp.mean(each_tile(tile, tile.wires.sensitivity)(lax.stop_gradient(g)), 0), 2, 3)


def currents(
    tile: Tile,
    array: ProgrammedArray,
    settled: Settled,
    volts: Float[Array, "planes blocks row_tiles vectors rows"],
    t: Float[Array, ""],
) -> tuple[Float[Array, "planes reads blocks row_tiles vectors col_tiles cols"], Float[Array, ""] | None]:
    """Combined bit-line currents [A], and the drivers' power [W] where there are wires."""
    linear = tile.device.conduction.linear
    few = tile.coupled and tile.wires.prefers_direct_solve(volts.shape[0] * volts.shape[3])
    few = few and tile.dac.encoding != "pulse_width"  # whose power is not that of one solution
    if linear and not (few and array.settled is None and array.reference is None):
        net = settled.net if array.frozen is None else settled.net + array.frozen
        return contract(volts, net, tile.spread), _watts(tile, settled, volts)
    residual = array.residual
    if linear:
        g = tile.device.conductance(array.cells, t)
        current, watts = _through_wires(tile, array, g, volts)
        if residual is not None:
            residual = residual * felt(tile, jnp.swapaxes(g, 3, 4))[..., : residual.shape[-1]]
    elif tile.wired:
        current, watts = _through_wires(tile, array, settled.conductance, volts)
    elif tile.device.conduction.separable:  # i = g h(v): one product, with h of the voltages
        driven = tile.device.conduction(jnp.ones((), volts.dtype), volts)
        net = settled.net if residual is None else settled.net - residual  # whose slope is that of the volts, below
        current, watts = contract(driven, net, tile.spread), None
    else:
        current, watts = _row_by_row(tile, array, settled.conductance, volts), None
    for perturbation in (residual, array.frozen):
        current = current if perturbation is None else current + contract(volts, perturbation, tile.spread)
    return current, watts


def _watts(tile: Tile, settled: Settled, volts: Array) -> Array | None:
    """What the drivers deliver through ohmic wires [W], on average over the read."""
    if settled.admittance is None:
        return None
    volts = tile.dac.power_levels(volts, tile.v_read)
    drawn = jnp.einsum("pgivr,girs->pgivs", volts, settled.admittance, precision=lax.Precision.HIGHEST)
    return jnp.sum(drawn * volts)


def _row_by_row(tile: Tile, array: ProgrammedArray, g: Array, volts: Array) -> Array:
    """Combined currents of cells of any conduction law between ideal wires."""

    def add_row(total, row):
        v, cells = row  # v: [planes, block, row tile, vector]; cells: [cell, block, row tile, column tile, line]
        return total + tile.device.conduction(cells[:, None, :, :, None], v[None, ..., None, None]), None

    rows = (jnp.moveaxis(volts, -1, 0), jnp.moveaxis(g, 3, 0))
    total = jnp.zeros((g.shape[0], *volts.shape[:-1], *g.shape[-2:]), volts.dtype)
    return jnp.moveaxis(tile.mapping.combine(lax.scan(add_row, total, rows)[0], array.code), 0, 1)


def _through_wires(tile: Tile, array: ProgrammedArray, g: Array, volts: Array) -> tuple[Array, Array]:
    """Combined currents of all cells, tiles and vectors solved, behind wires."""
    planes, *_, vectors, _ = volts.shape
    v = jnp.moveaxis(volts, 0, 2)
    v = v.reshape(*v.shape[:2], planes * vectors, -1)  # [block, row tile, plane and vector, row]
    law = None if tile.device.conduction.linear else tile.device.conduction
    solve = lambda g, v: tile.wires.currents(g, v, law)  # noqa: E731
    solve = jax.vmap(jax.vmap(jax.vmap(solve, (0, None))))  # over blocks, row tiles, column tiles
    i, watts = jax.vmap(solve, (0, None))(jnp.swapaxes(g, 3, 4), v)
    i = i.reshape(*i.shape[:4], planes, vectors, -1).transpose(0, 4, 1, 2, 5, 3, 6)
    return jnp.moveaxis(tile.mapping.combine(i, array.code), 0, 1), jnp.sum(watts)
