"""Numerical tools: what a user of a law never sees, held against a plainer way to the same numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from devices._numerics import solve_increasing, trajectory


def alone(given, x, at):
    """Parts that relax on their own, at a rate that the input sets."""
    rate, goal = given
    return x + (1 - jnp.exp(-rate * at)) * (jnp.tanh(goal * at) - x**2), ()


def together(given, x, at):
    """Parts that share a drive, which they lower by what they carry; the drive is the output."""
    rate, goal = given
    excess = lambda u: u + 0.3 * jnp.sum(x, -1) * jnp.sinh(u) - at  # noqa: E731
    u = solve_increasing(excess, jnp.zeros(x.shape[:-1]), at + jnp.zeros(x.shape[:-1]))
    return x + rate * (goal * u[..., None] - x), u


def plain(step, given, x, inputs):
    """The same recursion, differentiated step by step."""

    def one(x, at):
        new, out = step(given, x, at)
        return new, (x, out)

    end, (before, out) = lax.scan(one, x, inputs)
    return end, before, out


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize(("step", "coupled"), [(alone, False), (together, True)])
def test_derivatives_of_a_trajectory_are_those_of_its_steps(step, coupled, mode):
    """To parameters of each part, the first state and the inputs, forward and backward, to rounding."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        point = (
            (jnp.asarray([0.3, 0.5, 0.8]), jnp.asarray(0.7)),
            jnp.asarray(rng.uniform(0.1, 0.6, (2, 4, 3))),
            jnp.asarray(rng.uniform(0.2, 1.5, 12)),
        )
        ours, theirs = (
            eqx.filter_jit(lambda point, run=run: (run(*point), mode(lambda p: run(*p))(point)))(point)
            for run in (lambda *p: trajectory(step, coupled, *p), lambda *p: plain(step, *p))
        )
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert max(float(jnp.abs(a).max()) for a in jax.tree.leaves(ours[1])) > 0.1
