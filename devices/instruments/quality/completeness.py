"""Missing reads: cells that were not read at every time at which others were."""

from __future__ import annotations

import numpy as np

from devices.instruments.trace import KINDS, Flag, Trace

FEW = 200  # times, up to which each is looked at
APART = 0.1  # decades between times that are two times, and not one that jitters
SHOWN = 6


def missing_reads(trace: Trace) -> list[Flag]:
    """How many cells (writes of a programming log) were read at which time, where not all were read at every time;
    separately for every temperature of a bake. Reads without a value do not count.

    Cells that were each read once, or each at its own times, are left alone.
    """
    if trace.kind not in ("retention", "programming", "noise"):
        return []
    must, _ = KINDS[trace.kind]
    there = trace.good & np.all([np.isfinite(trace[name]) for name in must], axis=0)
    whose = trace["write"] if trace.kind == "programming" and "write" in trace else trace["device"]
    if "t" not in trace:
        return _counts(whose[there], whose)
    there &= np.isfinite(trace["t"]) & (trace["t"] >= 0)
    kelvin = trace["temperature"] if "temperature" in trace else np.zeros(len(trace))
    what = "writes" if trace.kind == "programming" else "cells"
    said = []
    for one in np.unique(kelvin[np.isfinite(kelvin)]):
        rows = kelvin == one
        place = f" at {one:g} K" if "temperature" in trace else ""
        said += _at_times(trace["t"][rows], whose[rows], there[rows], trace.protocol.get("nominal_times"), what, place)
    if not said and trace.kind == "noise":
        return _counts(whose[there], whose)
    return [Flag("missing reads", "; ".join(said) + ". Fits use the reads that exist.")] if said else []


def _at_times(t: np.ndarray, whose: np.ndarray, there: np.ndarray, nominal, what: str, place: str) -> list[str]:
    total = len(np.unique(whose))
    if total < 2 or len(t) <= total or not there.any():
        return []
    time, names = _times(t, whose, nominal)
    if time is None:
        return []
    pairs = np.unique(np.stack([time[there], np.unique(whose, return_inverse=True)[1][there]]), axis=1)
    count = np.bincount(pairs[0].astype(int), minlength=len(names))
    read = count > (-1 if nominal is not None else 0)  # rows at a time that were all left out have a flag of their own
    short = np.flatnonzero((count < total) & read)
    if len(short) == 0 or np.median(count) < 0.2 * total:
        return []
    shown = ", ".join(f"{count[k]} at {names[k]:.3g} s" for k in short[:SHOWN]) + (
        ", ..." if len(short) > SHOWN else ""
    )
    return [f"Of {total} {what}{place} not all were read at every time: {shown} ({len(short)} of {len(names)} times)"]


def _times(t: np.ndarray, whose: np.ndarray, nominal) -> tuple[np.ndarray | None, np.ndarray]:
    """Which time each read is at, and the times [s]; None where cells have individual times, or there are too many."""
    known = np.unique(t[np.isfinite(t)])
    if nominal is not None and len(nominal):
        names = np.sort(np.asarray(nominal, float))
        nearest = np.abs(np.log(np.maximum(t, 1e-12))[:, None] - np.log(np.maximum(names, 1e-12))).argmin(1)
        return nearest, names
    if len(known) <= FEW and len(t) >= 0.3 * len(known) * len(np.unique(whose)):
        return np.searchsorted(known, np.where(np.isfinite(t), t, known[0])), known
    positive = known[known > 0]
    begins = np.flatnonzero(np.diff(np.log10(positive), prepend=-np.inf) > APART)
    if len(begins) > FEW:
        return None, known
    time = np.maximum(np.searchsorted(positive[begins], t, side="right") - 1, 0)
    reads = np.unique(np.stack([time, np.unique(whose, return_inverse=True)[1]]), axis=1, return_counts=True)[1]
    names = np.array([np.median(t[time == k]) for k in range(len(begins))])
    return (time if np.mean(reads == 1) > 0.9 else None), names


def _counts(whose: np.ndarray, all_of_them: np.ndarray) -> list[Flag]:
    """Cells with fewer reads than most."""
    cells = np.unique(all_of_them)
    count = np.bincount(np.searchsorted(cells, whose), minlength=len(cells))
    usual = int(np.median(count))
    short = int((count < usual).sum())
    if len(cells) < 2 or short == 0:
        return []
    reason = f"{short} of {len(cells)} cells have fewer reads than the {usual} of most cells: as few as {count.min()}."
    return [Flag("missing reads", reason)]
