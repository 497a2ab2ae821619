"""Cells that are not selected: which get what of a pulse, in chips and in training on arrays."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices import steps, updates
from xbar.macro.disturbing import unselected
from xbar.training import insitu
from xbar.training.insitu import site

G_MAX = 20e-6
S = 0.001 * G_MAX
SHARES = devices.Disturb(half_up=0.1, half_down=0.05, third_up=0.02, third_down=0.01, heat=0.25, read=1e-4)


def chip_of(disturb, k=5, n=4):
    law = steps.ConstantStep(S, S, 0.0, G_MAX)
    device = devices.Device(0.0, G_MAX, update=updates.PulseUpdate(law), disturb=disturb)
    tile = xbar.Tile(
        device, k, n, xbar.DAC(bits=None), xbar.ADC(bits=None), mapping=xbar.Offset(reference="cell", scale=1.0)
    )
    return xbar.analog(lambda w, x: x @ w, tile).program(jnp.zeros((k, n)), jnp.ones((1, k)), key=jax.random.key(0))


def moves(chip, after):
    """Change of the first cell of every weight, in steps."""
    return np.asarray((after.arrays[0].cells.g - chip.arrays[0].cells.g)[0, 0, 0, :, 0] / S)


ONE = jnp.zeros((2, 1, 5, 4), int).at[0, 0, 2, 1].set(3)  # three pulses up to the cell of row 2, column 1


@pytest.mark.parametrize(
    ("select", "line", "elsewhere", "warm"),
    [("transistor", 0, 0, 0.25), ("half", 0.1, 0, 0.25), ("third", 0.02, -0.01, 0.25)],
)
def test_one_cell_is_pulsed(select, line, elsewhere, warm):
    """Three pulses: V/2 on its row and column, or V/3 there and -V/3 elsewhere; its four neighbours are warm in any case."""
    chip = chip_of(SHARES)
    found = moves(chip, chip.pulse(0, ONE, select=select))
    expected = np.full((5, 4), elsewhere, float)
    expected[2], expected[:, 1] = line, line
    for row, col in ((1, 1), (3, 1), (2, 0), (2, 2)):
        expected[row, col] += warm
    expected[2, 1] = 1
    np.testing.assert_allclose(found, 3 * expected, atol=2e-3)


def test_pulses_to_many_cells_are_those_of_each_where_rows_take_turns():
    """Of pulses whose columns differ from row to row only, the parts are the sum of what each row does alone; within a row the
    columns share the time of the longest."""
    n = jax.random.randint(jax.random.key(0), (1, 1, 1, 5, 1, 4), 0, 4).astype(jnp.float32)
    none = jnp.zeros_like(n)
    for select in ("half", "third"):
        together = unselected(n, none, select, SHARES)
        alone = [unselected(n * (jnp.arange(5) == r)[:, None, None], none, select, SHARES) for r in range(5)]
        np.testing.assert_allclose(together.up, sum(w.up for w in alone), rtol=1e-5)
        np.testing.assert_allclose(together.down, sum(w.down for w in alone), rtol=1e-5, atol=1e-7)
    cool = dataclasses.replace(SHARES, heat=jnp.zeros(()))
    row = jnp.zeros_like(n).at[0, 0, 0, 2, 0].set(jnp.asarray([3.0, 1.0, 0.0, 0.0]))
    found = unselected(row, none, "half", cool).up[0, 0, 0, :, 0] / 0.1
    np.testing.assert_allclose(found[2], [0, 2, 3, 3], atol=1e-5)
    np.testing.assert_allclose(found[0], [3, 1, 0, 0], atol=1e-5)


def test_reads_add_up():
    chip = chip_of(SHARES)
    np.testing.assert_allclose(moves(chip, chip.wait(0.0, reads=5e4)), 5.0, rtol=1e-4)
    back = chip_of(dataclasses.replace(SHARES, read=jnp.asarray(-1e-4)))
    np.testing.assert_allclose(moves(back, back.wait(1.0, reads=jnp.asarray(5e4))), -5.0, rtol=1e-4)


@pytest.mark.parametrize("select", ["transistor", "half"])
def test_training_disturbs_what_it_does_not_select(select):
    """Rows that get no input are moved by the pulses of the others' columns and by the reads, and by nothing else."""
    chip = chip_of(dataclasses.replace(SHARES, heat=jnp.zeros(())))
    x = jnp.zeros((2, 5)).at[:, 1].set(1.0)
    rule = insitu.on_arrays(insitu.SGD(insitu.Rows()), 1e-2, drive=insitu.Drive(select=select))

    @jax.jit
    def learn(chip):
        _, found = insitu.backpropagate(chip, (x,), lambda y: -jnp.sum(y) / 2)
        return rule.update(found, rule.init(chip), key=jax.random.key(0))[1]

    state = learn(chip)
    found = moves(chip, state.chip)
    pulses = float(state.last[0].pulses_up) / 4
    assert pulses == 5  # 0.01 of a weight, in steps of 0.002
    reads = 2e-4  # two forward, none backward
    quiet = np.delete(found, 1, 0)
    np.testing.assert_allclose(quiet, reads + (0.1 * pulses if select == "half" else 0), atol=2e-3)
    np.testing.assert_allclose(found[1], pulses + reads, atol=2e-3)


@pytest.mark.parametrize(
    ("select", "fraction", "cells"), [("transistor", 1, 0), ("half", 1 / 4, 7), ("third", 1 / 9, 19)]
)
def test_cells_that_are_not_selected_dissipate(select, fraction, cells):
    """One pulse to one cell of 5 x 4: `(V/2)^2 g t` in the 7 others of its row and column, or `(V/3)^2 g t` in all 19; the
    heat of the cell itself is that of its law, where that knows it."""
    chip = chip_of(None)
    device = chip.tiles[0].device
    heat = updates.PulseHeat(jnp.full(2, 3e-15), jnp.full(2, 5e-15), 0.0, G_MAX)
    knows = dataclasses.replace(device, update=dataclasses.replace(device.update, heat=heat))
    up = jnp.zeros((1, *chip.arrays[0].cells.g.shape[1:])).at[0, 0, 0, 2, 0, 1].set(1.0)
    up = jnp.concatenate([up, jnp.zeros_like(up)])
    for one, own in ((device, 0.5 * G_MAX * 1e-7), (knows, 3e-15)):
        tile = dataclasses.replace(chip.tiles[0], device=one)
        found = site.Site(tile, tile.partition(*chip.plan_layers[0].product.sizes), insitu.Drive(select=select)).price(
            chip.arrays[0], site.Pulses(up, jnp.zeros_like(up)), jnp.zeros(())
        )
        np.testing.assert_allclose(found.joules, own, rtol=1e-5)
        np.testing.assert_allclose(found.disturbing, cells * fraction * 0.5 * G_MAX * 1e-7, rtol=1e-5)


def test_what_cannot_be_is_said():
    chip = chip_of(None)
    with pytest.raises(ValueError, match="does not say what disturbs it"):
        chip.pulse(0, 1, select="half")
    with pytest.raises(ValueError, match="does not say what disturbs it"):
        chip.wait(1.0, reads=10.0)
    with pytest.raises(Exception, match="select"):
        chip.pulse(0, 1, select="quarter")
    with pytest.raises(ValueError, match="0 or more"):
        chip_of(SHARES).wait(1.0, reads=-1.0)
