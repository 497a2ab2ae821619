"""What brings a programmed chip back: ranges, statistics, compensation, adapters, careful writing, committees, faults."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar import training

K, H, N = 12, 8, 5
A, B, DATA = jax.random.split(jax.random.key(0), 3)
PARAMS = {"a": jax.random.normal(A, (K, H)), "b": jax.random.normal(B, (H, N))}
X = jax.random.normal(DATA, (64, K))
EXACT = dict(dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
QUIET = devices.Device(0.0, 25e-6)
FADING = dataclasses.replace(devices.pcm_joshi2020(), read_noise=devices.noise.NoReadNoise())


def apply(p, x):
    return jnp.tanh(x @ p["a"]) @ p["b"]


def program(device=QUIET, seed=0, **settings):
    return xbar.analog(apply, xbar.Tile(device, 16, 16, **{**EXACT, **settings})).program(
        PARAMS, X, key=jax.random.key(seed)
    )


def scaled(chip, gains):
    """The chip whose columns' cells have all been multiplied by a factor each; one row of factors a layer."""
    arrays = dict(chip.arrays)
    for i, array in arrays.items():
        cells = array.cells.whole()
        arrays[i] = dataclasses.replace(array, cells=dataclasses.replace(cells, g=cells.g * gains[i]))
    return chip.with_arrays(arrays)


GAINS = {0: jnp.linspace(0.5, 1.0, H), 1: jnp.linspace(0.9, 0.3, N)}


def test_compensation_by_columns_undoes_a_gain_of_each_column():
    """To rounding; one factor a tile does not. A tile of one factor is undone by either."""
    plain = apply(PARAMS, X)
    by_column, by_tile = (scaled(xbar.compensate(program(), per=per), GAINS) for per in ("column", "tile"))
    np.testing.assert_allclose(by_column(X), plain, atol=1e-4)
    assert float(jnp.abs(by_tile(X) - plain).max()) > 0.1
    even = scaled(xbar.compensate(program()), {0: jnp.full(H, 0.5), 1: jnp.full(N, 0.7)})
    np.testing.assert_allclose(even(X), plain, atol=1e-4)
    asked = xbar.calibrate(program(), X, compensate_drift="column").arrays[0].reference
    assert asked.shape[-1] == H and xbar.calibrate(program(), X).arrays[0].reference.shape[-1] == 1


@pytest.mark.parametrize("per", ["column", pytest.param("tile", marks=pytest.mark.slow)])
def test_training_may_compensate_drift(per):
    """`network(..., compensate=)` is a chip of the same keys, compensated and read at that time; its gradient by the time
    is that of finite differences."""
    network = xbar.analog(apply, xbar.Tile(FADING, 16, 16, **EXACT))
    write, read = jax.random.split(jax.random.key(5))
    chip = xbar.compensate(network.program(PARAMS, X, key=write), per=per)
    found = network(PARAMS, X, key=jax.random.key(5), t=86_400.0, compensate=per)
    np.testing.assert_allclose(found, chip(X, t=86_400.0, key=read), atol=1e-5)
    product = xbar.analog(lambda w, x: x @ w, xbar.Tile(FADING, 16, 16, **EXACT))
    size = jax.jit(lambda t: jnp.sum(product(PARAMS["a"], X, key=jax.random.key(5), t=t, compensate=per) ** 2))
    differences = (size(5400.0) - size(2400.0)) / 3000
    assert float(jax.grad(size)(jnp.float32(3600.0))) == pytest.approx(float(differences), rel=0.05)


def test_statistics_are_met_exactly():
    """Columns with gains of their own come back to the digital outputs, as gain and offset undo them; of PCM after a day every
    output of every layer has the digital mean and spread on the batch, the second layer's with the first one corrected."""
    np.testing.assert_allclose(
        training.match_statistics(scaled(program(), GAINS), PARAMS, X)(X), apply(PARAMS, X), atol=1e-4
    )
    chip = training.match_statistics(program(FADING), PARAMS, X, t=86_400.0)
    hidden = xbar.analog(lambda p, x: x @ p["a"], xbar.Tile(FADING, 16, 16, **EXACT))
    for found, digital in ((chip(X, t=86_400.0), apply(PARAMS, X)),):
        np.testing.assert_allclose(found.mean(0), digital.mean(0), atol=1e-4)
        np.testing.assert_allclose(found.std(0), digital.std(0), rtol=1e-4)
    first = hidden.program({"a": PARAMS["a"]}, X, key=jax.random.key(0)).with_corrections(
        {0: chip.arrays[0].correction}
    )
    np.testing.assert_allclose(first(X, t=86_400.0).std(0), (X @ PARAMS["a"]).std(0), rtol=1e-4)
    assert (
        chip.arrays[0].cells is not None
        and chip.energy(X).notes
        and any("corrections" in n for n in chip.energy(X).notes)
    )


