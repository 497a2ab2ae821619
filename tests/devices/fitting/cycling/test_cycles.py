"""Tables of cycles, and the two levels of variation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import data_folder

from devices.fitting import coverage, fit_candidate, panels
from devices.fitting.cycling.cycle_models import (
    CANDIDATES,
    AgeingCycles,
    CorrelatedCycles,
    IndependentCycles,
    NoisyCycles,
)
from devices.fitting.engine.hierarchy import Levels, levels
from devices.instruments import FileError, Trace, read

TABLE = pytest.mark.skipif(
    data_folder() is None or not (data_folder() / "measured" / "clarius_rram_dc").is_dir(),
    reason="XBAR_DATA names no folder with measured/clarius_rram_dc",
)


def table(rows=400, seed=0, **protocol):
    """Two quantities with memory, made without the library: a slow part of lag-1 correlation 0.9 and a white part."""
    rng = np.random.default_rng(seed)
    slow = np.zeros((rows, 2))
    for t in range(1, rows):
        slow[t] = 0.9 * slow[t - 1] + np.sqrt(1 - 0.81) * rng.standard_normal(2)
    y = np.array([-4.0, -6.0]) + 0.3 * slow + 0.15 * rng.standard_normal((rows, 2))
    return Trace("cycles", {"cycle": np.arange(rows), "i_on": 10 ** y[:, 0], "i_off": 10 ** y[:, 1]}, protocol=protocol)


TRUTH = {"mean i_on": -4.0, "mean i_off": -6.0, "sd i_on": 0.3, "sd i_off": 0.2, "correlation i_on i_off": 0.4}
MORE = {
    "lag1": {"lag1 i_on": 0.8, "lag1 i_off": 0.7},
    "white": {"white i_on": 0.15, "white i_off": 0.12},
    "trend": {"trend i_on": -0.4, "trend i_off": 0.2},
}


@pytest.mark.slow
@pytest.mark.parametrize("model", CANDIDATES, ids=lambda c: c.name)
def test_intervals_hold_the_truth_as_often_as_they_say(model):
    """200 simulated tables of 1000 cycles, 90 % intervals: 84 to 96 %."""
    candidate, data = model.of(table(1000))
    values = TRUTH | {k: v for part in model.parts for k, v in MORE[part].items()}
    held, _ = coverage(candidate, data, values, starts=1)
    assert {name: share for name, share in held.items() if not 0.84 <= share <= 0.96} == {}


@pytest.mark.slow
def test_an_autoregression_without_noise_is_rejected_where_there_is_some_and_the_right_model_is_not():
    trace = table(800)
    wrong, right = (fit_candidate(*model.of(trace), trace, starts=2) for model in (CorrelatedCycles, NoisyCycles))
    assert any(c.rejected for c in wrong.checks if c.name == "residual correlation")
    assert not right.rejected
    assert right.bic < wrong.bic
    for name, value in (("sd i_on", 0.3), ("white i_on", 0.15), ("lag1 i_on", 0.9)):
        assert abs(right.estimate[name] - value) < 4 * right.stderr[name], name


@pytest.mark.slow
def test_independent_cycles_are_the_sample_mean_and_standard_deviation():
    trace = table(150)
    found = fit_candidate(*IndependentCycles.of(trace), trace, starts=1)
    y = np.log10(trace["i_on"])
    np.testing.assert_allclose([found.estimate["mean i_on"], found.estimate["sd i_on"]], [y.mean(), y.std()], rtol=1e-4)


def test_a_cycle_without_a_value_changes_nothing_but_its_own_place():
    """NaN for one reading: the likelihood of independent cycles falls by exactly that reading's."""
    trace = table(150)
    columns = dict(trace.columns)
    columns["i_off"] = np.where(np.arange(150) == 40, np.nan, columns["i_off"])
    candidate, data = IndependentCycles.of(trace)
    _, less = IndependentCycles.of(Trace("cycles", columns))
    with jax.enable_x64(True):
        values = {name: jnp.asarray(v) for name, v in (TRUTH | {"correlation i_on i_off": 0.0}).items()}
        whole, part = (float(jnp.sum(candidate.nll(values, d))) for d in (data, less))
    z = (np.log10(trace["i_off"][40]) + 6.0) / 0.2
    np.testing.assert_allclose(whole - part, 0.5 * z**2 + np.log(0.2) + 0.5 * np.log(2 * np.pi), rtol=1e-8)


def test_the_conductance_range_needs_the_read_voltage():
    for protocol, expected in (({"v_read": 0.1}, {"g_min": 1e-5, "g_max": 1e-3}), ({}, {})):
        candidate, data = NoisyCycles.of(table(150, **protocol))
        found = candidate.laws({"mean i_on": -4.0, "mean i_off": -6.0}, data)
        assert found == pytest.approx(expected)


