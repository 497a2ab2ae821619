"""Digital energy between nodes: fixed points, monotonicity, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbar.energy import energy_scale, nominal_supply
from xbar.energy.scaling import scaling_notes


def test_golden_ratios():
    """Fails if a polynomial or its supply changed: 32 -> 20 nm at nominal 0.9 V on both sides, by hand."""
    at_32 = 0.9559 * 0.81 - 0.7823 * 0.9 + 0.4710
    at_20 = 0.3730 * 0.81 - 0.1582 * 0.9 + 0.04104
    assert float(energy_scale(32e-9, 20e-9)) == pytest.approx(at_20 / at_32, rel=1e-5)
    at_half_volt_less = 0.3730 * 0.64 - 0.1582 * 0.8 + 0.04104
    assert float(energy_scale(32e-9, 20e-9, 0.8)) == pytest.approx(at_half_volt_less / at_32, rel=1e-5)
    assert float(nominal_supply(45e-9)) == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(st.floats(7e-9, 128e-9), st.floats(1.001, 3.0), st.sampled_from([None, 0.6, 0.8, 1.0, 1.3]))
def test_monotone_in_node(node, factor, supply):
    """Fails if interpolation weights are reversed anywhere in 7-130 nm."""
    larger = min(node * factor, 130e-9)
    assert float(energy_scale(45e-9, node, supply)) < float(energy_scale(45e-9, larger, supply))


def test_interpolation_lies_between_neighbours():
    """Fails if 22 nm leaves the interval of 20 and 32 nm or jumps: a fine sweep has no step above 5 %."""
    sweep = jax.vmap(lambda node: energy_scale(45e-9, node))(jnp.geomspace(7e-9, 130e-9, 600))
    steps = np.diff(np.log(sweep))
    assert (steps > 0).all()
    assert steps.max() < 0.05
    assert float(energy_scale(22e-9, 22e-9)) == pytest.approx(1.0)
    assert float(energy_scale(32e-9, 20e-9)) < float(energy_scale(32e-9, 22e-9)) < 1.0


def test_round_trip():
    """Fails if scaling there and back is not the identity."""
    there_and_back = energy_scale(45e-9, 14e-9) * energy_scale(14e-9, 45e-9)
    assert float(there_and_back) == pytest.approx(1.0, rel=1e-5)


def test_gradient_in_node_and_supply():
    """Fails if interpolation hides a gradient: finite differences under jit, float64."""
    with jax.enable_x64(True):

        def log_scale(x):
            return jnp.log(energy_scale(45e-9, x[0] * 1e-9, x[1]))

        x, h = jnp.array([25.0, 0.8]), 1e-6
        finite = [(log_scale(x + s) - log_scale(x - s)) / (2 * h) for s in h * jnp.eye(2)]
        np.testing.assert_allclose(jax.jit(jax.grad(log_scale))(x), finite, rtol=1e-6)


def test_notes():
    """Fails if a node or a supply outside the law's range passes in silence, or recalled supplies do."""
    assert "recalled" in scaling_notes(22e-9)[0]
    assert scaling_notes(22e-9, 0.8) == ()
    assert "5 nm" in scaling_notes(5e-9, 0.8)[0]
    assert "0.3 V" in scaling_notes(22e-9, 0.3)[0]
