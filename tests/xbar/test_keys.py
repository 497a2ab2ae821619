"""No key is used twice: JAX's own search for that finds nothing in the journey of a network."""

import jax
import jax.numpy as jnp
import pytest

import devices
import xbar
from xbar.macro import programming

W, X = jnp.ones((6, 5)), jnp.ones((4, 6))


def f(p, x):
    return jax.nn.relu(x @ p) @ p.T


@pytest.mark.parametrize("read_noise", ["frozen", pytest.param("independent", marks=pytest.mark.slow)])
def test_the_journey_uses_every_key_once(read_noise):
    """Programs a chip and a wafer, calibrates, reads, counts energy, and takes a step of each kind of training; frozen noise
    is drawn by reads alone."""
    converters = dict(dac=xbar.DAC(noise=1e-3), adc=xbar.ADC(noise=1e-9))
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4, read_noise=read_noise, **converters)
    with jax.debug_key_reuse(True):
        program, calibrate, call, energy, wafer, reads, fresh, draw, step = jax.random.split(jax.random.key(0), 9)
        network = xbar.analog(f, tile)
        chip = xbar.calibrate(network.program(W, X, key=program), X, key=calibrate)
        chip(X, key=call)
        network(W, X, key=fresh)
        if read_noise == "frozen":
            return
        chip.energy(X, key=energy)
        chips = jax.vmap(lambda k: network.program(W, X, key=k))(jax.random.split(wafer, 2))
        chips(X, key=reads)
        drawn = xbar.analog(f, xbar.training.moment_matched(tile, key=draw))
        jax.jit(jax.grad(lambda p, k: drawn(p, X, key=k).sum()))(W, step)


def test_rewriting_uses_every_key_once():
    chip = xbar.analog(f, xbar.Tile(device=devices.reram_wan2022(), rows=8, cols=4)).program(
        W, X, key=jax.random.key(0)
    )
    with jax.debug_key_reuse(True):
        chip.reprogram(0, W, key=jax.random.key(1))


def test_a_key_of_a_chip_is_used_up():
    key = jax.random.key(0)
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
    with jax.debug_key_reuse(True):
        chip = xbar.calibrate(xbar.analog(f, tile).program(W, X, key=jax.random.key(1)), X, key=key)
        with pytest.raises(jax.errors.KeyReuseError):
            xbar.calibrate(chip, X, key=key)


@pytest.mark.slow
def test_keys_of_all_lines_at_once_are_those_of_each_matrix():
    """One fold for all matrices, a stack among them, gives the keys of each matrix alone: chips do not change."""
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
    stack, single = jax.random.split(jax.random.key(1), 2), jax.random.key(2)
    jobs = [programming.Job(tile, jnp.ones((2, 3, 10, 5)), stack), programming.Job(tile, jnp.ones((1, 4, 9)), single)]
    each = [
        jax.vmap(lambda w, k: programming.encoded(tile, w, k))(*jobs[0][1:]),
        programming.encoded(tile, *jobs[1][1:]),
    ]
    targets = [programming._Targets(g, None, None, None, None) for g, _ in each]
    for found, (_, keys) in zip(programming._keys_of_lines(jobs, targets), each, strict=True):
        assert found.shape == keys.shape
        assert jnp.array_equal(jax.random.key_data(found), jax.random.key_data(keys))
