"""Conduction laws at their limits and at published numbers; faults and ageing by count."""

import jax
import jax.numpy as jnp
import law_cases as cases
import numpy as np
import pytest

import devices
from devices import conduction, faults

US = 1e-6


@pytest.mark.parametrize("name", [n for n in cases.CONDUCTION if n not in ("state", "tio2", "temperature", "series")])
def test_g_is_the_conductance_at_small_voltage(name):
    with jax.enable_x64(True):
        slope = jax.grad(lambda v: cases.CONDUCTION[name](jnp.asarray(10.0), v))(1e-7)
    assert float(slope) == pytest.approx(10.0, rel=2e-3)
    assert float(cases.CONDUCTION[name](jnp.asarray(10.0), jnp.asarray(0.0))) == 0


def test_formulas():
    """sinh, Poole-Frenkel and Schottky at 0.3 V, by hand."""
    g, v = jnp.asarray(2.0), jnp.asarray(0.3)
    assert float(conduction.Sinh(0.1)(g, v)) == pytest.approx(0.2 * np.sinh(3), rel=1e-5)
    assert float(conduction.PooleFrenkel(0.5)(g, -v)) == pytest.approx(-0.6 * np.exp(np.sqrt(0.6)), rel=1e-5)
    vt = 8.617333262e-5 * 300
    forward, backward = (conduction.Schottky(2.0, 0.5)(g, s * v) for s in (1, -1))
    assert float(forward) == pytest.approx(2 * 2 * vt * (np.exp(0.3 / (2 * vt)) - 1), rel=1e-4)
    assert float(backward) == pytest.approx(2 * 2 * vt * (np.exp(-0.3 / (2 * vt)) - 1) * np.exp(np.sqrt(0.6)), rel=1e-4)


def test_milo_readout():
    """The published polynomials at 100 uS (log10 g = -4): q = -8.0e-6 A/V^2 and c = -5.4e-7 A/V^3, and 4 % off Ohm's
    law at 0.5 V."""
    law = devices.reram_milo2021().conduction
    q = 7.063e-3 + 5.711e-3 * -4 + 1.541e-3 * 16 + 1.388e-4 * -64
    c = 1.2968e-3 + 6.7919e-4 * -4 + 8.871e-5 * 16
    i = law(jnp.asarray(100 * US), jnp.asarray(0.5))
    assert float(i) == pytest.approx(50 * US + q * 0.25 + c * 0.125, rel=1e-3)
    assert float(i) == pytest.approx(50 * US, rel=0.06)


def test_tio2_readout():
    """A1 = -2.58 + 97.7 + 2.915 uS and A3 = 118 + 66 + 22.2 uS/V^2 at 100 uS and 25 C."""
    third = 118 + 65.96 + 1605 * 25**-1.33
    i = conduction.TitaniumOxide()(jnp.asarray(100 * US), jnp.asarray(0.4))
    assert float(i) == pytest.approx((98.035 * 0.4 + third * 0.064) * US, rel=1e-4)


def test_temperature():
    """Metallic: -0.1 %/K over 50 K is 5 % less; semiconducting: 0.1 eV from 300 to 350 K is 1.74 times more."""

    def hot(**k):
        return conduction.AtTemperature(conduction.Ohmic(), 350.0, **k)(jnp.asarray(1.0), jnp.asarray(1.0))

    assert float(hot(coefficient=-1e-3)) == pytest.approx(0.95, rel=1e-5)
    assert float(hot(activation=0.1)) == pytest.approx(np.exp(0.1 / 8.617333262e-5 * (1 / 300 - 1 / 350)), rel=1e-4)
    assert conduction.AtTemperature(conduction.Ohmic(), 350.0).linear and not cases.CONDUCTION["temperature"].linear


