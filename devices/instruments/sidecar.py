"""The sidecar: a small TOML file beside the data, with what the data do not contain.

It is `<file>.toml` next to a file, or `xbar-data.toml` in its folder (or a folder above, up to the one that was asked for),
with tables `[files."*reset*"]` for some of the files; what is written closest to the file wins.

`columns` and `units` name the columns in their order (`"-"` leaves one out), `arrays` those of a MATLAB or HDF5 file.
`start = "before.csv"` takes the start g0 of each cell from another file; `protocol.bake_time` [s] says how much later it was
read. `protocol.frequency` [Hz] (of the sweep) or `rate` [Hz] (of reads) gives a clock to a loop that has none.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices import plain_toml
from devices.instruments import column_headers
from devices.instruments.trace import KINDS, OVERFLOW, UNITS, FileError, Flag, Trace
from devices.plain_toml import shown

FOLDER = "xbar-data.toml"
KEYS = {
    "kind": str, "format": str, "columns": list, "units": list, "sign": Mapping, "pattern": Mapping, "normalised": list,
    "each_file": str, "channel": str, "positive": str, "skip_rows": int, "max_megabytes": (int, float), "arrays": list,
    "start": str,
    "protocol": Mapping, "files": Mapping,
}  # fmt: skip
PROTOCOL = {
    "series_resistance": "ohm", "shunt": "ohm", "compliance": "A", "frequency": "Hz", "v_read": "V", "rate": "Hz",
    "width_up": "s", "width_down": "s", "amplitude_up": "V", "amplitude_down": "V", "temperature": "K", "area": "m2",
    "g_min": "S", "g_max": "S", "current_offset": "A",
    "bandwidth": "Hz", "attempt_time": "s", "ratio_limit": "1", "loss_limit": "1", "relative_weight": "1",
    "periodic": "0 or 1", "bake_time": "s",
}  # fmt: skip
ABOVE_0 = {  # what has no meaning at 0 or below
    "shunt", "compliance", "frequency", "rate", "width_up", "width_down", "temperature", "area", "g_max", "bandwidth",
    "attempt_time", "ratio_limit", "loss_limit", "relative_weight",
}  # fmt: skip
EXTRA = (
    "polarity",
    "place",
    "r_target",
    "r",
    "r0",
    "r_on",
    "r_off",
    "r_before",
    "r_after",
    "g_up",
    "g_down",
    "r_up",
    "r_down",
    "v_shunt",
    "-",
)


def find(path: pathlib.Path, root: pathlib.Path | None, given: Any) -> dict[str, Any]:
    """All sidecar settings for one file: of its folders from `root` down, of its own, then what was passed along.

    Raises:
        FileError: if a sidecar is not valid TOML, or holds something that is not allowed.
    """
    folders = [path.parent]
    while root is not None and folders[0] != root and root in folders[0].parents:
        folders.insert(0, folders[0].parent)
    places = [folder / FOLDER for folder in folders] + [path.with_name(path.name + ".toml")]
    layers = [(str(place), _load(place)) for place in places if place.is_file()]
    if given is not None:
        layers.append(
            (f"{path}, sidecar=", dict(given))
            if isinstance(given, Mapping)
            else (str(given), _load(pathlib.Path(given)))
        )
    merged: dict[str, Any] = {}
    for where, layer in layers:
        for part in _parts(where, layer, path):
            protocol = {**merged.get("protocol", {}), **part.get("protocol", {})}
            merged = {**merged, **part, "protocol": protocol}
    return merged


def _load(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        raise FileError(f"there is no sidecar {path}; check the spelling.")
    try:
        return plain_toml.parsed(path)
    except plain_toml.PlainTomlError as error:
        raise FileError(str(error)) from None


def _parts(where: str, layer: dict[str, Any], path: pathlib.Path):
    """The layer itself, then those of its `files` tables whose pattern fits the file."""
    yield _checked(where, {key: value for key, value in layer.items() if key != "files"})
    files = layer.get("files", {})
    if not isinstance(files, Mapping) or not all(isinstance(table, Mapping) for table in files.values()):
        raise FileError(f'{where}: files = {shown(files)} must be tables such as [files."*reset*"].')
    for pattern, table in files.items():
        if fnmatch.fnmatch(path.name, pattern) or fnmatch.fnmatch(path.as_posix(), pattern):
            yield _checked(f'{where}, [files."{pattern}"]', table)


def checked(side: Mapping[str, Any]) -> dict[str, Any]:
    """A sidecar's settings, checked.

    Raises:
        FileError: if it holds something that is not allowed.
    """
    return _checked("sidecar", dict(side))


def _checked(where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in table.items():
        if key not in KEYS:
            raise FileError(f"{where}: unknown key {shown(key)}; known keys are {', '.join(KEYS)}.")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            raise FileError(
                f"{where}: {key} = {shown(value)} has the wrong type; see the example in the documentation."
            )
    if "kind" in table and table["kind"] not in KINDS:
        raise FileError(f"{where}: unknown kind {shown(table['kind'])}; known kinds are {', '.join(KINDS)}.")
    for key, words in WORDS.items():
        if table.get(key, words[0]) not in words:
            what = ": what positive pulses do to G" if key == "positive" else ""
            raise FileError(f'{where}: {key} = {shown(table[key])} must be "{words[0]}" or "{words[1]}"{what}.')
    _check_protocol(where, table.get("protocol", {}))
    _check_columns(where, table)
    if table.get("skip_rows", 0) < 0:
        raise FileError(f"{where}: skip_rows = {table['skip_rows']} must be a number of lines, 0 or more.")
    if not 0 < table.get("max_megabytes", 1) < np.inf:
        raise FileError(f"{where}: max_megabytes = {table['max_megabytes']} must be a number above 0.")
    return dict(table)


WORDS = {"each_file": ("device", "cycle"), "positive": ("up", "down")}


def _check_protocol(where: str, protocol: Mapping[str, Any]) -> None:
    for key, value in protocol.items():
        if key not in PROTOCOL:
            known = ", ".join(f"{k} [{u}]" for k, u in PROTOCOL.items())
            raise FileError(f"{where}: unknown key protocol.{key}; known keys are {known}.")
        if not _is_number(value):
            raise FileError(f"{where}: protocol.{key} = {shown(value)} must be a number in {PROTOCOL[key]}.")
        if (value < 0 and key in ("series_resistance", "g_min")) or (value <= 0 and key in ABOVE_0):
            raise FileError(f"{where}: protocol.{key} = {value:g} must be above 0 {PROTOCOL[key]}, or be left out.")
    low, high = protocol.get("g_min", 0), protocol.get("g_max", np.inf)
    if not low < high:
        raise FileError(f"{where}: protocol.g_min = {low:g} S must be below protocol.g_max = {high:g} S.")


def _is_number(value: Any) -> bool:
    """Whether a value is a number of a size that a measured quantity may have."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and (value == 0 or 1 / OVERFLOW < abs(value) < OVERFLOW)


