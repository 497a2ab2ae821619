"""Spiking networks of experiments: the reference on MNIST, learning by STDP, events on platforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import datasets, platforms, stdp, stdp_learning, stdp_view
from experiments.framework.store import Results
from experiments.spiking_networks import LIFNetwork
from tests.conftest import data_folder

needs_data = pytest.mark.skipif(data_folder() is None, reason="XBAR_DATA names no folder with the data sets")


def test_signed_inputs_have_two_rows():
    network = LIFNetwork((4, 3, 2), 8, signed=True)
    made = np.asarray(network.encode(jnp.asarray([[0.5, -0.25]]), jax.random.key(0)))
    np.testing.assert_array_equal(made.sum(0), [[4, 0, 0, 2]])


@pytest.mark.slow
def test_training_with_a_penalty_spikes_less():
    data = datasets.load("digits")
    network = LIFNetwork((64, 16, 10), 6, gain=0.5)
    done = []
    for penalty in (0.0, 5.0):
        layers = network.trained(data.x_train, data.y_train, steps=60, key=jax.random.key(0), penalty=penalty, batch=32)
        events = network.events(layers, network.encode(jnp.asarray(data.x_test[:64]), jax.random.key(1)))
        done.append(float(events.spikes[1]))
    assert done[1] < 0.8 * done[0]


def test_the_two_scatters_of_a_start_are_independent():
    """Their variances add: the spread of the device, and a tenth of the range. Fails if one random number serves both."""
    for spread in (0.0, 0.25):
        g = np.asarray(stdp_learning.made(jax.random.key(0), 100, 400, spread, 0.5).g)
        assert g.std() == pytest.approx(np.hypot(spread * 12.5e-6, 0.1 * 24.5e-6), rel=0.03)


def test_what_stdp_says_of_its_images_and_its_reference():
    """Ten showings of 100 images are not 1,000 images shown once; spreads without 0 are compared with their smallest."""
    config = stdp.Config(data="digits", images=1000, spreads=(0.5, 0.25), chips=2)
    results = Results(stdp.layout(config))
    shapes = {"accuracy": (2,), "pulses": (2,), "spikes": (2,), "fields": (16, 784)}
    for spread, level in ((0.5, 0.6), (0.25, 0.7)):
        found = {name: np.full(shape, level) for name, shape in shapes.items()}
        results.put({"output": 50, "spread": spread}, {**found, "different_images": 100})
    shown = stdp_view.present(config, results)
    assert "100 training images shown 10.0 times each (1,000 in all)" in shown.text
    assert "the last 1,000 images shown" in shown.method[0]
    assert "against 25 %" in shown.text and "none" not in shown.text and "-10.0 ± 0.0" in shown.text


def test_a_winner_learns_its_input():
    """The cells of spiking inputs rise, all others fall, those of losers stay. Fails if pulses go to the wrong neuron or
    way."""
    cells = stdp_learning.made(jax.random.key(0), 3, 20, 0.0)
    spikes = jnp.zeros((15, 20)).at[:, :8].set(1.0)
    after, won, pulses = jax.jit(lambda c, s, k: stdp_learning.shown(c, s, k, "simplified"))(
        cells, spikes, jax.random.key(1)
    )
    winner = int(jnp.argmax(won))
    change = np.asarray(after.g - cells.g)
    assert won[winner] > 0 and (change[winner, :8] > 0).all() and (change[winner, 8:] < 0).all()
    losers = [i for i in range(3) if won[i] == 0]
    assert (change[losers] == 0).all() and float(pulses) == 20 * float(won.sum())
    assert float(after.threshold[winner]) > float(cells.threshold[winner])
    still = jax.jit(lambda c, s, k: stdp_learning.shown(c, s, k, None))(cells, spikes, jax.random.key(1))[0]
    np.testing.assert_array_equal(still.g, cells.g)


def test_pairs_ask_for_pulses_where_both_spike():
    """Cells whose input never spikes get no pulse. Fails if the rule pulses everything, or nothing."""
    cells = stdp_learning.made(jax.random.key(0), 3, 20, 0.0, 0.2)
    spikes = jnp.zeros((15, 20)).at[:, :8].set(1.0)
    after, won, _ = jax.jit(lambda c, s, k: stdp_learning.shown(c, s, k, "pair"))(cells, spikes, jax.random.key(1))
    change = np.asarray(after.g - cells.g)
    assert float(won.sum()) > 0 and (change[:, 8:] == 0).all() and (change[:, :8] != 0).any()


def test_names_and_votes():
    named = np.array([[3, 0, 0], [2, 0, 1], [0, 4, 0], [0, 3, 0]])
    tested = np.array([[1, 0, 0], [0, 2, 1], [0, 0, 0]])
    assert stdp.classified(named, np.array([0, 0, 1, 1]), tested, np.array([0, 1, 0]), 2) == pytest.approx(2 / 3)


def test_platforms_price_simulated_events():
    """Loihi's row follows the twin's spikes: fewer where pictures are dark. A network that is no chain has no row."""
    config = platforms.Config(steps=20, inputs=4)
    state = platforms.prepare(config)
    bright = platforms.compute(config, state, {"platform": "Loihi"})
    twin = platforms._twin(config, state.network, state.params, 0 * state.x)
    dark = platforms.State(state.network, state.params, state.x, state.macs, *twin)
    dim = platforms.compute(config, dark, {"platform": "Loihi"})
    assert 0 < dim["energy"][0] < bright["energy"][0] and dim["synaptic"] < bright["synaptic"]
    none = platforms.State(state.network, state.params, state.x, state.macs)
    assert np.isnan(platforms.compute(config, none, {"platform": "Loihi"})["energy"]).all()


@needs_data
@pytest.mark.slow
def test_lif_network_on_mnist(optimised):
    """Reference of another program: 97.1 %, 277,000 synaptic operations against 4.07 million."""
    data = datasets.load("mnist")
    network = LIFNetwork((784, 256, 10), 20, coding="rate", gain=0.5)
    layers = network.trained(data.x_train, data.y_train, steps=2000, key=jax.random.key(0))
    right = np.asarray(network.logits(layers, data.x_test, jax.random.key(1)).argmax(-1)) == data.y_test
    events = network.events(layers, network.encode(jnp.asarray(data.x_test[:500]), jax.random.key(2)))
    assert right.mean() > 0.97
    assert float(events.synaptic) == pytest.approx(277e3, rel=0.1) and float(events.dense) == 20 * 203_264
