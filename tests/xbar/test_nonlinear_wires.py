"""Wires around cells that are not ohmic: against nodal equations written out, conservation, derivatives, and on a crossbar."""

import dataclasses

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import devices
import xbar
from devices.conduction import Cubic, Ohmic, PooleFrenkel, Schottky, Sinh, WithSeriesResistance
from xbar import ResistiveWires

SELECTOR = WithSeriesResistance(Sinh(0.06), 2e3)
LAWS = [Cubic(2.0), Sinh(0.25), PooleFrenkel(0.3), Schottky(1.5), WithSeriesResistance(Ohmic(), 5e3), SELECTOR]


def tile_of(rows, cols, inputs, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    g = 10 ** jax.random.uniform(keys[0], (rows, cols), jnp.float64, minval=-6.0, maxval=-4.0)
    g = g * (jax.random.uniform(keys[1], g.shape) > 0.1)
    return g, jax.random.uniform(keys[2], (inputs, rows), jnp.float64, minval=-0.5, maxval=1.0)


@eqx.filter_jit
def solve(wires, g, v, **more):
    return wires.solve(g, v, **more)


def nodal_voltages(wires, law, g, v):
    """Node voltages by a general root finder on Kirchhoff's current law, node by node."""
    rows, cols = g.shape
    r_row, r_col, r_source, r_sense = (float(getattr(wires, n)) for n in ("r_row", "r_col", "r_source", "r_sense"))

    current = eqx.filter_jit(law)

    def missing(x):
        w, u = x.reshape(2, rows, cols)
        i = np.array(current(jnp.asarray(g), jnp.asarray(w - u)))
        at_word, at_bit = i.copy(), -i
        along, down = (w[:, :-1] - w[:, 1:]) / r_row, (u[:-1] - u[1:]) / r_col
        at_word[:, :-1] += along
        at_word[:, 1:] -= along
        at_bit[:-1] += down
        at_bit[1:] -= down
        at_word[:, 0] += (w[:, 0] - v) / (r_source + r_row)
        at_bit[-1] += u[-1] / (r_sense + r_col)
        if wires.drive == "both":
            at_word[:, -1] += (w[:, -1] - v) / (r_source + r_row)
        if wires.ground == "both":
            at_bit[0] += u[0] / (r_sense + r_col)
        return np.concatenate([at_word.ravel(), at_bit.ravel()])

    start = np.stack([np.broadcast_to(v[:, None], g.shape), np.zeros(g.shape)]).ravel()
    found = optimize.root(missing, start, method="hybr", tol=1e-13)
    return found.x.reshape(2, rows, cols)


@pytest.mark.few(3)
@pytest.mark.parametrize("ends", [("left", "bottom"), ("both", "both")])
@pytest.mark.parametrize("law", LAWS[:5], ids=lambda law: type(law).__name__)
def test_against_nodal_equations(law, ends):
    """Voltages of 6 x 5 cells behind 50 and 30 ohm a cell, to 1e-7 V: as far as the root finder comes."""
    with jax.enable_x64(True):
        g, v = tile_of(6, 5, 1)
        wires = ResistiveWires(50.0, 30.0, 20.0, 10.0, drive=ends[0], ground=ends[1])
        found = solve(wires, g, v, conduction=law)
        w, u = nodal_voltages(wires, law, np.asarray(g), np.asarray(v)[0])
        np.testing.assert_allclose(found.v_word[0], w, atol=1e-7)
        np.testing.assert_allclose(found.v_bit[0], u, atol=1e-7)
        assert np.max(np.abs(np.asarray(w - u) - np.asarray(v).T)) > 3e-3, "the wires must matter"


@pytest.mark.slow
@hypothesis.settings(max_examples=6, deadline=None)
@hypothesis.given(
    shape=st.sampled_from([(1, 1), (3, 7), (6, 2)]),
    ohms=st.tuples(*[st.sampled_from([0.0, 1.0, 300.0])] * 4),
    ends=st.tuples(st.sampled_from(["left", "both"]), st.sampled_from(["bottom", "both"])),
    law=st.sampled_from(LAWS),
    seed=st.integers(0, 1000),
)
def test_conservation(shape, ohms, ends, law, seed):
    """The cells obey their law to 1e-9 of the largest current; charge and energy are conserved; every part dissipates."""
    with jax.enable_x64(True):
        g, v = tile_of(*shape, 2, seed)
        found = solve(ResistiveWires(*ohms, drive=ends[0], ground=ends[1]), g, v, conduction=law)
        law_current = np.asarray(law(g, found.v_word - found.v_bit))
        v, found = np.asarray(v), jax.tree.map(np.asarray, found)
    largest = np.abs(law_current).max() + 1e-15
    np.testing.assert_allclose(law_current.sum(1), found.i_out, atol=1e-9 * largest * shape[0])
    np.testing.assert_allclose(law_current.sum(2), found.i_in, atol=1e-9 * largest * shape[1])
    parts = np.stack([found.cells, found.word_lines, found.bit_lines, found.terminals])
    power = np.sum(v * found.i_in, 1)
    np.testing.assert_allclose(parts.sum(0), power, rtol=1e-9, atol=1e-20)
    assert np.all(parts >= -1e-12 * (power.max() + 1e-20))


@pytest.mark.slow
def test_a_resistor_at_every_cell_is_another_ohmic_cell():
    """1T1R cells with a transistor of R ohm are cells of g / (1 + R g), which elimination solves: 1e-10."""
    with jax.enable_x64(True):
        g, v = tile_of(48, 32, 3)
        wires = ResistiveWires(5.0, 5.0, 20.0, 10.0)
        found = solve(wires, g, v, conduction=WithSeriesResistance(Ohmic(), 5e3))
        exact = np.asarray(v @ wires.effective(g / (1 + 5e3 * g)))
        np.testing.assert_allclose(found.i_out, exact, rtol=0, atol=1e-10 * np.abs(exact).max())
        assert int(found.report.iterations) <= 4


@pytest.mark.slow
def test_a_selector_cuts_what_it_should():
    """1S1R at half voltage passes far less than half the current; solved cold in few steps, warm in fewer, in float32 too."""
    with jax.enable_x64(True):
        g, v = tile_of(32, 32, 2)
        g, v, wires = 1e-3 * jnp.maximum(g, 1e-6), jnp.abs(v) + 0.5, ResistiveWires(50.0, 50.0, 20.0, 10.0)
        full, half = (solve(wires, g, a * v, conduction=SELECTOR) for a in (1.0, 0.5))
        assert float(jnp.max(half.i_out / full.i_out)) < 0.3
        warm = solve(wires, g, v * 1.001, conduction=SELECTOR, start=full)
        cold = solve(wires, g, v * 1.001, conduction=SELECTOR)
        np.testing.assert_allclose(warm.i_out, cold.i_out, rtol=1e-9)
        assert int(warm.report.iterations) < int(cold.report.iterations) < 30
        single = jnp.asarray(np.asarray(g), jnp.float32), jnp.asarray(np.asarray(v), jnp.float32)
        exact = np.asarray(full.i_out)
    rough = solve(ResistiveWires(50.0, 50.0, 20.0, 10.0), *single, conduction=SELECTOR)
    assert rough.i_out.dtype == jnp.float32
    np.testing.assert_allclose(rough.i_out, exact, rtol=0, atol=2e-5 * exact.max())


@pytest.mark.slow
def test_derivatives():
    """By cells, inputs, resistances and the law itself, under jit, against central differences; second derivatives too."""
    with jax.enable_x64(True):
        g, v = tile_of(5, 4, 2, seed=3)
        weights = jax.random.normal(jax.random.key(2), (2, 5, 4), jnp.float64)

        def along(s):
            wires = ResistiveWires(
                500.0 * (1 + 1e-3 * s), 300.0, 20.0 * (1 - 1e-3 * s), 10.0, drive="both", ground="both"
            )
            law = Sinh(jnp.asarray(0.2) * (1 + 2e-3 * s))
            found = wires.solve(
                g * (1 + 1e-3 * s * weights[0]), v * (1 + 1e-3 * s), conduction=law, tolerance=1e-13, throw=False
            )
            return jnp.sum(weights * found.v_bit) + 1e2 * jnp.sum(found.cells) ** 2 + jnp.sum(found.v_word**2)

        at = jax.jit(along)
        near = [float(at(s)) for s in (-1.0, 0.0, 1.0)]
        for slope in (jax.grad(along), lambda s: jax.jvp(along, (s,), (1.0,))[1]):
            assert float(jax.jit(slope)(0.0)) == pytest.approx((near[2] - near[0]) / 2, rel=1e-5)
        second = float(jax.jit(jax.grad(jax.grad(along)))(0.0))
        assert second == pytest.approx(near[2] - 2 * near[1] + near[0], rel=1e-3)


@pytest.mark.slow
def test_a_solution_that_is_not_reached_is_an_error():
    with jax.enable_x64(True):
        g, v = tile_of(16, 16, 1)
        wires = ResistiveWires(50.0, 50.0)
        with pytest.raises(RuntimeError, match="after at most 1 iterations"):
            jax.block_until_ready(wires.solve(g, v, conduction=Schottky(), most=1))
        found = wires.solve(g, v, conduction=Schottky(), most=1, throw=False)
        assert float(found.report.residual) > 1e-11
        power, parts = jnp.sum(v * found.i_in), found.cells + found.word_lines + found.bit_lines + found.terminals
        assert float(parts[0]) == pytest.approx(float(power), rel=1e-9), "what is returned still obeys Kirchhoff's laws"


def crossbar(ohm, device=None, **more):
    quiet = {"dac": xbar.DAC(None), "adc": xbar.ADC(None)} | more
    return xbar.Tile(device=device, rows=8, cols=4, wires=ResistiveWires(ohm, ohm), v_read=0.2, **quiet)


@pytest.mark.slow
def test_on_a_crossbar():
    """A chip of cells that are not ohmic: without resistance as with ideal wires, with it less. The energy of its array is
    that of the solution: at full voltage on all lines, less than that of cells without wires, by some per cent."""
    w, x = jax.random.normal(jax.random.key(0), (16, 8)), jax.random.normal(jax.random.key(1), (3, 16))
    device = devices.Device(1e-6, 1e-4, conduction=Cubic(5.0))

    matvec = lambda w, x: x @ w  # noqa: E731
    output = jax.jit(lambda ohm: xbar.analog(matvec, crossbar(ohm, device))(w, x, key=jax.random.key(2)))
    ideal = xbar.Tile(device=device, rows=8, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None), v_read=0.2)
    free = xbar.analog(matvec, ideal)(w, x, key=jax.random.key(2))
    np.testing.assert_allclose(output(0.0), free, rtol=1e-4, atol=1e-4)
    lost = 1 - float(jnp.sum(free * output(100.0)) / jnp.sum(free**2))
    assert 0.005 < lost < 0.2
    slope = jax.jit(jax.grad(lambda ohm: jnp.sum(free * output(ohm))))(100.0)
    near = float(jnp.sum(free * output(120.0)) - jnp.sum(free * output(80.0))) / 40
    assert float(slope) == pytest.approx(near, rel=0.05) and slope < 0

    def joules(wires):
        tile = dataclasses.replace(crossbar(1.0, device), wires=wires)
        chip = xbar.analog(matvec, tile).program(w, jnp.ones((3, 16)), key=jax.random.key(2))
        ledger = chip.energy(jnp.ones((3, 16)), key=jax.random.key(3))
        return float(ledger.joules[0, xbar.energy.COMPONENTS.index("array")])

    spent = [joules(wires) for wires in (xbar.IdealWires(), ResistiveWires(0.0, 0.0), ResistiveWires(100.0, 100.0))]
    assert spent[1] == pytest.approx(spent[0], rel=1e-3)
    assert 0.6 < spent[2] / spent[1] < 0.98


def test_wires_for_ohmic_cells_only_are_refused():
    class Halved(xbar.AbstractWires):
        def effective(self, g):
            return g / 2

    with pytest.raises(ValueError, match="Use ohmic cells"):
        xbar.Tile(device=devices.tio2_crossbar(), wires=Halved())
    assert eqx.tree_equal(Halved().effective(jnp.ones(2)), jnp.full(2, 0.5))
