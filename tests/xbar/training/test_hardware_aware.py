"""Training with the spread over cells drawn at the outputs: the statistics of chips, and networks as good on chips."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import devices
import xbar
from xbar.macro.layout import from_cells

K, N, BATCH, CHIPS = 40, 6, 5, 1000


def product(w, x):
    return x @ w


def tile_of(device, adc=None):
    return xbar.Tile(device, 32, 4, adc=adc or xbar.ADC(None), dac=xbar.DAC(None))


def outputs(tile, times):
    """Of many calls, each with other devices and noise: [call, input, output]."""
    w = jax.random.normal(jax.random.key(0), (K, N))
    x = jax.random.normal(jax.random.key(1), (BATCH, K))
    network = xbar.analog(product, tile)
    call = jax.jit(jax.vmap(lambda key: network(w, x, key=key, t=times)))
    return np.asarray(call(jax.random.split(jax.random.key(2), CHIPS)), float)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("make", "t"),
    [(devices.pcm_joshi2020, 3600.0), (devices.reram_wan2022, 86_400.0), (devices.reram_cmo_falcone2025, 1.0)],
)
def test_outputs_have_the_mean_and_spread_of_chips(make, t):
    """Two tiles of rows and columns, 1000 chips: means to 4.5 standard errors of both and 0.15 of the spread, which is what
    the curves may be off by; spreads to 12 % (a standard error is 3 %)."""
    tile = tile_of(make())
    chips = outputs(tile, t)
    drawn = outputs(xbar.training.moment_matched(tile, t, key=jax.random.key(3)), t)
    spread = chips.std(0)
    assert np.all(np.abs(drawn.mean(0) - chips.mean(0)) < (4.5 * (2 / CHIPS) ** 0.5 + 0.15) * spread)
    np.testing.assert_allclose(drawn.std(0), spread, rtol=0.12)


def test_drift_is_compensated_though_one_time_alone_is_asked_for():
    """After a day PCM has lost a third of its conductance; the factor against it refers to the time of programming, which
    the matched device has to know: outputs are the chips' to 2 %."""
    w, x = jax.random.normal(jax.random.key(0), (K, N)), jax.random.normal(jax.random.key(1), (256, K))
    tile = dataclasses.replace(tile_of(devices.pcm_joshi2020()), read_noise="frozen")

    def scale(tile):
        y = xbar.analog(product, tile)(w, x, key=jax.random.key(2), t=86_400.0, compensate="tile")
        return float(jnp.sum(y * (x @ w)) / jnp.sum((x @ w) ** 2))

    drawn = xbar.training.moment_matched(tile, 86_400.0, key=jax.random.key(3))
    assert scale(drawn) == pytest.approx(scale(tile), abs=0.02) and scale(drawn) > 0.95


def test_each_input_meets_cells_of_its_own():
    """Two equal inputs differ by twice the variance of one; on a chip whose reads are free of noise they do not differ."""
    w, x = jax.random.normal(jax.random.key(0), (K, N)), jnp.ones((2, K))
    tile = tile_of(devices.Device(0.0, 25e-6, programming=devices.programming.SpreadProgramming(1e-6, 25e-6)))

    def apart(tile):
        network = xbar.analog(product, tile)
        call = jax.jit(jax.vmap(lambda key: network(w, x, key=key)))
        y = np.asarray(call(jax.random.split(jax.random.key(2), CHIPS)))
        return (y[:, 0] - y[:, 1]).var(0) / (2 * y[:, 0].var(0))

    own = apart(xbar.training.moment_matched(tile, key=jax.random.key(3)))
    np.testing.assert_allclose(own, 1, atol=0.15)
    assert np.all(apart(tile) == 0)


