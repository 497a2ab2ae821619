"""The ledger of a chip: its array term against an explicit sum, its counts against hand counts."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.conduction import Cubic
from xbar.energy.counting import Counter

KEY = jax.random.key(0)
W, X = jax.random.normal(KEY, (13, 10)), jax.random.normal(jax.random.key(1), (32, 13))
COLUMNS = xbar.energy.COMPONENTS


def f(p, x):
    return jax.nn.relu(x @ p)


def program(tile, w=W, x=X):
    return xbar.analog(f, tile).program(w, x, key=KEY)


def usage(chip, x=X, **call):
    traced, _ = chip._traced((x,))
    return chip.watch((x,), watch=Counter(traced.layers), **call)[1][0]


def array_joules(ledger):
    return float(ledger.joules[0, COLUMNS.index("array")])


def explicit(chip, tile, x=X, t=0.0):
    """sum over samples, rows, columns and both cells of v^2 G t, element by element."""
    cells = tile.device.conductance(chip.arrays[0].cells, t)  # [2, 1, row tiles, rows, column tiles, columns]
    total = 0.0
    _, _, row_tiles, height, col_tiles, width = cells.shape
    for i in range(row_tiles):
        rows = np.asarray(x[:, i * height : (i + 1) * height], np.float64)
        v = 0.2 * rows / np.abs(rows).max(1, keepdims=True)
        for j in range(col_tiles):
            g = np.asarray(cells[:, 0, i, : rows.shape[1], j, : 10 - j * width], np.float64)
            total += np.sum(v[:, None, :, None] ** 2 * g[None])
    return total * 100e-9


@pytest.mark.few(1)
@pytest.mark.parametrize("device", [devices.ideal, devices.pcm_joshi2020])
def test_array_energy_is_the_sum_over_cells(device):
    """V^2 G t over both cells of each pair, from the conductances at that time; unused cells cost nothing."""
    tile = xbar.Tile(device=device(), rows=8, cols=4, dac=xbar.DAC(14))
    chip = program(tile)
    for t in (0.0, 86_400.0):
        ledger = chip.energy(X, t=t, key=KEY, inferences=32)
        assert array_joules(ledger) == pytest.approx(explicit(chip, tile, t=t) / 32, rel=1e-3)


def test_a_reference_column_costs_in_a_partly_filled_tile_too():
    """3 outputs on tiles of 2 columns: 3 columns of weights and 2 of references, all at the same conductance. Fails if the
    references of the tile that is not full are free (4/6)."""
    tile = xbar.Tile(device=devices.ideal(), rows=16, cols=2, mapping=xbar.Offset(reference="column"), dac=xbar.DAC(8))
    chips = {n: program(tile, jnp.zeros((13, n)), jnp.ones((1, 13))) for n in (3, 4)}
    full, partly = (array_joules(chips[n].energy(jnp.ones((1, 13)))) for n in (4, 3))
    assert partly / full == pytest.approx(5 / 6, rel=1e-3)


def test_array_energy_falls_with_drift_and_with_sparse_inputs():
    """Data and time decide the array's energy; a fixed cost per product would give ratios of 1."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=16, dac=xbar.DAC(8, range=4.0))
    chip = program(tile)
    dense = array_joules(chip.energy(X, t=0.0, key=KEY))
    assert array_joules(chip.energy(X, t=3e7, key=KEY)) < 0.7 * dense
    assert array_joules(chip.energy(X * (X > 0), t=0.0, key=KEY)) == pytest.approx(0.5 * dense, rel=0.1)
    assert array_joules(chip.energy(X / 2, t=0.0, key=KEY)) == pytest.approx(dense / 4, rel=0.02)


def test_nonlinear_cells_dissipate_v_times_i():
    fields = {x.name: getattr(devices.ideal(), x.name) for x in dataclasses.fields(devices.Device)}
    cubic = devices.Device(**{**fields, "conduction": Cubic(5.0)})
    plain, bent = (
        xbar.Tile(device=d, rows=16, cols=16, dac=xbar.DAC(None, range=1.0)) for d in (devices.ideal(), cubic)
    )
    ones = jnp.ones((1, 13))
    a, b = (array_joules(program(tile).energy(ones)) for tile in (plain, bent))
    assert b == pytest.approx(a * (1 + 5 * 0.2**2), rel=1e-5)


