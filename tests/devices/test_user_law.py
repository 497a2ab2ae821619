"""A law, a compact model and a preset from a user's own file, each in fewer than 30 lines, work like ours."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar


# ---- what a user writes -------------------------------------------------------------------------------------------
class Fading(devices.AbstractDrift):
    """g(t) = g exp(-(t/tau)^beta), with ln tau spread over cells by `spread`."""

    tau: jax.Array = eqx.field(converter=jnp.asarray)
    beta: jax.Array = eqx.field(converter=jnp.asarray)
    spread: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, g, z, t):
        return g * jnp.exp(-((t / (self.tau * jnp.exp(self.spread * z))) ** self.beta))


def ecram():
    return dataclasses.replace(devices.ideal(), drift=Fading(1e5, 0.5, 0.3))


class TwoBranch(devices.compact.AbstractMemristor):
    """x' = rate sinh(v / v0) x (1 - x), i = (g_on x + g_off (1 - x)) v"""

    rate: jax.Array = eqx.field(converter=jnp.asarray)
    v0: jax.Array = eqx.field(converter=jnp.asarray)
    g_on: jax.Array = eqx.field(converter=jnp.asarray, default=1e-4)
    g_off: jax.Array = eqx.field(converter=jnp.asarray, default=1e-6)
    bounds = (jnp.asarray(0.01), jnp.asarray(0.99))
    initial = jnp.asarray(0.1)

    def current(self, x, v):
        return (self.g_on * x + self.g_off * (1 - x)) * v

    def derivative(self, x, v):
        return self.rate * jnp.sinh(v / self.v0) * x * (1 - x)


@devices.published(devices.Provenance("my_ecram", "ECRAM of our own", doi="10.1000/mine", measured="twelve cells"))
def my_ecram():
    """Our own electrochemical cell, 1 .. 5 uS."""
    law = devices.steps.SoftBounds(0.1e-6, 0.1e-6, g_zero=3e-6, g_min=1e-6, g_max=5e-6)
    return devices.Device(
        1e-6, 5e-6, drift=Fading(1e5, 0.5, 0.3), update=devices.updates.PulseUpdate(law), provenance=my_ecram.provenance
    )


# -------------------------------------------------------------------------------------------------------------------


def test_in_a_device():
    device = ecram()
    cells = device.program(jnp.full((100_000,), 1e-5), key=jax.random.key(0))
    g = device.conductance(cells, 1e5)
    log_time = jnp.log(-jnp.log(g / 1e-5)) / 0.5
    np.testing.assert_allclose([log_time.mean(), log_time.std()], [0.0, 0.3], atol=0.005)


def test_on_a_crossbar_with_a_gradient():
    def loss(tau):
        device = eqx.tree_at(lambda d: d.drift.tau, ecram(), tau)
        tile = xbar.Tile(device=device, rows=4, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None))
        return jnp.sum(
            xbar.analog(lambda w, x: x @ w, tile)(jnp.ones((6, 5)), jnp.ones((2, 6)), key=jax.random.key(0), t=1e4)
        )

    slope = jax.jit(jax.grad(loss))(1e5)
    assert np.isclose(slope, (loss(1.01e5) - loss(0.99e5)) / 2e3, rtol=0.02) and slope > 0


def test_a_compact_model_of_ones_own():
    """The logistic equation of a constant voltage has a closed form; a table of its pulses makes a synapse."""
    model = TwoBranch(1e3, 0.2)
    hold = devices.compact.Waveform([0.0, 2e-3], [0.3, 0.3])
    with jax.enable_x64(True):
        end = devices.compact.simulate(TwoBranch(1e3, 0.2), hold, substeps=400).x[-1]
        grown = 0.1 / 0.9 * np.exp(2e-3 * 1e3 * np.sinh(1.5))
    np.testing.assert_allclose(end, min(grown / (1 + grown), 0.99), rtol=1e-5)
    pulse = lambda v: devices.compact.Pulse(v, 1e-4)  # noqa: E731
    update = devices.compact.pulse_response(model, pulse(0.3), pulse(-0.3))
    device = devices.Device(update.law.g_min, update.law.g_max, update=update)
    cells = device.program(jnp.full(3, 2e-5), key=jax.random.key(0))
    assert bool(jnp.all(device.pulse(cells, 5).g > 1.2 * cells.g)) and bool(
        jnp.all(device.pulse(cells, -5).g < cells.g / 1.2)
    )


def test_a_preset_of_ones_own(capsys):
    devices.describe("my_ecram")
    assert "ECRAM of our own" in (said := capsys.readouterr().out) and "1 to 5 uS" in said and "10.1000/mine" in said
    assert "my_ecram" in devices.names() and "10.1000/mine" in devices.bibtex("my_ecram")
    tile = xbar.Tile(device=devices.find("my_ecram")(), rows=4, cols=4)
    y = xbar.analog(lambda w, x: x @ w, tile)(jnp.ones((6, 5)), jnp.ones((2, 6)), key=jax.random.key(0), t=1e4)
    assert y.shape == (2, 5) and bool(jnp.all(jnp.isfinite(y)))

    def my_ecram():
        """Somebody else's."""

    with pytest.raises(ValueError, match="'my_ecram' exists already"):
        devices.published(devices.Provenance("my_ecram"))(my_ecram)
