"""Graphs of other simulators: in, on crossbars, and back unchanged; networks of our own on crossbars."""

import itertools
import os
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar import spiking

nir = pytest.importorskip("nir", reason="the package nir (extra [nir]) is not installed")
DATA = pathlib.Path(os.environ.get("XBAR_DATA", "nowhere")) / "oracles" / "nir"
KEY = jax.random.key(0)
IDEAL = xbar.Tile(devices.ideal(), rows=64, cols=64, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
GRAPHS = {
    "lif_norse": ((1,), 200), "cnn_sinabs": ((2, 34, 34), 4), "braille_noDelay_bias_zero": ((12,), 30),
    "braille_noDelay_noBias_subtract": ((12,), 30),
}  # fmt: skip


@pytest.mark.few(3)
@pytest.mark.skipif(not DATA.is_dir(), reason="the graphs of the NIR study are not below XBAR_DATA")
@pytest.mark.parametrize("name", GRAPHS)
def test_published_graphs_go_in_run_on_crossbars_and_come_back(name, tmp_path):
    shape, steps = GRAPHS[name]
    network, params = spiking.from_nir(DATA / f"{name}.nir", 1e-4)
    x = jax.random.bernoulli(KEY, 0.2, (steps, 2, *shape))
    digital = jax.jit(network)(params, x)
    analog = xbar.analog(network, IDEAL).program(params, x, key=KEY)(x)
    assert digital.keys() == analog.keys() and float(digital["output"].sum()) > 0
    for node in network.order:
        if node in digital:
            np.testing.assert_array_equal(digital[node], analog[node])
    spiking.to_nir(network, params, tmp_path / "back.nir")
    before, after = nir.read(str(DATA / f"{name}.nir")), nir.read(str(tmp_path / "back.nir"))
    assert sorted(map(tuple, before.edges)) == sorted(map(tuple, after.edges))
    for node, was in before.nodes.items():
        now = after.nodes[node]
        assert type(now) is type(was)
        for field in set(vars(was)) - {"input_type", "output_type", "metadata"}:
            np.testing.assert_array_equal(getattr(was, field), getattr(now, field))


def chain(*nodes):
    """Input, these nodes, output."""
    named = {str(i): node for i, node in enumerate(nodes)}
    names = ["input", *named, "output"]
    ends = {
        "input": nir.Input(input_type={"input": np.array([2])}),
        "output": nir.Output(output_type={"output": np.array([2])}),
    }
    return nir.NIRGraph(nodes={**ends, **named}, edges=list(itertools.pairwise(names)), type_check=False)


def test_a_delay_is_late_by_its_steps():
    graph = chain(nir.Delay(delay=np.array([3e-3, 0.0])))
    network, params = spiking.from_nir(graph, 1e-3)
    x = jnp.zeros((6, 1, 2)).at[1].set(1.0)
    out = network(params, x)["output"][:, 0]
    np.testing.assert_array_equal(np.argmax(out, 0), [4, 1])


def test_leaky_integrators_show_their_membrane():
    node = nir.LI(tau=np.full(2, 1e-2), r=np.ones(2), v_leak=np.zeros(2))
    network, params = spiking.from_nir(chain(node), 1e-3, method="exponential")
    out = network(params, jnp.ones((20, 1, 2)))["output"]
    np.testing.assert_allclose(out[-1], 1 - np.exp(-2.0), rtol=1e-5)


def test_what_cannot_be_read_says_so():
    with pytest.raises(NotImplementedError, match="'0' is a Threshold; supported are"):
        spiking.from_nir(chain(nir.Threshold(threshold=np.ones(2))), 1e-3)
    loop = chain(nir.Linear(weight=np.eye(2)), nir.Linear(weight=np.eye(2)))
    loop.edges.append(("1", "0"))
    with pytest.raises(ValueError, match="a loop without a neuron or delay"):
        spiking.from_nir(loop, 1e-3)


def test_spiking_layers_meet_the_arrays_with_their_truth_values():
    """Every product of a network of spikes is on an array; on ideal cells the spikes are those of the digital network."""
    keys = jax.random.split(KEY, 3)
    layers = [eqx.nn.Linear(12, 20, key=keys[0]), eqx.nn.Linear(20, 4, key=keys[1])]
    network = spiking.Spiking(
        layers, [spiking.LIF(tau=5e-3, threshold=0.05)] * 2, recurrent=[eqx.nn.Linear(20, 20, key=keys[2]), None]
    )
    x = spiking.rate(jnp.full((3, 12), 0.4), 25, key=KEY)
    digital = network(x)
    chip = xbar.analog(lambda n, x: n(x), IDEAL).program(network, x, key=KEY)
    analog = chip(x)
    assert len(chip.tiles) == 3 and float(digital.counts[1].sum()) > 0
    for ours, theirs in zip(analog.spikes, digital.spikes, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    slope = eqx.filter_grad(lambda n: n(x).counts[0].mean())(network)
    assert float(jnp.abs(slope.synapses[0].weight).max()) > 0
