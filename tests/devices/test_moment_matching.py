"""The device whose every read meets other cells has the mean and the variance of the cells."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices import drift, noise, programming

CELLS = 20_000


def stuck_and_flickering():
    return devices.Device(
        5e-6,
        60e-6,
        programming=programming.SpreadProgramming(2e-6, 60e-6, error=programming.Uniform()),
        drift=drift.LogTimeRelaxation(shift=-2e-7, spread=3e-7, g_max=60e-6, t0=1.0),
        read_noise=noise.TelegraphNoise(amplitude=0.05, g_max=60e-6),
        faults=devices.faults.StuckAt(0.02, 0.01, 5e-6, 60e-6),
    )


def sampled(device, targets, t, bandwidth, key):
    """Mean and variance over cells and reads together, and their standard errors."""
    cells = device.program(jnp.broadcast_to(targets[:, None], (targets.size, CELLS)), key=key)
    g = np.asarray(device.conductance(cells, t), float)
    read = np.asarray(device.read_variance(cells, t, bandwidth), float).mean(1)
    fourth = ((g - g.mean(1, keepdims=True)) ** 4).mean(1)
    return g.mean(1), g.var(1) + read, g.std(1) / CELLS**0.5, np.sqrt((fourth - g.var(1) ** 2) / CELLS)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "make",
    [
        devices.pcm_hermes2023,
        stuck_and_flickering,
        *[pytest.param(d, marks=pytest.mark.slow) for d in (devices.pcm_joshi2020, devices.reram_wan2022)],
    ],
)
def test_moments_are_those_of_cells(make):
    """At targets between the sampled ones, for cells of another key; off by less than 4 standard errors of both samples and
    a tenth of the spread or the variance for what curves leave out."""
    device = make()
    times = device.provenance.times or (1.0, 3600.0, 86_400.0)
    population = devices.moment_matched(device, times, 1e6, key=jax.random.key(0))
    targets = jnp.linspace(float(device.g_min), float(device.g_max), 23)
    cells = population.program(targets, key=jax.random.key(5))
    for t in times[:3]:
        mean, variance, mean_error, variance_error = sampled(device, targets, t, 1e6, jax.random.key(1))
        g = np.asarray(population.conductance(cells, t))
        var = np.asarray(population.read_variance(cells, t, 1e6))
        assert np.all(np.abs(g - mean) < 4 * 2**0.5 * mean_error + 0.1 * np.sqrt(variance))
        assert np.all(np.abs(var - variance) < 4 * 2**0.5 * variance_error + 0.1 * variance)


def test_nothing_differs_from_cell_to_cell():
    population = devices.moment_matched(devices.pcm_joshi2020(), key=jax.random.key(0))
    cells = population.program(jnp.full(100, 1e-5), key=jax.random.key(1))
    assert len(np.unique(population.conductance(cells, 0.0))) == 1
    assert population.has_read_noise


def test_the_ideal_device_stays_what_it_is():
    device = devices.ideal()
    targets = jnp.linspace(float(device.g_min), float(device.g_max), 11)
    population = devices.moment_matched(device, key=jax.random.key(0))
    cells = population.program(targets, key=jax.random.key(1))
    np.testing.assert_allclose(population.conductance(cells, 0.0), targets, atol=1e-5 * float(device.g_max))
    assert float(population.read_variance(cells, 0.0, 1e6).max()) < (1e-4 * float(device.g_max)) ** 2


def test_it_knows_the_times_it_was_made_for():
    population = devices.moment_matched(devices.pcm_joshi2020(), (1.0, 3600.0), key=jax.random.key(0))
    cells = population.program(jnp.full(3, 1e-5), key=jax.random.key(1))
    assert population.conductance(cells, 1.0)[0] > population.conductance(cells, 3600.0)[0]
    with pytest.raises(ValueError, match="moment-matched pcm_joshi2020 was measured at 0, 1, 3600 s only"):
        population.conductance(cells, 60.0)
    with pytest.raises(ValueError, match="measured at"):
        devices.moment_matched(devices.reram_wan2022(), 5.0, key=jax.random.key(0))


@pytest.mark.parametrize("bad", [dict(targets=5), dict(cells=1), dict(times=())])
def test_too_few(bad):
    with pytest.raises(ValueError, match="must be at least"):
        devices.moment_matched(devices.pcm_joshi2020(), **bad, key=jax.random.key(0))


def test_not_inside_a_transformation():
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(lambda device: devices.moment_matched(device, key=jax.random.key(0)))(devices.pcm_joshi2020())


def test_it_says_when_curves_do_not_follow():
    few = programming.QuantisedProgramming([0.0, 1e-5, 2e-5], programming.SpreadProgramming(1e-7, 2e-5))
    with pytest.warns(UserWarning, match="miss the moments"):
        devices.moment_matched(devices.Device(0.0, 2e-5, programming=few), key=jax.random.key(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        devices.moment_matched(devices.pcm_joshi2020(), key=jax.random.key(0))


def test_slope_of_the_mean():
    """By the target, against a difference of means; float64 has the digits for it."""
    with jax.enable_x64(True):
        population = devices.moment_matched(devices.pcm_joshi2020(), 3600.0, key=jax.random.key(0))
        mean = lambda g: population.conductance(population.program(g[None], key=jax.random.key(1)), 3600.0)[0]  # noqa: E731
        for g in (1e-6, 1.2e-5, 2.4e-5):
            slope = (mean(jnp.asarray(g + 1e-9)) - mean(jnp.asarray(g - 1e-9))) / 2e-9
            np.testing.assert_allclose(jax.jit(jax.grad(mean))(jnp.asarray(g)), slope, rtol=1e-5)
