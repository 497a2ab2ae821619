"""One weight matrix on its tiles: programming it, and reading it with input vectors.

Layout of everything that has a value per cell: `[pair, group, row tile, row, column tile, column]`, so that the product over
all tiles of a layer is one batched contraction.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Var
from jaxtyping import Array, Float, Key, PRNGKeyArray

from devices import Cells, Device
from devices._numerics import safe_sqrt
from devices.random import unit_normals
from xbar.mapping import Partition, spread
from xbar.tile import Tile
from xbar.wires import IdealWires, NoiseMap
from xbar.wires.noise import features, total

AT_ONCE = 2**16  # cells that are programmed together: enough to fill vector units, few enough for the cache


class Ranges(eqx.Module):
    """Calibrated full scales of a layer's converters.

    Args:
        dac: full scale of the inputs of each row of tiles, in the units of the activations.
        adc: full-scale current of each tile [A].
    """

    dac: Float[Array, "*stack groups row_tiles"]
    adc: Float[Array, "*stack groups row_tiles col_tiles"]


class Settled(eqx.Module):
    """The cells of one weight matrix at one time, as every read then meets them.

    Args:
        conductance: as the drivers and sense nodes see it [S], wires included where the cells are ohmic.
        difference: of the two conductances of each pair [S].
        noise: what the read noise of each pair of cells makes of the voltages, wires included, or None.
        readout: sum over each tile of the magnitude of every weight's conductance [S]: what reading unit vectors one by one
            gives.
        admittance: currents of all drivers per volt of each, over all columns [S], where wires couple them; or None.
    """

    conductance: Float[Array, "*stack 2 groups row_tiles rows col_tiles cols"]
    difference: Float[Array, "*stack groups row_tiles rows col_tiles cols"]
    noise: NoiseMap | None
    readout: Float[Array, "*stack groups row_tiles col_tiles"]
    admittance: Float[Array, "*stack groups row_tiles rows rows"] | None


class ProgrammedArray(eqx.Module):
    """The cells of one weight matrix, and what the periphery knows about them.

    Args:
        cells: programmed cells, in this module's layout.
        scale: weight represented by a full conductance range, for each column of each tile.
        ranges: converter ranges, or None before calibration.
        reference: conductance read-out of each tile at calibration, for drift compensation, or None.
        settled: what reads at one time need, worked out once for all of them; or None, for each call to do so.
        through: zeros with the derivative of ideal pairs by the weights [S], for straight-through gradients; or None.
    """

    cells: Cells
    scale: Float[Array, "*stack groups row_tiles col_tiles cols"]
    ranges: Ranges | None = None
    reference: Float[Array, "*stack groups row_tiles col_tiles"] | None = None
    settled: Settled | None = None
    through: Float[Array, "*stack groups row_tiles rows col_tiles cols"] | None = None


class Signals(eqx.Module):
    """What a read puts on the wires, for those who watch (calibration, energy).

    Args:
        inputs: activations on each row of tiles, before the DAC.
        volts: applied voltages [V]. current: bit-line pair currents before the ADC [A].
        conductance: both cells of each pair [S], in the layout of `ProgrammedArray`.
        watts: power that the drivers deliver to all vectors together [W], where a solution of the wires tells; or None.
    """

    inputs: Float[Array, "groups row_tiles vectors rows"]
    volts: Float[Array, "planes groups row_tiles vectors rows"]
    current: Float[Array, "planes groups row_tiles vectors col_tiles cols"]
    conductance: Float[Array, "2 groups row_tiles rows col_tiles cols"]
    watts: Float[Array, ""] | None = None


def partition_of(tile: Tile, groups: int, k: int, n: int) -> Partition:
    """How a stack of `groups` matrices of `k` x `n` falls on copies of `tile`."""
    return Partition(groups, k, n, tile.rows, tile.cols)


def program(
    tile: Tile, w: Float[Array, "groups k n"], *, key: PRNGKeyArray, straight_through: bool = False
) -> ProgrammedArray:
    """Programs one stack of matrices.

    Each word line of each tile draws from a key of its own, made from its place (group, tile row, tile column, pair,
    row), so many numbers as it has columns: a chip does not depend on padding, on what else is programmed, or on the dtype.

    Args:
        straight_through: derivatives by the weights are those of ideal pairs of cells at a fixed scale, whatever the device
            and the wires made of them.
    """
    part = partition_of(tile, *w.shape)
    weights = part.split(w)
    blocks = lax.stop_gradient(weights) if straight_through else weights
    device = tile.device
    targets = tile.mapping.targets(blocks, device.g_min, device.g_max)
    lines = targets.reshape(-1, targets.shape[-1])  # pair x group x row tile x column tile x row, column
    one = lambda line: device.program(line[0], key=line[1])  # noqa: E731
    cells = _in_turns(one, (lines, line_keys(key, part)), lines.shape[-1], _draws(device, lines.dtype))
    lead = targets.shape[:-1]
    scale = tile.mapping.scale(blocks)
    through = None
    if straight_through:
        through = _silent(jnp.swapaxes(weights * ((device.g_max - device.g_min) / scale), 2, 3))
    cells = jax.tree.map(lambda leaf: _to_layout(leaf, lead), cells)
    return ProgrammedArray(cells, scale[..., 0, :], through=through)


@jax.custom_jvp
def _silent(x: Array) -> Array:
    """Zeros that have the derivative of `x`."""
    return jnp.zeros_like(x)


_silent.defjvp(lambda primals, tangents: (jnp.zeros_like(primals[0]), tangents[0]))


def _in_turns(f: Callable, xs: Any, cells: int, draws: bool) -> Any:
    """`jax.vmap(f)(xs)`, in a loop over equal parts of at most `AT_ONCE` cells if it draws.

    What a loop returns exists once. Outside of one, XLA repeats draws and laws in every piece of code that uses them, most
    of all in derivatives (on a CPU it looks through optimization barriers).
    """
    count = len(jax.tree.leaves(xs)[0])
    together = next(n for n in range(count, 0, -1) if count % n == 0 and (n * cells <= AT_ONCE or n == 1))
    return lax.map(f, xs, batch_size=together) if draws and together < count else jax.vmap(f)(xs)


def _draws(device: Device, dtype) -> bool:
    """Whether programming a cell depends on its key."""
    program = lambda key: device.program(jnp.full(1, device.g_min, dtype), key=key)  # noqa: E731
    traced = jax.make_jaxpr(program)(jax.random.key(0)).jaxpr
    random = set(traced.invars)
    for eqn in traced.eqns:
        if any(isinstance(v, Var) and v in random for v in eqn.invars):
            random.update(eqn.outvars)
    return any(v in random for v in traced.outvars if isinstance(v, Var))


def line_keys(key: PRNGKeyArray, part: Partition) -> Key[Array, " lines"]:
    """One key for each word line: pair x group x row tile x column tile x row, a function of its place only."""
    group = stacked_keys(key, part.groups)
    row, col = jnp.meshgrid(jnp.arange(part.row_tiles), jnp.arange(part.col_tiles), indexing="ij")
    tile = _fold_each(group, (row * 2**16 + col).ravel())
    pair, line = jnp.meshgrid(jnp.arange(2), jnp.arange(part.used_rows), indexing="ij")
    keys = _fold_each(tile, (2 * line + pair).ravel()).reshape(-1, 2, part.used_rows)
    return jnp.moveaxis(keys, 1, 0).reshape(-1)


def stacked_keys(key: PRNGKeyArray, n: int) -> Key[Array, " n"]:
    """`n` keys; the first ones do not depend on `n`."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


