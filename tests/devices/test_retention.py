"""Write error, drift and read noise against aihwkit 1.2.0, an independent implementation of the same published laws.

Exact entries (curves of the target) must agree to 1e-5: a wrong coefficient, unit or exponent fails. Monte-Carlo entries
are compared with 200,000 draws of ours: the standard error of a mean is 0.3 % of sigma (both sides), so that the
tolerance of 2 % of sigma on means and stds has a false-alarm rate below 1e-9 per entry.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.drift import PowerLawDrift, StateAndNormal
from devices.noise import OneOverFNoise
from devices.programming import PolynomialProgramming

US = 1e-6
READ_TIME = 250e-9  # s, aihwkit's t_read
BANDWIDTH = 0.5 / READ_TIME
DRAWS = 200_000


def interpolated(points_us, values):
    return lambda x: jnp.interp(x * 25, jnp.asarray(points_us), jnp.asarray(values))


def device_like(pcm, **laws):
    fields = {name: getattr(pcm, name) for name in pcm.__dataclass_fields__}
    return devices.Device(**{**fields, **laws})


def state_independent():
    """aihwkit's StateIndependent model: 0.2 uS write error, nu = 0.1 +- 0.05, relative 1/f noise 1/25."""
    return device_like(
        devices.pcm_joshi2020(),
        programming=PolynomialProgramming(jnp.asarray([0.2 * US]), 25 * US),
        drift=PowerLawDrift(0.1, 0.05, 25 * US, 20.0),
        read_noise=OneOverFNoise(q=0.04, g_max=25 * US, t0=20.0),
    )


def custom_drift():
    """aihwkit's CustomDriftPCM of the oracle: PCM with tabulated drift exponents."""
    points = [0.0, 10.0, 25.0]
    mean, std = interpolated(points, [0.08, 0.05, 0.02]), interpolated(points, [0.03, 0.02, 0.01])
    return device_like(devices.pcm_joshi2020(), drift=PowerLawDrift(mean, std, 25 * US, 20.0))


SETS = {
    "PCMLike_gmax25": devices.pcm_joshi2020,
    "StateIndependent": state_independent,
    "CustomDriftPCM": custom_drift,
}


@pytest.mark.parametrize("name", SETS)
def test_exact_curves(aihwkit, name):
    want, device = aihwkit["retention"][name], SETS[name]()
    target = jnp.asarray(want["g_target_uS"]) * US
    latents = StateAndNormal(target, jnp.zeros_like(target))
    np.testing.assert_allclose(device.programming.spread(target), np.asarray(want["sigma_prog_uS"]) * US, rtol=1e-5)
    np.testing.assert_allclose(device.drift.nu_mean(target / device.g_max), want["nu_mean"], rtol=1e-5)
    np.testing.assert_allclose(device.drift.nu_std(target / device.g_max), want["nu_std"], rtol=1e-5)
    for t, drifted, noise in zip(
        want["t_s"], want["g_t_noiseless_prog_and_mean_nu_uS"], want["sigma_read_accumulated_uS"], strict=True
    ):
        g = device.drift(target, latents, jnp.asarray(t))
        np.testing.assert_allclose(g, np.asarray(drifted) * US, rtol=1e-5)
        variance = device.read_noise(g, target, jnp.asarray(t), jnp.asarray(BANDWIDTH))
        np.testing.assert_allclose(jnp.sqrt(variance), np.asarray(noise) * US, rtol=1e-5)


@pytest.mark.parametrize("name", SETS)
def test_statistics_over_cells(aihwkit, name):
    """Mean and spread after programming and at every time, read noise included, clipped at 0 S like aihwkit's."""
    want, device = aihwkit["retention"][name], SETS[name]()
    check_statistics(want, device, BANDWIDTH)


def test_statistics_of_wan2022(aihwkit):
    check_statistics(aihwkit["retention"]["ReRamWan2022_gmax40"], devices.reram_wan2022(), BANDWIDTH, programmed=False)


def check_statistics(want, device, bandwidth, programmed=True):
    target = jnp.broadcast_to(jnp.asarray(want["g_target_uS"])[:, None] * US, (10, DRAWS))
    write, read = jax.random.split(jax.random.key(0))
    cells = device.program(target, key=write)
    if programmed:  # Wan's data begin 1 s after programming
        close(cells.g, want["mc"]["g_prog_mean"], want["mc"]["g_prog_std"])
    for i, t in enumerate(want["t_s"]):
        noise = jax.random.normal(jax.random.fold_in(read, i), target.shape)
        g = device.conductance(cells, t) + jnp.sqrt(device.read_variance(cells, t, bandwidth)) * noise
        close(jnp.maximum(g, 0), want["mc"]["g_t_mean"][i], want["mc"]["g_t_std"][i])


def close(g, mean_us, std_us):
    mean_us, std_us = np.asarray(mean_us), np.asarray(std_us)
    g = np.asarray(g, np.float64) / US
    np.testing.assert_array_less(np.abs(g.mean(1) - mean_us), 0.02 * std_us)
    np.testing.assert_array_less(np.abs(g.std(1) - std_us), 0.02 * std_us)


def test_wan2022_spread_is_the_published_polynomial(aihwkit):
    want = aihwkit["retention"]["ReRamWan2022_gmax40"]
    device, target = devices.reram_wan2022(), jnp.asarray(want["g_target_uS"]) * US
    one_sigma = StateAndNormal(target, jnp.ones_like(target))
    spread = device.drift(target, one_sigma, jnp.asarray(1.0)) - target
    np.testing.assert_allclose(spread, np.asarray(want["sigma_prog_uS"]) * US, rtol=1e-4)
