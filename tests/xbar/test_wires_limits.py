"""Wires at and beyond what they can be: resistances, lengths and cells that cannot be, products of both that are too large."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar
from xbar import ResistiveWires


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, np.float32(-2), jnp.asarray(-3)])
@pytest.mark.parametrize("name", ["r_row", "r_col", "r_source", "r_sense"])
def test_resistances_that_cannot_be(name, value):
    with pytest.raises(ValueError, match=rf"ResistiveWires: {name}=.* finite number of 0 ohm or more"):
        ResistiveWires(**{"r_row": 1.0, "r_col": 1.0, name: value})


@pytest.mark.parametrize("value", ["5", None, True, 1j, [1.0]])
def test_resistances_that_are_no_numbers(value):
    with pytest.raises(TypeError, match=r"ResistiveWires: r_col=.*give a resistance in ohms as a number"):
        ResistiveWires(1.0, value)


def test_resistances_that_no_segment_has_are_warned_of():
    with pytest.warns(UserWarning, match="r_row=20000000.0 ohm is the resistance of one segment"):
        ResistiveWires(2e7, 1.0)


def test_whole_numbers_have_a_derivative():
    """Python's and NumPy's integers: the slope of the current by the resistance of a segment is that of floats."""
    g = jnp.full((3, 3), 1e-4)
    slope = jax.jit(jax.grad(lambda w: jnp.sum(w.effective(g))))
    want = slope(ResistiveWires(10.0, 20.0))
    for one, two in ((10, 20), (np.int64(10), np.int32(20)), (jnp.asarray(10), np.float64(20.0))):
        found = slope(ResistiveWires(one, two))
        assert float(found.r_row) == pytest.approx(float(want.r_row)) and float(want.r_row) < 0
        assert float(found.r_col) == pytest.approx(float(want.r_col))


@pytest.mark.parametrize("cell", [float("nan"), float("inf"), -1e-6])
def test_cells_that_cannot_be(cell):
    """Named where they are known; where they are traced, the computation fails; never a map of NaN."""
    g, v = jnp.full((3, 2), 1e-5).at[1, 1].set(cell), jnp.ones((1, 3))
    wires = ResistiveWires(1.0, 1.0)
    for use in (wires.effective, lambda g: wires.solve(g, v), lambda g: wires.noise_map(g, g**2)):
        with pytest.raises(ValueError, match=r"g\[1, 1\]="):
            use(g)
    with pytest.raises(RuntimeError, match="negative, infinite or not a number"):
        jax.block_until_ready(jax.jit(lambda g: wires.effective(g))(g))


def test_infinite_resistance_where_it_is_traced():
    with pytest.raises(RuntimeError, match="negative, infinite or not a number"):
        jax.block_until_ready(jax.jit(lambda r: ResistiveWires(r, 1.0).effective(jnp.full((2, 2), 1e-5)))(jnp.inf))


def test_lengths_of_the_table():
    assert xbar.ohm_per_cell(np.float64(22e-9)) == xbar.ohm_per_cell(22e-9)
    assert xbar.ohm_per_cell(22e-9, cell=(np.int64(2), 2)) == xbar.ohm_per_cell(22e-9, cell="crosspoint")
    for node in (22, np.int64(22)):
        with pytest.raises(ValueError, match="for 22 nm write 22e-9"):
            xbar.ohm_per_cell(node)
    with pytest.raises(ValueError, match="for 40 nm write 40e-9"):
        xbar.ohm_per_cell(half_pitch=40)
    for value in (float("nan"), float("inf"), -22e-9):
        with pytest.raises(ValueError, match="not in the table"):
            xbar.ohm_per_cell(value)
    for given in ({"node": "22nm"}, {"half_pitch": "40e-9"}, {"node": True}):
        with pytest.raises(TypeError, match="give one number in metres"):
            xbar.ohm_per_cell(**given)
    for cell in ((2.0,), (2.0, -1.0), ("a", "b"), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="two lengths in half pitches"):
            xbar.ohm_per_cell(22e-9, cell=cell)


@pytest.mark.few(2)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8)])
def test_solutions_in_single_precision_are_right_or_say_so(shape):
    """Wires of 1 ohm to 1 Gohm around cells of 1 uS to 1 MS: the map is right to 1e-6 of the largest current in all cases;
    of solutions, those that miss by more than 1e-4 report more than is accepted."""
    map_of = eqx.filter_jit(lambda w, g, v: v @ w.effective(g))
    found = eqx.filter_jit(lambda w, g, v: w.solve(g, v, throw=False))
    spread = 10 ** jax.random.uniform(jax.random.key(0), shape, minval=-1.0)
    v = jax.random.uniform(jax.random.key(1), (2, shape[0]))
    said = 0
    for ohm in (1e0, 1e3, 1e6, 1e9):
        for siemens in (1e-6, 1e-4, 1e0, 1e3, 1e6):
            g = (siemens * spread).astype(jnp.float32)
            wires = ResistiveWires(1.0, 1.0)
            wires = eqx.tree_at(lambda w: (w.r_row, w.r_col), wires, (jnp.float32(ohm), jnp.float32(ohm)))
            single, solved = map_of(wires, g, v), found(wires, g, v)
            with jax.enable_x64(True):
                double = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), (wires, g, v))
                exact = np.asarray(map_of(*double))
            assert np.max(np.abs(single - exact)) < 1e-6 * exact.max()
            error = np.max(np.abs(solved.i_out - exact)) / exact.max()
            refused = not (float(solved.report.residual) <= 1e-6 and float(solved.report.misfit) <= 6e-5)
            assert refused or error < 1e-4, (ohm, siemens)
            said += refused
    assert 5 < said < 16


def test_a_solution_that_rounding_spoils_is_an_error():
    wires = ResistiveWires(1e6, 1e6)
    with pytest.raises(RuntimeError, match="times cell conductance is too large for this precision"):
        jax.block_until_ready(wires.solve(jnp.ones((1, 1)), jnp.full((1, 1), 0.2)))
