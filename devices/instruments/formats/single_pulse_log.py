"""Rig log of single pulses: address, pulse width [s], gate voltage, pulse voltage, resistance before and after [ohm]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig
from devices.instruments.source import File
from devices.instruments.trace import Flag, Trace

NAME = "single-pulse log"
CLEAR = 0.8  # share of the large changes that must go one way


def recognises(file: File) -> bool:
    """Six columns: whole numbers, widths of 0.1 ns to 0.1 s, two voltages up to 20 V, two resistances."""
    rows = rig.start(file, 6)
    if rows is None:
        return False
    address, width, gate, v = rows[:, :4].T
    widths = ((width >= 1e-10) & (width <= 0.1)).all()
    volts = (np.abs(gate) <= 20).all() and (np.abs(v) <= 20).all() and gate.any() and v.any()
    return bool(rig.whole(address) and widths and volts and rig.ohms(rows[:, 4:]))


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One pulse map; its direction is that of nearly all pulses that change the conductance more than twofold."""
    address, width, gate, v, before, after = rig.rows_of(file, 6).T
    device, labels = rig.cells(file, address)
    columns = {"v": v, "width": width, "g_before": 1 / before, "g_after": 1 / after, "v_gate": gate, "device": device}
    layout = rig.assumed(
        "address, pulse width [s], gate (word line) [V], pulse (bit or source line) [V], R before and after [ohm]",
        "whole addresses, widths of 0.1 ns to 0.1 s, voltages up to 20 V, resistances of 10 ohm to 10 Tohm",
    )
    direction, flag = _direction(before / after, v, side)
    protocol = {}
    if direction is not None:
        columns["direction"] = direction
        protocol = {"direction": float(direction[0])} if len(np.unique(direction)) == 1 else {}
    return [Trace("pulse-map", columns, (str(file.path),), NAME, labels, protocol, (layout, flag))]


def _direction(ratio: np.ndarray, v: np.ndarray, side: Mapping[str, Any]) -> tuple[np.ndarray | None, Flag]:
    """Direction of every pulse: by the sidecar, by the large changes, or unknown."""
    if "positive" in side:
        up = 1.0 if side["positive"] == "up" else -1.0
        return np.where(v < 0, -up, up), Flag("polarity from sidecar", f"Positive pulses move G {side['positive']}.")
    rose, fell = int((ratio > 2).sum()), int((ratio < 0.5).sum())
    share = max(rose, fell) / max(1, rose + fell)
    counts = f"{rose} of {len(v)} pulses raised G more than twofold, {fell} lowered it as much"
    if rose + fell < 20 or share < CLEAR:
        reason = f'{counts}: no clear direction, so none is given; `positive = "up"` or `"down"` in a sidecar says it.'
        return None, Flag("direction unknown", reason)
    direction = 1.0 if rose > fell else -1.0
    reason = f"{counts}: direction is {direction:+.0f} for the whole file. Voltages keep the sign that the file has."
    return np.full(len(v), direction), Flag("direction measured", reason)