def test_statistics_of_chips_with_adapters():
    """The spread of array and adapter together is matched, their shares stay, and doing it again changes nothing. Fails if the
    gain is found for both and applied to the array alone."""
    network, params = xbar.analog(lambda p, x: x @ p["a"], xbar.Tile(FADING, 16, 16, **EXACT)), {"a": PARAMS["a"]}
    chip = network.program(params, X, key=jax.random.key(0))
    adapter = training.low_rank_adapters(chip, 2, key=A)[0]
    taught = dataclasses.replace(adapter, b=0.5 * jax.random.normal(A, adapter.b.shape))
    chip = chip.with_corrections({0: taught})
    matched = training.match_statistics(chip, params, X, t=86_400.0)
    np.testing.assert_allclose(matched(X, t=86_400.0).std(0), (X @ PARAMS["a"]).std(0), rtol=1e-4)
    found = matched.arrays[0].correction
    np.testing.assert_allclose(found.b, found.gain * taught.b, rtol=1e-6)
    assert float(jnp.abs(found.gain - 1).max()) > 0.05
    again = training.match_statistics(matched, params, X, t=86_400.0).arrays[0].correction
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), again, found)


@pytest.mark.slow
def test_statistics_of_wafers_of_loops_and_of_some_layers():
    """A wafer is corrected chip by chip; a matrix that a loop uses three times gets one gain; `layers` chooses."""
    network = xbar.analog(apply, xbar.Tile(FADING, 16, 16, **EXACT))
    wafer = jax.vmap(lambda k: network.program(PARAMS, X, key=k))(jax.random.split(jax.random.key(1), 2))
    both = training.match_statistics(wafer, PARAMS, X)
    np.testing.assert_allclose(both(X).std(1), jnp.broadcast_to(apply(PARAMS, X).std(0), (2, N)), rtol=1e-3)
    some = training.match_statistics(program(FADING), PARAMS, X, layers=lambda path: path == "b")
    assert some.arrays[0].correction is None and some.arrays[1].correction is not None
    square = jax.random.normal(A, (K, K)) / 4
    steps = lambda w, x: jax.lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=3)[0]  # noqa: E731
    loop = xbar.analog(steps, xbar.Tile(QUIET, 16, 16, **EXACT)).program(square, X, key=jax.random.key(0))
    cured = training.match_statistics(loop, square, X)
    np.testing.assert_allclose(cured.arrays[0].correction.gain, 1, rtol=1e-4)
    np.testing.assert_allclose(cured(X), steps(square, X), atol=1e-4)
    with pytest.raises(ValueError, match="not the parameters"):
        training.match_statistics(program(), {"a": PARAMS["a"]}, X)


def test_statistics_pass_gradients():
    """By the parameters, through what the chip's statistics do to its correction: a direction against finite differences."""
    with jax.enable_x64(True):
        params, x = jax.tree.map(lambda a: a.astype(jnp.float64), ({"a": PARAMS["a"]}, X))
        along = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), params)
        network = xbar.analog(lambda p, x: x @ p["a"], xbar.Tile(QUIET, 16, 16, **EXACT))

        @jax.jit
        def size(s):
            moved = jax.tree.map(lambda a, d: a + s * d, params, along)
            chip = scaled(network.program(params, x, key=jax.random.key(2)), {0: GAINS[0] * (1 + s)})
            return jnp.sum(training.match_statistics(chip, moved, x)(x) ** 3)

        found = jax.grad(size)(jnp.float64(0.0))
        np.testing.assert_allclose(found, (size(1e-5) - size(-1e-5)) / 2e-5, rtol=1e-4)


def test_ranges_are_learned_where_they_are_wrong():
    """Converters of 5 bits with ranges 8 times too wide: the error falls by half or more; by a range r the derivative is
    (q - x) / r inside and the sign outside."""
    chip = xbar.calibrate(program(dac=xbar.DAC(bits=5), adc=xbar.ADC(bits=5)), X)
    wide = chip.with_ranges(jax.tree.map(lambda r: 8 * r, chip.ranges))
    error = lambda c: float(jnp.mean((c(X) - apply(PARAMS, X)) ** 2))  # noqa: E731
    assert error(training.learn_ranges(wide, X, steps=60, rate=0.1)) < 0.5 * error(wide)
    from xbar.macro.converters import quantise

    x = jnp.array([0.31, -0.44, 1.7, -2.2])
    slope = jax.vmap(jax.grad(lambda r, x: quantise(x, r, 4)), (None, 0))(jnp.float32(1.3), x)
    inside = (quantise(x, jnp.float32(1.3), 4) - x) / 1.3
    np.testing.assert_allclose(slope, jnp.where(jnp.abs(x) < 1.3, inside, jnp.sign(x)), atol=1e-5)
    with pytest.raises(ValueError, match="no ranges to start from"):
        training.learn_ranges(program(), X)


