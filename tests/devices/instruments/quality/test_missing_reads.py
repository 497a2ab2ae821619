"""Cells that were not read at every time are counted, time by time."""

import numpy as np
import pytest

from devices.instruments import Trace, inspect

rng = np.random.default_rng(1)
TIMES = (1.0, 10.0, 100.0)


def retention(keep, jitter=0.0, kelvin=None, **more):
    cell, time = np.meshgrid(np.arange(60.0), TIMES, indexing="ij")
    g = 1e-5 * (1 + 0.1 * rng.random(cell.shape))
    columns = {
        "t": time * (1 + jitter * rng.random(cell.shape)),
        "g": g,
        "g0": np.full(cell.shape, 1e-5),
        "device": cell,
    }
    if kelvin is not None:
        columns["temperature"] = np.broadcast_to(kelvin(cell), cell.shape)
    rows = keep(cell, time)
    return Trace("retention", {n: x[rows] for n, x in columns.items()}, ("a.csv",), **more)


def reason(trace):
    return next((f.reason for f in inspect(trace).flags if f.name == "missing reads"), "")


@pytest.mark.parametrize("jitter", [0.0, 0.02])
@pytest.mark.parametrize("protocol", [{}, {"nominal_times": TIMES}])
def test_how_many_at_which_time(jitter, protocol):
    found = reason(retention(lambda cell, t: (t < 50) | (cell < 35), jitter, protocol=protocol))
    assert found.startswith("Of 60 cells not all were read at every time: 35 at 10") and "s (1 of 3 times)" in found


def test_all_there_or_each_once_or_each_at_its_own_times_is_nothing():
    assert reason(retention(lambda cell, t: t > 0)) == ""
    assert reason(retention(lambda cell, t: t == np.array(TIMES)[(cell % 3).astype(int)])) == ""
    own = retention(lambda cell, t: t > 0, jitter=5.0)
    assert reason(own) == ""


def test_reads_without_a_value_are_missing_and_bakes_are_counted_by_temperature():
    trace = retention(lambda cell, t: t > 0, kelvin=lambda cell: np.where(cell < 30, 358.0, 398.0))
    g = trace["g"].copy()
    g[(trace["device"] < 4) & (trace["t"] == 10)] = np.nan
    found = reason(Trace("retention", {**trace.columns, "g": g}, ("a.csv",)))
    assert found.startswith("Of 30 cells at 358 K not all were read at every time: 26 at 10 s (1 of 3 times).")


def test_writes_of_a_log_and_reads_at_one_rate():
    trace = retention(lambda cell, t: (t < 50) | (cell < 35))
    columns = {n: trace[n] for n in ("t", "g", "g0", "device")} | {
        "target": np.full(len(trace), 1e-5),
        "write": trace["device"],
    }
    assert "Of 60 writes" in reason(Trace("programming", columns, ("a.csv",)))
    device = np.repeat([0.0, 1.0, 2.0], [500, 500, 300])
    found = reason(Trace("noise", {"g": 1e-5 + 1e-8 * rng.random(1300), "device": device}, ("a.csv",)))
    assert found == "1 of 3 cells have fewer reads than the 500 of most cells: as few as 300."


def test_starts_at_time_0_are_not_missing_reads():
    t, device = np.tile([0.0, 10.0, 100.0, 1000.0], 5), np.repeat(np.arange(5.0), 4)
    trace = Trace("retention", {"t": t, "g": np.full(20, 1e-5), "g0": np.full(20, 1e-5), "device": device})
    assert "missing reads" not in [flag.name for flag in inspect(trace).flags]
