"""What writing the arrays takes: the pulses that were really sent, shared among inferences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.steps import SoftBounds
from devices.updates import CycleNoise, PulseUpdate
from devices.write_verify import WriteVerify
from xbar.energy import AssumedWrites
from xbar.macro.programming import encoded

KEY = jax.random.key(0)
UPDATE = PulseUpdate(SoftBounds(4e-6, 4e-6, 1e-6, 0.5e-6, 45e-6), pulses=CycleNoise(relative=0.1))
LAW = WriteVerify(UPDATE, window=2e-6, most=30, verify_noise=1e-7, v_up=1.0, v_down=-1.2, width=1e-7)
X = jax.random.normal(jax.random.key(1), (4, 20))
W = jax.random.normal(KEY, (20, 6))


def network(device):
    return xbar.analog(lambda w, x: x @ w, xbar.Tile(device=device, rows=16, cols=8))


def test_pulses_are_those_that_programming_sends():
    """The loop runs again with the keys of `program`: a line of it ends where the chip's cells are, and sums by hand."""
    device = devices.Device(1e-6, 40e-6, programming=LAW, update=UPDATE)
    net = network(device)
    chip, writes = net.program(W, X, key=KEY), net.programming(W, X, key=KEY)["params"]
    targets, keys = encoded(net.tile, W[None], jax.random.fold_in(KEY, 0))
    place = (1, 0, 1, 0, 2)  # cell, block, row tile, column tile, row
    line, key = targets[place], keys.reshape(targets.shape[:-1])[place]
    again = LAW.write(line, key=jax.random.split(key, 4)[0])
    np.testing.assert_allclose(again.g, chip.arrays[0].cells.g[1, 0, 1, 2, 0], rtol=1e-6)
    everything = jax.vmap(lambda line, key: LAW.write(line, key=jax.random.split(key, 4)[0]))(
        targets.reshape(-1, targets.shape[-1]), keys.reshape(-1)
    )
    assert float(writes.cells) == targets.size and not writes.assumed
    for name, sums in (("pulses_up", everything.pulses_up), ("reads", everything.reads), ("joules", everything.energy)):
        assert float(getattr(writes, name)) == pytest.approx(float(sums.sum()), rel=1e-5)
    assert float(writes.reads) >= float(writes.pulses_up + writes.pulses_down) > 0.5 * targets.size


def test_shared_among_inferences():
    """A row of its own, not in the total; each verifying read costs a conversion at both ends besides the cell's heat."""
    device = devices.Device(1e-6, 40e-6, programming=LAW, update=UPDATE)
    net = network(device)
    chip, writes = net.program(W, X, key=KEY), net.programming(W, X, key=KEY)
    plain = chip.energy(X)
    ledger = plain.with_programming(writes, inferences=1e6)
    tech = plain.recipe.technology
    read = float(tech.adc_conversion(8, 1e-7) + tech.input_conversion(8))
    want = float(writes["params"].joules) + float(writes["params"].reads) * read
    assert float(ledger.amortised_programming) == pytest.approx(want / 1e6, rel=1e-5)
    assert float(ledger.total) == float(plain.total) and float(plain.amortised_programming) == 0
    assert "programming" in str(ledger) and any("counted" in note for note in ledger.notes)
    with pytest.raises(ValueError, match="inferences"):
        plain.with_programming(writes, inferences=0)


def test_devices_that_do_not_say():
    """A statistical write error needs an assumption, and the ledger names it."""
    net = network(devices.pcm_joshi2020())
    with pytest.raises(ValueError, match=r"how far cells land .* assumed="):
        net.programming(W, X, key=KEY)
    assumed = AssumedWrites(pulses=20, reads=20, v_write=1.75, width=8.52e-6)
    writes = net.programming(W, X, key=KEY, assumed=assumed)
    cells = float(writes["params"].cells)
    assert float(writes["params"].pulses_up) == 20 * cells and writes["params"].assumed
    ledger = net.program(W, X, key=KEY).energy(X).with_programming(writes, inferences=1000)
    assert any("are assumed" in note for note in ledger.notes)


def test_pulses_of_an_update():
    """|n| V^2 g width of every cell, at its conductance before."""
    device = devices.Device(1e-6, 40e-6, update=UPDATE)
    chip = network(device).program(W, X, key=KEY)
    n = jnp.zeros((2, 20, 6)).at[0].set(3).at[1].set(-2)
    writes = chip.pulse_writes("params", n, v_up=1.0, v_down=-1.2, width=1e-7)
    g = np.asarray(chip.arrays[0].cells.g)[:, 0]  # [cell, row tile, row, column tile, column]
    plus, minus = (float(np.asarray(x).reshape(2 * g.shape[2], -1)[:20, :6].sum()) for x in g)
    assert float(writes.pulses_up) == 3 * 120 and float(writes.pulses_down) == 2 * 120
    assert float(writes.joules) == pytest.approx((3 * plus + 2 * 1.44 * minus) * 1e-7, rel=1e-5)
