"""Every cell has a clock of its own: pulses and programming start it, everything else lets it run."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import law_cases as cases
import numpy as np
import pytest

import devices
from devices import drift, faults, noise, steps, updates
from devices.curves import Constant

US = 1e-6
YEAR = 3.15576e7  # s
NU, T0 = 0.05, 1e-3


def pcm(nu=NU, t0=T0, **laws):
    """A power law without spread, under pulses of 0.1 uS."""
    update = updates.PulseUpdate(steps.ConstantStep(0.1 * US, 0.1 * US, 0.0, 25 * US))
    return devices.Device(
        0.0, 25 * US, **{"drift": drift.PowerLawDrift(nu, 0.0, 25 * US, t0), "update": update, **laws}
    )


def law(g, t, nu=NU, t0=T0):
    return g * (1 + t / t0) ** -nu


def test_no_pulse_is_no_new_beginning():
    """Ten times 200 s without a pulse are 2000 s: 15 uS (1 + 2000 s / t0)^-nu. With a clock that every call starts anew it
    would be the tenth power of the loss over 200 s; t0 is such that 15 uS become 7.94 uS."""
    t0 = 2000 / ((15 / 7.94) ** (1 / NU) - 1)
    device = pcm(t0=t0)
    cells = device.program(jnp.full(3, 15 * US), key=jax.random.key(0))
    for _ in range(10):
        cells = device.pulse(cells, 0, t=200.0)
    np.testing.assert_allclose(device.conductance(cells, 0.0), law(15 * US, 2000.0, t0=t0), rtol=1e-5)
    np.testing.assert_allclose(device.conductance(cells, 0.0), 7.94 * US, rtol=1e-5)
    np.testing.assert_allclose(cells.age, 2000.0)
    np.testing.assert_array_equal(cells.g, jnp.float32(15 * US))  # still what it was just after programming


def test_unequal_ages():
    """Pulses to one cell at 100 s and to another at 400 s, all read 50 s later, against the closed form."""
    device = pcm()
    cells = device.program(jnp.full(3, 10 * US), key=jax.random.key(0))
    cells = device.pulse(cells, jnp.asarray([2, 0, 0]), t=100.0)
    cells = device.pulse(cells, jnp.asarray([0, -3, 0]), t=300.0)
    first, second = law(10 * US, 100.0) + 0.2 * US, law(10 * US, 400.0) - 0.3 * US
    np.testing.assert_allclose(cells.age, [300.0, 0.0, 400.0])
    np.testing.assert_allclose(cells.g, [first, second, 10 * US], rtol=1e-5)
    want = [law(first, 350.0), law(second, 50.0), law(10 * US, 450.0)]
    np.testing.assert_allclose(device.conductance(cells, 50.0), want, rtol=1e-5)
    np.testing.assert_array_equal(cells.drift.target, [cells.g[0], cells.g[1], jnp.float32(10 * US)])


def test_waiting_adds_up():
    device = devices.pcm_joshi2020()
    cells = device.program(jnp.full(50, 12 * US), key=jax.random.key(0))
    assert cells.age is None  # a chip that is only programmed carries no clock
    later = device.wait(device.wait(cells, 10.0), 90.0)
    np.testing.assert_array_equal(device.conductance(later, 400.0), device.conductance(cells, 500.0))
    np.testing.assert_array_equal(device.read_variance(later, 400.0, 1e6), device.read_variance(cells, 500.0, 1e6))
    series = [device.trace(c, 1e-3, 1e5, key=jax.random.key(1), t=t) for c, t in ((later, 400.0), (cells, 500.0))]
    np.testing.assert_array_equal(*series)


def test_seconds_after_a_year():
    """A pulse after a year: what it leaves drifts by 35 % in the first 10 s, which one float32 clock from programming on (2 s
    apart there) would not resolve. Against float64, to 1e-5."""

    def read(dtype):
        device = pcm()
        cells = device.program(jnp.asarray([10 * US, 10 * US], dtype), key=jax.random.key(0))
        cells = device.pulse(cells, jnp.asarray([5, 0]), t=YEAR)
        return np.asarray([device.conductance(cells, t) for t in (0.0, 1.0, 2.0, 10.0)])

    single = read(jnp.float32)
    with jax.enable_x64(True):
        double = read(jnp.float64)
    np.testing.assert_allclose(single, double, rtol=1e-5)
    np.testing.assert_allclose(double[:, 0], law(law(10 * US, YEAR) + 0.5 * US, np.asarray([0, 1, 2, 10])), rtol=1e-6)
    assert single[1, 0] > 1.02 * single[2, 0] and abs(single[1, 1] / single[2, 1] - 1) < 1e-6


def test_under_jit_vmap_and_scan():
    """The same ages and conductances in a compiled loop over pulses (whose cells keep one structure), and cell by cell."""
    device = pcm()
    counts = jnp.asarray([[1, 0, 0], [0, 2, 0], [0, 0, 0], [0, -1, 0]])
    cells = device.program(jnp.asarray([5.0, 10.0, 15.0]) * US, key=jax.random.key(0))
    by_hand = cells
    for n in counts:
        by_hand = device.pulse(by_hand, n, t=60.0)
    turn = lambda cells, n: (device.pulse(cells, n, t=60.0, most=2), None)  # noqa: E731
    looped = jax.jit(lambda c: jax.lax.scan(turn, c, counts)[0])(cells)
    single = jax.vmap(lambda c, n: jax.lax.scan(turn, c, n)[0], in_axes=(0, 1))(cells, counts)
    np.testing.assert_array_equal(by_hand.age, [180.0, 0.0, 240.0])
    for other in (looped, single):
        np.testing.assert_array_equal(other.age, by_hand.age)
        np.testing.assert_allclose(device.conductance(other, 7.0), device.conductance(by_hand, 7.0), rtol=1e-6)


def test_gradients():
    """By the time of a pulse, the time of the read and the drift exponent, under jit in float64, against central
    differences (truncation below 1e-8 of the slope)."""

    def loss(x):
        wait, t, nu = x
        device = pcm(nu=Constant(nu))
        cells = device.program(jnp.asarray([5.0, 10.0]) * US, key=jax.random.key(0))
        cells = device.pulse(cells, jnp.asarray([3, 0]), t=wait, most=3)
        cells = device.wait(cells, t / 2)
        return jnp.sum(device.conductance(cells, t) * jnp.asarray([1.0, 2.0])) / US

    with jax.enable_x64(True):
        x = jnp.asarray([50.0, 8.0, 0.05])
        slope = jax.jit(jax.grad(loss))(x)
        away = jnp.diag(x * 1e-5)
        up, down = (jax.jit(jax.vmap(loss))(x + s * away) for s in (1, -1))
        np.testing.assert_allclose(slope, (up - down) / (2e-5 * x), rtol=1e-6)


def test_a_loop_that_verifies():
    """Pulses until each cell is in a window of 0.1 uS, one a second: accepted cells wait and drift, the others do not."""
    device = pcm(t0=20.0)
    target = jnp.asarray([2.0, 2.5, 4.0]) * US
    cells = device.program(jnp.full(3, 1.9 * US), key=jax.random.key(0))
    done = np.zeros(3, bool)
    since = np.zeros(3)
    for _ in range(60):
        off = np.asarray(device.conductance(cells, 1.0) - target)
        done |= np.abs(off) < 0.1 * US
        n = np.where(done, 0, np.where(off < 0, 1, -1))
        cells = device.pulse(cells, jnp.asarray(n), t=1.0)
        since = np.where(n == 0, since + 1, 0)
    np.testing.assert_array_equal(cells.age, since)
    assert done.all() and since[0] > since[1] > since[2] > 0
    kept = law(np.asarray(cells.g, float), since + 100.0, t0=20.0)
    np.testing.assert_allclose(device.conductance(cells, 100.0), kept, rtol=1e-5)


def test_programming_some_cells_again():
    """They start anew, with a write error and an exponent of their own; the others grow older; all stay the cells they are."""
    device = dataclasses.replace(devices.pcm_nandakumar2020(), faults=faults.StuckAt(0.1, 0.1, 0.0, 25 * US))
    cells = device.program(jnp.full(2000, 5 * US), key=jax.random.key(0))
    cells = device.pulse(cells, 1, key=jax.random.key(1))
    where = jnp.arange(2000) < 1000
    after = device.reprogram(cells, 10 * US, where, key=jax.random.key(2), t=3600.0)
    np.testing.assert_array_equal(after.age, np.where(where, 0.0, 3600.0))
    np.testing.assert_array_equal(after.g[1000:], cells.g[1000:])
    assert abs(float(after.g[:1000].mean()) - 10 * US) < 0.15 * US  # 0.86 uS of write error over 1000 cells: 5 sigma
    assert not np.any(after.drift.normal[:1000] == cells.drift.normal[:1000])
    np.testing.assert_array_equal(after.drift.normal[1000:], cells.drift.normal[1000:])
    np.testing.assert_array_equal(after.faults, cells.faults)
    jax.tree.map(np.testing.assert_array_equal, after.update.normals, cells.update.normals)
    jitted = eqx.filter_jit(device.reprogram)(cells, 10 * US, where, key=jax.random.key(2), t=3600.0)
    np.testing.assert_allclose(jitted.g, after.g, rtol=1e-6)
    with pytest.raises(ValueError, match="outside this device's range"):
        device.reprogram(cells, 1e-3, where, key=jax.random.key(2))
    whole = device.reprogram(cells, jnp.full(2000, 3 * US), key=jax.random.key(2))
    assert float(jnp.abs(whole.g - 3 * US).max()) < 4 * US and not np.any(whole.age)


def test_what_was_never_written_again_keeps_its_write_noise():
    """What a write adds to the hidden state is renewed by programming."""
    noisy = updates.PulseUpdate(steps.ConstantStep(0.1 * US, 0.1 * US, 0.0, 25 * US), write_noise=0.5 * US)
    device = dataclasses.replace(devices.ideal(), update=noisy)
    cells = device.pulse(device.program(jnp.full(4, 5 * US), key=jax.random.key(0)), 1, key=jax.random.key(1))
    after = device.reprogram(cells, 8 * US, jnp.asarray([True, False, True, False]), key=jax.random.key(2))
    np.testing.assert_array_equal(after.update.offset[::2], 0)
    np.testing.assert_array_equal(after.update.offset[1::2], cells.update.offset[1::2])


def test_times_that_data_know_count_from_the_last_write():
    """Cells of the NeuRRAM chip are known 1 s and a day after programming, whenever that was."""
    device = devices.reram_wan2022()
    cells = device.program(jnp.full(2, 20 * US), key=jax.random.key(0))
    cells = device.reprogram(cells, 20 * US, jnp.asarray([True, False]), key=jax.random.key(1), t=86_399.0)
    g = device.conductance(cells, 1.0)
    assert bool(jnp.all(jnp.isfinite(g)))
    with pytest.raises(ValueError, match="100 s after a cell's last write: reram_wan2022 was measured at"):
        device.conductance(device.wait(cells, 99.0), 1.0)
    assert bool(jnp.all(jnp.isnan(jax.jit(lambda c, t: device.conductance(c, t))(cells, 2.0))[:1]))
    for call in (device.wait, device.conductance):
        with pytest.raises(ValueError, match=r"finite number of seconds >= 0"):
            call(cells, -1.0)
    with pytest.raises(ValueError, match=r"finite number of seconds >= 0"):
        pcm().pulse(pcm().program(jnp.ones(2) * US, key=jax.random.key(0)), 1, t=float("nan"))


def test_beyond_the_data_by_age():
    """A warning about reach counts the age, too."""
    device = dataclasses.replace(
        devices.ideal(), provenance=devices.Provenance("short-lived of this test", span=(0.0, 100.0))
    )
    cells = device.wait(device.program(jnp.ones(2) * US, key=jax.random.key(0)), 99.0)
    device.conductance(cells, 1.0)
    with pytest.warns(UserWarning, match="t = 101 s is beyond the 100 s"):
        device.conductance(cells, 2.0)


def test_endurance_is_counted_in_the_cell():
    """400 cells live for 1e3 cycles (Weibull, shape 2), 900 of them gone before; each fails on the pulse that is one too
    many for its own lifetime, and only if it was pulsed. Programming again counts once."""
    worn = faults.WornOut(900, 1000, 2, 0.1 * US, 0, 25 * US)
    device = pcm(drift=drift.NoDrift(), faults=worn)
    cells = device.program(jnp.full(400, 5 * US), key=jax.random.key(0))
    lifetime = np.asarray(worn.lifetime(cells.faults))
    turns = np.arange(400) % 2
    for seen in range(20, 201, 20):
        cells = device.pulse(cells, jnp.asarray(20 * turns * (-1) ** (seen // 20)))
        stuck = np.isclose(device.conductance(cells, 0.0), 0.1 * US)
        np.testing.assert_array_equal(stuck, 900 + seen * turns > lifetime)
    assert 0.05 < (stuck & (lifetime > 900)).mean() < 0.5
    again = device.reprogram(cells, 5 * US, jnp.asarray(turns == 0), key=jax.random.key(1))
    np.testing.assert_array_equal(worn.seen(again.faults), 900 + np.where(turns, 200, 1))
    both = faults.SumOfFaults((faults.StuckAt(0.0, 0.0, 0.0, US), worn))
    z = both.worn(both.latents(cells.g, key=jax.random.key(0)), jnp.asarray(turns))
    np.testing.assert_array_equal(z[1].written, turns)
    many = worn.worn(worn.latents(jnp.ones(1), key=jax.random.key(0)), jnp.asarray(2_000_000_000))
    assert int(worn.worn(many, jnp.asarray(2_000_000_000)).written[0]) == 2**31 - 1  # full, not negative


LAWS = [("drift", n) for n in cases.DRIFT] + [("noise", n) for n in cases.NOISE]


@pytest.mark.few(8)
@pytest.mark.parametrize(("kind", "name"), LAWS)
def test_every_law_takes_a_time_for_each_cell(kind, name):
    """A law of many times at once is the law of each."""
    law = cases.ASK[kind][0][name]
    g, t = jnp.asarray([3.0, 11.0, 19.0]) * US, jnp.asarray([0.5, 80.0, 2e3])
    z = law.latents(g, key=jax.random.key(0))
    if kind == "drift":
        ask = lambda t: law(g, z, t)  # noqa: E731
    else:
        ask = lambda t: jnp.concatenate([law(g, z, t, jnp.asarray(1e5)) / US**2, one_trace(law, g, z, t)]) / US  # noqa: E731
    together = ask(t)
    for k in range(3):
        np.testing.assert_allclose(together[k::3], ask(t[k])[k::3], rtol=2e-5, atol=1e-12)


def one_trace(law, g, z, t):
    series = law.trace(g, z, t, jnp.asarray(1e5), points=4, key=jax.random.key(1))
    return series.ravel()


PRESETS = [n for n in devices.names() if devices.catalogue.makes_itself(n)]
PRESETS = [n for n in PRESETS if isinstance(devices.find(n)(), devices.Device)]


@pytest.mark.few(8)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_cells_of_any_age(name):
    """Half of the cells are written again a (known) time later: both halves read what cells of their own age read."""
    device = devices.find(name)()
    known = device.provenance.times or (0.0, 40.0 if device.provenance.span is None else device.provenance.span[1])
    middle = float(device.g_min + device.g_max) / 2
    cells = device.program(jnp.full(8, middle), key=jax.random.key(0))
    half = jnp.arange(8) < 4
    after = device.reprogram(cells, middle, half, key=jax.random.key(1), t=known[1] - known[0])
    g = device.conductance(after, known[0])
    assert bool(jnp.all(jnp.isfinite(g)))
    np.testing.assert_allclose(g[4:], device.conductance(cells, known[1])[4:], rtol=1e-5)
    fresh = eqx.tree_at(lambda c: c.age, after, None, is_leaf=lambda x: x is None)
    np.testing.assert_allclose(g[:4], device.conductance(fresh, known[0])[:4], rtol=1e-6)
    v = device.read_variance(after, known[0], 1e6)
    np.testing.assert_allclose(v[4:], device.read_variance(cells, known[1], 1e6)[4:], rtol=1e-4)


def test_an_ensemble_of_several_times():
    device = devices.moment_matched(devices.pcm_joshi2020(), (0.0, 1000.0), key=jax.random.key(0), cells=64)
    cells = device.program(jnp.full(2, 10 * US), key=jax.random.key(1))
    cells = device.reprogram(cells, 10 * US, jnp.asarray([True, False]), key=jax.random.key(1), t=1000.0)
    g = device.conductance(cells, 0.0)
    assert float(g[1]) < 0.9 * float(g[0])


def test_only_cells_that_need_one_carry_a_clock():
    """Memory: no array more for a device that is only programmed, or that nothing ages."""
    target = jnp.full(4, 5 * US)
    for device in (devices.pcm_joshi2020(), devices.ecram_lithium_tang2018(), devices.constant_step_gokmen2016()):
        cells = device.program(target, key=jax.random.key(0))
        assert cells.age is None
    assert device.pulse(cells, jnp.asarray([1, 0, 0, 0]), key=jax.random.key(1)).age is None
    quiet = pcm(drift=drift.NoDrift(), read_noise=noise.ThermalNoise(0.2))
    assert quiet.program(target, key=jax.random.key(0)).age is None


@pytest.mark.slow
def test_clocks_are_laid_out_like_cells():
    """Programmed line by line under vmap, every leaf has the lines' axis and the cells', as the arrays of a chip need."""
    device = devices.pcm_nandakumar2020()
    lines, keys = jnp.full((3, 4), 5 * US), jax.random.split(jax.random.key(0), 3)
    cells = jax.vmap(lambda g, k: device.program(g, key=k))(lines, keys)
    assert all(leaf.shape == (3, 4) for leaf in jax.tree.leaves(cells)) and cells.age is not None
    turned = jax.tree.map(lambda leaf: leaf.reshape(2, 3, 2), cells)
    after = device.pulse(turned, 1, key=jax.random.key(1), t=5.0)
    assert not np.any(after.age) and after.age.shape == (2, 3, 2)
    np.testing.assert_array_equal(device.pulse(turned, 0, key=jax.random.key(1), t=5.0).age, np.full((2, 3, 2), 5.0))
