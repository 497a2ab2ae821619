"""Tables of numbers in text: which separator, which decimal sign, and all numbers at once."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Sequence

import numpy as np

from devices.instruments.source import File
from devices.instruments.trace import FileError

EMPTY = {
    "",
    "#ref",
    "#ref!",
    "#n/a",
    "#value!",
    "#div/0!",
    "nan",
    "na",
    "n/a",
    "null",
    "none",
    "-",
    "--",
    "inf",
    "-inf",
    "+inf",
    "overflow",
    "ovrflw",
    "overflw",
}
COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


def separator(line: str) -> str | None:
    """Separator of a line of fields: tab, semicolon, comma, or None for blanks."""
    return next((sign for sign in "\t;," if sign in line), None)


def fields(line: str, sign: str | None = "guess", count: int = 0) -> list[str]:
    """The fields of one line, without blanks around them; a comma at its end adds none beyond `count`."""
    sign = separator(line) if sign == "guess" else sign
    parts = line.split() if sign is None else next(csv.reader([line], delimiter=sign), [])
    parts = [part.strip() for part in parts]
    return parts[:-1] if len(parts) > max(count, 1) and parts[-1] == "" and sign == "," else parts


def comment(line: str) -> bool:
    """Whether a line is a comment on the numbers and holds none."""
    line = line.strip()
    return line.startswith(("#", "%", "!")) and fields(line)[0].lower() not in EMPTY


def is_number(text: str) -> bool:
    """Whether a field is a number or one of the words that stand for a missing one."""
    return text.lower() in EMPTY or _float(text) is not None


def numeric(line: str) -> bool:
    """Whether a line holds numbers only, and at least one."""
    parts = fields(line)
    return bool(parts) and all(map(is_number, parts)) and any(_float(part) is not None for part in parts)


def clock(text: str) -> float | None:
    """Seconds of an ISO date and time (`2026-03-01 12:00:05.25`), or since midnight of a time of day (`12:00:05.25`)."""
    if ":" not in text:
        return None
    for parse in (datetime.datetime.fromisoformat, datetime.time.fromisoformat):
        try:
            found = parse(text.replace("/", "-"))
        except ValueError:
            continue
        if isinstance(found, datetime.datetime):
            return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()
        return 3600.0 * found.hour + 60.0 * found.minute + found.second + 1e-6 * found.microsecond
    return None


def since_first(seconds: np.ndarray) -> np.ndarray:
    """Seconds since the first row that has a time; where a time of day falls by half a day or more, a new day has begun."""
    there = np.flatnonzero(np.isfinite(seconds))
    found = np.full(len(seconds), np.nan)
    if len(there):
        seen = seconds[there]
        found[there] = seen - seen[0] + 86400.0 * np.cumsum(np.diff(seen, prepend=seen[0]) < -43200.0)
    return found


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def numbers(file: File, skip: int = 0, decimal_comma: bool = False) -> np.ndarray:
    """Rows and columns of the numbers after the first `skip` lines; missing ones (`#REF`, empty) are NaN.

    Raises:
        FileError: if rows differ in length, a field is not a number, or nothing is left.
    """
    lines = file.text.split("\n")[skip:] if skip else None
    text = file.text if lines is None else "\n".join(lines)
    first = next((line for line in text.split("\n") if line.strip()), "")
    if not first:
        raise FileError(f"{file.path} has no row of numbers after line {skip}; export it again with its data.")
    sign = separator(first)
    if decimal_comma:
        text = text.replace(",", ".")
    try:
        return np.loadtxt(io.StringIO(text), delimiter=sign, ndmin=2, comments=None)
    except ValueError:
        return _slowly(file, text, sign, skip)


def _slowly(file: File, text: str, sign: str | None, skip: int) -> np.ndarray:
    """Row by row, so that missing numbers become NaN and the message can name the line."""
    rows: list[list[float]] = []
    for number, line in enumerate(text.split("\n"), start=skip + 1):
        if not line.strip() or comment(line):
            continue
        parts = fields(line, sign, len(rows[0]) if rows else 0)
        values = [np.nan if part.lower() in EMPTY else _float(part) for part in parts]
        if None in values:
            bad = parts[values.index(None)]
            raise FileError(f"{file.path}, line {number}: {bad!r} is not a number{_hint(bad)}.")
        if rows and len(values) != len(rows[0]):
            raise FileError(
                f"{file.path}, line {number}: {len(values)} columns, but {len(rows[0])} in the rows before it; "
                "the file was cut off or joined from two tables: correct or split it."
            )
        rows.append(values)  # type: ignore[arg-type]
    if not rows:
        raise FileError(f"{file.path} has no row of numbers after line {skip}; export it again with its data.")
    return np.array(rows)


def _hint(text: str) -> str:
    if COMMA_NUMBER.fullmatch(text):
        return "; it looks like a decimal comma: export the file with a point, or with `;` between its columns"
    return f"; missing numbers may be empty or {', '.join(sorted(w for w in EMPTY if w.startswith('#')))}"


def has_decimal_comma(file: File, lines: Sequence[str]) -> bool:
    """Whether any numbers have commas (`0,25;1,2E-6`), which is read where the columns are told apart by something else.

    Raises:
        FileError: if commas may be decimal signs as well as separators, so that the columns cannot be told apart.
    """
    sign = next((separator(line) for line in lines if line.strip()), None)
    if sign in ("\t", ";"):
        parts = [part for line in lines for part in fields(line, sign)]
        points = any("." in part and _float(part) is not None for part in parts)  # then a comma is a typo in one cell
        return not points and any(map(COMMA_NUMBER.fullmatch, parts))
    for line in lines:
        blanks = line.split()
        if separator(line) == "," and len(blanks) > 1 and all(COMMA_NUMBER.fullmatch(part) for part in blanks):
            raise FileError(f"{file.path} has decimal commas ({blanks[0]}); export it with decimal points.")
    return False


def check_locale(file: File, header: list[str], line: str) -> None:
    """Refuse rows with twice as many fields as their header: decimal commas between commas.

    Raises:
        FileError: in that case.
    """
    parts = fields(line, ",")
    if separator(line) == "," and header and len(parts) > len(header) and all(map(is_number, parts)):
        raise FileError(
            f"{file.path} has {len(header)} headers but {len(parts)} fields in its first row ({line[:60]}): these are decimal "
            "commas between separating commas, which cannot be told apart. Export it with decimal points or with `;`."
        )


def check_headerless_locale(file: File, lines: list[str]) -> None:
    """Refuse `0,25,0,0012`: every second field a whole number followed by digits that only make sense after a comma.

    Raises:
        FileError: in that case.
    """
    rows = [fields(line, ",") for line in lines[:50] if separator(line) == ","]
    if len(rows) < 3 or len(rows[0]) % 2 or any(len(row) != len(rows[0]) for row in rows):
        return
    whole = all(re.fullmatch(r"[+-]?\d+", part) for row in rows for part in row[::2])
    tails = [part for row in rows for part in row[1::2]]
    leading_zero = sum(bool(re.fullmatch(r"0\d+(?:[eE][+-]?\d+)?", part)) for part in tails)
    if whole and leading_zero and all(re.fullmatch(r"\d+(?:[eE][+-]?\d+)?", part) for part in tails):
        raise FileError(
            f"{file.path} looks like decimal commas between separating commas ({','.join(rows[0])[:60]}), which "
            "cannot be told apart. Export it with decimal points or with `;` between columns."
        )
