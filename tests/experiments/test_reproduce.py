"""Published results done again: verdicts, and the one case that takes seconds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar
from experiments import reproduce, reproduce_view
from experiments.framework.store import Results
from experiments.published import CASES, Claim, neurosim_devices, wire_drop


def claim(low, high, read=True):
    return Claim("x", "1", "source", lambda found: found["x"], low, high, read)


@pytest.mark.parametrize("values, low, high, read, verdict", [
    ([0.9, 1.1], 0.95, 1.05, True, "reproduces"), ([0.9, 1.1], 0.95, 1.05, False, "as expected"),
    ([0.9, 0.9], 0.95, 1.05, True, "differs"), ([np.nan], 0.0, 1.0, True, "not run"), ([2.0], 1.0, np.inf, True, "reproduces"),
])  # fmt: skip
def test_verdicts(values, low, high, read, verdict):
    """The mean decides; only a published figure that was read can be reproduced; what was not run is no agreement."""
    assert claim(low, high, read).verdict({"x": np.array(values)}) == verdict


def test_every_case_is_whole():
    """Parts and quantities are unique, and every claim can be asked before anything was run."""
    for case in CASES.values():
        assert len(set(case.parts)) == len(case.parts) and len(set(case.quantities)) == len(case.quantities)
        nothing = {name: np.full(2, np.nan) for name in case.quantities}
        assert {c.verdict(nothing) for c in case.claims} == {"not run"}


def test_errors_behind_wires_grow_with_the_square_of_the_size(monkeypatch):
    """Small arrays: ln(error) over ln(N) near 2, and one curve of N^2 R G."""
    monkeypatch.setattr(wire_drop, "SIZES", (8, 16))
    state = wire_drop.State(None)
    found = {}
    for n in wire_drop.SIZES:
        for name, value in wire_drop.measure(state, str(n), jax.random.key(0)).items():
            found[name] = np.array([value])
    assert np.all(np.abs(wire_drop.slopes(found) - 2) < 0.35) and wire_drop.collapse(found)[0] < 0.2


def test_what_is_not_finished_is_not_shown_as_a_number():
    config = reproduce.Config(case="E7", draws=2)
    results = Results(reproduce.layout(config))
    shown = reproduce_view.present(config, results)
    assert "not run" in shown.text and "reproduces" not in shown.text and "nan" not in shown.text


def test_an_activation_of_exactly_one_half_passes_as_one():
    """As in NeuroSim; with all hidden weights 0, a hundred activations of 1/2 reach the output, or none does."""
    p = {"hidden": jnp.zeros((400, 100)), "output": jnp.full((100, 10), 0.25), "lost": jnp.asarray(0.1)}
    x = jnp.ones((1, 400))
    chip = xbar.analog(neurosim_devices.forward, neurosim_devices.tile("EpiRAM")).program(p, x, key=jax.random.key(0))
    np.testing.assert_allclose(chip(x), 1, atol=1e-3)
