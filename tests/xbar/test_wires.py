"""Wire resistance against exact nodal solutions, conservation laws, and limits."""

import os
import pathlib

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar import ResistiveWires


@pytest.fixture(scope="module")
def nodal():
    """Exact answers of small crossbars (cross-checked with ngspice and badcrossbar); skips where XBAR_DATA does not
    lead there."""
    path = pathlib.Path(os.environ.get("XBAR_DATA", "")) / "oracles" / "nodal.npz"
    if not os.environ.get("XBAR_DATA") or not path.is_file():
        pytest.skip("XBAR_DATA names no folder with oracles/nodal.npz, exact answers of small crossbars")
    return np.load(path)


@eqx.filter_jit
def solve(wires, g, v):
    return wires.effective(g), wires.solve(g, v)


@eqx.filter_jit
def solved(wires, g, v):
    return wires.solve(g, v)


@eqx.filter_jit
def mapped(wires, g):
    return wires.terminals(g)


@jax.jit
def to(wires, g, v, tolerance):
    return wires.solve(g, v, tolerance=jnp.asarray(tolerance), throw=False)


@pytest.mark.parametrize("part", ["every third", pytest.param("all", marks=pytest.mark.slow)])
def test_against_exact_answers(nodal, part):
    """Currents, node voltages and power of 19 cases to 1e-10: 1 x 1 to 64 x 64, ideal rows or columns, opens,
    both ends, terminals."""
    assert len(nodal["names"]) == 19
    with jax.enable_x64(True):
        for name in nodal["names"][:: 1 if part == "all" else 3]:
            want = {k: nodal[f"{name}/{k}"] for k in ("i_out", "i_bottom", "i_in", "v_wl", "v_bl", "power", "g", "v")}
            drive, ground = nodal[f"{name}/sides"]
            wires = ResistiveWires(
                *nodal[f"{name}/param"], drive="both" if drive else "left", ground="both" if ground else "bottom"
            )
            transfer, found = solve(wires, jnp.asarray(want["g"]), jnp.asarray(want["v"]))
            power = found.cells + found.word_lines + found.bit_lines + found.terminals
            ours = [want["v"] @ transfer, found.i_out, found.i_bottom, found.i_in, found.v_word, found.v_bit, power]
            keys = ("i_out", "i_out", "i_bottom", "i_in", "v_wl", "v_bl", "power")
            for key, value in zip(keys, ours, strict=True):
                np.testing.assert_allclose(
                    value, want[key], rtol=0, atol=1e-10 * np.abs(want[key]).max() + 1e-30, err_msg=f"{name} {key}"
                )


@hypothesis.settings(max_examples=5, deadline=None)
@hypothesis.given(
    shape=st.sampled_from([(1, 3), (5, 4)]),
    ohms=st.tuples(*[st.sampled_from([0.0, 0.3, 40.0])] * 4),
    ends=st.tuples(st.sampled_from(["left", "both"]), st.sampled_from(["bottom", "both"])),
    seed=st.integers(0, 1000),
)
def test_conservation(shape, ohms, ends, seed):
    """Charge: what enters leaves. Energy: the drivers' power is what cells, lines and terminals dissipate, each of
    them 0 or more."""
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        g = 10 ** jax.random.uniform(key, shape, minval=-6.0, maxval=-3.5) * (jax.random.uniform(key, shape) > 0.2)
        v = jax.random.normal(jax.random.fold_in(key, 1), (3, shape[0]))
        _, found = solve(ResistiveWires(*ohms, drive=ends[0], ground=ends[1]), g, v)
        v, found = np.asarray(v), jax.tree.map(np.asarray, found)
    parts = np.stack([found.cells, found.word_lines, found.bit_lines, found.terminals])
    power = np.sum(v * found.i_in, 1)
    np.testing.assert_allclose(parts.sum(0), power, rtol=1e-9, atol=1e-20)
    assert np.all(parts >= -1e-12 * power.max())
    np.testing.assert_allclose(found.i_in.sum(1), found.i_out.sum(1), rtol=1e-7, atol=1e-16)


def test_gradients():
    """By cells and by every resistance, under jit, against central differences; second derivatives too."""
    with jax.enable_x64(True):
        g = 10 ** jax.random.uniform(jax.random.key(0), (5, 4), minval=-5.0, maxval=-3.5)
        weights = jax.random.normal(jax.random.key(1), (5, 4)) * 1e5
        wires = ResistiveWires(5.0, 3.0, 20.0, 10.0, drive="both", ground="both")

        def loss(wires, g):
            return jnp.sum(weights * wires.effective(g)) ** 2

        by_wires, by_cells = eqx.filter_jit(jax.grad(loss, argnums=(0, 1)))(wires, g)
        move = 1e-4 * g * jax.random.normal(jax.random.key(2), g.shape)
        along = jax.jit(lambda s: loss(wires, g + s * move))
        assert float(jnp.sum(by_cells * move)) == pytest.approx(float(along(1.0) - along(-1.0)) / 2, rel=1e-5)
        second = jax.jit(jax.grad(jax.grad(along)))(0.0)
        assert float(second) == pytest.approx(float(along(1.0) - 2 * along(0.0) + along(-1.0)), rel=1e-3)
        for name in ("r_row", "r_col", "r_source", "r_sense"):
            assert float(getattr(by_wires, name)) == pytest.approx(slope_by(name, wires, loss, g), rel=1e-5)


