"""Time on a chip: layers against hand arithmetic, pipelines against a simulation of events, copies, settling, area."""

import heapq

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
import xbar
from xbar.energy import COMPONENTS, Schedule, Technology
from xbar.energy.schedule import balanced_copies, mesh_hops

KEY = jax.random.key(0)
TILE = xbar.Tile(device=devices.ideal(), rows=32, cols=16, dac=xbar.DAC(5, "bit_serial"), read_time=50e-9)


def network(params, x):
    """A convolution of 36 vectors, then 144 -> 24 -> 5."""
    y = jax.nn.relu(jax.lax.conv_general_dilated(x, params["a"], (1, 1), "VALID"))
    y = jax.nn.relu(y.reshape(y.shape[0], -1) @ params["b"])
    return y @ params["c"]


@pytest.fixture(scope="module")
def chip():
    a, b, c, x = (jax.random.normal(k, s) for k, s in zip(jax.random.split(KEY, 4), SHAPES, strict=True))
    return xbar.analog(network, TILE).program({"a": a, "b": b, "c": c}, x, key=KEY), x


SHAPES = ((4, 2, 3, 3), (144, 24), (24, 5), (2, 2, 8, 8))


def simulated(times, inferences):
    """When each inference is done, by events: a layer takes the first one that waits for it as soon as it is free."""
    waiting, done, free = [[] for _ in times], [0.0] * inferences, [True] * len(times)
    events = [(0.0, 0, i, "arrives") for i in range(inferences)]
    heapq.heapify(events)
    while events:
        now, layer, job, what = heapq.heappop(events)
        if what == "ends":
            free[layer] = True
            if layer + 1 < len(times):
                heapq.heappush(events, (now, layer + 1, job, "arrives"))
            else:
                done[job] = now
        else:
            heapq.heappush(waiting[layer], job)
        if free[layer] and waiting[layer]:
            free[layer] = False
            heapq.heappush(events, (now + times[layer], layer, heapq.heappop(waiting[layer]), "ends"))
    return done


def test_pipeline_against_a_simulation_of_events(chip):
    """Latency at batch 1, and the time from one inference to the next of a long run."""
    chip, x = chip
    ledger = chip.energy(x, schedule=Schedule("pipelined"))
    times = [float(t) for t in ledger.seconds.sum(-1)]
    done = simulated(times, 40)
    assert float(ledger.latency) == pytest.approx(done[0], rel=1e-5)
    assert float(ledger.period) == pytest.approx((done[-1] - done[9]) / 30, rel=1e-5)
    assert done[-1] == pytest.approx(float(ledger.latency + 39 * ledger.period), rel=1e-5)
    serial = chip.energy(x)
    assert float(serial.period) == pytest.approx(float(serial.latency)) == pytest.approx(done[0], rel=1e-5)


def test_times_by_hand(chip):
    """36 vectors, 4 planes, 50 ns a read and its 8 conversions, the last ones after it; then trees of partial sums."""
    chip, x = chip
    quick = Technology(clock=1e9).without("wire")  # wires without capacitance settle at once
    ledger = chip.energy(x, technology=quick)
    seconds = {n: np.asarray(s) for n, s in zip(ledger.layers, ledger.seconds.sum(-1), strict=True)}
    assert seconds["a"] == pytest.approx(36 * 4 * 50e-9 + 50e-9 + 1e-9, rel=1e-5)
    assert seconds["b"] == pytest.approx(4 * 50e-9 + 50e-9 + 4e-9, rel=1e-5)  # 5 row tiles: 3 levels
    slow = chip.energy(x, technology=Technology(adc_rate=1e8).without("wire"))  # 8 conversions take 80 ns
    assert float(slow.seconds.sum(-1)[0]) == pytest.approx(36 * 4 * 80e-9 + 80e-9 + 1e-9, rel=1e-5)
    few = chip.energy(x, technology=Technology(adc_rate=1e8, columns_per_adc=32.0).without("wire"))
    assert float(few.seconds.sum(-1)[0]) == pytest.approx(36 * 4 * 160e-9 + 160e-9 + 1e-9, rel=1e-5)  # of 16 columns