def _fold_each(keys: Key[Array, " keys"], places: Array) -> Key[Array, " more"]:
    return jax.vmap(lambda k: jax.vmap(lambda i: jax.random.fold_in(k, i))(places))(keys).reshape(-1)


def _to_layout(leaf: Array, lead: tuple[int, ...]) -> Array:
    """[pair x group x row tile x column tile x row, column, ...] -> [pair, group, row tile, row, column tile, column, ...]."""
    return jnp.swapaxes(leaf.reshape(*lead, *leaf.shape[1:]), 3, 4)


def settle(tile: Tile, array: ProgrammedArray, t: Float[Array, ""], part: Partition) -> Settled:
    """The cells at `t` [s]."""
    g = tile.device.conductance(array.cells, t)
    noise = admittance = None
    if tile.device.has_read_noise:
        noise = _noise(tile, g, tile.device.read_variance(array.cells, t, tile.bandwidth))
    if tile.device.conduction.linear and not isinstance(tile.wires, IdealWires):
        terminals = jnp.vectorize(tile.wires.terminals, signature="(r,c)->(r,c),(r,r)")
        g, admittance = terminals(jnp.swapaxes(g, 3, 4))  # [pair, group, row tile, column tile, row, column]
        g, admittance = jnp.swapaxes(g, 3, 4), jnp.sum(admittance, (0, 3))
    positive, negative = _pair(g)
    difference = positive - negative
    mask = jnp.swapaxes(part.mask(), 1, 2).astype(g.dtype)
    return Settled(g, difference, noise, jnp.sum(jnp.abs(difference) * mask, axis=(2, 4)), admittance)