@pytest.mark.parametrize(
    "rows, cols, ends",
    [
        (1, 70, ("left", "bottom")),
        (33, 20, ("left", "both")),
        pytest.param(70, 1, ("both", "both"), marks=pytest.mark.slow),
        pytest.param(16, 40, ("both", "bottom"), marks=pytest.mark.slow),
        pytest.param(20, 20, ("left", "bottom"), marks=pytest.mark.slow),
    ],
)
def test_joining_blocks_agrees_with_solving(rows, cols, ends):
    """The map of a tile whose sides are no power of two, and its drivers' currents, against every input solved: 1e-11."""
    with jax.enable_x64(True):
        g, _ = random_tile(rows, cols, 1, dtype=jnp.float64)
        wires = ResistiveWires(5.0, 30.0, 20.0, 10.0, drive=ends[0], ground=ends[1])
        transfer, admittance = mapped(wires, g)
        found = to(wires, g, jnp.eye(rows), 1e-13)
        for ours, want in ((transfer, found.i_out), (admittance, found.i_in)):
            np.testing.assert_allclose(ours, want, rtol=0, atol=1e-11 * float(jnp.max(jnp.abs(want))))


def nodal_transfer(g, r_row, r_col):
    """The map by Kirchhoff's current law at every node, written out, and NumPy's dense solver."""
    rows = len(g)
    word = np.arange(g.size).reshape(g.shape)
    bit = word + g.size
    matrix, drive = np.zeros((2 * g.size, 2 * g.size)), np.zeros((2 * g.size, rows))
    for a, b, y in ((word, bit, g), (word[:, :-1], word[:, 1:], 1 / r_row), (bit[:-1], bit[1:], 1 / r_col)):
        a, b, y = a.ravel(), b.ravel(), np.broadcast_to(y, a.shape).ravel()
        for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            matrix[i, j] += sign * y
    matrix[word[:, 0], word[:, 0]] += 1 / r_row
    matrix[bit[-1], bit[-1]] += 1 / r_col
    drive[word[:, 0], np.arange(rows)] = 1 / r_row
    return np.linalg.solve(matrix, drive)[bit[-1]].T / r_col


@pytest.mark.parametrize("ohm", [(1e-3, 1e5), (1e5, 1e-3), (1e5, 1e5), (5.0, 30.0)])
def test_joining_takes_extremes(ohm):
    """1 mohm to 100 kohm a segment, open cells beside cells of 1 S: 1e-12 of the largest transfer conductance."""
    rng = np.random.default_rng(0)
    g = 10 ** rng.uniform(-6, 0, (20, 18)) * (rng.uniform(size=(20, 18)) > 0.3)
    with jax.enable_x64(True):
        transfer = np.asarray(mapped(ResistiveWires(*ohm), jnp.asarray(g))[0])
    exact = nodal_transfer(g, *ohm)
    np.testing.assert_allclose(transfer, exact, rtol=0, atol=1e-12 * exact.max())