def test_adapters_change_nothing_at_first_and_then_what_they_are_taught():
    """Rank 1 beside fixed cells: a deviation of rank 1 is undone to rounding; gradients are those of the product by hand."""
    chip = program()
    adapters = training.low_rank_adapters(chip, 1, key=jax.random.key(3), layers=lambda path: path == "b")
    np.testing.assert_array_equal(chip.with_corrections(adapters)(X), chip(X))
    assert training.share_of_weights(adapters, chip) == pytest.approx((H + N) / (K * H + H * N))
    u, v = jnp.ones((H, 1)), jnp.linspace(-1, 1, N)[None]
    moved = {**PARAMS, "b": PARAMS["b"] + u @ v}
    taught = {1: dataclasses.replace(adapters[1], a=u[None], b=v[None])}
    np.testing.assert_allclose(chip.with_corrections(taught)(X), apply(moved, X), atol=1e-4)
    loss = lambda ad: jnp.sum(chip.with_corrections(ad)(X) ** 2)  # noqa: E731
    by_hand = lambda a, b: jnp.sum(apply({**PARAMS, "b": PARAMS["b"] + a @ b}, X) ** 2)  # noqa: E731
    slope = jax.jit(jax.grad(loss))(taught)[1]
    for found, expected in zip((slope.a[0], slope.b[0]), jax.grad(by_hand, (0, 1))(u, v), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)
    with pytest.raises(ValueError, match="layers= chose none of a, b"):
        training.low_rank_adapters(chip, 1, key=jax.random.key(0), layers=lambda path: False)
    with pytest.raises(ValueError, match=r"layers \[7\]"):
        chip.with_corrections({7: adapters[1]})


def test_adapters_serve_any_function():
    """A convolution with groups and a stack of layers in a loop; fresh devices in every call take them as well."""
    w = {"k": jax.random.normal(A, (6, 2, 3, 3)), "s": jax.random.normal(B, (3, 6, 6)) / 3}

    def f(p, x):
        y = jax.lax.conv_general_dilated(x, p["k"], (1, 1), "SAME", feature_group_count=2).mean((2, 3))
        return jax.lax.scan(lambda h, m: (jnp.tanh(h @ m), None), y, p["s"])[0]

    x = jax.random.normal(DATA, (4, 4, 5, 5))
    network = xbar.analog(f, xbar.Tile(QUIET, 32, 32, **EXACT))
    chip = network.program(w, x, key=jax.random.key(0))
    adapters = training.low_rank_adapters(chip, 2, key=jax.random.key(1))
    assert {tuple(ad.a.shape) for ad in adapters.values()} == {(2, 18, 2), (3, 1, 6, 2)}
    call = lambda ad: jnp.sum(network(w, x, key=jax.random.key(2), corrections=ad) ** 2)  # noqa: E731
    np.testing.assert_allclose(call(adapters), jnp.sum(f(w, x) ** 2), rtol=1e-4)
    assert all(float(jnp.abs(ad.b).min()) > 0 for ad in jax.grad(call)(adapters).values())


def test_chosen_weights_are_written_carefully():
    """Those in the mask are exact, the others those of the same chip; also those of a kernel's groups, wherever they lie."""
    noisy = devices.Device(0.0, 25e-6, programming=devices.programming.SpreadProgramming(2e-6, 25e-6))
    network = xbar.analog(apply, xbar.Tile(noisy, 16, 16, **EXACT))
    plain = network.program(PARAMS, X, key=jax.random.key(4))
    careful = {"a": jnp.zeros((K, H), bool).at[3, 5].set(True), "b": jnp.zeros((H, N), bool)}
    law = devices.programming.ExactProgramming()
    chip = training.program_selectively(network, PARAMS, X, careful=careful, programming=law, key=jax.random.key(4))
    moved = [np.argwhere(chip.arrays[i].cells.g != plain.arrays[i].cells.whole().g) for i in (0, 1)]
    assert {(int(r), int(c)) for _, _, _, r, _, c in moved[0]} == {(3, 5)} and not len(moved[1])
    everywhere = jax.tree.map(lambda a: jnp.ones(a.shape, bool), PARAMS)
    exact = training.program_selectively(network, PARAMS, X, careful=everywhere, programming=law, key=jax.random.key(4))
    np.testing.assert_allclose(exact(X), apply(PARAMS, X), atol=1e-4)


