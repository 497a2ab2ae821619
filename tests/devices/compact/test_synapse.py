"""Pulse tables of compact models against the pulses themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.compact import Circuit, Pulse, jart_vcm_v1b, memdiode_aguirre, pulse_response, simulate, vteam_magic
from devices.compact import vteam_knowm_wsdc as wsdc

CASES = {
    "vteam_knowm_wsdc": (wsdc, Pulse(0.3, 1e-3), Pulse(-0.25, 1e-3)),
    "vteam_knowm_wsdc behind 1 kohm": (
        lambda: Circuit(wsdc(), resistance=1e3),
        Pulse(0.4, 1e-3),
        Pulse(-0.3, 1e-3, 1e-4),
    ),
    "memdiode_aguirre": (memdiode_aguirre, Pulse(1.0, 0.5), Pulse(-0.8, 0.5)),
    # a negative voltage potentiates; below these states one pulse sets the cell all at once
    "jart_vcm_v1b": (jart_vcm_v1b, Pulse(-0.45, 1e-8), Pulse(0.8, 2e-7)),
}
STATES = {"jart_vcm_v1b": (np.log(0.2), np.log(5.0))}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "vteam_knowm_wsdc" else pytest.mark.slow) for n in CASES]
)
def test_table_is_what_pulses_do(name):
    """Ten pulses up and ten down on the model itself and on the table, from a quarter of the range: 1.5 % of it."""
    with jax.enable_x64(True):
        make, up, down = CASES[name]
        up, down = (jax.tree.map(lambda v: jnp.asarray(v, jnp.float64), p) for p in (up, down))
        model = make()
        low, high = STATES.get(name, tuple(map(float, model.bounds)))
        law = pulse_response(model, up, down, nodes=257, states=(low, high)).law
        span = float(law.g_max - law.g_min)
        read = lambda x: float(model.current(x, jnp.asarray(0.1)) / 0.1)  # noqa: E731
        x = jnp.asarray(low + 0.25 * (high - low))
        g, seen = jnp.asarray(read(x)), []
        for pulse, step in [(up, law.up)] * 10 + [(down, lambda g: -law.down(g))] * 10:
            x = simulate(model, pulse.waveform(), x0=x, substeps=32, tolerance=0.05).x[-1]
            g = law.clip(g + step(g))
            seen.append((read(x), float(g)))
    real, ours = np.asarray(seen).T
    assert np.ptp(real) > 0.03 * span, "the pulses must move something"
    np.testing.assert_allclose(ours, real, atol=0.015 * span)


@pytest.mark.slow
def test_in_a_device_and_with_a_gradient():
    """A write-verified, pulsed device of VTEAM cells; more speed means larger steps, and the gradient says by how much."""
    spread = devices.updates.CellSpread(step=0.2)
    update = pulse_response(wsdc(), Pulse(0.3, 4e-6), Pulse(-0.25, 2e-6), nodes=65, cells=spread)
    g = jnp.full(20_000, 2e-4)
    moved, _ = update(g, update.latents(g, key=jax.random.key(1)), jnp.asarray(1), key=None, most=1)
    assert float(jnp.std(moved - g) / jnp.mean(moved - g)) == pytest.approx(0.2, rel=0.03)
    device = devices.Device(
        update.law.g_min,
        update.law.g_max,
        programming=devices.write_verify.WriteVerify(update, window=5e-6, most=150),
        update=update,
    )
    target = jnp.linspace(1e-4, 4e-4, 50)
    cells = device.program(target, key=jax.random.key(0))
    assert float(jnp.mean(jnp.abs(cells.g - target) < 5.01e-6)) > 0.95
    with jax.enable_x64(True):

        def steps(width):
            return jnp.sum(pulse_response(wsdc(), Pulse(0.3, width), Pulse(-0.25, 1e-3), nodes=17).law.steps_up)

        slope = jax.jit(jax.grad(steps))(1e-4)
        assert float(slope) == pytest.approx(float(steps(1.001e-4) - steps(0.999e-4)) / 2e-7, rel=1e-3)


@pytest.mark.slow
def test_heat_of_a_loop_is_what_the_model_dissipates():
    """A write-verify loop on the table against the same pulses on the model itself: its heat, reads left out. `V^2 g t` with
    the conductance that is read is wrong by more than the tolerance, as the cell is not ohmic."""
    with jax.enable_x64(True):
        model, up, down = memdiode_aguirre(), *CASES["memdiode_aguirre"][1:]
        up, down = (jax.tree.map(lambda v: jnp.asarray(v, jnp.float64), p) for p in (up, down))
        update = pulse_response(model, up, down, nodes=257)
        low, read = float(update.law.g_min), lambda x: float(model.current(x, jnp.asarray(0.1)) / 0.1)
        target = low + 0.2 * (float(update.law.g_max) - low)
        loop = devices.write_verify.WriteVerify(update, window=1e-12, most=12, start=low, v_read=0.0)
        written = loop.write(jnp.asarray(target), key=jax.random.key(0))
        x, heat, ohmic = min((jnp.asarray(float(b)) for b in model.bounds), key=read), 0.0, 0.0
        for _ in range(12):
            pulse = up if read(x) < target else down
            ohmic += float(pulse.amplitude**2 * pulse.width) * read(x)
            run = simulate(model, pulse.waveform(), x0=x, substeps=32, tolerance=0.05)
            x, heat = run.x[-1], heat + float(run.energy[-1])
    assert float(written.pulses_up) + float(written.pulses_down) == 12
    assert float(written.energy) == pytest.approx(heat, rel=0.02)
    assert abs(ohmic - heat) > 0.05 * heat


def test_what_cannot_be():
    with pytest.raises(ValueError, match="moves the conductance the other way"):
        pulse_response(wsdc(), Pulse(-0.3, 1e-3), Pulse(0.3, 1e-3), nodes=9)
    with pytest.raises(ValueError, match="does not move"):
        pulse_response(vteam_magic(), Pulse(-0.1, 1e-9), Pulse(1.0, 1e-7), nodes=9, tolerance=1.0)
    switches = devices.compact.StochasticMetastableSwitch(devices.compact.gmss_spice_default(), 10)
    with pytest.raises(ValueError, match="Give its mean model"):
        pulse_response(switches, Pulse(0.5, 1e-4), Pulse(-0.5, 1e-4))
    with pytest.raises(ValueError, match="both end states"):
        pulse_response(wsdc(), Pulse(0.3, 1e-3), Pulse(-0.3, 1e-3), nodes=9, states=(0.5, 0.5))
