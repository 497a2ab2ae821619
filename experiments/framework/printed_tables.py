"""Tables printed for a terminal, turned into tables that can be sorted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from experiments.framework.experiment import Table

LEAST_CELLS = 6  # in a table; tables with fewer stay as they were printed
PREFIXES = {"": 0, "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12}
_QUANTITY = re.compile(r"[x~<>]?\s*[-+]?\d[\d.,e+-]*\s*(%|[a-zA-Zµ]{1,3})?(\s*(±|\.\.|\s-\s).*)?")  # no heading
_NUMBER = re.compile(
    r"(?:[x~<>≤≥]\s*)?([-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)\s*(?:([afpnuµmkMGT]?)(?:J|s|S|V|A|W|Hz|B)\b)?"
)


def pieces(text: str) -> Iterator[str | Table]:
    """Paragraphs and tables of a printed text, in order; anything that is not certainly a table stays text.

    A table is a sequence of lines with the same number of cells (two or more), separated by two spaces or more.
    """
    for block in re.split(r"\n\s*\n", text):
        lines, start = block.splitlines(), 0
        while start < len(lines):
            end = _end(lines, start)
            if _is_table(lines, start, end):
                rows = [_cells(line) for line in lines[start:end]]
                headless = any(_QUANTITY.fullmatch(cell) for cell in rows[0])
                heads, body = (("",) * len(rows[0]), rows) if headless else (tuple(rows[0]), rows[1:])
                yield Table("", heads, tuple(tuple(map(_cell, row)) for row in body))
            else:
                end = start + 1
                while end < len(lines) and not _is_table(lines, end, _end(lines, end)):
                    end += 1
                yield "\n".join(lines[start:end])
            start = end


def _is_table(lines: list[str], start: int, end: int) -> bool:
    return end - start > 1 and (end - start) * len(_cells(lines[start])) >= LEAST_CELLS


def _cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def _end(lines: list[str], start: int) -> int:
    """Where the rows with as many cells as the one at `start` end."""
    count, end = len(_cells(lines[start])), start
    while count > 1 and end < len(lines) and len(_cells(lines[end])) == count:
        end += 1
    return end


def _cell(text: str) -> tuple[float, str] | str:
    """A text with the number it is sorted by: the one it begins with, including SI prefixes."""
    match = _NUMBER.match(text)
    if match is None:
        return text
    value = float(match[1].replace(",", "")) * 10.0 ** PREFIXES[match[2] or ""]
    return (value, text) if math.isfinite(value) else text
