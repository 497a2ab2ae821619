"""Keithley 4200A-SCS Clarius: workbooks (`Run<n>`, `Append<n>`, `Calc`, `Settings`) and text exports of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import column_headers, columns_to_trace, text_table, workbook
from devices.instruments.formats import clarius_pairs
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "Keithley Clarius"
RUN = re.compile(r"Run(\d+)|Append(\d+)|(Data)")
TABLE = {"ILRS": "i_on", "IHRS": "i_off", "VSET": "v_set", "VRESET": "v_reset"}
combine = clarius_pairs.combine


def recognises(file: File) -> bool:
    """A workbook with a sheet `Settings` and runs or `Calc`; or text whose header names current and voltage of a terminal."""
    if file.is_workbook:
        names = workbook.sheet_names(file)
        return "Settings" in names and ("Calc" in names or any(RUN.fullmatch(name) for name in names))
    first = next((line for line in file.start if line.strip()), "")
    return text_table.separator(first) in ("\t", ",") and bool(_terminals(text_table.fields(first)))


def _terminals(header: list[str]) -> list[str]:
    """Names of terminals of which current and voltage are there: `A` of `AI`, `AV`; `Anode` of `AnodeI`, `AnodeV`."""
    return [name[:-1] for name in header if re.fullmatch(r"[A-Z][A-Za-z]*V", name) and name[:-1] + "I" in header]


def _order(name: str) -> tuple[bool, int]:
    """Runs by their numbers, those appended after all others; what is in no numbered sheet first."""
    run, appended, _ = RUN.fullmatch(name).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return appended is not None, int(run or appended or 0)


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One loop of all runs of each test, one cycle per run in order of run numbers; and the table of cycles if there is
    one."""
    if not file.is_workbook:
        rows = [text_table.fields(line) for line in file.text.split("\n") if line.strip()]
        return [_loop(file, {"": rows}, {})]
    sheets = workbook.sheets(file)
    settings = _settings(sheets.get("Settings", []))
    runs = {name: rows for name, rows in sheets.items() if RUN.fullmatch(name) and len(rows) > 1}
    tests: dict[str, dict[str, list]] = {}
    for name in sorted(runs, key=_order):
        tests.setdefault(_test(settings.get(name, {})), {})[name] = runs[name]
    if "columns" in side:
        return [_named(file, group, side) for group in tests.values()]
    traces = [_loop(file, group, settings) for group in tests.values()]
    traces += [_cycles(file, rows) for rows in sheets.values() if len(rows) > 2 and rows[0][:1] == ("Cycle",)]
    if not traces:
        raise FileError(
            f"{file.path} is a Clarius workbook without runs and without a table of cycles; export it again."
        )
    return traces


