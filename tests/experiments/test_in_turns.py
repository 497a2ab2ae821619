"""Many chips at once or in turns: the same numbers; memory as counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from experiments import in_turns


@pytest.mark.slow
def test_both_ways_give_the_same_numbers():
    """Seven chips with write errors, drift and noise, all at once and in turns of two: the same bits of cells, products to
    rounding."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=16)
    x = jax.random.normal(jax.random.key(1), (5, 20))
    w = jax.random.normal(jax.random.key(2), (20, 6))
    network = xbar.analog(lambda p, x: x @ p, tile)

    def chip(key, gain):
        return gain * network.program(w, x, key=key)(x, t=3600.0, key=key)

    keys, gains = jax.random.split(jax.random.key(0), 7), jnp.arange(1.0, 8.0)
    one = in_turns.peak_bytes(chip, keys[0], gains[0])
    at_once = in_turns.over(chip, keys, gains, budget=100 * one)
    in_twos = in_turns.over(chip, keys, gains, budget=2.5 * one)
    assert at_once.shape == (7, 5, 6) and np.std(at_once[0] - at_once[1] / 2) > 0
    np.testing.assert_allclose(in_twos, at_once, rtol=1e-5, atol=1e-5)


def test_how_the_turns_are_chosen():
    assert [in_turns.at_once(1e9, 16, b) for b in (0.5e9, 1e9, 3e9, 9e9, 16e9, 99e9)] == [1, 1, 3, 8, 16, 16]
    assert in_turns.at_once(0, 5, 9.0) == 5
    assert 0 < in_turns.allowed() <= in_turns.BUDGET


@pytest.mark.parametrize(
    "f, floats",
    [
        (lambda x: jnp.sum(jnp.exp(jnp.sin(x))), 2000),  # the input is not counted; a result and the one before it live
        (lambda x: (x + 1, x + 2, x + 3), 3000),
        (lambda x: jax.lax.fori_loop(0, 9, lambda i, a: jnp.sin(a) + a, x), 3000),  # the loop's result, and two within
        (lambda x: jax.jit(lambda a: jnp.outer(a, a).sum())(x), 1_000_001),
    ],
)
def test_peaks_counted_by_hand(f, floats):
    """1,000 float32; within 1 % and a few numbers."""
    found = in_turns.peak_bytes(f, jnp.ones(1000)) / 4
    assert floats <= found <= 1.01 * floats + 1010
