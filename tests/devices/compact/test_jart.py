"""JART VCM v1b against a plain re-statement of its equations, Diffrax and what is known of its switching. A negative
voltage SETs."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import convergence, many_cells, passive, pinched, rate_gradients
from scipy.optimize import brentq

from devices.compact.jart import cycle_to_cycle, jart_vcm_v1b, jart_vcm_v1b_variable
from devices.compact.simulation import Waveform, simulate, triangle


@eqx.filter_jit
def rate(model, x, v):
    return model.derivative(x, v)


def plain(n, v):
    """Contact voltage, current and temperature in joules and metres, the solution nearest to 0 V by a fine scan and
    Brent's method."""
    e, k, h, eps0, m = 1.602177e-19, 1.380649e-23, 6.62607e-34, 8.854188e-12, 9.109384e-31
    area = np.pi * 45e-9**2
    disc = 0.4e-9 / (n * 1e26 * 2 * e * 4e-6 * area)
    plug = 2.6e-9 / (20e26 * 2 * e * 4e-6 * area)

    def state(u):
        line = lambda i: i * (disc + plug + 650 + 719.2437 * (1 + 3.92e-3 * 719.2437 * i**2 * 90471.47)) - (v - u)  # noqa: E731
        i = brentq(line, -1, 1, xtol=1e-18)
        t = 293 + i * (i * (disc + plug) + u) * 15.72e6 * (0.27 if v > 0 else 1)
        return i, t

    def excess(u):
        i, t = state(u)
        phi = 0.18
        if u < 0.08:
            phi = max(0.18 - (e**3 * 2 * n * 1e26 * (0.08 - u) / (8 * np.pi**2 * (5.5 * eps0) ** 3)) ** 0.25, 0)
        if u >= 0:
            return area * 6.01e5 * t**2 * np.exp(-phi * e / (k * t)) * (np.exp(e * u / (k * t)) - 1) - i
        w00 = e * h / (4 * np.pi) * np.sqrt(2 * n * 1e26 / (m * 17 * eps0))
        w0, ep = w00 / np.tanh(w00 / (k * t)), w00 / (w00 / (k * t) - np.tanh(w00 / (k * t)))
        root = np.sqrt(np.pi * w00 * e * (-u + phi / np.cosh(w00 / (k * t)) ** 2))
        return -area * 6.01e5 * t / k * root * np.exp(-e * phi / w0) * (np.exp(-e * u / ep) - 1) - i

    grid = np.linspace(0, v, 4001)[1:]
    values = np.sign(v) * np.array([excess(u) for u in grid])
    first = int(np.argmax(values >= 0))
    u = brentq(excess, *sorted((grid[first - 1] if first else 0, grid[first])), xtol=1e-15)
    return (u, *state(u))