def test_a_table_with_nothing_measured_is_refused():
    with pytest.raises(FileError, match="none of i_on, i_off, v_set, v_reset"):
        NoisyCycles.of(Trace("cycles", {"cycle": np.arange(9)}))
    with pytest.raises(FileError, match="fewer than 3 cycles"):
        NoisyCycles.of(Trace("cycles", {"cycle": np.arange(9), "i_on": np.where(np.arange(9) < 2, 1e-6, 0.0)}))


@TABLE
@pytest.mark.slow
def test_a_thousand_cycles_have_a_slow_and_a_white_part():
    """Standard deviations of log10 as tabulated elsewhere (0.41, 0.37, 0.130, 0.118) to their rounding; a white part is there
    (BIC), and the model has the standard deviation of the data within 15 % (its mean is less certain than that)."""
    trace = next(
        t
        for t in read(data_folder() / "measured" / "clarius_rram_dc" / "H16248L_M12_05_endurance_ratio.xlsx")
        if t.kind == "cycles"
    )
    simple, noisy = (fit_candidate(*model.of(trace), trace, starts=1) for model in (CorrelatedCycles, NoisyCycles))
    assert noisy.bic < simple.bic - 100
    for name, sd in (("i_on", 0.41), ("i_off", 0.37), ("v_set", 0.130), ("v_reset", 0.118)):
        assert noisy.measures[f"sd log10 {name}"] == pytest.approx(sd, abs=0.005)
        assert noisy.measures[f"model sd log10 {name}"] == pytest.approx(sd, rel=0.15)
        assert noisy.measures[f"model lag-1 {name}"] == pytest.approx(noisy.measures[f"lag-1 {name}"], abs=0.15)


def estimates(devices, cycles, seed=0):
    """Two parameters of every device and cycle with errors of known covariance, made without the library."""
    rng = np.random.default_rng(seed)
    between, within = np.array([[0.09, 0.03], [0.03, 0.04]]), np.array([[0.04, -0.01], [-0.01, 0.01]])
    error = np.array([[0.004, 0.001], [0.001, 0.002]])
    draw = lambda cov, *shape: rng.multivariate_normal(np.zeros(2), cov, shape)  # noqa: E731
    c = draw(within, devices, cycles)
    for t in range(1, cycles):
        c[:, t] = 0.7 * c[:, t - 1] + np.sqrt(1 - 0.49) * c[:, t]
    theta = np.array([1.0, -2.0]) + draw(between, devices)[:, None] + c + draw(error, devices, cycles)
    device, cycle = np.divmod(np.arange(devices * cycles), cycles)
    return theta.reshape(-1, 2), np.broadcast_to(error, (len(device), 2, 2)), device, cycle, ("a", "b")


@pytest.mark.slow
def test_two_levels_are_told_apart():
    """40 devices of 12 cycles: every number within four standard errors of what the data were made with."""
    found = levels(*estimates(40, 12))
    assert found.converged
    truth = {"mean a": 1.0, "mean b": -2.0, "device a": 0.3, "device b": 0.2, "cycle a": 0.2, "cycle b": 0.1}
    truth |= {"device a b": 0.5, "cycle a b": -0.5, "rho": 0.7}
    for number in found.numbers:
        assert abs(number.value - truth[number.name]) < 4 * number.stderr, number
    np.testing.assert_allclose(np.sqrt(np.diag(found.between)), [0.3, 0.2], rtol=0.4)


@pytest.mark.slow
def test_one_level_is_left_out_where_data_cannot_tell():
    one_device, one_cycle = levels(*estimates(1, 60)), levels(*estimates(60, 1))
    assert not one_device.between.any()
    assert not one_cycle.within.any()
    np.testing.assert_allclose(np.sqrt(np.diag(one_cycle.between)), np.sqrt([0.13, 0.05]), rtol=0.3)
    with pytest.raises(FileError, match="at least 3"):
        levels(*(x[:2] for x in estimates(2, 1)[:4]), ("a", "b"))


@pytest.mark.slow
def test_intervals_of_levels_hold_the_truth_as_often_as_they_say():
    """200 simulated sets of 60 devices and 15 cycles, 90 % intervals: 84 to 96 %."""
    candidate, data = Levels.table(*estimates(60, 15))
    truth = {"mean a": 1.0, "mean b": -2.0, "device a": 0.3, "device b": 0.2, "cycle a": 0.2, "cycle b": 0.1}
    truth |= {"device a b": 0.5, "cycle a b": -0.5, "rho": 0.7}
    held, _ = coverage(candidate, data, truth, starts=1)
    assert {name: share for name, share in held.items() if not 0.84 <= share <= 0.96} == {}


def test_every_model_gives_pictures_and_figures():
    candidate, data = AgeingCycles.of(table(150))
    values = TRUTH | MORE["lag1"] | MORE["white"] | MORE["trend"]
    assert [p.x for p in panels(candidate, values, data)] == ["cycle"] * 3
    assert candidate.measures(values, data)["model sd log10 i_on"] == pytest.approx(np.sqrt(0.09 + 0.0225 + 0.16 / 12))
