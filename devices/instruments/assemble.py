"""From named columns with units to a `Trace`: resistances become conductances, shunts currents, and the kind is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices.instruments import rig, units
from devices.instruments.source import File
from devices.instruments.trace import KINDS, FileError, Flag, Trace

RESISTANCES = {"r": "g", "r0": "g0", "r_on": "g_on", "r_off": "g_off", "r_before": "g_before", "r_after": "g_after",
               "r_up": "g_up", "r_down": "g_down"}  # fmt: skip


def to_si(file: File, column: str, values: np.ndarray, unit: units.Unit) -> tuple[np.ndarray, bool]:
    """Values in SI units, and whether they are normalised (unit `1`) instead.

    Raises:
        FileError: if the unit is of another dimension than the column.
    """
    wanted = "V" if column == "v_shunt" else units.dimension(column)
    if unit.dimension == wanted or (wanted == "" and unit.dimension in ("", "1")):
        return unit.factor * (values + unit.offset), False
    if wanted == "S" and unit.dimension == "1":
        return values, True
    raise FileError(
        f"{file.path}: column {column} is in {unit.dimension or 'no unit'}, but it is measured in {wanted or 'no unit'}; "
        "mend the header, or say in a sidecar what the columns are."
    )


def derive(file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of a trace from columns of a file: G = 1 / R, I = V_shunt / shunt, V = V_drive - I (shunt + R_series).

    Raises:
        FileError: if the shunt is not known.
    """
    protocol = side.get("protocol", {})
    for r, g in RESISTANCES.items():
        if r in columns:
            with np.errstate(divide="ignore"):
                columns[g] = 1.0 / columns.pop(r)
    if "v_shunt" in columns:
        if protocol.get("shunt", 0) <= 0:
            raise FileError(
                f"{file.path}: the current is a voltage over a shunt whose resistance no file says; write it [ohm] into "
                f"{file.name}.toml:\n\n[protocol]\nshunt = 1000.0\n"
            )
        shunt_voltage = columns.pop("v_shunt")
        columns["i"] = shunt_voltage / protocol["shunt"]
        if "v_drive" in columns and "v" not in columns:
            columns["v"] = columns["v_drive"] - shunt_voltage - columns["i"] * protocol.get("series_resistance", 0.0)
    elif {"v_drive", "i"} <= set(columns) and "v" not in columns and "series_resistance" in protocol:
        columns["v"] = columns["v_drive"] - columns["i"] * protocol["series_resistance"]
    if "g_up" in columns:
        columns = _up_down(file, columns)
    return _patterned(file, columns, side)


def _up_down(file: File, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One column after up pulses and one after down pulses: all up pulses come first, then all down pulses."""
    if "g_down" not in columns:
        raise FileError(f"{file.path}: there are up pulses but no down pulses; name both columns g_up and g_down.")
    up, down = (values[np.isfinite(values)] for values in (columns.pop("g_up"), columns.pop("g_down")))
    g = np.concatenate([up, down])
    pulse = np.concatenate([1 + np.arange(len(up)), 1 + np.arange(len(down))])
    return {"g": g, "direction": np.where(np.arange(len(g)) < len(up), 1.0, -1.0), "pulse": pulse}


def _patterned(file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """`pattern = { up = 50, down = 50 }`: which pulses went up, if no column says it."""
    pattern = side.get("pattern")
    if not pattern or "direction" in columns or "g" not in columns:
        return columns
    up, down = pattern.get("up", 0), pattern.get("down", 0)
    if not isinstance(up, int) or not isinstance(down, int) or up < 0 or down < 0 or up + down == 0:
        raise FileError(
            f"{file.path}: pattern = {pattern!r} must be {{ up = 50, down = 50 }}, numbers of pulses in a cycle."
        )
    row = np.arange(len(columns["g"]))
    place = row % (up + down)
    columns["direction"] = np.where(place < up, 1.0, -1.0)
    columns.setdefault("cycle", row // (up + down))
    columns["pulse"] = np.where(place < up, place, place - up) + 1
    return columns


def kind_of(file: File, columns: Mapping[str, np.ndarray], side: Mapping[str, Any]) -> tuple[str, list[Flag]]:
    """The kind of measurement: what the sidecar says, else the only kind that has these columns.

    Raises:
        FileError: if no kind has them.
    """
    if "kind" in side:
        return side["kind"], []
    names = set(columns)
    fits = [k for k, (must, may) in KINDS.items() if set(must) <= names <= {*must, *may}]
    if side.get("wanted") in fits:
        return side["wanted"], []
    if fits and set(fits) <= {"loop", "read-iv"}:
        turns = _returns(columns["v"]) or "loop" not in fits or "read-iv" not in fits
        kind = fits[0] if turns else "read-iv"
        why = "the voltage turns back" if kind == "loop" else "the voltage only rises or falls"
        return kind, [
            Flag("assumed kind", f"Columns V and I were taken for a {kind}, as {why}; `kind = ...` overrules it.")
        ]
    if len(fits) == 1:
        return fits[0], []
    wanted = "; ".join(f"{k}: {', '.join(must)}" for k, (must, _) in KINDS.items())
    raise FileError(
        f"{file.path} has columns {', '.join(sorted(names)) or '(none known)'}, which "
        f"{'no kind of measurement has' if not fits else 'are of several kinds: ' + ', '.join(fits)}. Needed are, by kind: "
        f"{wanted}. Name the columns, and if need be `kind` and `pattern = {{ up = 50, down = 50 }}`, in {file.name}.toml."
    )


def _returns(v: np.ndarray) -> bool:
    steps = np.sign(np.diff(v[np.isfinite(v)]))
    return len(set(steps[steps != 0])) > 1


def trace(
    file: File,
    named: Sequence[tuple[str, np.ndarray, units.Unit]],
    side: Mapping[str, Any],
    form: str,
    labels: tuple[str, ...] = (),
    protocol: Mapping[str, Any] | None = None,
) -> Trace:
    """A trace of columns with units; `-` columns are left out.

    Raises:
        FileError: if a column comes twice, some conductances have units and others not, or columns fit no kind.
    """
    columns: dict[str, np.ndarray] = {}
    normalised: dict[str, bool] = {}
    for column, values, unit in named:
        if column == "-":
            continue
        if column in columns:
            raise FileError(
                f"{file.path}: column {column} comes twice; say in a sidecar which one counts (the other is `-`)."
            )
        columns[column], plain = to_si(file, column, np.asarray(values, float), unit)
        if units.dimension(column) == "S":
            normalised[column] = plain
    if len(set(normalised.values())) > 1:
        raise FileError(f"{file.path} mixes siemens and normalised values: {normalised}; give one unit to all of them.")
    if "device" in columns and not labels:
        if not np.isfinite(columns["device"]).all():
            raise FileError(f"{file.path}: the column of devices has empty cells; every row must say whose it is.")
        columns["device"], labels = rig.cells(columns["device"])
    columns = derive(file, columns, side)
    kind, flags = kind_of(file, columns, side)
    unit = "1" if any(normalised.values()) else "S"
    return Trace(
        kind,
        columns,
        (str(file.path),),
        form,
        labels or (file.path.stem,),
        {**(protocol or {})},
        tuple(flags),
        unit,
    )
