"""The command `xbar data`: list, fetch and find public data sets."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import tyro

from experiments.command.endings import DONE, FAILED, USAGE, attempt, complain
from experiments.command.endings import show as show_text
from experiments.framework.errors import UsageError
from experiments.framework.progress import duration, say
from experiments.public_data.fetching import FetchError, fetch
from experiments.public_data.places import cache, find, located
from experiments.public_data.registry import Entry, entries, entry
from experiments.public_data.transfer import Progress

HELP = """usage: xbar data list [NAME ...] [--json]
       xbar data fetch NAME [NAME ...] [--offline] [--again]
       xbar data path [NAME]

Public data sets: list them and see which are on this machine, fetch them into the cache, print the folder of one.

A copy of your own is looked for below XBAR_DATA (in datasets/NAME, measured/NAME or NAME) and is used first. XBAR_OFFLINE=1
forbids network access.
"""


@dataclasses.dataclass(frozen=True)
class List:
    """Lists names, sizes, places and titles; with names, everything known about these data sets."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Data sets."""
    json: bool = False
    """Print one JSON document."""


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Downloads data sets into the cache, checks and unpacks them."""

    names: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")]] = ()
    """Data sets."""
    offline: bool = False
    """Do not use the network: succeed only if they are already here."""
    again: bool = False
    """Fetch again what is here already."""
    timeout: float = 30.0
    """How long to wait for a silent server [s]."""


@dataclasses.dataclass(frozen=True)
class Path:
    """Prints the folder of a data set; without a name, that of the cache."""

    name: tyro.conf.Positional[str] = ""
    """Data set."""


def run(arguments: Sequence[str]) -> int:
    """Carries out `xbar data ...` and returns the exit code: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    actions = {"list": (List, show), "fetch": (Fetch, load), "path": (Path, where)}
    if not arguments or arguments[0] in ("--help", "-h"):
        print(HELP, end="")
        return DONE
    name, *flags = arguments
    if name not in actions:
        return complain(f"data has no action {name!r}; choose from {', '.join(actions)}. See xbar data --help.")
    settings, act = actions[name]
    try:
        parsed = tyro.cli(settings, prog=f"xbar data {name}", args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    kept = "what was downloaded is kept, and the same command resumes from there"
    outcome = attempt(lambda: act(parsed), kept, debug=False)
    if isinstance(outcome, int):
        return outcome
    show_text(outcome)
    return DONE


def show(settings: List) -> str:
    """`xbar data list`."""
    chosen = [entry(name) for name in settings.names] or list(entries().values())
    if settings.json:
        return json.dumps([dataclasses.asdict(e) | {"folder": _place(e) or None} for e in chosen])
    if settings.names:
        return "\n\n".join(map(_details, chosen))
    rows = [(e.name, _megabytes(e.size), _place(e) or "not here", e.title) for e in chosen]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join([*(t.ljust(w) for t, w in zip(row, widths, strict=False)), row[3]]) for row in rows)


def _place(data: Entry) -> str:
    return str(located(data.name) or "")


def _details(data: Entry) -> str:
    lines = [f"{data.name}: {data.title}", f"here: {_place(data) or 'no'}", f"download: {_megabytes(data.size)}"]
    lines += [f"licence: {data.licence}", *(f"holds: {shape}" for shape in data.shapes)]
    lines += [f"note: {data.note}"] if data.note else []
    for source in data.files:
        lines.append(f"file {source.name}: {' or '.join(source.urls)}")
        lines.append(f"  SHA-256 {source.sha256 or 'unknown'}" + (f" ({source.note})" if source.note else ""))
    return "\n".join([*lines, "cite:", data.citation])


def _megabytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:.2g} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"


def load(settings: Fetch) -> int:
    """`xbar data fetch`: prints the folders on standard output."""
    if not settings.names:
        raise UsageError(f"fetch needs the name of a data set: {', '.join(entries())}.")
    offline = settings.offline or os.environ.get("XBAR_OFFLINE", "") not in ("", "0")
    chosen = [entry(name) for name in settings.names]
    for data in chosen:
        say(f"{data.name}: {data.title}; licence: {data.licence}")
        try:
            folder = fetch(data, offline=offline, again=settings.again, timeout=settings.timeout, say=say, meter=meter)
        except FetchError as error:
            say(f"xbar: {error}")
            return FAILED
        show_text(str(folder))
    return DONE


def where(settings: Path) -> str:
    """`xbar data path`."""
    return str(find(settings.name) if settings.name else cache())


@contextlib.contextmanager
def meter(name: str) -> Iterator[Progress]:
    """Bytes and the time that remains, on standard error: a bar on a terminal, a line every few seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda have, whole: bar.update(task, completed=have, total=whole)


def _lines(name: str, every: float = 5.0) -> Progress:
    """Says how much of a file has arrived, at most every few seconds [s]."""
    began = last = time.monotonic()
    first: int | None = None

    def progress(have: int, whole: int | None) -> None:
        nonlocal last, first
        first = have if first is None else first
        now = time.monotonic()
        if now - last < every and have != whole:
            return
        last, rate = now, (have - first) / max(now - began, 1e-9)
        left = f", about {duration((whole - have) / rate)} left" if whole and rate > 0 and have < whole else ""
        total = f" of {whole / 1e6:.1f}" if whole else ""
        say(f"{name}: {have / 1e6:.1f}{total} MB{left}")

    return progress
