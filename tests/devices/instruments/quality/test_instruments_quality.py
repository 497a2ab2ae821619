"""Checks of data: each finds what was put into made-up data, with its rows, and stays silent on clean data."""

import re

import numpy as np
import pytest

from devices.instruments import Trace, inspect

RNG = np.random.default_rng(1)


def flags(trace, name):
    return [flag for flag in inspect(trace).flags if flag.name == name]


def loop(cycles=1, **changes):
    """A clean bipolar loop: 20 uS up, 100 uS back, at +-1 V; 121 rows a cycle, currents with noise of 1e-4."""
    v = np.concatenate(
        [np.linspace(0, 1, 31), np.linspace(1, 0, 31)[1:], np.linspace(0, -1, 31)[1:], np.linspace(-1, 0, 31)[1:]]
    )
    g = np.concatenate([np.full(31, 2e-5), np.full(60, 1e-4), np.full(30, 2e-5)])
    noisy = 1 + 1e-4 * np.random.default_rng(2).normal(size=cycles * len(v))
    columns = {
        "v": np.tile(v, cycles),
        "i": np.tile(v * g, cycles) * noisy,
        "cycle": np.repeat(np.arange(cycles), len(v)),
    }
    return Trace("loop", columns | changes)


def noise(g, **protocol):
    return Trace("noise", {"g": g, "t": np.arange(len(g)) / 100}, protocol=protocol)


def test_clean_data_have_no_complaint():
    harmless = {"series and shunt", "current floor"}
    assert {flag.name for flag in inspect(loop(3)).flags} <= harmless
    assert not inspect(noise(1e-5 + 1e-7 * RNG.normal(size=1000))).flags


@pytest.mark.parametrize("known", [True, False])
def test_compliance_from_settings_or_plateau(known):
    trace = loop()
    i = np.minimum(trace["i"], 5e-5)
    trace = Trace("loop", {"v": trace["v"], "i": i}, protocol={"compliance": 5e-5} if known else {})
    (flag,) = flags(trace, "compliance")
    np.testing.assert_array_equal(flag.rows, np.flatnonzero(i == 5e-5))
    assert flag.excluded
    assert ("the settings" if known else "the plateau") in flag.reason


def test_compliance_that_was_never_reached_masks_nothing():
    trace = loop()
    assert not flags(Trace("loop", dict(trace.columns), protocol={"compliance": 0.1}), "compliance")


def test_current_floor_and_voltage_offset():
    clean = loop()
    (flag,) = flags(loop(i=clean["i"] + 3e-7), "current floor")
    assert "3e-07 A" in flag.reason
    (flag,) = flags(loop(v=clean["v"] + 0.07), "voltage offset")
    assert "V = 0.07 V" in flag.reason


def test_series_resistance_is_bounded():
    (flag,) = flags(loop(), "series and shunt")
    low, high = map(float, re.findall(r"[\d.]+e\+04", flag.reason)[:2])
    assert abs(low / 1e4 - 1) < 1e-2  # three digits are shown
    assert abs(high / 5e4 - 1) < 1e-2


def test_polarity():
    clean = loop(5)
    turned = np.where(clean["cycle"] == 3, -clean["v"], clean["v"])
    (flag,) = flags(loop(5, v=turned), "wrong sign")
    np.testing.assert_array_equal(flag.rows, np.flatnonzero(clean["cycle"] == 3))
    both = {name: clean[name].copy() for name in ("v", "i")}
    rows = np.flatnonzero(clean["cycle"] == 3)
    for name in both:
        both[name][rows] *= -1  # device turned round: it now turns on at negative voltage
    found = flags(loop(5, **both), "polarity changes")
    assert {tuple(flag.rows) for flag in found} == {tuple(rows)}


def test_quantisation_step():
    g = np.round((1e-5 + 2e-7 * RNG.normal(size=3000)) / 1.77e-8) * 1.77e-8
    (flag,) = flags(noise(g), "quantisation")
    assert "steps of 1.77e-08 S" in flag.reason


def test_quantisation_step_of_sweeps():
    clean = loop(4)["i"]
    (flag,) = flags(loop(4, i=np.round(clean / 7e-8) * 7e-8), "quantisation")
    assert "steps of 7e-08 A" in flag.reason


def test_stuck_and_railed():
    g = 1e-5 + 1e-7 * RNG.normal(size=300)
    g[100:200] = 5e-6
    trace = Trace("noise", {"g": g, "device": np.repeat([0, 1, 2], 100)}, labels=("a", "b", "c"))
    (flag,) = flags(trace, "stuck")
    np.testing.assert_array_equal(flag.rows, np.arange(100, 200))
    assert "(b)" in flag.reason
    railed = np.minimum(1e-5 + 1e-6 * RNG.normal(size=1000), 1.1e-5)
    (flag,) = flags(noise(railed), "railed")
    np.testing.assert_array_equal(flag.rows, np.flatnonzero(railed == 1.1e-5))


def test_clock():
    t = np.arange(121) * 0.1
    t[50] = t[48]
    (flag,) = flags(loop(t=t), "clock")
    assert 50 in flag.rows
    t = np.cumsum(np.where(np.arange(121) % 20 == 19, 0.9, 0.1))
    (flag,) = flags(loop(t=t), "uneven clock")
    np.testing.assert_array_equal(flag.rows, [19, 39, 59, 79, 99, 119])
    late = Trace("retention", {"t": np.array([1.0, -1.0, 2.0]), "g": np.full(3, 1e-6), "g0": np.full(3, 1e-6)})
    np.testing.assert_array_equal(inspect(late).good, [True, False, True])


@pytest.mark.parametrize("mixed", [True, False])
def test_pairs_that_do_not_belong_together(mixed):
    before = 1e-5 * np.exp(RNG.normal(size=500))
    after = RNG.permutation(before) if mixed else before * 1.0
    trace = Trace("pulse-map", {"v": np.ones(500), "width": np.ones(500), "g_before": before, "g_after": after})
    (flag,) = flags(trace, "suspicious pairs")
    assert ("unrelated" if mixed else "a copy") in flag.reason
    close = trace.columns | {"g_after": before * np.exp(0.1 * RNG.normal(size=500))}
    assert not flags(Trace("pulse-map", close), "suspicious pairs")


def test_windows_and_ranges():
    columns = {"target": np.full(8, 1e-5), "t": np.arange(1.0, 9.0), "g": np.array([1e-5] * 6 + [-1e-9, 0.5]),
               "accepted": np.array([1, 1, 0, 0, 1, 1, 1, 1]), "write": np.repeat(np.arange(4), 2)}  # fmt: skip
    trace = Trace("programming", columns)
    (flag,) = flags(trace, "window not reached")
    np.testing.assert_array_equal(flag.rows, [2, 3])
    assert "1 of 4 writes (25.00%)" in flag.reason
    assert not flag.excluded
    np.testing.assert_array_equal(flags(trace, "not positive")[0].rows, [6])
    np.testing.assert_array_equal(flags(trace, "very large")[0].rows, [7])
