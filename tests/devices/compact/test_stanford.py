"""Stanford-PKU: gap, heat, smallest field, noise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import convergence, gradients, many_cells, passive, pinched

from devices.compact.circuit import Circuit
from devices.compact.simulation import Waveform, simulate
from devices.compact.stanford import NoisyStanfordPKU, stanford_alon, stanford_hfo2_granada, stanford_hfox_default


def swell(v0, v1, duration, points=13):
    s = jnp.linspace(0, 1, points)
    return Waveform(t=s * duration, v=v0 + (v1 - v0) * jnp.sin(jnp.pi / 2 * s))


CASES = {  # a RESET and a SET that stay inside the bounds
    "hfox": (stanford_hfox_default, lambda: swell(-1.2, -1.35, 2e-7), 0.6e-9),
    "alon": (stanford_alon, lambda: swell(0.6, 1.05, 1e-6), 1.2e-9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_second_order(name):
    """Against Diffrax: order 2 (1.7 to 2.3), below 1e-4 of the movement at 16 substeps."""
    with jax.enable_x64(True):
        make, wave, x0 = CASES[name]
        errors, order = convergence(make(), wave(), x0)
        assert 1.7 < order < 2.3, (errors, order)
        assert errors[-1] < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    with jax.enable_x64(True):
        make, wave, x0 = CASES[name]
        model = dataclasses.replace(make(), r_th=jnp.asarray(2e3), g_min=jnp.asarray(1e-10))  # AlON has zeros here
        values = gradients(model, wave(), x0)
        assert abs(values[".activation"]) > 0.1


@pytest.mark.parametrize("make", [stanford_hfox_default, stanford_alon, stanford_hfo2_granada])
def test_pinched(make):
    with jax.enable_x64(True):
        pinched(make(), 1.5)


def test_passive():
    with jax.enable_x64(True):
        make, wave, x0 = CASES["hfox"]
        passive(simulate(make(), wave(), x0=x0))


def test_numbers_of_the_program():
    """Version 1.0.0 by hand: on/off ratio exp((1.7 - 0.2) / 0.25) = 403; heat 2.1e3 K/W times the power; gamma 16 -
    0.8 g^3."""
    with jax.enable_x64(True):
        model, v = stanford_hfox_default(), jnp.array(0.1)
        on, off = model.current(jnp.array([0.2e-9, 1.7e-9]), v)
        np.testing.assert_allclose(on / off, np.exp(6), rtol=1e-10)
        i = 1e-3 * np.exp(-4) * np.sinh(1.2 / 0.25)
        gap, v = jnp.array(1e-9), jnp.array(1.2)
        t = 298 + 1.2 * i * 2.1e3
        np.testing.assert_allclose(model.temperature(gap, v), t)
        kt = 1.380649e-23 * t / 1.602177e-19
        rate = -10 * np.exp(-0.6 / kt) * np.sinh((16 - 0.8) * 0.25 / 12 * 1.2 / kt)
        np.testing.assert_allclose(model.derivative(gap, v), rate, rtol=1e-3)  # the smooth limit is open to 1e-3 here


def test_smallest_field():
    """Below 1.4 V/nm of enhanced field (1.1 V at 1 nm) nothing moves: 10 years at 0.5 V. Without the limit the gap
    would close in hours. The limit's width sets how sharp it is; with a narrow one the program's jump comes back."""
    with jax.enable_x64(True):
        model, gap = stanford_hfox_default(), jnp.array(1e-9)
        rate = abs(float(model.derivative(gap, jnp.array(0.5))))
        assert rate * 3e8 < 1e-12
        free = abs(float(dataclasses.replace(model, f_min=None).derivative(gap, jnp.array(0.5))))
        assert free * 3600 > 1e-9
        edge = 1.4e9 * 12e-9 / 15.2
        sharp = dataclasses.replace(model, f_width=jnp.asarray(1e3))
        below, above = sharp.enhancement(gap, jnp.array([edge - 1e-4, edge + 1e-4]))
        assert float(below) < 1e-6
        np.testing.assert_allclose(above, 15.2, rtol=1e-6)
        np.testing.assert_allclose(sharp.enhancement(gap, jnp.array(edge)), 7.6, rtol=1e-3)


def test_compliance_sets_the_resistance():
    """SET at 1.7 V behind a current limit: ten times the limit closes the gap further, by about g_0 ln 10 less what
    the heat and sinh take; without a limit it ends at the smallest gap."""
    with jax.enable_x64(True):
        limits = jnp.array([1e-3, 1e-2, 10.0])
        wave = Waveform(t=jnp.linspace(0, 2e-6, 41), v=1.7 - 1.7 * jnp.abs(jnp.linspace(-1, 1, 41)))
        sim = jax.jit(
            lambda c: simulate(Circuit(stanford_hfox_default(), compliance=c), wave, substeps=16, throw=False)
        )(limits)
        gap = sim.x[-1]
        assert float(gap[2]) == pytest.approx(0.2e-9)
        assert 0.3e-9 < float(gap[0] - gap[1]) < 0.8e-9
        assert bool(jnp.all(jnp.max(jnp.abs(sim.i), axis=0) <= limits * (1 + 1e-6)))


def test_granada_switches_at_its_field():
    """From 0.284 nm the cell opens at 1.4 V / 1.585 = 0.88 V and not before; far beyond it is over within a
    nanosecond."""
    with jax.enable_x64(True):
        model = stanford_hfo2_granada()
        rates = model.derivative(model.initial, jnp.array([0.85, 0.92, -0.85, -0.92]))
        assert abs(rates[0]) * 1e-3 < 1e-12 < abs(rates[1]) * 1e-9
        assert abs(rates[2]) * 1e-3 < 1e-12 < abs(rates[3]) * 1e-9
        assert rates[1] < 0 < rates[3]


@pytest.mark.slow
def test_noise_does_not_depend_on_the_step():
    """4000 walks of 8 ns in 8 steps and in 1: standard deviations delta sigma(T) sqrt(tau t), within 5 % (4 standard
    errors: false alarm 1e-4). Without a voltage nothing moves."""
    model = NoisyStanfordPKU(dataclasses.replace(stanford_hfox_default(), r_th=jnp.asarray(0.0)))
    x, v = jnp.full(4000, 1e-9), jnp.array(0.1)
    one = model.step(x, v, jnp.asarray(8e-9), key=jax.random.key(1))
    many = x
    for key in jax.random.split(jax.random.key(2), 8):
        many = model.step(many, v, jnp.asarray(1e-9), key=key)
    expected = 0.02 / (1 + np.exp((450 - 298) / 500)) * np.sqrt(1e-9 * 8e-9)
    for end in (one, many):
        np.testing.assert_allclose(np.std(np.asarray(end, np.float64)), expected, rtol=0.05)
    np.testing.assert_array_equal(model.step(x, jnp.array(0.0), jnp.asarray(1e-9), key=jax.random.key(3)), x)
    with pytest.raises(ValueError, match="stochastic"):
        simulate(model, swell(0.1, 0.2, 1e-8))


@pytest.mark.slow
def test_many_cells():
    many_cells(stanford_hfox_default(), -1.4, 1e-8)