def test_series_resistance():
    """Ohmic: v / (R + 1/g), exactly. Sinh: the voltages add up to what is applied."""
    i = conduction.WithSeriesResistance(conduction.Ohmic(), 5e3)(jnp.asarray([100 * US, US]), jnp.asarray(0.3))
    np.testing.assert_allclose(i, 0.3 / (5e3 + np.asarray([1e4, 1e6])), rtol=1e-5)
    with jax.enable_x64(True):
        i = conduction.WithSeriesResistance(conduction.Sinh(0.05), 5e3)(jnp.asarray(100 * US), jnp.asarray([-2.0, 0.5]))
        rest = jnp.asarray([-2.0, 0.5]) - 5e3 * i
        np.testing.assert_allclose(100 * US * 0.05 * jnp.sinh(rest / 0.05), i, rtol=1e-6)


def test_a_voltage_that_moves_with_the_conductance():
    """Far below the step the law inside, far above it the same law of the other voltage; half way in ln v0 between."""
    with jax.enable_x64(True):
        v = jnp.asarray([-0.5, 0.2])
        law = conduction.MovingVoltage(conduction.PooleFrenkel(0.3), 100.0, 50 * US, 8.0)
        for g, v0 in ((0.5 * US, 0.3), (50 * US, 3.0), (5e3 * US, 30.0)):
            expected = conduction.PooleFrenkel(v0)(jnp.asarray(g), v)
            np.testing.assert_allclose(law(jnp.asarray(g), v), expected, rtol=1e-9)


def test_stuck_and_open_cells_by_count():
    """One million cells, within 5 standard errors of the probabilities; the yield is the rest."""
    law = faults.StuckAt(0.02, 0.01, 1 * US, 24 * US, p_open=0.03)
    g = jnp.full(1_000_000, 10 * US)
    out = np.asarray(law(g, law.latents(g, key=jax.random.key(0))), float) / US
    for value, p in ((1, 0.02), (24, 0.01), (0, 0.03), (10, 0.94)):
        assert abs(np.mean(np.isclose(out, value)) - p) < 5 * np.sqrt(p * (1 - p) / 1e6)
    with pytest.raises(ValueError, match="sum to 1"):
        faults.StuckAt(0.6, 0.5, 0.0, 1.0)


def test_a_map_of_faults():
    stuck = jnp.zeros((4, 3), bool).at[1, 2].set(True)
    device = devices.Device(0.0, 25 * US, faults=faults.FaultMap(stuck, 7 * US))
    cells = device.program(jnp.full((4, 3), 10 * US), key=jax.random.key(0))
    g = device.conductance(cells, 100.0)
    assert float(g[1, 2]) == pytest.approx(7 * US) and float(g.sum()) == pytest.approx(117 * US)


def test_endurance():
    """Weibull: 1 - exp(-(N/scale)^shape) of 400,000 cells have failed after N cycles, within 5 standard errors; the
    window closes by 0.05 and 0.1 decades a decade past 1000 cycles, and never past its geometric middle."""
    g = jnp.full(400_000, 24 * US)
    for cycles in (1e5, 1e6, 4e6):
        law = faults.WornOut(cycles, 1e6, 1.5, 0.1 * US, 1 * US, 25 * US, 0.05, 0.1, 1e3)
        out = np.asarray(law(g, law.latents(g, key=jax.random.key(0)))) / US
        p = 1 - np.exp(-((cycles / 1e6) ** 1.5))
        assert abs(np.mean(np.isclose(out, 0.1)) - p) < 5 * np.sqrt(p * (1 - p) / 4e5)
        decades = np.log10(cycles / 1e3)
        assert out.max() == pytest.approx(25 * 10 ** (-0.1 * decades), rel=1e-4)
        assert float(law.window()[0]) == pytest.approx(1 * US * 10 ** (0.05 * decades), rel=1e-4)
    low, high = faults.WornOut(1e30, 1e6, 1.5, 0.1 * US, 1 * US, 25 * US, 0.5, 0.5, 1e3).window()
    assert float(low) == pytest.approx(5 * US, rel=1e-4) and float(high) == pytest.approx(5 * US, rel=1e-4)
