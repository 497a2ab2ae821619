"""Rig logs of relaxation (address, time, R, G, first G, range, nominal time) and of bakes (.., temperature)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import rig
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "relaxation log"


def recognises(file: File) -> bool:
    """R G = 1 in columns 3 and 4; and either 7 columns with G = first G at time 0, or 5 with few temperatures in the last."""
    rows = rig.start(file, 7)
    if rows is not None:
        now = rows[:, 1] == 0
        same = (rows[now, 3] == rows[now, 4]).all() and rig.whole(rows[:, 5]) and (rows[:, 6] >= 0).all()
        return bool(rig.whole(rows[:, 0]) and rig.inverse(rows[:, 2], rows[:, 3]) and same and now.any())
    rows = rig.start(file, 5)
    if rows is None or not rig.whole(rows[:, 0]) or not rig.inverse(rows[:, 2], rows[:, 3]):
        return False
    few = len(np.unique(rows[:, 4])) <= 20
    return bool((rows[:, 1] >= 0).all() and few and (rows[:, 4] > -273).all() and (rows[:, 4] < 1000).all())


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One retention trace: a row for every later reading of a cell, with its first reading as g0."""
    columns = rig.start(file, 7)
    return [_relaxation(file) if columns is not None else _bake(file, side)]


def _relaxation(file: File) -> Trace:
    address, t, _, g, g0, _, nominal = rig.rows_of(file, 7).T
    later = t > 0
    device, labels = rig.cells(file, address)
    columns = {"t": t[later], "g": g[later], "g0": g0[later], "device": device[later]}
    flags = (
        rig.assumed(
            "address, time [s], R [ohm], G [S], first G [S], range, nominal time [s]",
            f"R G = 1; first G equals G in all {(~later).sum()} rows of time 0, which are left out as they only repeat it",
        ),
        Flag(
            "start is not a target",
            "g0 is the measured start value; the range column is a bin of it and not a programming target, "
            "so programming errors cannot be obtained from these rows.",
        ),
    )
    protocol = {"nominal_times": tuple(float(x) for x in np.unique(nominal[later]))}
    return Trace("retention", columns, (str(file.path),), NAME, labels, protocol, flags)


def _bake(file: File, side: Mapping[str, Any]) -> Trace:
    address, t, _, g, temperature = rig.rows_of(file, 5).T
    kelvin, flag = _kelvin(file, temperature, side)
    device, labels = rig.cells(file, address)
    key = device * (kelvin.max() + 1) + kelvin
    before = np.flatnonzero(t == 0)
    keys, first = np.unique(key[before], return_index=True)
    if len(keys) != len(before):
        raise FileError(
            f"{file.path}: a cell has two rows of time 0 at one temperature; which one is its start is not known."
        )
    later = np.flatnonzero(t > 0)
    if len(later) == 0 or len(keys) == 0:
        raise FileError(f"{file.path} has no cell with a row of time 0 and a later one at the same temperature.")
    place = np.searchsorted(keys, key[later])
    found = (place < len(keys)) & (keys[np.minimum(place, len(keys) - 1)] == key[later])
    later, place = later[found], place[found]
    if len(later) == 0:
        raise FileError(f"{file.path} has no cell with a row of time 0 and a later one at the same temperature.")
    columns = {
        "t": t[later],
        "g": g[later],
        "g0": g[before[first[place]]],
        "temperature": kelvin[later],
        "device": device[later],
    }
    flags = [
        rig.assumed(
            "address, time [s] (0: before the bake), R [ohm], G [S], temperature",
            f"R G = 1; one row of time 0 for each cell and temperature; {len(np.unique(kelvin))} temperatures",
        ),
        flag,
    ]
    if (~found).any():
        flags.append(Flag("rows left out", f"{(~found).sum()} rows have no start row of their cell and temperature."))
    return Trace("retention", columns, (str(file.path),), NAME, labels, {}, tuple(flags))


def _kelvin(file: File, values: np.ndarray, side: Mapping[str, Any]) -> tuple[np.ndarray, Flag]:
    """Temperatures in kelvin: as `units` of the sidecar says, else degrees C if they cannot be those of a bake in kelvin.

    Raises:
        FileError: if both are possible.
    """
    given = side.get("units", [])
    if given:
        offset = 0.0 if given[-1] == "K" else 273.15
        return values + offset, Flag("temperature unit", f"Temperatures are in {given[-1]}, as the sidecar says.")
    if values.min() >= 250:
        raise FileError(
            f"{file.path}: are {values.min():g}..{values.max():g} kelvin or degrees Celsius? `units` of its sidecar "
            "can end in K or in C.",
            {"units": ["1", "s", "ohm", "S", "C"]},
        )
    reason = f"Temperatures from {values.min():g} up were taken as degrees Celsius: no bake is that cold in kelvin."
    return values + 273.15, Flag("assumed unit", reason)
