"""Conservation, gradients, and dependence on data, of ledgers of programmed chips."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar.energy import COMPONENTS, Andrulis, SurveyBound, Technology
from xbar.energy.pricing import CONSTANT, priced

KEY = jax.random.key(0)


def product(w, x):
    return x @ w


def programmed(tile, w, x):
    return xbar.analog(product, tile).program(w, x, key=KEY)


def solved(chip, tile, x):
    """Dissipation of all nodes' voltages, for both cells of each pair [W]: cells, word lines, bit lines, terminals."""
    g = tile.device.conductance(chip.arrays[0].cells, 0.0)[:, 0, 0, :, 0]
    v = tile.v_read * x / jnp.max(jnp.abs(x), 1, keepdims=True)
    parts = np.zeros(4)
    for cells in g:
        found = tile.wires.solve(cells, v)
        parts += [float(p.sum()) for p in (found.cells, found.word_lines, found.bit_lines, found.terminals)]
        assert float(jnp.sum(found.i_in * v)) == pytest.approx(parts_of(found), rel=1e-9)
    return parts


def parts_of(found):
    return float((found.cells + found.word_lines + found.bit_lines + found.terminals).sum())


@pytest.mark.parametrize(
    ("vectors", "size"),  # solved one by one, and by the map of the tile
    [
        pytest.param(3, 24, marks=pytest.mark.slow),
        pytest.param(3, 64, marks=pytest.mark.slow),
        pytest.param(24, 64, marks=pytest.mark.slow),
        (24, 12),
    ],
)
def test_at0_the_arrays_heat_is_conserved_and_split(vectors, size):
    """12 x 12 (slow: 24 x 24, 64 x 64) with wires, float64: what drivers deliver, and each share of it, to 1e-6 of the
    nodes' solution."""
    with jax.enable_x64(True):
        w = jax.random.normal(KEY, (size, size), dtype=float)
        x = jax.random.normal(jax.random.key(1), (vectors, size), dtype=float)
        wires = xbar.ResistiveWires(4.7, 1.6, r_source=50.0, r_sense=20.0)
        tile = xbar.Tile(device=devices.ideal(), rows=size, cols=size, dac=xbar.DAC(None), wires=wires)
        chip = programmed(tile, w, x)
        ledger = chip.energy(x, inferences=1)
        want = solved(chip, tile, x) * float(tile.read_time)
        got = [float(part[0]) for part in ledger.array_parts.values()]
        np.testing.assert_allclose(got, want, rtol=1e-6)
        array = ledger.joules[0, COMPONENTS.index("array")]
        assert float(array) == pytest.approx(want.sum(), rel=1e-6)
        assert np.nansum(ledger.joules) == pytest.approx(np.nansum(ledger.terms), rel=1e-12)  # ideal DACs have no price


@pytest.mark.slow
def test_at0_ideal_wires_are_the_limit():
    """The fast path is what resistive wires tend to; the gap is proportional to the resistance where that is small."""
    with jax.enable_x64(True):
        w, x = jax.random.normal(KEY, (32, 16), dtype=float), jnp.ones((2, 32), dtype=float)

        def heat(wires):
            tile = xbar.Tile(device=devices.ideal(), rows=32, cols=16, dac=xbar.DAC(None), wires=wires)
            return float(programmed(tile, w, x).energy(x, inferences=1).joules[0, 0])

        ideal = heat(xbar.IdealWires())
        gaps = [ideal - heat(xbar.ResistiveWires(r, r)) for r in (1e-2, 1e-4)]
        assert 0 < gaps[1] < gaps[0] < 1e-3 * ideal
        assert gaps[0] / gaps[1] == pytest.approx(100, rel=0.01)


@pytest.mark.few(1)
@pytest.mark.parametrize("encoding", ["amplitude", "pulse_width", "bit_serial"])
def test_at0_gradients_against_finite_differences(encoding):
    """By weights, read voltage, pulse length, node and ADC bits, under jit, float64: 1e-5."""
    with jax.enable_x64(True):
        x = jax.random.normal(jax.random.key(1), (4, 12), dtype=float)
        tile = xbar.Tile(device=devices.ideal(), rows=8, cols=8, dac=xbar.DAC(8, encoding))
        theta = jnp.array([1.0, 0.2, 1e-7, 24e-9, 7.4])  # 22 nm is a corner of the tables of wires

        def total(theta):
            get = lambda t: (t.v_read, t.read_time, t.adc.bits)  # noqa: E731
            own = eqx.tree_at(get, tile, (theta[1], theta[2], theta[4]))
            w = jnp.linspace(-1, 1, 96).reshape(12, 8) + 0 * theta[0]
            device = eqx.tree_at(lambda d: d.g_max, own.device, own.device.g_max * theta[0])
            chip = programmed(eqx.tree_at(lambda t: t.device, own, device), w, x)
            tech = eqx.tree_at(lambda t: t.node, Technology(toggling=0.0), theta[3])
            return jnp.log(chip.energy(x, technology=tech, inferences=4).total)

        found = jax.jit(jax.grad(total))(theta) * theta
        steps = 1e-6 * jnp.diag(theta)
        call = jax.jit(total)
        finite = jnp.array([(call(theta + s) - call(theta - s)) / 2e-6 for s in steps])
        np.testing.assert_allclose(found, finite, rtol=1e-5, atol=1e-8)
        assert (np.abs(np.asarray(found)) > 0).all()


