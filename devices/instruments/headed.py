"""Text tables with a line of headers: `Voltage (V),I [uA]` and the like, with or without units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import assemble, sidecar, table, units
from devices.instruments.source import File
from devices.instruments.trace import UNITS, FileError, Trace

NAME = "table with headers"
SEVERAL_FILES = True  # another file may be another device or cycle


def recognises(file: File) -> bool:
    """A line of words whose most part names known columns, with a line of as many numbers below it."""
    return _header_line(file) is not None


def _header_line(file: File) -> int | None:
    for k, line in enumerate(file.start[:40]):
        following = next((after for after in file.start[k + 1 :] if after.strip()), "")
        if table.numeric(line):
            return None
        if not _like_numbers(following, len(_names(line))):
            continue
        known = [units.header(name).column for name in _names(line)]
        if sum(column is not None for column in known) >= max(1, len(known) / 3):
            return k
    return None


def _like_numbers(line: str, count: int) -> bool:
    """Whether at least as many fields as headers stand in a line (more with decimal commas), half of them numbers or more."""
    parts = table.fields(line)
    return len(parts) >= count and 2 * sum(table.is_number(part.replace(",", ".")) for part in parts) >= len(parts) > 0


def _names(line: str) -> list[str]:
    sign = table.separator(line)
    return [name.lstrip("#% ") for name in (table.fields(line, sign) if sign else line.split())]


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace of the columns whose headers are known; others are left out."""
    place = _header_line(file)
    if place is None:
        raise FileError(f"{file.path} has no line of headers with numbers below it.")
    names = _names(file.start[place])
    first = next(line for line in file.start[place + 1 :] if line.strip())
    table.check_locale(file, names, first)
    headers = [units.header(name) for name in names]
    values, labels = _values(file, place + 1, headers, first)
    if values.shape[1] != len(names):
        raise FileError(
            f"{file.path} has {len(names)} headers but {values.shape[1]} columns of numbers; mend its header."
        )
    if "columns" in side:
        given = (side["columns"] + ["-"] * len(names))[: len(names)]
        headers = [units.Header(h.text, None if c == "-" else c, h.unit) for c, h in zip(given, headers, strict=True)]
    named = [(h.column or "-", values[:, k], _unit(file, h, k, side, headers, first)) for k, h in enumerate(headers)]
    result = assemble.trace(file, named, side, NAME, labels)
    return [result]


def _unit(file: File, header: units.Header, k: int, side: Mapping[str, Any], headers: list, first: str) -> units.Unit:
    """Unit of the header, else of the sidecar; asked for if neither says it."""
    given = side.get("units", [])
    if k < len(given):
        return units.unit(given[k]) or units.Unit("1")
    if header.column is None or units.dimension(header.column) == "":
        return units.Unit("")
    if header.unit is not None:
        return header.unit
    guess = [UNIT_EXAMPLES.get(units.dimension(h.column), "1") if h.column else "1" for h in headers]
    body = f"units = {guess}  # of {', '.join(h.text for h in headers)}".replace("'", '"')
    raise FileError(
        f"{file.path}: the header {header.text!r} has no unit, and units are not guessed. Write it into the header "
        f"({header.text} ({UNIT_EXAMPLES.get(units.dimension(header.column), 'V')})), or: "
        + sidecar.example(file.path, first, len(headers), body)
    )


UNIT_EXAMPLES = {"V": "V", "A": "uA", "s": "s", "S": "uS", "ohm": "kohm", "K": "C"}


def _values(file: File, skip: int, headers: list[units.Header], first: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers of all rows; a column of device names becomes whole numbers, and the names."""
    parts = table.fields(first)
    words = [k for k, part in enumerate(parts) if not table.is_number(part.replace(",", "."))]
    comma = table.has_decimal_comma(file, first)
    if not words:
        return table.numbers(file, skip, comma), ()
    device = next((k for k in words if k < len(headers) and headers[k].column == "device"), None)
    if any(k != device and k < len(headers) and headers[k].column in UNITS for k in words):
        raise FileError(
            f"{file.path}, first row: {parts[words[0]]!r} is no number; only a column `device` may hold names."
        )
    return _with_names(file, skip, words, device, comma, len(headers))


def _with_names(file: File, skip: int, words: list[int], device: int | None, comma: bool, count: int):
    names: dict[str, int] = {}
    rows = []
    for number, line in enumerate(file.text.split("\n")[skip:], start=skip + 1):
        parts = table.fields(line)
        if not line.strip():
            continue
        if len(parts) != count:
            raise FileError(
                f"{file.path}, line {number}: {len(parts)} columns, but the header has {count}; mend that line."
            )
        code = names.setdefault(parts[device], len(names)) if device is not None else 0
        parts = [str(code) if k == device else "" if k in words else part for k, part in enumerate(parts)]
        rows.append("\t".join(parts).replace(",", ".") if comma else "\t".join(parts))
    clean = [[float("nan") if not table.is_number(p) or p.lower() in table.EMPTY else float(p) for p in row.split("\t")]
             for row in rows]  # fmt: skip
    return np.array(clean), tuple(names)
