"""A heartbeat classifier on the wrist: frame and spiking networks on PCM and ReRAM, recall of each class, energy per
decision including the electrodes, days on a coin cell."""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments import sensing
from experiments.framework.store import Layout, Results

TITLE = "Heartbeats at the edge: normal, supraventricular, ventricular, on memristor crossbars"
TASKS = ("ecg",)
REFERENCE = (
    "A perceptron of 130-64-32-3 (a beat and two ratios of intervals), digital, reaches 89.4 % on the same split, with "
    "recalls of 92, 15 and 93 % (measured with another program)."
)


@dataclasses.dataclass(frozen=True)
class Config(sensing.Setting):
    """Settings; the defaults take a few minutes on two cores. Needs the data set mitbih-beats below XBAR_DATA."""

    images: int = 3000
    """Maximum number of test beats, evenly from 49,296 of 22 patients who are not in the training set."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    sensing.check(config)
    sensing.needs("ecg")


def layout(config: Config) -> Layout:
    return sensing.layout(config, TASKS)


def compute(config: Config, state: Any, point: dict[str, Any]) -> dict[str, Any]:
    """One kind of network on one device."""
    return sensing.compute(config, point)


def present(config: Config, results: Results) -> Any:
    from experiments import sensing_view

    return sensing_view.present(config, results, TASKS, (REFERENCE,))