@pytest.mark.slow
def test_at0_monotone_in_bits_and_node():
    """A wider converter and a larger node cost more, half bits included."""
    w, x = jax.random.normal(KEY, (16, 8)), jax.random.normal(jax.random.key(1), (4, 16))
    chip = programmed(xbar.Tile(device=devices.ideal(), rows=16, cols=8), w, x)
    ledger = chip.energy(x)

    def adc(bits, node=22e-9):
        own = eqx.tree_at(lambda r: (r.costs[0].adc_bits, r.technology.node), ledger.recipe, (bits, node))
        return priced(own).terms.sum()

    by_bits = jax.vmap(adc)(jnp.arange(4.0, 12.0, 0.5))
    by_node = jax.vmap(lambda n: adc(8.0, n))(jnp.geomspace(14e-9, 130e-9, 30))
    assert (np.diff(by_bits) > 0).all() and (np.diff(by_node) > 0).all()


def test_a_chip_taken_at_a_time_says_that_its_heat_is_not_split():
    """The total is the same, and a note says where the split is missing."""
    w, x = jax.random.normal(KEY, (12, 8)), jax.random.normal(jax.random.key(1), (20, 12))
    tile = xbar.Tile(device=devices.ideal(), rows=12, cols=8, wires=xbar.ResistiveWires(5.0, 5.0))
    chip = programmed(tile, w, x)
    split, whole = chip.energy(x), chip.at(0.0).energy(x)
    assert float(whole.total) == pytest.approx(float(split.total), rel=1e-4)
    assert float(whole.array_parts["word_wires"][0]) == 0 < float(split.array_parts["word_wires"][0])
    booked = lambda ledger: any("assigned to their cells" in note for note in ledger.notes)  # noqa: E731
    assert booked(whole) and not booked(split)


def test_at4_energy_follows_the_data_unless_it_is_fixed():
    """Dense against sparse inputs: more than 1.3 times the energy; 1.0 in the fixed mode, which says what it is."""
    w = jax.random.normal(KEY, (128, 64))
    sparse = jax.random.uniform(jax.random.key(1), (8, 128)) * jax.random.bernoulli(jax.random.key(2), 0.2, (8, 128))
    dense = jax.random.uniform(jax.random.key(1), (8, 128), minval=0.9)
    tile = xbar.Tile(device=devices.ideal(), rows=128, cols=64, dac=xbar.DAC(8, range=1.0))
    chip = programmed(tile, w, dense)
    assert float(chip.energy(dense).total / chip.energy(sparse).total) > 1.3
    fixed = [chip.energy(x, fixed=True) for x in (dense, sparse)]
    assert float(fixed[0].total) == float(fixed[1].total)
    assert any("FIXED ENERGY MODE" in note for note in fixed[0].notes)
    assert not any("FIXED" in note for note in chip.energy(dense).notes)


@pytest.mark.few(1)
@pytest.mark.parametrize("encoding", ["amplitude", "pulse_width", "bit_serial"])
def test_zero_inputs_cost_what_a_chip_costs_anyway(encoding):
    """Zeros: leakage, clocks and converters only; any other input costs more of everything else."""
    w = jax.random.normal(KEY, (24, 10))
    f = lambda w, x: jax.nn.relu(x @ w)  # noqa: E731
    x = jax.random.normal(jax.random.key(1), (4, 24))
    tile = xbar.Tile(device=devices.ideal(), rows=16, cols=8, dac=xbar.DAC(8, encoding))
    chip = xbar.analog(f, tile).program(w, x, key=KEY)
    nothing, something = chip.energy(0 * x), chip.energy(x)
    for name, joules, more in zip(COMPONENTS, nothing.by_component, something.by_component, strict=True):
        if name not in CONSTANT:
            assert float(joules) == 0, name
            assert name in ("off_chip", "neurons") or float(more) > 0, name
        elif name != "dac":
            assert float(joules) == pytest.approx(float(more)) and float(joules) > 0, name


GOLDEN = {  # pJ a conversion at 4 to 10 bits, 1e8 Hz or slower
    130: (12.9, 13.1, 14.9, 18.3, 23.9, 32.6, 46.2),
    32: (0.924, 0.936, 1.07, 1.31, 1.71, 2.34, 3.31),
    14: (0.195, 0.198, 0.225, 0.277, 0.362, 0.495, 0.700),
}


@pytest.mark.parametrize("node", [pytest.param(n, marks=() if n == 32 else pytest.mark.slow) for n in GOLDEN])
def test_at5_converters_of_a_chip(node):
    """The ADC row of a chip, by its conversions: the golden table to 1 %, and the survey's bound."""
    w, x = jax.random.normal(KEY, (16, 8)), jnp.ones((2, 16))
    for bits, picojoules in zip(range(4, 11), GOLDEN[node], strict=True):
        chip = programmed(xbar.Tile(device=devices.ideal(), rows=8, cols=8, adc=xbar.ADC(bits)), w, x)
        for law, want in ((Andrulis(), picojoules), (SurveyBound(), 0.267 + 0.145e-6 * 4.0**bits)):
            ledger = chip.energy(x, technology=Technology(node=node * 1e-9, adc_model=law), inferences=1)
            adc = float(ledger.by_component[COMPONENTS.index("adc")])
            assert adc / (2 * 2 * 8) == pytest.approx(want * 1e-12, rel=0.01)
        below = any("below the best" in note for note in chip.energy(x, technology=Technology(node=node * 1e-9)).notes)
        assert below == (picojoules < 0.267 + 0.145e-6 * 4.0**bits)
