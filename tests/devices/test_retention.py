"""Write error, drift and read noise against aihwkit 1.2.0, an independent implementation of the same published laws.

Exact entries (curves of the target) must agree to 1e-5: a wrong coefficient, unit or exponent fails. Monte-Carlo entries
are compared with 200,000 draws of ours: the standard error of a mean is 0.3 % of sigma (both sides), so that the
tolerance of 2 % of sigma on means and stds has a false-alarm rate below 1e-9 per entry.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.drift import PowerLawDrift, StateAndNormal
from devices.noise import OneOverFNoise
from devices.programming import SpreadProgramming

US = 1e-6
BANDWIDTH = {"Hermes_1dev": 0.5 / 512e-9}  # Hz, from aihwkit's t_read; 250 ns elsewhere
BANDWIDTH_ELSEWHERE = 0.5 / 250e-9
DRAWS = 200_000


def interpolated(points_us, values):
    return lambda x: jnp.interp(x * 25, jnp.asarray(points_us), jnp.asarray(values))


def state_independent():
    """aihwkit's StateIndependent model: 0.2 uS write error, nu = 0.1 +- 0.05, relative 1/f noise 1/25."""
    return dataclasses.replace(
        devices.pcm_joshi2020(),
        programming=SpreadProgramming(0.2 * US, 25 * US),
        drift=PowerLawDrift(0.1, 0.05, 25 * US, 20.0),
        read_noise=OneOverFNoise(q=0.04, g_max=25 * US, t0=20.0),
    )


def custom_drift():
    """aihwkit's CustomDriftPCM of the oracle: PCM with tabulated drift exponents."""
    points = [0.0, 10.0, 25.0]
    mean, std = interpolated(points, [0.08, 0.05, 0.02]), interpolated(points, [0.03, 0.02, 0.01])
    return dataclasses.replace(devices.pcm_joshi2020(), drift=PowerLawDrift(mean, std, 25 * US, 20.0))


SETS = {
    "PCMLike_gmax25": devices.pcm_joshi2020,
    "Hermes_1dev": lambda: devices.pcm_hermes2023(devices_per_weight=1),
    "StateIndependent": state_independent,
    "CustomDriftPCM": custom_drift,
}


@pytest.mark.parametrize("name", SETS)
def test_exact_curves(aihwkit, name):
    want, device = aihwkit["retention"][name], SETS[name]()
    target = jnp.asarray(want["g_target_uS"]) * US
    latents = StateAndNormal(target, jnp.zeros_like(target))
    np.testing.assert_allclose(device.programming.scale(target), np.asarray(want["sigma_prog_uS"]) * US, rtol=1e-5)
    np.testing.assert_allclose(device.drift.nu_mean(target / device.g_max), want["nu_mean"], rtol=1e-5)
    np.testing.assert_allclose(device.drift.nu_std(target / device.g_max), want["nu_std"], rtol=1e-5)
    for t, drifted, noise in zip(
        want["t_s"], want["g_t_noiseless_prog_and_mean_nu_uS"], want["sigma_read_accumulated_uS"], strict=True
    ):
        g = device.drift(target, latents, jnp.asarray(t))
        np.testing.assert_allclose(g, np.asarray(drifted) * US, rtol=1e-5)
        bandwidth = BANDWIDTH.get(name, BANDWIDTH_ELSEWHERE)
        variance = device.read_noise(g, target, jnp.asarray(t), jnp.asarray(bandwidth))
        np.testing.assert_allclose(jnp.sqrt(variance), np.asarray(noise) * US, rtol=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "StateIndependent" else pytest.mark.slow) for name in SETS]
)
def test_statistics_over_cells(aihwkit, name):
    """Mean and spread after programming and at every time, read noise included, clipped at 0 S like aihwkit's."""
    want, device = aihwkit["retention"][name], SETS[name]()
    check_statistics(want, device, BANDWIDTH.get(name, BANDWIDTH_ELSEWHERE))


def test_statistics_of_wan2022(aihwkit):
    check_statistics(
        aihwkit["retention"]["ReRamWan2022_gmax40"], devices.reram_wan2022(), BANDWIDTH_ELSEWHERE, programmed=False
    )


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


@pytest.mark.slow
def test_statistics_of_cmo(aihwkit):
    """Write error of the tight window, relaxation and 1/f noise, clipped to the device's window after the read as there."""
    want, device = aihwkit["retention"]["ReRamCMO_range0.2pct"], devices.reram_cmo_falcone2025(acceptance=0.002)
    target = jnp.asarray(want["g_target_uS"]) * US
    # their spread is the difference of two float32 numbers of up to 88 uS: it has a resolution of 4e-12 S
    np.testing.assert_allclose(
        device.programming.scale(target), np.asarray(want["sigma_prog_uS"]) * US, rtol=0, atol=4e-12
    )
    low, high = (float(g) * (1 + 1e-6) for g in (device.g_min, device.g_max))
    target = jnp.broadcast_to(target[:, None], (10, DRAWS))
    write, read = jax.random.split(jax.random.key(1))
    cells = device.program(jnp.clip(target, device.g_min, device.g_max), key=write)
    close(cells.g, want["mc"]["g_prog_mean"], want["mc"]["g_prog_std"])
    relaxation = dataclasses.replace(
        device.drift, low=0.0, high=None
    )  # there the window is applied once, after the read
    for i, t in enumerate(want["t_s"]):
        g = relaxation(cells.g, cells.drift, jnp.asarray(t))
        variance = device.read_noise(g, cells.read_noise, jnp.asarray(t), jnp.asarray(0.5 / 1e-6))
        g = g + jnp.sqrt(variance) * jax.random.normal(jax.random.fold_in(read, i), target.shape)
        close(jnp.clip(g, low, high), want["mc"]["g_t_mean"][i], want["mc"]["g_t_std"][i])
