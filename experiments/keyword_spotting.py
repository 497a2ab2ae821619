"""Keywords at the edge: spoken digits (official split, and an unseen speaker) with frame and spiking networks, MLPerf Tiny's
DS-CNN with its given weights; energy per decision including microphone, converter and MFCCs, days on a coin cell."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from experiments import sensing
from experiments.framework.errors import UsageError
from experiments.framework.store import Layout, Results

TITLE = "Keywords at the edge, on memristor crossbars"
REFERENCE = (
    "Digital references on the spoken digits (log-mel 32 x 32, 1024-128-10, another program): 97.0 % on the official "
    "split, 87 to 89 % on unseen speakers. MLPerf Tiny asks for 90 % of its 1,000 keywords; DS-CNN has no training "
    "set here, so its weights are mapped as they are, and its spiking twin has the same weights, converted and not trained."
)


@dataclasses.dataclass(frozen=True)
class Config(sensing.Setting):
    """Settings; the defaults take several minutes on two cores. Needs the data sets fsdd and mlperf-tiny below
    XBAR_DATA."""

    tasks: tuple[Literal["spoken", "spoken-new-speaker", "keywords"], ...] = (
        "spoken",
        "spoken-new-speaker",
        "keywords",
    )
    """What is classified: spoken digits of known speakers, of a new speaker, MLPerf Tiny's keywords."""
    images: int = 500
    """Maximum number of test inputs (a fifth as many for DS-CNN, a sixteenth for its spiking twin)."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    sensing.check(config)
    if not config.tasks or len(set(config.tasks)) != len(config.tasks):
        raise UsageError(f"--tasks: give one or more different tasks, not {list(config.tasks)}.")
    for task in config.tasks:
        sensing.needs(task)


def layout(config: Config) -> Layout:
    return sensing.layout(config, config.tasks)


def compute(config: Config, state: Any, point: dict[str, Any]) -> dict[str, Any]:
    """One kind of network for one task on one device."""
    return sensing.compute(config, point)


def present(config: Config, results: Results) -> Any:
    from experiments import sensing_view

    return sensing_view.present(config, results, config.tasks, (REFERENCE,))
