"""MLPerf Tiny on crossbars: the measured table as it was read, and one small network through what is done to the four."""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar
from experiments import chosen_devices, chosen_macros, measured_tiny, mlperf_tiny
from experiments.framework.errors import UsageError
from experiments.networks.network import Network

DATA = pathlib.Path(os.environ.get("XBAR_DATA", "none"))
needs_table = pytest.mark.skipif(
    not (DATA / "datasets" / "mlperf-tiny" / "results.csv").is_file(),
    reason="the measured systems of MLPerf Tiny are not here: set XBAR_DATA",
)


@needs_table
def test_boards_as_their_results_have_them():
    """Energies and times of the result files, the least of each chip, in SI units."""
    found = {m.chip: m for m in measured_tiny.systems("ds-cnn")}
    assert found["GAP9"].joules == pytest.approx(18.561e-6) and found["GAP9"].seconds == pytest.approx(0.73218e-3)
    assert found["NDP120"].joules == pytest.approx(31.537e-6) and found["STM32U385"].joules == pytest.approx(
        245.3412e-6
    )
    assert found["STM32L4R5"].joules == pytest.approx(1430.6681e-6)
    joules = [m.joules for m in measured_tiny.systems("resnet8")]
    assert joules == sorted(joules) and found["GAP9"].quality == pytest.approx(0.9)
    assert {m.chip: m.quality for m in measured_tiny.systems("autoencoder")}["GAP9"] == pytest.approx(0.86)


def test_a_table_that_is_damaged_is_refused(monkeypatch, tmp_path):
    (tmp_path / "results.csv").write_text("benchmark,energy_uJ,chip\nkws,many,GAP9\n")
    monkeypatch.setattr(measured_tiny, "path", lambda: tmp_path / "results.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        measured_tiny.systems("ds-cnn")


def test_without_data_it_says_which(monkeypatch, tmp_path):
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="mlperf-tiny"):
        mlperf_tiny.check(mlperf_tiny.Config())


class Faded:
    """Programs weights that have lost a third of their size."""

    def __init__(self, analog):
        self.analog = analog

    def program(self, params, *inputs, key):
        return self.analog.program(jax.tree.map(lambda w: w / 1.5, params), *inputs, key=key)


def test_one_chip_in_both_set_ups():
    """A layer whose cells have lost a third: statistics on unlabelled inputs bring it back, ranges alone do not; the ledger's
    rows sum to its total."""
    keys = jax.random.split(jax.random.key(0), 3)
    w, x = jax.random.normal(keys[0], (12, 4)), jax.random.normal(keys[1], (140, 12))
    network = Network("small", lambda w, x: x @ w, w, None, True)
    wanted = np.asarray(x[:60] @ w)
    task = mlperf_tiny.Task(network, x[:60], jnp.argmax(x[:60] @ w, -1), x[60:])
    config = mlperf_tiny.Config(rows=16, cols=16, times=("1d",), chips=1)
    tile = chosen_macros.tile(config, chosen_devices.find("pcm"))
    found = mlperf_tiny._chip(config, task, Faded(xbar.analog(network.f, tile)), wanted, keys[2])
    assert found["accuracy"].shape == (2, 1) and (found["accuracy"] > 0.6).all()
    assert found["output_error"][0, 0] > 0.28 > 0.2 > found["output_error"][1, 0]
    ledger = found["ledger"]
    assert float(ledger.by_component.sum()) == pytest.approx(float(ledger.total), rel=1e-5)
    assert float(ledger.by_layer.sum()) == pytest.approx(float(ledger.total), rel=1e-5)


def test_batches_give_every_output_once():
    """60 inputs in batches of 50: the second is filled up, and what fills it is left out."""
    outputs = mlperf_tiny._outputs(lambda b, key: b * 2.0, jnp.arange(60.0)[:, None], jax.random.key(0))
    np.testing.assert_array_equal(outputs[:, 0], 2.0 * np.arange(60))
