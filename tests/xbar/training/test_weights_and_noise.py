"""What is found to be a weight, and what noise, faults and clipping do to it."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import devices
import xbar
from xbar import training

W = jax.random.normal(jax.random.key(1), (200, 100)) * jnp.geomspace(0.1, 10, 100)  # channels of very different size
PARAMS = {"w": W, "b": jnp.ones(100)}
X = jax.random.normal(jax.random.key(2), (8, 200))
COLUMNS = training.ArrayWeights((None, (1,)))


def apply(p, x):
    return x @ p["w"] + p["b"]


class Convolutions(eqx.Module):
    """Convolution, depthwise convolution, and a dense layer: biases of three axes, and a function among the leaves."""

    layers: list

    def __init__(self):
        keys = jax.random.split(jax.random.key(0), 3)
        first = eqx.nn.Conv2d(3, 8, 3, key=keys[0])
        self.layers = [
            first,
            eqx.nn.Conv2d(8, 8, 3, groups=8, key=keys[1]),
            eqx.nn.Linear(32, 10, key=keys[2]),
            jax.nn.relu,
        ]

    def __call__(self, x):
        *layers, f = self.layers
        return layers[2](f(layers[1](f(layers[0](x)))).ravel())


def test_weights_are_found_with_their_channels():
    """Output channels come first in Equinox and last in Flax and plain products; biases and looked-up embeddings are none."""
    model, x = Convolutions(), jnp.ones((2, 3, 6, 6))
    found = training.weights_of(lambda m, x: jax.vmap(m)(x), model, x)
    leaves = [w.shape if hasattr(w, "shape") else None for w in jax.tree.leaves(model)]
    assert [
        c for c, shape in zip(found.channels, leaves, strict=True) if shape and len(shape) > 1 and shape[1] > 0 and c
    ] == [(0,)] * 3
    assert sum(c is not None for c in found.channels) == 3
    dense = nn.Dense(5)
    variables = dense.init(jax.random.key(0), jnp.ones((1, 4)))
    assert training.weights_of(dense.apply, variables, jnp.ones((3, 4))).channels == (None, (1,))
    table = {"embedding": jnp.ones((7, 4)), "w": jnp.ones((2, 4, 6))}
    stacked = lambda p, i: jnp.einsum("bk,skn->sbn", p["embedding"][i], p["w"])  # noqa: E731
    assert training.weights_of(stacked, table, jnp.arange(3)).channels == (None, (0, 2))
    two = xbar.analog(
        lambda p, x: x @ p["a"] @ p["b"], lambda path, shape: None if path == "a" else xbar.Tile(devices.ideal())
    )
    pair = {"a": jnp.ones((4, 4)), "b": jnp.ones((4, 4))}
    assert training.weights_of(two, pair, jnp.ones((1, 4))).channels == (None, (1,))


@pytest.mark.parametrize("per", ["tensor", "channel", "absolute"])
def test_noise_has_the_size_asked_for(per):
    """Standard deviation over 50 draws of 200 weights in each of 100 channels, to 4 %: a share of the largest weight of all,
    of each channel's, or as it is."""
    settings = {"relative": False} if per == "absolute" else {"per": per, "weights": COLUMNS}
    draw = lambda k: training.weight_noise(PARAMS, 0.1, key=k, **settings)  # noqa: E731
    noisy = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 50))
    np.testing.assert_array_equal(noisy["b"][0], PARAMS["b"])
    spread = np.asarray((noisy["w"] - W).std((0, 1)))
    largest = {"tensor": jnp.abs(W).max(), "channel": jnp.abs(W).max(0), "absolute": 1.0}[per]
    np.testing.assert_allclose(spread, 0.1 * np.broadcast_to(largest, 100), rtol=0.04)


def test_the_gradient_is_that_at_the_noisy_weights():
    """Of the sum of squares of the weights it is twice the noisy weight: nothing passes through the largest one."""
    noise = lambda p: training.weight_noise(p, 0.1, key=jax.random.key(3), per="channel", weights=COLUMNS)  # noqa: E731
    slope = jax.jit(jax.grad(lambda p: jnp.sum(noise(p)["w"] ** 2)))(PARAMS)
    np.testing.assert_allclose(slope["w"], 2 * noise(PARAMS)["w"], rtol=1e-5, atol=1e-6)


def test_dropped_weights_are_zero_and_get_no_gradient():
    drop = lambda p: training.drop_weights(p, 0.2, key=jax.random.key(4))  # noqa: E731
    dropped = drop(PARAMS)["w"]
    gone = np.asarray(dropped == 0)
    assert gone.mean() == pytest.approx(0.2, abs=0.012)  # 20,000 weights, 4 standard errors
    np.testing.assert_array_equal(np.asarray(dropped)[~gone], np.asarray(W)[~gone])
    np.testing.assert_array_equal(jax.grad(lambda p: drop(p)["w"].sum())(PARAMS)["w"], (~gone).astype(np.float32))
    with pytest.raises(ValueError, match=r"rate=1.0.*\[0, 1\)"):
        training.drop_weights(PARAMS, 1.0, key=jax.random.key(0))


