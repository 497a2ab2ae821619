"""A chip is one chip: keys, time, batches, dtypes, wafers, calibration."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar


def f(p, x):
    return x @ p


PCM = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
W = jax.random.normal(jax.random.key(1), (13, 10))
X = jax.random.normal(jax.random.key(2), (32, 13))


def program(w=W, x=X, tile=PCM, seed=0):
    return xbar.analog(f, tile).program(w, x, key=jax.random.key(seed))


def cells(chip):
    return chip.arrays[0].cells


def test_same_key_same_chip_whatever_the_batch():
    for batch in (1, 5, 32):
        jax.tree.map(np.testing.assert_array_equal, cells(program(x=X[:batch])), cells(program()))


def test_another_key_is_another_chip():
    assert float(jnp.abs(cells(program()).g - cells(program(seed=1)).g).max()) > 1e-7


def test_same_key_same_chip_whatever_the_dtype():
    """float64 and float32 share every draw; conductances differ by rounding only."""
    with jax.enable_x64(True):
        tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
        wide = cells(program(w=W.astype(jnp.float64), x=X.astype(jnp.float64), tile=tile))
        assert wide.g.dtype == jnp.float64
        np.testing.assert_allclose(wide.g, cells(program()).g, rtol=1e-4, atol=1e-12)
        np.testing.assert_allclose(wide.drift.normal, cells(program()).drift.normal, rtol=1e-6)


def test_a_larger_matrix_has_the_cells_of_a_smaller_one():
    """Wider, taller and with padded tiles: tile by tile, where the tiles coincide."""
    small = jax.random.normal(jax.random.key(0), (16, 12))
    larger = jnp.zeros((23, 15)).at[:16, :12].set(small)
    a, b = (cells(program(w=w, x=jnp.zeros((1, w.shape[0])))) for w in (small, larger))
    assert a.g.shape == (2, 1, 2, 8, 3, 4) and b.g.shape == (2, 1, 3, 8, 4, 4)
    np.testing.assert_allclose(a.g, b.g[:, :, :2, :, :3], rtol=1e-5)
    np.testing.assert_allclose(a.drift.normal, b.drift.normal[:, :, :2, :, :3])


def test_a_bigger_tile_keeps_the_cells_of_a_column():
    """A tile that the matrix does not fill is simulated where it is used, without changing the draws."""
    small, big = (program(tile=xbar.Tile(device=devices.pcm_joshi2020(), rows=r, cols=10)) for r in (13, 256))
    np.testing.assert_array_equal(cells(small).g, cells(big).g)


def test_adding_a_layer_behind_leaves_the_first_alone():
    two = xbar.analog(lambda p, x: x @ p[0] @ p[1], PCM).program((W, W.T), X, key=jax.random.key(0))
    np.testing.assert_array_equal(cells(two).g, cells(program()).g)


def test_cells_do_not_share_draws():
    """Every cell has latents of its own: 520 normals without a repetition, and uncorrelated pairs."""
    z = np.asarray(cells(program(w=jnp.ones((13, 20)), x=X)).drift.normal).ravel()
    assert len(np.unique(z)) == z.size


def test_drift_is_one_trajectory():
    """A cell that drifts fastest in the first hour still does a day later, and nothing else is drawn."""
    chip = program()
    g = [PCM.device.conductance(cells(chip), t) for t in (0.0, 3600.0, 86_400.0, 3600.0)]
    np.testing.assert_array_equal(g[1], g[3])
    exponent = [jnp.log(g[0] / g[i]) / jnp.log1p(t / 20) for i, t in ((1, 3600.0), (2, 86_400.0))]
    np.testing.assert_allclose(*exponent, atol=2e-5)


def test_reads_differ_by_read_noise_only():
    chip = program()
    a, b = chip(X, t=1.0, key=jax.random.key(0)), chip(X, t=1.0, key=jax.random.key(1))
    np.testing.assert_array_equal(a, chip(X, t=1.0, key=jax.random.key(0)))
    assert 0 < float(jnp.abs(a - b).mean()) < 0.1 * float(jnp.abs(a).mean())


def test_one_array_read_twice_has_the_same_cells_and_other_noise():
    chip = xbar.analog(lambda w, x: (x @ w, (x + 0) @ w), PCM).program(W, X, key=jax.random.key(0))
    assert len(chip.layers) == 1
    a, b = chip(X, t=1.0, key=jax.random.key(0))
    assert 0 < float(jnp.abs(a - b).mean()) < 0.1 * float(jnp.abs(a).mean())


def test_scan_steps_have_noise_of_their_own():
    rnn = lambda w, xs: jax.lax.scan(lambda h, x: (h, x @ w), 0.0, xs)[1]  # noqa: E731
    chip = xbar.analog(rnn, PCM).program(W, jnp.stack([X, X]), key=jax.random.key(0))
    a, b = chip(jnp.stack([X, X]), t=1.0, key=jax.random.key(0))
    assert float(jnp.abs(a - b).max()) > 0


def test_stacked_layers_have_devices_of_their_own():
    deep = lambda w, x: jax.lax.scan(lambda h, w: (h @ w, None), x, w)[0]  # noqa: E731
    square = jnp.ones((3, 6, 6))
    chip = xbar.analog(deep, PCM).program(square, jnp.ones((2, 6)), key=jax.random.key(0))
    g = cells(chip).g
    assert g.shape[0] == 3 and float(jnp.abs(g[0] - g[1]).max()) > 1e-7


def test_a_wafer_is_many_chips():
    """vmap over programming keys gives the chips one by one; reading a wafer is reading each chip."""
    network = xbar.analog(f, PCM)
    keys = jax.random.split(jax.random.key(5), 4)
    wafer = jax.vmap(lambda k: network.program(W, X, key=k))(keys)
    y = jax.vmap(lambda c, k: c(X, t=60.0, key=k))(wafer, keys)
    for i in range(4):
        one = network.program(W, X, key=keys[i])
        np.testing.assert_allclose(y[i], one(X, t=60.0, key=keys[i]), atol=1e-4)


def test_output_of_a_sample_does_not_depend_on_its_batch():
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=4, dac=xbar.DAC(4), adc=xbar.ADC(4))
    chip = program(tile=tile)
    np.testing.assert_allclose(chip(X)[:3], chip(X[:3]), atol=1e-5)


def test_jit_does_not_recompile_for_time_key_or_ranges():
    chip = program()
    calls = []

    @eqx.filter_jit
    def read(chip, t, key):
        calls.append(1)
        return chip(X, t=t, key=key)

    for i, c in enumerate(
        (
            chip,
            xbar.calibrate(chip, X, key=jax.random.key(0)),
            xbar.calibrate(chip, 2 * X, key=jax.random.key(0)),
        )
    ):
        read(c, jnp.asarray(float(i)), jax.random.key(i))
    assert len(calls) == 2  # calibration adds ranges to the structure once


# -- calibration ---------------------------------------------------------------------------------------------------------


def test_calibrated_ranges_are_the_largest_values():
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=4)
    chip = xbar.calibrate(program(tile=tile), X)
    ranges = chip.ranges[0]
    assert ranges.dac.shape == (1, 2) and ranges.adc.shape == (1, 2, 3)
    np.testing.assert_allclose(ranges.dac[0], [np.abs(X[:, :7]).max(), np.abs(X[:, 7:]).max()], rtol=1e-6)
    volts = 0.2 * X[:, 7:] / ranges.dac[0, 1]
    g = W[7:, 8:] / jnp.abs(W[7:, 8:]).max(0) * 25e-6
    assert float(ranges.adc[0, 1, 2]) == pytest.approx(float(jnp.abs(volts @ g).max()), rel=0.02)


def test_calibration_does_not_depend_on_how_negative_inputs_are_applied():
    """The first pass is with ideal converters, for which nothing is subtracted."""
    first, second = jnp.split(jax.random.normal(jax.random.key(8), (2 * 10, 10)), 2)

    def ranges(negative):
        tile = xbar.Tile(
            device=devices.ideal(), rows=8, cols=4, dac=xbar.DAC(10, negative=negative), adc=xbar.ADC(None)
        )
        chip = xbar.analog(lambda p, x: jax.nn.relu(x @ p[0]) @ p[1], tile).program(
            (first, second), X[:, :10], key=jax.random.key(0)
        )
        return [r.dac for r in xbar.calibrate(chip, X[:, :10]).ranges.values()]

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ranges("offset"), ranges("bipolar"))


def test_columns_without_a_weight_set_no_range():
    """3 outputs on tiles of 2 columns: the empty column of offset digits carries a full negative current. Fails if the range
    of its tile is the largest of both columns."""
    tile = xbar.Tile(devices.ideal(), 13, 2, mapping=xbar.BitSliced(5, 2, encoding="offset"))
    chip = xbar.calibrate(program(jnp.abs(W[:, :3]), jnp.abs(X), tile), jnp.abs(X))
    look = lambda i, tile, array, signals: jnp.abs(signals.current[..., 1, :]).max((0, 1, 2, 3, 4))  # noqa: E731
    weights, empty = chip.watch((jnp.abs(X),), watch=look)[1][0]
    assert float(chip.ranges[0].adc[0, 0, 1]) == pytest.approx(float(weights), rel=1e-5)
    assert float(empty) > 2 * float(weights)


def test_percentile_and_moving_calibration():
    tile = xbar.Tile(device=devices.ideal(), rows=13, cols=10)
    chip = program(tile=tile)
    tight = xbar.calibrate(chip, X, method="percentile", percentile=90.0)
    assert float(tight.ranges[0].dac[0, 0]) == pytest.approx(float(jnp.percentile(jnp.abs(X), 90)), rel=1e-5)
    moved = xbar.calibrate(xbar.calibrate(chip, X), 3 * X, momentum=0.75)
    assert float(moved.ranges[0].dac[0, 0]) == pytest.approx(1.5 * float(jnp.abs(X).max()), rel=1e-5)


def test_calibration_makes_low_resolution_better():
    tile = xbar.Tile(device=devices.ideal(), rows=16, cols=16, dac=xbar.DAC(8), adc=xbar.ADC(4))
    chip = program(tile=tile)
    error = lambda c: float(jnp.sqrt(jnp.mean((c(X) - X @ W) ** 2)))  # noqa: E731
    assert error(xbar.calibrate(chip, X)) < 0.8 * error(chip)


def test_drift_compensation_restores_the_scale():
    """After a month, uncompensated outputs have shrunk by the mean drift (~45 %); compensated ones by nothing but spread."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=64, cols=64, dac=xbar.DAC(None), adc=xbar.ADC(None))
    w, x = jax.random.normal(jax.random.key(3), (64, 64)), jax.random.normal(jax.random.key(4), (128, 64))
    chip = xbar.analog(f, tile).program(w, x, key=jax.random.key(0))
    slope = lambda c, t: float(jnp.vdot(c(x, t=t, key=jax.random.key(1)), x @ w) / jnp.vdot(x @ w, x @ w))  # noqa: E731
    month = 2_592_000.0
    with_it = xbar.calibrate(chip, x, key=jax.random.key(2), t=0.0)
    without = xbar.calibrate(chip, x, key=jax.random.key(2), t=0.0, compensate_drift=False)
    assert slope(without, month) < 0.65
    assert slope(with_it, month) == pytest.approx(1.0, abs=0.05)
    assert slope(with_it, 0.0) == pytest.approx(slope(without, 0.0), abs=0.01)


