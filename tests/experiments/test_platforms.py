"""One network on every platform, and the energy of training a large model: numbers that can be worked out by hand."""

import math

import numpy as np
import pytest

from experiments import platforms, training_energy
from experiments.framework import runner
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source


def test_training_energy_restated(tmp_path):
    """41,000 MWh: 4,000 homes; an H100 is 35 brains; hours and operations follow from watts and TFLOP/s."""
    (outcome,) = runner.execute(
        Source("training-energy", module="experiments.training_energy"), [training_energy.Config()], out=tmp_path
    )
    text = outcome.presentation.text
    assert "4,000 homes" in text and "35 brains" in text
    hours = 41_000e6 / 1.18 / 700
    assert outcome.presentation.summary["gpu_hours"] == pytest.approx(hours)
    operations = hours * 3600 * 989.4e12 * 0.35
    assert outcome.presentation.summary["operations"] == pytest.approx(operations)
    hermes = outcome.results.select("energy", platform="HERMES (PCM, 14 nm)")
    np.testing.assert_allclose(hermes, operations / 2 * np.array([2e-12 / 9.76, 2e-12 / 2.48]))


@pytest.mark.parametrize(
    "flag, value", [("utilisation", 1.5), ("overhead", 0.9), ("gpu_watts", math.nan), ("energy_mwh", -1.0)]
)
def test_assumptions_that_cannot_be(flag, value):
    with pytest.raises(UsageError, match=f"--{flag.replace('_', '-')}"):
        training_energy.check(training_energy.Config(**{flag: value}))


def test_platforms_know_where_their_energy_comes_from():
    """A published chip is its efficiency times the operations; a simulated one depends on what the network reads; a GPU whose
    launches are free is below one that pays for them."""
    config = platforms.Config(steps=5, inputs=4)
    state = platforms.prepare(config)
    found = {
        p: platforms.compute(config, state, {"platform": p})
        for p in ("HERMES, 1 phase", "neurram (simulated)", "H100 batch 1", "brain")
    }
    assert found["HERMES, 1 phase"]["energy"][1] == pytest.approx(state.macs * 2e-12 / 9.76)
    low, middle, high = found["neurram (simulated)"]["energy"]
    assert 0 < low < middle < high and found["neurram (simulated)"]["seconds"] > 0
    half = platforms.State(state.network, state.params, state.x.at[:, :4].set(0), state.macs)
    assert platforms.compute(config, half, {"platform": "neurram (simulated)"})["energy"][1] < middle
    assert found["H100 batch 1"]["energy"][0] < found["H100 batch 1"]["energy"][1]
    assert set(platforms.how_each_is_known().values()) == set(platforms.KINDS)
