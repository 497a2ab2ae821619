"""Nothing in the package leans on implicit broadcasting of ranks or promotion of types, which hide mistakes of layout."""

import contextlib
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


SLOW = {"offset", "digital offset", "slices", "copies", "wires"}


@contextlib.contextmanager
def strict(ranks="raise"):
    """JAX's two strict settings."""
    with jax.numpy_rank_promotion(ranks), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in TILES])
def test_strict_ranks_and_types(name):
    """Programming, calibration, reads, energy and a gradient, with JAX's two strict settings; the sweeps of resistive wires
    broadcast over cells on purpose, and are strict in their types only."""
    tile = TILES[name]
    keys = jax.random.split(jax.random.key(0), 7)
    w, x = jax.random.normal(keys[0], (20, 7)), jax.random.normal(keys[1], (4, 20))
    network = xbar.analog(lambda w, x: jax.nn.relu(x @ w), tile)
    with strict("allow" if name == "wires" else "raise"):
        chip = xbar.calibrate(network.program(w, x, key=keys[2]), x, key=keys[3])
        now = chip.at(60.0)
        for y in (chip(x, t=60.0, key=keys[4]), now(x, key=keys[5])):
            assert bool(jnp.all(jnp.isfinite(y)))
        assert float(chip.energy(x).total) > 0
        slope = jax.grad(lambda w: network(w, x, key=keys[6], t=60.0).sum())(w)
        assert bool(jnp.all(jnp.isfinite(slope)))


W, X = jax.random.normal(jax.random.key(1), (20, 7)), jax.random.normal(jax.random.key(2), (4, 20))
KEYS = jax.random.split(jax.random.key(3), 6)


def matvec(w, x):
    return x @ w


TELEGRAPH = devices.noise.TelegraphNoise(amplitude=0.02, g_max=88e-6)
CELLS = {  # every kind of law that ships, and a trace of each kind of noise
    "pcm": devices.pcm_joshi2020,
    "reram": devices.reram_wan2022,
    "write noise": devices.reram_gong2018,
    "curved": devices.tio2_crossbar,
    "telegraph": lambda: devices.Device(9e-6, 88e-6, read_noise=TELEGRAPH),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", CELLS)
def test_cells_are_strict(name):
    """Writing, reading, a trace, pulses where there are any, and writing some cells again."""
    device = CELLS[name]()
    t = (device.provenance.times or (60.0,))[0]
    target = jnp.linspace(float(device.g_min), float(device.g_max), 5)
    with strict():
        cells = device.program(target, key=KEYS[0])
        assert device.read_variance(cells, t, 1e6).shape == device.conductance(cells, t).shape == (5,)
        assert device.trace(cells, 4e-3, 1e3, t=t, key=KEYS[1]).shape == (4, 5)
        if device.update is not None:
            cells = device.pulse(cells, jnp.array([1, 0, -1, 2, 0]), t=t, key=KEYS[2])
        cells = device.reprogram(cells, target[0], jnp.arange(5) < 2, t=t, key=KEYS[3])
        assert bool(jnp.all(jnp.isfinite(device.wait(cells, 3.0).g)))


@pytest.mark.slow
def test_written_again_and_kept_chips_are_strict(tmp_path):
    """Pulses, some rows and all rows written again, waiting, files and tables of targets."""
    network = xbar.analog(matvec, xbar.Tile(devices.ecram_lithium_tang2018(), 32, 8))
    trains = xbar.training.PulseTrains(step=1e-3)
    with strict():
        chip = network.program(W, X, key=KEYS[0])
        chip = chip.pulse(0, trains(X[0], W[0], 0.05, key=KEYS[1]).astype(int), t=1.0, most=trains.slots, key=KEYS[2])
        chip = chip.reprogram(0, W, rows=[1, 2], t=1.0, key=KEYS[3]).wait(5.0)
        xbar.save(chip, tmp_path / "chip.h5")
        assert xbar.load(tmp_path / "chip.h5", matvec)(X, t=60.0, key=KEYS[4]).shape == (4, 7)
        xbar.export_targets(tmp_path / "targets.csv", network, W, X, chip=chip)
        assert xbar.gpu_baseline(matvec, W, X[:1]).one.energy > 0


def test_training_is_strict():
    """Frozen noise, straight-through gradients, and a moment-matched device."""
    drawn = xbar.training.moment_matched(dataclasses.replace(PCM, read_noise="frozen"), 60.0, key=KEYS[0])
    with strict():
        network = xbar.analog(matvec, drawn, gradient="straight_through")
        slope = jax.grad(lambda w: network(w, X, key=KEYS[1]).sum())(W)
        assert bool(jnp.all(jnp.isfinite(slope)))
