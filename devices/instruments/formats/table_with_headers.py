"""Text tables with a line of headers: `Voltage (V),I [uA]` and the like, with or without units."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from devices.instruments import column_headers, columns_to_trace, table_words, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "table with headers"
SEVERAL_FILES = True  # another file may be another device or cycle


@dataclasses.dataclass(frozen=True)
class _Head:
    """Where a table starts: its headers, with their units, and how many lines there are before its numbers."""

    names: tuple[str, ...]
    skip: int


def recognises(file: File) -> bool:
    """A line of words, most of which name known columns, with a line of equally many numbers below it."""
    return _head(file) is not None


def only_headers(file: File) -> bool:
    """Whether there is a line of known columns but nothing below it."""
    lines = [line for line in file.start if line.strip()]
    known = [column_headers.header(name) for name in _names(lines[-1])] if lines else []
    return len(known) > 1 and all(h.column and h.unit for h in known)


def _head(file: File) -> _Head | None:
    """The line of headers that names most known columns; units may stand in the line below it."""
    best, most = None, 0
    for k, line in enumerate(file.start[:40]):
        if text_table.numeric(line):
            break
        names = _names(line)
        below = [(j, after) for j, after in enumerate(file.start[k + 1 :], k + 1) if _tells(after)]
        if below and len(names) == len(units_below := _names(below[0][1])) and _are_units(units_below):
            brackets = ((n, u.strip("()[]")) for n, u in zip(names, units_below, strict=True))
            names = [f"{name} ({text})" if text else name for name, text in brackets]
            below = below[1:]
        if not below or not _like_numbers(below[0][1], len(names)):
            continue
        known = sum(column_headers.header(name).column is not None for name in names)
        if known > most and known >= len(names) / 3:
            best, most = _Head(tuple(names), below[0][0]), known
    return best


def _tells(line: str) -> bool:
    return bool(line.strip()) and not text_table.comment(line)


def _are_units(texts: list[str]) -> bool:
    """Whether all of some fields are units, with or without brackets, or empty, and some are units of something."""
    found = [column_headers.unit(text.strip("()[]")) for text in texts]
    return None not in found and any(u is not None and u.dimension not in ("", "1") for u in found)


def _like_numbers(line: str, count: int) -> bool:
    """Whether at least as many fields as headers stand in a line (more with decimal commas), half of them numbers or more."""
    parts = text_table.fields(line, count=count)
    return (
        len(parts) >= count
        and 2 * sum(text_table.is_number(part.replace(",", ".")) for part in parts) >= len(parts) > 0
    )


def _names(line: str) -> list[str]:
    """Fields of a line of words; a unit in brackets belongs to the word before it."""
    sign = text_table.separator(line)
    parts = text_table.fields(line, sign) if sign else re.split(r"(?<!/)\s+(?![\(\[/])", line.strip())
    return [name.lstrip("#% ").strip() for name in parts]


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace of the columns whose headers are known; others are left out, which a flag says."""
    head = _head(file)
    if head is None:
        raise FileError(f"{file.path} has no line of headers with numbers below it.")
    names = head.names
    lines = [line for line in file.start[head.skip :] if _tells(line)]
    text_table.check_locale(file, list(names), lines[0])
    headers = [column_headers.header(name) for name in names]
    if "columns" in side:
        given = (side["columns"] + ["-"] * len(names))[: len(names)]
        headers = [
            column_headers.Header(h.text, None if c == "-" else c, h.unit) for c, h in zip(given, headers, strict=True)
        ]
    clocks = _clocks(headers, lines[0])
    comma = text_table.has_decimal_comma(file, lines)
    values, headers, labels, words = table_words.values(file, head.skip, headers, comma, clocks, "columns" in side)
    if values.shape[1] != len(names):
        raise FileError(
            f"{file.path} has {len(names)} headers but {values.shape[1]} columns of numbers; correct its header."
        )
    for k in clocks:
        headers[k] = dataclasses.replace(headers[k], unit=column_headers.Unit("s"))
        values[:, k] = text_table.since_first(values[:, k])
    headers = columns_to_trace.most_certain(headers)
    named = [(h.column or "-", values[:, k], _unit(file, h, k, side)) for k, h in enumerate(headers)]
    notes = [*columns_to_trace.about_headers(headers, asked="columns" in side), *words]
    if clocks:
        reason = (
            "Dates and times of day became seconds since the first row: where that was not the write, ages are too low."
        )
        notes.append(Flag("assumed times", reason))
    absolute = any(h.column == "i" and column_headers.magnitude(h.text) for h in headers)
    unsure = {h.column for h in headers if h.column and not h.sure}
    result = columns_to_trace.trace(file, named, side, NAME, labels, flags=notes, absolute=absolute, unsure=unsure)
    return [result]


def _unit(file: File, header: column_headers.Header, k: int, side: Mapping[str, Any]) -> column_headers.Unit:
    """Unit of the header, else of the sidecar; asked for if neither says it."""
    given = side.get("units", [])
    if k < len(given):
        return column_headers.unit(given[k]) or column_headers.Unit("1")
    if header.column is None or column_headers.dimension(header.column) == "":
        return column_headers.Unit("")
    if header.unit is not None:
        return header.unit
    raise FileError(
        f"{file.path}: the header {header.text!r} has no unit, and units are not guessed. Write it into the header "
        f"({header.text} ({UNIT_EXAMPLES.get(column_headers.dimension(header.column), 'V')})), or into a sidecar."
    )


UNIT_EXAMPLES = {"V": "V", "A": "uA", "s": "s", "S": "uS", "ohm": "kohm", "K": "C"}


def _clocks(headers: list[column_headers.Header], line: str) -> set[int]:
    """Columns of times that are dates or times of day."""
    parts = text_table.fields(line, count=len(headers))
    times = [
        k for k, h in enumerate(headers) if h.column == "t" and k < len(parts) and not text_table.is_number(parts[k])
    ]
    return {k for k in times if text_table.clock(parts[k]) is not None}
