"""Cells that are written again: pulses, re-programming and waiting, on a chip of several layers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.drift import PowerLawDrift
from devices.steps import ConstantStep
from devices.updates import PulseUpdate

STEP = 1e-6  # S a pulse
DRIFTING = devices.Device(
    1e-6, 1e-4, drift=PowerLawDrift(0.05, 0.0, 1e-4, 1.0), update=PulseUpdate(ConstantStep(STEP, STEP, 1e-6, 1e-4))
)
TILE = xbar.Tile(device=DRIFTING, rows=8, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None))
P = {"a": jax.random.normal(jax.random.key(0), (13, 6)), "b": jax.random.normal(jax.random.key(1), (6, 3))}
X = jax.random.normal(jax.random.key(2), (4, 13))


def f(p, x):
    return x @ p["a"] @ p["b"]


def chip(params=P, tile=TILE):
    return xbar.analog(f, tile).program(params, X, key=jax.random.key(3))


def g(chip, i, t):
    """Conductances of a layer's cells at t, where they hold weights."""
    from xbar.macro.layout import from_cells

    tile = chip.tiles[i]
    return from_cells(
        tile.device.conductance(chip.arrays[i].cells, t), tile.partition(*chip.plan_layers[i].product.sizes)
    )[:, 0]


def test_a_pulse_moves_its_cells_and_lets_all_others_age():
    """Ten days after programming one weight's positive cell gets three pulses; a second later it has drifted for a second,
    all others for ten days and a second."""
    day, before = 86_400.0, chip()
    n = jnp.zeros((2, 13, 6), int).at[0, 5, 2].set(3)
    after = before.pulse("a", n, t=10 * day)
    start, now = g(before, 0, 0.0), g(after, 0, 1.0)
    for i in (0, 1):
        law = lambda g, t: g * (1 + t) ** -0.05  # noqa: E731
        aged = law(g(before, i, 0.0), 10 * day + 1)
        mask = jnp.ones_like(aged, bool).at[0, 5, 2].set(i == 1)
        np.testing.assert_allclose(g(after, i, 1.0)[mask], aged[mask], rtol=1e-5)
    expected = (start[0, 5, 2] * (1 + 10 * day) ** -0.05 + 3 * STEP) * 2**-0.05
    assert float(now[0, 5, 2]) == pytest.approx(float(expected), rel=1e-5)


def test_waiting_twice_is_waiting_once():
    before = chip()
    np.testing.assert_allclose(before.wait(3600.0).wait(400.0)(X, t=60.0), before(X, t=4060.0), rtol=1e-4, atol=1e-4)


def test_pulses_for_each_weight_go_to_all_its_cells_and_numbers_to_all_weights():
    before = chip()
    for n in (2, jnp.full((6, 3), 2)):
        moved = g(before.pulse("b", n), 1, 0.0) - g(before, 1, 0.0)
        room = jnp.minimum(2 * STEP, 1e-4 - g(before, 1, 0.0))
        np.testing.assert_allclose(moved, room, atol=1e-9)


def test_a_layer_is_programmed_anew():
    """Its old weights are gone, the other layer has aged."""
    before, new = chip(), jax.random.normal(jax.random.key(9), (6, 3))
    after = before.reprogram("b", new, t=1e6, key=jax.random.key(4))
    fresh = chip({"a": P["a"], "b": new})
    np.testing.assert_allclose(g(after, 1, 0.0), g(fresh, 1, 0.0), rtol=1e-5)
    np.testing.assert_allclose(g(after, 0, 0.0), g(before, 0, 1e6), rtol=1e-5)


def test_some_rows_are_programmed_anew():
    before = chip()
    after = before.reprogram("a", P["a"], rows=[0, 4, 12], t=1e6, key=jax.random.key(4))
    rows = jnp.zeros(13, bool).at[jnp.array([0, 4, 12])].set(True)
    np.testing.assert_allclose(g(after, 0, 0.0)[:, rows], g(before, 0, 0.0)[:, rows], rtol=1e-5)
    np.testing.assert_allclose(g(after, 0, 0.0)[:, ~rows], g(before, 0, 1e6)[:, ~rows], rtol=1e-5)
    with pytest.raises(Exception, match="scale of a column changes"):
        jax.block_until_ready(before.reprogram("a", 3 * P["a"], rows=[0], key=jax.random.key(4)).arrays)


