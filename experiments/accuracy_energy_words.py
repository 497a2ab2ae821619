"""How `accuracy-energy` names devices, times and accuracies."""

from __future__ import annotations

import pathlib

import numpy as np

from experiments.framework.store import Results
from xbar.energy import measured_systems

CHIPS = ("HERMES, 1 phase", "HERMES, 4 phases", "IBM 34-tile", "NeuRRAM 8/10 b")  # read in their sources
TIME_NAMES = {1.0: "1 s", 3600.0: "1 h", 86_400.0: "1 day", 2_592_000.0: "1 month", 31_536_000.0: "1 year"}


def known(results: Results, device: str) -> list[float]:
    """The times for which a device has data; for one whose accuracy never changes, the first."""
    times = [
        t for t in results.coordinates("time") if np.isfinite(results.select("accuracy", device=device, time=t)).any()
    ]
    return times[:1] if device == "ideal" else times


def shown_name(device: str) -> str:
    """A device's name in tables: that of its file without the folder."""
    return pathlib.PurePath(device).stem if device.endswith(".toml") else device


def percent(values: np.ndarray) -> str:
    """Mean and standard deviation; "none" where nothing varies at all."""
    if values.size < 2 or np.ptp(values) == 0:
        return f"{100 * values.mean():.1f} ± none"
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def shown_time(results: Results) -> str:
    """The time of the left panels in words, for the devices that change with time."""
    devices = [d for d in results.coordinates("device") if d != "ideal"]
    times = sorted({near_a_day(results, d) for d in devices})
    return " or ".join(TIME_NAMES.get(t, f"{t:g} s") for t in times) or "any time"


def time_of(results: Results, device: str) -> str:
    """The time of a device's energy panel in words."""
    time = near_a_day(results, device)
    return "any time" if device == "ideal" else TIME_NAMES.get(time, f"{time:g} s")


def near_a_day(results: Results, device: str) -> float:
    return min(known(results, device), key=lambda t: abs(np.log(t / 86_400.0)))


def measured_chips(results: Results) -> dict[str, float]:
    """Energy of this network's multiply-accumulates at the published efficiency of measured analog chips [J]."""
    known = {s.name: s.joules_per_mac for s in measured_systems()}
    return {name: known[name] * float(results["macs"]) for name in CHIPS}
