"""Clocks, endurance and drift while arrays learn; and going on after an interruption."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices import drift, faults, steps, updates
from xbar.training import insitu

G_MAX = 20e-6


def chip_of(device, shape=(6, 4)):
    mapping = xbar.Offset(reference="cell", scale=1.0)
    tile = xbar.Tile(device, 64, 64, xbar.DAC(bits=None), xbar.ADC(bits=None), mapping=mapping)
    return xbar.analog(lambda w, x: x @ w, tile).program(
        jnp.zeros(shape), jnp.ones((1, shape[0])), key=jax.random.key(0)
    )


def device(step=0.01, **more):
    s = step * G_MAX / 2
    return devices.Device(0.0, G_MAX, update=updates.PulseUpdate(steps.ConstantStep(s, s, 0.0, G_MAX)), **more)


def test_drift_follows_the_clock_of_every_cell():
    """Rows 0 to 2 learn at 10 s and at 110 s, the others at 110 s only, and the references never: a second later the first two
    kinds have drifted for 1 s since their last pulse, the references for 111 s. Power law, nu = 0.1: g (1 + t / 1 s)^-0.1."""
    own = device(drift=drift.PowerLawDrift(nu_mean=0.1, nu_std=0.0, g_max=G_MAX, t0=1.0))
    chip = chip_of(own)
    rule = insitu.on_arrays(insitu.SGD(insitu.Rows()), 0.1)

    @jax.jit
    def learn(state, x, t):
        _, found = insitu.backpropagate(state.reading(), (x,), jnp.sum)
        return rule.update(found, state, key=jax.random.key(0), t=t)[1]

    some = jnp.ones((1, 6)).at[:, 3:].set(0)
    state = learn(rule.init(chip), some, 10.0)
    age = np.asarray(state.chip.arrays[0].cells.age)
    np.testing.assert_allclose(age[0, 0, 0, :, 0, 0], [0, 0, 0, 10, 10, 10])
    np.testing.assert_allclose(age[1], 10)
    state = learn(state, jnp.ones((1, 6)), 100.0)
    cells = state.chip.arrays[0].cells
    now = own.conductance(cells, 1.0)
    np.testing.assert_allclose(now[0], cells.g[0] * 2.0**-0.1, rtol=1e-5)
    np.testing.assert_allclose(now[1], cells.g[1] * 112.0**-0.1, rtol=1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "algorithm",
    [
        insitu.TikiTaka(insitu.FastArray(every=3)),
        insitu.agad(fast=insitu.FastArray(every=3)),
        insitu.ResidualLearning(insitu.FastArray(every=3, fast=1.0), arrays=2),
    ],
    ids=lambda a: type(a).__name__,
)
def test_arrays_age_between_transfers(algorithm):
    """Of four updates 10 s apart only the third is a transfer: the references of all arrays are 40 s old then."""
    chip = chip_of(device(drift=drift.PowerLawDrift(nu_mean=0.1, nu_std=0.0, g_max=G_MAX, t0=1.0)), (2, 2))
    rule = insitu.on_arrays(algorithm, 0.1)
    state = rule.init(chip, key=jax.random.key(0))
    _, found = insitu.backpropagate(chip, (jnp.ones((1, 2)),), jnp.sum)
    learn = jax.jit(lambda state: rule.update(found, state, key=jax.random.key(0), t=10.0)[1])
    for _ in range(4):
        state = learn(state)
    kept = state.layers[0]
    for array in (state.chip.arrays[0], *(kept.arrays if hasattr(kept, "arrays") else (kept.array,))):
        np.testing.assert_allclose(array.cells.age[1], 40.0)


def test_cells_wear_out_while_they_learn():
    """Cells live for 50 cycles; each update sends 10 pulses to each: after 6 updates all that learn are stuck, and the
    references are not."""
    worn = faults.WornOut(cycles=0.0, scale=50.0, shape=1e6, g_stuck=1e-6, g_min=0.1e-6, g_max=G_MAX)
    chip = chip_of(device(faults=worn))
    rule = insitu.on_arrays(insitu.SGD(insitu.Rows(), step=0.01 * G_MAX / 2), 0.1)

    @jax.jit
    def learn(state):
        _, found = insitu.backpropagate(state.reading(), (jnp.ones((1, 6)),), lambda y: -jnp.sum(y))
        return rule.update(found, state, key=jax.random.key(0))[1]

    state = rule.init(chip)
    for updates_done in range(1, 7):
        state = learn(state)
        g = worn(state.chip.arrays[0].cells.g, state.chip.arrays[0].cells.faults)
        dead = np.isclose(g[0], 1e-6)
        assert dead.all() == (updates_done * 10 > 50)
        assert not np.isclose(g[1], 1e-6).any()
    np.testing.assert_allclose(state.total[0].sum.pulses, 6 * 10 * 24)


KILLED = """
import os, signal, sys, tyro
from experiments import checkpoints
from experiments.command import cli
save, n = checkpoints.save, [0]
def then_die(*a):
    save(*a); n[0] += 1
    if n[0] == 2: os.kill(os.getpid(), signal.SIGKILL)
if "die" in sys.argv: checkpoints.save = then_die
sys.exit(cli.command(["run", "train-on-array", "--device", "ecram_lithium_tang2018", "--algorithm", "tiki-taka2",
"--chips", "1",
  "--epochs", "3", "--batch", "64", "--out", sys.argv[1]]))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_same_result(tmp_path, monkeypatch):
    """kill -9 after the second of three epochs: the same command ends with the same accuracies and pulses as one that ran
    through, bit for bit."""
    import experiments

    found = []
    for name, ways in (("through", ["go"]), ("killed", ["die", "go"])):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
        for way in ways:
            done = subprocess.run(
                [sys.executable, "-c", KILLED, str(tmp_path / name), way], capture_output=True, text=True
            )
            assert done.returncode == (-9 if way == "die" else 0), done.stderr
        assert not list((tmp_path / name / "cache").rglob("array-training/*.npz")), "a checkpoint was not used"
        folder = next((tmp_path / name).glob("train-on-array/*/results.h5")).parent
        found.append(experiments.open_results(folder))
    for name in ("accuracy", "pulses", "joules"):
        np.testing.assert_array_equal(found[0][name].values, found[1][name].values)


def test_what_cannot_learn_says_so():
    chip = chip_of(dataclasses.replace(device(), update=None))
    x = jnp.ones((1, 6))
    rule = insitu.on_arrays(insitu.SGD(), 0.1)
    _, found = insitu.backpropagate(chip, (x,), jnp.sum)
    with pytest.raises(ValueError, match="no pulse law"):
        rule.update(found, rule.init(chip), key=jax.random.key(0))
    with pytest.raises(ValueError, match="'summed' or 'samples'"):
        insitu.on_arrays(insitu.SGD(), 0.1, order="random")
    with pytest.raises(ValueError, match="taken at a time"):
        rule.init(chip.at(0.0))
    with pytest.raises(ValueError, match="compensates drift"):
        rule.init(xbar.compensate(chip))
    offset = dataclasses.replace(chip.tiles[0], dac=xbar.DAC(negative="offset"))
    with pytest.raises(ValueError, match="offset inputs"):
        rule.init(dataclasses.replace(chip, tiles={0: offset}))
