"""From fits to devices: where the range of conductance comes from, and what a posterior does with what is not known."""

import dataclasses

import jax
import numpy as np
import pytest

from devices.fitting import fit
from devices.fitting.assembly import assemble, posterior
from devices.fitting.engine.draws import with_prior
from devices.instruments import FileError, Trace

US = 1e-6


def one_state(**protocol):
    """Eleven reads of a single cell that loses a quarter of its conductance, with 5 % of scatter."""
    t = np.arange(1, 12) * 30.0
    g = 10 * US * (1 - 0.1 * np.log10(t)) * np.exp(0.05 * np.random.default_rng(0).standard_normal(11))
    return Trace("retention", {"t": t, "g": g, "g0": np.full(11, 10 * US)}, ("cell.csv",), protocol=protocol)


@pytest.mark.slow
def test_one_conductance_is_no_range_and_the_message_shows_how_to_give_one():
    found = fit(one_state(), "power law")
    with pytest.raises(FileError, match=r"(?s)no measurement determines g_min and g_max.*\[protocol\]\ng_min = 1e-6"):
        assemble([found])
    device = assemble([fit(one_state(g_min=1 * US, g_max=50 * US), "power law")])
    assert float(device.g_min) == pytest.approx(1 * US)
    assert float(device.g_max) == pytest.approx(50 * US)


def test_a_posterior_of_what_the_data_leave_open_stays_finite():
    """One cell says nothing of the spread over cells: its standard error is 100 e-folds, and draws would overflow."""
    found = fit(one_state(g_min=1 * US, g_max=50 * US), "power law")
    spread = np.sqrt(np.diag(found.covariance))
    assert spread.max() > 50
    leaves = jax.tree.leaves(posterior([found], count=200).drift)
    assert leaves and all(np.isfinite(leaf).all() for leaf in leaves)
    kept = np.sqrt(np.diag(with_prior(found)))
    assert kept.max() < 50
    known = spread < 0.3
    np.testing.assert_allclose(kept[known], spread[known], rtol=0.02)


def test_the_prior_adds_to_the_precision():
    found = fit(one_state(g_min=1 * US, g_max=50 * US), "power law")
    covariance = np.diag(np.geomspace(0.01, 100.0, len(found.covariance))) + 0.001
    free = np.array([not p.bounded for p in found.candidate.parameters()])
    assert 0 < free.sum() < len(free)
    expected = np.linalg.inv(np.linalg.inv(covariance) + np.diag(np.where(free, 1 / 9, 3 / np.pi**2)))
    np.testing.assert_allclose(
        with_prior(dataclasses.replace(found, covariance=covariance)), expected, rtol=1e-8, atol=1e-12
    )


def test_a_device_with_something_that_is_no_number_is_refused():
    found = fit(one_state(g_min=1 * US, g_max=50 * US), "power law")
    lost = dataclasses.replace(found, theta=np.full_like(found.theta, np.nan))
    with pytest.raises(FileError, match=r"of the device is not a number: the fit does not determine it .*slope = nan"):
        assemble([lost])