@hypothesis.settings(max_examples=12, deadline=None)
@hypothesis.given(
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    logs=st.tuples(st.floats(-3, 5), st.floats(-3, 5)),
    opens=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@hypothesis.example(rows=3, cols=2, logs=(0.0, 0.0), opens=1.0, seed=0)
def test_any_shape_resistance_and_open_cells(rows, cols, logs, opens, seed):
    """The map against dense nodal analysis, to 1e-10 of its largest entry; with every cell open, no current."""
    rng = np.random.default_rng(seed)
    g = 10 ** rng.uniform(-8, -3, (rows, cols)) * (rng.random((rows, cols)) >= opens)
    r_row, r_col = 10.0 ** np.array(logs)
    with jax.enable_x64(True):
        transfer = np.asarray(mapped(ResistiveWires(r_row, r_col), jnp.asarray(g))[0])
    np.testing.assert_allclose(transfer, nodal_transfer(g, r_row, r_col), rtol=0, atol=1e-10 * transfer.max() + 1e-30)


@pytest.mark.slow
def test_few_inputs_are_solved_and_many_mapped():
    """Either way the same currents and power."""
    with jax.enable_x64(True):
        g, v = random_tile(24, 20, 17, dtype=jnp.float64)
        wires = ResistiveWires(5.0, 3.0, 20.0, 10.0)
        assert bool(wires.prefers_direct_solve(16))
        assert not bool(wires.prefers_direct_solve(17))
        currents = eqx.filter_jit(lambda v: wires.currents(g, v))
        solved, mapped = currents(v[:16]), currents(v)
        np.testing.assert_allclose(solved[0], mapped[0][:16], rtol=1e-9)
        assert float(mapped[1] - solved[1]) == pytest.approx(float(currents(v[16:])[1]), rel=1e-9)
        assert float(solved[1]) == pytest.approx(float(jnp.sum(solve(wires, g, v[:16])[1].i_in * v[:16])), rel=1e-9)


def slope_by(name, wires, loss, g):
    """Central difference of `loss` by one of the resistances."""
    value = getattr(wires, name)
    at = jax.jit(lambda s: loss(eqx.tree_at(lambda w: getattr(w, name), wires, value * s), g))
    return float((at(1.0001) - at(0.9999)) / (2e-4 * value))


def test_no_resistance_is_no_wires():
    g = 10 ** jax.random.uniform(jax.random.key(0), (8, 6), minval=-6.0, maxval=-4.0)
    np.testing.assert_allclose(ResistiveWires(0.0, 0.0).effective(g), g, rtol=1e-6)


@pytest.mark.slow
def test_float32():
    """128 x 64 cells of 1 to 100 uS at 2 ohm: 2e-6 of the largest transfer conductance."""
    g = 10 ** jax.random.uniform(jax.random.key(0), (128, 64), minval=-6.0, maxval=-4.0)
    single = ResistiveWires(2.0, 2.0).effective(g)
    with jax.enable_x64(True):
        double = np.asarray(ResistiveWires(2.0, 2.0).effective(g.astype(jnp.float64)))
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-6 * float(double.max()))
    assert single.dtype == jnp.float32 and float(double[0, -1] / g[0, -1]) < 0.95, "far corners must lose voltage"


def random_tile(rows, cols, inputs, seed=0, dtype=None):
    g = 10 ** jax.random.uniform(jax.random.key(seed), (rows, cols), dtype, minval=-6.0, maxval=-4.0)
    return g, jax.random.uniform(jax.random.key(seed + 1), (inputs, rows), dtype)


