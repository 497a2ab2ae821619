"""Checks of readings: steps of the converter, stuck and railed channels, clocks, pairs, windows, ranges."""

from __future__ import annotations

import numpy as np

from devices.instruments.trace import UNITS, FileError, Flag, Trace

PAIRS = (("g_before", "g_after"), ("g0", "g"))
LONGEST = 3e8  # s: ten years; some read of a written cell is earlier than that
HOTTEST = 3000.0  # K: beyond it nothing is measured
READING = {"loop": "i", "read-iv": "i", "pulses": "g", "noise": "g", "retention": "g", "programming": "g"}


def quantisation(trace: Trace) -> list[Flag]:
    """The step of the converter, if differences of successive readings of a cell are multiples of one number.

    In sweeps these are second differences, as those of an ohmic device would all be equal without any converter.
    """
    name = READING.get(trace.kind)
    if name is None or len(trace) < 20:
        return []
    x, device = trace[name], trace["device"]
    order = 2 if trace.kind in ("loop", "read-iv") else 1
    d = np.abs(np.diff(x, order))[device[order:] == device[:-order]]
    d = d[np.isfinite(d)]
    d = d[d > 1e-7 * np.nanmax(np.abs(x))]
    if len(d) < 20:
        return []
    step = float(d.min())
    small = d[d < 20.5 * step]
    off = np.abs(small / step - np.round(small / step))
    if len(small) < max(20, 0.1 * len(d)) or np.quantile(off, 0.95) > 0.1:
        return []
    step = float(small.sum() / np.round(small / step).sum())
    unit = trace.unit if UNITS[name] == "S" else UNITS[name]
    reason = f"{name} comes in steps of {step:.4g} {unit}: rounding adds a spread of {step / np.sqrt(12):.2g}."
    return [Flag("quantisation", reason)]


def stuck(trace: Trace) -> list[Flag]:
    """Cells whose reading never changes."""
    name = READING.get(trace.kind)
    if name is None:
        return []
    device = trace["device"].astype(int)
    x = np.where(np.isfinite(trace[name]), trace[name], 0.0)
    low, high = np.full(device.max() + 1, np.inf), np.full(device.max() + 1, -np.inf)
    np.minimum.at(low, device, x)
    np.maximum.at(high, device, x)
    cells = np.flatnonzero((low == high) & (np.bincount(device) >= 8))
    if len(cells) == 0:
        return []
    shown = ", ".join(trace.labels[c] if c < len(trace.labels) else str(c) for c in cells[:5])
    reason = (
        f"{len(cells)} of {len(np.unique(device))} cells give the same {name} in every row ({shown}): stuck or open."
    )
    return [Flag("stuck", reason, np.flatnonzero(np.isin(device, cells)))]


def railed(trace: Trace) -> list[Flag]:
    """Readings at the end of the range: the extreme value comes exactly, and far more often than any next to it."""
    name = READING.get(trace.kind)
    if name is None or trace.kind == "loop":  # the plateau of a loop is found as compliance
        return []
    x = trace[name][np.isfinite(trace[name])]
    values, counts = np.unique(x, return_counts=True)
    flags = []
    for end, near in ((-1, slice(-11, -1)), (0, slice(1, 11))):
        if len(values) > 10 and counts[end] >= max(6, 10 * counts[near].mean(), 0.002 * len(x)):
            rows = np.flatnonzero(trace[name] == values[end])
            reason = f"{len(rows)} rows have exactly the {'largest' if end else 'smallest'} {name}, {values[end]:.4g}."
            flags.append(Flag("railed", reason, rows))
    return flags


