"""Large traces: a part of the devices first, then all of them for the models that could be best."""

import numpy as np
import pytest

from devices import fitting
from devices.fitting import screening
from devices.instruments.trace import Trace

COUNT = 20_000
LABELS = tuple(map(str, range(COUNT)))


@pytest.fixture(scope="module")
def trace():
    """One write each of 20,000 cells, 2 % off its target."""
    rng = np.random.default_rng(0)
    target = rng.choice([2e-5, 4e-5, 6e-5, 8e-5], COUNT)
    columns = {"device": np.arange(COUNT), "target": target, "g": target * (1 + 0.02 * rng.standard_normal(COUNT))}
    return Trace("programming", columns, source=("writes",), labels=LABELS)


def test_a_part_has_all_readings_of_its_devices(trace):
    part = screening.part_of(trace, seed=0)
    assert len(np.unique(part["device"])) == len(part) == screening.READINGS
    assert (
        screening.part_of(trace.where(np.arange(COUNT) < screening.WORTHWHILE * screening.READINGS - 1), seed=0) is None
    )
    few = Trace("programming", {**trace.columns, "device": np.arange(COUNT) % 20}, labels=LABELS)
    assert screening.part_of(few, seed=0) is None
    assert np.array_equal(part["g"], screening.part_of(trace, seed=0)["g"])


@pytest.mark.slow
def test_the_best_model_is_fitted_to_all_readings(trace, monkeypatch):
    """The same estimates as if all readings had been fitted at once, and the first answer is of a part and says so."""
    seen = []
    found = fitting.fit(trace, "write errors", done=seen.append)
    monkeypatch.setattr(screening, "WORTHWHILE", np.inf)
    whole = fitting.fit(trace, "write errors")
    assert [f.rows for f in seen] == [COUNT, COUNT] and found.rows == COUNT
    assert seen[0].flags[0].startswith(f"fitted to {screening.READINGS} of {COUNT} readings")
    assert not any("drawn at random" in flag for flag in found.flags)
    assert found.nll == pytest.approx(whole.nll, abs=1e-3) and seen[0].nll >= found.nll
    assert found.estimate["sd_relative"] == pytest.approx(0.02, rel=0.02)
    assert found.estimate["sd_relative"] == pytest.approx(whole.estimate["sd_relative"], rel=1e-3)
    assert seen[0].estimate["sd_relative"] != found.estimate["sd_relative"]


def test_a_model_that_is_far_behind_is_not_fitted_to_all(trace):
    small = fitting.fit(trace, "write errors")
    assert screening.could_win(small, 0.3, small.bic - 10)
    assert not screening.could_win(small, 0.3, small.bic - 1000)
