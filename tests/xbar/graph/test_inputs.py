"""Inputs of size 0: fine where no array waits for them, refused where one would be read with nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

TILE = xbar.Tile(device=devices.ideal(), rows=32, cols=32, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
W, X = jax.random.normal(jax.random.key(0), (12, 6)), jax.random.normal(jax.random.key(1), (4, 12))


def test_an_empty_cache_is_an_input():
    """The key-value cache before the first token; refused at 90e95cb."""
    f = lambda p, x, cache: jnp.concatenate([cache, x @ p])  # noqa: E731
    chip = xbar.analog(f, TILE).program(W, X, jnp.zeros((0, 6)), key=jax.random.key(1))
    np.testing.assert_allclose(chip(X, jnp.zeros((0, 6))), X @ W, atol=1e-5)
    np.testing.assert_allclose(chip(X, jnp.ones((2, 6)))[:2], 1.0)


def test_no_samples_are_refused():
    network = xbar.analog(lambda p, x: jnp.tanh(x) @ p, TILE)
    with pytest.raises(ValueError, match=r"input 0 is empty: its shape is \(0, 12\).*at least one sample"):
        network.program(W, X[:0], key=jax.random.key(1))
    chip = network.program(W, X, key=jax.random.key(1))
    with pytest.raises(ValueError, match="input 0 is empty"):
        chip(X[:0])


def test_an_empty_operand_made_inside_is_refused():
    network = xbar.analog(lambda p, x: x[4:] @ p, TILE)
    with pytest.raises(ValueError, match="params would be read with no vectors"):
        network.program(W, X, key=jax.random.key(1))