def _noise(tile: Tile, g: Array, variance: Array) -> NoiseMap:
    """Of both cells of each pair together, as independent reads meet it."""
    if not _coupled(tile) or tile.read_noise == "frozen":
        positive, negative = _pair(variance)
        return NoiseMap(positive + negative)
    found = _each_tile(tile.wires.noise)(jnp.swapaxes(g, 3, 4), jnp.swapaxes(variance, 3, 4))
    positive, negative = (jax.tree.map(lambda x, k=k: x[k], found) for k in (0, 1))
    both = lambda x, y: jnp.swapaxes(x + y, 2, 3)  # noqa: E731
    modes = None if found.modes is None else both(positive.modes, negative.modes)
    return NoiseMap(both(positive.squares, negative.squares), modes)


def _coupled(tile: Tile) -> bool:
    """Whether wires are a map of the conductances."""
    return tile.device.conduction.linear and not isinstance(tile.wires, IdealWires)


def _each_tile(f: Callable) -> Callable:
    """`f` over pairs, groups, row tiles and column tiles."""
    return jax.vmap(jax.vmap(jax.vmap(jax.vmap(f))))


def _pair(values: Array) -> tuple[Array, Array]:
    """Those of the positive and of the negative cells; a split, whose derivative is one concatenation."""
    positive, negative = lax.split(values, (1, 1), 0)
    return positive[0], negative[0]


def read(
    tile: Tile,
    array: ProgrammedArray,
    x: Float[Array, "groups vectors k"],
    n: int,
    *,
    t: Float[Array, ""],
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, "groups vectors n"], Signals]:
    """The analog product of input vectors with a programmed array.

    Digital input -> DAC -> word lines -> cells at time `t` -> bit-line currents + noise -> ADC -> digital scale, drift
    compensation and sum over row tiles and bit planes.

    Args:
        x: input vectors. n: number of outputs. t: time since programming [s]. key: for the noise of this read; None
            reads without noise.
    """
    part = partition_of(tile, x.shape[0], x.shape[-1], n)
    dac_key, cell_key, adc_key = (None, None, None) if key is None else jax.random.split(key, 3)
    inputs = part.split_inputs(x)
    full_scale = input_scale(tile, array, inputs)
    levels = tile.dac.drive(inputs, full_scale)
    volts = levels * tile.v_read.astype(x.dtype)
    if tile.dac.noise is not None and dac_key is not None:
        driven = part.split_inputs(jnp.ones_like(x[:, :1]))  # rows beyond the matrix have no driver
        volts = volts + tile.dac.noise * driven * unit_normals(dac_key, volts)
    settled = array.settled or settle(tile, array, t, part)
    beside = _beside(tile, array, t, cell_key)
    if array.settled is None and array.reference is None and _solves(tile, volts):
        current, watts = _through_wires(tile, tile.device.conductance(array.cells, t), volts)
    elif beside is not None and tile.device.conduction.linear:
        current, watts = bit_line_currents(tile, settled, volts, beside)
        beside = None
    else:
        current, watts = bit_line_currents(tile, settled, volts)
    if beside is not None:
        current = current + _contract(volts, beside)
    if tile.read_noise == "independent":
        current = current + _read_noise(settled, volts, cell_key)
    if tile.adc.noise is not None and adc_key is not None:
        current = current + tile.adc.noise * unit_normals(adc_key, current)
    reported = tile.adc.convert(current, output_scale(tile, array, part, current.dtype))
    y = _digital(tile, array, reported, full_scale, settled.readout)
    return y[..., :n], Signals(inputs, volts, current, settled.conductance, watts)


