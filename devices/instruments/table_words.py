"""Words in the rows of a table: which device was read (`A1`, chip `B`), and the direction of a pulse (`SET`, `LTD`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from devices.instruments import text_table
from devices.instruments.column_headers import Header
from devices.instruments.column_words import plain
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag

IDS = ("device", "place")
WORDY = (*IDS, "level", "direction", "polarity")  # columns that may hold words
UP = "up set ltp potentiation potentiate potentiating pot p increase inc 增强 増強 セット"
DOWN = "down reset ltd depression depress depressing dep d decrease dec 抑制 抑圧 リセット"
PLUS = "pos positive plus 正"
MINUS = "neg negative minus n 负 負"
_DIRECTIONS = {plain(w): s for words, s in ((UP, 1.0), (DOWN, -1.0)) for w in words.split()}
_SIGNS = {plain(w): s for words, s in ((PLUS, 1.0), (MINUS, -1.0)) for w in words.split()} | {"+": 1.0, "-": -1.0}


def values(
    file: File, skip: int, headers: Sequence[Header], comma: bool, clocks: set[int], asked: bool
) -> tuple[np.ndarray, list[Header], tuple[str, ...], list[Flag]]:
    """Numbers of all rows; headers, with what the words in the rows reveal; the names of devices; and what was assumed.

    Several columns that identify the device (chip, cell, word line and bit line) become one column of devices. A column
    of unknown name that holds only words for pulses up and down gives their direction. Words in other unknown columns
    are left out.

    Args:
        skip: lines above the rows. comma: whether numbers have decimal commas. clocks: columns of dates or times of day.
        asked: whether a sidecar names the columns, so that unknown ones are unwanted.

    Raises:
        FileError: if a row has another number of columns than the header, or a word where a number belongs.
    """
    headers = list(headers)
    wordy = {k for k, h in enumerate(headers) if h.column in WORDY or h.column is None}
    first = next(line for line in file.text.split("\n")[skip:] if line.strip() and not text_table.comment(line))
    plain_numbers = all(text_table.is_number(p.replace(",", ".")) for p in text_table.fields(first, count=len(headers)))
    found = None
    if not clocks and plain_numbers and not _signs(first, headers):
        try:
            found = text_table.numbers(file, skip, comma)
        except FileError:
            if not wordy:  # there may be words further down, in a column that does not count
                raise
    names: dict[int, tuple[str, ...]] = {}
    flags: list[Flag] = []
    if found is None:
        cells = _cells(file, skip, len(headers), wordy, clocks, comma)
        found = np.full((len(cells), len(headers)), np.nan)
        for k, column in enumerate(zip(*cells, strict=True)):
            found[:, k], headers[k], names[k] = _column(column, headers[k], asked)
            flags += _taken(column, headers[k], found[:, k])
    return (*_one_device(file, found, headers, names), flags)


def _taken(cells: Sequence[str | float], header: Header, codes: np.ndarray) -> list[Flag]:
    """Which words were taken for which direction of pulses, apart from `up` and `down`."""
    if header.column != "direction" or not isinstance(cells[0], str):
        return []
    ways = {str(cell): code for cell, code in zip(cells, codes, strict=True)}
    if {plain(word) for word in ways} <= {"up", "down"} or all(map(text_table.is_number, ways)):
        return []
    said = ", ".join(f"{word} is {'up' if code > 0 else 'down'}" for word, code in ways.items())
    return [Flag("assumed directions", f"Pulses from the words of {header.text!r}: {said} (of the conductance).")]


def _signs(line: str, headers: Sequence[Header]) -> bool:
    """Whether a lone sign stands in a column of directions: `-` is not a missing number there."""
    parts = text_table.fields(line, count=len(headers))
    return any(p in ("+", "-") and h.column in ("direction", "polarity") for p, h in zip(parts, headers, strict=False))


def _cells(
    file: File, skip: int, count: int, wordy: set[int], clocks: set[int], comma: bool
) -> list[list[str | float]]:
    """Rows of numbers, and of texts in columns that may hold words."""
    rows: list[list[str | float]] = []
    for number, line in enumerate(file.text.split("\n")[skip:], start=skip + 1):
        if not line.strip() or text_table.comment(line):
            continue
        parts = text_table.fields(line, count=count)
        if len(parts) != count:
            raise FileError(
                f"{file.path}, line {number}: {len(parts)} columns, but the header has {count}; correct that line."
            )
        for k in clocks:
            parts[k] = str(time) if (time := text_table.clock(parts[k])) is not None else parts[k]
        parts = [part.replace(",", ".") if comma else part for part in parts]
        bad = next((p for k, p in enumerate(parts) if k not in wordy and not text_table.is_number(p)), None)
        if bad is not None:
            raise FileError(
                f"{file.path}, line {number}: {bad!r} is not a number; only a column `device` may hold names (and `direction` "
                "up or down; times may be written as 2026-03-01 12:00:05 or 12:00:05), "
                "and missing numbers may be empty."
            )
        rows.append([part if k in wordy else _number(part) for k, part in enumerate(parts)])
    return rows


def _number(text: str) -> float:
    return float(text) if text_table.is_number(text) and text.lower() not in text_table.EMPTY else np.nan


def _column(cells: Sequence[str | float], header: Header, asked: bool) -> tuple[np.ndarray, Header, tuple[str, ...]]:
    """A column's numbers, its header as its words suggest, and the names that its numbers stand for."""
    if not isinstance(cells[0], str):
        return np.array(cells, float), header, ()
    texts = [str(cell) for cell in cells]
    numeric = all(map(text_table.is_number, texts)) and not {"+", "-"} & set(texts)
    if header.column in (*IDS, "level") and not numeric:
        labels = tuple(dict.fromkeys(texts))
        place = {label: k for k, label in enumerate(labels)}
        return np.array([place[text] for text in texts], float), header, labels
    if header.column in ("direction", "polarity") or (header.column is None and not asked):
        codes = [_DIRECTIONS.get(plain(t)) for t in texts]
        if None not in codes and (header.column or len(set(codes)) == 2):
            sure = header.column is not None
            return np.array(codes, float), dataclasses.replace(header, column="direction", sure=sure), ()
        signs = [_SIGNS.get(t if t in "+-" else plain(t)) for t in texts]
        if header.column and not numeric and None not in signs:
            return np.array(signs, float), header, ()
    if header.column is not None and not numeric:
        words = ", ".join(repr(t) for t in dict.fromkeys(texts) if not text_table.is_number(t))
        reason = f"{header.text!r}: {words[:80]} is not a known direction of pulses"
        return np.full(len(texts), np.nan), dataclasses.replace(header, text=reason, column=None), ()
    return np.array([_number(t) for t in texts]), header, ()


