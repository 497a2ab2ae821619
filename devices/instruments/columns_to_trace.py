"""From named columns with units to a `Trace`: resistances become conductances, shunts currents, and the kind is found."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from devices.instruments import column_headers, more_columns, rig
from devices.instruments.source import File, NotAMeasurement
from devices.instruments.trace import KINDS, FileError, Flag, Trace

RESISTANCES = {"r": "g", "r0": "g0", "r_on": "g_on", "r_off": "g_off", "r_before": "g_before", "r_after": "g_after",
               "r_up": "g_up", "r_down": "g_down", "r_target": "target"}  # fmt: skip


def most_certain(headers: Sequence[column_headers.Header]) -> list[column_headers.Header]:
    """The headers, without a column where it is only suggested and another header names it, or where it is what was
    asked for (`Potential applied (V)`) and another is what was measured."""
    measured = {h.column for h in headers if not _asked_for(h)}
    headers = [dataclasses.replace(h, column=None) if _asked_for(h) and h.column in measured else h for h in headers]
    sure = {h.column for h in headers if h.sure}
    return [h if h.sure or h.column not in sure else dataclasses.replace(h, column=None) for h in headers]


def _asked_for(header: column_headers.Header) -> bool:
    words = re.findall(r"[a-z]+", header.text.lower())
    return header.column in ("v", "i") and not {"applied", "programmed", "nominal", "setpoint"}.isdisjoint(words)


def about_headers(headers: Sequence[column_headers.Header], *, asked: bool) -> list[Flag]:
    """What was left out as unknown, unless a sidecar has named the columns; and what was guessed from a word."""
    left = [h.text for h in headers if h.column is None and h.text]
    unsure = [f"{h.text!r} for {h.column}" for h in headers if h.column and not h.sure]
    flags = []
    if left and not asked:
        reason = f"Not known or not needed: {', '.join(left)}; `columns = [...]` can name them."
        flags.append(Flag("columns left out", reason))
    if unsure:
        reason = f"Took {', '.join(unsure)}, from a word in the header and its unit; `columns = [...]` overrides this."
        flags.append(Flag("assumed columns", reason))
    return flags


def to_si(file: File, column: str, values: np.ndarray, unit: column_headers.Unit) -> tuple[np.ndarray, bool]:
    """Values in SI units, and whether they are normalised (unit `1`) instead.

    Raises:
        FileError: if the unit has another dimension than the column.
    """
    wanted = "V" if column == "v_shunt" else column_headers.dimension(column)
    if unit.dimension == wanted or (wanted == "" and unit.dimension in ("", "1")):
        return unit.factor * (values + unit.offset), False
    if wanted == "S" and unit.dimension == "1":
        return values, True
    raise FileError(
        f"{file.path}: column {column} is in {unit.dimension or 'no unit'}, but it is measured in {wanted or 'no unit'}; "
        "correct the header, or say in a sidecar what the columns are."
    )


def derive(file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of a trace from columns of a file: G = 1 / R, I = V_shunt / shunt, V = V_drive - I (shunt + R_series), and
    G = I / V_read where no column is a voltage.

    Raises:
        FileError: if the shunt or the voltage of reads is not known.
    """
    protocol = side.get("protocol", {})
    for r, g in RESISTANCES.items():
        if r in columns:
            ohm = columns.pop(r)
            with np.errstate(divide="ignore"):  # an infinite resistance was not measured
                columns[g] = np.where(np.isfinite(ohm), 1.0 / ohm, np.nan)
    if "v_shunt" in columns and "g" in columns:
        columns.pop("v_shunt")  # nothing needs it
    if "v_shunt" in columns:
        if protocol.get("shunt", 0) <= 0:
            raise FileError(
                f"{file.path}: the current is a voltage over a shunt whose resistance no file gives; write it [ohm] into "
                "its sidecar.",
                {"protocol": {"shunt": 1000.0}},
            )
        shunt_voltage = columns.pop("v_shunt")
        columns["i"] = shunt_voltage / protocol["shunt"]
        if "v_drive" in columns and "v" not in columns:
            columns["v"] = columns["v_drive"] - shunt_voltage - columns["i"] * protocol.get("series_resistance", 0.0)
    elif {"v_drive", "i"} <= set(columns) and "v" not in columns and "series_resistance" in protocol:
        columns["v"] = columns["v_drive"] - columns["i"] * protocol["series_resistance"]
    if "i" in columns and not any(name in ("v", "v_drive", "g") for name in columns):
        columns["g"] = columns.pop("i") / _read_voltage(file, protocol)
    if "g_up" in columns:
        columns = _up_down(file, columns)
    return _patterned(file, columns, side)


