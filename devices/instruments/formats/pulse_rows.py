"""Conductances after every pulse, a line for each train: `Gprog, g0, g1, ...`, `(U2,0,0),tprog=0.0002,Gprog, g0, ...` [S]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "pulse trains in rows"
ROW = re.compile(
    r"^(?:\((?P<cell>[^)]*)\)\s*,\s*)?(?:t\w+\s*=\s*(?P<width>[-+.\deE]+)\s*,\s*)?G(?P<word>prog|erase|set|reset)\s*,(?P<g>.*)$"
)
TITLE = re.compile(
    r"^\((?P<cell>[^)]*)\).*t(?:prog|set)\s*[:=]\s*(?P<first>[-+.\deE]+).*t(?:erase|reset)\s*[:=]\s*(?P<second>[-+.\deE]+)"
)
FIRST = ("prog", "set")


def recognises(file: File) -> bool:
    """Lines that start, after an optional cell and width, with Gprog and Gerase (or Gset and Greset)."""
    lines = [line for line in file.start if line.strip()]
    words = {match["word"] for match in map(ROW.match, lines) if match}
    return len(words) == 2 and sum(ROW.match(line) is None for line in lines) <= 1


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One pulses trace; the first value of a line, before any pulse, is pulse 0. A cell's second train of the same name
    is cycle 1.

    Raises:
        FileError: if a line is damaged, or trains of one name do not all move G the same way.
    """
    cells: list[str] = []
    words, owners, trains, widths, title = [], [], [], {}, None
    for number, line in enumerate(file.text.split("\n"), start=1):
        match = ROW.match(line)
        if match is None:
            title = title or TITLE.match(line)
            if line.strip() and number > 1:
                raise FileError(
                    f"{file.path}, line {number}: {line[:60]!r} is not a train of pulses (Gprog, g0, g1, ...)."
                )
            continue
        cell = match["cell"] or (title["cell"] if title else file.path.stem)
        cells += [] if cell in cells else [cell]
        words.append(match["word"])
        owners.append(cells.index(cell))
        trains.append(_values(file, number, match["g"]))
        if match["width"]:
            widths[match["word"]] = _width(file, number, match["width"])
    if title and not widths:
        widths = {word: _width(file, 1, title["first" if word in FIRST else "second"]) for word in set(words)}
    return [_trace(file, tuple(cells), np.array(words), np.array(owners), trains, widths)]


def _width(file: File, number: int, text: str) -> float:
    """A pulse width [s]."""
    try:
        width = float(text)
    except ValueError:
        width = np.nan
    if not 0 < width < np.inf:
        raise FileError(f"{file.path}, line {number}: {text!r} is not a width of a pulse [s].")
    return width


def _values(file: File, number: int, text: str) -> np.ndarray:
    try:
        values = np.array([float(cell) for cell in text.split(",") if cell.strip()])
    except ValueError:
        raise FileError(f"{file.path}, line {number}: not all values after the name are numbers.") from None
    if not len(values):
        raise FileError(
            f"{file.path}, line {number}: there is no value after the name of the train; was the file cut off?"
        )
    return values


def _trace(
    file: File, cells: tuple[str, ...], words: np.ndarray, owners: np.ndarray, trains: list, widths: dict
) -> Trace:
    lengths = np.array([len(train) for train in trains])
    ways = np.array([np.sign(train[-1] - train[0]) if len(train) > 1 else 0.0 for train in trains])
    way = {word: float(np.sign(ways[words == word].sum())) for word in np.unique(words)}
    against = {word: int((ways[words == word] == -sign).sum()) for word, sign in way.items()}
    if sorted(way.values()) != [-1.0, 1.0] or any(n > 0.1 * (words == w).sum() for w, n in against.items()):
        raise FileError(f"{file.path}: trains disagree on which of {', '.join(way)} raises G; exceptions: {against}.")
    nth, seen = np.zeros(len(trains), int), {}
    for k, key in enumerate(zip(owners, words, strict=True)):
        nth[k] = seen[key] = seen.get(key, -1) + 1
    columns = {
        "g": np.concatenate(trains), "direction": np.repeat([way[word] for word in words], lengths),
        "pulse": np.concatenate([np.arange(n) for n in lengths]), "cycle": np.repeat(nth, lengths),
        "device": np.repeat(owners, lengths),
    }  # fmt: skip
    protocol = {("width_up" if way[word] > 0 else "width_down"): width for word, width in widths.items() if word in way}
    what = ", ".join(f"G{word} {'raises' if sign > 0 else 'lowers'} G" for word, sign in way.items())
    flags = (
        rig.assumed("conductances [S] after each pulse, the first before any", "every line starts with the name of its train"),
        Flag("direction measured", f"{what}, in {1 - sum(against.values()) / len(trains):.1%} of {len(trains)} trains."),
        Flag("trains end at limits", f"Trains have {lengths.min()} to {lengths.max()} values: their length is part of the "
             f"measurement (they end between {np.median([t.min() for t in trains]):.2g} and "
             f"{np.median([t.max() for t in trains]):.2g} S, medians)."),
    )  # fmt: skip
    return Trace("pulses", columns, (str(file.path),), NAME, cells, protocol, flags)
