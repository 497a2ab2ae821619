"""Co-design: areas under fronts by hand, prices against the ledger and finite differences, searches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import codesign, searches
from experiments.framework.errors import UsageError

SMALL = codesign.Config(rows=16, cols=8, gradients=1, lambdas=(0.5,), batch=16, images=40, chips=1, repetitions=1)
OWN = """
import numpy as np
f = lambda p, x: x @ p
params = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
x = np.random.default_rng(1).normal(size=(200, 16)).astype(np.float32)
y = (x @ params).argmax(1)
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "mine.py"
    path.write_text(OWN)
    return codesign.prepare(dataclasses.replace(SMALL, network=str(path)))


def test_hypervolume_by_hand():
    """One design at a tenth of the cost and 5 points of error: 25 points times ln 10. A worse one adds nothing, a better one
    at nominal cost adds nothing either; one at half the cost with no error adds 5 points times ln 2."""
    log = np.log
    one = codesign.hypervolume(np.array([0.05]), np.array([log(0.1)]))
    assert one == pytest.approx(0.25 * log(10))
    assert codesign.hypervolume(np.array([0.05, 0.2, 0.0]), np.log([0.1, 0.5, 1.0])) == pytest.approx(one)
    assert codesign.hypervolume(np.array([0.05, 0.0]), np.log([0.1, 0.5])) == pytest.approx(one + 0.05 * log(2))
    assert codesign.hypervolume(np.array([0.4]), np.array([-1.0])) == 0


def test_fronts_hold_what_nothing_beats():
    z = np.zeros(1)
    candidates = [(z + 0, 1.0, 0.0), (z + 1, 0.5, 1.0), (z + 2, 0.7, 2.0), (z + 3, 0.1, 3.0)]
    assert [float(d[0]) for d in searches.front(candidates, 9)] == [3, 1, 0]
    assert [float(d[0]) for d in searches.front(candidates, 2)] == [3, 0]


def test_the_nominal_design_costs_what_the_ledger_says(state):
    """Repriced with its own bits, time and columns: the same joules and seconds, and whole bits stay as they are."""
    space = state.space
    z = space.start()
    energy, latency, area = space.costs_of(z)
    from xbar.energy.pricing import priced

    found = priced(space.recipe)
    assert energy == pytest.approx(float(found.terms.sum()), rel=1e-4)
    assert latency == pytest.approx(float(found.seconds.sum()), rel=1e-4)
    assert area == pytest.approx(float(found.area.sum()), rel=1e-4)
    np.testing.assert_allclose(space.rounded(z), z, atol=1e-12)
    np.testing.assert_allclose(np.asarray(space.physics(z).bits), 8)


def test_slopes_of_energy_against_finite_differences(state):
    space = state.space
    z = jnp.asarray(np.linspace(0.35, 0.65, space.size), jnp.float32)
    energy = lambda z: jnp.log(space.cost(space.physics(z))[0])  # noqa: E731
    slopes = np.asarray(jax.jit(jax.grad(energy))(z))
    step = 3e-2
    value = jax.jit(energy)
    ends = [[float(value(z + s * step * e)) for s in (1, -1)] for e in jnp.eye(space.size)]
    np.testing.assert_allclose(slopes, [(a - b) / (2 * step) for a, b in ends], rtol=2e-2, atol=2e-3)
    assert (slopes[: len(space.layers)] > 0).all()  # bits cost


@pytest.mark.slow
def test_a_small_run(state):
    """Every search finds designs that are verified; fewer bits cost less; rounding as noise has a slope by the bits."""
    found = codesign.compute(SMALL, state, {"repetition": 0})
    assert np.isfinite(found["error"][:, 0]).all() and (found["hypervolume"] >= 0).all()
    z = jnp.asarray(state.space.start(), jnp.float32).at[: len(state.space.layers)].set(0.1)
    by_z, _ = state.space.slope((z, state.model), *state.search, jax.random.key(0), jnp.asarray(0.0))
    assert np.isfinite(np.asarray(by_z)).all() and np.abs(np.asarray(by_z)[: len(state.space.layers)]).max() > 0


def test_the_grid_keeps_to_its_budget():
    class Space:
        layers, size = ("a", "b"), 5

    seen = searches.grid(lambda z: (0.0, 0.0), Space, 72)
    assert 36 <= len(seen) <= 72 and all(z[0] == z[1] for z, _, _ in seen)
    assert len({z[0] for z, _, _ in seen}) == 6


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(lambdas=(1.0, 0.1)), "--lambdas"),
        (dict(architecture="isaac"), "--architecture isaac"),
        (dict(batch=0), "--batch 0"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(UsageError, match=says):
        codesign.check(codesign.Config(**{"network": "mlp", **settings}))