def test_frozen_noise_is_one_draw_for_all_inputs():
    """Two equal inputs read the same; over calls, outputs have the mean and the variance of independent noise (4 and 5
    standard errors of 1000 calls). A tile of 40 rows, so that sums are normal."""
    w, x = jax.random.normal(jax.random.key(0), (K, N)), jnp.ones((2, K))
    noisy = devices.Device(0.0, 25e-6, read_noise=devices.noise.WhiteReadNoise(4e-12, 25e-6, 5e6))
    tile = xbar.Tile(noisy, 64, 8, adc=xbar.ADC(None), dac=xbar.DAC(None))

    def reads(tile):
        chip = xbar.analog(product, tile).program(w, x, key=jax.random.key(1))
        return np.asarray(jax.jit(jax.vmap(lambda key: chip(x, key=key)))(jax.random.split(jax.random.key(2), CHIPS)))

    own, frozen = reads(tile), reads(dataclasses.replace(tile, read_noise="frozen"))
    np.testing.assert_allclose(frozen[:, 0], frozen[:, 1], rtol=1e-4, atol=1e-5)
    assert np.all(own[:, 0] != own[:, 1])
    spread = own[:, 0].std(0)
    assert np.all(np.abs(frozen[:, 0].mean(0) - own[:, 0].mean(0)) < 4 * (2 / CHIPS) ** 0.5 * spread)
    np.testing.assert_allclose(frozen[:, 0].std(0), spread, rtol=5 * CHIPS**-0.5)


OHMIC, SINH = devices.conduction.Ohmic(), devices.conduction.Sinh(0.3)
IDEAL, WIRED = xbar.IdealWires(), xbar.ResistiveWires(5.0, 5.0)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("conduction", "wires", "batch"),  # wires are solved for few inputs, and mapped for many
    [
        pytest.param(OHMIC, IDEAL, 2, id="ohmic"),
        pytest.param(OHMIC, WIRED, 2, id="ohmic-wires-few", marks=pytest.mark.slow),
        pytest.param(OHMIC, WIRED, 40, id="ohmic-wires-many", marks=pytest.mark.slow),
        pytest.param(SINH, IDEAL, 2, id="sinh"),
        pytest.param(SINH, WIRED, 2, id="sinh-wires-few", marks=pytest.mark.slow),
        pytest.param(SINH, WIRED, 40, id="sinh-wires-many", marks=pytest.mark.slow),
    ],
)
def test_straight_through(conduction, wires, batch):
    """Outputs are those of the exact gradient's; the gradient by the weights is that of the plain product, though cells are
    coarse, less what the wires take of each cell where they are a map of ohmic cells; that by the inputs is the exact one."""
    w, x = jax.random.normal(jax.random.key(0), (K, N)), jax.random.normal(jax.random.key(1), (batch, K))
    device = devices.Device(
        1e-6, 25e-6, programming=devices.programming.SpreadProgramming(2e-6, 25e-6), conduction=conduction
    )
    tile = dataclasses.replace(tile_of(device), wires=wires)
    exact, straight = (xbar.analog(product, tile, gradient=g) for g in ("exact", "straight_through"))
    key = jax.random.key(2)
    towards = jax.random.normal(key, (batch, N))
    loss = lambda f: lambda w, x: jnp.sum(towards * f(w, x, key=key))  # noqa: E731
    np.testing.assert_allclose(straight(w, x, key=key), exact(w, x, key=key), rtol=1e-5, atol=1e-5)
    by_w, by_x = jax.jit(jax.grad(loss(straight), (0, 1)))(w, x)
    expected = x.T @ towards
    if conduction.linear and isinstance(wires, xbar.ResistiveWires):
        cells = exact.program(w, x, key=jax.random.split(key)[0]).arrays[0].cells
        felt = jnp.vectorize(wires.sensitivity, signature="(r,c)->(r,c)")(
            jnp.swapaxes(device.conductance(cells, 0.0), 3, 4)
        )
        felt = from_cells(jnp.swapaxes(felt, 3, 4).mean(0, keepdims=True), tile.partition(1, K, N))[0, 0]
        assert 0.9 < float(felt.min()) < float(felt.max()) < 1
        expected = expected * felt
    np.testing.assert_allclose(by_w, expected, rtol=1e-4, atol=1e-4)
    exact_w, exact_x = jax.jit(jax.grad(loss(exact), (0, 1)))(w, x)
    np.testing.assert_allclose(by_x, exact_x, rtol=1e-4, atol=1e-4)
    assert float(jnp.abs(exact_w - by_w).max()) > 1e-2


