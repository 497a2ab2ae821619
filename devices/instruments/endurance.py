"""Rig log of cycling: address, resistance after SET and after RESET [ohm], number of cycles so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig
from devices.instruments.source import File
from devices.instruments.trace import Trace

NAME = "endurance log"


def recognises(file: File) -> bool:
    """Four columns: whole address, two resistances of which the first is mostly the smaller, counts that rise in each cell."""
    rows = rig.start(file, 4)
    if rows is None:
        return False
    address, on, off, count = rows.T
    same = address[1:] == address[:-1]
    rising = (np.diff(count)[same] > 0).all() and same.sum() > len(same) / 2
    return bool(
        rig.whole(address) and rig.whole(count) and rising and rig.ohms(rows[:, 1:3]) and np.mean(on < off) > 0.9
    )


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One endurance trace."""
    address, on, off, count = rig.rows_of(file, 4).T
    device, labels = rig.cells(address)
    columns = {"cycle": count, "g_on": 1 / on, "g_off": 1 / off, "device": device}
    flag = rig.assumed(
        "address, R after SET [ohm], R after RESET [ohm], cycle count",
        f"whole addresses, counts that rise, resistances of 10 ohm to 10 Tohm, first below second in {np.mean(on < off):.1%}",
    )
    return [Trace("endurance", columns, (str(file.path),), NAME, labels, {}, (flag,))]
