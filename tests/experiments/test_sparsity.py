"""Zeros: what each system saves by them is what its arithmetic says."""

import numpy as np
import pytest

from experiments import sparsity, sparsity_view
from experiments.framework.errors import UsageError
from experiments.framework.store import Results

SMALL = sparsity.Config(
    inputs=16, outputs=8, rows=16, cols=8, vectors=8, chips=1, activation_zeros=(0.0, 0.5), weight_zeros=(0.0, 0.5)
)
KINDS = ("frame-based", "event-driven")
NAMES = tuple(sparsity.SYSTEMS)


@pytest.fixture(scope="module")
def found():
    layer = sparsity.prepare(SMALL)
    return {w: sparsity.compute(SMALL, layer, {"weight_zeros": w}) for w in SMALL.weight_zeros}


def energy(found, system, weights, inputs):
    return float(found[weights]["energy"][SMALL.activation_zeros.index(inputs), NAMES.index(system), 0])


def test_gpus_multiply_zeros(found):
    """Zeros in inputs save a GPU nothing; 2:4 weights halve the energy of arithmetic and leave 5/8 of the bytes."""
    dense = energy(found, "H100, dense", 0.0, 0.0)
    assert all(energy(found, "H100, dense", w, a) == dense for w in (0.0, 0.5) for a in (0.0, 0.5))
    assert energy(found, "H100, 2:4 weights", 0.0, 0.5) == dense
    assert energy(found, "H100, 2:4 weights", 0.5, 0.0) < dense
    assert sparsity.TWO_OF_FOUR == 5 / 8


def test_synaptic_events_are_products_of_numbers_that_are_not_zero(found):
    """Loihi: 23.6 pJ a product of two non-zero numbers, 81 pJ a neuron and vector; zeros lie at random places."""
    update = sparsity.NEURON_UPDATE / SMALL.inputs
    assert energy(found, "Loihi", 0.0, 0.0) == pytest.approx(23.6e-12 + update, rel=1e-5)
    assert energy(found, "Loihi", 0.0, 0.5) == pytest.approx(0.5 * 23.6e-12 + update, rel=1e-5)
    assert energy(found, "Loihi", 0.5, 0.5) == pytest.approx(0.25 * 23.6e-12 + update, rel=0.15)


def test_frames_keep_their_converters_and_events_go_with_the_inputs(found):
    """Half of the inputs at 0 leave the frame's conversions as they are; events save their rows besides."""
    frame = [found[0.0]["parts"][i, :, 0] for i in (0, 1)]
    assert frame[1][0] < frame[0][0] and frame[1].sum() == pytest.approx(
        energy(found, "frame-based crossbar", 0.0, 0.5)
    )
    assert energy(found, "frame-based crossbar", 0.0, 0.5) > 0.7 * energy(found, "frame-based crossbar", 0.0, 0.0)
    kept = [energy(found, f"{kind} crossbar", 0.0, 0.5) / energy(found, f"{kind} crossbar", 0.0, 0.0) for kind in KINDS]
    assert 0.5 < kept[1] < kept[0] < 1


@pytest.mark.parametrize(
    ("zeros", "said"), [((0.0, 0.5), "Dense weights: "), ((0.9, 0.5), "Weights with 50 % zeros: ")]
)
def test_the_weights_of_the_crossover_are_named(zeros, said):
    config = sparsity.Config(weight_zeros=zeros)
    results = Results(sparsity.layout(config))
    for values in results.values.values():
        values[...] = 1e-12
    shown = sparsity_view.present(config, results)
    assert said in shown.text and ("ense weights" in shown.text) == (0.0 in zeros)


def test_the_share_of_zeros_is_exact():
    import jax

    mask = np.asarray(sparsity.thinned(jax.random.key(0), 0.25, (10, 8)))
    assert mask.sum() == 60 and set(np.unique(mask)) == {0.0, 1.0}


@pytest.mark.parametrize("settings", [dict(activation_zeros=(1.0,)), dict(weight_zeros=()), dict(inputs=0)])
def test_settings_that_cannot_be(settings):
    with pytest.raises(UsageError):
        sparsity.check(sparsity.Config(**settings))
