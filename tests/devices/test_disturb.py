"""Disturbance in shares of a step: against the law's closed forms, and the rates of compact models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices import compact, drift, steps, updates
from devices.disturb import Worth

S, G_MAX = 1e-7, 20e-6
G = jnp.asarray([2e-6, 10e-6, 15e-6])


def device(law, **more):
    return devices.Device(0.0, G_MAX, update=updates.PulseUpdate(law), disturb=devices.Disturb(half_up=0.1), **more)


def worth(up, down=0.0):
    return Worth(jnp.full(3, up), jnp.full(3, down))


def test_parts_of_pulses_are_the_laws_own():
    """Constant steps: n s, n = 2.5 up and 0.5 down. Soft bounds: the distance to the bound shrinks by (1 - 2 s / G_max)^n, and
    ten tenths of a pulse are one."""
    cells = device(law := steps.ConstantStep(S, S, 0.0, G_MAX)).program(G, key=jax.random.key(0))
    np.testing.assert_allclose(device(law).disturbed(cells, worth(2.5, 0.5)).g, G + 2 * S, rtol=1e-6)
    own = device(law := steps.SoftBounds(S, S, G_MAX / 2, 0.0, G_MAX))
    moved = own.disturbed(cells, worth(2.5)).g
    np.testing.assert_allclose(G_MAX - moved, (G_MAX - G) * (1 - 2 * S / G_MAX) ** 2.5, rtol=1e-6)
    tenths = cells
    for _ in range(10):
        tenths = own.disturbed(tenths, worth(0.1))
    np.testing.assert_allclose(tenths.g, own.pulse(cells, 1).g, rtol=1e-6)


def test_laws_without_a_closed_form_flow():
    """Steps s (1 - g/G_max)^2: 1 / (1 - g/G_max) grows by s / G_max a pulse, to 2e-4 of the 20 pulses' move."""
    law = steps.PowerStep(S, S, 2.0, 2.0, 0.0, G_MAX)
    own = device(law)
    moved = own.disturbed(own.program(G, key=jax.random.key(0)), worth(20.0)).g
    exact = G_MAX - 1 / (1 / (G_MAX - G) + 20 * S / G_MAX**2)
    np.testing.assert_allclose(moved - G, exact - G, rtol=1e-3)


def test_a_disturbed_cell_is_not_a_written_one():
    """It keeps its age, drifts on, and its move is that of what it has drifted to."""
    law = steps.ConstantStep(S, S, 0.0, G_MAX)
    own = device(law, drift=drift.PowerLawDrift(nu_mean=0.1, nu_std=0.0, g_max=G_MAX, t0=1.0))
    cells = own.wait(own.program(G, key=jax.random.key(0)), 100.0)
    after = own.disturbed(cells, worth(1.0))
    np.testing.assert_allclose(after.age, 100.0)
    np.testing.assert_allclose(own.conductance(after, 0.0) - own.conductance(cells, 0.0), S * 101**-0.1, rtol=1e-3)


def test_shares_of_compact_models():
    """Linear ion drift answers in proportion to the voltage: a half and a third. VTEAM above its threshold, rate
    (v / v_on - 1)^alpha: nothing at half the voltage if that is below it."""
    with jax.enable_x64(True):
        how = dict(states=(0.3, 0.7), nodes=9)
        linear = compact.disturbance(compact.strukov2008(), *_pulses(0.2, -0.2), read=compact.Pulse(0.02, 1e-5), **how)
        shares = [linear.half_up, linear.half_down, linear.third_up, linear.third_down, linear.read]
        np.testing.assert_allclose(shares, [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 10], rtol=2e-3)
        model = compact.vteam_magic()
        on, off = float(model.u_on), float(model.u_off)
        how = dict(states=(0.3e-9, 2.7e-9), nodes=9, tolerance=1.0)
        below = compact.disturbance(model, *_pulses(1.5 * on, 1.5 * off, 1e-11), **how)
        np.testing.assert_allclose([below.half_up, below.half_down, below.third_up, below.read], 0, atol=1e-9)
        above = compact.disturbance(model, *_pulses(4 * on, 4 * off, 1e-16), **how)
        expected = [(1 / 3) ** float(model.a_on), (1 / 3) ** float(model.a_off)]
        np.testing.assert_allclose([above.half_up, above.half_down], expected, rtol=0.02)


def _pulses(up, down, width=1e-5):
    return compact.Pulse(up, width), compact.Pulse(down, width)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="in shares of the steps of a pulse law"):
        devices.Device(0.0, G_MAX, disturb=devices.Disturb())
    with pytest.raises(ValueError, match="up to 1"):
        devices.Disturb(half_up=1.5)
    plain = devices.Device(0.0, G_MAX)
    with pytest.raises(ValueError, match="does not say what disturbs it"):
        plain.disturbed(plain.program(G, key=jax.random.key(0)), worth(1.0))


def test_a_file_keeps_it(tmp_path):
    from devices import device_file

    own = device(steps.ConstantStep(S, S, 0.0, G_MAX))
    device_file.save(own, tmp_path / "own.toml")
    again = device_file.load(tmp_path / "own.toml")
    assert float(again.disturb.half_up) == pytest.approx(0.1)