def test_against_the_equations():
    """Both polarities, three decades of vacancies: contact voltage, current and temperature to 1e-5 (the constants
    have 6 digits)."""
    n, v = (x.ravel() for x in np.meshgrid([0.008, 0.5, 20.0], [-1.2, -0.4, 0.4, 1.2]))
    u, i, t = np.array([plain(*at) for at in zip(n, v, strict=True)]).T
    with jax.enable_x64(True):
        model, x, at = jart_vcm_v1b(), jnp.log(n), jnp.asarray(v)
        of = eqx.filter_jit(lambda m, x, v: (m.contact_voltage(x, v), m.current(x, v), m.temperature(x, v)))
        for found, want, rtol in zip(of(model, x, at), (u, i, t), (1e-4, 1e-5, 1e-5), strict=True):
            np.testing.assert_allclose(found, want, rtol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize("v0, v1, duration, n", [(-0.42, -0.5, 1e-6, 0.05), (0.75, 0.85, 1e-6, 5.0)])
def test_second_order(v0, v1, duration, n):
    """A SET and a RESET, before they run away, against Diffrax: order 2 (1.7 to 2.3), below 1e-3 of the movement at
    16 substeps."""
    with jax.enable_x64(True):
        s = jnp.linspace(0, 1, 9)
        wave = Waveform(t=s * duration, v=v0 + (v1 - v0) * jnp.sin(jnp.pi / 2 * s))
        errors, order = convergence(jart_vcm_v1b(), wave, np.log(n))
        assert 1.7 < order < 2.3, (errors, order)
        assert errors[-1] < 1e-3


@pytest.mark.slow
def test_gradients():
    """Of a SET and a RESET together."""
    with jax.enable_x64(True):
        values = rate_gradients(jart_vcm_v1b(), np.log([0.1, 2.0]), [-0.5, 0.6])
        assert abs(values[".activation"]) > 1


def test_pinched():
    with jax.enable_x64(True):
        pinched(jart_vcm_v1b(), 0.6)


@pytest.mark.slow
def test_sweep():
    """-1.2 V and back, then +1.2 V at 1 V/s: abrupt SET between -0.5 and -0.7 V, RESET between 0.7 and 1 V, on/off
    ratio above 20 at 0.2 V, less than 1 mA by the lines' resistance, energy that only grows."""
    with jax.enable_x64(True):
        wave = triangle(-1.2, 1.2, 0.0, rate=1.0, points=60)
        sim = jax.jit(lambda: simulate(jart_vcm_v1b(), wave, substeps=1, throw=False))()
        v, n = np.asarray(wave.v), np.exp(np.asarray(sim.x))
        assert -0.7 < v[np.argmax(n > 1)] < -0.5
        after = 61 + np.argmax(n[61:] < 1)
        assert 0.7 < v[after] < 1.0
        passive(sim)
        on, off = np.interp(0.2, v[61:121], np.asarray(sim.i[61:121])), float(sim.i[-11])
        assert v[-11] == pytest.approx(0.2)
        assert on / off > 20
        assert float(jnp.max(jnp.abs(sim.i))) < 1e-3


def test_kinetics():
    """The nonlinearity that non-volatile memory needs: the SET rate grows by more than 10 decades from -0.25 to -1 V,
    at +-0.1 V nothing happens in a day, and the rate ends at the bounds."""
    with jax.enable_x64(True):
        model, x = jart_vcm_v1b(), jnp.log(0.1)
        low, high = model.bounds
        states = jnp.stack([x, x, model.initial, model.initial, high, low])
        found = np.asarray(rate(model, states, jnp.array([-0.25, -1.0, -0.1, 0.1, -1.0, 1.0])))
        slow, fast, *hrs, at_high, at_low = found
        assert fast / slow > 1e10
        assert np.max(np.abs(hrs)) * 86400 < 0.1  # of ln N in a day
        assert at_high == pytest.approx(0, abs=1e-6 * fast) and at_low == pytest.approx(0, abs=1e-6)


def test_devices_differ(key):
    """2000 devices: widths of the spread as published (cut normal: 0.88 of them, within 6 %), correlated heat,
    different currents; cycle steps are small, remembered, and never leave the spread."""
    cells, nominal = jart_vcm_v1b_variable((2000,), key=key), jart_vcm_v1b()
    for name, sigma in {"n_min": 0.002, "n_max": 1.0, "length": 0.04e-9, "radius": 5e-9}.items():
        values = getattr(cells, name)
        np.testing.assert_allclose(jnp.std(values) / sigma, 0.88, rtol=0.06)
        assert float(jnp.max(jnp.abs(values - getattr(nominal, name)))) <= 2.001 * sigma
    np.testing.assert_allclose(cells.r_th * cells.radius**2, 15.72e6 * 45e-9**2, rtol=1e-4)
    arrays, rest = eqx.partition(cells, eqx.is_array)

    def cycle(arrays, k):
        after = cycle_to_cycle(eqx.combine(arrays, rest), nominal, key=k)
        return eqx.filter(after, eqx.is_array), after.radius

    walk = jax.jit(lambda a: jax.lax.scan(cycle, a, jax.random.split(key, 30)))(arrays)[1]
    radius = np.concatenate([np.asarray(cells.radius)[None], np.asarray(walk)]) / 5e-9
    assert np.abs(np.diff(radius, axis=0)).max() <= 0.1001  # a tenth of a standard deviation a cycle
    assert np.abs(radius - 9).max() <= 2.001
    assert np.std(radius[-1] - radius[0]) > 0.2
    with jax.enable_x64(True):
        few = jart_vcm_v1b_variable((8,), key=key)
        i = eqx.filter_jit(lambda m: m.current(m.initial, jnp.array(-0.2)))(few)
        assert float(jnp.std(i) / jnp.abs(jnp.mean(i))) > 0.05


@pytest.mark.slow
def test_many_cells():
    many_cells(jart_vcm_v1b(), -0.5, 1e-9, cells=20_000)  # fewer: each solves for its contact voltage


@pytest.mark.slow
def test_gradient_of_a_simulation():
    """Reverse mode through a whole simulation, 10 ns at -0.45 V, against central differences. It compiles for minutes."""
    with jax.enable_x64(True):
        wave = Waveform([0.0, 1e-8], [-0.45, -0.45])
        last = lambda m: simulate(m, wave, x0=0.0, substeps=4, throw=False).x[-1]  # noqa: E731
        gradient = jax.jit(jax.grad(last))(jart_vcm_v1b())
        for name in ("radius", "activation", "r_th"):
            value = getattr(jart_vcm_v1b(), name)
            up, down = (last(dataclasses.replace(jart_vcm_v1b(), **{name: value * (1 + s)})) for s in (1e-6, -1e-6))
            assert float(getattr(gradient, name) * value) == pytest.approx(float(up - down) / 2e-6, rel=1e-6)
