"""One read of an array against independent answers: aihwkit's signal chain, closed-form noise, explicit sums."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.conduction import Cubic
from devices.noise import WhiteReadNoise
from xbar.macro.contraction import contract, contract_positive

SPAN, V = 25e-6, 0.2  # S, V: a weight of 1 is SPAN, an input of 1 is V


def matvec(w, x):
    return x @ w.T


def device(**laws):
    ideal = devices.ideal()
    fields = {f.name: getattr(ideal, f.name) for f in dataclasses.fields(ideal)}
    return devices.Device(**{**fields, **laws})


def unit_tile(dev=None, dac=None, adc=None):
    """A tile whose full scales are those of aihwkit's unit system: largest weight 1, largest input 1."""
    return xbar.Tile(
        device=dev or device(),
        rows=8,
        cols=8,
        v_read=V,
        mapping=xbar.Differential(per="tile"),
        dac=dac or xbar.DAC(None, range=1.0),
        adc=adc or xbar.ADC(None),
    )


def test_converter_chain(aihwkit):
    """8-bit DAC of range 1 and 8-bit ADC of range 10 (in units of weight x input), outputs within float32 of aihwkit's.

    A code of the ADC is 0.079 here: one wrong code fails.
    """
    mvm = aihwkit["mvm"]
    tile = unit_tile(dac=xbar.DAC(8, range=1.0), adc=xbar.ADC(8, range=10 * SPAN * V))
    y = xbar.analog(matvec, tile)(jnp.asarray(mvm["W"]), jnp.asarray(mvm["X"]), key=jax.random.key(0))
    np.testing.assert_allclose(y, mvm["cases"]["dac8_adc8_bound10"]["Y"], atol=1e-4)


def test_dynamic_input_scale(aihwkit):
    """4-bit converters with each vector scaled to its own largest magnitude ("AbsMax")."""
    mvm = aihwkit["mvm"]
    tile = unit_tile(dac=xbar.DAC(4), adc=xbar.ADC(4, range=10 * SPAN * V))
    y = xbar.analog(matvec, tile)(jnp.asarray(mvm["W"]), jnp.asarray(mvm["X"]), key=jax.random.key(0))
    np.testing.assert_allclose(y, mvm["cases"]["dac4_adc4_absmax"]["Y"], atol=1e-4)


NOISES = {
    "out_noise0.06": dict(adc=xbar.ADC(None, noise=0.06 * SPAN * V)),
    "inp_noise0.05": dict(dac=xbar.DAC(None, range=1.0, noise=0.05 * V)),
    "w_noise0.02_additive": dict(variance=0.5 * (0.02 * SPAN) ** 2),  # half in each cell of the pair
    "w_noise0.0175_pcmread": dict(variance=devices.curves.Polynomial([0.0, (0.0175 * SPAN) ** 2])),
}


@pytest.mark.parametrize("name", NOISES)
def test_noise_of_an_mvm(aihwkit, name):
    """Mean and std over 100,000 reads against theory and aihwkit's 20,000.

    Standard errors: of our std 0.22 %, of aihwkit's 0.5 %, of the difference of means 0.8 % of sigma, to which aihwkit's
    generator adds a fixed 0.6 %. Tolerances 1.2 %, 3 % and 4 %: false alarms below 1e-4 per entry.
    """
    settings = dict(NOISES[name])
    variance = settings.pop("variance", None)
    dev = device(read_noise=WhiteReadNoise(variance, SPAN, 5e6)) if variance is not None else device()
    w, want = jnp.asarray(aihwkit["mvm"]["W"]), aihwkit["mvm_noise"]
    x = jnp.broadcast_to(jnp.asarray(want["x"]), (100_000, 8))
    y = np.asarray(xbar.analog(matvec, unit_tile(dev, **settings))(w, x, key=jax.random.key(1)))
    std = np.asarray(want[name]["std"])
    np.testing.assert_allclose(y.std(0), want[name]["std_theory_own"], rtol=0.012)
    np.testing.assert_allclose(y.std(0), std, rtol=0.03)
    np.testing.assert_array_less(np.abs(y.mean(0) - want[name]["mean"]), 0.04 * std)


