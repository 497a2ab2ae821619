"""NeuroSim's default chip against runs of NeuroSim, and against its column law evaluated apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar
from xbar.energy import COMPONENTS

TARGETS = {"sparse": ((11_771.7, 234.3), 19.002), "dense": ((37_708.0, 496.5), 47.781)}  # pJ by layer, nJ in all


def draw(rng, k, n, density, low):
    """Weights on the grid of 1/128, and 8-bit inputs, as the runs had them."""
    w = np.clip(np.round(rng.normal(0, 0.25, (k, n)) * 128) / 128, -1, 127 / 128)
    a = rng.uniform(low, 1, (k, 1)) * (rng.uniform(size=(k, 1)) < density)
    return w, np.clip(np.floor(128 * a), 0, 127)[:, 0]


def case(kind):
    rng = np.random.default_rng(0)
    densities, low = ((0.19, 0.5), 0.0) if kind == "sparse" else ((1.0, 1.0), 0.9)
    return [draw(rng, k, n, d, low) for (k, n), d in zip(((784, 256), (256, 10)), densities, strict=True)]


def two_layers(p, x):
    return x[0] @ p[0], x[1] @ p[1]


def ledger(layers, calibrated=False, **settings):
    arch = xbar.architectures.neurosim_default(**settings)
    params, x = (tuple(jnp.asarray(a, jnp.float32) for a in part) for part in zip(*layers, strict=True))
    chip = xbar.analog(two_layers, arch.tile).program(params, x, key=jax.random.key(0))
    return chip.energy(x, technology=arch, inferences=1)


def category(found):
    """What NeuroSim prints as ADC: columns, converters and row lines, pJ of each layer."""
    parts = [COMPONENTS.index(name) for name in ("array", "lines", "adc")]
    return np.asarray(found.joules)[:, parts].sum(1) * 1e12


def column_law(w, q, cell_bits=1, r_on=100e3, adc_bits=8, on_off=17.0):
    """The published law, block by block and plane by plane [pJ]."""
    value, slices = np.round((w + 1) * 128).astype(int), 8 // cell_bits
    digits = [(value >> (cell_bits * (slices - 1 - z))) & (2**cell_bits - 1) for z in range(slices)]
    digits = np.stack(digits, -1).reshape(len(w), -1)
    low = 1 / r_on / on_off
    g, total, rows = low + digits / (2**cell_bits - 1) * (1 / r_on - low), 0.0, 0
    for plane in range(8):
        x = (q.astype(int) >> plane) & 1
        rows += x.sum()
        for r in range(0, len(w), 128):
            for c in range(0, g.shape[1], 128):
                block = g[r : r + 128, c : c + 128]
                n, m = block.shape
                way = (np.arange(m) + 1)[None] * 1.563 + (n - np.arange(n))[:, None] * 4.689 + 0.25 * r_on
                column = (x[r : r + 128, None] / (1 / block + way)).sum(0)
                watts = np.full(m, 1e-6)
                if x[r : r + 128].any():
                    regression = 0.072341 * np.exp(-2.303 * np.log10(0.5 / 0.55 / column))
                    watts = (0.538 * adc_bits + 4.3753) * 1e-6 + regression
                total += watts.sum() * (adc_bits + 1) * 1e-9
    capacitance = 6.76e-15 + 2.78e-15 * 100e3 / r_on
    return 1e12 * (total + 8 * -(-g.shape[1] // 128) * rows * capacitance * 0.85**2)


@pytest.mark.parametrize("kind", TARGETS)
def test_at3_golden_runs(kind):
    """Column energy of both layers to 0.2 % (0.5 % asked for), the whole to 20 % (it is within 1 %)."""
    found = ledger(case(kind))
    layers, total = TARGETS[kind]
    np.testing.assert_allclose(category(found), layers, rtol=2e-3)
    assert float(found.total) * 1e9 == pytest.approx(total, rel=0.01)
    assert float(found.square_metres) == pytest.approx(12.15e-6, rel=1e-3)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "settings",
    [
        {"r_on": 6e3},
        {"r_on": 20e3, "adc_bits": 5},
        {"cell_bits": 2, "adc_bits": 6},
        {"cell_bits": 4, "r_on": 6e3},
        {"on_off": 100.0},
    ],
    ids=str,
)
def test_at3_other_settings(settings):
    """The same law at other cells, resistances and converters, to 0.2 %."""
    rng = np.random.default_rng(1)
    layers = [draw(rng, 400, 40, 0.3, 0.0), draw(rng, 100, 10, 0.8, 0.2)]
    want = [column_law(w, q, **settings) for w, q in layers]
    np.testing.assert_allclose(category(ledger(layers, **settings)), want, rtol=2e-3)


RUNS = [("sparse", 100e3, 13.743, 8.04), ("dense", 100e3, 20.431, 8.04), ("sparse", 6e3, 22.415, 9.14)]  # nJ, mm^2


@pytest.mark.parametrize(("kind", "r_on", "total", "square"), RUNS)
def test_runs_with_sense_amplifiers(kind, r_on, total, square):
    """The shipped converters, 5 bits: whole chips to 20 % (they are within 6 %), their area to 1 %."""
    found = ledger(case(kind), r_on=r_on, adc_bits=5, converter="multilevel")
    assert float(found.total) * 1e9 == pytest.approx(total, rel=0.06)
    assert float(found.square_metres) * 1e6 == pytest.approx(square, rel=0.01)


def test_at4_dense_against_sparse():
    """NeuroSim's own runs differ by 2.51; the fixed mode does not."""
    sparse, dense = (ledger(case(kind)) for kind in TARGETS)
    assert float(dense.total / sparse.total) == pytest.approx(47.781 / 19.002, rel=0.02)


def test_its_products_are_those_of_the_weights():
    """Digits, planes and offsets of the macro come back as the product once it is calibrated: energy and accuracy are of one
    read."""
    rng = np.random.default_rng(2)
    w, _ = draw(rng, 200, 24, 1.0, 0.0)
    arch = xbar.architectures.neurosim_default(adc_bits=12)
    x = jnp.asarray(np.floor(128 * rng.uniform(size=(16, 200))), jnp.float32)
    chip = xbar.analog(lambda w, x: x @ w, arch.tile).program(jnp.asarray(w, jnp.float32), x, key=jax.random.key(0))
    chip = xbar.calibrate(chip, x, key=jax.random.key(1))
    want = np.asarray(x) @ w
    assert np.corrcoef(np.asarray(chip(x)).ravel(), want.ravel())[0, 1] > 0.999
