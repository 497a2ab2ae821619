"""Loops as arrays: from a trace to equally long rows of voltage, current and time steps, with masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from devices.instruments.trace import FileError, Flag, Trace

ROWS = 10  # readings a block: consecutive ones whose errors may depend on each other
POINTS = 300  # of a loop at most; longer ones are thinned
FINE = 0.03  # largest step of a model, as a share of a loop's range of voltage
MULTIPLE = 30  # rows of a loop, padding included, so that loops of nearly one length share compiled programs
LOOPS = 6  # at most in one fit
RELATIVE = (0.05, 0.15)  # weight of a factor e in the current, against an error of its root mean square: below, above
DECADES = 3.0  # from `floor` to `rms`


def loop_arrays(trace: Trace) -> dict[str, Any]:
    """Arrays of shape (loops, rows), and scalars about them.

    `v`, `i` [V], [A], signed such that a positive voltage makes the cell more conductive; `dt` [s] from each row to the next
    (from the last to the first in a whole period); `used` 1 for rows that count; `limited` 1 where a compliance holds
    the current; `floor`, `rms`: scales of the current [A]; `polarity`: 1, or -1 where signs were reversed;
    `v_drive`, `resistance`: of the source and before the cell, where known.

    Raises:
        FileError: if there are fewer than 20 good rows, or hardly any voltage.
    """
    finite = np.isfinite(trace["v"]) & np.isfinite(trace["i"])
    nothing = np.abs(trace["v"]) < 1e-3 * np.abs(trace["v"][finite]).max(initial=0.0)  # none at 0 V is a device's
    good, trace = (trace.good & finite & ~nothing)[finite], trace.where(finite)
    if good.sum() < 2 * ROWS or not np.ptp(trace["v"][good]) > 0 or not np.any(trace["i"][good]):
        raise FileError(
            f"{trace.name}: {int(good.sum())} usable rows of a loop, voltages from {np.min(trace['v'], initial=0):g} to "
            f"{np.max(trace['v'], initial=0):g} V; a fit needs at least {2 * ROWS} rows, a voltage that varies and a current."
        )
    group = trace["cycle"] if "cycle" in trace else np.zeros(len(trace))
    _, group = np.unique(np.stack([trace["device"], group], 1), axis=0, return_inverse=True)
    group = group.ravel()
    loops = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
    there = len(loops)
    if there > LOOPS:
        loops = [loops[k] for k in np.linspace(0, there - 1, LOOPS).round().astype(int)]
    if "t" in trace and not _runs(trace, loops):
        trace = dataclasses.replace(trace, columns={n: c for n, c in trace.columns.items() if n != "t"})
    periodic = _periodic(trace, loops)
    turn = _polarity(trace, loops)
    rows = [_thinned(trace, good, loop, turn, periodic) for loop in loops]
    length = -(-max(len(r["v"]) for r in rows) // MULTIPLE) * MULTIPLE
    data = {name: np.stack([_padded(r[name], length, name) for r in rows]) for name in rows[0]}
    seen = np.abs(np.concatenate([r["i"][r["used"] > 0] for r in rows]))
    data["floor"] = np.maximum(np.quantile(seen, 0.02), 1e-9 * seen.max() + 1e-300)
    data["rms"] = np.sqrt(np.mean(seen**2))
    wide = np.log10(data["rms"] / data["floor"]) > DECADES
    data["relative"] = np.asarray(float(trace.protocol.get("relative_weight", RELATIVE[int(wide)])))
    if "v_drive" in data and "series_resistance" in trace.protocol:
        data["resistance"] = np.asarray(float(trace.protocol["series_resistance"]))
    data["polarity"] = np.asarray(turn)
    data["v_read"] = np.asarray(float(trace.protocol.get("v_read", 0.1)))
    about = {"there": there, "timed": "t" in trace, "thinned": max(map(len, loops)) > POINTS}
    return data | {name: np.asarray(float(value)) for name, value in about.items()}


def is_periodic(trace: Trace) -> bool:
    """Whether loops are whole periods of a drive that repeats: `protocol["periodic"]`, or several loops of known frequency
    whose ends meet. One loop alone gets a free start, which costs little and forgives drift."""
    group = trace["cycle"] if "cycle" in trace else np.zeros(len(trace))
    return _periodic(trace, [np.flatnonzero(group == k) for k in np.unique(group)])


def as_cycles(traces: Sequence[Trace]) -> Trace:
    """Loops of one device, as cycles of one trace: to be fitted with one set of parameters.

    Raises:
        FileError: if they do not have the same columns.
    """
    if len({frozenset(t.columns) for t in traces}) > 1:
        raise FileError(
            "loops to be fitted together must have the same columns: " + "; ".join(t.name for t in traces) + "."
        )
    cycle = np.concatenate([np.full(len(t), k) for k, t in enumerate(traces)])
    columns = {name: np.concatenate([t[name] for t in traces]) for name in traces[0].columns}
    first = np.cumsum([0, *[len(t) for t in traces]])
    flags = [
        dataclasses.replace(f, rows=(f.rows if len(f.rows) else np.arange(len(t))) + first[k])
        for k, t in enumerate(traces)
        for f in t.flags
    ]
    protocol = {k: v for k, v in traces[0].protocol.items() if all(t.protocol.get(k) == v for t in traces)}
    protocol["periodic"] = all(
        "frequency" in t.protocol and "t" in t and _closed(t, [np.arange(len(t))]) for t in traces
    )
    source = tuple(s for t in traces for s in t.source)
    return Trace(
        "loop",
        {**columns, "cycle": cycle, "device": 0 * cycle},
        source,
        traces[0].format,
        ("device",),
        protocol,
        tuple(flags),
    )


def _periodic(trace: Trace, loops: list[np.ndarray]) -> bool:
    if "periodic" in trace.protocol:
        return bool(trace.protocol["periodic"])
    return "frequency" in trace.protocol and "t" in trace and len(loops) > 1 and _closed(trace, loops)


def _runs(trace: Trace, loops: list[np.ndarray]) -> bool:
    """Whether the clock advances from most rows to the next: one with too few digits does not."""
    return float(np.mean(np.concatenate([np.diff(trace["t"][rows]) > 0 for rows in loops]))) > 0.5


def _closed(trace: Trace, loops: list[np.ndarray]) -> bool:
    """Ends meet if the step from the last row to the first is like the largest steps beside it."""
    gaps = []
    for rows in loops:
        for name in ("v", "i"):
            x = trace[name][rows]
            gaps.append(abs(x[0] - x[-1]) <= 3 * max(np.abs(np.diff(x))[[0, 1, -2, -1]].max(), 0.01 * np.ptp(x)))
    return all(gaps)


def _polarity(trace: Trace, loops: list[np.ndarray]) -> float:
    """-1 if a negative voltage sets. On the side that sets, current is larger on the way back."""
    area = {1: 0.0, -1: 0.0}
    for rows in loops:
        v, i = trace["v"][rows], np.abs(trace["i"][rows])
        steps, mid = np.diff(np.abs(v)), (i[1:] + i[:-1]) / 2
        for side in area:
            on = (side * v[1:] > 0) & (side * v[:-1] > 0)
            area[side] += float(np.sum((mid * steps)[on]))
    return 1.0 if area[1] <= area[-1] else -1.0


def _thinned(trace: Trace, good: np.ndarray, loop: np.ndarray, turn: float, periodic: bool) -> dict[str, np.ndarray]:
    """One loop; where it is thinned, time steps are those between the rows that are kept."""
    v, i = turn * trace["v"][loop], turn * trace["i"][loop]
    dt = _steps(trace["t"][loop] if "t" in trace else None, v)
    times = np.concatenate([[0.0], np.cumsum(dt)])
    stride = -(-len(loop) // POINTS)
    keep = np.arange(0, len(loop), stride)
    ends = np.append(times[keep], times[-1] + (np.median(dt) if periodic else 0.0))
    drive = {"v_drive": turn * trace["v_drive"][loop][keep]} if "v_drive" in trace else {}
    rows = drive | {
        "v": v[keep], "i": i[keep], "dt": np.diff(ends), "used": good[loop][keep].astype(float),
        "limited": _limited(trace, loop)[keep],
    }  # fmt: skip
    return _refined(rows)


def _refined(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows with others between them, which do not count, where the voltage changes by more than `FINE` of its range: a step
    of the model is made at one voltage. A drive of sudden steps, where that would be most rows, stays as it is."""
    v, limited = rows["v"], rows["limited"] > 0
    parts = np.ceil(np.abs(np.diff(v)) / (FINE * max(np.ptp(v), 1e-300))).astype(int)
    parts = np.where(limited[1:] | limited[:-1], 1, np.maximum(parts, 1))
    if parts.sum() > max(1.5 * len(v), POINTS):
        return rows
    start = np.repeat(np.arange(len(parts)), parts)
    part = np.arange(len(start)) - (np.cumsum(parts) - parts)[start]
    at = np.append(start + part / parts[start], len(v) - 1.0)
    found = {
        name: np.interp(at, np.arange(len(v)), rows[name]) for name in rows if name not in ("dt", "used", "limited")
    }
    first = np.append(part == 0, True)
    found |= {name: np.where(first, rows[name][at.astype(int)], 0.0) for name in ("used", "limited")}
    whole = rows["dt"] / np.append(parts, np.ones(len(rows["dt"]) - len(parts)))
    return found | {"dt": np.append(whole[start], rows["dt"][len(parts) :])}


