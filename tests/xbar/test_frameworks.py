"""Models of the common libraries, unchanged: plain JAX, Equinox, Flax linen, Flax NNX; and the first program of the README."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

KEY = jax.random.key(0)
IDEAL = xbar.Tile(device=devices.ideal(), rows=32, cols=32, dac=xbar.DAC(None), adc=xbar.ADC(None))


def same(f, params, *inputs, mapped):
    chip = xbar.analog(f, IDEAL).program(params, *inputs, key=KEY)
    assert len(chip.layers) == mapped, str(chip.layers)
    np.testing.assert_allclose(chip(*inputs), f(params, *inputs), atol=2e-5)
    return chip


def test_equinox():
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 4, 3, stride=2, padding=1, key=KEY),
            eqx.nn.Lambda(jax.nn.gelu),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.LayerNorm(64),
            eqx.nn.MLP(64, 10, 16, 2, key=KEY),
        ]
    )
    chip = same(lambda m, x: jax.vmap(m)(x), model, jax.random.normal(KEY, (5, 1, 8, 8)), mapped=4)
    assert next(iter(chip.layers)).path == "layers.0.weight"


def test_equinox_recurrent_and_attention():
    x = jax.random.normal(KEY, (7, 12))

    def run(cell, xs):
        return jax.lax.scan(lambda h, x: ((h := cell(x, h)), h), jnp.zeros(8), xs)[1]

    same(run, eqx.nn.GRUCell(12, 8, key=KEY), x, mapped=2)
    attention = eqx.nn.MultiheadAttention(3, 12, key=KEY)
    chip = same(lambda m, x: m(x, x, x), attention, x, mapped=4)
    assert len(chip.digital_products(x)) == 2


def test_flax_linen():
    nn = pytest.importorskip("flax.linen", reason="flax is an extra of the tests")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(4, (3, 3), strides=2)(x[..., None]))
            return nn.Dense(10)(x.reshape(x.shape[0], -1))

    net, x = Net(), jax.random.normal(KEY, (5, 8, 8))
    chip = same(net.apply, net.init(KEY, x), x, mapped=2)
    assert [row.path for row in chip.layers] == ["params.Conv_0.kernel", "params.Dense_0.kernel"]


def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx", reason="flax is an extra of the tests")
    graph, state = nnx.split(nnx.Linear(6, 5, rngs=nnx.Rngs(0)))
    same(lambda s, x: nnx.merge(graph, s)(x), state, jax.random.normal(KEY, (4, 6)), mapped=1)


@pytest.mark.slow
def test_ten_line_program():
    """The program that the README opens with, as it stands there."""
    params, x, key = jax.random.normal(KEY, (64, 10)), jax.random.normal(KEY, (32, 64)), KEY

    def apply(params, x):
        return x @ params

    x_example, x_batch = x[:1], x
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=256, cols=256, dac=xbar.DAC(bits=8), adc=xbar.ADC(bits=8))
    network = xbar.analog(apply, tile)
    y = network(params, x, key=key)
    chip = network.program(params, x_example, key=key)
    chip = xbar.calibrate(chip, x_batch, key=key)
    y = chip(x, t=86_400.0, key=key)
    ledger = chip.energy(x)
    chips = jax.vmap(lambda k: network.program(params, x_example, key=k))(jax.random.split(key, 64))
    assert y.shape == (32, 10) and float(ledger.total) > 0 and chips.arrays[0].cells.g.shape[0] == 64
