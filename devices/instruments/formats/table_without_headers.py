"""Tables of numbers without headers, whose columns the sidecar names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.instruments import columns_to_trace, excerpt, table_words, text_table
from devices.instruments.column_headers import Header, Unit, unit
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "table without headers"
SEVERAL_FILES = True


def recognises(file: File) -> bool:
    """Numbers from the first line on (comments do not count), or at least three lines of equally many numbers further
    down."""
    return excerpt.begin(file) is not None


def holds(file: File, count: int) -> bool:
    """Whether there are rows of that many fields, half of them numbers or more, whose columns a sidecar may name."""
    first = excerpt.begin_with_words(file)
    return first is not None and len(text_table.fields(file.start[first])) == count


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace with the columns that the sidecar names.

    Raises:
        FileError: if it does not name them, or too many or too few.
    """
    first = excerpt.begin(file)
    skip = side.get("skip_rows", (excerpt.begin_with_words(file) or 0) if first is None else first)
    lines = [line for line in file.start[skip:] if line.strip() and not text_table.comment(line)]
    if not lines:
        raise FileError(f"{file.path} has no numbers after {skip} lines.")
    text_table.check_headerless_locale(file, lines)
    comma = text_table.has_decimal_comma(file, lines)
    count = len(text_table.fields(lines[0]))
    if "columns" not in side or "units" not in side:
        missing = " and ".join(key for key in ("columns", "units") if key not in side)
        raise FileError(
            f"{file.path} holds {count} columns of numbers without known headers, and nothing says their {missing}."
        )
    names, texts = side["columns"], side["units"]
    if len(names) != count or len(texts) != count:
        raise FileError(
            f"{file.path} has {count} columns, but the sidecar names {len(names)} columns and {len(texts)} units; name every "
            'column, `"-"` for those to leave out. First row: ' + lines[0][:120]
        )
    headers = [Header("", None if n == "-" else n, _unit(t)) for n, t in zip(names, texts, strict=True)]
    values, headers, labels, flags = table_words.values(file, skip, headers, comma, set(), True)
    named = [(h.column or "-", values[:, k], _unit(texts[k])) for k, h in enumerate(headers)]
    return [columns_to_trace.trace(file, named, side, NAME, labels, flags=flags)]


def _unit(text: str) -> Unit:
    return unit(text) or Unit("1")
