"""Progress messages of a command: on standard error, so that standard output holds only results."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from experiments.framework.files import printable

Item = TypeVar("Item")
EVERY = 10.0
"""Seconds between two lines about the steps of a point, where no bar can be drawn."""


def say(message: str) -> None:
    """One line on standard error; a run does not end because nobody can read it."""
    with contextlib.suppress(OSError):
        print(printable(message), file=sys.stderr, flush=True)


class Progress:
    """Points that are done, and the remaining time: bars on a terminal, lines elsewhere. A context manager."""

    def __init__(self, name: str, total: int):
        self.name, self.total, self.done = name, total, 0
        self._began = time.monotonic()
        self._bars: Any = None

    def __enter__(self) -> Progress:
        global _CURRENT
        _CURRENT = self
        if sys.stderr.isatty() and self.total:
            self._bars = _bars()
            self._bars.start()
            self._all = self._bars.add_task(self.name, total=self.total)
        return self

    def __exit__(self, *_: object) -> None:
        global _CURRENT
        _CURRENT = None
        if self._bars is not None:
            self._bars.stop()

    def starting(self, point: Mapping[str, Any]) -> None:
        """Work on a point starts; it is the only one at this time."""
        if self._bars is not None:
            self._bars.update(self._all, description=printable(f"{self.name}: {_named(point)}"))
        else:
            say(f"{self.name}: point {self.done + 1} of {self.total}: {_named(point)}{self._left()}")

    def finished(self, point: Mapping[str, Any], among_others: bool = False) -> None:
        """A point is done; `among_others`: several are computed at a time, so that `starting` was not called."""
        self.done += 1
        if self._bars is not None:
            self._bars.advance(self._all)
        elif among_others:
            say(f"{self.name}: {self.done} of {self.total} points done: {_named(point)}{self._left()}")

    def steps(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        """Yields the steps of a point, and shows how far they are."""
        began = last = time.monotonic()
        bars: Any = self._bars
        task = None if bars is None else bars.add_task(what, total=len(items))
        try:
            for i, item in enumerate(items):
                yield item
                now, left = time.monotonic(), (time.monotonic() - began) / (i + 1) * (len(items) - i - 1)
                if bars is not None:
                    bars.advance(task)
                elif now - last > EVERY and i + 1 < len(items):
                    last = now
                    say(f"{self.name}: {what}, {i + 1} of {len(items)} (about {duration(left)} left)")
        finally:
            if bars is not None:
                bars.remove_task(task)

    def _left(self) -> str:
        if not self.done:
            return ""
        return f" (about {duration((time.monotonic() - self._began) / self.done * (self.total - self.done))} left)"


_CURRENT: Progress | None = None


def steps(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yields the steps of a long point, and shows how far they are. Workers show nothing.

    Args:
        what: what is being done, such as "training".
    """
    return iter(items) if _CURRENT is None else _CURRENT.steps(list(items), what)


def track(name: str, points: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Yields points one by one, and shows how far they are."""
    points = list(points)
    with Progress(name, len(points)) as progress:
        for point in points:
            progress.starting(point)
            yield point
            progress.finished(point)


def duration(seconds: float) -> str:
    """A remaining time, in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _named(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in point.items())


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
