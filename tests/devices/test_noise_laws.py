"""Read noise: closed forms, spectra of traces, and traces against the variance that a read is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from scipy.integrate import quad

import devices
from devices import noise

US = 1e-6


def test_thermal_and_shot():
    """At 25 uS, 0.2 V, 300 K and 1 MHz: 4kTgB/V^2 and 2qgB/V by hand."""
    g, b = jnp.asarray(25 * US), jnp.asarray(1e6)
    thermal = noise.ThermalNoise(0.2)(g * 1e6, None, jnp.asarray(0.0), b)
    shot = noise.ShotNoise(0.2, 0.5)(g * 1e6, None, jnp.asarray(0.0), b)
    assert float(thermal) == pytest.approx(4 * 1.380649e-23 * 300 * 25 * 1e6 / 0.04, rel=1e-5)
    assert float(shot) == pytest.approx(2 * 1.602176634e-19 * 0.5 * 25 * 1e6 / 0.2, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.0001, 1.4])
def test_power_law_noise_is_the_integral_of_its_density(exponent):
    """(g Q)^2 int f^-b df between 1/(t + t0 + t_r) and 1/2t_r, by adaptive quadrature."""
    law = noise.OneOverFNoise(q=0.01, g_max=25 * US, t0=20.0, exponent=exponent)
    t, b = 100.0, 1e4
    want, _ = quad(lambda u: np.exp(u * (1 - exponent)), np.log(1 / (120 + 0.5 / b)), np.log(b))
    got = law(jnp.asarray(1.0), jnp.asarray(1.0), jnp.asarray(t), jnp.asarray(b))
    assert float(got) == pytest.approx(1e-4 * want, rel=2e-4)


@pytest.mark.few(1)
@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.3])
def test_spectrum_of_a_trace(exponent):
    """Welch spectrum of 400 cells x 8192 reads at 1 kHz: slope -b within 0.04 and level A within 12 % over the middle
    two decades.

    The bank of three processes a decade ripples by 2 %; its finite ends bend the outer half decade, which is left out.
    """
    law = noise.OneOverFNoise(q=0.02, g_max=25 * US, t0=20.0, exponent=exponent)
    g = jnp.full(400, 10.0)  # in uS, for float32
    trace = law.trace(g, g * 0 + 10 * US, jnp.asarray(0.0), jnp.asarray(1e3), points=8192, key=jax.random.key(0))
    f, density = scipy.signal.welch(np.asarray(trace, float), fs=1e3, nperseg=2048, axis=0)
    keep = (f > 2) & (f < 100)
    slope, level = np.polyfit(np.log(f[keep]), np.log(density[keep].mean(1)), 1, w=1 / np.sqrt(f[keep]))
    assert -slope == pytest.approx(exponent, abs=0.04)
    assert np.exp(level) == pytest.approx(0.04, rel=0.12)


def test_telegraph_variance_is_what_averaged_traces_have():
    """One trap of tau_c = 3 ms, tau_e = 1 ms, 20,000 cells: blocks of a trace of 20 kHz averaged over T have the
    law's variance.

    Eight block lengths' worth of cells give 1 % of standard error; 4 % allowed. Levels differ by exactly the amplitude.
    """
    law = noise.TelegraphNoise(amplitude=0.1, g_max=25 * US, shortest=1e-3, longest=3e-3)
    g = jnp.full(20_000, 10.0)
    z = noise.Trap(jnp.zeros(20_000), jnp.ones(20_000), jnp.zeros(20_000))
    trace = np.asarray(law.trace(g, z, jnp.asarray(0.0), jnp.asarray(2e4), points=80, key=jax.random.key(0)))
    np.testing.assert_allclose(np.unique(np.round(trace, 4)), [-0.75, 0.25], atol=1e-4)  # full (p = 1/4), and empty
    assert abs(trace.mean()) < 0.01
    for points in (1, 10, 80):
        averaged = trace[:points].mean(0)
        variance = law(g, z, jnp.asarray(0.0), jnp.asarray(0.5 / (points / 2e4)))[0]
        discrete = 0.025 * 1.0 if points == 1 else 0.0  # an instantaneous sample is not averaged over its 50 us
        assert averaged.var() == pytest.approx(float(variance), rel=0.04 + discrete)


def test_telegraph_spectrum_is_a_lorentzian():
    """S(f) = 4 dg^2 p (1-p) tau / (1 + (2 pi f tau)^2) with 1/tau = 1/tau_c + 1/tau_e."""
    law = noise.TelegraphNoise(amplitude=0.1, g_max=25 * US, shortest=2e-3, longest=6e-3)
    g = jnp.full(500, 10.0)
    z = noise.Trap(jnp.zeros(500), jnp.ones(500), jnp.zeros(500))
    trace = law.trace(g, z, jnp.asarray(0.0), jnp.asarray(5e3), points=8192, key=jax.random.key(1))
    f, density = scipy.signal.welch(np.asarray(trace, float), fs=5e3, nperseg=2048, axis=0)
    tau = 1 / (1 / 6e-3 + 1 / 2e-3)
    want = 4 * 1.0**2 * 0.75 * 0.25 * tau / (1 + (2 * np.pi * f * tau) ** 2)
    keep = (f > 10) & (f < 500)
    np.testing.assert_allclose(density.mean(1)[keep] / want[keep], 1, atol=0.15)


def test_white_trace_and_sum():
    """A device's trace has the variance of its bandwidth, rate/2, and the variances of a sum add."""
    white = noise.WhiteReadNoise(variance=(0.1 * US) ** 2, g_max=25 * US, bandwidth=500.0)
    both = noise.SumOfNoises((white, white, noise.TelegraphNoise(0.0, 25 * US)))
    base = devices.ideal()
    device = devices.Device(base.g_min, base.g_max, read_noise=both)
    cells = device.program(jnp.full(200, 10 * US), key=jax.random.key(0))
    trace = device.trace(cells, 1.0, 1000.0, key=jax.random.key(1))
    assert trace.shape == (1000, 200)
    assert float(jnp.std(trace / US)) == pytest.approx(0.1 * np.sqrt(2), rel=0.01)
    assert float(device.read_variance(cells, 0.0, 500.0)[0]) == pytest.approx(2 * (0.1 * US) ** 2, rel=1e-5)
    with pytest.raises(ValueError, match="two or more"):
        device.trace(cells, 1e-4, 1e3, key=jax.random.key(0))
