"""Pairing of SET runs with RESET runs of the same device, so that a whole bipolar loop is one cycle."""

from __future__ import annotations

import itertools
import pathlib
import re

import numpy as np

from devices.instruments.trace import Flag, Trace


def combine(traces: list[Trace]) -> list[Trace]:
    """Traces with pairs joined: loops of opposite polarity with equally many runs, in files whose names differ only in
    set/reset."""
    left = list(traces)
    for one, other in itertools.combinations(traces, 2):
        if one in left and other in left and _belong(one, other):
            left[left.index(one)] = _pair(one, other)
            left.remove(other)
    return left


def _polarity(trace: Trace) -> int:
    """1 if no voltage is negative, -1 if none is positive, else 0."""
    v = trace["v"][np.isfinite(trace["v"])]
    return int((v >= 0).all()) - int((v <= 0).all())


def _belong(one: Trace, other: Trace) -> bool:
    if one.kind != "loop" or other.kind != "loop" or set(one.columns) != set(other.columns):
        return False
    names = [re.subn(r"(?i)(re)?set", "", pathlib.Path(trace.source[0]).stem) for trace in (one, other)]
    same_name = one.source == other.source or (names[0][0] == names[1][0] and all(count for _, count in names))
    folders = {pathlib.Path(trace.source[0]).parent for trace in (one, other)}
    runs = {len(np.unique(trace["cycle"])) for trace in (one, other)}
    return same_name and len(folders) == len(runs) == 1 and _polarity(one) * _polarity(other) == -1


def _ends(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Conductance [S] at the start and at the end of every run, over the 6th to 20th reading from there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.array([(run["i"] / run["v"])[[*range(6, 21), *range(-21, -6)]] for run in trace.split("cycle")])
    return np.nanmedian(g[:, :15], axis=1), np.nanmedian(g[:, 15:], axis=1)


def _mismatch(first: Trace, second: Trace) -> float:
    """Median |ln| of conductance at the end of a run of `first` over that at the start of the same run of `second`."""
    if min(len(run) for trace in (first, second) for run in trace.split("cycle")) < 42:
        return np.inf
    return float(np.nanmedian(np.abs(np.log(np.abs(_ends(first)[1] / _ends(second)[0])))))


def _pair(one: Trace, other: Trace) -> Trace:
    """Both in one trace; in a cycle, first the runs whose end the other runs start from."""
    forward, backward = _mismatch(one, other), _mismatch(other, one)
    in_order = forward < backward
    if np.isclose(forward, backward):  # runs do not show it: SET comes first
        in_order = "reset" not in pathlib.Path(one.source[0]).stem.lower()
    first, second = (one, other) if in_order else (other, one)
    cycle = np.concatenate([first["cycle"], second["cycle"]])
    order = np.argsort(cycle, kind="stable")
    columns = {name: np.concatenate([first[name], second[name]])[order] for name in first.columns}
    protocol = {k: v for k, v in first.protocol.items() if second.protocol.get(k) == v}
    for trace, which in ((first, "first"), (second, "second")):
        protocol |= {f"{k}_{which}": v for k, v in trace.protocol.items() if k not in protocol and v != ()}
    sources = tuple(dict.fromkeys(first.source + second.source))
    files = " and ".join(pathlib.Path(trace.source[0]).name for trace in (first, second))
    reason = (
        f"Runs of {files} were paired by their order into {len(np.unique(cycle))} "
        "cycles (same name except for set/reset, "
        f"opposite polarity). The conductance at the end of a first run differs from that at the start of its partner by "
        f"{min(forward, backward):.2g} in ln G (median); the other way round it would be {max(forward, backward):.2g}. "
        "Times start again in every run."
    )
    label = re.sub(r"(?i)_?(re)?set", "", pathlib.Path(first.source[0]).stem)
    return Trace("loop", columns, sources, first.format, (label,), protocol, first.flags + second.flags).flagged(
        Flag("paired runs", reason)
    )
