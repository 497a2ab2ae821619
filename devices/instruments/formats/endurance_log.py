"""Rig logs of cycling: address, resistance after SET and after RESET [ohm], number of cycles so far; or a line for each
cell, its address and then both resistances of every cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig, text_table
from devices.instruments.source import File
from devices.instruments.trace import Trace

NAME = "endurance log"
LEAST = 20  # cycles in a line


def recognises(file: File) -> bool:
    """Four columns: whole address, two resistances of which the first is mostly the smaller, counts that rise in each cell.
    Or a whole address and an even number of resistances, of which every second one is mostly the smaller, or the larger."""
    rows = rig.start(file, 4)
    if rows is None:
        return _first_line(file) is not None
    address, on, off, count = rows.T
    same = address[1:] == address[:-1]
    rising = (np.diff(count)[same] > 0).all() and same.sum() > len(same) / 2
    return bool(
        rig.whole(address) and rig.whole(count) and rising and rig.ohms(rows[:, 1:3]) and np.mean(on < off) > 0.9
    )


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One endurance trace."""
    if (line := _first_line(file)) is not None:
        return [_of_lines(file, bool(np.mean(line[1::2] < line[2::2]) > 0.5))]
    address, on, off, count = rig.rows_of(file, 4).T
    device, labels = rig.cells(file, address)
    columns = {"cycle": count, "g_on": 1 / on, "g_off": 1 / off, "device": device}
    flag = rig.assumed(
        "address, R after SET [ohm], R after RESET [ohm], cycle count",
        f"whole addresses, counts that rise, resistances of 10 ohm to 10 Tohm, first below second in {np.mean(on < off):.1%}",
    )
    return [Trace("endurance", columns, (str(file.path),), NAME, labels, {}, (flag,))]


def _first_line(file: File) -> np.ndarray | None:
    """Numbers of the first line if it is of a cell with its cycles; else None."""
    try:
        line = np.array([float(cell) for cell in text_table.fields(file.start[0])]) if file.start else np.empty(0)
    except ValueError:
        return None
    if len(line) < 1 + 2 * LEAST or len(line) % 2 == 0 or not rig.whole(line[:1]) or not rig.ohms(line[1:]):
        return None
    share = np.mean(line[1::2] < line[2::2])
    return line if share > 0.9 or share < 0.1 else None


def _of_lines(file: File, on_first: bool) -> Trace:
    values = text_table.numbers(file)
    device, labels = rig.cells(file, values[:, 0])
    r = values[:, 1:].reshape(len(values), -1, 2)
    on, off = (r[:, :, k].ravel() for k in ((0, 1) if on_first else (1, 0)))
    cycles = r.shape[1]
    columns = {
        "cycle": np.tile(1.0 + np.arange(cycles), len(values)), "g_on": 1 / on, "g_off": 1 / off,
        "device": np.repeat(device, cycles),
    }  # fmt: skip
    order = "SET, RESET" if on_first else "RESET, SET"
    flag = rig.assumed(
        f"address, then R after {order}, ... [ohm] of consecutive cycles, one line per cell",
        f"whole addresses, resistances of 10 ohm to 10 Tohm, the one after SET below the other in {np.mean(on < off):.1%}",
    )
    return Trace("endurance", columns, (str(file.path),), NAME, labels, {}, (flag,))
