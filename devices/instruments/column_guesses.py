"""Guesses about the columns of a table: kinds of measurement that fit its headers and numbers, and units by magnitude.

These are proposals for templates (`templates.py`); nothing is read by them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from devices.instruments import column_headers
from devices.instruments.column_headers import Header
from devices.instruments.trace import KINDS

SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (  # kinds, and columns that show them, in their order
    ("loop", ("v", "i")),
    ("retention", ("t", "g", "g0")),
    ("programming", ("target", "g")),
    ("pulse-map", ("v", "width", "g_before", "g_after")),
    ("endurance", ("cycle", "g_on", "g_off")),
    ("pulses", ("g", "direction")),
    ("pulses", ("g", "pulse")),
    ("noise", ("t", "g")),
    ("pulses", ("g_up", "g_down")),
    ("noise", ("g",)),
)
NAMED = {
    "retention": "g0",
    "programming": "target",
    "pulse-map": "width",
}  # kinds shown only by the header of this column
LEAST, SWEEP = 0.01, 50.0  # V: sweeps of devices reach further than the one and no further than the other, or are in mV
CURRENT, CONDUCTANCE = 0.02, 0.02  # A, S: larger ones suggest a missing prefix
ANOTHER = {"g": ("r", "i"), "g0": ("r0",), "g_on": ("r_on",), "g_off": ("r_off",), "g_before": ("r_before",),
           "g_after": ("r_after",), "target": ("r_target",), "g_up": ("r_up",), "g_down": ("r_down",)}  # fmt: skip
MANY = 40  # columns, from which on those of a kind are not searched for
OHMS = 50.0  # numbers of a column all above this are ohms rather than siemens


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file: their names (empty where there are none), their first rows, and the text of the first."""

    names: tuple[str, ...]
    values: np.ndarray
    first: str

    def reach(self, k: int) -> float:
        """Largest magnitude in a column; 0 where there is none."""
        x = self.finite(k)
        return float(np.abs(x).max()) if len(x) else 0.0

    def finite(self, k: int) -> np.ndarray:
        """The finite numbers of a column."""
        x = self.values[:, k]
        return x[np.isfinite(x)]


def guesses(table: Table) -> Iterator[dict[str, Any]]:
    """Sidecars with columns, units, and a pattern of pulses where one is needed; the likeliest first."""
    headers = [column_headers.header(name) for name in table.names]
    known = {h.column: k for k, h in reversed([*enumerate(headers)]) if h.column}
    if known:
        yield _side(table, headers, {k: str(column) for column, k in known.items()})
        if {"v", "i"} <= set(known) and table.reach(known["v"]) < LEAST <= table.reach(known["i"]):
            swap = {known["v"]: "i", known["i"]: "v"}
            yield _side(table, headers, {**{k: str(c) for c, k in known.items()}, **swap}, trust=False)
        yield _side(table, headers, {k: str(column) for column, k in known.items()}, trust=False)
    for kind, shape in SHAPES if len(table.names) <= MANY else SHAPES[-1:]:
        if kind in NAMED and NAMED[kind] not in known and ANOTHER.get(NAMED[kind], ("",))[0] not in known:
            continue
        for chosen in _filled(table, shape, known):
            must, may = KINDS[kind]
            extra = {
                k: c for c, k in known.items() if c in (*must, *may) and k not in chosen and c not in chosen.values()
            }
            pattern = _pattern(table, chosen) if shape == ("g", "pulse") else None
            for more in (extra, {}) if extra else ({},):
                found = _side(table, headers, {**chosen, **more})
                yield {**found, "pattern": pattern} if pattern else found