def _check_columns(where: str, table: Mapping[str, Any]) -> None:
    allowed = (*UNITS, *EXTRA)
    for column in (*table.get("columns", ()), *table.get("sign", {})):
        if column not in allowed:
            raise FileError(f"{where}: unknown column {shown(column)}; known columns are {', '.join(allowed)}.")
    for name in table.get("arrays", ()):
        if not isinstance(name, str):
            raise FileError(
                f'{where}: arrays = {shown(table["arrays"])} must be names of arrays, such as ["Vd", "Id"].'
            )
    for column, sign in table.get("sign", {}).items():
        if isinstance(sign, bool) or sign not in (1, -1):
            raise FileError(f"{where}: sign.{column} = {shown(sign)} must be 1 or -1.")
    names = dict(enumerate(table.get("columns", ())))
    for k, text in enumerate(table.get("units", ())):
        if not isinstance(text, str) or column_headers.unit(text) is None:
            raise FileError(
                f'{where}: {shown(text)} of column {k + 1} ({names.get(k, "not named")}) is not a unit; write "V", "uA", '
                '"ms", "kohm", "uS", "C", or "1" for none.'
            )
    ends = table.get("normalised", [0, 1])
    if not all(map(_is_number, ends)) or len(ends) != 2 or not ends[0] < ends[1]:
        raise FileError(
            f"{where}: normalised = {shown(ends)} must be two numbers, such as [-1.0, 1.0]: the value at g_min, then that at "
            "g_max."
        )


def apply(trace: Trace, sidecar: Mapping[str, Any]) -> Trace:
    """The trace with the sidecar's protocol, its signs, and its siemens for normalised conductances."""
    protocol = sidecar.get("protocol", {})
    changed = [k for k, v in protocol.items() if k in trace.protocol and trace.protocol[k] != v]
    if changed:
        what = ", ".join(f"{k} {protocol[k]:g} (the file says {trace.protocol[k]})" for k in changed)
        trace = trace.flagged(Flag("sidecar overrides file", f"The sidecar sets {what}."))
    trace = dataclasses.replace(trace, protocol={**trace.protocol, **protocol})
    signs = {c: float(s) for c, s in sidecar.get("sign", {}).items() if c in trace and s != 1}
    if signs:
        columns = {name: signs.get(name, 1.0) * values for name, values in trace.columns.items()}
        reason = "The sidecar multiplies " + ", ".join(f"{c} by {s:g}" for c, s in signs.items()) + "."
        trace = dataclasses.replace(trace, columns=columns).flagged(Flag("sign from sidecar", reason))
    return (
        _in_siemens(trace, sidecar.get("normalised"))
        if trace.unit == "1" and {"g_min", "g_max"} <= set(protocol)
        else trace
    )


def _in_siemens(trace: Trace, ends: list | None) -> Trace:
    """Normalised conductances lo..hi become g_min..g_max, linearly."""
    if not ends:
        raise FileError(
            f"{trace.name}: g_min and g_max are given for normalised values, but not which values they belong to; add "
            f"`normalised = [-1.0, 1.0]` (value at g_min, value at g_max) to the sidecar."
        )
    low, high = ends
    g_min, g_max = trace.protocol["g_min"], trace.protocol["g_max"]
    columns = {
        name: g_min + (values - low) / (high - low) * (g_max - g_min) if UNITS[name] == "S" else values
        for name, values in trace.columns.items()
    }
    reason = f"Normalised {low:g}..{high:g} was mapped linearly to {g_min:g}..{g_max:g} S, as the sidecar says."
    return dataclasses.replace(trace, columns=columns, unit="S").flagged(Flag("mapped to siemens", reason))


def example(path: pathlib.Path, first_row: str, count: int, body: str) -> str:
    """The sidecar to copy, with the number of columns and the first row of that file."""
    return (
        f"Write what is missing into {path.name}.toml beside it, for example:\n\n"
        f"# {path.name}: {count} columns; first row: {first_row[:120].strip()}\n{body.strip()}\n"
    )
