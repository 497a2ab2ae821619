"""Periods of a voltage: cycles, where the file does not number them; a clock, where only their frequency is known."""

from __future__ import annotations

import dataclasses

import numpy as np

from devices.instruments.trace import FileError, Flag, Trace

WAVERING = 0.1  # share of the range about its middle within which a voltage may waver and has not crossed it


def numbered(trace: Trace) -> Trace:
    """The trace with a column of cycles, if its voltage makes at least two whole periods and no column says which.

    Crossings of 0 V upwards (of the middle of the range, where it keeps one sign) count periods; the first begins with the
    first row of a device.
    """
    if trace.kind != "loop" or "cycle" in trace:
        return trace
    cycle, most = np.zeros(len(trace)), 1
    for device in np.unique(trace["device"]):
        rows = np.flatnonzero(trace["device"] == device)
        begins = _begins(trace["v"][rows])
        cycle[rows] = np.searchsorted(begins, np.arange(len(rows)), side="right")
        most = max(most, len(begins) + 1)
    if most == 1:
        return trace
    reason = f"The voltage makes {most} periods, which were taken as cycles; a column Cycle overrides this."
    columns = {**trace.columns, "cycle": cycle}
    return dataclasses.replace(trace, columns=columns).flagged(Flag("assumed cycles", reason))


def _begins(v: np.ndarray) -> np.ndarray:
    """Rows with which the second and later periods begin."""
    known = np.flatnonzero(np.isfinite(v))
    x = v[known]
    up = _upward(x)
    if len(up) < 2:
        return np.empty(0, int)
    period = np.median(np.diff(up))
    begins = up[1:] - up[0] % period  # as far from a crossing as the first row is from the first
    begins = begins[(begins > 0.5 * period) & (len(x) - begins > 0.5 * period)]
    return known[begins.astype(int)]


def _upward(x: np.ndarray) -> np.ndarray:
    """Rows at which a voltage without gaps is above its middle, having been below."""
    if len(x) < 4 or not np.ptp(x) > 0:
        return np.empty(0, int)
    middle = 0.0 if x.min() < 0 < x.max() else (x.min() + x.max()) / 2
    side = np.where(x > middle + WAVERING * np.ptp(x), 1, np.where(x < middle - WAVERING * np.ptp(x), -1, 0))
    at = np.flatnonzero(side)
    before = 1 if at[0] == 0 else -1  # a voltage that starts in the middle has not been anywhere
    return at[np.diff(side[at], prepend=before) == 2]


def timed(trace: Trace) -> Trace:
    """The trace with times [s], if it is a loop without a clock whose protocol gives a rate of reads or a frequency
    [Hz].

    $$ t = n / (N f) $$ for row n of a device; N are the rows of a period: of its cycles, of the periods of its
    voltage, or all of them. Rows are taken to be evenly spaced.
    """
    rate, frequency = (trace.protocol.get(name) for name in ("rate", "frequency"))
    if trace.kind != "loop" or not (rate or frequency) or ("t" in trace and _runs(trace["t"])):
        return trace
    for name, value in (("rate", rate), ("frequency", frequency)):
        if value is not None and not float(value) > 0:
            raise FileError(f"{trace.name}: protocol.{name} = {value:g} must be above 0 Hz.")
    t, rows_of_period, open_ends = np.zeros(len(trace)), [], 0
    for device in np.unique(trace["device"]):
        rows, passed = np.flatnonzero(trace["device"] == device), 0.0
        cycle = trace["cycle"][rows] if "cycle" in trace else np.zeros(len(rows))
        _, first = np.unique(cycle, return_index=True)
        for one in cycle[np.sort(first)]:
            those = rows[cycle == one]
            length, closed = _period(trace["v"][those])
            step = 1 / float(rate) if rate else 1 / (length * float(frequency))  # type: ignore[arg-type]
            t[those] = passed + step * np.arange(len(those))
            passed += step * len(those)
            rows_of_period.append(length)
            open_ends += not closed
    low, high = min(rows_of_period), max(rows_of_period)
    if rate:
        reason = f"No clock: rows are {1 / float(rate):.4g} s apart, by the sidecar's rate of {float(rate):g} Hz."
    else:
        rows = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        reason = f"No clock: {rows} rows, evenly spaced, are a period of {frequency:g} Hz."
        if open_ends:
            reason += f" In {open_ends} of {len(rows_of_period)} the voltage does not come back to where it began."
    columns = {**trace.columns, "t": t}
    return dataclasses.replace(trace, columns=columns).flagged(Flag("times from the frequency", reason))


def _runs(t: np.ndarray) -> bool:
    """Whether a clock advances: one that stands still is not a clock."""
    steps = np.diff(t[np.isfinite(t)])
    return bool(len(steps) and (steps > 0).mean() > 0.5)


def _period(v: np.ndarray) -> tuple[float, bool]:
    """How many rows a period has, and whether the voltage comes back to where it began."""
    known = v[np.isfinite(v)]
    up = _upward(known)
    if len(up) >= 2:
        return float(np.median(np.diff(up))), True
    steps = np.abs(np.diff(known))
    back = len(known) < 3 or abs(known[-1] - known[0]) <= max(3 * steps.max(), WAVERING * np.ptp(known))
    return float(len(v)), bool(back)
