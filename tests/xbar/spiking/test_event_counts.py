"""Counts of a spiking run by hand, their slopes, and networks that are made to spike with their own weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar import spiking
from xbar.spiking.events import fan_out, mesh_places

KEY = jax.random.key(0)


def two_layers(sizes=(6, 4, 3)):
    keys = jax.random.split(KEY, len(sizes) - 1)
    layers = [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]
    return spiking.Spiking(layers, [spiking.LIF(tau=jnp.inf, threshold=0.3) for _ in layers])


def counted(network, x, **how):
    """A run and its events, compiled at once."""

    @jax.jit
    def both(network, x):
        run = network(x)
        return run, spiking.count_events(network, x, run, **how)

    return both(network, x)


def test_every_count_by_hand():
    """Fails if a spike's fan-out, the dense count, or a packet's way is wrong."""
    network = two_layers()
    x = (jax.random.uniform(KEY, (5, 2, 6)) < 0.4).astype(jnp.float32)
    run, found = counted(network, x, per_core=2)
    inputs, hidden, outputs = (float(np.asarray(s).sum() / 2) for s in (x, *run.spikes))
    np.testing.assert_allclose([float(s) for s in found.spikes], [inputs, hidden, outputs])
    assert float(found.synaptic) == pytest.approx(4 * inputs + 3 * hidden)
    assert float(found.dense) == 5 * (6 * 4 + 4 * 3) and float(found.updates) == 5 * 7
    assert float(found.share) == pytest.approx(float(found.synaptic) / float(found.dense))
    assert float(found.packets) == pytest.approx(2 * inputs + 2 * hidden)  # two cores of hidden neurons, two of outputs
    corner, middle, last = mesh_places([1, 2, 2])
    way = lambda a, b: np.abs(a[:, None] - b[None]).sum(-1).sum(-1)  # noqa: E731
    per_core = np.asarray(run.spikes[0]).sum((0, 1)).reshape(2, 2).sum(1) / 2
    expected = inputs * way(corner, middle)[0] + float(per_core @ way(middle, last))
    assert float(found.hops) == pytest.approx(expected)


def test_places_are_neighbours():
    """A line that goes forth and back: each core is one hop from the next."""
    places = np.concatenate(mesh_places([1, 4, 3, 6]))
    assert len(set(map(tuple, places))) == 14 and (np.abs(np.diff(places, axis=0)).sum(1) == 1).all()


def test_fan_out_of_a_convolution_knows_its_border():
    layer = eqx.nn.Conv2d(2, 3, 3, padding=1, key=KEY)
    ways = np.asarray(fan_out(layer, (2, 4, 4)))
    assert ways[0, 0, 0] == 3 * 4 and ways[0, 0, 1] == 3 * 6 and ways[1, 2, 2] == 3 * 9


def test_recurrent_synapses_count():
    layer, loop = eqx.nn.Linear(3, 4, key=KEY), eqx.nn.Linear(4, 4, key=KEY)
    network = spiking.Spiking([layer], [spiking.LIF(tau=jnp.inf, threshold=0.2)], recurrent=[loop])
    x = jnp.ones((4, 1, 3))
    run = network(x)
    assert float(spiking.count_events(network, x, run).synaptic) == pytest.approx(
        4 * 3 * 4 + 4 * float(jnp.sum(run.spikes[0]))
    )


def test_operations_have_a_slope():
    """What a penalty needs: fewer operations where weights shrink."""
    network, x = two_layers(), jnp.ones((6, 1, 6))

    def operations(scale):
        scaled = eqx.tree_at(lambda n: n.synapses[0].weight, network, scale * jnp.abs(network.synapses[0].weight))
        return spiking.count_events(scaled, x, scaled(x)).synaptic

    assert float(jax.jit(jax.grad(operations))(jnp.asarray(0.2))) > 0


def test_regular_spikes_are_as_many_as_said():
    x = jnp.linspace(0, 1, 21)
    made = spiking.regular(x, 10)
    np.testing.assert_array_equal(np.asarray(made).sum(0), np.floor(np.asarray(x) * 10 + 0.5))
    gaps = np.diff(np.flatnonzero(np.asarray(spiking.regular(jnp.asarray(0.3), 40))))
    assert set(gaps) <= {3, 4}


@pytest.mark.slow
def test_the_same_weights_spike():
    """Rates stand for activations: outputs of the twin approach the network's as 1/T. Fails if a scale or a bias is lost."""
    layers = two_layers((8, 12, 10, 4)).synapses
    x = jax.random.uniform(KEY, (32, 8))
    dense = x
    for layer in layers[:-1]:
        dense = jax.nn.relu(jax.vmap(layer)(dense))
    dense = np.asarray(jax.vmap(layers[-1])(dense))
    errors = []
    for steps in (16, 256):
        twin = eqx.filter_jit(spiking.converted)(layers, x, steps, percentile=100.0)
        run = eqx.filter_jit(twin)(spiking.regular(x, steps).astype(jnp.float32))
        errors.append(np.abs(np.asarray(spiking.rate_logits(run)) - dense).mean() / dense.std())
    assert errors[1] < 0.03 and errors[1] < errors[0] / 4


@pytest.mark.parametrize("use_bias", [True, False])
def test_rates_are_rounded_with_and_without_a_bias(use_bias):
    """Constant inputs: rates times the largest activation are activations to half of 1/T, and not too small on average."""
    steps, layer = 16, eqx.nn.Linear(8, 32, use_bias=use_bias, key=jax.random.key(0))
    last = eqx.nn.Linear(32, 4, use_bias=use_bias, key=jax.random.key(1))
    x = jax.random.uniform(jax.random.key(2), (200, 8))
    twin = spiking.converted([layer, last], x, steps, percentile=100.0)
    exact = jax.nn.relu(jax.vmap(layer)(x)) / jnp.max(jax.vmap(layer)(x))
    rates = twin(jnp.broadcast_to(x, (steps, *x.shape))).spikes[0].mean(0)
    off = (rates - exact)[exact > 0.02] * steps
    assert abs(float(off.mean())) < 0.05 and float(jnp.abs(off).max()) < 0.51