def input_scale(tile: Tile, array: ProgrammedArray, inputs: Float[Array, "groups row_tiles vectors rows"]) -> Array:
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
        return array.ranges.adc[:, :, None, :, None].astype(dtype)
    if tile.adc.range is not None:
        return jnp.asarray(tile.adc.range, dtype)
    span = (tile.device.g_max - tile.device.g_min) * tile.v_read
    return (span * part.used_rows**0.5).astype(dtype)


def _beside(tile: Tile, array: ProgrammedArray, t: Float[Array, ""], key: PRNGKeyArray | None) -> Array | None:
    """What pairs of cells conduct besides their difference [S], as sense nodes see it: frozen noise, and zeros that carry
    derivatives."""
    coupled = _coupled(tile)
    g = jnp.swapaxes(tile.device.conductance(array.cells, t), 3, 4) if coupled else None
    beside = array.through
    if beside is not None and coupled:
        felt = _each_tile(tile.wires.sensitivity)(lax.stop_gradient(g))
        beside = beside * jnp.swapaxes(felt[0] + felt[1], 2, 3) / 2
    if tile.read_noise != "frozen" or not tile.device.has_read_noise or key is None:
        return beside
    variance = tile.device.read_variance(array.cells, t, tile.bandwidth)
    if coupled:
        moved = safe_sqrt(variance) * unit_normals(key, variance)
        positive, negative = _pair(jnp.swapaxes(_each_tile(tile.wires.perturbed)(g, jnp.swapaxes(moved, 3, 4)), 3, 4))
        noise = positive - negative
    else:
        positive, negative = _pair(variance)
        noise = safe_sqrt(positive + negative) * unit_normals(key, positive)
    return noise if beside is None else beside + noise


def bit_line_currents(
    tile: Tile,
    settled: Settled,
    volts: Float[Array, "planes groups row_tiles vectors rows"],
    beside: Float[Array, "groups row_tiles rows col_tiles cols"] | None = None,
) -> tuple[Float[Array, "planes groups row_tiles vectors col_tiles cols"], Float[Array, ""] | None]:
    """Difference of the two bit-line currents of each pair [A], and the drivers' power [W] where there are wires.

    Args:
        beside: conductance that ohmic pairs have besides their difference [S], or None.
    """
    if tile.device.conduction.linear:
        watts = None
        if settled.admittance is not None:
            drawn = jnp.einsum("pgivr,girs->pgivs", volts, settled.admittance, precision=lax.Precision.HIGHEST)
            watts = jnp.sum(drawn * volts)
        difference = settled.difference if beside is None else settled.difference + beside
        return _contract(volts, difference), watts
    g = settled.conductance
    if not isinstance(tile.wires, IdealWires):
        return _through_wires(tile, g, volts)

    def add_row(total, row):
        v, pair = row  # v: [planes, group, row tile, vector]; pair: [2, group, row tile, column tile, column]
        i = tile.device.conduction(pair[:, None, :, :, None], v[None, ..., None, None])
        return total + i[0] - i[1], None

    shape = (*volts.shape[:-1], *g.shape[-2:])
    rows = (jnp.moveaxis(volts, -1, 0), jnp.moveaxis(g, 3, 0))
    return lax.scan(add_row, jnp.zeros(shape, volts.dtype), rows)[0], None


def _solves(tile: Tile, volts: Array) -> bool:
    """Whether so few vectors are cheaper to solve than to map their tiles for."""
    planes, _, _, vectors, _ = volts.shape
    if not tile.device.conduction.linear or isinstance(tile.wires, IdealWires):
        return False
    return tile.wires.prefers_direct_solve(planes * vectors)


