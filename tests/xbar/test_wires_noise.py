"""Read noise of cells behind wires: against draws, exact derivatives of the map, and cells that are not ohmic."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.conduction import Sinh
from xbar.macro.wires import AbstractWires, IdealWires, ResistiveWires, SeriesWires

DRAWS = 10_000

noise = eqx.filter_jit(lambda wires, g, var: wires.noise_map(g, var))
exact = eqx.filter_jit(lambda wires, g, var, v: wires.noise_variance(g, var, v))


def cells_of(rows, cols, mean, seed=0):
    """Conductances from 0.1 to 1.9 times `mean` of the two arrays of differential pairs; 5 % of noise."""
    g = mean * jax.random.uniform(jax.random.key(seed), (2, rows, cols), jnp.float64, minval=0.1, maxval=1.9)
    return g, (0.05 * g) ** 2


def inputs_of(rows, low, count, seed=1):
    return jax.random.uniform(jax.random.key(seed), (count, rows), jnp.float64, minval=low)


@pytest.mark.slow
def test_variance_against_draws():
    """32 x 32 pairs of 20 uS at 20 ohm: 10,000 draws of the cells through `effective` itself, one input of each kind.

    The variances of 32 columns, pooled: draws scatter by sqrt(2 / 320,000) = 0.25 %. 3 % would be 12 sigma.
    """
    with jax.enable_x64(True):
        wires, (g, var) = ResistiveWires(20.0, 20.0), cells_of(32, 32, 20e-6)
        v = jnp.concatenate([inputs_of(32, low, 1) for low in (0.0, -1.0)])
        slopes = jax.jit(jax.vmap(jax.jacrev(lambda g: v @ wires.effective(g))))(
            g
        )  # [pair, input, column, row, column]
        z = np.random.default_rng(0).normal(size=(DRAWS, 2, g[0].size)) * np.sqrt(np.asarray(var)).reshape(2, -1)
        flat = np.asarray(slopes).reshape(2, -1, g[0].size)
        drawn = np.einsum("npc,pxc->nx", z, flat, optimize=True).reshape(DRAWS, 2, 32).var(0).sum(1)
        maps = jax.vmap(lambda g, var: noise(wires, g, var))(g, var)
        ours = jax.tree.map(lambda x: x.sum(0), maps).variance(v).sum(1)
        np.testing.assert_allclose(ours / drawn, 1, atol=0.03)
        both = sum(exact(wires, *pair, v) for pair in zip(g, var, strict=True)).sum(1)
        np.testing.assert_allclose(both / drawn, 1, atol=0.015)
        naive = np.asarray(v**2 @ var.sum(0)).sum(1)
        assert np.all(naive / drawn > 1.5), "without the wires the test would not notice"
        assert float(maps.error.max()) < 0.03


@pytest.mark.slow
def test_exact_variance_is_that_of_the_derivatives():
    """Terminals and both ends: sums of squares of the derivatives of `effective`, to 1e-9."""
    with jax.enable_x64(True):
        g, var = (x[0] for x in cells_of(6, 5, 20e-6))
        v = inputs_of(6, -1.0, 3)
        slope_of = eqx.filter_jit(lambda wires, g: jax.jacfwd(wires.effective)(g))  # [row, column, by row, by column]
        for ends in (("left", "bottom"), ("both", "bottom"), ("both", "both")):
            wires = ResistiveWires(500.0, 300.0, 200.0, 100.0, drive=ends[0], ground=ends[1])
            slopes = slope_of(wires, g)
            of_inputs = jnp.einsum("br,rjik->bjik", v, slopes)
            np.testing.assert_allclose(exact(wires, g, var, v), jnp.einsum("bjik,ik->bj", of_inputs**2, var), rtol=1e-9)
            np.testing.assert_allclose(wires.sensitivity(g), jnp.einsum("ikik->ik", slopes), rtol=0.02)


def pooled(rows, ohm, mean, low):
    """Variance by the map over the exact one, summed over columns and pairs, of 4 inputs; the estimate of the error."""
    (g, var), v = cells_of(rows, rows, mean), inputs_of(rows, low, 4)
    wires = ResistiveWires(ohm, ohm)
    maps = [noise(wires, *pair) for pair in zip(g, var, strict=True)]
    want = sum(exact(wires, *pair, v) for pair in zip(g, var, strict=True))
    return sum(m.variance(v) for m in maps).sum(1) / want.sum(1), max(float(m.error) for m in maps)


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("rows, ohm, mean", [pytest.param(64, 5.0, 20e-6, marks=pytest.mark.slow), (64, 20.0, 20e-6)])
def test_map_of_noise(rows, ohm, mean, low):
    """3 % of the pooled variance for inputs of one sign and of both; the estimate of the error says so too."""
    with jax.enable_x64(True):
        ratio, error = pooled(rows, ohm, mean, low)
    np.testing.assert_allclose(ratio, 1, atol=0.03)
    assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("ohm, mean", [(1.0, 5e-6), (20.0, 5e-6), (5.0, 20e-6), (20.0, 20e-6)])
@pytest.mark.parametrize("rows", [128, 256])
def test_map_of_noise_on_large_tiles(rows, ohm, mean, low):
    """At 256 rows of 20 uS and 20 ohm a segment single inputs scatter by 2 %: their mean is held to 3 %."""
    with jax.enable_x64(True):
        ratio, _ = pooled(rows, ohm, mean, low)
    assert np.mean(np.asarray(ratio)) == pytest.approx(1, abs=0.03)


@pytest.mark.slow
def test_beyond_its_range_it_warns():
    with jax.enable_x64(True):
        g, var = (x[0] for x in cells_of(16, 16, 20e-6))
        with pytest.warns(UserWarning, match="variance of read noise is off by about"):
            ResistiveWires(4e4, 4e4).noise_map(g, var)


@pytest.mark.slow
def test_derivatives():
    """Of the map's and of the exact variance by cells, resistance and inputs, under jit, against central differences; in
    float32 finite, with dead cells and silent rows."""
    with jax.enable_x64(True):
        g, var = (x[0] for x in cells_of(6, 5, 20e-6))
        v, move = inputs_of(6, -1.0, 2), inputs_of(6, -1.0, 5, seed=3).T

        for way in (lambda w, g, v: w.noise_map(g, var).variance(v), lambda w, g, v: w.noise_variance(g, var, v)):

            def along(s, way=way):
                wires = ResistiveWires(200.0 * (1 + s), 300.0)
                return 1e15 * jnp.sum(way(wires, g * (1 + s * move), v + s * move[:, :2].T))

            at = jax.jit(along)
            near = float(at(1e-4) - at(-1e-4)) / 2e-4
            assert float(jax.jit(jax.grad(along))(0.0)) == pytest.approx(near, rel=1e-4)
    g, var, v = (x.astype(jnp.float32) for x in (g, var, v))
    g, var, v = g.at[2].set(0), var.at[2].set(0).at[:, 1].set(0), v.at[:, 3].set(0)
    slopes = jax.jit(
        jax.grad(lambda g, var, v: 1e15 * jnp.sum(ResistiveWires(20.0, 0.0).noise_map(g, var).variance(v)), (0, 1, 2))
    )(g, var, v)
    assert all(np.isfinite(x).all() and np.abs(x).max() > 0 for x in slopes)


def test_frozen_noise_and_silent_changes():
    """`perturbed` is the difference of two maps, to second order in the change; of zeros it is the derivative alone."""
    with jax.enable_x64(True):
        g, var = (x[0] for x in cells_of(6, 5, 20e-6))
        wires, dg = ResistiveWires(200.0, 300.0), 1e-3 * g * inputs_of(6, -1.0, 5).T
        moved = (wires.effective(g + dg) - wires.effective(g - dg)) / 2
        np.testing.assert_allclose(wires.perturbed(g, dg), moved, rtol=0, atol=1e-5 * float(jnp.abs(moved).max()))
        assert np.all(IdealWires().perturbed(g, dg) == dg) and np.all(IdealWires().sensitivity(g) == 1)
        ideal = IdealWires().noise_map(g, var)
        assert ideal.modes is None and ideal.error is None
        np.testing.assert_allclose(ideal.variance(jnp.ones((2, 6))), jnp.ones((2, 6)) @ var, rtol=1e-6)


class Halved(AbstractWires):
    def effective(self, g):
        return g / 2


def test_other_wires_have_defaults():
    g, v = jnp.ones((3, 2)), jnp.ones((1, 3))
    np.testing.assert_allclose(Halved().perturbed(g, g), g / 2)
    np.testing.assert_allclose(Halved().noise_variance(g, g, v), v**2 @ g)
    with pytest.raises(NotImplementedError, match="ohmic cells only"):
        Halved().noise_variance(g, g, v, Sinh(0.1))


def test_noise_of_cells_in_series_with_a_resistance():
    """A cell of conductance `g` behind `r` passes on `1/(1 + g r)^2` of what it changes by, independent or frozen."""
    g, var = jax.random.uniform(jax.random.key(0), (2, 6, 5)) * 25e-6
    found = SeriesWires(0.0, 0.0, r_access=100e3).noise_map(g, var).variance(jnp.eye(6))
    np.testing.assert_allclose(found, var / (1 + g * 100e3) ** 4, rtol=1e-5)


@pytest.mark.slow
def test_cells_that_are_not_ohmic():
    """Around the solution of each input, against derivatives of its currents by the cells' states: exact to 1e-6, by single
    lines to 2 % of the sum."""
    with jax.enable_x64(True):
        g, var = (x[0] for x in cells_of(6, 5, 20e-6))
        v, law, wires = inputs_of(6, -0.5, 2), Sinh(0.25), ResistiveWires(200.0, 300.0)
        slopes = jax.jit(jax.jacrev(lambda g: wires.solve(g, v, conduction=law).i_out))(g)
        want = jnp.einsum("bjik,ik->bj", slopes**2, var)
        np.testing.assert_allclose(wires.noise_variance(g, var, v, law), want, rtol=1e-6)
        lines = wires.noise_variance(g, var, v, law, exact=False)
        np.testing.assert_allclose(lines.sum(1), want.sum(1), rtol=0.02)
