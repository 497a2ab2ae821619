"""Maps of single pulses: thresholds, what switching leads to, and two kinds of scatter."""

import jax
import numpy as np
import pytest
from conftest import data_folder

from devices.fitting import coverage, fit_candidate
from devices.fitting.pulses.pulse_map_models import CANDIDATES, AllOrNothing, GradualSwitching, MeanSwitching
from devices.instruments import FileError, Trace, read

MEASURED = data_folder() / "measured" if data_folder() else None
needs_data = pytest.mark.skipif(
    MEASURED is None or not (MEASURED / "hfo2_pulse_map").is_dir(),
    reason="XBAR_DATA names no folder with measured/hfo2_pulse_map",
)
TRUTH = {
    "v50": 1.5,
    "slope": 0.15,
    "start": 0.1,
    "shift": 0.1,
    "end": -4.0,
    "end_v": 0.05,
    "end_width": 0.02,
    "forget": 0.2,
}
NOISE = {"off": 0.08, "on": 0.05, "half": 0.1, "tail": 5.0}


def protocol(repeats=20, seed=0):
    """A map of 12 voltages and 4 widths; the readings in it mean nothing."""
    rng = np.random.default_rng(seed)
    v, width, _ = (
        x.ravel() for x in np.meshgrid(np.linspace(0.5, 3, 12), [1e-8, 1e-7, 1e-6, 1e-5], np.arange(repeats))
    )
    before = 10 ** (-5 + 0.2 * rng.standard_normal(len(v)))
    return Trace(
        "pulse-map",
        {"v": v, "width": width, "g_before": before, "g_after": before * 10 ** (0.1 * rng.standard_normal(len(v)))},
    )


def truth_of(candidate):
    values = TRUTH | NOISE
    return {p.name: values[p.name] for p in candidate.parameters()} | ({} if candidate.noises else {"sigma": 0.1})


def simulated(model, seed=3):
    candidate, data = model.of(protocol())
    with jax.enable_x64(True):
        drawn = candidate.simulate(
            {n: np.asarray(v) for n, v in truth_of(candidate).items()}, data, key=jax.random.key(seed)
        )
    return candidate, jax.tree.map(np.asarray, drawn)


@pytest.mark.slow
@pytest.mark.parametrize("model", CANDIDATES, ids=lambda c: c.name)
def test_intervals_hold_the_truth_as_often_as_they_say(model):
    """200 simulated maps of 960 pulses, 90 % intervals: 84 to 96 %."""
    candidate, data = model.of(protocol())
    truth = truth_of(candidate)
    held, _ = coverage(candidate, data, truth, starts=1)
    assert {name: share for name, share in held.items() if not 0.84 <= share <= 0.96} == {}


def test_least_squares_find_the_voltage_of_half_switching():
    candidate, data = simulated(MeanSwitching)
    found = fit_candidate(candidate, data, protocol(), starts=3)
    assert not found.rejected
    for name, value in TRUTH.items():
        assert abs(found.estimate[name] - value) < 4 * found.stderr[name], name
    shift = found.measures["v50 at 1e-08 s"] - found.measures["v50 at 1e-06 s"]
    assert shift == pytest.approx(2 * found.estimate["shift"], rel=1e-6)
    assert found.candidate.laws(found.estimate, data) == {}


@pytest.mark.slow
def test_cells_that_switch_or_not_are_no_cells_that_switch_halfway():
    """The likelihoods prefer what the data were drawn from, by far; the mean model's noise is rejected."""
    candidate, data = simulated(AllOrNothing)
    right = fit_candidate(candidate, data, protocol(), starts=2)
    wrong = fit_candidate(MeanSwitching.of(protocol())[0], data, protocol(), starts=3)
    assert right.bic < wrong.bic - 100
    assert wrong.rejected
    assert not right.rejected


@pytest.mark.slow
def test_maps_that_cannot_be_fitted_are_refused():
    trace = protocol()
    with pytest.raises(FileError, match="must be above 0"):
        GradualSwitching.of(Trace("pulse-map", {**trace.columns, "width": np.zeros(len(trace))}))
    with pytest.raises(FileError, match="needs 50 at several voltages"):
        GradualSwitching.of(trace.where(trace["v"] == trace["v"][0]))


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name, rmse, r2", [("set", 0.217, 0.842), ("reset", 0.0367, 0.365)])
def test_the_mean_change_is_foretold_better_than_by_voltages_and_width_alone(name, rmse, r2):
    """RMSE of log10(R0/R1) below a product of sigmoids', 0.217 and 0.0367 decades; R2 above 0.842, and for reset above what
    means of equal pulses reach, 0.365."""
    trace = read(MEASURED / "hfo2_pulse_map" / f"{name}_sweep.tsv.gz")[0]
    found = fit_candidate(*MeanSwitching.of(trace), trace)
    assert found.measures["RMSE"] < rmse
    assert found.measures["R2"] > r2
