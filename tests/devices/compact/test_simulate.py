"""The simulator on a model with a closed form: its order, the honesty of its error estimate, jumps, energy, bad input."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.compact.base import AbstractMemristor, exponential_step
from devices.compact.simulation import Waveform, simulate, sine, triangle


class Logistic(AbstractMemristor):
    """dx/dt = k v x (1 - x), i = g x v: x depends on the flux F = int v dt alone, logit x = logit x0 + k F."""

    k: jax.Array = eqx.field(converter=jnp.asarray)
    g: jax.Array = eqx.field(converter=jnp.asarray, default=1e-3)

    def current(self, x, v):
        return self.g * x * v

    def derivative(self, x, v):
        return self.k * v * x * (1 - x)

    @property
    def bounds(self):
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self):
        return jnp.asarray(0.2)


def exact(k, wave, x0=0.2):
    """The state at the waveform's points: the flux of straight lines is a trapezoid."""
    t, v = np.asarray(wave.t, float), np.asarray(wave.v, float)
    flux = np.concatenate([[0], np.cumsum(np.diff(t) * (v[1:] + v[:-1]) / 2)])
    return 1 / (1 + (1 / x0 - 1) * np.exp(-k * flux))


run = eqx.filter_jit(simulate)  # compiles once for each number of points and of substeps
WAVE = ([0.0, 0.5, 1.0, 1.5], [0.0, 2.0, 1.0, 3.0])


@pytest.mark.parametrize("substeps", [4, 8, 16])
def test_error_estimate_is_honest(substeps):
    """Within a factor 3 of the true error of the last state, against the closed form in x64."""
    with jax.enable_x64(True):
        wave = Waveform(*WAVE)
        sim = run(Logistic(1.5), wave, substeps=substeps)
        true = abs(float(sim.x[-1]) - exact(1.5, wave)[-1])
    assert true > 1e-7
    assert true / 3 < float(sim.error) < 3 * true


def test_second_order_at_every_point():
    with jax.enable_x64(True):
        wave = Waveform(*WAVE)
        errors = [np.abs(run(Logistic(1.5), wave, substeps=n).x - exact(1.5, wave))[1:].max() for n in (8, 16)]
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.3


def test_too_long_steps_raise():
    """One step an interval: the linearised step would carry the state across its end, 1, where the true one only
    approaches it and
    comes back. It raises, or says so when asked not to; the state has not stuck at 1; 100 substeps are enough."""
    wave = Waveform([0.0, 0.5, 1.0, 1.5], [0.0, 3.0, -3.0, 0.5])
    with pytest.raises(RuntimeError, match="too long"):
        simulate(Logistic(4.0), wave)
    coarse = run(Logistic(4.0), wave, throw=False)
    assert not bool(coarse.converged)
    assert abs(float(coarse.x[-1]) - exact(4.0, wave)[-1]) > 1e-2
    assert float(coarse.error) > abs(float(coarse.x[-1]) - exact(4.0, wave)[-1]) / 3
    assert float(coarse.x.max()) < 0.99
    fine = run(Logistic(4.0), wave, substeps=100)
    assert bool(fine.converged)
    assert abs(float(fine.x[-1]) - exact(4.0, wave)[-1]) < 1e-3


def test_not_a_number_is_not_converged():
    sim = run(Logistic(jnp.nan), Waveform(*WAVE), throw=False)
    assert not bool(sim.converged)


def test_jump():
    """Two points at one time are a jump: nothing moves within it, the current jumps, and after it the state follows the
    new voltage."""
    with jax.enable_x64(True):
        wave = Waveform([0.0, 0.5, 0.5, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0, 0.0])
        sim = run(Logistic(2.0), wave, substeps=50)
        np.testing.assert_allclose(sim.x, exact(2.0, wave), atol=1e-5)
        assert float(sim.x[1]) == float(sim.x[2])
        assert float(sim.i[2]) == -float(sim.i[1]) != 0
        assert float(sim.x[3]) == pytest.approx(0.2, abs=1e-6)  # the flux is back at 0
        assert float(sim.i[4]) == 0


def test_energy_is_the_integral_of_v_times_i():
    """int g x v^2 dt by Simpson's rule on the closed form, to 1e-5; second order in the step."""
    with jax.enable_x64(True):
        wave = Waveform(*WAVE)
        fine = Waveform(np.linspace(0, 1.5, 3001), np.interp(np.linspace(0, 1.5, 3001), *WAVE))
        power = 1e-3 * exact(1.5, fine) * np.asarray(fine.v) ** 2
        energy = (1.5 / 3000) * (power[0] + power[-1] + 4 * power[1::2].sum() + 2 * power[2:-1:2].sum()) / 3
        errors = [abs(float(run(Logistic(1.5), wave, substeps=n).energy[-1]) / energy - 1) for n in (16, 32)]
    assert errors[1] < 2e-4
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.3
    assert energy > 1e-4