def test_settling():
    """Elmore: ln(2^9) (R C / 2 of both lines); with wires in the tile, from their resistance; it grows with the square."""
    tech = Technology(node=22e-9)
    word = 0.5 * 128 * 4.69 * 128 * 12 * 40e-9 * 0.2e-9
    bit = 0.5 * 64 * 1.56 * 64 * 4 * 40e-9 * 0.2e-9
    assert float(tech.settling(64, 128, 8)) == pytest.approx((word + bit) * 9 * np.log(2), rel=5e-3)
    assert float(tech.settling(64, 128, 8, 46.9, 15.6)) == pytest.approx((word + bit) * 90 * np.log(2), rel=1e-5)
    assert float(tech.settling(128, 256, 8) / tech.settling(64, 128, 8)) == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("half_pitch", [15e-9, 30e-9, 40e-9, 175e-9])
def test_wires_of_another_half_pitch_have_its_resistance(half_pitch):
    """Of one width in length, capacitance and resistance, between the table's widths too. Fails if ohms follow the node."""
    wide = Technology(node=22e-9, feature=half_pitch)
    ohms = xbar.ohm_per_cell(half_pitch=half_pitch)
    assert float(wide.ohm_per_metre) * 12 * half_pitch == pytest.approx(ohms[0], rel=1e-5)
    assert float(wide.settling(64, 128, 8)) == pytest.approx(float(wide.settling(64, 128, 8, *ohms)), rel=1e-5)


def test_copies_share_the_vectors(chip):
    """Three copies of the convolution: 12 vectors each; its events cost the same, leakage and area follow the arrays."""
    chip, x = chip
    tech = Technology().without("wire", "hop")
    one, three = (chip.energy(x, technology=tech, schedule=Schedule("pipelined", {"a": n})) for n in (1, 3))
    assert float(three.seconds[0].sum() / one.seconds[0].sum()) == pytest.approx(12 / 36, rel=0.02)
    leakage = COMPONENTS.index("leakage")
    events = [i for i in range(len(COMPONENTS)) if i != leakage]
    np.testing.assert_allclose(three.joules[:, events], one.joules[:, events], rtol=1e-5)
    assert float(three.area[0].sum() / one.area[0].sum()) == pytest.approx(3, rel=1e-5)
    assert three.by_component[leakage] != one.by_component[leakage]
    assert "copies" in three.timetable() and "latency" in three.timetable()


