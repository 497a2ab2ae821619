"""What a chip keeps of its cells, and what a read needs besides."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.base import AsProgrammed
from xbar.graph import products
from xbar.macro import reading

W, X = jax.random.normal(jax.random.key(0), (32, 16)), jax.random.normal(jax.random.key(1), (3, 32))


def matvec(w, x):
    return x @ w


def pcm_chip():
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=32, cols=16)
    return xbar.analog(matvec, tile).program(W, X, key=jax.random.key(2))


def with_copies(chip):
    """The chip with every conductance that a law remembers written out, as it was kept once."""
    arrays = {i: dataclasses.replace(a, cells=a.cells.whole()) for i, a in chip.arrays.items()}
    return dataclasses.replace(chip, arrays=arrays)


def cells_of(chip):
    return next(iter(chip.arrays.values())).cells


def test_a_conductance_is_kept_once():
    """Of each of two cells a weight: conductance, target, and a normal for its drift; 1/f noise remembers the conductance.

    A chip with the copy, as in files of earlier versions, answers the same.
    """
    chip = pcm_chip()
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(cells_of(chip))) == 2 * 3 * W.nbytes
    old = with_copies(chip)
    np.testing.assert_array_equal(cells_of(old).read_noise, cells_of(chip).g)
    for t in (1.0, 3600.0):
        read = [c(X, t=t, key=jax.random.key(3)) for c in (chip, old)]
        np.testing.assert_allclose(*read, rtol=1e-6, atol=1e-6)


def test_a_chip_with_copies_comes_out_of_its_file(tmp_path):
    for chip in (pcm_chip(), with_copies(pcm_chip())):
        xbar.save(chip, tmp_path / "chip.h5")
        loaded = xbar.load(tmp_path / "chip.h5", matvec)
        assert jax.tree.structure(cells_of(loaded)) == jax.tree.structure(cells_of(chip))
        for a, b in zip(jax.tree.leaves(cells_of(loaded)), jax.tree.leaves(cells_of(chip)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_cells_written_again_keep_it_once_and_remember_the_new_one():
    """Some rows re-programmed, an hour later: noise is that of what each cell was programmed to by its own last write."""
    chip = pcm_chip()
    again = dict(rows=slice(8), t=3600.0, key=jax.random.key(4))
    new, old = (c.reprogram(0, W, **again) for c in (chip, with_copies(chip)))
    assert isinstance(cells_of(new).read_noise, AsProgrammed)
    assert not np.allclose(cells_of(new).g, cells_of(chip).g)
    for a, b in zip(jax.tree.leaves(cells_of(new).whole()), jax.tree.leaves(cells_of(old).whole()), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_devices_take_cells_either_way():
    """Every question about compact cells has the answer of whole ones, and the same derivative by a number of the noise."""
    device = devices.pcm_joshi2020()
    whole = device.program(jnp.linspace(1e-6, 2e-5, 7), key=jax.random.key(0))
    cells = whole.compact()
    assert isinstance(cells.read_noise, AsProgrammed) and eqx.tree_equal(cells.whole(), whole)
    assert eqx.tree_equal(device.wait(cells, 5.0).whole(), device.wait(whole, 5.0))
    for ask in (
        lambda d, c: d.conductance(c, 60.0),
        lambda d, c: d.read_variance(c, 60.0, 1e6),
        lambda d, c: d.trace(c, 1e-3, 4e3, key=jax.random.key(1)),
    ):
        np.testing.assert_array_equal(ask(device, cells), ask(device, whole))
    slope = jax.grad(lambda t0, c: 1e15 * jnp.sum(at(device, t0).read_variance(c, 60.0, 1e6)))
    assert float(slope(20.0, cells)) == float(slope(20.0, whole)) != 0


def at(device, t0):
    return eqx.tree_at(lambda d: d.read_noise.t0, device, jnp.asarray(t0))


def test_what_pulses_may_part_stays_apart():
    """A device with pulses keeps the structure of its cells, for loops; the noise follows each pulse."""
    law = devices.noise.OneOverFNoise(q=0.04, g_max=25e-6, t0=20.0)
    device = dataclasses.replace(devices.ecram_lithium_tang2018(), read_noise=law)
    tile = xbar.Tile(device=device, rows=32, cols=16)
    chip = xbar.analog(matvec, tile).program(W, X, key=jax.random.key(2))
    after = chip.pulse(0, 2 * jnp.ones(W.shape, int), key=jax.random.key(5))
    assert jax.tree.structure(cells_of(after)) == jax.tree.structure(cells_of(chip))
    np.testing.assert_array_equal(cells_of(after).read_noise, cells_of(after).g)


@pytest.mark.parametrize(
    "negative",
    ["offset", pytest.param("bipolar", marks=pytest.mark.slow), pytest.param("two_phase", marks=pytest.mark.slow)],
)
def test_planes_pass_in_turn_with_the_same_result(monkeypatch, negative):
    """Of a bit-serial DAC in a convolution: the same outputs, noise included, and slopes, in a third of the memory."""
    dac = xbar.DAC(6, encoding="bit_serial", negative=negative, noise=1e-3)
    tile = xbar.Tile(devices.pcm_joshi2020(), 32, 16, dac=dac, adc=xbar.ADC(8, noise=1e-8))
    kernel, image = (
        jax.random.normal(jax.random.key(0), (6, 2, 3, 3)),
        jax.random.normal(jax.random.key(1), (2, 2, 24, 24)),
    )
    found, bytes_ = [], []
    for limit in (2**40, 1):
        monkeypatch.setattr(reading, "IN_TURN", limit)
        conv = lambda k, x: jax.lax.conv(x, k, (1, 1), "SAME")  # noqa: E731  one of its own, as compiled code is kept
        network = xbar.analog(conv, tile)
        run = lambda k, n=network: n(k, image, key=jax.random.key(2), t=60.0)  # noqa: E731
        slope = jax.grad(lambda k, run=run: jnp.sum(jnp.sin(run(k))))
        compiled = [jax.jit(f).lower(kernel).compile() for f in (run, slope)]
        found.append([f(kernel) for f in compiled])
        bytes_.append([f.memory_analysis().temp_size_in_bytes for f in compiled])
    for together, in_turn in zip(*found, strict=True):
        np.testing.assert_allclose(in_turn, together, rtol=1e-4, atol=1e-4 * float(jnp.max(jnp.abs(together))))
    assert all(b < 0.5 * a for a, b in zip(*bytes_, strict=True)), bytes_


CONVOLUTIONS = {
    "images": (dict(window_strides=(1, 1), padding="SAME"), (4, 2, 24, 24), (6, 2, 3, 3)),
    "rows of one image": (
        dict(window_strides=(2, 1), padding="SAME", rhs_dilation=(2, 1)),
        (1, 4, 48, 24),
        (6, 2, 3, 3),
    ),
    "transposed": (
        dict(window_strides=(1, 1), padding=[(1, 2), (2, 1)], lhs_dilation=(2, 2)),
        (2, 2, 12, 12),
        (6, 2, 3, 3),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_patches_are_made_in_turn_with_the_same_result(monkeypatch, name):
    """The same outputs, all noise included, and slopes; reads in a fraction of the memory."""
    how, shape, kernel = CONVOLUTIONS[name]
    dac = xbar.DAC(6, encoding="bit_serial", noise=1e-3)
    tile = xbar.Tile(devices.pcm_joshi2020(), 32, 16, dac=dac, adc=xbar.ADC(8, noise=1e-8))
    kernel, image = jax.random.normal(jax.random.key(0), kernel), jax.random.normal(jax.random.key(1), shape)
    groups = shape[1] // kernel.shape[1]
    found, bytes_ = [], []
    for most in (2**40, 2**11):
        monkeypatch.setattr(products, "AT_ONCE", most)
        conv = lambda k, x: jax.lax.conv_general_dilated(x, k, feature_group_count=groups, **how)  # noqa: E731
        network = xbar.analog(conv, tile)
        run = lambda k, n=network: n(k, image, key=jax.random.key(2), t=60.0)  # noqa: E731
        slope = jax.grad(lambda k, run=run: jnp.sum(jnp.sin(run(k))))
        compiled = [jax.jit(f).lower(kernel).compile() for f in (run, slope)]
        found.append([f(kernel) for f in compiled])
        bytes_.append(compiled[0].memory_analysis().temp_size_in_bytes)
    for together, in_turn in zip(*found, strict=True):
        np.testing.assert_allclose(in_turn, together, rtol=1e-4, atol=1e-4 * float(jnp.max(jnp.abs(together))))
    assert bytes_[1] < 0.5 * bytes_[0], bytes_
