"""Knowm Memristor Discovery: `Memristor.csv` beside `Resistor+Memristor.csv`, columns voltage [V] and current [uA]."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "Knowm Discovery"
PAIR = ("Memristor.csv", "Resistor+Memristor.csv")


def recognises(file: File) -> bool:
    """Two columns of numbers, and beside the file its partner with the very same currents and other voltages."""
    if (
        file.name not in PAIR
        or not file.start
        or not text_table.numeric(file.start[0])
        or len(text_table.fields(file.start[0])) != 2
    ):
        return False
    pair = [file.path.with_name(name) for name in PAIR]
    if not all(path.is_file() for path in pair):
        return False
    rows = [[text_table.fields(line) for line in File(path).start if line.strip()] for path in pair]
    return (
        len(rows[0]) == len(rows[1]) and all(a[-1] == b[-1] for a, b in zip(*rows, strict=True)) and rows[0] != rows[1]
    )


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One loop of the pair, with the voltage of the device and that of the drive.

    Raises:
        FileError: if (V_drive - V) / I is not one resistance.
    """
    paths = [file.path.with_name(name) for name in PAIR]
    device, drive = (text_table.numbers(File(path)) for path in paths)
    if device.shape != drive.shape or device.shape[1] != 2:
        raise FileError(
            f"{file.path.parent}: {PAIR[0]} and {PAIR[1]} have {device.shape} and {drive.shape} rows and columns; these two "
            "files do not belong together."
        )
    v, v_drive, i = device[:, 0], drive[:, 0], device[:, 1] * 1e-6
    if not np.any(i[np.isfinite(i)]):
        raise FileError(f"{file.path} has no current other than 0 in its second column [uA].")
    large = np.abs(i) > 0.01 * np.nanmax(np.abs(i))
    resistances = (v_drive - v)[large] / i[large] if large.any() else np.array([np.nan])
    resistance = float(np.median(resistances))
    spread = float(np.ptp(resistances)) / abs(resistance) if resistance else np.inf
    if not spread < 0.01 or not 1 <= resistance <= 1e8:
        raise FileError(
            f"{file.path.parent}: (V_drive - V) / I is {resistance:.3g} ohm +- {100 * spread:.2g} %, not one resistance; "
            "these two files do not belong together."
        )
    flags = [
        Flag(
            "assumed layout", f"Columns are V and uA: with them (V_drive - V) / I is {resistance:.5g} ohm in each row."
        )
    ]
    columns = {"v": v, "i": i, "v_drive": v_drive}
    protocol: dict[str, Any] = {"series_resistance": round(resistance, 3)}
    frequency, more = _frequency(file.path.parent, v_drive, side)
    flags += more
    if frequency:
        protocol |= {"frequency": frequency, "amplitude": float(np.ptp(v_drive) / 2)}
        columns["t"] = np.arange(len(v)) / (len(v) * frequency)
    label = re.search(r"_([A-Za-z]+\d+)$", file.path.parent.name)
    labels = (label[1] if label else file.path.parent.name,)
    return [Trace("loop", columns, tuple(map(str, paths)), NAME, labels, protocol, tuple(flags))]


def _frequency(folder: pathlib.Path, v_drive: np.ndarray, side: Mapping[str, Any]) -> tuple[float | None, list[Flag]]:
    """Frequency [Hz] of sidecar or folder name, if the rows are exactly one period of a sine."""
    if len(v_drive) < 4 or not np.isfinite(v_drive).all() or not np.ptp(v_drive) > 0:
        return None, [Flag("no time", "The drive has too few rows or missing ones, so rows have no time.")]
    spectrum = np.abs(np.fft.rfft(v_drive - v_drive.mean()))
    share = spectrum[1] / np.sqrt((spectrum[1:] ** 2).sum())
    found = re.search(r"(\d*\.?\d+)\s*(k?)Hz", folder.name)
    named = float(found[1]) * (1000 if found[2] else 1) if found else None
    asked = {"frequency", "rate"} & set(side.get("protocol", {}))
    frequency = side.get("protocol", {}).get("frequency", named)
    if share < 0.99:
        reason = f"The drive is not a single sine period ({100 * share:.0f} % of it), so rows have no time."
        return None, [] if asked else [Flag("no time", reason)]
    if frequency is None:
        reason = f"Neither the folder {folder.name} nor a sidecar gives the frequency: rows have no time."
        return None, [] if asked else [Flag("no time", reason)]
    where = "the sidecar" if "frequency" in asked else f"the folder name {folder.name}"
    reason = (
        f"{len(v_drive)} rows are one period of {frequency:g} Hz, according to {where}; a sine fits to {1 - share:.1e}."
    )
    name = "conditions from the folder name" if where.startswith("the folder") else "conditions"
    return frequency, [Flag(name, reason)]
