"""The crossover of frames and events: closed forms, and one small run of everything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from experiments import break_even, crossover
from experiments.framework import runner
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source
from xbar.energy import Technology, coefficients


@pytest.mark.parametrize("steps, percent", [(5, 7.5), (6, 6.25), (7, 5.36), (8, 6.25), (9, 5.56), (10, 5.0)])
def test_closed_form(steps, percent):
    assert 100 * break_even.break_even_rate(steps) == pytest.approx(percent, abs=0.005)


@pytest.mark.parametrize("steps", [5, 8])
def test_ledgers_reach_the_closed_form(steps):
    """Drivers alone have a price: a frame of b bits at full scale drives each row b times, an event once; an event that costs
    8 of those crosses at ceil(log2(T + 1)) / (8 T). Fails if a plane, a step or a row is charged wrongly."""
    key, k = jax.random.key(0), 12
    w = jax.random.normal(key, (k, 3))
    bare = Technology(events=True)
    bare = bare.without(*(name for name in coefficients(bare) if name != "driver"))

    def energy(dac, x, inferences):
        tile = xbar.Tile(device=devices.ideal(), rows=16, cols=8, dac=dac)
        f = lambda w, x: x @ w  # noqa: E731
        chip = xbar.analog(f, tile).program(w, x, key=key)
        return float(chip.energy(x, technology=bare, inferences=inferences).total)

    bits = break_even.matched_bits(steps)
    frame = energy(xbar.DAC(bits=bits + 1, encoding="bit_serial", range=1.0), jnp.ones((1, k)), 1)
    one_bit = xbar.DAC(bits=2, encoding="bit_serial", range=1.0)
    events = [energy(one_bit, jnp.full((steps, k), r), 1) for r in (0.0, 1.0)]
    found = break_even.crossing(np.array([0.0, 1.0]), 8 * np.array(events)[:, None], np.array([frame]))
    assert found[0] == pytest.approx(break_even.break_even_rate(steps), rel=1e-5)


def test_crossings_at_the_ends():
    rates, frame = np.array([0.0, 0.1, 1.0]), np.array([1.0, 1.0, 1.0])
    events = np.array([[2.0, 0.0, 0.5], [3.0, 0.1, 1.5], [9.0, 0.9, 9.0]])
    np.testing.assert_allclose(break_even.crossing(rates, events, frame), [0.0, np.inf, 0.05])


@pytest.mark.slow
def test_a_small_run(tmp_path):
    """Integrators win at low rates, ADCs in every step do not; the twin's accuracy is there with its spread."""
    config = crossover.Config(
        devices=("ideal",), adc_bits=(6,), spike_steps=(4,), penalties=(0.0,), chips=2, images=40, steps=200
    )
    (outcome,) = runner.execute(Source("crossover", module="experiments.crossover"), [config], out=tmp_path)
    found = outcome.results
    integrators = found.select("crossover", device="ideal", readout="integrators", spike_steps=4)
    adc = found.select("crossover", device="ideal", readout="6-bit ADC", spike_steps=4)
    assert integrators[1] > adc[1] and (np.diff(integrators) >= 0).all()
    energy = found.select("energy_at_rate", device="ideal", readout="integrators", spike_steps=4)
    assert energy[0] > 0 and (np.diff(energy) > 0).all()
    assert "Closed form" in outcome.presentation.text


@pytest.mark.parametrize("flag, value", [("network", "resnet20"), ("spike_steps", (0,)), ("penalties", (-1.0,))])
def test_settings_that_cannot_be(flag, value, monkeypatch):
    monkeypatch.delenv("XBAR_DATA", raising=False)
    with pytest.raises(UsageError):
        crossover.check(crossover.Config(**{flag: value}))