def test_calibrated_tiles_of_zeros_read_zero():
    """A layer that was initialised or pruned to zero: its read-out is 0, and 0/0 must not become a gain."""
    tile = xbar.Tile(device=devices.ideal(), rows=8, cols=4)
    chip = xbar.calibrate(program(w=W.at[8:].set(0.0), tile=tile), X)
    np.testing.assert_allclose(chip(X), X[:, :8] @ W[:8], atol=0.1)
    slope = jax.grad(lambda w: jnp.sum(xbar.calibrate(program(w=w, tile=tile), X)(X)))(jnp.zeros_like(W))
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_calibrating_scans_and_stacks():
    """Ranges of a stack are one per array of the stack; of an array read at each step, the largest of all steps."""

    def model(p, xs):
        h = jax.lax.scan(lambda h, x: (jnp.tanh(h @ p["rec"] + x @ p["in"]), None), jnp.zeros((4, 6)), xs)[0]
        return jax.lax.scan(lambda h, w: (h @ w, None), h, p["stack"])[0]

    k = jax.random.split(jax.random.key(0), 4)
    params = {
        "rec": jax.random.normal(k[0], (6, 6)) / 3,
        "in": jax.random.normal(k[1], (5, 6)),
        "stack": jax.random.normal(k[2], (3, 6, 6)),
    }
    xs = jax.random.normal(k[3], (7, 4, 5))
    tile = xbar.Tile(device=devices.ideal(), rows=16, cols=16, dac=xbar.DAC(12), adc=xbar.ADC(12))
    chip = xbar.calibrate(xbar.analog(model, tile).program(params, xs, key=jax.random.key(0)), xs)
    by_path = {layer.path: chip.ranges[i] for i, layer in enumerate(chip.plan_layers)}
    assert by_path["stack"].dac.shape == (3, 1, 1)
    assert float(by_path["in"].dac[0, 0]) == pytest.approx(float(jnp.abs(xs).max()), rel=1e-6)
    np.testing.assert_allclose(chip(xs), model(params, xs), atol=0.02 * float(jnp.abs(model(params, xs)).max()))


