"""Reading one weight matrix with input vectors: DAC, word lines, cells and wires, ADC, digital scale and sum."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from devices._numerics import safe_sqrt
from devices.random import unit_normals, unit_normals_at
from xbar.macro.bit_lines import currents, each_tile, felt
from xbar.macro.contraction import contract, contract_positive
from xbar.macro.layout import beside_rows
from xbar.macro.partition import Partition
from xbar.macro.sharding import CELLS, Sharding
from xbar.macro.state import ProgrammedArray, Settled, Signals
from xbar.macro.tile import Tile
from xbar.macro.wires.noise_map import features, total

IN_TURN = (
    2**20
)  # inputs times planes above which planes are read one after the other: with fewer, a loop only costs time


Among = tuple[UInt32[Array, ""], int]  # number of the first vector of some, and how many there are in all


def settle(tile: Tile, array: ProgrammedArray, t: Float[Array, ""], part: Partition) -> Settled:
    """The cells at `t` [s]."""
    g, variance = tile.device.conductance(array.cells, t), None
    if tile.device.has_read_noise:
        variance = tile.device.read_variance(array.cells, t, tile.bandwidth)
    return settled(tile, array, g, variance, part)


def settled(
    tile: Tile,
    array: ProgrammedArray,
    g: Float[Array, "cells blocks row_tiles rows col_tiles lines"],
    variance: Float[Array, "cells blocks row_tiles rows col_tiles lines"] | None,
    part: Partition,
) -> Settled:
    """What reads see of cells of conductance `g` [S] and noise `variance` [S^2]: wires, and what the mapping
    combines."""
    mapping, code = tile.mapping, array.code
    admittance = modes = error = None
    residual = array.residual
    if tile.coupled:
        by_tile = jnp.swapaxes(g, 3, 4)  # [cell, block, row tile, column tile, row, line]
        if variance is not None and not tile.needs_cells:
            noise = each_tile(tile, tile.wires.noise_map)(by_tile, jnp.swapaxes(variance, 3, 4))
            variance, error = jnp.swapaxes(noise.squares, 3, 4), noise.error
            modes = None if noise.modes is None else jnp.swapaxes(noise.modes, 3, 4)
            error = None if error is None else jnp.max(error)
        if residual is not None:
            residual = residual * felt(tile, by_tile)[..., : part.used_cols]
        if tile.wires.isolated:  # the power is that of each cell behind its own path
            by_tile = each_tile(tile, tile.wires.effective)(by_tile)
        else:
            by_tile, admittance = each_tile(tile, tile.wires.terminals)(by_tile)
            admittance = jnp.sum(admittance, (0, 3))
        g = jnp.swapaxes(by_tile, 3, 4)
    if not mapping.shared_lines and not tile.needs_cells:
        variance = None if variance is None else mapping.combine_variance(variance, code)
        modes = None if modes is None else mapping.combine_variance(modes, code)
    net = mapping.combine(g, code)
    readout = jnp.sum(magnitudes(net, part), axis=(0, 3))
    found = Settled(g, net if residual is None else net + residual, variance, modes, error, readout, admittance)
    return found if tile.sharding is None else _kept(tile.sharding, found)


def magnitudes(
    net: Float[Array, "reads blocks row_tiles rows col_tiles cols"], part: Partition
) -> Float[Array, "reads blocks row_tiles rows col_tiles cols"]:
    """The magnitude of every weight's conductance [S], 0 where a tile holds no weight."""
    return jnp.abs(net) * beside_rows(part.weights_mask()).astype(net.dtype)[None]


def drift_gain(
    reference: Float[Array, "blocks row_tiles col_tiles one_or_cols"],
    readout: Float[Array, "blocks row_tiles col_tiles cols"],
) -> Float[Array, "blocks row_tiles col_tiles one_or_cols"]:
    """The factor of drift compensation for tiles, or columns, whose conductances now add up to `readout` [S]."""
    now = per_tile_or_column(readout, reference)
    return jnp.where(now > 0, reference / jnp.where(now > 0, now, 1), 1)  # a tile of zeros has no gain


def per_tile_or_column(readout: Float[Array, "*tiles cols"], reference: Array) -> Float[Array, "*tiles one_or_cols"]:
    """A sum over each column, or over each tile where the reference is one for each tile."""
    return readout if reference.shape[-1] == readout.shape[-1] else jnp.sum(readout, -1, keepdims=True)