def clock(trace: Trace) -> list[Flag]:
    """Times that go back, stand still, or come unevenly.

    Raises:
        FileError: if times since a write are dates.
    """
    if "t" not in trace:
        return []
    t = trace["t"]
    if trace.kind in ("retention", "programming"):
        if np.nanmin(t) > LONGEST:
            raise FileError(
                f"{trace.name}: times begin at {np.nanmin(t):.4g} s, a date and not the time since a cell was written; "
                "subtract the time of the write of each cell."
            )
        rows = np.flatnonzero(t <= 0)
        return [Flag("time before start", f"{len(rows)} rows have t <= 0.", rows, True)] if len(rows) else []
    same = trace["device"][1:] == trace["device"][:-1]
    if "cycle" in trace:
        same &= trace["cycle"][1:] == trace["cycle"][:-1]
        if any(flag.name == "paired runs" for flag in trace.flags):
            same &= np.diff(t) > -0.5 * np.nanmax(t)  # a second run of a cycle starts its clock again
    d = np.where(same, np.diff(t), np.nan)
    usual = np.nanmedian(d) if np.isfinite(d).any() else 0.0
    flags = []
    back = np.flatnonzero(d <= 0) + 1
    if len(back):
        flags.append(Flag("clock", f"In {len(back)} rows time stands still or goes back.", back))
    jitter = np.nanstd(d) / usual if usual > 0 else 0.0
    if jitter > 1e-3:
        slow = np.flatnonzero(d > 3 * usual) + 1
        reason = f"Time steps are uneven: {usual:.3g} s typically, {np.nanmin(d):.3g} to {np.nanmax(d):.3g} s."
        flags.append(Flag("uneven clock", reason, slow))
    return flags


def temperatures(trace: Trace) -> list[Flag]:
    """Rows without a temperature, in a trace that has some, or with an impossible one; excluded."""
    if "temperature" not in trace:
        return []
    rows = np.flatnonzero(~((trace["temperature"] > 0) & (trace["temperature"] < HOTTEST)))
    reason = f"{len(rows)} rows have no temperature between 0 and {HOTTEST:g} K."
    return [Flag("no temperature", reason, rows, True)] if len(rows) else []


def pairs(trace: Trace) -> list[Flag]:
    """Readings before and after that are unrelated, or copies of each other."""
    flags = []
    for before, after in PAIRS:
        if before not in trace or after not in trace:
            continue
        a, b = trace[before], trace[after]
        rows = trace.good & (a > 0) & (b > 0)
        if rows.sum() < 20 or np.ptp(a[rows]) == 0 or np.ptp(b[rows]) == 0:
            continue
        r = float(np.corrcoef(np.log(a[rows]), np.log(b[rows]))[0, 1])
        if r < 0.05 or r > 1 - 1e-9:
            what = "they are unrelated" if r < 0.05 else "one is a copy of the other"
            reason = f"ln {before} and ln {after} have a correlation of {r:.3f}: {what}."
            flags.append(Flag("suspicious pairs", reason))
    return flags


def windows(trace: Trace) -> list[Flag]:
    """Writes that did not reach their window; they are kept, as they are part of what programming yields."""
    if trace.kind != "programming" or "accepted" not in trace:
        return []
    key = trace["write"] if "write" in trace else np.arange(len(trace))
    writes, first = np.unique(key, return_index=True)
    missed = writes[trace["accepted"][first] == 0]
    if len(missed) == 0:
        return []
    reason = (
        f"{len(missed)} of {len(writes)} writes ({len(missed) / len(writes):.2%}) did not reach their window; kept."
    )
    return [Flag("window not reached", reason, np.flatnonzero(np.isin(key, missed)))]


def ranges(trace: Trace) -> list[Flag]:
    """Conductances that no real device has: zero, negative, or above 0.1 S."""
    if trace.unit != "S":
        return []
    flags = []
    for name in trace.columns:
        if UNITS[name] != "S" or name in ("target", "g_low", "g_high"):
            continue
        x = trace[name]
        low, high = np.flatnonzero(x <= 0), np.flatnonzero(x > 0.1)
        if len(low):
            flags.append(
                Flag(
                    "not positive",
                    f"{len(low)} rows have {name} <= 0 (least {x[low].min():.2g} S): offset or noise.",
                    low,
                )
            )
        if len(high):
            flags.append(
                Flag("very large", f"{len(high)} rows have {name} > 0.1 S (up to {np.nanmax(x):.2g} S).", high)
            )
    return flags


CHECKS = (temperatures, quantisation, stuck, railed, clock, pairs, windows, ranges)
