"""Tables of numbers without headers, whose columns the sidecar names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.instruments import column_headers, columns_to_trace, sidecar, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "table without headers"
SEVERAL_FILES = True
EXAMPLES = {
    1: """
kind = "noise"
columns = ["g"]
units = ["uS"]

[protocol]
# rate = 400.0   # reads in a second [Hz]
""",
    2: """
kind = "loop"
columns = ["v", "i"]   # or kind = "pulses" with ["g_up", "g_down"], G after up and after down pulses
units = ["V", "uA"]    # "1" for normalised values

[protocol]   # take off the # from what you know
# series_resistance = 5000.0   # in series with the device [ohm]
# frequency = 10.0             # of the sweep [Hz]
""",
    3: """
kind = "loop"
columns = ["t", "v", "i"]
units = ["s", "V", "uA"]
""",
}


def recognises(file: File) -> bool:
    """Numbers from the first line on (comments do not count), or at least three lines of as many numbers further down."""
    return _first(file) is not None


def _first(file: File) -> int | None:
    """Line with which the numbers start."""
    lines, words = file.start[:100], False
    for k, line in enumerate(lines):
        if not line.strip() or text_table.comment(line):
            continue
        if text_table.numeric(line) or text_table.has_decimal_comma(file, [line]):
            block = [
                after for after in lines[k : k + 3] if len(text_table.fields(after)) == len(text_table.fields(line))
            ]
            if not words or (len(block) == 3 and all(map(text_table.numeric, block))):
                return k
        words = True
    return None


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace with the columns that the sidecar names.

    Raises:
        FileError: if it does not name them, or too many or too few; the message shows a sidecar to copy.
    """
    skip = side.get("skip_rows", _first(file) or 0)
    lines = [line for line in file.start[skip:] if line.strip() and not text_table.comment(line)]
    if not lines:
        raise FileError(f"{file.path} has no numbers after {skip} lines.")
    text_table.check_headerless_locale(file, lines)
    comma = text_table.has_decimal_comma(file, lines)
    count = len(text_table.fields(lines[0]))
    if "columns" not in side or "units" not in side:
        missing = " and ".join(key for key in ("columns", "units") if key not in side)
        rest = count - 2
        body = EXAMPLES.get(count) or f"columns = {['v', 'i', *'-' * rest]}\nunits = {['V', 'uA', *'1' * rest]}"
        raise FileError(
            f"{file.path} holds {count} columns of numbers without known headers, and nothing says their {missing}. "
            + sidecar.example(file.path, lines[0], count, body.replace("'", '"'))
        )
    names, texts = side["columns"], side["units"]
    if len(names) != count or len(texts) != count:
        raise FileError(
            f"{file.path} has {count} columns, but the sidecar names {len(names)} columns and {len(texts)} units; name every "
            'column, `"-"` for those to leave out. First row: ' + lines[0][:120]
        )
    values = text_table.numbers(file, skip, comma)
    return [columns_to_trace.trace(file, [(n, values[:, k], _unit(texts[k])) for k, n in enumerate(names)], side, NAME)]


def _unit(text: str) -> column_headers.Unit:
    return column_headers.unit(text) or column_headers.Unit("1")