def _through_wires(tile: Tile, g: Array, volts: Array):
    """`bit_line_currents` of every pair, tile and vector solved, behind wires."""
    planes, *_, vectors, _ = volts.shape
    v = jnp.moveaxis(volts, 0, 2)
    v = v.reshape(*v.shape[:2], planes * vectors, -1)  # [group, row tile, plane and vector, row]
    law = None if tile.device.conduction.linear else tile.device.conduction
    solve = lambda g, v: tile.wires.currents(g, v, law)  # noqa: E731
    solve = jax.vmap(jax.vmap(jax.vmap(solve, (0, None))))  # over groups, row tiles, column tiles
    i, watts = jax.vmap(solve, (0, None))(jnp.swapaxes(g, 3, 4), v)
    i = (i[0] - i[1]).reshape(*i.shape[1:4], planes, vectors, -1)
    return i.transpose(3, 0, 1, 4, 2, 5), jnp.sum(watts)


@jax.custom_jvp
def _contract_positive(v: Array, g: Array) -> Array:
    """`_contract` of numbers of one sign. Those in float32 are rounded to bfloat16 and summed in float32: every sum is right
    to 2^-7 at worst, typically to 2e-4, and up to three times as fast. Derivatives are not rounded."""
    if v.dtype != jnp.float32:
        return _contract(v, g)
    return _contract(v.astype(jnp.bfloat16), g.astype(jnp.bfloat16))


@_contract_positive.defjvp
def _contract_positive_tangent(primals, tangents):
    (v, g), (slope_v, slope_g) = primals, tangents
    return _contract_positive(v, g), _contract(slope_v, g) + _contract(v, slope_g)


def _contract(v: Array, g: Array) -> Array:
    """Sums `v[p, s, i, m, r] g[s, i, r, j, c]` over rows, at full precision on every platform; in float32 at least."""
    planes, groups, row_tiles, vectors, rows = v.shape
    flat_v = jnp.moveaxis(v, 0, 2).reshape(groups * row_tiles, planes * vectors, rows)
    flat_g = g.reshape(groups * row_tiles, rows, -1)
    least = jnp.promote_types(v.dtype, jnp.float32)
    i = jnp.matmul(flat_v, flat_g, precision=lax.Precision.HIGHEST, preferred_element_type=least)
    i = i.reshape(groups, row_tiles, planes, vectors, *g.shape[-2:])
    return jnp.moveaxis(i, 2, 0)


def _read_noise(settled: Settled, volts: Array, key: PRNGKeyArray | None) -> Array | float:
    """Noise current of each output [A], drawn once with the variance that all its cells have together."""
    if key is None or settled.noise is None:
        return 0.0
    variance = _contract_positive(volts**2, settled.noise.squares)
    if settled.noise.modes is not None:
        variance = total(variance, _contract(features(volts), settled.noise.modes))
    return safe_sqrt(variance) * unit_normals(key, variance)


def _digital(tile: Tile, array: ProgrammedArray, reported: Array, full_scale: Array, now: Array) -> Array:
    """Scales reported currents to weights times activations and sums row tiles and planes: [groups, vectors, columns]."""
    per_siemens = array.scale / ((tile.device.g_max - tile.device.g_min) * tile.v_read)
    if array.reference is not None:
        gain = jnp.where(now > 0, array.reference / jnp.where(now > 0, now, 1), 1)  # a tile of zeros has no gain
        per_siemens = per_siemens * gain[..., None]
    weights = jnp.asarray(tile.dac.plane_weights(), reported.dtype)
    value = jnp.tensordot(weights, reported, axes=1) if tile.dac.planes > 1 else reported[0]
    value = value * spread(per_siemens.astype(value.dtype)[:, :, None], value.shape) * full_scale[..., None]
    total = functools.reduce(jnp.add, [value[:, i] for i in range(value.shape[1])])  # XLA's sum over few is slow
    return total.reshape(*total.shape[:2], -1)


def draws_at_read(tile: Tile) -> bool:
    """Whether reading this tile draws random numbers."""
    return tile.device.has_read_noise or tile.dac.noise is not None or tile.adc.noise is not None
