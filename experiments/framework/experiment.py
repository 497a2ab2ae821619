"""What an experiment is: a module.

@dataclasses.dataclass(frozen=True)
class Config:                     # every field becomes a typed flag of `xbar run NAME`; `seed` is one of them
    seed: int = 0
    noise: tuple[float, ...] = (0.0, 0.1)

TITLE = "What it shows"
def check(config): ...            # raises UsageError for settings that cannot be
def layout(config): ...           # -> store.Layout: axes, variables, which axes make a point
def inputs(config): ...           # optional -> {file: hash}: what else a run belongs to, beside its settings
def prepare(config): ...          # -> anything: data, trained networks; called only if a point is missing
def compute(config, state, point): ...   # -> {variable: values without the point's axes}; may fill others too
def present(config, results): ... # -> Presentation
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from experiments.framework.store import Layout, Results


@dataclasses.dataclass(frozen=True)
class Presentation:
    """What people look at.

    Args:
        text: the terminal's tables and sentences. figures: matplotlib figures by file name.
        method: paragraphs for the report: what was done, under which assumptions.
        summary: a few numbers for `--json`.
    """

    text: str
    figures: dict[str, Any]
    method: tuple[str, ...]
    summary: dict[str, Any]


class Experiment(Protocol):
    """What a module must have; see above."""

    Config: type
    TITLE: str
    check: Callable[[Any], None]
    layout: Callable[[Any], Layout]
    prepare: Callable[[Any], Any]
    compute: Callable[[Any, Any, dict], dict[str, Any]]
    present: Callable[[Any, Results], Presentation]