def test_training_with_the_ranges_of_a_chip():
    network = xbar.analog(f, PCM)
    chip = xbar.calibrate(network.program(W, X, key=jax.random.key(0)), X, key=jax.random.key(0))
    y = network(W, 10 * X, key=jax.random.key(0), ranges=chip.ranges)  # clips at the calibrated range
    assert float(jnp.abs(y).max()) < 2.5 * float(jnp.abs(X @ W).max())


@pytest.mark.parametrize(
    "wires",
    [
        pytest.param(xbar.IdealWires(), id="ideal"),
        pytest.param(xbar.ResistiveWires(50.0, 50.0), id="wires", marks=pytest.mark.slow),
    ],
)
def test_a_chip_taken_at_a_time_is_the_chip_at_that_time(wires):
    """Outputs with their noise, energy and drift compensation are those of the chip it came from."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4, wires=wires)
    chip = xbar.calibrate(program(tile=tile), X, t=20.0, compensate_drift=True, key=jax.random.key(5))
    taken = chip.at(86_400.0)
    now = chip(X, t=86_400.0, key=jax.random.key(6))
    np.testing.assert_allclose(taken(X, key=jax.random.key(6)), now, rtol=1e-4, atol=1e-4)
    assert float(jnp.abs(now - chip(X, t=20.0, key=jax.random.key(6))).max()) > 0.05
    with pytest.raises(ValueError, match="was taken at a time"):
        taken(X, t=20.0, key=jax.random.key(6))
    if tile.coupled:
        return  # wires compile long; their energy has tests of its own
    joules = taken.energy(X).joules
    np.testing.assert_allclose(joules, chip.energy(X, t=86_400.0).joules, rtol=1e-5)


def test_stacks_are_taken_at_a_time():
    deep = lambda w, x: jax.lax.scan(lambda h, w: (h @ w, None), x, w)[0]  # noqa: E731
    chip = xbar.analog(deep, PCM).program(jnp.ones((3, 6, 6)), jnp.ones((2, 6)), key=jax.random.key(0))
    now = chip(jnp.ones((2, 6)), t=100.0, key=jax.random.key(6))
    taken = chip.at(100.0)(jnp.ones((2, 6)), key=jax.random.key(6))
    np.testing.assert_allclose(taken, now, rtol=1e-4, atol=1e-4 * float(jnp.max(now)))
