"""Measured systems of MLPerf Tiny: energy, time and quality of boards, as submitted."""

from __future__ import annotations

import csv
import dataclasses
import pathlib

from experiments import datasets
from experiments.framework.errors import UsageError

BENCHMARKS = {"ds-cnn": "kws", "ds-cnn-float": "kws", "resnet8": "ic", "mobilenet": "vww", "autoencoder": "ad"}
TARGETS = {"kws": 0.90, "ic": 0.85, "vww": 0.80, "ad": 0.85}  # MLPerfTiny_Rules.adoc: accuracy, of ad the AUC
SHORT = {  # chips as named in their system files, and their usual names
    "Gap9": "GAP9",
    "Syntiant NDP120 (board NDP9120)": "NDP120",
    "EFR32MG24B310F1536IM48": "EFR32MG24",
    "R7FA6M4AF3CFB": "RA6M4",
    "RX65N": "RX65N",
    "STM32H7A3ZIT6Q": "STM32H7A3",
    "STM32L4R5ZIT6": "STM32L4R5",
    "STM32L4R5ZIT6P": "STM32L4R5",
    "STM32L4R5ZIT6U": "STM32L4R5",
    "STM32U385RGT6Q": "STM32U385",
    "STM32U575ZIT6Q": "STM32U575",
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One system on one benchmark.

    Args:
        chip: its usual name. joules: per inference, from the supply that the submitter measured [J]. seconds: per inference,
            one over the throughput at batch 1 [s]. quality: accuracy, for ad the AUC. entry: round of MLPerf Tiny.
    """

    chip: str
    joules: float
    seconds: float
    quality: float
    entry: str


def path() -> pathlib.Path:
    """The table of all rounds.

    Raises:
        UsageError: if it is not available; the message says how to get it.
    """
    return datasets.folder("mlperf-tiny", "results.csv") / "results.csv"


def systems(network: str) -> tuple[Measured, ...]:
    """Systems measured on the benchmark of a network: for each chip the run with the least energy, in ascending order.

    Raises:
        UsageError: for a table that is missing or damaged.
    """
    wanted, best = BENCHMARKS[network], {}
    for found in _rows(wanted):
        if found.chip not in best or found.joules < best[found.chip].joules:
            best[found.chip] = found
    return tuple(sorted(best.values(), key=lambda m: m.joules))


def _rows(benchmark: str) -> list[Measured]:
    place = path()
    try:
        with place.open(encoding="utf-8", newline="") as file:
            rows = [r for r in csv.DictReader(file) if r["benchmark"] == benchmark and r["energy_uJ"]]
        return [_measured(r) for r in rows]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise UsageError(f"{place}: cannot be read ({error}). Fetch it again.") from error


def _measured(row: dict[str, str]) -> Measured:
    percent = row["accuracy_metric"].endswith("%")
    quality = float(row["accuracy"] or "nan") / (100 if percent else 1)
    chip = SHORT.get(row["chip"], row["chip"])
    return Measured(chip, 1e-6 * float(row["energy_uJ"]), 1e-3 * float(row["latency_ms"]), quality, row["round"])