def _read_voltage(file: File, protocol: Mapping[str, Any]) -> float:
    if protocol.get("v_read", 0) == 0:
        raise FileError(
            f"{file.path} has currents, but no column gives the voltage [V] of the reads; write it into its sidecar.",
            {"protocol": {"v_read": 0.1}},
        )
    return protocol["v_read"]


def _up_down(file: File, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One column after up pulses and one after down pulses: all up pulses come first, then all down pulses."""
    if "g_down" not in columns:
        raise FileError(f"{file.path}: there are up pulses but no down pulses; name both columns g_up and g_down.")
    up, down = (values[np.isfinite(values)] for values in (columns.pop("g_up"), columns.pop("g_down")))
    g = np.concatenate([up, down])
    pulse = np.concatenate([1 + np.arange(len(up)), 1 + np.arange(len(down))])
    return {"g": g, "direction": np.where(np.arange(len(g)) < len(up), 1.0, -1.0), "pulse": pulse}


def _patterned(file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """`pattern = { up = 50, down = 50 }`: which pulses went up, if no column says so. Where counts start from 0 and
    there is one reading more than pulses in whole cycles, the first reading precedes any pulse."""
    pattern = side.get("pattern")
    if not pattern or "direction" in columns or "g" not in columns:
        return columns
    up, down = pattern.get("up", 0), pattern.get("down", 0)
    if not isinstance(up, int) or not isinstance(down, int) or up < 0 or down < 0 or up + down == 0:
        raise FileError(
            f"{file.path}: pattern = {pattern!r} must be {{ up = 50, down = 50 }}, numbers of pulses in a cycle."
        )
    row = np.arange(len(columns["g"]))
    if "pulse" in columns and np.array_equal(columns["pulse"], row) and len(row) % (up + down) == 1:
        row = row - 1
    after = np.maximum(row, 0)
    place = after % (up + down)
    columns["direction"] = np.where(place < up, 1.0, -1.0)
    columns.setdefault("cycle", after // (up + down))
    columns["pulse"] = np.where(row < 0, 0, np.where(place < up, place, place - up) + 1)
    return columns


def kind_of(
    file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any], unsure: Collection[str] = ()
) -> tuple[str, dict[str, np.ndarray], list[Flag]]:
    """The kind of measurement, its columns, and what was assumed: what the sidecar says, else the only kind that has these
    columns, where need be without a temperature, a conductance beside voltage and current, or columns that the headers
    only suggest.

    Args:
        unsure: the columns that the headers only suggest.

    Raises:
        FileError: if no kind has them.
    """
    columns, flags = _read_over_time(file, columns, side)
    beside = ("v", "i", "v_drive") if "g" in columns else ()
    loose = [RESISTANCES.get(name, name) for name in ("v_gate", "temperature", "g", *beside, *sorted(unsure))]
    asked = side.get("kind", side.get("wanted"))
    fits, spare = _kinds(columns), ()
    if asked:
        must, may = KINDS[asked]
        extra = tuple(name for name in columns if name not in (*must, *may))
        if set(must) <= set(columns) and set(extra) <= {*loose, "cycle", "t"}:
            fits, spare = [asked], extra
    loose = [name for name in dict.fromkeys(loose) if name in columns]
    for some in (some for count in range(len(loose)) for some in itertools.combinations(loose, count + 1)):
        fits, spare = (fits, spare) if fits else (_kinds(set(columns) - {*some}), some)
    if fits and spare:
        reason = f"{' and '.join(spare)}: no {' or '.join(fits)} has such columns."
        columns = {name: x for name, x in columns.items() if name not in spare}
        flags = [*flags, Flag("columns left out", reason)]
    if "kind" in side or fits == [asked]:
        return asked, columns, flags
    if fits and set(fits) <= {"loop", "read-iv"}:
        turns = _returns(columns["v"], columns.get("device"))
        kind = "loop" if "read-iv" not in fits or ("loop" in fits and turns) else "read-iv"
        why = "the voltage turns back" if turns else "the voltage only rises or falls"
        why += "" if turns or kind == "read-iv" else ", with times or cycles, which a read-iv does not have"
        why = f"Columns V and I were taken as a {kind}, because {why}; `kind = ...` overrides this."
        return kind, columns, [*flags, Flag("assumed kind", why)]
    if len(fits) == 1:
        return fits[0], columns, flags
    wanted = "; ".join(f"{k}: {', '.join(must)}" for k, (must, _) in KINDS.items())
    text = (
        f"{file.path} has columns {', '.join(sorted(columns)) or '(none known)'}, which "
        f"{'no kind of measurement has' if not fits else 'are of several kinds: ' + ', '.join(fits)}. The kinds need: "
        f"{wanted}. Name the columns, and if need be `kind` and `pattern = {{ up = 50, down = 50 }}`, in its sidecar."
    )
    if set(columns) <= {"t", "temperature", "device", "cycle"}:
        raise NotAMeasurement(text, "no column of device readings")
    raise FileError(text)


LATER = 100.0  # last step of time over the first, from which on reads over time are a retention and not at one rate


def _kinds(columns: Collection[str]) -> list[str]:
    """Kinds that have these columns."""
    names = set(columns)
    fits = [k for k, (must, may) in KINDS.items() if set(must) <= names <= {*must, *may}]
    return [k for k in fits if k != "cycles" or names - {"cycle", "device"}]


def _read_over_time(
    file: File, columns: dict[str, np.ndarray], side: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], list[Flag]]:
    """A current at one voltage is a conductance; one that is read at times decades apart, a retention from its first read."""
    flags = []
    names = set(columns) - {"temperature"}
    still = {"t", "v", "i"} <= names <= {"t", "v", "i", "device"} and _still(columns["v"])
    if still and side.get("kind") in (None, "noise", "retention"):
        volts = np.nanmedian(columns["v"])
        columns = {**{n: x for n, x in columns.items() if n not in "vi"}, "g": columns["i"] / columns["v"]}
        reason = f"V is {volts:.4g} V in every row: G = I / V was read over time."
        flags.append(Flag("assumed kind", reason))
        names = set(columns) - {"temperature"}
    if not {"t", "g"} <= names <= {"t", "g", "device"} or side.get("kind", "retention") != "retention":
        return columns, flags
    device = columns.get("device", np.zeros(len(columns["t"])))
    asked = "retention" in (side.get("kind"), side.get("wanted"))
    if not asked and (side.get("wanted") or not _decades_apart(columns["t"], device)):
        return columns, flags
    reason = (
        "G at times decades apart is a retention; the first read of each device was taken as g0, the start, and t is "
        "counted from it."
    )
    return {**columns, **_since_first_read(file, columns, device)}, [*flags, Flag("assumed start", reason)]


def _since_first_read(file: File, columns: Mapping[str, np.ndarray], device: np.ndarray) -> dict[str, np.ndarray]:
    """Times [s] since the earliest read of each device, which is the start g0 [S] and says nothing else: at t = 0, no
    model takes it for an observation.

    Raises:
        FileError: if a device has several reads at its earliest time.
    """
    t = np.where(np.isfinite(columns["g"]), columns["t"], np.nan)
    order = np.lexsort((t, device))  # NaN comes last
    _, cell = np.unique(device, return_inverse=True)
    first = order[np.unique(device[order], return_index=True)[1]]
    begin = t[first]
    twice = np.bincount(cell, t == begin[cell]) > 1
    if twice.any():
        raise FileError(
            f"{file.path}: {twice.sum()} of {len(twice)} devices have several reads at their earliest time; which one is "
            "the start is not known. Leave the others out, or name a column of devices or of starts (`device`, `g0`)."
        )
    return {"t": columns["t"] - begin[cell], "g0": columns["g"][first][cell]}


def _still(v: np.ndarray) -> bool:
    """Whether a voltage is constant, and not 0."""
    v = v[np.isfinite(v)]
    return bool(len(v) and np.abs(v).max() > 0 and np.ptp(v) <= 1e-3 * np.abs(v).max())


def _decades_apart(t: np.ndarray, device: np.ndarray) -> bool:
    """Whether the steps of time grow along the reads of each device, by a factor of a hundred or more."""
    for one in np.unique(device):
        steps = np.diff(t[device == one])
        steps = steps[np.isfinite(steps)]
        if len(steps) < 2 or (steps <= 0).any() or steps[-1] < LATER * steps[0]:
            return False
    return True


def _returns(v: np.ndarray, device: np.ndarray | None) -> bool:
    """Whether the voltage goes up as well as down for one device; a jump over half of its range, beside far
    smaller steps, starts again."""
    device = np.zeros(len(v)) if device is None else device
    there = np.isfinite(v)
    v, device = v[there], device[there]
    steps = np.diff(v)[np.diff(device) == 0]
    steps = steps[steps != 0]
    sizes = np.abs(steps)
    if len(steps):
        steps = steps[(sizes < 0.5 * np.ptp(v)) | (sizes < 5 * np.median(sizes))]
    return len(set(np.sign(steps))) > 1


def trace(
    file: File,
    named: Sequence[tuple[str, np.ndarray, column_headers.Unit]],
    side: Mapping[str, Any],
    form: str,
    labels: tuple[str, ...] = (),
    protocol: Mapping[str, Any] | None = None,
    flags: Sequence[Flag] = (),
    absolute: bool = False,
    unsure: Collection[str] = (),
) -> Trace:
    """A trace of columns with units; `-` columns are left out.

    Args:
        absolute: whether the current is a magnitude, which gets the sign of the voltage. unsure: columns that were
            guessed from their headers, and are left out where no kind of measurement has them.

    Raises:
        FileError: if a column appears twice, some conductances have units and others not, or columns fit no kind.
    """
    columns: dict[str, np.ndarray] = {}
    normalised: dict[str, bool] = {}
    for column, values, unit in named:
        if column == "-":
            continue
        if column in columns:
            raise FileError(
                f"{file.path}: column {column} appears twice; say in a sidecar which one counts (the other is `-`)."
            )
        columns[column], plain = to_si(file, column, np.asarray(values, float), unit)
        if column_headers.dimension(column) == "S":
            normalised[column] = plain
    if len(set(normalised.values())) > 1:
        raise FileError(f"{file.path} mixes siemens and normalised values: {normalised}; give one unit to all of them.")
    if "device" in columns and not labels:
        columns["device"], labels = rig.cells(file, columns["device"])
    columns, labels, more = more_columns.levels(columns, labels)
    flags = [*flags, *more]
    if "cycle" in columns:
        columns["cycle"], more = _carried_on(file, columns["cycle"])
        flags = [*flags, *more]
    columns = derive(file, columns, side)
    if absolute and "v" in columns:
        columns["i"] = np.copysign(columns["i"], columns["v"])
        flags = [*flags, Flag("magnitudes", "The file has |I|; I was given the sign of V.")]
    columns, more = more_columns.ways(file, columns, side)
    columns, starts = more_columns.start(file, columns, labels, side)
    flags = [*flags, *more, *starts]
    kind, columns, more = kind_of(file, columns, side, unsure)
    unit = "1" if any(normalised.values()) else "S"
    return Trace(
        kind,
        columns,
        (str(file.path),),
        form,
        labels or (file.path.stem,),
        {**(protocol or {})},
        (*flags, *more),
        unit,
    )


def _carried_on(file: File, cycle: np.ndarray) -> tuple[np.ndarray, list[Flag]]:
    """Cycle numbers, where only the first row of each cycle has one.

    Raises:
        FileError: if the first row has none.
    """
    known = np.isfinite(cycle)
    if known.all():
        return cycle, []
    if not known[0]:
        raise FileError(f"{file.path}: the first row has no number in its column of cycles; fill it in.")
    last = np.maximum.accumulate(np.where(known, np.arange(len(cycle)), 0))
    reason = f"{int((~known).sum())} rows without a cycle number were taken as part of the last cycle before them."
    return cycle[last], [Flag("assumed cycles", reason)]
