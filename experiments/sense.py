"""One page for a product engineer: which network, device and converter meets an energy budget and an accuracy target; where
none does, the nearest and why; compared with microcontrollers and NPUs as measured by MLPerf Tiny."""

from __future__ import annotations

import csv
import dataclasses
from typing import Any, Literal

import numpy as np

from experiments import datasets, sensing
from experiments.framework.errors import UsageError
from experiments.framework.store import Layout, Results

TITLE = "Sensing within a budget: which network, on which device, with which converter?"


@dataclasses.dataclass(frozen=True)
class Config(sensing.Setting):
    """Settings; the defaults take a few minutes on two cores. Needs the data set of the task below XBAR_DATA."""

    task: Literal["keywords", "spoken", "spoken-new-speaker", "ecg"] = "keywords"
    """What is classified: MLPerf Tiny's keywords, spoken digits, heartbeats."""
    max_uj: float = 1.0
    """Largest energy per decision [uJ]."""
    min_accuracy: float = 90.0
    """Lowest accuracy [%], as the mean over chips, at the last time with data."""
    count: Literal["network", "all"] = "network"
    """What the energy includes: the network alone, as in MLPerf Tiny, or also its front end."""
    adc_bits: tuple[int, ...] = (5, 6, 8)
    """Resolutions of the output converters; spiking networks are also read by integrators and comparators."""
    images: int = 500
    """Maximum number of test inputs (a fifth as many for DS-CNN, a sixteenth for its spiking twin)."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    sensing.check(config)
    if not config.max_uj > 0:
        raise UsageError(f"--max-uj {config.max_uj}: give a number above 0.")
    if not 0 <= config.min_accuracy <= 100:
        raise UsageError(f"--min-accuracy {config.min_accuracy}: give a number from 0 to 100, in percent.")
    sensing.needs(config.task)


def layout(config: Config) -> Layout:
    return sensing.layout(config, (config.task,))


def compute(config: Config, state: Any, point: dict[str, Any]) -> dict[str, Any]:
    """One kind of network on one device."""
    return sensing.compute(config, point)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One network on one device with one readout.

    Args:
        at: its coordinates in the results. accuracy, spread: mean and standard deviation over chips at the last time with
            data [%]. joules: per decision, P10, median, P90, including what the settings say [J].
    """

    at: dict[str, str]
    accuracy: float
    spread: float
    joules: tuple[float, float, float]

    def lacks(self, config: Config) -> tuple[float, float]:
        """Points of accuracy that are missing, and the factor by which the energy is too large; 0 and 1 if both are met."""
        return max(config.min_accuracy - self.accuracy, 0.0), max(1e6 * self.joules[1] / config.max_uj, 1.0)


def candidates(config: Config, results: Results) -> list[Candidate]:
    """Everything that was measured."""
    front = np.asarray(results.select("front_end", task=config.task)).sum(0) if config.count == "all" else np.zeros(3)
    found = []
    for kind in sensing.KINDS:
        for device in config.devices:
            for readout in sensing.readouts(config):
                at = dict(task=config.task, kind=kind, device=device, readout=readout)
                energy = np.asarray(results.select("energy", **at))
                accuracy = 100 * np.asarray(results.select("accuracy", **at))
                known = np.flatnonzero(np.isfinite(accuracy[:, 0]))
                if np.isfinite(energy).all() and known.size:
                    last = accuracy[known[-1]]
                    low, middle, high = map(float, energy + front)
                    found.append(Candidate(at, float(last.mean()), float(last.std(ddof=1)), (low, middle, high)))
    return found


def chosen(config: Config, found: list[Candidate]) -> tuple[Candidate, bool]:
    """The one that meets the target with the least energy, and True; or the nearest, and False: the one with the smallest
    sum of missing points of accuracy, each counted as a tenth, and decades of excess energy."""
    meet = [c for c in found if c.lacks(config) == (0.0, 1.0)]
    if meet:
        return min(meet, key=lambda c: c.joules[1]), True

    def distance(c: Candidate) -> float:
        points, factor = c.lacks(config)
        return points / 10 + float(np.log10(factor))

    return min(found, key=distance), False


def boards() -> list[dict[str, Any]]:
    """Measured keyword spotting of MLPerf Tiny, one row per system: name, energy [J], accuracy [%]; empty without the data.

    Rows that repeat an older log are left out.
    """
    try:
        path = datasets.folder("mlperf-tiny", "results.csv") / "results.csv"
    except UsageError:
        return []
    found = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["benchmark"] == "kws" and row["energy_uJ"] and row["accuracy"] and "repeat" not in row["note"]:
                name = f"{row['submitter']} {row['chip']}"
                energy = 1e-6 * float(row["energy_uJ"])
                if name not in found or energy < found[name]["energy"]:
                    found[name] = {"name": name, "energy": energy, "accuracy": float(row["accuracy"])}
    return sorted(found.values(), key=lambda b: b["energy"])


def present(config: Config, results: Results) -> Any:
    from experiments import sense_view

    return sense_view.present(config, results)
