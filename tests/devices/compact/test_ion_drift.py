"""Linear ion drift and windows: exact without a window, second order with one, and the known shape of every window."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import convergence, gradients, many_cells, passive, pinched

from devices.compact.linear_ion_drift import LinearIonDrift, strukov2008
from devices.compact.simulation import Waveform, simulate, sine
from devices.compact.windows import Biolek, Exponential, Joglekar, Linear, NoWindow, Prodromakis

WINDOWS = {
    "none": NoWindow(),
    "joglekar": Joglekar(p=2.0),
    "biolek": Biolek(p=2.0, width=2e-5),
    "prodromakis": Prodromakis(p=3.0, j=1.2),
}


def test_flux_closed_form():
    """Without a window R^2 = R_0^2 - 2 (R_off - R_on) k flux: the simulation of a sine is that to rounding, in any
    number of steps."""
    with jax.enable_x64(True):
        model, wave = strukov2008(), sine(1.0, 20.0, cycles=2, points=40)
        sim = jax.jit(lambda: simulate(model, wave))()
        flux = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.diff(wave.t) * (wave.v[1:] + wave.v[:-1]) / 2)])
        k = 1e-14 * 100 / 10e-9**2
        r = jnp.sqrt((16e3 - 15.9e3 * 0.1) ** 2 - 2 * 15.9e3 * k * flux)
        np.testing.assert_allclose(sim.x, (16e3 - r) / 15.9e3, rtol=1e-10)
        assert float(sim.error) < 1e-12
        assert float(jnp.max(sim.x)) > 0.11  # it moved


def test_held_at_the_ends():
    """A long positive voltage fills the film and a long negative one empties it: then 100 ohm and 16 kohm, exactly."""
    model = strukov2008()
    wave = Waveform(t=jnp.array([0.0, 10.0, 10.0, 30.0]), v=jnp.array([1.0, 1.0, -1.0, -1.0]))
    x = simulate(model, wave, throw=False).x
    np.testing.assert_allclose(x, [0.1, 1.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(model.resistance(x[1:]), [100.0, 100.0, 16e3], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["joglekar", "biolek", "prodromakis"])
def test_second_order_with_a_window(name):
    """Against Diffrax on a swell that moves x by tens of percent: order 2 (1.8 to 2.2), 1e-4 of the movement at 16
    substeps."""
    with jax.enable_x64(True):
        model = strukov2008(WINDOWS[name])
        wave = Waveform(t=jnp.linspace(0, 0.5, 21), v=0.5 * jnp.sin(jnp.linspace(0, 2.0, 21)))
        errors, order = convergence(model, wave, 0.3)
        assert 1.8 < order < 2.2, (errors, order)
        assert errors[-1] < 1e-4


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if i else ()) for i, n in enumerate(WINDOWS)])
def test_gradients(name):
    with jax.enable_x64(True):
        model = strukov2008(WINDOWS[name])
        values = gradients(model, sine(2.0, 5.0, points=24), 0.3, substeps=2)
        assert abs(values[".thickness"]) > 0.01


def test_pinched_and_passive():
    with jax.enable_x64(True):
        pinched(strukov2008(), 2.0)
        passive(simulate(strukov2008(WINDOWS["biolek"]), sine(1.0, 1.0, points=100), throw=False))


def test_loop_collapses_with_frequency():
    """Strukov's figure 2b: the lobe of a 1 V sine closes to a line at 10 times the frequency (its area falls as 1/f
    at least)."""
    with jax.enable_x64(True):
        half = lambda f: Waveform(t=sine(1.0, f).t[:101], v=sine(1.0, f).v[:101])  # noqa: E731
        run = jax.jit(lambda w: simulate(strukov2008(), w))
        slow, fast = run(half(3.0)), run(half(30.0))
        area = lambda sim: abs(float(jnp.trapezoid(sim.i, sim.v)))  # noqa: E731
        assert area(slow) / area(fast) > 10
        assert float(slow.x[-1]) > 0.15  # half a period at 3 Hz moves the boundary, which starts at 0.1


def test_window_shapes():
    """Values by hand, zeros at the ends, and the end that each window does not stop at."""
    ends, up, down = jnp.array([0.0, 1.0]), jnp.array(1e-3), jnp.array(-1e-3)
    quarter = jnp.array(0.25)
    np.testing.assert_allclose(Joglekar(p=1.0)(quarter, up), 0.75)
    np.testing.assert_allclose(Joglekar(p=1.0)(ends, up), [0, 0], atol=1e-6)
    np.testing.assert_allclose(Biolek(p=1.0)(quarter, up), 1 - 1 / 16)
    np.testing.assert_allclose(Biolek(p=1.0)(quarter, down), 1 - 9 / 16)
    np.testing.assert_allclose(Biolek(p=1.0)(ends, up), [1, 0], atol=1e-6)
    np.testing.assert_allclose(Biolek(p=1.0)(ends, down), [0, 1], atol=1e-6)
    np.testing.assert_allclose(Prodromakis(p=1.0, j=2.0)(quarter, up), 2 * (1 - (1 / 16 + 0.75)))
    np.testing.assert_allclose(Prodromakis(p=3.5)(ends, up), [0, 0], atol=1e-6)
    np.testing.assert_allclose(Linear()(quarter, up), 0.75)
    np.testing.assert_allclose(Linear()(quarter, down), 0.25)
    e = Exponential(up=0.9, down=0.1, scale=0.05)
    np.testing.assert_allclose(e(jnp.array([0.9, 0.1]), up), [np.exp(-1), 1], rtol=1e-5)
    np.testing.assert_allclose(e(jnp.array([0.9, 0.1]), down), [1, np.exp(-1)], rtol=1e-5)


def test_joglekar_sticks_and_biolek_does_not():
    """The terminal state: started at an end, a cell with Joglekar's window stays there under any voltage; with
    Biolek's it leaves."""
    wave = Waveform(t=jnp.array([0.0, 0.5]), v=jnp.array([-1.0, -1.0]))
    stuck = simulate(strukov2008(Joglekar()), wave, x0=1.0, throw=False).x[-1]
    free = simulate(strukov2008(Biolek()), wave, x0=1.0, substeps=50, throw=False).x[-1]
    assert float(stuck) == 1
    assert float(free) < 0.9


def test_windows_have_finite_gradients_everywhere():
    """Also at the ends, in the middle and at 0 drive, for x, the drive and every parameter."""
    for window in [*WINDOWS.values(), Linear(), Exponential(up=0.9, down=0.1, scale=0.05)]:
        for x in (0.0, 0.5, 1.0):
            got = eqx.filter_grad(lambda a: a[0](a[1], a[2]))((window, jnp.array(x), jnp.array(0.0)))
            assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(got)), (window, x)


def test_many_cells():
    many_cells(strukov2008(), 1.0, 1e-3)
    many_cells(strukov2008(Joglekar()), 1.0, 1e-3)


def test_array_parameters():
    """Parameters of shape (3,) are three cells, each as if it were alone."""
    mobility = jnp.array([0.5e-14, 1e-14, 2e-14])
    make = lambda mu: LinearIonDrift(r_on=100.0, r_off=16e3, mobility=mu, thickness=1e-8, window=Joglekar())  # noqa: E731
    wave = Waveform(t=jnp.linspace(0, 0.3, 11), v=jnp.ones(11))
    together = simulate(make(mobility), wave, x0=0.2).x[-1]
    alone = jnp.stack([simulate(make(m), wave, x0=0.2).x[-1] for m in mobility])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert float(together.max() - together.min()) > 1e-4
