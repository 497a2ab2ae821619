"""Laws against closed forms, and a device against its own rules."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.conduction import Cubic, Ohmic
from devices.drift import PowerLawDrift
from devices.faults import StuckAt
from devices.noise import OneOverFNoise, WhiteReadNoise


def device(**laws):
    return dataclasses.replace(devices.ideal(), **laws)


def test_power_law_drift():
    """g = g0 (1 + t/t0)^-nu with a negative draw of the exponent folded to positive, and a finite slope at t = 0."""
    law = PowerLawDrift(nu_mean=0.05, nu_std=0.1, g_max=25e-6, t0=20.0)
    z = devices.drift.StateAndNormal(jnp.full(3, 1e-5), jnp.asarray([0.0, 1.0, -1.0]))
    g = law(jnp.full(3, 1e-5), z, jnp.asarray(180.0))
    np.testing.assert_allclose(g, 1e-5 * 10 ** -np.asarray([0.05, 0.15, 0.05]), rtol=1e-5)
    slope = jax.grad(lambda t: law(jnp.full(3, 1e-5), z, t).sum())(0.0)
    assert float(slope) == pytest.approx(-1e-5 / 20 * 0.25, rel=1e-4)


def test_one_over_f_variance():
    """(g Q)^2 ln((t + t0 + t_r) / 2 t_r) with t_r = 1/(2B); 0 for a read longer than the cell is old."""
    law = OneOverFNoise(q=0.01, g_max=25e-6, t0=20.0)
    g = jnp.asarray([1e-5])
    var = law(g, g, jnp.asarray(100.0), jnp.asarray(2e6))
    assert float(var[0]) == pytest.approx((1e-7) ** 2 * np.log((120 + 250e-9) / 500e-9), rel=1e-5)
    assert float(law(g, g, jnp.asarray(0.0), jnp.asarray(0.01))[0]) == 0.0


def test_white_variance_grows_with_bandwidth():
    law = WhiteReadNoise(variance=1e-14, g_max=25e-6, bandwidth=1e6)
    np.testing.assert_allclose(law(jnp.ones(2), None, jnp.zeros(()), jnp.asarray(4e6)), 4e-14)


def test_conduction():
    g, v = jnp.asarray([1e-5, 2e-5]), jnp.asarray([0.2, -0.5])
    np.testing.assert_allclose(Ohmic()(g, v), g * v)
    np.testing.assert_allclose(Cubic(2.0)(g, v), g * (v + 2 * v**3))


def test_stuck_cells():
    """One million cells: 2 % stuck low, 1 % high, within 5 standard errors; stuck at every time, unmoved by drift."""
    d = device(faults=StuckAt(0.02, 0.01, 0.0, 25e-6), drift=PowerLawDrift(0.05, 0.0, 25e-6, 20.0))
    cells = d.program(jnp.full(1_000_000, 1e-5), key=jax.random.key(0))
    early, late = d.conductance(cells, 0.0), d.conductance(cells, 1e6)
    low, high = float(jnp.mean(early == 0.0)), float(jnp.mean(early == d.g_max))
    assert abs(low - 0.02) < 5 * (0.02 / 1e6) ** 0.5 and abs(high - 0.01) < 5 * (0.01 / 1e6) ** 0.5
    np.testing.assert_array_equal((early == 0) | (early == d.g_max), (late == 0) | (late == d.g_max))


def test_time_outside_the_data_is_nan_when_traced():
    d = devices.reram_wan2022()
    cells = d.program(jnp.full(3, 1e-5), key=jax.random.key(0))
    assert bool(jnp.all(jnp.isnan(jax.jit(lambda t: d.conductance(cells, t))(3600.0))))
    assert bool(jnp.all(jnp.isfinite(jax.jit(lambda t: d.conductance(cells, t))(86_400.0))))


def test_wan_times_share_their_latents():
    """A cell's deviation keeps its sign from one second to two days."""
    d = devices.reram_wan2022()
    cells = d.program(jnp.full(1000, 2e-5), key=jax.random.key(0))
    sign = [jnp.sign(d.conductance(cells, t) - 2e-5) for t in (1.0, 86_400.0, 172_800.0)]
    np.testing.assert_array_equal(sign[0], sign[1])
    np.testing.assert_array_equal(sign[0], sign[2])
