"""Reads in the other direction: the noise, the converters and the drift compensation of forward reads."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar.macro.backward_reading import read_transposed
from xbar.macro.programming import program
from xbar.macro.reading import freeze, read
from xbar.training import insitu

IDEAL = xbar.Periphery(dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
NOISY = devices.Device(g_min=1e-6, g_max=25e-6, read_noise=devices.noise.WhiteReadNoise(1e-12, 25e-6, 5e6))
W = jax.random.normal(jax.random.key(0), (6, 3))
D = jax.random.normal(jax.random.key(1), (1, 2, 3))
NOW = jnp.zeros(())


def tile(device, rows=8, **rest):
    ideal = {"dac": xbar.DAC(bits=None), "adc": xbar.ADC(bits=None), "backward": IDEAL}
    return xbar.Tile(device=device, rows=rows, cols=4, **{**ideal, **rest})


def variance_of_reads(how, array):
    keys = jax.random.split(jax.random.key(2), 4000)
    return jnp.var(jax.jit(jax.vmap(lambda k: read_transposed(how, array, D, 6, t=NOW, key=k)))(keys), 0)[0]


@pytest.mark.parametrize("reference", ["pair", "cell", "column", "digital"])
def test_every_cell_of_a_word_line_adds_its_noise_once(reference):
    """The variance is the sum over cells of theirs by the square of their bit line's voltage; a reference column's is
    the sum of all others."""
    mapping = xbar.Differential() if reference == "pair" else xbar.Offset(reference=reference)
    how = tile(NOISY, mapping=mapping)
    array = program(how, W[None], key=jax.random.key(0))
    scale = array.code if reference == "pair" else array.code["weight"]
    cells = NOISY.read_variance(array.cells, NOW, how.bandwidth)[:, 0, 0, :, 0]  # [cell, row, line]
    v = D[0] * scale[0, 0, 0, 0]
    squares = jnp.concatenate([v**2, jnp.sum(v, 1, keepdims=True) ** 2], 1) if reference == "column" else v**2
    np.testing.assert_allclose(variance_of_reads(how, array), jnp.einsum("vl,crl->vr", squares, cells), rtol=0.1)


def test_bit_lines_have_the_noise_of_their_drivers():
    how = tile(devices.ideal(), backward=xbar.Periphery(dac=xbar.DAC(bits=None, noise=0.01), adc=xbar.ADC(bits=None)))
    array = program(how, W[None], key=jax.random.key(0))
    full_scale = jnp.max(jnp.abs(D[0] * array.code[0, 0, 0, 0]), 1)  # of the DAC, at v_read
    net = jnp.sum((W / array.code[0, 0, 0, 0]) ** 2, 1)
    expected = (0.01 / how.v_read * full_scale[:, None]) ** 2 * net
    np.testing.assert_allclose(variance_of_reads(how, array), expected, rtol=0.1)

    chip = xbar.analog(lambda w, x: x @ w, how).program(W, jnp.ones((1, 6)), key=jax.random.key(0))
    with pytest.raises(ValueError, match="needs key="):
        insitu.backpropagate(chip, (jnp.ones((1, 6)),), jnp.sum)


def test_the_range_of_a_backward_converter_is_in_units_of_the_errors():
    how = tile(devices.ideal(), backward=xbar.Periphery(dac=xbar.DAC(bits=12, range=3.0), adc=xbar.ADC(bits=None)))
    array = program(how, W[None], key=jax.random.key(0))
    found = read_transposed(how, array, jnp.clip(D, -3, 3), 6, t=NOW, key=None)
    np.testing.assert_allclose(found[0], jnp.clip(D, -3, 3)[0] @ W.T, atol=0.02)


@pytest.mark.few(3)
@pytest.mark.parametrize("per", ["tile", "column"])
@pytest.mark.parametrize("mapping", [xbar.Differential(), xbar.Offset(), xbar.Offset(reference="digital")], ids=repr)
def test_drift_is_compensated_in_both_directions(mapping, per):
    """After a year the backward read is the transpose of the forward one, each of two row tiles with factors of its own."""
    device = dataclasses.replace(devices.pcm_joshi2020(), read_noise=devices.noise.NoReadNoise())
    how = tile(device, rows=3, mapping=mapping)
    chip = xbar.analog(lambda w, x: x @ w, how).program(W, jnp.ones((1, 6)), key=jax.random.key(0))
    array, year = xbar.compensate(chip, per=per).arrays[0], jnp.asarray(3e7)
    forward = lambda x: read(how, array, x, 3, t=year, key=None)[0]  # noqa: E731
    expected = jax.vjp(forward, jnp.ones((1, 2, 6)))[1](D)[0]
    found = read_transposed(how, array, D, 6, t=year, key=None)
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("wires", [xbar.IdealWires(), xbar.SeriesWires(900.0, 900.0)], ids=["ideal", "series"])
def test_frozen_noise_is_the_same_in_both_directions(wires):
    how = tile(NOISY, wires=wires, read_noise="frozen")
    array = program(how, W[None], key=jax.random.key(0))
    frozen = freeze(how, array, NOW, how.partition(1, 6, 3), jax.random.key(3))
    array = dataclasses.replace(array, frozen=frozen)
    forward = lambda x: read(how, array, x, 3, t=NOW, key=jax.random.key(4))[0]  # noqa: E731
    expected = jax.vjp(forward, jnp.ones((1, 2, 6)))[1](D)[0]
    assert frozen is not None and float(jnp.abs(frozen).max()) > 1e-7
    np.testing.assert_allclose(read_transposed(how, array, D, 6, t=NOW, key=jax.random.key(5)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "wires", [xbar.ResistiveWires(400.0, 300.0, 90.0, 60.0, noise="exact"), xbar.SeriesWires(9e3, 9e3)]
)
def test_noise_passes_wires_backward(wires):
    """As by the derivatives of all transfer conductances with respect to all cells."""
    how = tile(NOISY, wires=wires, mapping=xbar.Offset())
    array = program(how, W[None], key=jax.random.key(0))
    cells = NOISY.read_variance(array.cells, NOW, how.bandwidth)[0, 0, 0, :, 0]
    v = D[0] * array.code["weight"][0, 0, 0, 0]
    v = jnp.concatenate([v, -jnp.sum(v, 1, keepdims=True)], 1)
    slopes = jax.jacfwd(wires.effective)(array.cells.g[0, 0, 0, :, 0])  # [row, line, row of the cell, line of the cell]
    expected = jnp.einsum("vrik,ik->vr", jnp.einsum("rlik,vl->vrik", slopes, v) ** 2, cells)
    np.testing.assert_allclose(variance_of_reads(how, array), expected, rtol=0.1)


def test_noise_by_squares_is_that_of_each_bit_line_driven_alone():
    wires, (g, var) = xbar.ResistiveWires(50.0, 30.0), jax.random.uniform(jax.random.key(0), (2, 5, 4)) * 25e-6
    both = jax.jit(lambda: (wires.backward_noise_variance(g, var, jnp.eye(4)), wires.noise_map(g, var).squares.T))
    np.testing.assert_allclose(*both(), rtol=0.02)