def test_one_block_of_many_is_pulsed():
    params = [jax.random.normal(jax.random.key(i), (5, 5)) for i in range(4)]

    def deep(p, x):
        for w in p:
            x = jnp.tanh(x @ w)
        return x

    x = jnp.ones((2, 5))
    before = xbar.analog(deep, TILE).program(params, x, key=jax.random.key(0))
    after = before.pulse("2", 1, t=100.0)
    moved = after.arrays[0].cells.g - before.arrays[0].cells.g
    assert [bool((m > 0).any()) for m in moved] == [False, False, True, False]
    age = np.asarray(after.arrays[0].cells.age)
    assert (age[[0, 1, 3]] == 100).all() and (age[2] == 0).any()
    again = after.reprogram("1", params[1], t=50.0, key=jax.random.key(1))
    age = np.asarray(again.arrays[0].cells.age)
    assert (age[1] == 0).all() and (age[[0, 3]] == 150).all()


@pytest.mark.parametrize("steps", [2, 3])
def test_pulses_of_one_step_of_a_stack_go_to_all_cells_of_its_weights(steps):
    """Where steps and cells are as many, their axes have to be given."""
    scanned = lambda p, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p)[0]  # noqa: E731
    params, x = jnp.full((steps, 4, 4), 0.1).at[:, 0].set(1.0), jnp.ones((2, 4))
    before = xbar.analog(scanned, TILE).program(params, x, key=jax.random.key(0))
    n = jnp.zeros((steps, 4, 4), int).at[1].set(2)
    if steps == 2:
        with pytest.raises(ValueError, match=r"more than one way.*\(2, 2, 1, 4, 4\)"):
            before.pulse(0, n)
        n = jnp.broadcast_to(n[:, None, None], (2, 2, 1, 4, 4))
    moved = before.pulse(0, n).arrays[0].cells.g - before.arrays[0].cells.g
    np.testing.assert_array_equal(
        np.asarray(moved.max((2, 3, 4, 5, 6)) > 0), [[step == 1] * 2 for step in range(steps)]
    )


def test_blocks_that_share_a_stack_grow_older():
    """Of a device without a pulse law, whose cells have no ages until they wait; also while another layer is rewritten."""
    device = devices.Device(1e-6, 1e-4, drift=PowerLawDrift(0.05, 0.01, 1e-4, 1.0))
    params = [jax.random.normal(jax.random.key(i), (4, 4)) for i in range(3)]
    last, x = jax.random.normal(jax.random.key(2), (4, 3)), jnp.ones((2, 4))
    deep = lambda p, x: functools.reduce(lambda x, w: jnp.tanh(x @ w), p[0], x) @ p[1]  # noqa: E731
    tile = dataclasses.replace(TILE, device=device)
    before = xbar.analog(deep, tile).program((params, last), x, key=jax.random.key(0))
    assert [layer.lengths for layer in before.plan_layers] == [(3,), ()]
    np.testing.assert_allclose(before.wait(60.0).wait(40.0)(x, t=50.0), before(x, t=150.0), rtol=1e-5, atol=1e-5)
    again = before.reprogram("1", last, t=100.0, key=jax.random.key(1))
    assert again(x, t=50.0).shape == (2, 3) and float(again.arrays[0].cells.age.max()) == 100.0


