"""`Trace`: the data of one measurement in SI units, with flags for whatever looks wrong."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

# kind -> (columns that it must have, columns that it may have); the units of all of them are in UNITS
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "loop": (("v", "i"), ("t", "v_drive", "cycle", "device")),
    "pulses": (("g", "direction"), ("pulse", "cycle", "device", "amplitude", "width")),
    "pulse-map": (("v", "width", "g_before", "g_after"), ("v_gate", "direction", "device")),
    "programming": (("target", "g"), ("t", "g_low", "g_high", "g0", "level", "write", "device", "accepted")),
    "retention": (("t", "g", "g0"), ("temperature", "device")),
    "noise": (("g",), ("t", "device")),
    "read-iv": (("v", "i"), ("device",)),
    "endurance": (("cycle", "g_on", "g_off"), ("device",)),
    "cycles": (("cycle",), ("i_on", "i_off", "v_set", "v_reset", "device")),
}
UNITS = {
    "v": "V", "v_drive": "V", "v_gate": "V", "amplitude": "V", "v_set": "V", "v_reset": "V",
    "i": "A", "i_on": "A", "i_off": "A", "t": "s", "width": "s", "temperature": "K",
    "g": "S", "g0": "S", "g_on": "S", "g_off": "S", "g_low": "S", "g_high": "S", "target": "S",
    "g_before": "S", "g_after": "S",
    "pulse": "", "direction": "", "cycle": "", "device": "", "level": "", "write": "", "accepted": "",
}  # fmt: skip


OVERFLOW = 1e30  # a magnitude that neither a reading nor its inverse has: instruments write 9.9e37 for no reading


class FileError(ValueError):
    """A file that cannot be used. Its message says what was found, what is allowed and what to do.

    Args:
        needs: what the sidecar must say in addition for the file to be read, with values to be corrected.
    """

    def __init__(self, message: str, needs: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.needs = dict(needs or {})


@dataclasses.dataclass(frozen=True)
class Flag:
    """A remark about the data that users should know.

    Args:
        name: what it is in a word or two ("compliance", "duplicate file"). reason: one sentence with numbers.
        rows: the rows of the trace that it is about; empty for all of it. excluded: whether fits leave these rows out.
    """

    name: str
    reason: str
    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, int))
    excluded: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """One kind of measurement, as a table of equally long columns in SI units.

    `device` and `cycle` are columns of whole numbers; `labels[d]` is the name of device d. Order of rows is order in time.

    Args:
        kind: one of `KINDS`, which says which columns it must and may have. columns: by name, float64, one row per
            reading.
        source: the files. format: the instrument's format. labels: names of the devices.
        protocol: what is known of the measurement, in SI units: `series_resistance`, `compliance`, `frequency`, `v_read`,
            `rate`, `width_up`, ... flags: what is wrong with it.
        unit: unit of conductance, `S` unless the file has only normalised values.

    Raises:
        FileError: if a column is missing, unknown, or of another length.
    """

    kind: str
    columns: Mapping[str, np.ndarray]
    source: tuple[str, ...] = ()
    format: str = ""
    labels: tuple[str, ...] = ("device",)
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    unit: str = "S"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise FileError(f"unknown kind of measurement {self.kind!r}; known kinds are {', '.join(KINDS)}.")
        must, may = KINDS[self.kind]
        columns = {name: np.asarray(values, float) for name, values in self.columns.items()}
        missing, unknown = [c for c in must if c not in columns], [c for c in columns if c not in must + may]
        lengths = {name: values.shape for name, values in columns.items()}
        if missing or unknown or len(set(lengths.values())) > 1 or any(v.ndim != 1 for v in columns.values()):
            raise FileError(
                f"{self.name}: a {self.kind} needs columns {', '.join(must)} (and may have {', '.join(may)}), all of one "
                f"length; this one has {', '.join(f'{n} {s}' for n, s in lengths.items())}."
            )
        rows = len(next(iter(columns.values())))
        columns.setdefault("device", np.zeros(rows))
        object.__setattr__(self, "columns", columns)

    def __getitem__(self, column: str) -> np.ndarray:
        """A column, all rows."""
        return self.columns[column]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return len(self.columns["device"])

    @property
    def name(self) -> str:
        """Its files, so that they can be found."""
        return _listed(self.source)

    @property
    def title(self) -> str:
        """Its files without their folders."""
        return _listed([pathlib.PurePath(s).name for s in self.source])

    @property
    def good(self) -> np.ndarray:
        """Which rows fits may use: not excluded by a flag."""
        keep = np.ones(len(self), bool)
        for flag in self.flags:
            if flag.excluded:
                keep[flag.rows if len(flag.rows) else slice(None)] = False
        return keep

    def flagged(self, *flags: Flag) -> Trace:
        """The same trace with more flags."""
        return dataclasses.replace(self, flags=(*self.flags, *flags))

    def where(self, rows: np.ndarray) -> Trace:
        """Some of the rows (a mask or indices); flags keep the rows that are still there."""
        kept = np.arange(len(self))[rows]
        place = np.full(len(self), -1)
        place[kept] = np.arange(len(kept))
        flags = []
        for flag in self.flags:
            moved = place[flag.rows] if len(flag.rows) else flag.rows
            if len(moved) == 0 or (moved >= 0).any():
                flags.append(dataclasses.replace(flag, rows=moved[moved >= 0]))
        columns = {name: values[kept] for name, values in self.columns.items()}
        return dataclasses.replace(self, columns=columns, flags=tuple(flags))

    def split(self, column: str = "device") -> Iterator[Trace]:
        """One trace for each value of a column, in the order in which the values first appear."""
        values = self.columns[column]
        _, first = np.unique(values, return_index=True)
        for value in values[np.sort(first)]:
            yield self.where(values == value)


def _listed(files: Sequence[str]) -> str:
    return ", ".join(files[:2]) + (f" and {len(files) - 2} more" if len(files) > 2 else "")