def test_a_pool_of_noise_stands_in_for_fresh_normals():
    """Mean and variance of 200,000 numbers of the pool; another key takes another stretch; too small a pool is refused."""
    pool = training.NoisePool(jax.random.key(5), 2**18)
    drawn = jax.vmap(lambda k: pool(k, W))(jax.random.split(jax.random.key(6), 10))
    assert abs(float(drawn.mean())) < 0.02 and float(drawn.std()) == pytest.approx(1, abs=0.02)
    assert float(jnp.abs(drawn[0] - drawn[1]).max()) > 1
    noisy = training.weight_noise(PARAMS, 0.1, key=jax.random.key(7), normals=pool)
    assert float((noisy["w"] - W).std()) == pytest.approx(0.1 * float(jnp.abs(W).max()), rel=0.05)
    with pytest.raises(ValueError, match="10 normals for 20000 weights"):
        training.NoisePool(jax.random.key(0), 10)(jax.random.key(1), W)


def test_a_schedule_of_noise_is_one_of_optax():
    """Scale by the step, traced: 0 at first, .1 at the end."""
    ramp = optax.linear_schedule(0.0, 0.1, 100)
    moved = lambda step: training.weight_noise(PARAMS, ramp(step), key=jax.random.key(0))["w"] - W  # noqa: E731
    sizes = [float(jax.jit(moved)(jnp.asarray(n)).std()) for n in (0, 50, 100)]
    assert sizes[0] == 0 and sizes[1] / sizes[2] == pytest.approx(0.5, rel=1e-4)


def test_times_are_log_uniform():
    """Quartiles of 4000 draws between a second and a year, to 4 standard errors; the grid holds both ends."""
    t = jax.vmap(training.draw_time)(jax.random.split(jax.random.key(8), 4000))
    share = np.asarray(jnp.log(t) / jnp.log(31_536_000.0))
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.032)
    assert float(t.min()) >= 1 and float(t.max()) <= 31_536_000
    grid = training.log_uniform_times(1.0, 1e4, 5)
    np.testing.assert_allclose(grid, [1, 10, 100, 1000, 10_000], rtol=1e-5)


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_clipping_bounds_each_tensor_or_channel(per):
    """At 2.5 of its own standard deviations; what lies inside keeps its value and its gradient."""
    clip = lambda p: training.clip_weights(p, 2.5, per=per, weights=COLUMNS)  # noqa: E731
    bound = 2.5 * (W.std(0) if per == "channel" else W.std())
    np.testing.assert_allclose(clip(PARAMS)["w"], jnp.clip(W, -bound, bound), rtol=1e-5)
    np.testing.assert_array_equal(training.clip_weights(PARAMS, limit=0.3)["w"], jnp.clip(W, -0.3, 0.3))
    fixed = jax.grad(lambda p: training.clip_weights(p, limit=0.3)["w"].sum())(PARAMS)["w"]
    np.testing.assert_array_equal(fixed, (jnp.abs(W) < 0.3).astype(jnp.float32))
    with pytest.raises(ValueError, match="give one of the two"):
        training.clip_weights(PARAMS)


def test_an_optax_chain_ends_with_clipped_weights():
    """After every step; and parameters that are no weights move as without it."""
    plain, chained = optax.sgd(1.0), optax.chain(optax.sgd(1.0), training.keep_clipped(limit=0.5))
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    moved = optax.apply_updates(PARAMS, chained.update(grads, chained.init(PARAMS), PARAMS)[0])
    free = optax.apply_updates(PARAMS, plain.update(grads, plain.init(PARAMS), PARAMS)[0])
    np.testing.assert_allclose(moved["w"], jnp.clip(free["w"], -0.5, 0.5), atol=1e-5)
    np.testing.assert_array_equal(moved["b"], free["b"])
    with pytest.raises(ValueError, match="update\\(grads, state, params\\)"):
        chained.update(grads, chained.init(PARAMS))


def test_remapped_channels_fill_the_range_and_multiply_to_the_weights():
    remapped, scales = training.remap_channels(PARAMS, COLUMNS)
    np.testing.assert_allclose(jnp.abs(remapped["w"]).max(0), 1, rtol=1e-6)
    np.testing.assert_allclose(remapped["w"] * scales["w"], W, rtol=1e-5)
    np.testing.assert_array_equal(remapped["b"] * scales["b"], PARAMS["b"])
    through = lambda p: jnp.sum(apply(jax.tree.map(jnp.multiply, *training.remap_channels(p, COLUMNS)), X) ** 2)  # noqa: E731
    expected = jax.grad(lambda p: jnp.sum(apply(p, X) ** 2))(PARAMS)
    np.testing.assert_allclose(jax.grad(through)(PARAMS)["w"], expected["w"], rtol=1e-3, atol=0.5)


def test_channels_must_be_known():
    with pytest.raises(ValueError, match=r"weights=xbar\.training\.weights_of"):
        training.weight_noise(PARAMS, 0.1, key=jax.random.key(0), per="channel")
    with pytest.raises(ValueError, match="among 2 leaves, but the parameters have 1"):
        training.clip_weights({"w": W}, 2.5, weights=COLUMNS)