def _filled(table: Table, shape: tuple[str, ...], known: dict[str, int]) -> Iterator[dict[int, str]]:
    """Places of the columns of a shape: those that headers name, and the first of the others whose numbers would
    fit."""
    chosen: dict[int, str] = {}
    for wanted in shape:
        names = (wanted, *ANOTHER.get(wanted, ()))
        place = next((known[name] for name in names if name in known and known[name] not in chosen), None)
        if place is not None:
            chosen[place] = next(name for name in names if known.get(name) == place)
            continue
        taken = {*chosen, *known.values()}
        could = [k for k in range(len(table.names)) if k not in taken and _could_be(table, k, wanted, chosen)]
        place = max(
            could, key=lambda k: _even(table.finite(k)) if wanted == "v" else 0, default=None
        )  # the first of equals
        if place is None:
            return
        large = np.abs(table.finite(place)).min(initial=np.inf) > OHMS and (table.finite(place) > 0).all()
        chosen[place] = ANOTHER[wanted][0] if wanted in ANOTHER and large else wanted
    if "t" not in shape and "t" not in known and shape == ("v", "i"):
        clock = next((k for k in range(len(table.names)) if k not in chosen and _clock(table.finite(k))), None)
        if clock is not None and clock not in known.values():
            yield {**chosen, clock: "t"}
    yield chosen


def _could_be(table: Table, k: int, wanted: str, chosen: dict[int, str]) -> bool:
    """Whether the numbers of a column could be those of a column of a kind."""
    x = table.finite(k)
    if len(x) == 0:
        return False
    if wanted == "v":
        return _swept(x) and any(_follows(table, k, other) for other in range(len(table.names)) if other != k)
    if wanted == "i":
        return any(c == "v" and _follows(table, at, k) for at, c in chosen.items())
    if wanted == "t":
        return _clock(x)
    if wanted in ("cycle", "pulse"):
        return len(x) > 1 and bool((x == np.round(x)).all() and (np.diff(x) >= 0).all() and np.ptp(x) > 0)
    if wanted == "direction":
        return set(np.unique(x)) in ({-1.0, 1.0}, {0.0, 1.0})
    if wanted in ("g_up", "g_down"):
        return not _clock(x) and bool(np.ptp(x) > 0) and all(_alike(x, table.finite(at)) for at in chosen)
    if wanted == "g" and not chosen:
        return not _clock(x) and not _smooth(x) and not bool((x == np.round(x)).all() and x.max() < OHMS)
    return bool((x > 0).all()) and not _clock(x)


def _swept(x: np.ndarray) -> bool:
    """Whether numbers rise or fall for many rows in a row, within the range of voltages."""
    return bool(LEAST <= np.abs(x).max() <= 1e3 * SWEEP) and _smooth(x)


def _smooth(x: np.ndarray) -> bool:
    """Whether numbers rise or fall for many rows in a row."""
    steps = np.sign(np.diff(x))
    steps = steps[steps != 0]
    return len(steps) > 1 and bool((np.diff(steps) != 0).sum() <= 0.2 * len(steps))


def _follows(table: Table, v: int, i: int) -> bool:
    """Whether a column is small where a voltage is small, as currents are and conductances are not, and is not a
    clock."""
    rows = np.isfinite(table.values[:, [v, i]]).all(1)
    x, y = np.abs(table.values[rows, v]), np.abs(table.values[rows, i])
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return False
    near = x <= x.min() + 0.1 * np.ptp(x)
    small = bool(np.median(y[near]) <= 0.3 * y.max()) and bool(x.min() < 0.3 * x.max())
    return small and not _clock(table.values[rows, i])


def _even(x: np.ndarray) -> tuple[bool, float]:
    """Whether numbers turn, and what share of their steps, in tenths, is of one size, as those of a source are."""
    steps = np.abs(np.diff(x))
    turns = len(np.unique(np.sign(np.diff(x))[steps > 0])) > 1
    return turns, round(float(np.mean(np.abs(steps - np.median(steps)) <= 0.1 * np.median(steps))), 1)


