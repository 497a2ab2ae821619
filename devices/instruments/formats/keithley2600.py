"""Keithley 2600 KickStart and TSP csv: `Item,Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1],...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "Keithley 2600"
SEVERAL_FILES = True
CELL = re.compile(r"(\w+)\.(Time|V|I)\[(\d+)\]\[(\d+)\]")


def recognises(file: File) -> bool:
    """A header with `<Smu>.V[n][m]` and `<Smu>.I[n][m]`."""
    return _header(file) is not None


def _header(file: File) -> int | None:
    for k, line in enumerate(file.start[:60]):
        kinds = {match[2] for match in map(CELL.fullmatch, text_table.fields(line, ",")) if match}
        if {"V", "I"} <= kinds:
            return k
    return None


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One loop of one source-measure unit; every buffer `[n][m]` is a cycle."""
    place = _header(file) or 0
    header = text_table.fields(file.start[place], ",")
    buffers: dict[tuple[str, str, str], dict[str, int]] = {}
    for k, name in enumerate(header):
        if match := CELL.fullmatch(name):
            buffers.setdefault((match[1], match[3], match[4]), {})[match[2]] = k
    units = list(dict.fromkeys(unit for unit, _, _ in buffers))
    unit = side.get("channel", units[0] if len(units) == 1 else None)
    if unit not in units:
        raise FileError(
            f"{file.path} has the units {', '.join(units)}; which one measures the device? Write it into its sidecar.",
            {"channel": units[0]},
        )
    values = text_table.numbers(file, place + 1)
    if values.shape[1] < max(max(where.values()) for where in buffers.values()) + 1:
        raise FileError(
            f"{file.path}: {values.shape[1]} columns of numbers under {len(header)} headers; it was cut off."
        )
    parts: dict[str, list[np.ndarray]] = {}
    chosen = [where for (name, _, _), where in buffers.items() if name == unit and {"V", "I"} <= set(where)]
    for cycle, where in enumerate(chosen):
        rows = np.isfinite(values[:, where["V"]]) | np.isfinite(values[:, where["I"]])
        for column, letter in (("v", "V"), ("i", "I"), ("t", "Time")):
            if letter in where:
                parts.setdefault(column, []).append(values[rows, where[letter]])
        parts.setdefault("cycle", []).append(np.full(rows.sum(), cycle))
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    return [Trace("loop", columns, (str(file.path),), NAME, (file.path.stem,))]
