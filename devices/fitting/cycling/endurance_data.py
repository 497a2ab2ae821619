"""Cycling logs as arrays, and when devices fail."""

from __future__ import annotations

from typing import Any

import numpy as np

from devices.instruments.trace import FileError, Trace

RATIO = 3.0  # g_on / g_off below which a window counts as closed, unless the protocol gives `ratio_limit`
CONFIRMING = 3  # readings at the end of a record that must be below for the device to have failed
CHUNK = 100  # readings of a block
FEWEST = 20  # readings of a device


def cycling(trace: Trace) -> dict[str, Any]:
    """Reads (2 x devices x rows, decimal logarithm, g_on first) against cycles, and the interval in which each
    device failed.

    A device has failed once its window stays closed until its record ends, `CONFIRMING` readings or more: between the
    last open reading and the next. Readings after it are left out of the windows (`used` = 0). `life` holds the ends
    of the interval: the second is infinite for a device that has not failed. `stuck` is where failed devices are, or
    the middle of the window.

    Raises:
        FileError: if there are too few readings, or conductances or cycles that are not positive.
    """
    limit = float(trace.protocol.get("ratio_limit", RATIO))
    parts = [p.where(np.argsort(p["cycle"], kind="stable")) for p in trace.split()]
    bad = [c for c in ("cycle", "g_on", "g_off") if not (trace[c] > 0).all()]
    if bad or min(map(len, parts)) < FEWEST:
        what = (
            f"{' and '.join(bad)} has values that are not positive"
            if bad
            else f"a device has {min(map(len, parts))} readings"
        )
        raise FileError(
            f"{trace.name}: {what}; endurance needs {FEWEST} readings or more of each device, with positive "
            "conductances and cycles. "
            "Leave other rows out, or give the unit of the columns."
        )
    rows = -(-max(map(len, parts)) // CHUNK) * CHUNK if len(parts) == 1 else max(map(len, parts))
    shape = (len(parts), rows)
    cycle, read, used, y = np.ones(shape), np.zeros(shape), np.zeros(shape), np.zeros((2, *shape))
    life = np.zeros((len(parts), 2))
    for k, p in enumerate(parts):
        n = len(p)
        cycle[k, :n], cycle[k, n:] = p["cycle"], p["cycle"][-1]
        y[:, k, :n] = np.log10([p["g_on"], p["g_off"]])
        last, life[k] = _failure(p["cycle"], p["g_on"] / p["g_off"] >= limit)
        read[k, :n], used[k, :last] = 1.0, 1.0
    after = (read > 0) & (used == 0)
    return {
        "cycle": cycle,
        "y": y,
        "read": read,
        "used": used,
        "life": life,
        "limit": np.asarray(limit),
        "first": np.min(cycle[read > 0]),
        "stuck": np.mean(y[:, after]) if after.any() else np.mean(y[:, used > 0]),
    }


def _failure(cycle: np.ndarray, opened: np.ndarray) -> tuple[int, tuple[float, float]]:
    """How many readings precede failure, and between which cycles it lies."""
    alive = int(np.flatnonzero(opened)[-1]) + 1 if opened.any() else 0
    if len(cycle) - alive < CONFIRMING:
        return len(cycle), (float(cycle[-1]), np.inf)
    return alive, (float(cycle[alive - 1]) if alive else 0.0, float(cycle[alive]))


def first_closed(data: dict[str, Any]) -> tuple[float, float]:
    """Share of readings whose window is closed, and the first cycle with one (NaN if none)."""
    used = data["used"] > 0
    closed = (data["y"][0] - data["y"][1] < np.log10(data["limit"])) & used
    return float(closed.sum() / used.sum()), float(data["cycle"][closed].min()) if closed.any() else float("nan")
