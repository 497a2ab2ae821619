"""Where the numbers of a text begin, whatever stands above and between them, and the first of them as a table."""

from __future__ import annotations

import re

import numpy as np

from devices.instruments import text_table
from devices.instruments.column_guesses import Table
from devices.instruments.source import File

LINES = 100  # within which numbers must begin
ROWS = 2000  # of an excerpt


def begin(file: File) -> int | None:
    """The line with which rows of numbers start: at once (comments do not count), or three rows of equally many
    numbers."""
    lines, words = file.start[:LINES], False
    for k, line in enumerate(lines):
        if not line.strip() or text_table.comment(line):
            continue
        if _numbers(file, line):
            block = [
                after for after in lines[k : k + 3] if len(text_table.fields(after)) == len(text_table.fields(line))
            ]
            if not words or (len(block) == 3 and all(_numbers(file, after) for after in block)):
                return k
        words = True
    return None


def begin_with_words(file: File) -> int | None:
    """The first line of rows that hold numbers beside words: three rows with equally many fields, half of them numbers;
    or fewer, at the end of the file, below a line of equally many names."""
    lines = file.start[:LINES]
    for k, line in enumerate(lines):
        rows = [after for after in lines[k : k + 12] if _tells(after)][:3]
        counts = {len(text_table.fields(row)) for row in rows}
        enough = len(rows) == 3 or any(_names(file, k, len(text_table.fields(line))))
        if _tells(line) and enough and len(counts) == 1 and all(_half_numbers(row) for row in rows):
            return k
    return None


def _numbers(file: File, line: str) -> bool:
    return text_table.numeric(line) or (text_table.has_decimal_comma(file, [line]) and _half_numbers(line, 1.0))


def _tells(line: str) -> bool:
    return bool(line.strip()) and not text_table.comment(line)


def _half_numbers(line: str, share: float = 0.5) -> bool:
    """Whether the given number of fields of a line are numbers, with points or decimal commas."""
    parts = text_table.fields(line)
    numbers = [p for p in parts if re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", p)]
    return len(numbers) >= max(1.0, share * len(parts))


def table(file: File) -> Table | None:
    """The first rows of a text as a table, with the line above them as names where it has as many fields, or None.

    Words among the numbers, and missing ones, are NaN.
    """
    found = [k for k in (begin(file), begin_with_words(file)) if k is not None]
    if not found:
        return None
    first = min(found)
    lines = [line for line in file.start[first : first + ROWS] if _tells(line)]
    comma = text_table.has_decimal_comma(file, lines)
    count = len(text_table.fields(lines[0]))
    rows = [text_table.fields(line, count=count) for line in lines]
    rows = [row for row in rows if len(row) == count]
    values = np.array([[_value(cell.replace(",", ".") if comma else cell) for cell in row] for row in rows])
    return Table(_names(file, first, count), values.reshape(len(rows), count), lines[0])


def _value(cell: str) -> float:
    try:
        return float(cell) if cell.lower() not in text_table.EMPTY else np.nan
    except ValueError:
        return np.nan


def _names(file: File, first: int, count: int) -> tuple[str, ...]:
    for line in reversed(file.start[:first]):
        parts = [part.lstrip("#%! ").strip() for part in text_table.fields(line, count=count)]
        if len(parts) == count and not any(part and text_table.is_number(part) for part in parts):
            return tuple(parts)
        if line.strip():
            break
    return ("",) * count
