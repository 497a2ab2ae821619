"""Nothing in the package leans on implicit broadcasting of ranks or promotion of types, which hide mistakes of layout."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import devices
import xbar

PCM = xbar.Tile(devices.pcm_joshi2020(), 16, 4)
TILES = {
    "pairs": PCM,
    "offset": dataclasses.replace(PCM, mapping=xbar.Offset()),
    "digital offset": dataclasses.replace(PCM, mapping=xbar.Offset("digital")),
    "slices": dataclasses.replace(PCM, mapping=xbar.BitSliced(encoding="flipped")),
    "copies": dataclasses.replace(PCM, mapping=xbar.Redundant(2)),
    "bit planes": dataclasses.replace(PCM, dac=xbar.DAC(8, encoding="bit_serial", negative="offset")),
    "wires": dataclasses.replace(PCM, wires=xbar.ResistiveWires(1.0, 1.0)),
}


SLOW = {"wires"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in TILES])
def test_strict_ranks_and_types(name):
    """Programming, calibration, reads, energy and a gradient, with JAX's two strict settings; the sweeps of resistive wires
    broadcast over cells on purpose, and are strict in their types only."""
    tile = TILES[name]
    keys = jax.random.split(jax.random.key(0), 7)
    w, x = jax.random.normal(keys[0], (20, 7)), jax.random.normal(keys[1], (4, 20))
    network = xbar.analog(lambda w, x: jax.nn.relu(x @ w), tile)
    with jax.numpy_rank_promotion("allow" if name == "wires" else "raise"), jax.numpy_dtype_promotion("strict"):
        chip = xbar.calibrate(network.program(w, x, key=keys[2]), x, key=keys[3])
        now = chip.at(60.0)
        for y in (chip(x, t=60.0, key=keys[4]), now(x, key=keys[5])):
            assert bool(jnp.all(jnp.isfinite(y)))
        assert float(chip.energy(x).total) > 0
        slope = jax.grad(lambda w: network(w, x, key=keys[6], t=60.0).sum())(w)
        assert bool(jnp.all(jnp.isfinite(slope)))