def _settings(rows: list[tuple]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Blocks of settings by name of the run's sheet: first cell -> other cells."""
    blocks: dict[str, dict[str, tuple[str, ...]]] = {}
    current: dict[str, tuple[str, ...]] = {}
    for row in rows:
        cells = [str(cell).strip() for cell in row if cell is not None]
        if cells and RUN.fullmatch(cells[0]):
            current = blocks.setdefault(cells[0], {})
        elif len(cells) > 1:
            current[cells[0]] = tuple(cells[1:])
    return blocks


def _test(block: Mapping[str, tuple[str, ...]]) -> str:
    return block.get("Test Name", ("",))[0].split("@")[0]


def _loop(file: File, runs: Mapping[str, list], settings: Mapping[str, dict]) -> Trace:
    parts, protocols = [], []
    for cycle, (name, rows) in enumerate(runs.items()):
        header = [str(cell) for cell in rows[0]]
        terminal = _swept(file, name, header, settings.get(name, {}))
        place = [header.index(terminal + letter) for letter in "VI"]
        place += [header.index("Time")] if "Time" in header else []
        values = np.array([[_number(row[k] if k < len(row) else None) for k in place] for row in rows[1:]])
        parts.append(np.column_stack([values, np.full(len(values), cycle)]))
        protocols.append(_protocol(settings.get(name, {}), terminal))
    names = [*("v", "i", "t")[: parts[0].shape[1] - 1], "cycle"]
    if len({part.shape[1] for part in parts}) > 1:
        raise FileError(f"{file.path}: some runs have a column Time and others do not; export them separately.")
    joined = np.concatenate(parts)
    shared = {k: v for k, v in protocols[0].items() if all(p.get(k) == v for p in protocols)}
    shared["runs"] = tuple(name for name in runs if name)
    columns = {name: joined[:, k] for k, name in enumerate(names)}
    trace = Trace("loop", columns, (str(file.path),), NAME, (file.path.stem,), shared)
    varying = sorted({k for p in protocols for k in p} - set(shared))
    return trace.flagged(Flag("settings differ", f"The runs differ in {', '.join(varying)}.")) if varying else trace


def _named(file: File, runs: Mapping[str, list], side: Mapping[str, Any]) -> Trace:
    """The columns that the sidecar names, by their places in the runs of a test, each a cycle of a loop.

    Raises:
        FileError: if the runs do not have that many columns.
    """
    header = [str(cell) for cell in next(iter(runs.values()))[0]]
    if any([str(cell) for cell in rows[0]] != header for rows in runs.values()) or len(side["columns"]) != len(header):
        raise FileError(
            f"{file.path} has runs with the columns {', '.join(header)}, but its sidecar names {len(side['columns'])}; "
            "name all, `-` to leave one out."
        )
    values = np.array(
        [
            [_number(row[k] if k < len(row) else None) for k in range(len(header))]
            for rows in runs.values()
            for row in rows[1:]
        ]
    )
    units = side.get("units", [])
    named = []
    for k, column in enumerate(side["columns"]):
        unit = column_headers.unit(units[k]) if k < len(units) else column_headers.si(column)
        named.append((column, values[:, k], unit or column_headers.Unit("1")))
    if {"v", "i"} <= set(side["columns"]) and "cycle" not in side["columns"]:
        number = np.repeat(np.arange(len(runs)), [len(rows) - 1 for rows in runs.values()])
        named.append(("cycle", number, column_headers.Unit("")))
    return columns_to_trace.trace(file, named, side, NAME)


def _number(cell: Any) -> float:
    """A cell's number; `#REF` and empty cells are NaN."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan


def _swept(file: File, name: str, header: list[str], block: Mapping[str, tuple[str, ...]]) -> str:
    """Letter of the terminal that was swept: the only one measured, or the one that Settings calls a sweep."""
    found = _terminals(header)
    modes = dict(zip(block.get("Device Terminal", ()), block.get("Operation Mode", ()), strict=False))
    swept = [t for t in found if "Sweep" in modes.get(t, "Sweep" if len(found) == 1 else "")]
    if len(swept) != 1:
        raise FileError(
            f"{file.path}, {name or 'its columns'}: the terminals {', '.join(found) or '(none)'} have current and voltage, "
            "and Settings does not say which one was swept; export only the columns "
            "Time, AI, AV of that terminal as text."
        )
    return swept[0]


def _protocol(block: Mapping[str, tuple[str, ...]], terminal: str) -> dict[str, Any]:
    """Compliance [A], start, stop and step [V], name of the test, and date, as far as Settings gives them."""
    terminals = block.get("Device Terminal", ())
    at = terminals.index(terminal) if terminal in terminals else 0
    numbers = {"compliance": "Compliance", "v_start": "Start/Bias", "v_stop": "Stop", "v_step": "Step"}
    found = {k: _number(block[label][at]) for k, label in numbers.items() if label in block and at < len(block[label])}
    found = {k: v for k, v in found.items() if np.isfinite(v)}
    first = {"date": "Last Executed", "version": "Clarius+ Version"}
    words = {"test": _test(block), **{k: block[label][0] for k, label in first.items() if label in block}}
    if "Dual Sweep" in block:
        words["dual_sweep"] = block["Dual Sweep"][at] if at < len(block["Dual Sweep"]) else ""
    return {**found, **{k: v for k, v in words.items() if v}}


def _cycles(file: File, rows: list[tuple]) -> Trace:
    """The table of cycles: what the SET tests say about the on state and the RESET tests of the off state."""
    tests, outputs = rows[0], rows[1]
    values = np.array([[_number(cell) for cell in (*row, *[None] * (len(outputs) - len(row)))] for row in rows[2:]])
    columns, used = {"cycle": values[:, 0]}, []
    for k, (test, output) in enumerate(zip(tests, outputs, strict=False)):
        right = str(test).startswith("SET") if output in ("ILRS", "VSET") else str(test).startswith("RESET")
        if output in TABLE and right and np.isfinite(values[:, k]).any():
            columns[TABLE[output]] = values[:, k]
            used.append(f"{TABLE[output]} = {output} of {test}")
    reason = f"{'; '.join(used)}. Clarius writes magnitudes: the sign of the sweep is in the test's name."
    trace = Trace("cycles", columns, (str(file.path),), NAME, (file.path.stem,))
    return trace.flagged(Flag("magnitudes", reason))
