"""Times to failure known as intervals: what closed forms say, honest intervals, wrong temperatures rejected, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from devices import Device
from devices.constants import BOLTZMANN_EV
from devices.fitting import coverage, fit_candidate
from devices.fitting.retention.failure_models import Failures
from devices.instruments import FileError, Trace

US = 1e-6
TRUTH = {"E": 1.5, "E_spread": 0.06, "tau_0": 2e-13}
KELVIN = np.array([433.0, 473.0, 513.0])


def bake(cells=40, kelvin=KELVIN, truth=TRUTH, seed=0, looks=7):
    """Cells that are looked at as often at every temperature, between a tenth and ten times the median failure."""
    rng = np.random.default_rng(seed)
    columns = {n: [] for n in ("t", "g", "g0", "device", "temperature")}
    for j, temperature in enumerate(kelvin):
        heat = BOLTZMANN_EV * temperature
        t = truth["tau_0"] * np.exp(truth["E"] / heat) * np.geomspace(0.03, 30, looks)
        tau = truth["tau_0"] * np.exp((truth["E"] + truth["E_spread"] * rng.standard_normal((cells, 1))) / heat)
        columns["g"].append((50 * US * np.exp(-t / tau)).ravel())
        columns["t"].append(np.tile(t, cells))
        columns["g0"].append(np.full(cells * looks, 50 * US))
        columns["device"].append(np.repeat(np.arange(cells) + 1000.0 * j, looks))
        columns["temperature"].append(np.full(cells * looks, temperature))
    return Trace("retention", {n: np.concatenate(v) for n, v in columns.items()})


def test_likelihood_is_that_of_a_lognormal_distribution_within_intervals():
    trace = bake(10)
    candidate, data = Failures.of(trace)
    with jax.enable_x64(True):
        found = np.asarray(candidate.nll({n: jnp.asarray(v) for n, v in TRUTH.items()}, data))
    total = 0.0
    for part in trace.split():
        heat = BOLTZMANN_EV * part["temperature"][0]
        law = stats.lognorm(s=TRUTH["E_spread"] / heat, scale=-TRUTH["tau_0"] * np.log(0.5) * np.exp(TRUTH["E"] / heat))
        edges = np.concatenate([[0.0], part["t"], [np.inf]])
        fell = int(np.sum(part["g"] > 25 * US))
        total -= np.log(law.cdf(edges[fell + 1]) - law.cdf(edges[fell]))
    np.testing.assert_allclose(found.sum(), total, rtol=1e-9)
    assert len(found) == 30


@pytest.mark.slow
def test_truth_is_found_and_a_device_fails_as_the_cells_did():
    trace = bake(100)
    fit = fit_candidate(*Failures.of(trace), trace)
    assert fit.converged and not fit.rejected, [c.sentence for c in fit.checks]
    for name in ("E", "E_spread"):
        assert fit.estimate[name] == pytest.approx(TRUTH[name], abs=3.5 * fit.stderr[name])
    e_folds = fit.stderr["tau_0"] / fit.estimate["tau_0"]
    assert np.log(fit.estimate["tau_0"] / TRUTH["tau_0"]) == pytest.approx(0, abs=3.5 * e_folds)
    with jax.enable_x64(True):
        values = {n: jnp.asarray(v) for n, v in fit.estimate.items()}
        law = Device(**fit.candidate.laws(values, fit.data)).drift
        g = jnp.full(20_000, 50 * US)
        z = law.latents(g, key=jax.random.key(1))
        cold = trace.where(trace["temperature"] == KELVIN[0])
        for t in np.unique(cold["t"])[2:5]:
            share = float(jnp.mean(law(g, z, jnp.asarray(t)) < 25 * US))
            at = np.isclose(cold["t"], t)
            assert share == pytest.approx(np.mean(cold["g"][at] < 25 * US), abs=0.15)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """200 simulated sets, 90 % intervals: 84 to 96 % of them (a right one leaves that band 1 time in 150)."""
    candidate, data = Failures.of(bake())
    held, _ = coverage(candidate, data, TRUTH)
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_failures_that_do_not_follow_arrhenius_are_rejected():
    """The hottest bake fails ten times too late, as if another barrier ruled there."""
    trace = bake(150)
    late = np.where(trace["temperature"] == KELVIN[1], 10.0, 1.0)
    wrong = Trace("retention", {**trace.columns, "t": trace["t"] * late})
    fit = fit_candidate(*Failures.of(wrong), wrong, advise=False)
    assert fit.rejected
    assert "Arrhenius" in fit.checks[0].sentence


@pytest.mark.slow
def test_one_temperature_takes_the_attempt_time_as_given():
    trace = bake(60, KELVIN[:1])
    candidate, data = Failures.of(trace)
    assert [p.name for p in candidate.parameters()] == ["E", "E_spread"]
    assert "attempt time is taken as 1e-13 s" in candidate.notes(data)[0]
    fit = fit_candidate(candidate, data, trace, advise=False)
    expected = TRUTH["E"] + BOLTZMANN_EV * KELVIN[0] * np.log(2)  # the true attempt time is twice that
    assert fit.estimate["E"] == pytest.approx(expected, abs=5 * fit.stderr["E"])


def test_too_few_failures_and_impossible_limits_are_refused():
    trace = bake(4, KELVIN[:1])
    with pytest.raises(FileError, match="cells that lost 50% of their conductance permanently, and needs 5"):
        Failures.of(trace)
    wrong = Trace("retention", bake(9).columns, protocol={"loss_limit": 1.5})
    with pytest.raises(FileError, match=r"loss_limit=1.5 must be between 0 and 1"):
        Failures.of(wrong)
