"""Relaxation and retention laws against their formulas and their sources' numbers."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices import curves, drift, programming

US = 1e-6


@pytest.mark.parametrize("soft", [False, True])
def test_variance_of_relaxation_is_linear_in_log_time(soft):
    """p = 1/2: over 200,000 cells var = s^2 (ln t/t0 + l0) at every time, 1.5 % (3.4 standard errors); the mean shift
    is m ln t/t0. With a soft onset ln(1 + t/t0) takes the place of ln t/t0."""
    law = drift.LogTimeRelaxation(shift=-0.2 * US, spread=0.4 * US, g_max=25 * US, t0=1e-2, offset=2.0, soft=soft)
    g = jnp.full(200_000, 20 * US)
    z = law.latents(g, key=jax.random.key(0))
    for t in (1e-2, 1.0, 1e3, 1e5):
        moved = np.asarray(law(g, z, jnp.asarray(t)) - g, float) / US
        folds = np.log(t / 1e-2 + soft)
        assert moved.var() == pytest.approx(0.16 * (folds + 2), rel=0.015)
        assert moved.mean() == pytest.approx(-0.2 * folds, abs=0.01 + 0.001 * folds)


def test_heavy_tails_of_relaxation():
    """Student's t with 3 degrees of freedom: 1.0 % of cells beyond 5.84 scales, where a normal law has 1 in 10^8."""
    law = drift.LogTimeRelaxation(0.0, 0.2 * US, 25 * US, 1e-2, offset=1.0, error=programming.StudentT(3.0))
    g = jnp.full(200_000, 20 * US)
    moved = (law(g, law.latents(g, key=jax.random.key(0)), jnp.asarray(1e-2)) - g) / (0.2 * US)
    assert float(jnp.mean(jnp.abs(moved) > 5.841)) == pytest.approx(0.01, rel=0.07)


def test_stretched_exponential():
    """37 % of the excess is left after tau whatever beta; ln tau has the spread asked for."""
    law = drift.StretchedExponential(tau=100.0, beta=0.5, rest=2 * US, spread=0.0)
    left = law(jnp.asarray([12 * US]), jnp.zeros(1), jnp.asarray(100.0))
    assert float(left[0]) == pytest.approx(2 * US + 10 * US / np.e, rel=1e-5)
    assert np.isfinite(
        jax.grad(lambda b: drift.StretchedExponential(100.0, b)(jnp.asarray(US), jnp.asarray(0.0), jnp.asarray(0.0)))(
            0.5
        )
    )


def test_heat_is_time():
    """0.6 eV from 300 K to 350 K: exp(0.6/k (1/300 - 1/350)) = 27.5 times faster; for a power law that is t0(T)
    smaller by it."""
    cold = drift.PowerLawDrift(0.05, 0.02, 25 * US, 20.0)
    hot = drift.Arrhenius(cold, energy=0.6, temperature=350.0, reference=300.0)
    factor = np.exp(0.6 / 8.617333262e-5 * (1 / 300 - 1 / 350))
    assert factor == pytest.approx(27.5, rel=0.01)
    assert float(hot.acceleration()) == pytest.approx(factor, rel=1e-4)
    g = jnp.full(5, 10 * US)
    z = hot.latents(g, key=jax.random.key(0))
    warm = drift.PowerLawDrift(0.05, 0.02, 25 * US, 20.0 / factor)
    np.testing.assert_allclose(hot(g, z, jnp.asarray(1e4)), warm(g, z, jnp.asarray(1e4)), rtol=1e-5)


def sonos_current(day_a, day_b, share, i):
    """Spread [nA] of the source's formula, interpolated in A and B."""
    a, b = (x + share * (y - x) for x, y in zip(day_a, day_b, strict=True))
    return a * (1 - np.exp(-i / b))


def test_sonos_against_its_tables():
    """Mean drift and spread at a day and a half and at five days, from the published coefficients evaluated in NumPy."""
    device, i = devices.sonos_agrawal2022(), np.asarray([100.0, 400.0, 800.0, 1200.0])
    second = [6.60925e-01, 8.60627e-03, -1.72936e-04, 7.44096e-07, -5.94866e-09, 2.36734e-11]
    second += [-4.83740e-14, 5.56072e-17, -3.65397e-20, 1.28405e-23, -1.87450e-27]
    first = [6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11]
    first += [-1.07685e-13, 1.17751e-16, -7.60016e-20, 2.67255e-23, -3.94954e-27]
    last = [1.15294e00, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11]
    last += [-7.53872e-14, 8.98185e-17, -6.00346e-20, 2.12615e-23, -3.11099e-27]
    siemens = 1e-8  # per nA, at 0.1 V
    g = jnp.asarray(i * siemens, jnp.float32)
    for t, shift, spread in (
        (
            1.5 * 86_400,
            0.5 * (np.polyval(first[::-1], i) + np.polyval(second[::-1], i)),
            (25.59102, 186.85544, 28.72753, 193.56834, 0.5),
        ),
        (5.0 * 86_400, np.polyval(last[::-1], i), (34.57909, 207.34309, 34.57909, 207.34309, 0.0)),
    ):
        mean = device.drift(g, jnp.zeros(4), jnp.asarray(t))
        np.testing.assert_allclose(mean / siemens, i + shift, atol=0.02)
        wide = device.drift(g, jnp.ones(4), jnp.asarray(t)) - mean
        want = sonos_current(spread[:2], spread[2:4], spread[4], i + shift)
        np.testing.assert_allclose(wide / siemens, want, rtol=2e-3)
    start = device.drift(g, jnp.ones(4), jnp.asarray(0.0)) - g
    np.testing.assert_allclose(start / siemens, 19.88665 * (1 - np.exp(-i / 176.3115)), rtol=2e-3)


def test_beyond_the_data_is_said_once():
    device = devices.sonos_agrawal2022()
    cells = device.program(jnp.full(3, 5 * US), key=jax.random.key(0))
    devices.device._WARNED.clear()
    with pytest.warns(UserWarning, match="sonos_agrawal2022 extrapolates: t = 1e\\+06 s is beyond the 432000 s"):
        device.conductance(cells, 1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        device.conductance(cells, 1e6)
        device.conductance(cells, 432_000.0)
    assert "0.8 V is beyond the 0.5 V" in (devices.reram_milo2021().extrapolates(v=0.8) or "")
    assert devices.reram_milo2021().extrapolates(1e9, 0.5) is None
    assert "beyond the 86400 s" in (devices.pcm_joshi2020().extrapolates(90_000.0) or "")
    with pytest.warns(UserWarning, match="reram_milo2021 extrapolates: 0.8 V"):
        xbar.Tile(device=devices.reram_milo2021(), v_read=0.8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xbar.Tile(device=devices.reram_milo2021(), v_read=0.8)


def test_tabulated_exponent():
    law = drift.PowerLawDrift(curves.Table([0.0, 0.4, 1.0], [0.08, 0.05, 0.02]), 0.0, 25 * US, 20.0)
    z = drift.StateAndNormal(jnp.asarray([5 * US, 10 * US, 17.5 * US]), jnp.zeros(3))
    np.testing.assert_allclose(law.exponent(z), [0.065, 0.05, 0.035], rtol=1e-5)
