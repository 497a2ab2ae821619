"""Many runs on one self-contained page: experiment, date, settings that differ, key numbers, links."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import pathlib
import urllib.parse
from typing import Any

import h5py
import numpy as np

from experiments.framework import report
from experiments.framework.errors import UsageError
from experiments.framework.files import write_text
from experiments.framework.plain_json import finite
from experiments.framework.store import own
from experiments.framework.sweep import numbers
from experiments.saved_runs.saved_run import began, check_whole, read_json

DEEPEST = 4  # folders below the given one
MOST_NUMBERS = 6  # of a summary on the page and in the terminal


@dataclasses.dataclass(frozen=True)
class Line:
    """A run on the page. `state`: "finished", "3 of 5 points", "no point yet", or the problem with it."""

    folder: pathlib.Path
    experiment: str
    date: str
    state: str
    config: dict[str, Any]
    numbers: dict[str, float]

    @property
    def is_whole(self) -> bool:
        return self.state == "finished"


def lines_below(folder: pathlib.Path) -> list[Line]:
    """Every run below a folder, by experiment and date.

    Raises:
        UsageError: if there is none.
    """
    found = [p.parent for p in folder.rglob("config.json") if len(p.relative_to(folder).parts) <= DEEPEST + 1]
    runs = sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not runs:
        raise UsageError(f"there are no runs below {folder}. Give a folder that `xbar run` wrote to, such as results/.")
    lines = [_line(path) for path in runs]
    return sorted(lines, key=lambda line: (line.experiment, line.date, str(line.folder)))


def _line(folder: pathlib.Path) -> Line:
    name, date = folder.resolve().parent.name, began(folder)
    try:
        config = read_json(folder / "config.json")
        state = _state(folder / "results.h5")
        summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else {}
    except UsageError:
        return Line(folder, name, date, "damaged", {}, {})
    return Line(folder, name, date, state, config, numbers(summary) if state == "finished" else {})


def _state(file: pathlib.Path) -> str:
    """How far a run has progressed.

    Raises:
        UsageError: if the file is damaged.
    """
    if not file.exists():
        return "no point yet"
    check_whole(file)
    try:
        with h5py.File(file) as opened:
            finished = np.asarray(own(opened, "finished")).astype(bool)
    except Exception as error:  # h5py raises whatever HDF5 makes of another kind of file
        raise UsageError(f"{file} is not a results file ({error}).") from error
    return "finished" if finished.all() else f"{int(finished.sum())} of {finished.size} points"


def differing(lines: list[Line]) -> list[str]:
    """Settings in which the runs of one experiment differ."""
    names = dict.fromkeys(name for line in lines for name in line.config)
    whole = [line for line in lines if line.config]
    return [n for n in names if len({json.dumps(line.config.get(n)) for line in whole}) > 1]


def by_experiment(lines: list[Line]) -> dict[str, list[Line]]:
    """The lines of each experiment."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.experiment, []).append(line)
    return found


def text(lines: list[Line]) -> str:
    """Tables for a terminal."""
    blocks = []
    for name, group in by_experiment(lines).items():
        body = [[_shown(cell) for cell in row] for row in _rows(group)]
        table = [_heads(group), *body]
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        drawn = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)
        blocks.append("\n".join([name, *(f"  {row}" for row in drawn)]))
    return "\n\n".join(blocks)


def _key_numbers(group: list[Line]) -> list[str]:
    return list(dict.fromkeys(name for line in group for name in line.numbers))[:MOST_NUMBERS]


def _heads(group: list[Line]) -> list[str]:
    return ["run", "state", *differing(group), *_key_numbers(group)]


def _rows(group: list[Line]) -> list[list[Any]]:
    settings, keys = differing(group), _key_numbers(group)
    return [
        [
            line.folder.name,
            line.state,
            *(line.config.get(n, "-") for n in settings),
            *(line.numbers.get(n, math.nan) for n in keys),
        ]
        for line in group
    ]


def _shown(value: Any) -> str:
    """A cell; an unknown number is a dash."""
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_json(lines: list[Line]) -> list[dict[str, Any]]:
    """The same in machine-readable form."""
    return [finite(dataclasses.asdict(line) | {"folder": str(line.folder)}) for line in lines]


def write_page(folder: pathlib.Path, lines: list[Line]) -> pathlib.Path:
    """Writes `index.html` into the folder and returns its path."""
    parts = [f"<p>{len(lines)} runs, {sum(not line.is_whole for line in lines)} of them not finished.</p>"]
    for name, group in by_experiment(lines).items():
        heads = "".join(f"<th>{html.escape(head)}</th>" for head in ["began (UTC)", *_heads(group)])
        rows = "".join(_row(folder, line, cells) for line, cells in zip(group, _rows(group), strict=True))
        parts.append(f"<h2>{html.escape(name)}</h2><table><tr>{heads}</tr>{rows}</table>")
    sweeps = [path.parent for path in sorted(folder.glob("sweeps/*/report.html"))]
    if sweeps:
        items = "".join(f"<li>{_link(folder, path / 'report.html', path.name)}</li>" for path in sweeps)
        parts.append(f"<h2>Sweeps</h2><ul>{items}</ul>")
    path = folder / "index.html"
    write_text(path, report.document("Runs", "".join(parts)))
    return path


def _row(folder: pathlib.Path, line: Line, cells: list[Any]) -> str:
    page = next((p for p in (line.folder / "report.html", line.folder) if p.exists()), line.folder)
    rest = "".join(f"<td>{html.escape(_shown(cell))}</td>" for cell in cells[1:])
    return f"<tr><td>{html.escape(line.date)}</td><td>{_link(folder, page, line.folder.name)}</td>{rest}</tr>"


def _link(folder: pathlib.Path, path: pathlib.Path, shown: str) -> str:
    target = urllib.parse.quote(path.relative_to(folder).as_posix())
    return f'<a href="{html.escape(target)}">{html.escape(shown)}</a>'