def _kept(sharding: Sharding, x: Settled) -> Settled:
    """Every value on the devices that have its tile."""
    layouts = {
        "conductance": CELLS,
        "net": CELLS,
        "variance": CELLS,
        "modes": CELLS,
        "readout": "bij.",
        "admittance": "bi",
    }
    values = {name: getattr(x, name) for name in layouts}
    kept = {name: None if v is None else sharding.keep(v, layouts[name]) for name, v in values.items()}
    return dataclasses.replace(x, **kept)


def freeze(tile: Tile, array: ProgrammedArray, t: Float[Array, ""], part: Partition, key: PRNGKeyArray) -> Array | None:
    """The deviation of the net conductances in all reads of one call [S], where read noise is frozen; else None."""
    if tile.read_noise != "frozen" or not tile.device.has_read_noise:
        return None
    if tile.coupled:  # every cell deviates, and the wires pass on what that changes
        g = tile.device.conductance(array.cells, t)
        variance = tile.device.read_variance(array.cells, t, tile.bandwidth)
        moved = jnp.swapaxes(safe_sqrt(variance) * unit_normals(key, variance), 3, 4)
        moved = jnp.swapaxes(each_tile(tile, tile.wires.perturbed)(jnp.swapaxes(g, 3, 4), moved), 3, 4)
        return tile.mapping.combine(moved, array.code)
    variance: Any = (array.settled or settle(tile, array, t, part)).variance
    combined = not (tile.mapping.shared_lines or tile.needs_cells)
    noise = safe_sqrt(variance) * unit_normals(key, variance)
    return noise if combined else tile.mapping.combine(noise, array.code)


def read(
    tile: Tile,
    array: ProgrammedArray,
    x: Float[Array, "groups vectors k"],
    n: int,
    *,
    t: Float[Array, ""],
    key: PRNGKeyArray | None,
    watched: bool = True,
    among: Among | None = None,
) -> tuple[Float[Array, "groups vectors n"], Signals | None]:
    """The analog product of input vectors with a programmed array.

    Digital input -> DAC -> word lines -> cells at time `t` -> combined bit-line currents + noise -> ADC -> digital scale,
    drift compensation and sum over row tiles and bit planes.

    Args:
        x: input vectors. n: number of outputs. t: time since programming [s]. key: for the noise of this read; None
            reads without noise. watched: whether the signals are wanted. If not, many planes are read one after the
            other, in the memory of one; draws are the same. among: the place of these vectors in a longer read, whose
            draws they share.
    """
    part = tile.partition(x.shape[0], x.shape[-1], n)
    inputs = part.split_inputs(x)
    full_scale = input_scale(tile, array, inputs)
    now = array.settled or settle(tile, array, t, part)
    keys = (None, None, None) if key is None else tuple(jax.random.split(key, 3))
    planes, given = tile.dac.planes, (inputs, full_scale, t, keys, among)
    if planes > 1 and not watched and planes * inputs.size >= IN_TURN:
        found, applied = _in_turn(tile, array, now, part, *given)
        signals = None
    else:
        levels, signals = _pass(tile, array, now, part, *given)
        weights = jnp.asarray(tile.dac.plane_weights(), signals.codes.dtype)
        together = lambda x: jnp.tensordot(weights, x, axes=1) if planes > 1 else x[0]  # noqa: E731
        found, applied = together(signals.codes), together(jnp.sum(levels, -1, keepdims=True))
    y = part.join(_digital(tile, array, found, applied, full_scale, now.readout))
    signals = None if signals is None else dataclasses.replace(signals, products=y)
    return y if array.correction is None else array.correction(y, x), signals


