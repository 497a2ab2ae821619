"""Updates of arrays: against aihwkit, against the outer products they stand for, and what they take."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import devices
import xbar
from devices import steps, updates
from xbar.macro.programming import program
from xbar.training import PulseTrains, insitu
from xbar.training.insitu.site import Site
from xbar.training.insitu.spent import Spent, Total

G_MAX = 20e-6
EXACT = dict(dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))


def linear(step: float, **more) -> devices.Device:
    """Cells of 0 to 20 uS whose pulses are worth `step` of half of that."""
    s = step * G_MAX / 2
    return devices.Device(0.0, G_MAX, update=updates.PulseUpdate(steps.ConstantStep(s, s, 0.0, G_MAX), **more))


def tile(device, reference="cell", scale=1.0, **more):
    return xbar.Tile(
        device, rows=64, cols=64, mapping=xbar.Offset(reference=reference, scale=scale), **{**EXACT, **more}
    )


def weights(chip, i=0):
    """The matrix that the cells of a layer hold, as reads of unit vectors show it."""
    from xbar.macro.reading import read

    k, n = chip.plan_layers[i].product.sizes[1:]
    return read(chip.tiles[i], chip.arrays[i], jnp.eye(k)[None], n, t=jnp.zeros(()), key=None)[0][0]


CASES = {
    "default_UM_UBLM_lr0.01": dict(),
    "default_UM_UBLM_lr0.2_saturates": dict(),
    "fixedBL31_noUM_lr0.01": dict(manage_slots=False),
    "fixedBL10_UM_lr0.01": dict(manage_slots=False, slots=10),
    "mean_count_lr0.01": dict(mean_count=True),
}


FAST = ("default_UM_UBLM_lr0.01", "mean_count_lr0.01")


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_an_update_of_a_chip_against_aihwkit(aihwkit, name):
    """Signals of a loss -> factors -> trains -> pulses to cells: the change of every weight, over 4,000 chips, to 2 %.

    Means within 2 % of their spread and 3.5 standard errors of the oracle's 2,000 updates and of ours; spreads within 2 % and
    3.5 standard errors by their kurtosis (k - 1 <= 30); where both are deterministic, exactly.
    """
    data = aihwkit["stochastic_update"]
    case, x, d = data["cases"][name], jnp.asarray(data["x"]), jnp.asarray(data["d"])
    chip = xbar.analog(lambda w, x: x @ w, tile(linear(case["dw_min"]))).program(
        jnp.zeros((6, 4)), x[None], key=jax.random.key(0)
    )
    rule = insitu.on_arrays(insitu.SGD(PulseTrains(**CASES[name])), case["lr"])

    @jax.jit
    def changes(keys):
        _, found = insitu.backpropagate(chip, (x[None],), lambda y: jnp.sum(y * d))
        state = rule.init(chip)
        return jax.lax.map(lambda k: weights(rule.update(found, state, key=k)[1].chip), keys, batch_size=100)

    count = 4000 if case["std"] and np.any(np.asarray(case["std"])) else 100
    change = np.asarray(changes(jax.random.split(jax.random.key(1), count)), float).transpose(0, 2, 1)
    mean, sigma = np.asarray(case["mean"]), np.asarray(case["std"])
    still = sigma == 0
    np.testing.assert_allclose(change.mean(0)[still], mean[still], atol=2e-6)
    if not still.all():
        off = (change.mean(0) - mean)[~still] / sigma[~still]
        wide = change.std(0)[~still] / sigma[~still] - 1
        assert np.all(np.abs(off) < 0.02 + 3.5 * np.sqrt(1 / 2000 + 1 / count)) and abs(off.mean()) < 0.02
        assert np.all(np.abs(wide) < 0.02 + 3.5 * np.sqrt(30 / 8000)) and abs(wide.mean()) < 0.03


def dense(p, x):
    return jnp.tanh(x @ p["a"]) @ p["b"]


def convolutional(p, x):
    h = jax.lax.conv_general_dilated(x, p["a"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.tanh(h).reshape(len(x), -1) @ p["b"]


def recurrent(p, x):
    step = lambda h, v: (jnp.tanh(v @ p["a"] + h @ p["b"]), None)  # noqa: E731
    return jax.lax.scan(step, jnp.zeros((x.shape[1], p["b"].shape[0])), x)[0]


def shared(p, x):
    return jnp.tanh(x @ p["a"]) @ p["b"] + jnp.sum(x @ p["a"], -1, keepdims=True)


def attention(p, x):
    q, k = x @ p["a"], x @ p["b"]
    return jax.nn.softmax(q @ k.T) @ k


NETWORKS = {
    "dense": (dense, {"a": (5, 7), "b": (7, 3)}, (4, 5)),
    "one sample": (dense, {"a": (70, 6), "b": (6, 80)}, (1, 70)),
    "convolution": (convolutional, {"a": (3, 3, 2, 4), "b": (64, 3)}, (2, 4, 4, 2)),
    "recurrent": (recurrent, {"a": (3, 5), "b": (5, 5)}, (4, 2, 3)),
    "shared": (shared, {"a": (5, 6), "b": (6, 6)}, (3, 5)),
    "attention": (attention, {"a": (5, 4), "b": (5, 4)}, (6, 5)),
}


slow = pytest.mark.slow


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("convolution", "summed"),
        ("recurrent", "samples"),
        *[
            pytest.param(name, "summed", marks=slow)
            for name in ("dense", "one sample", "recurrent", "shared", "attention")
        ],
        *[pytest.param(name, "samples", marks=slow) for name in ("dense", "convolution", "shared", "attention")],
    ],
)
def test_an_update_is_the_outer_product_sum(name, order):
    """On a linear device of steps of 1e-5, rows written with rounding to the nearest: `-rate dL/dw` of jax.grad, for every
    weight, to half a step a vector (and float32's 1e-6)."""
    f, shapes, inputs = NETWORKS[name]
    keys = jax.random.split(jax.random.key(3), 4)
    p = {k: 0.3 * jax.random.normal(key, shape) for (k, shape), key in zip(shapes.items(), keys, strict=False)}
    x, goal = jax.random.normal(keys[2], inputs), 0.7
    chip = xbar.analog(f, tile(linear(1e-5), scale=2.0)).program(p, x, key=keys[3])
    rule = insitu.on_arrays(insitu.SGD(insitu.Rows(most=100_000)), 0.05, order=order)
    loss = lambda y: jnp.mean((y - goal) ** 2)  # noqa: E731

    @jax.jit
    def learn(chip):
        value, found = insitu.backpropagate(chip, (x,), loss)
        return value, found, rule.update(found, rule.init(chip), key=jax.random.key(0))[1]

    value, found, state = learn(chip)
    expected, grads = jax.value_and_grad(lambda p: loss(f(p, x)))(p)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for i, layer in enumerate(chip.plan_layers):
        vectors = found.layers[i].x.shape[-2] if order == "samples" else 1
        change = weights(state.chip, i) - weights(chip, i)
        wanted = layer.product.matrix(-0.05 * grads[layer.path])[0]
        assert np.abs(wanted).max() > 20 * 2e-5, "too small to tell"
        np.testing.assert_allclose(change, wanted, atol=1e-5 * vectors + 2e-6)


def test_biases_learn_with_their_own_optimiser():
    f = lambda p, x: x @ p["w"] + p["b"]  # noqa: E731
    p = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
    chip = xbar.analog(f, tile(linear(1e-3))).program(p, jnp.ones((4, 3)), key=jax.random.key(0))
    rule = insitu.on_arrays(insitu.SGD(), 0.1, digital=optax.sgd(0.5))

    @jax.jit
    def learn(chip):
        _, found = insitu.backpropagate(chip, (jnp.ones((4, 3)),), jnp.mean)
        return rule.update(found, rule.init(chip), key=jax.random.key(0))

    updates_, state = learn(chip)
    np.testing.assert_allclose(next(u for u in updates_ if u is not None), [-0.25, -0.25], rtol=1e-6)
    np.testing.assert_allclose(next(u for u in state.chip.leaves if u is not None), [-0.25, -0.25], rtol=1e-6)


def test_backward_reads_are_the_transposed_matrix_and_pass_wires():
    """Through ideal cells the error of the input is `d W^T` to float32; behind wires, with converters, it is near it
    and not it."""
    p = {"a": jax.random.normal(jax.random.key(0), (40, 30)), "b": jax.random.normal(jax.random.key(1), (30, 20))}
    x, d = jnp.ones((3, 40)) / 7, jax.random.normal(jax.random.key(2), (3, 20))
    f = lambda p, x: x @ p["a"] @ p["b"]  # noqa: E731
    for wires, backward, low, high in (
        (xbar.IdealWires(), None, 0, 2e-6),
        (xbar.ResistiveWires(5.0, 5.0), xbar.Periphery(adc=xbar.ADC(bits=9)), 1e-3, 0.1),
    ):
        how = tile(devices.ideal(), scale=4.0, wires=wires, backward=backward)
        chip = xbar.analog(f, how).program(p, x, key=jax.random.key(0))
        found = jax.jit(lambda chip: insitu.backpropagate(chip, (x,), lambda y: jnp.sum(y * d))[1])(chip)
        exact = d @ p["b"].T
        off = float(jnp.abs(found.layers[0].d[0] - exact).max() / jnp.abs(exact).max())
        assert low <= off <= high
        assert (found.layers[0].backward, found.layers[1].backward) == (0, 3)


@pytest.mark.parametrize(
    ("mapping", "wires"),
    [
        (xbar.Offset(reference="column"), xbar.IdealWires()),
        (xbar.Offset(reference="cell"), xbar.SeriesWires(0.0, 0.0, r_access=1e5)),
    ],
    ids=["shared reference", "behind wires"],
)
@pytest.mark.parametrize("read_noise", ["independent", "frozen"])
def test_reads_of_single_word_lines_are_noisy(mapping, wires, read_noise):
    """A net conductance has the noise of its cell and of its reference, each by what the wires pass on of it."""
    own = devices.Device(1e-6, 25e-6, read_noise=devices.noise.WhiteReadNoise(1e-12, 25e-6, 5e6))
    how = xbar.Tile(own, 8, 8, mapping=mapping, wires=wires, read_noise=read_noise, **EXACT)
    array = program(how, jnp.ones((1, 4, 3)), key=jax.random.key(0))
    site, rows = Site(how, how.partition(1, 4, 3), insitu.Drive()), jnp.arange(2)
    read = lambda k: site.read_rows(array, rows, xbar.ADC(bits=None), jnp.zeros(()), k)  # noqa: E731
    found = jnp.var(jax.jit(jax.vmap(read))(jax.random.split(jax.random.key(1), 4000)), 0)[0, 0, :, 0]
    g, variance = array.cells.g, own.read_variance(array.cells, 0.0, how.bandwidth)
    passed = (variance / (1 + g * getattr(wires, "r_access", 0.0)) ** 4)[:, 0, 0, :2, 0]
    both = passed[0] + passed[1] if len(passed) == 2 else passed[0][:, :3] + passed[0][:, 3:]
    np.testing.assert_allclose(found, both, rtol=0.15)


def test_pulses_times_their_energy_are_the_ledgers():
    """Every pulse of 1.2 V and 50 ns on a cell that hardly moves costs V^2 g t, and the ledger's programming energy
    is that."""
    chip = xbar.analog(lambda w, x: x @ w, tile(linear(1e-6))).program(
        jnp.zeros((6, 4)), jnp.ones((1, 6)), key=jax.random.key(0)
    )
    drive = insitu.Drive(v_up=1.2, v_down=1.2, width=50e-9)
    rule = insitu.on_arrays(insitu.SGD(), 1e-4, drive=drive)

    @jax.jit
    def learn(chip):
        _, found = insitu.backpropagate(chip, (jnp.ones((8, 6)),), jnp.sum)
        return rule.update(found, rule.init(chip), key=jax.random.key(0))[1]

    state = learn(chip)
    spent = state.last[0]
    assert float(spent.pulses_down) > 100 and float(spent.pulses_up) == 0
    expected = float(spent.pulses) * 1.2**2 * (G_MAX / 2) * 50e-9
    np.testing.assert_allclose(spent.joules, expected, rtol=1e-3)
    ledger = chip.energy(jnp.ones((1, 6))).with_programming({"w": spent.writes()}, inferences=1)
    np.testing.assert_allclose(ledger.amortised_programming, expected, rtol=1e-3)


@slow
@hypothesis.given(
    kind=st.sampled_from(("dense", "convolution", "recurrent")),
    k=st.integers(1, 9),
    n=st.integers(1, 9),
    vectors=st.integers(1, 4),
    small=st.booleans(),
)
@hypothesis.settings(max_examples=8, deadline=None, derandomize=True)
def test_an_update_of_any_shape_is_the_outer_product_sum(kind, k, n, vectors, small):
    """Any number of inputs, outputs and vectors, on tiles that hold the matrix or cut it: `-rate dL/dw` to half a step and
    float32's 1e-6 of the range."""
    f, shapes, inputs = {
        "dense": (lambda p, x: jnp.tanh(x @ p["a"]), {"a": (k, n)}, (vectors, k)),
        "convolution": (one_convolution, {"a": (2, 2, k, n)}, (vectors, 3, 3, k)),
        "recurrent": (recurrent, {"a": (k, n), "b": (n, n)}, (vectors, 2, k)),
    }[kind]
    keys = jax.random.split(jax.random.key(k + 10 * n), 3)
    p = {name: 0.3 * jax.random.normal(keys[0], shape) for name, shape in shapes.items()}
    x = jax.random.normal(keys[1], inputs)
    cut = dict(rows=3, cols=4) if small else {}
    how = dataclasses.replace(tile(linear(1e-5), scale=2.0), **cut)
    chip = xbar.analog(f, how).program(p, x, key=keys[2])
    rule = insitu.on_arrays(insitu.SGD(insitu.Rows(most=100_000)), 0.05)
    loss = lambda y: jnp.sum((y - 0.7) ** 2)  # noqa: E731

    @jax.jit
    def learn(chip):
        _, found = insitu.backpropagate(chip, (x,), loss)
        return rule.update(found, rule.init(chip), key=jax.random.key(0))[1]

    state = learn(chip)
    grads = jax.grad(lambda p: loss(f(p, x)))(p)
    for i, layer in enumerate(chip.plan_layers):
        wanted = layer.product.matrix(-0.05 * grads[layer.path])[0]
        np.testing.assert_allclose(weights(state.chip, i) - weights(chip, i), wanted, atol=1e-5 + 4e-6)


def one_convolution(p, x):
    y = jax.lax.conv_general_dilated(x, p["a"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.tanh(y)


def test_what_was_spent_is_printed_with_units():
    spent = Spent.of(pulses_up=2000, joules=1.5e-9, seconds=2e-6)
    assert repr(spent) == "Spent(2e+03 pulses up, 1.5e-09 J, 2e-06 s)"
    assert repr(Total.start(spent)) == "Spent(nothing)" and repr(Total.start(spent).plus(spent)) == repr(spent)
