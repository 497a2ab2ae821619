"""Periods of a voltage that goes round several times: each is a cycle, where the file does not number them."""

from __future__ import annotations

import dataclasses

import numpy as np

from devices.instruments.trace import Flag, Trace

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
    reason = f"The voltage makes {most} periods, which were taken for cycles; a column Cycle overrules it."
    columns = {**trace.columns, "cycle": cycle}
    return dataclasses.replace(trace, columns=columns).flagged(Flag("assumed cycles", reason))


def _begins(v: np.ndarray) -> np.ndarray:
    """Rows with which the second and later periods begin."""
    known = np.flatnonzero(np.isfinite(v))
    x = v[known]
    if len(x) < 4 or not np.ptp(x) > 0:
        return np.empty(0, int)
    middle = 0.0 if x.min() < 0 < x.max() else (x.min() + x.max()) / 2
    side = np.where(x > middle + WAVERING * np.ptp(x), 1, np.where(x < middle - WAVERING * np.ptp(x), -1, 0))
    at = np.flatnonzero(side)
    before = 1 if at[0] == 0 else -1  # a voltage that starts in the middle has not been anywhere
    up = at[np.diff(side[at], prepend=before) == 2]  # where it is above, having been below
    if len(up) < 2:
        return np.empty(0, int)
    period = np.median(np.diff(up))
    begins = up[1:] - up[0] % period  # as far from a crossing as the first row is from the first
    begins = begins[(begins > 0.5 * period) & (len(x) - begins > 0.5 * period)]
    return known[begins.astype(int)]