def test_counts_with_amplitude_encoding():
    """13 x 10 on 8 x 4 tiles: 2 row tiles, 3 column tiles; 32 vectors."""
    u = usage(program(xbar.Tile(device=devices.ideal(), rows=8, cols=4)))
    assert float(u.dac_conversions) == 32 * 13 * 3 and float(u.driver_pulses) == 0
    assert float(u.adc_conversions) == 32 * 10 * 2
    assert float(u.accumulations) == 32 * 10 and float(u.multiplications) == 32 * 10 * 2
    assert float(u.macs) == 32 * 13 * 10


def test_counts_with_bit_serial_encoding():
    """7 ternary planes of an 8-bit code; a plane with a 0 in it drives no line."""
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=4, dac=xbar.DAC(8, encoding="bit_serial", range=4.0))
    u = usage(program(tile))
    codes = np.round(np.clip(np.abs(np.asarray(X)) / 4.0, 0, 1) * 127).astype(int)
    assert float(u.driver_pulses) == 3 * sum(bin(c).count("1") for c in codes.ravel())
    assert float(u.adc_conversions) == 7 * 32 * 10 * 2
    assert float(u.accumulations) == 32 * 10 + 32 * 10 * 2 * 6
    assert float(u.dac_conversions) == 0


def test_counts_through_loops_and_convolutions():
    """A scan of 7 steps counts seven reads; a convolution counts one vector for each output pixel."""
    tile = xbar.Tile(device=devices.ideal(), rows=64, cols=64)
    rnn = lambda w, xs: jax.lax.scan(lambda h, x: (jnp.tanh(h + x @ w), None), jnp.zeros((4, 10)), xs)[0]  # noqa: E731
    xs = jnp.ones((7, 4, 13))
    u = usage(xbar.analog(rnn, tile).program(W, xs, key=KEY), xs)
    assert float(u.macs) == 7 * 4 * 13 * 10
    conv = lambda w, x: jax.lax.conv_general_dilated(x, w, (2, 2), "SAME")  # noqa: E731
    image = jnp.ones((2, 3, 8, 8))
    u = usage(xbar.analog(conv, tile).program(jnp.ones((5, 3, 3, 3)), image, key=KEY), image)
    assert float(u.macs) == 2 * 16 * 27 * 5 and float(u.adc_conversions) == 2 * 16 * 5


def test_digital_rest_is_counted():
    """relu of 32 x 10 values stays digital; nothing that depends on weights only does."""
    chip = program(xbar.Tile(device=devices.ideal(), rows=8, cols=4))
    traced, _ = chip._traced((X,))
    mapped = frozenset(chip.tiles)
    work = traced.digital_work(traced.pruned(mapped), mapped)
    assert work.ops == 320 and work.mac_ops == 0
    assert traced.digital_work(traced.pruned(frozenset()), frozenset()).mac_ops == 2 * 32 * 13 * 10


def test_unquantised_converters_have_no_energy():
    tile = xbar.Tile(device=devices.ideal(), adc=xbar.ADC(None))
    ledger = program(tile).energy(X)
    assert np.isnan(float(ledger.total)) and any("bits=None" in note for note in ledger.notes)
    assert array_joules(ledger) > 0


@pytest.mark.slow
def test_ledger_is_differentiable_and_vmappable():
    """d(array energy)/d(g_max) is energy / g_max where every conductance scales with g_max."""
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=4)

    def energy(g_max):
        t = eqx.tree_at(lambda t: t.device.g_max, tile, g_max)
        return xbar.analog(f, t).program(W, X, key=KEY).energy(X).joules[0, 0]

    value, slope = jax.jit(jax.value_and_grad(energy))(25e-6)
    assert float(slope) == pytest.approx(float(value) / 25e-6, rel=1e-4)
    network = xbar.analog(f, xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4))
    keys = jax.random.split(KEY, 3)
    ledgers = jax.vmap(lambda k: network.program(W, X, key=k).energy(X, key=k))(keys)
    assert ledgers.total.shape == (3,) and float(jnp.std(ledgers.joules[:, 0, 0])) > 0
