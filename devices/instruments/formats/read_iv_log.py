"""Rig log of low-voltage reads: address, current [A], voltage [V], cell after cell through the same voltages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig
from devices.instruments.source import File
from devices.instruments.trace import Trace

NAME = "read I-V log"


def recognises(file: File) -> bool:
    """Three columns: blocks of one whole address each, |I| below 0.1 A, and the same voltages in every block."""
    rows = rig.start(file, 3)
    if rows is None or not rig.whole(rows[:, 0]):
        return False
    address, i, v = rows.T
    block = int(np.argmax(address != address[0]))
    if block < 3 or len(address) < 2 * block:
        return False
    blocks = len(address) // block
    voltages = v[: blocks * block].reshape(blocks, block)
    addresses = address[: blocks * block].reshape(blocks, block)
    same = (voltages == voltages[0]).all() and (addresses == addresses[:, :1]).all()
    return bool(same and len(np.unique(voltages[0])) == block and np.abs(i).max() < 0.1 and np.abs(v).max() <= 10)


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One read I-V trace of all cells."""
    address, i, v = rig.rows_of(file, 3).T
    device, labels = rig.cells(file, address)
    flag = rig.assumed(
        "address, current [A], voltage [V]",
        "every block of one address goes through the same voltages, each once, up to 10 V; currents stay below 0.1 A",
    )
    return [Trace("read-iv", {"v": v, "i": i, "device": device}, (str(file.path),), NAME, labels, {}, (flag,))]
