"""Log of write-verify programming: lines `Init|Write|Read`, window of resistance [ohm], address, time [s], R [ohm], G [S]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "write-verify log"
RECORDS = ("Init", "Write", "Read")


def recognises(file: File) -> bool:
    """Seven columns that start with Init, Write or Read, at least one Write and one Read, and R G = 1 in every row."""
    rows = [text_table.fields(line) for line in file.start if line.strip()]
    if (
        not rows
        or any(len(row) != 7 or row[0] not in RECORDS for row in rows)
        or not {"Write", "Read"} <= {r[0] for r in rows}
    ):
        return False
    try:
        r, g = np.array([[float(row[5]), float(row[6])] for row in rows]).T
    except ValueError:
        return False
    return rig.inverse(r, g)


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One row for every Read: time since its Write, window and first reading of that Write.

    Raises:
        FileError: if a line is damaged, or no Read follows a Write of its cell.
    """
    kind, values = _rows(file)
    low, high, address, time, r, g = values.T
    write = np.flatnonzero(kind == RECORDS.index("Write"))
    reads = np.flatnonzero(kind == RECORDS.index("Read"))
    mine = _last_write(address, write, reads)
    lost = int((mine < 0).sum())
    reads, mine = reads[mine >= 0], mine[mine >= 0]
    if len(reads) == 0:
        raise FileError(f"{file.path}: no Read comes after a Write of the same cell; is the log cut off?")
    device, labels = rig.cells(file, address)
    g_low, g_high = 1 / high[mine], 1 / low[mine]
    target = (g_low + g_high) / 2
    columns = {
        "target": target, "g_low": g_low, "g_high": g_high, "g0": g[mine], "g": g[reads], "t": time[reads] - time[mine],
        "level": np.unique(target, return_inverse=True)[1], "write": np.searchsorted(write, mine), "device": device[reads],
        "accepted": (r[mine] >= low[mine]) & (r[mine] <= high[mine]),
    }  # fmt: skip
    flags = [
        rig.assumed(
            "record, window of R from and to [ohm], address, time [s], R [ohm], G [S]",
            "words Init, Write, Read in the first column; R G = 1; times since the write from the clock column",
        )
    ]
    if lost:
        flags.append(Flag("reads left out", f"{lost} reads come before any write of their cell."))
    return [Trace("programming", columns, (str(file.path),), NAME, labels, {}, tuple(flags))]


def _rows(file: File) -> tuple[np.ndarray, np.ndarray]:
    """Kind of record (index in RECORDS) and the six numbers of every line."""
    kinds, numbers = [], []
    for number, line in enumerate(file.text.split("\n"), start=1):
        if not line.strip():
            continue
        word, *rest = line.split("\t")
        try:
            kinds.append(RECORDS.index(word))
            numbers.append([float(cell) for cell in rest])
        except ValueError:
            raise FileError(
                f"{file.path}, line {number}: {line[:80]!r} is not a record of Init, Write or Read."
            ) from None
        if len(rest) != 6:
            raise FileError(
                f"{file.path}, line {number}: {len(rest) + 1} columns instead of 7; the log was cut off there."
            )
    return np.array(kinds), np.array(numbers)


def _last_write(address: np.ndarray, write: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """Row of the last write of the same cell before each read; -1 if there is none."""
    rows = np.sort(np.concatenate([write, reads]))
    order = rows[np.argsort(address[rows], kind="stable")]  # by cell, and in time within it
    is_write = np.isin(order, write)
    last = np.maximum.accumulate(np.where(is_write, np.arange(len(order)), -1))
    found = np.where(last >= 0, order[last], -1)
    found = np.where((found >= 0) & (address[found] == address[order]), found, -1)
    place = np.empty(address.size, int)
    place[order] = found
    return place[reads]
