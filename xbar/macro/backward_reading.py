"""Reading one weight matrix in the other direction: inputs on the bit lines, currents of the word lines."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import safe_sqrt
from devices.random import unit_normals
from xbar.macro.bit_lines import each_tile
from xbar.macro.partition import Partition
from xbar.macro.reading import drift_gain, settle
from xbar.macro.state import ProgrammedArray, Settled
from xbar.macro.tile import Tile


def read_transposed(
    tile: Tile,
    array: ProgrammedArray,
    y: Float[Array, "groups vectors n"],
    k: int,
    *,
    t: Float[Array, ""],
    key: PRNGKeyArray | None,
) -> Float[Array, "groups vectors k"]:
    """The product with the transpose of the same array: inputs on the bit lines, currents of the word lines.

    Ohmic networks are reciprocal: between the same ends, the transfer conductance is the same either way, wires included.
    Drift compensation is that of forward reads; it multiplies the input of every column, digitally.

    Args:
        y: input vectors of the columns. k: number of rows. t, key: as in `read`.

    Raises:
        ValueError: without `Tile(backward=Periphery(...))`, or for cells that are not ohmic.

    Error: read noise behind `ResistiveWires` has the variance of every bit line driven alone, summed. That is exact on
    average over inputs of independent signs, and a few per cent too much where all have one sign.
    `ResistiveWires(noise="exact")` solves for each input and output.
    """
    if tile.backward is None:
        raise ValueError(
            "read_transposed: the tile has no converters for a backward read. Give Tile(backward=xbar.Periphery(...))."
        )
    if not tile.device.conduction.linear:
        raise ValueError(
            "read_transposed: cells that are not ohmic are not reciprocal; a backward read is not defined."
        )
    part = tile.partition(y.shape[0], k, y.shape[-1])
    back = Partition(part.groups, part.n, part.k, tile.cols, tile.rows, part.packed)
    dac, adc = tile.backward.dac, tile.backward.adc
    read_key, adc_key, dac_key = (None, None, None) if key is None else jax.random.split(key, 3)
    now = array.settled or settle(tile, array, t, part)
    drift = None if array.reference is None else drift_gain(array.reference, now.readout)[:, :, None]
    gain = jnp.asarray(tile.mapping.transpose_gain(array.code))  # [block, row tile, 1, column tile, column] or a scalar
    gain = gain if drift is None else gain * drift
    shape = (part.blocks, part.row_tiles, 1, part.col_tiles, part.used_cols)
    by_column = lambda x: jnp.moveaxis(jnp.broadcast_to(x, shape), 3, 1)  # noqa: E731
    inputs = back.split_inputs(y)[:, :, None] * by_column(gain)  # [block, column tile, row tile, vector, column]
    largest = jnp.max(jnp.abs(lax.stop_gradient(inputs)), axis=-1, keepdims=True)
    if dac.range is not None:  # in the units of `y`
        largest = jnp.broadcast_to(dac.range * jnp.max(jnp.abs(by_column(gain)), -1, keepdims=True), largest.shape)
    full_scale = jnp.where(largest > 0, largest, 1)
    levels = dac.drive(inputs, full_scale)
    volts = levels * tile.v_read.astype(y.dtype)
    if dac.noise is not None and dac_key is not None:
        in_use = back.rows_in_use().astype(volts.dtype)[:, :, None]  # columns beyond the matrix have no driver
        volts = volts + dac.noise * in_use * unit_normals(dac_key, volts)
    net = now.net if array.frozen is None else now.net + array.frozen
    current = jnp.einsum("pbjivc,lbirjc->plbjivr", volts, net, precision=lax.Precision.HIGHEST)
    if tile.read_noise == "independent" and now.variance is not None and read_key is not None:
        variance = _noise_variance(tile, array, now, volts, t)
        current = current + safe_sqrt(variance) * unit_normals(read_key, variance)
    if adc.noise is not None and adc_key is not None:
        current = current + adc.noise * unit_normals(adc_key, current)
    span = tile.mapping.full_scale(tile.device.g_min, tile.device.g_max) * tile.v_read * part.used_cols**0.5
    reported = adc.convert(current, jnp.asarray(span if adc.range is None else adc.range, current.dtype))
    weights = jnp.asarray(dac.plane_weights(), reported.dtype)
    values = jnp.tensordot(weights, reported, axes=1) / tile.v_read.astype(reported.dtype)
    if drift is not None:  # a digital reference is subtracted from what is compensated
        levels = levels / by_column(jnp.where(drift > 0, drift, 1))
    sums = jnp.tensordot(weights, jnp.sum(levels, -1, keepdims=True), axes=1)
    products = tile.mapping.decode(values, sums, array.code, transpose=True)  # pyright: ignore[reportCallIssue]
    x = jnp.sum(products * full_scale, 1)
    return back.join(jnp.moveaxis(x, 1, 2).reshape(part.blocks, -1, part.row_tiles * part.used_rows))


def _noise_variance(
    tile: Tile,
    array: ProgrammedArray,
    now: Settled,
    volts: Float[Array, "planes blocks col_tiles row_tiles vectors cols"],
    t: Float[Array, ""],
) -> Float[Array, "planes reads blocks col_tiles row_tiles vectors rows"]:
    """Variance of the current of every word line [A^2]; no two word lines share a cell."""
    if not tile.needs_cells and not tile.mapping.shared_lines:
        return jnp.einsum("pbjivc,lbirjc->plbjivr", volts**2, now.variance)
    driven = _on_lines(tile, array, volts)
    if not tile.needs_cells:
        return jnp.einsum("lcpbivjs,cbirjs->plbjivr", driven**2, now.variance)
    g = jnp.swapaxes(tile.device.conductance(array.cells, t), 3, 4)
    variance = jnp.swapaxes(tile.device.read_variance(array.cells, t, tile.bandwidth), 3, 4)
    v = driven.transpose(1, 3, 4, 6, 0, 2, 5, 7)  # [cell, block, row tile, column tile, read, plane, vector, line]
    flat = v.reshape(*v.shape[:4], -1, v.shape[-1])
    found = jnp.sum(each_tile(tile, tile.wires.backward_noise_variance)(g, variance, flat), 0)
    return found.reshape(*v.shape[1:7], -1).transpose(4, 3, 0, 2, 1, 5, 6)


def _on_lines(
    tile: Tile, array: ProgrammedArray, volts: Float[Array, "planes blocks col_tiles row_tiles vectors cols"]
) -> Float[Array, "reads cells planes blocks row_tiles vectors col_tiles lines"]:
    """Voltages of all bit lines [V]: the transpose of what `combine` makes of their currents."""
    mapping, volts = tile.mapping, jnp.moveaxis(volts, 2, 4)
    lines = (mapping.cells, *volts.shape[:-1], volts.shape[-1] + mapping.extra_cols)
    combine = lambda i: mapping.combine(i, array.code)  # noqa: E731
    transpose = jax.linear_transpose(combine, jax.ShapeDtypeStruct(lines, volts.dtype))
    one = jnp.eye(mapping.reads, dtype=volts.dtype).reshape(-1, mapping.reads, *(1,) * volts.ndim)
    return jax.vmap(lambda read: transpose(read * volts)[0])(one)
