"""Event-driven reads: the same numbers as dense ones, and only what happens is paid for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar import spiking
from xbar.energy import COMPONENTS, Technology
from xbar.energy.pricing import TERMS

STEPS, INPUTS, OUTPUTS = 5, 24, 6
TILE = dict(rows=16, cols=8, dac=xbar.DAC(bits=2, encoding="bit_serial", range=1.0))
IDEAL = xbar.Tile(device=devices.ideal(), **TILE)


def network(w, spikes):
    """Counts of LIF neurons behind one layer of synapses, for spikes `(steps, batch, inputs)`."""
    body = spiking.LIF(tau=10e-3)

    def step(state, s):
        state, fired = body.step(state, s @ w, 1e-3)
        return state, fired

    return jnp.sum(jax.lax.scan(step, body.start((spikes.shape[1], w.shape[1])), spikes)[1], 0)


@pytest.fixture(scope="module")
def chip():
    key = jax.random.key(0)
    w = jax.random.normal(key, (INPUTS, OUTPUTS))
    spikes = (jax.random.uniform(key, (STEPS, 2, INPUTS)) < 0.2).astype(jnp.float32).at[:, :, 12:].set(0)
    made = xbar.analog(network, IDEAL).program(w, spikes, key=key)
    return xbar.calibrate(made, spikes).at(), w, spikes


def priced(chip, spikes, **how):
    ledger = chip.energy(spikes, technology=Technology(**how), inferences=2)
    terms = dict(zip(TERMS, np.asarray(ledger.terms.sum(-2)), strict=True))
    return ledger, {name: x for name, x in terms.items() if x != 0}


def test_dense_and_event_driven_reads_agree_exactly(chip):
    """What the converters report for all rows, against the sum over the cells of driven rows alone, in float64 and with the
    same converter: the same codes, each. Fails if a row at rest contributes anything, or a driven one is lost."""
    _, w, spikes = chip
    x = spikes[0]
    bare = xbar.analog(lambda w, x: x @ w, IDEAL).program(w, x, key=jax.random.key(0))
    bare = xbar.calibrate(bare, x).at()
    look = lambda i, tile, array, s: (s.volts[0], s.conductance, s.codes[0, 0], s.full_scale)  # noqa: E731
    volts, g, codes, full_scale = (np.asarray(a, np.float64) for a in bare.watch((x,), watch=look)[1][0])
    events = np.zeros(codes.shape)
    for block, tile, vector, row in zip(*np.nonzero(volts), strict=True):  # an event: one row of one tile
        events[block, tile, vector] += volts[block, tile, vector, row] * (g[0] - g[1])[block, tile, row]
    top = 2 ** (8 - 1) - 1
    scale = np.broadcast_to(full_scale[0, 0], codes.shape)
    expected = np.round(np.clip(events / scale, -1, 1) * top)
    np.testing.assert_array_equal(np.round(codes / scale * top), expected)
    assert 0 < len(np.nonzero(volts)[0]) < volts.size / 4 and np.abs(expected).max() > 60


def test_nothing_happens_and_little_is_paid(chip):
    """0 spikes: neurons' digital steps and leakage, whatever the width of converters; with integrators, they and comparators
    for each column and step. Fails if a converter, a driver, a line or the mesh is charged."""
    made, _, spikes = chip
    silent = jnp.zeros_like(spikes)
    _, terms = priced(made, silent, events=True)
    assert {"operation", "memory_leakage", "adc_leakage"} <= set(terms)
    assert set(terms) <= {"operation", "transcendental", "memory_leakage", "adc_leakage"}
    ledger, terms = priced(made, silent, events=True, readout="integrators")
    tech = ledger.recipe.technology
    columns = STEPS * OUTPUTS * 2  # two row tiles
    assert terms["integrator"] == pytest.approx(columns * float(tech.at_node(tech.integrator)), rel=1e-5)
    assert terms["comparator"] == pytest.approx(STEPS * OUTPUTS * float(tech.at_node(tech.comparator)), rel=1e-5)
    assert set(terms) <= {"integrator", "comparator", "memory_leakage", "adc_leakage", "operation"}
    assert np.isfinite(float(ledger.total))


def test_leakage_lasts_as_long_as_the_step(chip):
    made, _, spikes = chip
    slow, fast = (priced(made, spikes, events=True, cycle=t)[1]["adc_leakage"] for t in (1e-3, 1e-6))
    assert slow / fast == pytest.approx(1000, rel=0.05)


def test_conversions_follow_events(chip):
    """One spike on one row: its row tile converts, the other one does not; twice the spikes, twice the drivers."""
    made, _, spikes = chip
    one = jnp.zeros_like(spikes).at[2, 0, 3].set(1)
    dense, events = (priced(made, one, events=how)[1] for how in (False, True))
    assert dense["adc"] / events["adc"] == pytest.approx(STEPS * 2 * 2)  # steps, two in the batch, two row tiles
    assert dense["sample_hold"] / events["sample_hold"] == pytest.approx(STEPS * 2 * 2)
    assert events["driver"] == pytest.approx(dense["driver"])
    two = one.at[3, 1, 7].set(1)
    assert priced(made, two, events=True)[1]["driver"] == pytest.approx(2 * events["driver"])
    assert priced(made, two, events=True)[1]["hop"] == pytest.approx(2 * events["hop"], rel=0.3)
    ledger, _ = priced(made, one, events=True, node=32e-9)
    packets = float(ledger.by_component[COMPONENTS.index("network")])
    sums = float(ledger.recipe.technology.at_node(ledger.recipe.technology.hop)) * 32 / 2
    assert packets >= sums  # one address of 32 bits, one hop, in one of two inferences


def test_multi_bit_inputs_convert_where_they_are_driven():
    key = jax.random.key(1)
    w, x = jax.random.normal(key, (8, 4)), jnp.zeros((3, 8)).at[1, 2].set(0.5)
    made = xbar.analog(lambda w, x: x @ w, xbar.Tile(device=devices.ideal(), rows=8, cols=4)).program(w, x, key=key)
    ratio = priced(made, x)[1]["dac"] / priced(made, x, events=True)[1]["dac"]
    assert ratio == pytest.approx(3 * 8)


def test_readouts_that_cannot_be():
    with pytest.raises(ValueError, match="readout"):
        Technology(readout="spikes")
    with pytest.raises(ValueError, match="free_running"):
        Technology(free_running=True, adc_rate=1e9, events=True)


def test_the_same_events_at_other_prices(chip):
    """Repricing a ledger, or a wafer's, is pricing the call anew."""
    made, _, spikes = chip
    with_adc = made.energy(spikes, technology=Technology(events=True), inferences=2)
    other = Technology(events=True, readout="integrators", node=32e-9)
    anew = made.energy(spikes, technology=other, inferences=2)
    np.testing.assert_allclose(with_adc.with_technology(other).terms, anew.terms, rtol=1e-6)
    wafer = jax.tree.map(lambda a: jnp.stack([a, a]), with_adc)
    np.testing.assert_allclose(wafer.with_technology(other).terms[1], anew.terms, rtol=1e-6)
    assert np.asarray(wafer.samples()).shape == (2, 4096, 1)
