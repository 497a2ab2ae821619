"""Yakopcic's generalised memristor, and the devices it was fitted to."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import convergence, gradients, many_cells, passive

from devices.compact.simulation import Waveform, simulate, sine, triangle
from devices.compact.yakopcic import (
    yakopcic_jo2010,
    yakopcic_miao2011,
    yakopcic_oblea2010,
    yakopcic_oblea2010_pulsed,
)

run = eqx.filter_jit(lambda model, wave: simulate(model, wave, substeps=2))  # compiles once for each number of points

# beyond the threshold and beyond x_p (or 1 - x_n) all the time: there the rate is smooth
SMOOTH = {
    "oblea": (yakopcic_oblea2010, ([0.0, 3e-4, 6e-4], [0.2, 0.3, 0.2]), 0.4),
    "miao": (yakopcic_miao2011, ([0.0, 0.1, 0.2], [0.3, 0.6, 0.4]), 0.4),
    "jo": (yakopcic_jo2010, ([0.0, 2.0, 4.0], [-1.5, -2.0, -1.0]), 0.45),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOOTH)
def test_second_order(name):
    """Against Diffrax: order 2 (1.7 to 2.3). Steps that contain a threshold or x_p see a kink of the rate; one such
    step costs a
    local error of second order once, which leaves the order of the whole as it is but not its constant."""
    with jax.enable_x64(True):
        make, wave, x0 = SMOOTH[name]
        errors, order = convergence(make(), Waveform(*wave), x0, substeps=(8, 16))
        assert 1.7 < order < 2.3, (errors, order)
        assert 1e-9 < errors[-1] < 1e-4


def test_gradients():
    """Through both thresholds, beyond x_p and below 1 - x_n: every parameter but the unused x0 matters."""
    with jax.enable_x64(True):
        wave = Waveform([0.0, 4e-4, 8e-4, 1.2e-3], [0.3, 0.4, -0.4, -0.35])
        values = gradients(yakopcic_oblea2010(), wave, 0.4, substeps=4)
        idle = {name for name, value in values.items() if value == 0}
        assert idle == {".x0"}


@pytest.mark.parametrize("make", [yakopcic_oblea2010, yakopcic_miao2011, yakopcic_jo2010])
def test_pinched_and_passive(make):
    model = make()
    v = jnp.array([-2.0, -0.01, 0.0, 0.01, 2.0])
    i = model.current(jnp.linspace(0.05, 1.0, 5)[:, None], v)
    np.testing.assert_array_equal(jnp.sign(i), jnp.broadcast_to(jnp.sign(v), i.shape))
    passive(run(model, sine(*{yakopcic_oblea2010: (0.45, 100.0)}.get(make, (1.2, 0.05)), points=100)))


def test_many_cells():
    many_cells(yakopcic_oblea2010(), 0.3, 1e-5)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.3, 0.35, 0.9, 1.0])
@pytest.mark.parametrize("v", [-0.4, -0.15, 0.0, 0.16, 0.3])
def test_rate_is_the_published_piecewise_law(x, v):
    """Written out as the SPICE model has it, with branches."""
    xp, xn, ap, an = 0.3, 0.5, 1.0, 5.0
    g, f = 0.0, 1.0
    if v > 0.16:
        g = 4000 * (np.exp(v) - np.exp(0.16))
    if v < -0.15:
        g = -4000 * (np.exp(-v) - np.exp(0.15))
    if v >= 0 and x >= xp:
        f = np.exp(-ap * (x - xp)) * ((xp - x) / (1 - xp) + 1)
    if v < 0 and x <= 1 - xn:
        f = np.exp(an * (x + xn - 1)) * x / (1 - xn)
    with jax.enable_x64(True):
        rate = yakopcic_oblea2010().derivative(jnp.asarray(x), jnp.asarray(v))
    assert float(rate) == pytest.approx(g * f, rel=1e-12, abs=1e-12)


def test_other_polarity_mirrors_the_motion():
    """With eta = -1 a positive voltage lowers the state at its own strength, slowed as any lowering is (x < 1 - xn)."""
    model = yakopcic_oblea2010()
    flipped = dataclasses.replace(model, eta=-1.0)
    x, v = jnp.asarray(0.4), jnp.asarray(0.3)
    falling, rising = np.exp(5 * (0.4 - 0.5)) * 0.4 / 0.5, np.exp(-(0.4 - 0.3)) * (1 - 0.1 / 0.7)
    ratio = float(flipped.derivative(x, v) / model.derivative(x, v))
    assert ratio == pytest.approx(-falling / rising, rel=1e-5)


def test_oblea_loop_collapses_with_frequency():
    """0.45 V sine: peak 3.4 mA at 100 Hz, state from 0.1 to 0.97; at 10 kHz the state hardly moves (0.04).

    At 0.22 V the branch on the way down carries seven times the current of the way up at 100 Hz, and 1.4 times at 10 kHz.
    """
    slow, fast = (run(yakopcic_oblea2010(), sine(0.45, f, points=100)) for f in (100.0, 1e4))
    assert 3.2e-3 < float(slow.i.max()) < 3.6e-3
    assert float(slow.x.min()) < 0.12
    assert float(slow.x.max()) > 0.95
    assert 0.02 < float(fast.x.max() - fast.x.min()) < 0.06
    assert float(slow.i[42] / slow.i[8]) > 5
    assert float(fast.i[42] / fast.i[8]) < 1.5


def test_oblea_pulses_step_the_conductance_up():
    """Five 0.25 V triangles: each takes the state further, in ever smaller steps (0.38, 0.61, 0.73, ...)."""
    sim = run(yakopcic_oblea2010_pulsed(), triangle(*([0.25, 0.0] * 5), rate=100.0, points=20))
    steps = np.diff(np.asarray(sim.x[::40]))
    assert np.all(steps > 0)
    assert np.all(np.diff(steps) < 0)
    np.testing.assert_allclose(sim.x[40], 0.384, atol=0.01)


def test_miao_sets_at_once_and_resets_late():
    """Set from 0.09 V, reset from -0.75 V: nothing moves between them, and -1.25 V takes the state back below 0.1."""
    sim = simulate(yakopcic_miao2011(), triangle(0.75, -1.25, 0.0, rate=0.2, points=50), substeps=4)
    x, v = np.asarray(sim.x), np.asarray(sim.v)
    assert x[50] > 0.95
    still = (v < 0.08) & (v > -0.74)
    assert np.ptp(x[50:100][still[50:100]]) < 1e-6  # sweeping down
    assert x.min() == pytest.approx(0.055, abs=0.02)
    assert 0.03 < float(sim.i.max()) < 0.05


def test_jo_synapse_steps_up_and_down():
    """0.67 uA at 4 V in the first sweep, 1.58 uA in the third; two sweeps to -2 V take it back."""
    corners = [4.0, 0.0] * 3 + [-2.0, 0.0] * 2
    sim = run(yakopcic_jo2010(), triangle(*corners, rate=1.6, points=20))
    peaks = np.asarray(sim.i[20::40])
    assert peaks[0] < peaks[1] < peaks[2]
    assert peaks[3] < peaks[4] < 0
    np.testing.assert_allclose(peaks[[0, 2]], [6.7e-7, 1.58e-6], rtol=0.02)