def test_output_noise_equals_noise_drawn_cell_by_cell():
    """Noise drawn once per output has the spread of noise drawn for every cell, for a drifted PCM array on two row tiles.

    10,000 reads of either kind: 0.7 % standard error of each std, 1 % of their ratio. Tolerance 4 %.
    """
    pcm = devices.pcm_joshi2020()
    tile = xbar.Tile(device=pcm, rows=5, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None))
    w = jax.random.normal(jax.random.key(1), (9, 4))
    x = jnp.linspace(-1, 1, 9)
    chip = xbar.analog(lambda w, x: x @ w, tile).program(w, x, key=jax.random.key(0))
    keys = jax.random.split(jax.random.key(2), 10_000)
    y = np.asarray(jax.jit(jax.vmap(lambda k: chip(x, t=3600.0, key=k)))(keys))
    programmed = chip.arrays[0]
    g = np.asarray(pcm.conductance(programmed.cells, 3600.0))[:, 0]  # [cell, row tile, row, column tile, column]
    variance = np.asarray(pcm.read_variance(programmed.cells, 3600.0, tile.bandwidth))[:, 0]
    drawn = g + np.sqrt(variance) * np.random.default_rng(3).standard_normal((10_000, *g.shape))
    weights = (drawn[:, 0] - drawn[:, 1]) * np.asarray(programmed.code)[0]
    by_cells = np.einsum("ir,dirjc->dc", np.pad(x, (0, 1)).reshape(2, 5), weights)
    np.testing.assert_allclose(y.std(0), by_cells.std(0), rtol=0.04)
    np.testing.assert_allclose(y.mean(0), by_cells.mean(0), atol=0.06 * y.std(0).max())
    again = np.asarray(jax.jit(jax.vmap(lambda k: chip(x, t=3600.0, key=k)))(keys))
    np.testing.assert_array_equal(y, again)


def test_nonlinear_conduction_is_summed_cell_by_cell():
    """i = sum_i g_ij (v_i + c v_i^3): a matrix product of v alone would miss 20 % of the current here."""
    tile = unit_tile(device(conduction=Cubic(5.0)))
    w, x = jax.random.normal(jax.random.key(1), (3, 8)), jnp.linspace(-1, 1, 8)
    w = w / jnp.abs(w).max()
    y = xbar.analog(matvec, tile)(w, x[None], key=jax.random.key(0))
    v = x * V
    np.testing.assert_allclose(y[0], w @ (v + 5.0 * v**3) / V, rtol=1e-5)


@pytest.mark.slow
def test_a_separable_law_is_one_product_and_the_sum_over_cells(monkeypatch):
    """Cells that differ, in the same chip: the product with h(v) and the sum row by row agree, derivatives by weights too."""
    tile = unit_tile(device(conduction=Cubic(5.0), programming=devices.programming.SpreadProgramming(1e-6, SPAN)))
    w, x = jax.random.normal(jax.random.key(1), (3, 8)), jnp.linspace(-1, 1, 8)[None]
    loss = lambda w: jnp.sum(xbar.analog(matvec, tile)(w, x, key=jax.random.key(0)) ** 2)  # noqa: E731
    fast = jax.value_and_grad(loss)(w)
    monkeypatch.setattr(Cubic, "separable", False)
    jax.clear_caches()
    slow = jax.value_and_grad(lambda w: loss(1.0 * w))(w)
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-5)
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-4, atol=1e-5)


def test_wires_see_each_cell_array_once():
    """A wire model is asked for the effective conductance of each tile and sign, and its answer is what is read."""

    class HalfAcross(xbar.AbstractWires):
        def effective(self, g):
            return g / (1 + jnp.arange(g.shape[0]))[:, None]

    tile = eqx.tree_at(lambda t: t.wires, unit_tile(), HalfAcross())
    w, x = jax.random.normal(jax.random.key(1), (3, 8)), jnp.linspace(-1, 1, 8)
    y = xbar.analog(matvec, tile)(w, x[None], key=jax.random.key(0))
    np.testing.assert_allclose(y[0], w @ (x / (1 + jnp.arange(8))), rtol=1e-5)


