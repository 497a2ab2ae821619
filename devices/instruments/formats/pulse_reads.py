"""Logs of rigs that pulse and read: BISOL (`# pulse_v,pulse_width,...`) and Keysight B1500 WGFMU amplitude sweeps.

BISOL writes a line for every burst of equal pulses, with several currents read after it [V, s, A], and other files of
resistances over time [ohm, s]. The WGFMU script writes tab-separated facts, a line of names and a line of values of its
settings, and then amplitude and two resistances of every pulse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import polarity, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "pulse and read log"
SEVERAL_FILES = True  # another file may be another device
BURSTS = ["# pulse_v", "pulse_width", "num_applied", "meas_v", "i_0"]
OVER_TIME = ["# resistance (ohms)", "time (s)"]
SETTINGS = "pulseWGFMU"
READS = ("R_low", "R_high")


def recognises(file: File) -> bool:
    """The first line of a BISOL file; or settings of a WGFMU, and below them amplitudes and resistances."""
    first = text_table.fields(file.start[0], ",") if file.start else []
    if first[: len(BURSTS)] == BURSTS or first[: len(OVER_TIME)] == OVER_TIME:
        return True
    return any(SETTINGS in line for line in file.start[:40]) and _header(file) is not None


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """Pulses, or retention of one state.

    Raises:
        FileError: if the response does not show which polarity raises the conductance and the sidecar does not say it, or
            if the sidecar must say which of two resistances counts.
    """
    first = text_table.fields(file.start[0], ",")
    if first[: len(OVER_TIME)] == OVER_TIME:
        return [_retention(file)]
    return [_bursts(file, side) if first[: len(BURSTS)] == BURSTS else _amplitudes(file, side)]


def _rows(file: File, header: int, least: int) -> np.ndarray:
    """Numbers below the line of headers, as many in a row as headers."""
    values, names = text_table.numbers(file, header + 1), text_table.fields(file.start[header], ",")
    if values.shape[1] != len(names) or len(names) < least:
        raise FileError(
            f"{file.path} has {len(names)} headers but {values.shape[1]} columns of numbers; correct its header."
        )
    return values


def _retention(file: File) -> Trace:
    values = _rows(file, 0, len(OVER_TIME))
    with np.errstate(divide="ignore"):
        g = 1 / values[:, 0]
    columns = {"t": values[:, 1] - values[0, 1], "g": g, "g0": np.full(len(g), g[0])}
    return Trace("retention", columns, (str(file.path),), NAME, (file.path.stem,))


def _bursts(file: File, side: Mapping[str, Any]) -> Trace:
    values = _rows(file, 0, len(BURSTS))
    volts, width, number, v_read = values[:, :4].T
    if (v_read == 0).any():
        row = 2 + int(np.argmax(v_read == 0))
        raise FileError(
            f"{file.path}, line {row}: meas_v = 0, so its currents say nothing about the conductance; leave it out."
        )
    currents = values[:, 4:].mean(1)
    protocol = {"v_read": float(v_read[0])} if len(set(v_read)) == 1 else {}
    reads = values.shape[1] - 4
    flags = [Flag("reads averaged", f"The conductance is the mean of {reads} currents over the read voltage.")]
    if (number != 1).any():
        reason = (
            f"A reading follows {number.min():g} to {number.max():g} pulses: steps are "
            "those of bursts, not of single pulses."
        )
        flags.append(Flag("bursts of pulses", reason))
    return _pulsed(file, side, currents / v_read, volts, width, protocol, *flags)


def _header(file: File) -> int | None:
    """Which line names the columns of a WGFMU's pulses."""
    wanted = ("pulse amplitude (V)", *(f"{name} (ohm)" for name in READS))
    return next((k for k, line in enumerate(file.start[:40]) if all(name in line for name in wanted)), None)


def _amplitudes(file: File, side: Mapping[str, Any]) -> Trace:
    header = _header(file) or 0
    names = [name.lstrip("# ") for name in text_table.fields(file.start[header], ",")]
    values = _rows(file, header, len(names))
    at = next(k for k, line in enumerate(file.start) if SETTINGS in line)
    settings = dict(
        zip(text_table.fields(file.start[at], ","), text_table.fields(file.start[at + 1], ","), strict=False)
    )
    facts = dict(line.lstrip("# ").split("\t", 1) for line in file.start[:at] if "\t" in line)
    if side.get("channel") not in READS:
        raise FileError(
            f"{file.path} has two resistances after each pulse, {' and '.join(READS)}, "
            "and does not say which one counts.",
            {"channel": READS[0]},
        )
    wanted = (f"{side['channel']} (ohm)", "pulse amplitude (V)")
    if missing := [name for name in wanted if name not in names]:
        raise FileError(f"{file.path}, line {header + 1}: no column is called {missing[0]}; correct its header.")
    r, volts = (values[:, names.index(name)] for name in wanted)
    try:
        width = float(settings["pulseWidth"])
    except (KeyError, ValueError):
        raise FileError(f"{file.path}: its settings have no number pulseWidth; export it with its settings.") from None
    flag = Flag("resistance from sidecar", f"The conductance is 1 / {side['channel']}, as the sidecar says.")
    label = facts.get("Device ID", file.path.stem).strip()
    with np.errstate(divide="ignore"):
        g = 1 / r
    return _pulsed(file, side, g, volts, np.full(len(r), width), {}, flag, label=label)


def _pulsed(file: File, side: Mapping[str, Any], g: np.ndarray, volts: np.ndarray, width: np.ndarray,
            protocol: Mapping[str, float], *flags: Flag, label: str = "") -> Trace:  # fmt: skip
    base: dict[str, Any] = dict(
        source=(str(file.path),), format=NAME, labels=(label or file.path.stem,), protocol=protocol
    )
    trace = polarity.pulses_or_reads(file, g, volts, width, volts != 0, np.zeros(len(g)), side, base)
    return trace.flagged(*flags)
