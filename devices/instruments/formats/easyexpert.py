"""Keysight (Agilent) B1500 EasyEXPERT csv: `SetupTitle`, `TestParameter`, `DataName`, `DataValue`, ... for every sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "Keysight EasyEXPERT"
WORDS = (
    "SetupTitle",
    "PrimitiveTest",
    "TestParameter",
    "MetaData",
    "AnalysisSetup",
    "Dimension1",
    "DataName",
    "DataValue",
)


def recognises(file: File) -> bool:
    """A first line that starts with one of EasyEXPERT's words, and a `DataName` or `TestParameter` further on."""
    words = [line.split(",")[0].strip() for line in file.start if line.strip()]
    return bool(words) and words[0] in WORDS and bool({"DataName", "TestParameter"} & set(words))


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One loop, a cycle for every sweep of the file."""
    parts, times, protocol = [], [], {}
    parameters: dict[str, list[str]] = {}
    names: list[str] = []
    rows: list[list[float]] = []

    def close() -> None:
        if rows:
            v, i, t = _columns(file, names, parameters, side)
            values = np.array(rows)
            parts.append(np.column_stack([values[:, v], values[:, i], np.full(len(rows), len(parts))]))
            times.append(values[:, t] if t is not None else None)
            protocol.update(_protocol(parameters, names[v]))
        rows.clear()

    for number, line in enumerate(file.stream(), start=1):
        cells = text_table.fields(line.rstrip("\n"), ",")
        word = cells[0] if cells else ""
        if word == "TestParameter" and len(cells) > 2:
            parameters[cells[1]] = cells[2:]
        elif word in ("SetupTitle", "DataName"):
            close()
            names = cells[1:] if word == "DataName" else names
        elif word == "DataValue":
            rows.append(_row(file, number, cells[1:], len(names)))
    close()
    if not parts:
        raise FileError(f"{file.path} has no DataValue lines; export the test result with its data.")
    joined = np.concatenate(parts)
    columns = {"v": joined[:, 0], "i": joined[:, 1], "cycle": joined[:, 2]}
    if all(t is not None for t in times):
        columns["t"] = np.concatenate(times)
    return [Trace("loop", columns, (str(file.path),), NAME, (file.path.stem,), protocol)]


def _row(file: File, number: int, cells: list[str], count: int) -> list[float]:
    try:
        values = [np.nan if cell.lower() in text_table.EMPTY else float(cell) for cell in cells]
    except ValueError:
        raise FileError(
            f"{file.path}, line {number}: {cells} are not all numbers; export with decimal points."
        ) from None
    if len(values) != count:
        raise FileError(
            f"{file.path}, line {number}: {len(values)} values, but DataName names {count}; the file was cut off."
        )
    return values


def _columns(file: File, names: list[str], parameters: Mapping[str, list[str]], side: Mapping[str, Any]):
    """Places of voltage and current of the swept channel, and of time if it is there."""
    voltages, currents = parameters.get("Channel.VName", []), parameters.get("Channel.IName", [])
    swept = [k for k, role in enumerate(parameters.get("Channel.Func", [])) if role.startswith("VAR1")]
    pairs = [(voltages[k], currents[k]) for k in swept if k < min(len(voltages), len(currents))]
    pairs = [(v, i) for v, i in pairs if v in names and i in names]
    if not pairs:
        by_letter = {letter: [name for name in names if name.upper().startswith(letter)] for letter in "VI"}
        pairs = (
            list(zip(by_letter["V"], by_letter["I"], strict=False))
            if all(len(n) == 1 for n in by_letter.values())
            else []
        )
    if len(pairs) != 1:
        raise FileError(
            f"{file.path}: which of {', '.join(names)} are voltage and current of the swept channel is not said (no single "
            "channel with Channel.Func VAR1); export only that voltage and that current."
        )
    time = next((k for k, name in enumerate(names) if name.lower().startswith("time")), None)
    return names.index(pairs[0][0]), names.index(pairs[0][1]), time


def _protocol(parameters: Mapping[str, list[str]], voltage: str) -> dict[str, float]:
    """Compliance [A] of the swept channel, if the file says it."""
    for key in ("Measurement.Primary.Compliance", "Channel.Compliance"):
        for cell in parameters.get(key, [])[:1]:
            if text_table.is_number(cell) and cell.lower() not in text_table.EMPTY:
                return {"compliance": float(cell)}
    return {}
