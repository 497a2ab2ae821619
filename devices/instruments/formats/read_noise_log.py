"""Rig log of read noise: a line for every cell with address, range, and then all its conductances [S] at one rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig, sidecar, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "read-noise log"
LEAST = 200  # readings in a line


def recognises(file: File) -> bool:
    """First line: two whole numbers, then at least 200 conductances between 1 pS and 1 S."""
    cells = text_table.fields(file.start[0])[: LEAST + 2] if file.start else []
    if len(cells) < LEAST + 2:
        return False
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        return False
    g = np.abs(values[2:])
    return bool(rig.whole(values[:2]) and np.median(g) > 1e-12 and g.max() < 1 and not rig.whole(values[2:]))


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One noise trace, cell after cell.

    Raises:
        FileError: if the sampling rate is neither in the sidecar nor in `settings.json` beside the file.
    """
    rows = [_row(file, number, line) for number, line in enumerate(file.text.split("\n"), start=1) if line.strip()]
    g = np.concatenate([row[2:] for row in rows])
    counts = [len(row) - 2 for row in rows]
    labels = tuple(str(int(row[0])) for row in rows)
    rate, where = _rate(file, side, len(rows[0]))
    columns = {"g": g, "device": np.repeat(np.arange(len(rows)), counts),
               "t": np.concatenate([np.arange(count) for count in counts]) / rate}  # fmt: skip
    flags = (
        rig.assumed(
            f"address, range, {counts[0]} conductances [S] per line",
            f"whole numbers in the first two, then values of {g.min():.2g} to {g.max():.2g}",
        ),
        Flag("rate", f"The sampling rate of {rate:g} Hz is from {where}."),
    )
    return [Trace("noise", columns, (str(file.path),), NAME, labels, {"rate": rate}, flags)]


def _row(file: File, number: int, line: str) -> np.ndarray:
    try:
        row = np.array(line.split(text_table.separator(line)), float)
    except ValueError as error:
        raise FileError(f"{file.path}, line {number}: {error}.") from None
    if len(row) < 3 or not np.isfinite(row[0]):
        raise FileError(
            f"{file.path}, line {number}: {len(row)} values; expected are address, range, and conductances."
        )
    return row


def _rate(file: File, side: Mapping[str, Any], count: int) -> tuple[float, str]:
    given = side.get("protocol", {}).get("rate")
    if given:
        return float(given), "the sidecar"
    settings = file.path.with_name("settings.json")
    try:
        return float(json.loads(settings.read_text())["fs"]), "fs of settings.json beside the file"
    except (OSError, ValueError, KeyError, TypeError):
        body = "[protocol]\nrate = 400.0   # reads per second [Hz]"
        row = file.start[0][:60] + " ..."
        raise FileError(
            f"{file.path}: no sampling rate (no settings.json with `fs` beside it). "
            + sidecar.example(file.path, row, count, body)
        ) from None
