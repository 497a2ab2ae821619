"""Derivatives against finite differences, under jit, in float64: through devices, converters and time."""

import dataclasses

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.drift import PowerLawDrift


def f(p, x):
    return jnp.tanh(x @ p["w"] + p["b"]) @ p["v"]


def setting(dtype=jnp.float64):
    k = jax.random.key(1)
    params = {
        "w": jax.random.normal(k, (6, 5)),
        "b": jnp.linspace(-1, 1, 5),
        "v": jax.random.normal(k, (5, 3)),
    }
    x = jax.random.normal(jax.random.key(2), (4, 6))
    return jax.tree.map(lambda a: a.astype(dtype), (params, x))


def smooth_tile(**laws):
    """PCM cells with a constant drift exponent, ideal converters: everything differentiable in the plain sense."""
    pcm = devices.pcm_joshi2020()
    fields = {name.name: getattr(pcm, name.name) for name in dataclasses.fields(pcm)}
    drift = PowerLawDrift(nu_mean=0.06, nu_std=0.02, g_max=25e-6, t0=20.0)
    device = devices.Device(**{**fields, "drift": drift, **laws})
    return xbar.Tile(device=device, rows=4, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None))


def loss(tile, params, t):
    y = xbar.analog(f, tile)(params, setting()[1], key=jax.random.key(0), t=t)
    return jnp.sum(jnp.sin(y))


PHYSICS = {
    "nu_mean": (lambda t: t.device.drift.nu_mean.value, 1e-4),
    "nu_std": (lambda t: t.device.drift.nu_std.value, 1e-4),
    "t0": (lambda t: t.device.drift.t0, 1e-2),
    "g_max": (lambda t: t.device.g_max, 1e-10),
    "write error": (lambda t: t.device.programming.spread.coefficients, jnp.asarray([1e-10, 0.0, 0.0])),
    "v_read": (lambda t: t.v_read, 1e-5),
    "read_time": (lambda t: t.read_time, 1e-11),
}


@pytest.fixture(scope="module")
def point():
    """The loss as a compiled function of everything, and its gradient by everything, at one point."""
    with jax.enable_x64(True):
        here = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (smooth_tile(), setting()[0], 3600.0))
        value = eqx.filter_jit(lambda at: loss(*at))
        return value, here, eqx.filter_jit(eqx.filter_grad(lambda at: loss(*at)))(here)


@pytest.mark.parametrize("name", PHYSICS)
def test_derivative_by_a_physical_number(point, name):
    """d(loss)/d(physics) to 1e-4: a latent stored instead of computed, or a stopped gradient, gives 0."""
    value, here, grads = point
    where, step = PHYSICS[name]
    with jax.enable_x64(True):
        moved = [eqx.tree_at(lambda at: where(at[0]), here, where(here[0]) + sign * step) for sign in (1, -1)]
        want = float(value(moved[0]) - value(moved[1])) / 2
        got = float(jnp.sum(where(grads[0]) * step))
    assert got == pytest.approx(want, rel=1e-4, abs=1e-13)
    if name != "v_read":  # all noise here scales with the voltage, so that nothing depends on it
        assert abs(want / np.max(step)) > 1e-6


def test_derivative_by_every_parameter(point):
    """d(loss)/d(params), the weight scale of each column and the write error of each cell included."""
    value, here, grads = point
    with jax.enable_x64(True):
        flat, unravel = jax.flatten_util.ravel_pytree(here[1])
        at = lambda shift: float(value((here[0], unravel(flat + shift), here[2])))  # noqa: E731
        want = [(at(s) - at(-s)) / 2e-6 for s in 1e-6 * jnp.eye(flat.size)]
        np.testing.assert_allclose(jax.flatten_util.ravel_pytree(grads[1])[0], want, rtol=1e-4, atol=1e-6)


def test_derivative_by_time(point):
    value, here, grads = point
    with jax.enable_x64(True):
        want = float(value((*here[:2], here[2] + 1.0)) - value((*here[:2], here[2] - 1.0))) / 2
    assert float(grads[2]) == pytest.approx(want, rel=1e-4) and abs(want) > 1e-9


@pytest.mark.few(2)
@pytest.mark.parametrize("device", [devices.ideal, devices.pcm_joshi2020, devices.reram_wan2022])
def test_gradients_stay_finite(device):
    """Under jit, at t = 0, with zero inputs, zero weights, a whole column of zeros, and 4-bit converters."""
    tile = xbar.Tile(device=device(), rows=4, cols=4, dac=xbar.DAC(4), adc=xbar.ADC(4))
    params = {"w": jnp.zeros((6, 5)).at[0, :2].set(1.0), "b": jnp.zeros(5), "v": jnp.zeros((5, 3))}
    x = jnp.zeros((4, 6)).at[0, 0].set(1.0)
    network = xbar.analog(f, tile)
    grads = jax.jit(jax.grad(lambda p, x: jnp.sum(network(p, x, key=jax.random.key(0))), argnums=(0, 1)))(params, x)
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(grads))
    grads = eqx.filter_jit(eqx.filter_grad(lambda n: jnp.sum(n(params, x, key=jax.random.key(0)))))(network)
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(grads))


def test_training_for_many_steps_stays_finite():
    """200 jitted steps with quantised converters and drifting PCM: a gradient through the input scale goes NaN in tens."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=4, cols=4, dac=xbar.DAC(6), adc=xbar.ADC(6))
    network = xbar.analog(f, tile)
    params, x = setting(jnp.float32)

    def step(params, key):
        grads = jax.grad(lambda p: jnp.mean((network(p, x, key=key, t=1e5) - 0.5) ** 2))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), None

    params, _ = jax.jit(lambda p: jax.lax.scan(step, p, jax.random.split(jax.random.key(3), 200)))(params)
    assert all(bool(jnp.all(jnp.isfinite(p))) for p in jax.tree.leaves(params))
