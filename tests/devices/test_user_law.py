"""A law from a user's own file, in fewer than 30 lines, works in a device, on a crossbar and in a gradient."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import devices
import xbar


# ---- what a user writes -------------------------------------------------------------------------------------------
class StretchedExponential(devices.AbstractDrift):
    """g(t) = g exp(-(t/tau)^beta), with ln tau spread over cells by `spread`."""

    tau: jax.Array = eqx.field(converter=jnp.asarray)
    beta: jax.Array = eqx.field(converter=jnp.asarray)
    spread: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, g, z, t):
        return g * jnp.exp(-((t / (self.tau * jnp.exp(self.spread * z))) ** self.beta))


def ecram():
    fields = {f.name: getattr(devices.ideal(), f.name) for f in dataclasses.fields(devices.Device)}
    return devices.Device(**{**fields, "drift": StretchedExponential(1e5, 0.5, 0.3)})


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