@pytest.mark.slow
def test_gradients_pass_careful_writing():
    """Of a chip of exact cells, those of the digital network."""
    network, law = xbar.analog(apply, xbar.Tile(QUIET, 16, 16, **EXACT)), devices.programming.ExactProgramming()
    everywhere = jax.tree.map(lambda a: jnp.ones(a.shape, bool), PARAMS)
    chip = lambda p: training.program_selectively(network, p, X, careful=everywhere, programming=law, key=A)  # noqa: E731
    slope, expected = jax.grad(lambda p: chip(p)(X).sum())(PARAMS), jax.grad(lambda p: apply(p, X).sum())(PARAMS)
    np.testing.assert_allclose(slope["a"], expected["a"], rtol=1e-2, atol=1e-3)


def test_a_committee_errs_less():
    """The error of 16 chips' mean is a quarter of one's, to a fifth of it (40 outputs x 64 inputs), and its
    gradient is the mean's."""
    noisy = devices.Device(5e-6, 25e-6, programming=devices.programming.SpreadProgramming(5e-7, 25e-6))  # none at 0 S
    product = xbar.analog(lambda w, x: x @ w, xbar.Tile(noisy, 16, 64, **EXACT))
    w = jax.random.normal(B, (K, 40))
    wafer = jax.vmap(lambda k: product.program(w, X, key=k))(jax.random.split(jax.random.key(6), 16))
    alone = float((wafer(X) - X @ w).std())
    assert float((training.committee(wafer, X) - X @ w).std()) / alone == pytest.approx(0.25, rel=0.2)
    slope = jax.grad(lambda x: training.committee(wafer, x).sum())(X)
    np.testing.assert_allclose(slope, jax.grad(lambda x: wafer(x).mean(0).sum())(X), atol=1e-4)
    with pytest.raises(ValueError, match="a single chip"):
        training.committee(program(), X)


def test_partners_make_up_for_stuck_cells():
    """Half of the negative cells stuck at a third of the range: every weight the partner reaches is exact again."""
    stuck = jnp.zeros((2, 1, 1, K, 1, H), bool).at[1, ..., ::2].set(True)
    faulty = dataclasses.replace(QUIET, faults=devices.faults.FaultMap(stuck, jnp.where(stuck, 25e-6 / 3, 0)))
    product = lambda w, x: x @ w  # noqa: E731
    w = jnp.clip(PARAMS["a"], -1, 0.6).at[0].set(1.0).at[:, 1::2].set(0.1)
    w = w.at[0].set(0.6).at[1].set(-1.0)  # the scale is 1: from -1/3 to 2/3 is what a pair with this fault holds
    chip = xbar.analog(product, xbar.Tile(faulty, 16, 16, **EXACT)).program(w, X, key=jax.random.key(0))
    cured = training.program_around_faults(chip, w, X, key=jax.random.key(1))
    read = lambda c: c(jnp.eye(K))  # noqa: E731
    held = w.at[:, ::2].set(jnp.maximum(w[:, ::2], -1 / 3))
    np.testing.assert_allclose(read(cured), held, atol=1e-5)
    assert float(jnp.abs(read(chip) - w).max()) > 0.3
    slope = jax.grad(lambda x: cured(x).sum())(X)
    np.testing.assert_allclose(slope, jnp.broadcast_to(held.sum(1), X.shape), atol=1e-4)
    offset = xbar.analog(product, xbar.Tile(QUIET, 16, 16, mapping=xbar.Offset())).program(w, X, key=jax.random.key(0))
    with pytest.raises(ValueError, match="mapped by Offset"):
        training.program_around_faults(offset, w, X, key=jax.random.key(1))


def test_lines_are_ordered_so_that_faults_cost_least():
    """Against all 120 orders of five lines."""
    rng = np.random.default_rng(0)
    w, stuck, at = rng.uniform(-1, 1, (5, 3)), rng.random((2, 5, 3)) < 0.4, rng.random((2, 5, 3))

    def held(row, j):
        low = np.where(stuck[0, j], at[0, j], 0) - np.where(stuck[1, j], at[1, j], 1)
        high = np.where(stuck[0, j], at[0, j], 1) - np.where(stuck[1, j], at[1, j], 0)
        return np.sum((row - np.clip(row, low, high)) ** 2)

    cost = lambda order: sum(held(w[i], j) for j, i in enumerate(order))  # noqa: E731
    order = training.line_order(jnp.asarray(w), jnp.asarray(stuck), jnp.asarray(at))
    assert cost(order) == pytest.approx(min(map(cost, itertools.permutations(range(5)))), rel=1e-5)