def _pass(
    tile: Tile,
    array: ProgrammedArray,
    now: Settled,
    part: Partition,
    inputs: Float[Array, "blocks row_tiles vectors rows"],
    full_scale: Array,
    t: Float[Array, ""],
    keys: tuple[PRNGKeyArray | None, PRNGKeyArray | None, PRNGKeyArray | None],
    among: Among | None,
    only: Int[Array, ""] | None = None,
) -> tuple[Float[Array, "planes blocks row_tiles vectors rows"], Signals]:
    """The levels of all planes, or of the plane `only`, and what they put on the wires."""
    dac_key, read_key, adc_key = keys

    def draw(key: PRNGKeyArray, like: Array, axis: int = -3) -> Array:
        if only is None and among is None:
            return unit_normals(key, like)
        return unit_normals_at(key, like, _places(like.shape, axis, among, only))

    levels = tile.dac.drive(inputs, full_scale, only)
    in_use = part.rows_in_use().astype(inputs.dtype)  # rows beyond the matrix have no driver
    if tile.dac.negative == "offset":
        levels = levels * in_use[None]
    volts = levels * tile.v_read.astype(inputs.dtype)
    if tile.dac.noise is not None and dac_key is not None:
        volts = volts + tile.dac.noise * in_use[None] * draw(dac_key, volts, -2)
    current, watts = currents(tile, array, now, volts, t)
    if tile.read_noise == "independent":
        current = current + _read_noise(tile, array, now, volts, t, read_key, draw)
    if tile.adc.noise is not None and adc_key is not None:
        current = current + tile.adc.noise * draw(adc_key, current)
    most = output_scale(tile, array, part, current.dtype)
    reported = tile.adc.convert(current, most)
    outputs = current.shape[0] * current.shape[1] * part.groups * inputs.shape[2] * part.n * part.row_tiles
    cells = tile.device.conductance(array.cells, t) if tile.coupled and array.cells is not None else None
    return levels, Signals(inputs, volts, current, reported, most, now.conductance, watts, outputs, cells=cells)


def _places(shape: tuple[int, ...], axis: int, among: Among | None, only: Array | None) -> UInt32[Array, "..."]:
    """Numbers of the draws of some vectors (along `axis`) and of one plane (of the first axis) among those of a whole read."""
    first, total = (jnp.uint32(0), shape[axis]) if among is None else among
    whole = list(shape)
    whole[axis] = total
    strides = [math.prod(whole[d + 1 :]) for d in range(len(whole))]
    steps = [lax.broadcasted_iota(jnp.uint32, shape, d) * np.uint32(s % 2**32) for d, s in enumerate(strides)]
    plane = jnp.uint32(0) if only is None else only.astype(jnp.uint32) * np.uint32(strides[0] % 2**32)
    return functools.reduce(jnp.add, steps) + first.astype(jnp.uint32) * np.uint32(strides[axis]) + plane


def read_in_turn(
    tile: Tile,
    array: ProgrammedArray,
    part: Callable[[Int[Array, ""]], Float[Array, "groups part k"]],
    turns: int,
    n: int,
    *,
    t: Float[Array, ""],
    key: PRNGKeyArray | None,
) -> Float[Array, "groups vectors n"]:
    """`read` of vectors that are made in turns, with the memory of one turn; draws are the same.

    Args:
        part: the vectors of a turn by its number. turns: their number; all have equally many vectors.
    """
    groups, each, k = jax.eval_shape(part, jnp.int32(0)).shape
    array = dataclasses.replace(array, settled=array.settled or settle(tile, array, t, tile.partition(groups, k, n)))

    def one(turn: Int[Array, ""]) -> Array:
        among = turn.astype(jnp.uint32) * np.uint32(each), turns * each
        return read(tile, array, part(turn), n, t=t, key=key, watched=False, among=among)[0]

    y = lax.map(one, jnp.arange(turns, dtype=jnp.int32))
    return jnp.moveaxis(y, 0, 1).reshape(groups, turns * each, n)


def _in_turn(tile: Tile, array: ProgrammedArray, now: Settled, part: Partition, *given: Any) -> tuple[Array, Array]:
    """Weighted sums over planes of what the ADC reports, and of the levels; one plane after the other, in derivatives too."""
    weights = tile.dac.plane_weights()

    def one(plane: Array) -> tuple[Array, Array]:
        levels, signals = _pass(tile, array, now, part, *given, only=plane)
        weight = jnp.asarray(weights, signals.codes.dtype)[plane]
        return weight * signals.codes[0], weight * jnp.sum(levels[0], -1, keepdims=True)

    def add(sofar, plane):
        return jax.tree.map(jnp.add, sofar, jax.checkpoint(one)(plane)), None

    shapes = jax.eval_shape(one, jnp.zeros((), jnp.int32))
    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return lax.scan(add, start, jnp.arange(len(weights), dtype=jnp.int32))[0]


def input_scale(tile: Tile, array: ProgrammedArray, inputs: Float[Array, "blocks row_tiles vectors rows"]) -> Array:
    """Full scale of the DAC: calibrated, given, or each vector's own largest magnitude (no gradient flows through it)."""
    if array.ranges is not None:
        return array.ranges.dac[..., None, None].astype(inputs.dtype)
    if tile.dac.range is not None:
        return jnp.full((1, 1, 1, 1), tile.dac.range, inputs.dtype)
    largest = jnp.max(jnp.abs(lax.stop_gradient(inputs)), axis=-1, keepdims=True)
    return jnp.where(largest > 0, largest, 1)


