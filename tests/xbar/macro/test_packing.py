"""Small matrices of one layer on one tile: fewer tiles, the same product, and no more conversions than outputs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar.macro.layout import from_cells, to_cells
from xbar.macro.partition import Partition

KERNEL = jax.random.normal(jax.random.key(0), (48, 1, 3, 3))  # depthwise: 48 groups of 9 inputs and 1 output
IMAGE = jax.random.normal(jax.random.key(1), (2, 48, 6, 6))


def depthwise(w, x):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=48)


def tile(pack, device=None):
    ideal = {"dac": xbar.DAC(bits=None), "adc": xbar.ADC(bits=8)}
    return xbar.Tile(device=device or devices.ideal(), rows=64, cols=64, pack_groups=pack, **ideal)


def test_packed_groups_take_fewer_tiles_and_give_the_same():
    """64 rows hold seven groups of 9: seven tiles instead of 48."""
    ways = (True, "in_turns", False)
    chips = {p: xbar.analog(depthwise, tile(p)).program(KERNEL, IMAGE, key=jax.random.key(2)) for p in ways}
    assert {p: chip.layers.tiles for p, chip in chips.items()} == {True: 7, "in_turns": 7, False: 48}
    assert all("7 a tile" in str(chips[p].layers) for p in ways[:2]) and "a tile" not in str(chips[False].layers)
    exact = xbar.Tile(device=devices.ideal(), rows=64, cols=64, dac=xbar.DAC(None), adc=xbar.ADC(None))
    y = xbar.analog(depthwise, exact)(KERNEL, IMAGE, key=jax.random.key(2))
    np.testing.assert_allclose(y, depthwise(KERNEL, IMAGE), atol=1e-5)


def test_only_outputs_in_use_are_converted():
    usage = {}
    for pack in (True, False):
        chip = xbar.analog(depthwise, tile(pack)).program(KERNEL, IMAGE, key=jax.random.key(2))
        usage[pack] = float(
            chip.watch((IMAGE,), watch=lambda i, tile, array, s: jnp.asarray(float(s.outputs)), merge=jnp.add)[1][0]
        )
    assert usage[True] == usage[False] == 48 * 2 * 36


def test_what_crosses_in_a_packed_tile_adds_its_errors():
    """The cells where rows of one group cross columns of another hold 0, badly: they make a packed output noisier."""
    pcm = devices.pcm_joshi2020()
    plain = depthwise(KERNEL, IMAGE)
    error = {
        p: jnp.std(xbar.analog(depthwise, tile(p, pcm))(KERNEL, IMAGE, key=jax.random.key(3)) - plain)
        for p in (True, False)
    }
    assert float(error[True]) > 1.2 * float(error[False])


def test_groups_in_turns_are_read_as_if_alone():
    """The word lines of other groups are at rest: to the last bit a tile of their own, on a seventh of the tiles."""
    pcm = devices.pcm_joshi2020()
    alone, turns = (
        xbar.analog(depthwise, tile(p, pcm))(KERNEL, IMAGE, key=jax.random.key(3)) for p in (False, "in_turns")
    )
    np.testing.assert_array_equal(alone, turns)
    assert xbar.Tile(pcm).pack_groups == "in_turns"


def test_turns_take_time():
    """Seven groups on a tile, one after the other: seven reads for each vector."""
    reads = {}
    for pack in (True, "in_turns", False):
        chip = xbar.analog(depthwise, tile(pack)).program(KERNEL, IMAGE, key=jax.random.key(2))
        reads[pack] = chip.energy(IMAGE, inferences=2).recipe.costs[0].planes
    assert reads == {True: 1, "in_turns": 7, False: 1}


def test_drift_compensation_counts_the_cells_that_hold_weights():
    """Off the diagonal blocks of a packed tile lie 6/7 of its cells, at g_min, and drift otherwise than the weights: counted
    in, they would make a compensated product after a day too large or too small by several per cent."""
    pcm = dataclasses.replace(devices.pcm_joshi2020(), read_noise=devices.noise.NoReadNoise())
    chip = xbar.compensate(xbar.analog(depthwise, tile(True, pcm)).program(KERNEL, IMAGE, key=jax.random.key(4)))
    plain = depthwise(KERNEL, IMAGE)
    gain = lambda y: float(jnp.sum(y * plain) / jnp.sum(plain * plain))  # noqa: E731
    assert gain(chip(IMAGE, t=86_400.0)) == pytest.approx(gain(chip(IMAGE, t=0.0)), rel=0.03)


@pytest.mark.parametrize("sizes", [(1, 37, 13, 16, 8), (5, 3, 2, 8, 8), (7, 4, 4, 8, 8), (3, 20, 9, 8, 4)])
def test_values_of_cells_go_to_the_tiles_and_back(sizes):
    part = Partition.of(*sizes, True)
    groups, k, n = sizes[:3]
    values = jnp.arange(2.0 * groups * k * n).reshape(2, groups, k, n) + 1
    cells = to_cells(values, part, extra_cols=1)
    assert float(cells.sum()) == float(values.sum())
    np.testing.assert_array_equal(from_cells(cells, part), values)