def _clock(x: np.ndarray) -> bool:
    """Whether numbers only rise, in even steps or steps that grow."""
    steps = np.diff(x)
    if len(steps) < 2 or x[0] < 0 or not (steps > 0).all():
        return False
    return bool(np.ptp(steps) <= 0.2 * steps.mean() or (steps[1:] > 0.9 * steps[:-1]).all())


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two columns are of one magnitude."""
    a, b = np.abs(x).max(), np.abs(y).max()
    return bool(0 < a < 30 * b and b < 30 * a)


def _pattern(table: Table, chosen: dict[int, str]) -> dict[str, int]:
    """How many pulses up and down: to the first turn of the conductance by half of its range, and from there to the next."""
    k = next(at for at, column in chosen.items() if column in ("g", "r", "i"))
    x = table.finite(k) if chosen[k] != "r" else -table.finite(k)
    turns = _turns(x)
    if len(turns) < 2 or x[turns[0]] < x[0]:
        up = int(np.argmax(x)) + 1 if len(x) else 0
        return {"up": up, "down": len(x) - up} if 1 < up < len(x) else {"up": 50, "down": 50}
    whole = round(2 * (turns[-1] - turns[0]) / (len(turns) - 1))
    cycles = max(round(len(x) / whole), 1)
    for pulses in (len(x) - 1, len(x)):  # with or without a reading before the first pulse; noise moves the turns
        if pulses % cycles == 0 and abs(pulses / cycles - whole) <= 0.05 * whole:
            whole = pulses // cycles
            break
    tops = (np.asarray(turns[::2]) - turns[0] + whole // 2) % whole - whole // 2  # from the first one, in its cycle
    up = round(float(np.median(tops))) + turns[0]
    up = whole // 2 if abs(up - whole / 2) <= 0.1 * whole else up
    return {"up": up, "down": whole - up}


def _turns(x: np.ndarray) -> list[int]:
    """Where a series turns back by more than half of its range, tops and bottoms in turn."""
    found: list[int] = []
    top = bottom = 0
    for at in range(len(x)):
        top, bottom = (at if x[at] > x[top] else top), (at if x[at] < x[bottom] else bottom)
        back = {"top": x[top] - x[at], "bottom": x[at] - x[bottom]}
        for name, place in (("top", top), ("bottom", bottom)):
            if back[name] > np.ptp(x) / 2 and place not in found and (place > 0 or name == "top"):
                found.append(place)
                top = bottom = at
                break
    return found


def _side(table: Table, headers: list[Header], chosen: dict[int, str], trust: bool = True) -> dict[str, Any]:
    columns = [chosen.get(k, "-") for k in range(len(table.names))]
    units = ["1" if c == "-" else _unit(table, k, c, headers[k] if trust else None) for k, c in enumerate(columns)]
    return {"columns": columns, "units": units}


def _unit(table: Table, k: int, column: str, header: Header | None) -> str:
    """The unit of a header, if it is one of the column's, else one that gives the column's largest number a usual
    size."""
    wanted = column_headers.si(column).dimension
    if wanted == "":
        return "1"
    if header and header.unit and header.unit.dimension in (wanted, "1" if wanted == "S" else wanted):
        return column_headers.unit_name(header.unit)
    x, most = table.finite(k), table.reach(k)
    if wanted == "V":
        return "V" if most <= SWEEP else "mV"
    if wanted == "A":
        return next((u for u, f in (("A", 1.0), ("uA", 1e-6), ("nA", 1e-9)) if most * f <= CURRENT), "nA")
    if wanted == "S":
        if len(x) and x.min() < 0:
            return "1"
        return next((u for u, f in (("S", 1.0), ("uS", 1e-6), ("nS", 1e-9)) if most * f <= CONDUCTANCE), "nS")
    if wanted == "ohm":
        return "ohm" if len(x) and np.median(np.abs(x)) >= 1e3 else "kohm"
    return {"s": "s", "K": "K" if len(x) and np.median(x) > 250 else "C"}.get(wanted, "1")
