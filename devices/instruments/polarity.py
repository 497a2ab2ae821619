"""Trains of pulses of both signs; which sign raises the conductance is measured, or given by the sidecar; never
assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace


def directions(
    file: File, amplitude: np.ndarray, g: np.ndarray, device: np.ndarray, side: Mapping[str, Any]
) -> tuple[np.ndarray, Flag]:
    """Direction of every pulse (+1: conductance up) from the sign of its amplitude.

    Raises:
        FileError: if the response does not show which sign raises the conductance, and the sidecar does not say so.
    """
    if "positive" in side:
        up = 1.0 if side["positive"] == "up" else -1.0
        return up * np.sign(amplitude), Flag("polarity from sidecar", f"Positive pulses move G {side['positive']}.")
    changes = np.diff(np.log(np.abs(g))) * np.sign(amplitude[1:])
    changes = changes[(device[1:] == device[:-1]) & np.isfinite(changes) & (changes != 0)]
    along = int((changes > 0).sum())
    score = abs(2 * along - len(changes)) / max(1.0, np.sqrt(len(changes)))  # standard deviations away from a fair coin
    if score < 3:
        raise FileError(
            f"{file.path}: pulses do not show which sign raises the conductance ({along} of {len(changes)} changes "
            'agree with the sign); write it into its sidecar: `positive` is "up" or "down", what positive pulses do to G.',
            {"positive": "up"},
        )
    up = 1.0 if 2 * along > len(changes) else -1.0
    word = "raise" if up > 0 else "lower"
    reason = f"Positive pulses {word} G: {max(along, len(changes) - along)} of {len(changes)} changes show it."
    return up * np.sign(amplitude), Flag("polarity measured", reason)


def pulse_numbers(device: np.ndarray, direction: np.ndarray, pulsed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each pulse within its run of equal direction, and the number of the cycle (an up and a down run)."""
    number, cycle = np.zeros(len(device)), np.zeros(len(device))
    for d in np.unique(device):
        rows = np.flatnonzero((device == d) & pulsed)
        if len(rows) == 0:
            continue
        new = np.concatenate([[True], np.diff(direction[rows]) != 0])
        start = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
        number[rows] = np.arange(len(rows)) - start + 1
        cycle[rows] = (np.cumsum(new) - 1) // 2
    return number, cycle


def pulses_or_reads(
    file: File,
    g: np.ndarray,
    amplitude: np.ndarray,
    width: np.ndarray,
    pulsed: np.ndarray,
    device: np.ndarray,
    side: Mapping[str, Any],
    base: dict[str, Any],
) -> Trace:
    """Conductances after pulses with the read before the first pulse of a cell as pulse 0; `noise` if there is no pulse."""
    if not pulsed.any():
        return Trace("noise", {"g": g, "device": device}, **base)
    last = np.zeros(len(g), bool)
    for d in np.unique(device):
        rows = np.flatnonzero(device == d)
        first = int(np.argmax(pulsed[rows])) if pulsed[rows].any() else 0
        last[rows[first - 1 : first]] = True
    keep = pulsed | last
    order = np.flatnonzero(keep)[np.argsort(device[keep], kind="stable")]
    g, amplitude, width, device, is_pulse = (column[order] for column in (g, amplitude, width, device, pulsed))
    direction, flag = directions(file, np.where(is_pulse, amplitude, 0), g, device, side)
    following = np.roll(direction, -1)
    direction = np.where(is_pulse, direction, following)
    number, cycle = pulse_numbers(device, direction, is_pulse)
    columns = {"g": g, "direction": direction, "pulse": number, "cycle": cycle, "device": device, "amplitude": amplitude,
               "width": width}  # fmt: skip
    trace = Trace("pulses", columns, **base).flagged(flag)
    dropped = int((~keep).sum())
    reason = f"{dropped} reads without a pulse were left out (only the last one before a cell's first pulse is kept)."
    return trace.flagged(Flag("reads left out", reason)) if dropped else trace