def test_a_change_of_weights_is_not_taken_for_drift():
    """The reference follows the weights: a chip with drift compensation computes what one without does, before any drift."""
    plain = chip()
    compensated, sparse = xbar.compensate(plain), jnp.where(jnp.abs(P["a"]) > 0.3, P["a"], 0)
    n = jnp.zeros((2, 13, 6), int).at[0, :7].set(9)
    for change in (
        lambda c: c.reprogram("a", sparse, key=jax.random.key(4)),
        lambda c: c.pulse("a", n),
    ):
        assert np.abs(change(plain)(X) - plain(X)).max() > 0.1
        np.testing.assert_allclose(change(compensated)(X), change(plain)(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("per", ["tile", "column"])
def test_compensation_outlives_a_rewrite(per):
    """Weights that are rewritten as they were, all or some, leave the reference as it was. Pulses leave the gain as it is."""
    before = xbar.compensate(chip(), per=per)
    for rows in (None, [0, 4, 12]):
        after = before.reprogram("a", P["a"], rows=rows, t=1e6, key=jax.random.key(4))
        was, now = (np.asarray(c.arrays[0].reference) for c in (before, after))
        np.testing.assert_allclose(now, was, rtol=1e-4)
    np.testing.assert_allclose(before.pulse("a", 0, t=1e6)(X, t=1e6), before(X), rtol=1e-3, atol=1e-3)


def test_rows_of_a_device_with_data_for_some_times_only_are_programmed_anew():
    """A day later, which there are data for, though none for a second after that."""
    tile = dataclasses.replace(TILE, device=devices.reram_wan2022())
    before = xbar.compensate(
        xbar.analog(lambda p, x: x @ p, tile).program(P["b"], jnp.ones((1, 6)), key=jax.random.key(3))
    )
    after = before.reprogram(0, P["b"], rows=[1], t=86_400.0, key=jax.random.key(4))
    assert np.isfinite(np.asarray(after.arrays[0].reference)).all()


def test_chips_are_rewritten_inside_jit():
    change = lambda c, n: c.pulse("a", n, t=5.0, most=2).reprogram("b", 2 * P["b"], key=jax.random.key(0))  # noqa: E731
    n = jnp.full((13, 6), 2)
    np.testing.assert_allclose(jax.jit(change)(chip(), n)(X), change(chip(), n)(X), rtol=1e-5, atol=1e-5)


def test_wafers_are_rewritten_chip_by_chip():
    network = xbar.analog(f, TILE)
    wafer = jax.vmap(lambda k: network.program(P, X, key=k))(jax.random.split(jax.random.key(0), 3))
    after = wafer.pulse("b", 1, t=5.0, key=jax.random.key(1))
    assert after.wafer == (3,) and after.wait(10.0)(X).shape == (3, 4, 3)


def test_what_cannot_be_rewritten_says_so():
    with pytest.raises(ValueError, match="its layers are 'a', 'b'"):
        chip().pulse("c", 1)
    with pytest.raises(ValueError, match="13 inputs and 6 outputs"):
        chip().pulse("a", jnp.ones((6, 13)))
    with pytest.raises(
        ValueError, match=r"do not fit. Give all axes \(cells, groups, inputs, outputs\): \(2, 1, 13, 6\)"
    ):
        chip().pulse("a", jnp.ones((3, 13, 6)))
    with pytest.raises(ValueError, match="taken at a time"):
        chip().at(10.0).pulse("a", 1)
    for t in (-50.0, float("nan")):
        with pytest.raises(ValueError, match="seconds >= 0"):
            chip().pulse("a", 1, t=t)
        with pytest.raises(ValueError, match="seconds >= 0"):
            chip().reprogram("a", P["a"], t=t, key=jax.random.key(0))
    with pytest.raises(ValueError, match="a: a weight is NaN or infinite"):
        chip().reprogram("a", P["a"].at[0, 0].set(jnp.nan), key=jax.random.key(0))
    ideal = chip(tile=xbar.Tile(device=devices.ideal(), rows=8, cols=4, dac=xbar.DAC(None), adc=xbar.ADC(None)))
    with pytest.raises(ValueError, match="no pulse law"):
        ideal.pulse("a", 1)


def test_what_is_subtracted_for_offset_inputs_follows_the_weights():
    """Chips that are read with offset inputs and with bipolar ones are rewritten alike, with the same results."""
    new = P["a"][:, ::-1] * jnp.where(jnp.arange(13) == 4, 1.0, 1.5)[:, None]
    some = P["a"].at[4].multiply(0.5)
    n = jnp.zeros((2, 13, 6), int).at[0, :7].set(3)
    offset, bipolar = (
        chip(tile=dataclasses.replace(TILE, dac=xbar.DAC(None, negative=how))) for how in ("offset", "bipolar")
    )
    for change in (
        lambda c: c,
        lambda c: c.reprogram("a", new, key=jax.random.key(4)),
        lambda c: c.reprogram("a", some, rows=[4], key=jax.random.key(4)),
        lambda c: c.pulse("a", n),
    ):
        np.testing.assert_allclose(change(offset)(X), change(bipolar)(X), rtol=1e-4, atol=1e-4)