def _one_device(
    file: File, found: np.ndarray, headers: list[Header], names: dict[int, tuple[str, ...]]
) -> tuple[np.ndarray, list[Header], tuple[str, ...]]:
    """All columns that identify the device as one column of devices, with its names; `names` of levels do so, too,
    where there is no target."""
    target = any(h.column in ("target", "r_target") for h in headers)
    for k, header in enumerate(headers):
        if header.column == "level" and names.get(k):
            headers[k] = dataclasses.replace(header, column=None if target else "place")
    which = [k for k, h in enumerate(headers) if h.column in IDS and k < found.shape[1]]
    if len(which) == 1 and not names.get(which[0]):
        headers[which[0]] = dataclasses.replace(headers[which[0]], column="device")
        return found, headers, ()
    if not which:
        return found, headers, ()
    if not np.isfinite(found[:, which]).all():
        raise FileError(f"{file.path}: the column of devices has empty cells; every row must name its device.")
    unique, first, code = np.unique(found[:, which], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    labels = ["/".join(_name(names.get(k, ()), x) for k, x in zip(which, unique[row], strict=True))
              for row in np.argsort(first)]  # fmt: skip
    found = found.copy()
    found[:, which[0]] = order[code.ravel()]
    headers[which[0]] = dataclasses.replace(headers[which[0]], column="device")
    for k in which[1:]:
        headers[k] = Header("", None, None)
    return found, headers, tuple(labels)


def _name(names: Sequence[str], code: float) -> str:
    return names[int(code)] if names else f"{code:g}"