def test_gradients_are_those_of_chips_on_average():
    """By the weights, of a squared error: mean over 1000 draws of either kind, to 5 standard errors and 15 % of their size."""
    w, x = jax.random.normal(jax.random.key(0), (K, N)), jax.random.normal(jax.random.key(1), (BATCH, K))
    tile = tile_of(devices.pcm_joshi2020())

    def gradients(tile):
        network = xbar.analog(product, tile)
        loss = lambda w, key: jnp.mean((network(w, x, key=key) - x @ w[::-1]) ** 2)  # noqa: E731
        found = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(w, jax.random.split(jax.random.key(2), CHIPS))
        return np.asarray(found.mean(0), float), np.asarray(found.std(0), float) / CHIPS**0.5

    (chips, a), (drawn, b) = gradients(tile), gradients(xbar.training.moment_matched(tile, key=jax.random.key(3)))
    size = np.sqrt(np.mean(chips**2))
    assert np.all(np.abs(drawn - chips) < 5 * np.hypot(a, b) + 0.15 * size)
    assert np.corrcoef(drawn.ravel(), chips.ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_a_network_trained_with_it_is_better_on_chips():
    """Eight classes on a coarse device: against plain training, errors on 32 chips fall by a quarter or more, and with exact
    gradients to no more than 1.15 times those after training on fresh devices (straight-through: 1.3 and 1.6 times)."""
    noisy = devices.Device(
        0.0,
        25e-6,
        programming=devices.programming.SpreadProgramming(6e-6, 25e-6),
        read_noise=devices.noise.NoReadNoise(),
    )
    tile = xbar.Tile(noisy, 64, 32)
    keys = jax.random.split(jax.random.key(7), 6)
    centres = jax.random.normal(keys[0], (8, 16))
    draw = lambda key, n: (  # noqa: E731
        (y := jax.random.randint(key, (n,), 0, 8)),
        centres[y] + 0.9 * jax.random.normal(jax.random.fold_in(key, 1), (n, 16)),
    )
    apply = lambda p, x: jax.nn.relu(x @ p["a"]) @ p["b"]  # noqa: E731
    params = {"a": jax.random.normal(keys[1], (16, 32)) / 4, "b": jax.random.normal(keys[2], (32, 8)) / 6}
    optimiser = optax.adam(5e-3)

    def trained(forward):
        def step(state, key):
            params, moments = state
            y, x = draw(key, 128)
            loss = lambda p: optax.softmax_cross_entropy_with_integer_labels(forward(p, x, key), y).mean()  # noqa: E731
            updates, moments = optimiser.update(jax.grad(loss)(params), moments)
            return (optax.apply_updates(params, updates), moments), None

        return jax.jit(lambda s: jax.lax.scan(step, s, jax.random.split(keys[3], 400)))(
            (params, optimiser.init(params))
        )[0][0]

    def errors(params):
        y, x = draw(keys[4], 500)
        network = xbar.analog(apply, tile)
        call = jax.jit(jax.vmap(lambda key: jnp.mean(jnp.argmax(network(params, x, key=key), -1) != y)))
        return float(call(jax.random.split(keys[5], 32)).mean())

    population = xbar.training.moment_matched(tile, key=jax.random.key(3))
    frozen = dataclasses.replace(population, read_noise="frozen")
    exact = {
        "chips": xbar.analog(apply, tile),
        "outputs": xbar.analog(apply, population),
        "frozen": xbar.analog(apply, frozen),
    }
    straight = {
        "outputs": xbar.analog(apply, population, gradient="straight_through"),
        "frozen": xbar.analog(apply, frozen, gradient="straight_through"),
    }
    plain = errors(trained(lambda p, x, key: apply(p, x)))
    aware = lambda ways: {way: errors(trained(lambda p, x, key, f=f: f(p, x, key=key))) for way, f in ways.items()}  # noqa: E731
    exact, straight = aware(exact), aware(straight)
    assert all(e < 0.75 * plain and e < 1.15 * exact["chips"] for e in exact.values()), (plain, exact)
    assert all(e < 0.75 * plain for e in straight.values()), (plain, straight)


def test_straight_through_gradients_of_equal_blocks():
    """Three equal layers, which share a stack of arrays: on exact cells their gradients are those of the digital network."""

    def f(weights, x):
        for w in weights:
            x = jax.nn.relu(x @ w)
        return jnp.sum(x**2)

    weights = [jax.random.normal(jax.random.key(i), (8, 8)) / 3 for i in range(3)]
    x = jax.random.normal(jax.random.key(3), (4, 8))
    tile = xbar.Tile(devices.Device(1e-6, 1e-4), 8, 8, dac=xbar.DAC(None), adc=xbar.ADC(None))
    network = xbar.analog(f, tile, gradient="straight_through")
    found = jax.jit(jax.grad(lambda w: network(w, x, key=jax.random.key(0))))(weights)
    for a, b in zip(found, jax.grad(f)(weights, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * float(jnp.max(jnp.abs(b))))