@pytest.mark.parametrize("ohm", [5.0, 50.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_iteration_agrees_with_the_map(ohm):
    """Currents of 96 x 64 cells: as tight as was asked for, down to 1e-11 in float64 and 2e-6 in float32; the residual
    says so."""
    with jax.enable_x64(True):
        g, v = random_tile(96, 64, 3, dtype=jnp.float64)
        wires = ResistiveWires(ohm, ohm, 10.0, 20.0)
        exact = np.asarray(v @ mapped(wires, g)[0])
        for tolerance in (1e-3, 1e-6, 1e-9, 1e-12):
            found = to(wires, g, v, tolerance)
            error = np.max(np.abs(np.asarray(found.i_out) - exact)) / exact.max()
            assert error <= 10 * float(found.report.residual) + 1e-13, tolerance
            assert float(found.report.residual) <= tolerance
        assert error < 1e-11
        single = jnp.asarray(np.asarray(g), jnp.float32), jnp.asarray(np.asarray(v), jnp.float32)
    found = solved(ResistiveWires(ohm, ohm, 10.0, 20.0), *single)
    assert found.i_out.dtype == jnp.float32
    np.testing.assert_allclose(found.i_out, exact, rtol=0, atol=2e-6 * exact.max())


@pytest.mark.slow
def test_gradients_of_a_solution():
    """Of node voltages and dissipation, by cells and inputs, under jit, against central differences; second
    derivatives too."""
    with jax.enable_x64(True):
        g, v = random_tile(5, 4, 2, dtype=jnp.float64)
        wires = ResistiveWires(500.0, 300.0, 20.0, 10.0, drive="both", ground="both")
        weights = jax.random.normal(jax.random.key(2), (2, 5, 4), jnp.float64)
        moves = 1e-3 * g * weights[0], 1e-3 * weights[1, :, :2].T

        def along(s):
            found = wires.solve(g + s * moves[0], v + s * moves[1])
            return jnp.sum(weights * found.v_bit) + 1e2 * jnp.sum(found.cells) ** 2 + jnp.sum(found.v_word**2)

        slope, second = jax.jit(jax.grad(along))(0.0), jax.jit(jax.grad(jax.grad(along)))(0.0)
        at = jax.jit(along)
        assert float(slope) == pytest.approx(float(at(1.0) - at(-1.0)) / 2, rel=1e-5)
        assert float(second) == pytest.approx(float(at(1.0) - 2 * at(0.0) + at(-1.0)), rel=1e-3)


def test_a_solution_that_is_not_reached_is_an_error():
    g, v = random_tile(32, 32, 1)
    wires = ResistiveWires(100.0, 100.0)
    with pytest.raises(RuntimeError, match="residual is above 1e-06 after at most 1 iterations"):
        jax.block_until_ready(wires.solve(g, v, most=1))
    assert float(wires.solve(g, v, most=1, throw=False).report.residual) > 1e-6
    with pytest.raises(ValueError, match=r"g\[3, 4\]=nan"):
        jax.block_until_ready(wires.solve(g.at[3, 4].set(jnp.nan), v))


def test_ohm_per_cell():
    """9.77 ohm/um at 22 nm (worked out from the table by hand): 12, 4 and 2 half pitches of 40 nm."""
    assert xbar.ohm_per_cell(22e-9) == pytest.approx((4.69, 1.56), rel=3e-3)
    assert xbar.ohm_per_cell(22e-9, cell="crosspoint") == pytest.approx((0.78, 0.78), rel=3e-3)
    assert xbar.ohm_per_cell(half_pitch=40e-9) == xbar.ohm_per_cell(22e-9)
    assert xbar.ohm_per_cell(5e-9)[0] > xbar.ohm_per_cell(130e-9)[0] * 5
    for settings in (
        {},
        {"node": 22e-9, "half_pitch": 40e-9},
        {"node": 22.0},
        {"half_pitch": 1e-9},
        {"node": 22e-9, "cell": "2T"},
    ):
        with pytest.raises(ValueError, match="ohm_per_cell"):
            xbar.ohm_per_cell(**settings)


def test_on_a_crossbar():
    """A chip behind resistive wires computes with the effective map of each of its tiles, and training sees the wires."""
    w, x = jax.random.normal(jax.random.key(0), (12, 5)), jax.random.normal(jax.random.key(1), (3, 12))

    @jax.jit
    def output(ohm, w):
        tile = xbar.Tile(
            device=devices.ideal(),
            rows=8,
            cols=4,
            dac=xbar.DAC(None),
            adc=xbar.ADC(None),
            wires=ResistiveWires(ohm, ohm),
        )
        return xbar.analog(lambda w, x: x @ w, tile)(w, x, key=jax.random.key(2))

    ideal, dropped = output(0.0, w), output(200.0, w)
    np.testing.assert_allclose(ideal, x @ w, rtol=2e-5, atol=2e-5)
    lost = 1 - float(jnp.sum(ideal * dropped) / jnp.sum(ideal**2))
    assert 0.005 < lost < 0.2
    slope = jax.jit(jax.grad(lambda ohm: jnp.sum(ideal * output(ohm, w))))(200.0)
    near = float(jnp.sum(ideal * output(210.0, w)) - jnp.sum(ideal * output(190.0, w))) / 20
    assert float(slope) == pytest.approx(near, rel=0.02) and slope < 0


@pytest.mark.slow
def test_energy_is_what_the_drivers_deliver():
    """The array's energy of vectors that are mapped and of vectors that are solved, against the nodes' solution: inputs
    of both signs draw more than their own transfer, as they pay for each other's."""
    w, x = jax.random.normal(jax.random.key(0), (16, 16)), jax.random.normal(jax.random.key(1), (20, 16))
    quiet = {"dac": xbar.DAC(None, range=3.0), "adc": xbar.ADC(None)}
    tile = xbar.Tile(devices.ideal(), 16, 16, wires=ResistiveWires(200.0, 200.0), read_time=1e-7, **quiet)
    chip = xbar.analog(lambda w, x: x @ w, tile).program(w, x, key=jax.random.key(2))
    g = chip.arrays[0].cells.g[:, 0, 0, :, 0]
    v = 0.2 * x / 3.0
    maps, found = zip(*[solve(tile.wires, pair, v) for pair in g], strict=True)
    want = 1e-7 * sum(jnp.sum(f.i_in * v) for f in found)
    array = xbar.energy.COMPONENTS.index("array")
    assert float(chip.energy(x, inferences=1).joules[0, array]) == pytest.approx(float(want), rel=1e-4)
    parts = [float(chip.energy(part, inferences=1).joules[0, array]) for part in (x[:10], x[10:])]
    assert sum(parts) == pytest.approx(float(want), rel=1e-4)
    own = 1e-7 * sum(jnp.sum(v**2 @ transfer) for transfer in maps)
    assert float(want) > 1.02 * float(own)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="r_col=-1"):
        ResistiveWires(1.0, -1.0)
    with pytest.raises(ValueError, match="'left' or 'both'"):
        ResistiveWires(1.0, 1.0, drive="right")
