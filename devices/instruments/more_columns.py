"""Columns that follow from others: the direction of pulses, the device of a state, and starts from another file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import polarity
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag

Columns = dict[str, np.ndarray]


def levels(columns: Columns, labels: tuple[str, ...]) -> tuple[Columns, tuple[str, ...], list[Flag]]:
    """A column of states, without a target, says which device or cycle readings belong to: each state is a device, or a
    cycle of a loop that comes back; one with a different value in most rows is a state variable, and left out."""
    if "level" not in columns or "target" in columns or "r_target" in columns:
        return columns, labels, []
    columns = dict(columns)
    level = columns.pop("level")
    values, code = np.unique(level, return_inverse=True)
    if not np.isfinite(level).all() or 2 * len(values) > len(level):
        why = "A column of states has a different value in most rows, or none in some: it does not tell cells apart."
        return columns, labels, [Flag("columns left out", why)]
    if "v" in columns and "cycle" not in columns and _comes_back(columns["v"], code):
        return {**columns, "cycle": level}, labels, [Flag("assumed cycles", "Each state is a cycle of the loop.")]
    if "device" not in columns:
        names = tuple(f"{value:g}" for value in values)
        return {**columns, "device": code.astype(float)}, names, [Flag("assumed devices", _each(len(values), "state"))]
    pairs, first, both = np.unique(np.stack([columns["device"], code]), axis=1, return_index=True, return_inverse=True)
    named = [labels[int(d)] if labels else f"{d:g}" for d in pairs[0]]
    names = tuple(f"{name}/{values[int(k)]:g}" for name, k in zip(named, pairs[1], strict=True))
    flag = Flag("assumed devices", _each(len(first), "state of each device"))
    return {**columns, "device": both.ravel().astype(float)}, names, [flag]


def _each(count: int, what: str) -> str:
    return f"Each {what} was taken as a separate device: {count} of them; `columns = [...]` with `-` changes that."


def _comes_back(v: np.ndarray, code: np.ndarray) -> bool:
    """Whether the voltage turns back within one state."""
    steps = np.diff(v)[np.diff(code) == 0]
    signs = np.sign(steps[np.isfinite(steps) & (steps != 0)])
    return len(np.unique(signs)) > 1


def ways(file: File, columns: Columns, side: Mapping[str, Any]) -> tuple[Columns, list[Flag]]:
    """Directions of pulses: 0 and 1 are down and up; a polarity, or an amplitude of both signs, is that of a voltage,
    and the response shows which sign raises the conductance."""
    columns, flags = dict(columns), []
    sign = columns.pop("polarity", None)
    if "direction" in columns:
        way = columns["direction"]
        if set(np.unique(way[np.isfinite(way)])) == {0.0, 1.0}:
            columns["direction"] = np.where(np.isfinite(way), 2 * way - 1, np.nan)
            flags = [Flag("assumed polarity", "Directions 0 and 1 were taken as down and up.")]
        return columns, flags
    if "g" not in columns:
        return columns, flags
    amplitude = columns.get("amplitude")
    if sign is not None:
        amplitude = sign if amplitude is None else np.where((amplitude < 0).any(), amplitude, sign * np.abs(amplitude))
        columns |= {"amplitude": amplitude} if "amplitude" in columns else {}
    if amplitude is None:
        return columns, flags
    device = columns.get("device", np.zeros(len(columns["g"])))
    columns["direction"], flag = polarity.directions(file, amplitude, columns["g"], device, side)
    return columns, [flag]


def start(file: File, columns: Columns, labels: tuple[str, ...], side: Mapping[str, Any]) -> tuple[Columns, list[Flag]]:
    """The start g0 of every device from the file that `start` of the sidecar names, and the time and temperature of a bake
    where no column says them.

    Raises:
        FileError: if devices of this file are not in that one, or the time is not known.
    """
    if "starts" not in side or "g" not in columns:
        return columns, []
    name, starts = side["starts"]
    protocol = side.get("protocol", {})
    device = columns.get("device", np.zeros(len(columns["g"])))
    labels = labels or (file.path.stem,)
    found = [starts.get(label, np.nan) for label in labels] if len(labels) > 1 else [*starts.values()][:1]
    lost = [label for label, g in zip(labels, found, strict=True) if not np.isfinite(g)]
    if len(lost) == len(labels):
        raise FileError(
            f"{file.path}: none of its devices ({', '.join(lost[:3])}, ...) is in "
            f"{name}, which should hold their starts."
        )
    columns = {**columns, "g0": np.array(found)[device.astype(int)]}
    for column, key in (("t", "bake_time"), ("temperature", "temperature")):
        if column not in columns and key in protocol:
            columns[column] = np.full(len(device), float(protocol[key]))
    if "t" not in columns:
        raise FileError(
            f"{file.path}: no column says how long after {name} it was read [s]; write it into its sidecar, and the "
            "temperature [K] of the bake, if there was one.",
            {"protocol": {"bake_time": 3600.0}},
        )
    flags = [Flag("start from another file", f"g0 of each device is its reading in {name}.")]
    if lost:
        flags.append(Flag("starts missing", f"{len(lost)} of {len(labels)} devices have no start in {name}."))
    return columns, flags