def test_cells_of_different_parameters_and_starts():
    """An array of cells by broadcasting of parameters or of first states, each the closed form of its own."""
    wave = Waveform(*WAVE)
    k, x0 = np.array([0.5, 1.0, 2.0]), np.array([[0.1], [0.6]])
    sim = run(Logistic(k), wave, x0=jnp.asarray(x0), substeps=16)
    assert sim.i.shape == sim.x.shape == sim.energy.shape == (4, 2, 3)
    for row in range(2):
        for column in range(3):
            np.testing.assert_allclose(sim.x[:, row, column], exact(k[column], wave, x0[row, 0]), atol=2e-3)
    assert simulate(Logistic(k), wave, substeps=4).x.shape == (4, 3)


def test_gradient_of_a_simulation():
    """d x_end / d k = F x (1 - x) and d x_end / d v of the middle point, under jit, against the closed form."""
    with jax.enable_x64(True):
        t, v = (jnp.asarray(a) for a in WAVE)
        end = lambda k, v: simulate(Logistic(k), Waveform(t, v), substeps=64).x[-1]  # noqa: E731
        by_k, by_v = jax.jit(jax.grad(end, argnums=(0, 1)))(jnp.asarray(1.5), v)
        x, flux = exact(1.5, Waveform(t, v))[-1], 2.25
    assert float(by_k) == pytest.approx(flux * x * (1 - x), rel=1e-3)
    assert float(by_v[1]) == pytest.approx(1.5 * 0.5 * x * (1 - x), rel=1e-3)


def test_exponential_step():
    """Exact where the rate is linear, for steps far beyond stability of Euler's; kept within the bounds; cells do not mix."""
    with jax.enable_x64(True):
        rate = lambda x, v: (v - x) / jnp.array([1e-3, 1.0, 1e3])  # noqa: E731
        x = exponential_step(rate, jnp.asarray(0.9), jnp.asarray(0.3), jnp.asarray(1.0), (0.0, 1.0))
        np.testing.assert_allclose(x, 0.3 + 0.6 * np.exp(-np.array([1e3, 1.0, 1e-3])), rtol=1e-12)
        # a rate that does not vanish at the bound carries the state to it, and the bound stops it
        beyond = exponential_step(rate, jnp.asarray(0.9), jnp.asarray(-5.0), jnp.asarray(1.0), (0.0, 1.0))
        assert float(beyond[0]) == float(beyond[1]) == 0


def test_waveforms():
    wave = triangle(1.0, -0.5, 0.0, rate=2.0, points=10)
    t, v = np.asarray(wave.t), np.asarray(wave.v)
    assert t.size == 31
    np.testing.assert_allclose(v[[0, 10, 20, 30]], [0, 1, -0.5, 0], atol=1e-6)
    np.testing.assert_allclose(t[[0, 10, 20, 30]], [0, 0.5, 1.25, 1.5], rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.diff(v) / np.diff(t)), 2.0, rtol=1e-4)
    wave = sine(0.8, 50.0, cycles=2, points=40)
    assert wave.t.shape == (81,)
    np.testing.assert_allclose(wave.v, 0.8 * np.sin(2 * np.pi * 50 * np.asarray(wave.t)), atol=1e-5)
    assert float(wave.t[-1]) == pytest.approx(0.04)
    assert Waveform([0, 1], [0, 1]).t.dtype == jnp.float32  # whole numbers too


@pytest.mark.parametrize(
    "t, v, says",
    [
        ([0.0, 2.0, 1.0], [0.0, 1.0, 0.0], "ascending"),
        ([0.0, np.nan, 1.0], [0.0, 1.0, 0.0], "finite"),
        ([0.0, np.inf], [0.0, 1.0], "finite"),
        ([0.0, 1.0], [0.0, np.inf], "finite"),
        ([0.0], [0.0], "two points"),
        ([0.0, 1.0, 2.0], [0.0, 1.0], "as many times"),
        ([0.0, 1.0, 1.0 + 1e-9], [0.0, 0.0, 1.0], "float32 cannot resolve"),
        (np.arange(4) * 1e-8 + 1.0, [0.0, 0.0, 1.0, 1.0], "float32 cannot resolve"),
    ],
)
def test_bad_waveforms_are_refused(t, v, says):
    with pytest.raises(ValueError, match=says):
        Waveform(t, v)


def test_nanoseconds_after_a_second_in_x64():
    with jax.enable_x64(True):
        wave = Waveform([0.0, 1.0, 1.0 + 1e-9], [0.0, 0.0, 1.0])
        assert float(wave.t[2] - wave.t[1]) == pytest.approx(1e-9, rel=1e-6)
