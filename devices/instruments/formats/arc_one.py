"""ArC ONE csv(.gz): a name, a date, then `Wordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import polarity, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "ArC ONE"
HEADER = ["Wordline", "Bitline", "Resistance", "Amplitude (V)", "Pulse width (s)", "Tag", "ReadTag", "ReadVoltage"]


def recognises(file: File) -> bool:
    """The header within the first ten lines."""
    return _header(file) is not None


def _header(file: File) -> int | None:
    return next((k for k, line in enumerate(file.start[:10]) if text_table.fields(line, ",")[:5] == HEADER[:5]), None)


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """Pulses, loops of the curve tracer (tags `CT`), or only reads, for all cells of the file."""
    rows = [(n, text_table.fields(line, ",")) for n, line in enumerate(file.text.split("\n"), 1) if line.strip()]
    rows = [(n, cells + [""] * (8 - len(cells))) for n, cells in rows if n > (_header(file) or 0) + 1]
    if not rows:
        raise FileError(f"{file.path} has a header but no rows; export the session again.")
    values = np.array([[_number(file, n, cell) for cell in cells[:5]] for n, cells in rows])
    if not np.isfinite(values[:, :2]).all():
        raise FileError(f"{file.path}: in some rows the word line or the bit line is missing; every row needs both.")
    tags = np.array([cells[5] for _, cells in rows])
    reads = {_number(file, n, cells[7]) for n, cells in rows if cells[7]}
    protocol = {"v_read": reads.pop()} if len(reads) == 1 else {}
    names = [f"W{int(w)}B{int(b)}" for w, b in values[:, :2]]
    labels = tuple(dict.fromkeys(names))
    device = np.array([labels.index(name) for name in names], float)
    traced = np.char.startswith(tags, "CT")
    base: dict[str, Any] = dict(source=(str(file.path),), format=NAME, labels=labels, protocol=protocol)
    traces = []
    if (~traced).any():
        traces.append(_pulses(file, values[~traced], device[~traced], side, base))
    if traced.any():
        v, r = values[traced, 3], values[traced, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {"v": v, "i": v / r, "device": device[traced]}
        begins = np.char.endswith(tags[traced], "_s")
        if begins.sum() > len(np.unique(device[traced])):
            columns["cycle"] = np.maximum(_within(begins, device[traced]) - 1, 0)
        reason = "The curve tracer's current is I = V / R of its rows: the file holds resistances."
        traces.append(Trace("loop", columns, **base).flagged(Flag("current from resistance", reason)))
    return traces


def _within(begins: np.ndarray, device: np.ndarray) -> np.ndarray:
    """How many rows of each device up to each of its rows begin a curve."""
    counts = np.zeros(len(device))
    for one in np.unique(device):
        counts[device == one] = np.cumsum(begins[device == one])
    return counts


def _number(file: File, line: int, text: str) -> float:
    try:
        return np.nan if text.lower() in text_table.EMPTY else float(text)
    except ValueError:
        raise FileError(f"{file.path}, line {line}: {text!r} is not a number.") from None


def _pulses(file: File, values: np.ndarray, device: np.ndarray, side: Mapping[str, Any], base: dict[str, Any]) -> Trace:
    g, amplitude, width = 1 / values[:, 2], values[:, 3], values[:, 4]
    return polarity.pulses_or_reads(file, g, amplitude, width, width > 0, device, side, base)
