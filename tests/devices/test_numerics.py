"""Numerical tools: what a user of a law never sees, held against a plainer way to the same numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy.special import digamma, gammaln

from devices._numerics import log_gamma_half, rowwise, solve_increasing, trajectory


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


@pytest.mark.few(2)
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


def wave(u, data):
    """A row's function of three numbers, none of whose second derivatives is nought."""
    return jnp.exp(u[0] * u[1]) * jnp.sin(u[2] + data["phase"]) + jnp.log1p(u[1] ** 2 * u[2] ** 2)


@pytest.mark.slow
def test_a_function_of_rows_has_the_derivatives_of_its_sum():
    """First and second, of twelve parameters that make eight rows, alone and batched over data, to rounding."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        mix, theta = rng.normal(size=(8, 3, 12)) / 4, rng.normal(size=12)
        data = {"phase": jnp.asarray(rng.normal(size=(2, 8)))}

        def total(run, theta, data):
            return jnp.sum(jnp.arange(1.0, 9) * run(jnp.tanh(mix @ theta), data))

        ours = lambda u, data: rowwise(wave, u, data)  # noqa: E731
        theirs = jax.vmap(wave)
        for derive in (lambda f: f, jax.grad, jax.hessian):
            a, b = (
                jax.vmap(derive(lambda theta, data, run=run: total(run, theta, data)), (None, 0))(theta, data)
                for run in (ours, theirs)
            )
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
            assert float(jnp.abs(a[0] - a[1]).max()) > 0.1


def test_half_a_step_of_the_gamma_function():
    """Against SciPy, from 0.05 to 1e4, with its derivative."""
    x = np.geomspace(0.05, 1e4, 200)
    with jax.enable_x64(True):
        np.testing.assert_allclose(log_gamma_half(jnp.asarray(x)), gammaln(x + 0.5) - gammaln(x), atol=1e-10)
        slope = jax.vmap(jax.grad(log_gamma_half))(jnp.asarray(x))
    np.testing.assert_allclose(slope, digamma(x + 0.5) - digamma(x), atol=1e-10)