def test_balancing_a_pipeline(chip):
    """The slowest layer gets copies until the arrays are spent; nothing is worse, and the period is that of the model."""
    chip, x = chip
    before = chip.energy(x, schedule=Schedule("pipelined"))
    schedule = before.balanced(arrays=12)
    after = chip.energy(x, schedule=schedule)
    assert dict(schedule.copies) == {"a": 13}  # one array a copy
    assert float(after.period) < 0.2 * float(before.period)
    assert float(after.throughput) == pytest.approx(1 / float(after.period))
    with pytest.raises(ValueError, match="no layer 'z' is on arrays; the layers on arrays are a, b, c"):
        chip.energy(x, schedule=Schedule(copies={"z": 2}))
    for wrong in (lambda: Schedule("parallel"), lambda: Schedule(copies={"a": 0})):
        with pytest.raises(ValueError, match="Schedule: "):
            wrong()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-9, 1e-6), st.integers(1, 4), st.integers(1, 50)), min_size=1, max_size=4),
    st.integers(0, 8),
)
def test_balanced_copies_are_the_best(layers, budget):
    """Against every choice of copies that the budget allows."""
    seconds, tiles, most = zip(*layers, strict=True)
    period = lambda copies: max(  # noqa: E731
        t * -(-m // c) / m for t, m, c in zip(seconds, most, copies, strict=True)
    )
    copies, left = balanced_copies(seconds, tiles, most, budget)
    assert left >= 0 and left == budget - sum(n * (c - 1) for n, c in zip(tiles, copies, strict=True))
    best = min(
        period(np.add(extra, 1))
        for extra in np.ndindex(*(budget // n + 1 for n in tiles))
        if sum(n * e for n, e in zip(tiles, extra, strict=True)) <= budget
    )
    assert period(copies) <= best * (1 + 1e-9) or any(c == m for c, m in zip(copies, most, strict=True))


def test_hops_on_a_mesh():
    """A 3 x 3 mesh filled forth and back: layers of 3, 3 and 3 nodes lie in rows; neighbours are a hop apart."""
    np.testing.assert_allclose(mesh_hops([3, 3, 3], 1), [1, 1, 1, 3])
    np.testing.assert_allclose(mesh_hops([24], 8), [1, 1])
    assert mesh_hops([1], 8).tolist() == [1, 1] and mesh_hops([400] * 4, 8).max() > 5


def test_area_by_hand(chip):
    """One array of 32 x 32 cells: cells, 2 converters of 8 columns, drivers, shift-adds, its share of buffer and router."""
    chip, x = chip
    ledger = chip.energy(x, technology=Technology(node=32e-9, overhead=1.5))
    area = dict(zip(COMPONENTS, np.asarray(ledger.area)[0] / 1.5, strict=True))
    assert area["array"] == pytest.approx(32 * 32 * 48 * (56e-9) ** 2, rel=1e-4)
    assert area["adc"] == pytest.approx(2 * 4196e-12, rel=0.05)
    assert area["dac"] == pytest.approx(32 * 0.166e-12, rel=1e-4)
    assert area["accumulate"] == pytest.approx(2 * 60e-12, rel=1e-4)
    assert area["memory"] == pytest.approx(1024 * 0.083e-6 / 65536, rel=1e-4)
    assert area["network"] == pytest.approx(0.15e-6 / 8, rel=1e-4)
    assert float(ledger.square_metres) == pytest.approx(float(ledger.area.sum()))
    assert float(ledger.energy_delay) == pytest.approx(float(ledger.total * ledger.latency))


def test_idle_arrays_leak_and_links_cost(chip):
    """Arrays of the chip that the network does not use leak as long as it works; 8 pJ/bit over the edge."""
    chip, x = chip
    plain, more = chip.energy(x), chip.energy(x, technology=Technology(idle_arrays=100.0))
    leakage, link = COMPONENTS.index("leakage"), COMPONENTS.index("off_chip")
    added = float(more.by_component[leakage] - plain.by_component[leakage])
    memory = 1024 * float(plain.recipe.technology.at_node(plain.recipe.technology.memory_leakage))
    assert added == pytest.approx(100 * memory * float(plain.period), rel=1e-3)
    assert float(plain.by_component[link]) == 0
    outside = chip.energy(x, technology=Technology(off_chip_share=1.0, toggling=0.0))
    assert float(outside.by_component[link]) == pytest.approx((2 * 64 + 5) * 8 * 8e-12, rel=1e-5)


def test_inputs_go_to_the_column_tiles_of_their_own_matrix():
    """Hops by hand: an output goes to the next layer, an input from each column tile to the next one. Four groups of 8 x 6,
    on two column tiles each, and two steps of a scan; with events, an address for each driven row. Fails if the tiles of
    other groups or steps get copies."""
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=3, dac=xbar.DAC(8), pack_groups=False)
    values, addresses = Technology(toggling=0.0), Technology(toggling=0.0, events=True)
    price = float(values.at_node(values.hop))

    def bits(f, w, x):
        ledger = xbar.analog(f, tile).program(w, x, key=KEY).energy(x, technology=values)
        carried = [
            found.by_component[COMPONENTS.index("network")] for found in (ledger, ledger.with_technology(addresses))
        ]
        return np.asarray(carried) / price

    w, x = jnp.ones((4, 8, 6)), jnp.ones((1, 4, 8))
    by_hand = 8 * (4 * 6 + 4 * 8 + 4 * 8), 32 * 4 * 8 * 2  # outputs, inputs to the chip, inputs once more
    np.testing.assert_allclose(bits(lambda w, x: jnp.einsum("bgk,gkn->bgn", x, w), w, x), by_hand, rtol=1e-5)
    w, x = jnp.ones((2, 6, 6)), jnp.ones((1, 6))
    by_hand = 8 * (2 * 6 + 6 + 2 * 6), 32 * 2 * 6 * 2
    steps = lambda w, x: jax.lax.scan(lambda h, own: (h @ own, None), x, w)[0]  # noqa: E731
    np.testing.assert_allclose(bits(steps, w, x), by_hand, rtol=1e-5)


@pytest.mark.slow
def test_a_wafer_has_its_own_times_and_sensitivities():
    """Ledgers of a wafer: one number a chip for all that a ledger says."""
    x = jax.random.normal(KEY, (3, 20))
    net = xbar.analog(lambda w, x: x @ w, xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=8))
    wafer = jax.vmap(lambda k: net.program(jnp.ones((20, 6)), x, key=k))(jax.random.split(KEY, 2))
    ledger = wafer.energy(x)
    assert ledger.total.shape == ledger.latency.shape == ledger.square_metres.shape == (2,)
    found = ledger.sensitivities()
    assert found["adc"].shape == (2,) and "mean of 2 ledgers" in str(ledger)
    assert next(iter(found)) in ("node", "params: adc_bits", "adc")
