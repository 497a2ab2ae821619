"""What a command says while it works: on standard error, so that standard output holds results alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from experiments.framework.files import printable


def say(message: str) -> None:
    """One line on standard error."""
    print(printable(message), file=sys.stderr, flush=True)


def track(name: str, points: Iterable[Any]) -> Iterator[Any]:
    """Shows progress on standard error: a bar on a terminal, a line a point elsewhere."""
    points = list(points)
    if not sys.stderr.isatty():
        began = time.monotonic()
        for i, point in enumerate(points):
            left = (time.monotonic() - began) / i * (len(points) - i) if i else 0.0
            shown = ", ".join(f"{k} {v}" for k, v in point.items())
            say(f"{name}: point {i + 1} of {len(points)}: {shown}" + (f" (about {_duration(left)} left)" if i else ""))
            yield point
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=len(points))
        for point in points:
            progress.update(task, description=printable(f"{name}: {', '.join(map(str, point.values()))}"))
            yield point
            progress.advance(task)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
