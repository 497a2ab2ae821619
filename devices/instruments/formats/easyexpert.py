"""Keysight (Agilent) B1500 EasyEXPERT csv: `SetupTitle`, `TestParameter`, `DataName`, `DataValue`, ... for every sweep."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from devices.instruments import column_headers, columns_to_trace, text_table
from devices.instruments.column_guesses import Table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

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
GATE = re.compile(r"V_?(g|gs|gate|wl|word\w*)\d*", re.IGNORECASE)
LARGER = 100.0  # factor from which a current measured beside that of the swept channel is worth mentioning


@dataclasses.dataclass
class _Record:
    """One test result: names of its vectors, rows of their values (NaN where empty), and what its lines say about
    it."""

    names: list[str]
    values: np.ndarray
    parameters: Mapping[str, list[str]]

    @property
    def filled(self) -> list[str]:
        """Vectors that are not empty."""
        return [name for k, name in enumerate(self.names) if np.isfinite(self.values[:, k]).any()]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[:, self.names.index(name)]

    def of(self, name: str) -> list[str]:
        """Cells of a parameter or dimension; none if there is no such line."""
        return self.parameters.get(name, [])

    def channel(self, role: str) -> list[tuple[str, str]]:
        """Names of voltage and current of the channels of a role (`VAR1`: swept, `VAR2`: stepped)."""
        roles = enumerate(self.of("Channel.Func"))
        voltages, currents = self.of("Channel.VName"), self.of("Channel.IName")
        where = [k for k, text in roles if text.startswith(role) and k < min(len(voltages), len(currents))]
        return [(voltages[k], currents[k]) for k in where]


def recognises(file: File) -> bool:
    """A first line that starts with one of EasyEXPERT's words, and a `DataName` or `TestParameter` further on."""
    words = [line.split(",")[0].strip() for line in file.start if line.strip()]
    return bool(words) and words[0] in WORDS and bool({"DataName", "TestParameter"} & set(words))


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One loop, a cycle for every sweep of the file: those of a stepped second channel (`VAR2`) are separate sweeps.

    With `columns` of the sidecar, one name for each vector of `DataName`, whatever kind these columns make.

    Raises:
        FileError: if a line is damaged, or which vectors are the device's voltage and current is not known.
    """
    records = list(_records(file))
    if not records:
        raise FileError(f"{file.path} has no DataValue lines; export the test result with its data.")
    sweeps, cycle = [], 0
    for record in records:
        number = _sweeps(record)
        sweeps.append(cycle + number)
        cycle += int(number.max()) + 1
    protocol: dict[str, float] = {}
    flags = [flag for record in records for flag in _stepped(record)]
    if "columns" in side:
        return [_named(file, records, np.concatenate(sweeps), side, flags)]
    parts, times = [], []
    for record in records:
        v, i, t = _columns(file, record)
        parts.append(np.column_stack([record[v], record[i]]))
        times.append(record[t] if t is not None else None)
        protocol.update(_protocol(record))
        flags += _others(record, v, i)
    joined = np.concatenate(parts)
    columns = {"v": joined[:, 0], "i": joined[:, 1], "cycle": np.concatenate(sweeps)}
    if all(t is not None for t in times):
        columns["t"] = np.concatenate(times)
    return [Trace("loop", columns, (str(file.path),), NAME, (file.path.stem,), protocol, tuple(_once(flags)))]


def table(file: File) -> Table | None:
    """Vectors of the first result."""
    record = next(_records(file), None)
    return record and Table(tuple(record.names), record.values, ", ".join(f"{x:g}" for x in record.values[0]))


def _records(file: File) -> Iterator[_Record]:
    parameters: dict[str, list[str]] = {}
    names: list[str] = []
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate([*file.stream(), "SetupTitle"], start=1):
        cells = [cell.strip() for cell in line.rstrip("\n").split(",")]
        word = cells[0]
        if word in ("SetupTitle", "DataName") and rows:
            yield _Record(names, _table(file, names, rows, lines), dict(parameters))
            rows, lines = [], []
        if word == "TestParameter" and len(cells) > 2:
            parameters[cells[1]] = cells[2:]
        elif word.startswith("Dimension"):
            parameters[word] = cells[1:]
        elif word == "DataName":
            names = cells[1:]
            while names and not names[-1]:
                names.pop()
        elif word == "DataValue":
            rows.append(_row(file, number, cells[1:]))
            lines.append(number)


def _row(file: File, number: int, cells: list[str]) -> list[float]:
    try:
        return [np.nan if cell.lower() in text_table.EMPTY else float(cell) for cell in cells]
    except ValueError:
        raise FileError(
            f"{file.path}, line {number}: {cells} are not all numbers; export with decimal points."
        ) from None


def _table(file: File, names: list[str], rows: list[list[float]], lines: list[int]) -> np.ndarray:
    """Rows of one length: blanks after the last vector are dropped; only vectors without any value may be missing in a
    row."""
    table = np.full((len(rows), len(names)), np.nan)
    for k, row in enumerate(rows):
        if len(row) > len(names) and not np.isfinite(row[len(names) :]).any():
            row = row[: len(names)]
        if len(row) <= len(names):
            table[k, : len(row)] = row
            if len(row) == len(names) or not any(np.isfinite(other[len(row) :]).any() for other in rows):
                continue
        raise FileError(
            f"{file.path}, line {lines[k]}: {len(row)} values, but DataName names {len(names)}; the file was cut off."
        )
    return table


def _sweeps(record: _Record) -> np.ndarray:
    """Number of the sweep of each row: by the two dimensions, else by the steps of the second channel."""
    rows = len(record.values)
    points, count = (max(map(int, _whole(record.of(name))), default=0) for name in ("Dimension1", "Dimension2"))
    if count > 1 and points > 0:
        return np.arange(rows) // points
    stepped = [v for v, _ in record.channel("VAR2") if v in record.filled]
    if stepped:
        level = record[stepped[0]]
        return np.cumsum(np.concatenate([[False], np.diff(level) != 0]))
    counts = [int(n) for n in _whole(record.of("Measurement.Secondary.Count"))]
    if counts and counts[0] > 1 and rows % counts[0] == 0:
        return np.arange(rows) // (rows // counts[0])
    return np.zeros(rows, int)


def _whole(cells: list[str]) -> list[float]:
    numbers = [float(cell) for cell in cells if text_table.is_number(cell) and cell.lower() not in text_table.EMPTY]
    return [x for x in numbers if x == round(x) and 0 <= x < 1e9]


def _stepped(record: _Record) -> list[Flag]:
    """What the second channel was stepped through, which a loop has no column for; and sweeps that were cut off."""
    number = _sweeps(record)
    if number.max() == 0:
        return []
    sizes = np.bincount(number)
    flags = []
    names = [v for v, _ in record.channel("VAR2")]
    there = [name for name in names if name in record.filled]
    what = f"{' and '.join(names) or 'A second quantity'} was stepped"
    if there:
        steps = [record[there[0]][number == k][0] for k in range(len(sizes))]
        what += " through " + ", ".join(f"{v:g}" for v in steps[:8]) + (", ..." if len(steps) > 8 else "") + " V"
    flags.append(
        Flag("gate voltage left out", f"{what}: each of {len(sizes)} sweeps is a cycle, its voltage left out.")
    )
    if len(np.unique(sizes)) > 1:
        reason = f"Sweeps have {sizes.min()} to {sizes.max()} rows: the measurement was stopped, or the file cut off."
        flags.append(Flag("sweeps of unequal length", reason))
    return flags


def _once(flags: list[Flag]) -> list[Flag]:
    return list({(flag.name, flag.reason): flag for flag in flags}.values())


def _columns(file: File, record: _Record) -> tuple[str, str, str | None]:
    """Names of voltage and current of the swept channel, and of time if it is there.

    Raises:
        FileError: if there is no single such channel, or it is a gate, whose current is leakage.
    """
    names = record.filled
    pairs = [(v, i) for v, i in record.channel("VAR1") if v in names and i in names]
    if not pairs:
        by_letter = {letter: [name for name in names if name.upper().startswith(letter)] for letter in "VI"}
        pairs = (
            list(zip(by_letter["V"], by_letter["I"], strict=False))
            if all(len(n) == 1 for n in by_letter.values())
            else []
        )
    others = [name for name in names if name.upper().startswith("I")]
    if len(pairs) != 1:
        raise FileError(
            f"{file.path}: which of {', '.join(record.names)} are voltage and current of the swept channel is not stated (no "
            "single channel with Channel.Func VAR1); export only that voltage and that current, or name them.",
            _needs(record, next((n for n in names if n.upper().startswith("V")), ""), others[0] if others else ""),
        )
    v, i = pairs[0]
    if GATE.fullmatch(v):
        drain = [name for name in others if name != i]
        raise FileError(
            f"{file.path}: the swept voltage {v} is a gate's, and {i} its leakage, not the current of the device. Name the "
            f"voltage and the current that are meant ({', '.join(drain) or 'no other current was saved'}).",
            _needs(record, v, (drain or [i])[0]),
        )
    time = next((name for name in names if name.lower().startswith("time")), None)
    return v, i, time


def _needs(record: _Record, v: str, i: str) -> dict[str, list[str]]:
    """Columns of a sidecar, a name for each vector."""
    if not v or not i:
        return {}
    columns = ["v" if name == v else "i" if name == i else "-" for name in record.names]
    return {"columns": columns, "units": [{"v": "V", "i": "A"}.get(c, "1") for c in columns]}


def _others(record: _Record, v: str, i: str) -> list[Flag]:
    """Currents that were measured beside that of the swept channel, and are far larger."""
    peak = np.nanmax(np.abs(record[i]))
    large = {
        name: np.nanmax(np.abs(record[name])) for name in record.filled if name.upper().startswith("I") and name != i
    }
    large = {name: x for name, x in large.items() if x > LARGER * peak}
    if not large:
        return []
    said = ", ".join(f"{name} reaches {x:.2g} A" for name, x in large.items())
    reason = f"{i} of the swept {v} reaches {peak:.2g} A, but {said}: if that is the device's, `columns` can name it."
    return [Flag("larger current left out", reason)]


def _named(file: File, records: list[_Record], sweeps: np.ndarray, side: Mapping[str, Any], flags: list[Flag]) -> Trace:
    """The columns that the sidecar names, by the places of the vectors; in SI units, if it does not say others."""
    names = records[0].names
    if any(record.names != names for record in records) or len(side["columns"]) != len(names):
        raise FileError(
            f"{file.path} has the vectors {', '.join(names)}, but its sidecar names {len(side['columns'])} columns; name all, "
            "`-` to leave one out, and put results with other vectors into other files.",
            {"columns": ["-"] * len(names)},
        )
    values = np.concatenate([record.values for record in records])
    units = side.get("units", [])
    named = []
    for k, column in enumerate(side["columns"]):
        text = units[k] if k < len(units) else None
        if column != "-":
            unit = column_headers.unit(text) if text else column_headers.si(column)
            named.append((column, values[:, k], unit or column_headers.Unit("1")))
    given = {column for column, *_ in named}
    if sweeps.max() > 0 and {"v", "i"} <= given and "cycle" not in given:
        named.append(("cycle", sweeps, column_headers.Unit("")))
    left = [name for name, column in zip(names, side["columns"], strict=True) if column == "-"]
    if left:
        flags = [*flags, Flag("columns left out", f"{', '.join(left)}, as the sidecar says.")]
    return columns_to_trace.trace(file, named, side, NAME, (), _protocol(records[0]), _once(flags))


def _protocol(record: _Record) -> dict[str, float]:
    """Compliance [A] of the swept channel, if the file says it."""
    for key in ("Measurement.Primary.Compliance", "Channel.Compliance"):
        for cell in record.of(key)[:1]:
            if text_table.is_number(cell) and cell.lower() not in text_table.EMPTY:
                return {"compliance": float(cell)}
    return {}