def _steps(t: np.ndarray | None, v: np.ndarray) -> np.ndarray:
    """Time between rows [s]; times that start again (paired runs) count as one ordinary step."""
    if t is None:
        return np.maximum(np.abs(np.diff(v)), 1e-3 * np.ptp(v))  # at 1 V/s; plateaus take time too
    steps = np.diff(t)
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else 1.0
    return np.where((steps > 0) & (steps < 1e3 * usual), steps, usual)


def _limited(trace: Trace, loop: np.ndarray) -> np.ndarray:
    flagged = np.zeros(len(trace))
    for flag in trace.flags:
        if "compliance" in flag.name.lower() and len(flag.rows):
            flagged[flag.rows] = 1
    return flagged[loop]


def _padded(values: np.ndarray, length: int, name: str) -> np.ndarray:
    """Padding repeats the last voltage, takes no time, and does not count; the step to the first row comes last."""
    missing = length - len(values)
    if name == "dt":
        return np.concatenate([values[:-1], np.zeros(missing), values[-1:]])
    fill = values[-1] if name in ("v", "v_drive") else 0.0
    return np.concatenate([values, np.full(missing, fill)])


def pad_to_common_shape(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arrays of several devices padded to the longest."""
    length = max(d["v"].shape[1] for d in data)

    def grown(d):
        return {n: np.stack([_padded(row, length, n) for row in x]) if np.ndim(x) == 2 else x for n, x in d.items()}

    return [grown(d) for d in data]


def compliance(trace: Trace) -> Trace:
    """The trace with rows on a compliance plateau flagged and excluded, unless that has been done.

    A plateau is at least five consecutive rows within 0.5 % of the largest magnitude of current of their sign, or of the
    protocol's `compliance`.
    """
    if any("compliance" in flag.name.lower() for flag in trace.flags):
        return trace
    i, found = np.nan_to_num(trace["i"]), np.zeros(len(trace), bool)
    for side in (1, -1):
        top = np.max(side * i, initial=0.0)
        level = float(trace.protocol.get("compliance", top)) if top > 0 else np.inf
        level = level if abs(level - top) < 0.02 * top else top
        near = np.abs(side * i - level) < 5e-3 * level
        runs = np.split(np.flatnonzero(near), np.flatnonzero(np.diff(np.flatnonzero(near)) > 1) + 1)
        for run in runs:
            if len(run) >= 5 and np.ptp(trace["v"][run]) > 0.05 * np.ptp(trace["v"]):
                found[run] = True
    if not found.any():
        return trace
    level = float(np.median(np.abs(i[found])))
    reason = f"{int(found.sum())} rows stay at {level:.3g} A whatever the voltage: the source's limit, not the device."
    return trace.flagged(Flag("compliance", reason, np.flatnonzero(found), excluded=True))