@pytest.mark.parametrize("per", ["column", "tile"])
@pytest.mark.parametrize("g_min", [0.0, 5e-6])
def test_weights_survive_the_mapping(per, g_min):
    """Weights -> conductances -> weights, at both ends of the range, zero columns included."""
    mapping = xbar.Differential(per=per)
    w = jnp.asarray([[0.5, 0.0, -3.0], [-2.0, 0.0, 1.0]])
    g, code = mapping.encode(w, jnp.asarray(g_min), jnp.asarray(25e-6))
    assert float(g.min()) == pytest.approx(g_min, abs=1e-12) and float(g.max()) == pytest.approx(25e-6)
    np.testing.assert_allclose(mapping.decode(mapping.combine(g, code), jnp.zeros(()), code), w, atol=1e-6)


def test_aihwkit_pair_conductances(aihwkit):
    """A differential pair between 1 and 25 uS, per tile, as aihwkit's converter maps it."""
    want = aihwkit["converters"]
    w = jnp.asarray(want["weights"])
    g, _ = xbar.Differential(per="tile").encode(w, jnp.asarray(1e-6), jnp.asarray(25e-6))
    positive, negative = np.asarray(g[0]) * 1e6, np.asarray(g[1]) * 1e6
    flat = np.asarray(want["single_pair_1_25"]["g"])  # [cell of pair, row, column], the positive cell first
    np.testing.assert_allclose(positive, flat[0], rtol=1e-5)
    np.testing.assert_allclose(negative, flat[1], rtol=1e-5)


def test_partition_holds_every_weight_once():
    part = xbar.Tile(device(), 8, 8, pack_groups=False).partition(2, 19, 11)
    w = jax.random.normal(jax.random.key(0), (2, 19, 11))
    blocks = part.split(w)
    assert blocks.shape == (2, 3, 2, 7, 6) and part.tiles == 12  # 19 = 7 + 7 + 5, 11 = 6 + 5
    assert float(jnp.sum(blocks**2)) == pytest.approx(float(jnp.sum(w**2)), rel=1e-5)
    assert part.utilisation == pytest.approx(2 * 19 * 11 / (12 * 64))
    assert int(part.mask().sum()) == 19 * 11


@pytest.mark.parametrize("spread", [True, False])
def test_variances_are_summed_from_bfloat16(spread):
    """Positive numbers over eight decades, and numbers that are all rounded as far as can be and the same way: to 2^-7 in
    float32, which the latter need; derivatives and float64 as the plain sum has them."""
    v, g = jnp.full((1, 1, 1, 9, 64), 1 + 2**-8), jnp.full((1, 1, 1, 64, 1, 7), 1 + 2**-8)
    if spread:
        v, g = (10 ** jax.random.uniform(jax.random.key(k), x.shape, minval=-8, maxval=0) for k, x in enumerate((v, g)))
    plain, rounded = contract, contract_positive
    np.testing.assert_allclose(rounded(v, g), plain(v, g), rtol=2**-7)
    assert spread or float(rounded(v, g)[0, 0, 0, 0, 0, 0, 0]) == 64  # each term is 1 instead of (1 + 2^-8)^2
    slopes = [jax.grad(lambda v, f=f: jnp.sum(f(v, g)))(v) for f in (plain, rounded)]
    np.testing.assert_allclose(*slopes, rtol=1e-6)
    with jax.enable_x64(True):
        v, g = jnp.asarray(v, float), jnp.asarray(g, float)
        np.testing.assert_allclose(rounded(v, g), plain(v, g), rtol=1e-14)


def test_driver_noise_comes_from_driven_rows_only():
    """Nine rows on tiles of five: the tenth word line has no driver, so its (badly written) cells add no current."""
    tile = xbar.Tile(
        device=devices.pcm_joshi2020(),
        rows=5,
        cols=4,
        dac=xbar.DAC(None, range=1.0, noise=0.05 * V),
        adc=xbar.ADC(None),
    )
    w = jax.random.normal(jax.random.key(1), (9, 4))
    chip = xbar.analog(lambda w, x: x @ w, tile).program(w, jnp.ones(9), key=jax.random.key(0))
    volts = chip.watch((jnp.zeros((50, 9)),), key=jax.random.key(2), watch=lambda i, tile, array, s: s.volts)[1][0]
    assert float(jnp.abs(volts[0, 0, 1, :, 4]).max()) == 0 and float(jnp.abs(volts[0, 0, 1, :, :4]).min()) > 0