def output_scale(tile: Tile, array: ProgrammedArray, part: Partition, dtype) -> Array:
    """Full-scale current of the ADCs [A], broadcast against `Signals.current`."""
    if array.ranges is not None:
        return array.ranges.adc[None, None, :, :, None, :, None].astype(dtype)
    if tile.adc.range is not None:
        return jnp.asarray(tile.adc.range, dtype)
    span = tile.mapping.full_scale(tile.device.g_min, tile.device.g_max) * tile.v_read
    return (span * part.used_rows**0.5).astype(dtype)


def _read_noise(
    tile: Tile,
    array: ProgrammedArray,
    settled: Settled,
    volts: Array,
    t: Float[Array, ""],
    key: PRNGKeyArray | None,
    draw: Callable[[PRNGKeyArray, Array], Array],
) -> Array | float:
    """Noise current of each output [A], drawn once with the variance that all its cells have together."""
    if key is None or settled.variance is None:
        return 0.0
    mapping, combined = tile.mapping, not tile.mapping.shared_lines
    if tile.needs_cells:
        variance = _solved_variance(tile, array, volts, t)  # of every line, [plane, cell, ...]
        if combined:
            variance = jnp.moveaxis(mapping.combine_variance(jnp.moveaxis(variance, 1, 0), array.code), 0, 1)
    else:
        variance = contract_positive(volts**2, settled.variance, tile.spread)
        if settled.modes is not None:
            variance = total(variance, contract(features(volts), settled.modes, tile.spread))
    noise = safe_sqrt(variance) * draw(key, variance)
    return noise if combined else jnp.moveaxis(mapping.combine(jnp.moveaxis(noise, 1, 0), array.code), 0, 1)


def _solved_variance(tile: Tile, array: ProgrammedArray, volts: Array, t: Float[Array, ""]) -> Array:
    """Variance of the current of every line [A^2], from the solution of each input."""
    planes, *_, vectors, _ = volts.shape
    law = None if tile.device.conduction.linear else tile.device.conduction
    g = jnp.swapaxes(tile.device.conductance(array.cells, t), 3, 4)
    variance = jnp.swapaxes(tile.device.read_variance(array.cells, t, tile.bandwidth), 3, 4)
    v = jnp.moveaxis(volts, 0, 2)
    v = v.reshape(*v.shape[:2], planes * vectors, -1)
    one = lambda g, var, v: tile.wires.noise_variance(g, var, v, law, exact=tile.wires.exact_noise)  # noqa: E731
    over_tiles = jax.vmap(jax.vmap(jax.vmap(one, (0, 0, None))))  # over blocks, row tiles, column tiles
    found = jax.vmap(over_tiles, (0, 0, None))(g, variance, v)  # [cell, block, row tile, column tile, input, line]
    return found.reshape(*found.shape[:4], planes, vectors, -1).transpose(4, 0, 1, 2, 5, 3, 6)


def _digital(
    tile: Tile, array: ProgrammedArray, reported: Array, total: Array, full_scale: Array, now: Array
) -> Float[Array, "blocks vectors all_cols"]:
    """Weights times activations from reported currents and sums of levels, over planes: drift compensation, mapping, sum over
    row tiles."""
    value = reported * (1 / tile.v_read.astype(reported.dtype))  # one division, not one for each output
    if array.reference is not None:
        value = value * drift_gain(array.reference, now)[None, :, :, None].astype(value.dtype)
    value = tile.mapping.decode(value, total[..., None], array.code)
    if tile.dac.negative == "offset" and array.ones is not None:  # ideal converters in their place have no offset
        value = 2 * value - array.ones.astype(value.dtype)
    value = value * full_scale[..., None]
    if tile.spread:  # every device its own row tiles, and then one sum over devices
        return jnp.sum(value, 1).reshape(value.shape[0], value.shape[2], -1)
    value = functools.reduce(jnp.add, [value[:, i] for i in range(value.shape[1])])  # XLA's sum over few is slow
    return value.reshape(*value.shape[:2], -1)


def draws_at_read(tile: Tile) -> bool:
    """Whether reading this tile draws random numbers."""
    return tile.device.has_read_noise or tile.dac.noise is not None or tile.adc.noise is not None
