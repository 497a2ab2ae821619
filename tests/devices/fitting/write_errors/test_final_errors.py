"""Tables of targets and final conductances without times: a law of write errors, and no model of relaxation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices import fitting
from devices.instruments import FileError, Trace
from devices.programming import QuantileProgramming

TARGETS = np.array([1e-5, 2e-5, 4e-5, 8e-5])


def table(bias=4e-7, floor=5e-7, relative=0.03, writes=150, tail=None):
    """Writes to four targets; a miss by 4 errors comes once in 10,000 times."""
    rng = np.random.default_rng(3)
    target = np.repeat(TARGETS, writes)
    z = rng.standard_normal(target.size) if tail is None else rng.standard_t(tail, target.size)
    g = target + bias + np.sqrt(floor**2 + (relative * target) ** 2) * z
    return Trace("programming", {"target": target, "g": g}, ("a.csv",))


def test_parameters_come_back_and_make_a_device():
    found = fitting.fit(table(), starts=4)
    assert found.model == "write errors" and not found.rejected
    for name, truth in {"bias": 4e-7, "sd_floor": 5e-7, "sd_relative": 0.03}.items():
        assert abs(found.estimate[name] - truth) < 4 * found.stderr[name]
    device = fitting.assemble([found])
    assert isinstance(device.programming, QuantileProgramming)
    cells = device.program(jnp.full(20_000, 4e-5), key=jax.random.key(0))
    expected = np.sqrt(found.estimate["sd_floor"] ** 2 + (found.estimate["sd_relative"] * 4e-5) ** 2)
    assert (
        abs(np.std(np.asarray(cells.g)) / expected - 1) < 0.03
    )  # 0.5 % by 20,000 draws, 1 % by the tails that are cut


def test_heavy_tails_are_rejected():
    assert fitting.fit(table(tail=2), starts=4).rejected


def test_times_and_few_writes_are_refused():
    with pytest.raises(FileError, match="20 or more"):
        fitting.fit(table(writes=4), "write errors")
    with pytest.raises(FileError, match="relaxation needs column t"):
        fitting.fit(table(), "write-verify, normal")
    trace = table()
    timed = Trace("programming", {**trace.columns, "t": np.ones(len(trace))}, ("a.csv",))
    with pytest.raises(FileError, match="reads have times"):
        fitting.fit(timed, "write errors")
