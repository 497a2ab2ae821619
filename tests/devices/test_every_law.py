"""What every law must do: right gradients by every number in it under jit, a million cells at once, one cell like many."""

import equinox as eqx
import jax
import jax.numpy as jnp
import law_cases as cases
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

CELLS = np.asarray([2.3, 6.1, 11.7, 17.9, 21.2]) * cases.US


def is_smooth(path, leaf):
    return eqx.is_inexact_array(leaf) and getattr(path[-1], "name", "") != "dof"


@pytest.mark.parametrize(("kind", "name", "law", "ask"), cases.EVERY, ids=cases.IDS)
def test_gradient_by_every_number(kind, name, law, ask):
    """Reverse mode under jit, in float64, against central differences, for each number of the law and for the conductance.

    Each number is moved by 1e-5 of itself; the truncation error of that is below 1e-8 relative for these smooth laws. Left
    out: degrees of freedom of Student's t, whose draws are made in float32 (`test_programming.py` has them), and the target
    of quantised programming, whose gradient passes straight through on purpose.
    """
    with jax.enable_x64(True):
        numbers, rest = eqx.partition(law, jax.tree.map_with_path(is_smooth, law))
        numbers = jax.tree.map(lambda x: x.astype(jnp.float64), numbers)
        flat, build = ravel_pytree((numbers, jnp.asarray(CELLS)))
        weights = jnp.asarray([1.0, -2.0, 3.0, 0.5, 1.5])

        def loss(flat):
            numbers, g = build(flat)
            return jnp.sum(weights * ask(eqx.combine(numbers, rest), g)) / cases.US

        away = jnp.diag(jnp.where(flat == 0, 0, flat) * 1e-5)
        places = jnp.concatenate([flat[None], flat + away, flat - away])
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(places)  # one program: compiling is the price
        slope = np.asarray(slopes[0]) * np.asarray(flat)
        up, down = np.split(np.asarray(values[1:]), 2)
    assert np.all(np.isfinite(slope))
    checked = slice(None, -CELLS.size if name == "quantised" else None)
    scale = max(1.0, np.abs(up).max())
    np.testing.assert_allclose(slope[checked], ((up - down) / 2e-5)[checked], rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "law", "ask"), cases.EVERY, ids=cases.IDS)
def test_many_cells_at_once(kind, name, law, ask):
    """One jitted call on 1e5 cells: finite, of the right shape, and not all alike where cells differ."""
    g = jnp.linspace(1e-6, 24e-6, 100_000)
    out = jax.jit(lambda g: ask(law, g))(g)
    assert out.shape == g.shape and bool(jnp.all(jnp.isfinite(out)))
    if name not in ("none", "map"):
        assert float(jnp.std(out)) > 0


DETERMINISTIC = [("conduction", n) for n in cases.CONDUCTION] + [("update", n) for n in cases.STEPS]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), DETERMINISTIC)
def test_one_cell_is_like_many(kind, name):
    """A law of one cell under vmap is the same law on an array."""
    laws, ask = cases.ASK[kind]
    g = jnp.asarray(CELLS, jnp.float32)
    np.testing.assert_allclose(jax.vmap(lambda g: ask(laws[name], g))(g), ask(laws[name], g), rtol=1e-5, atol=1e-12)
