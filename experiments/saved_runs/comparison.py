"""Two runs side by side: what differs, with error bars over chips."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.framework.error_bars import CONFIDENCE, students_t
from experiments.framework.errors import UsageError
from experiments.framework.plain_json import finite
from experiments.framework.store import Coordinate, Variable
from experiments.saved_runs.saved_run import SavedRun

REPLICATES = ("chip", "seed", "repeat")  # axes along which the same thing is drawn again
MOST_ROWS = 24
_Means = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Difference:
    """B - A of one variable.

    Args:
        at: the compared coordinates along each axis, as (that of A, that of B). a, b: means over replicates.
        difference: of the means. half: half width of the 95 % interval of the difference, by Student's t; NaN without
            replicates. n: replicates that both have (paired), or the smaller of the two numbers. over: the replicate axes.
    """

    name: str
    variable: Variable
    at: dict[str, list[tuple[Coordinate, Coordinate]]]
    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    half: np.ndarray
    n: np.ndarray
    paired: bool
    over: str

    @property
    def certain(self) -> np.ndarray:
        """Whether the interval excludes 0."""
        return np.isfinite(self.half) & (np.abs(self.difference) > self.half)

    @property
    def equal(self) -> np.ndarray:
        """Whether the means are the same, without any spread of the difference."""
        return (self.difference == 0) & ~(self.half > 0)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Differences of all variables that both runs have, and why others are left out."""

    a: SavedRun
    b: SavedRun
    differences: tuple[Difference, ...]
    left_out: dict[str, str]

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """Settings that differ."""
        return _differing(self.a.config, self.b.config)

    @property
    def versions(self) -> dict[str, tuple[Any, Any]]:
        """Versions and input files that differ."""
        return _differing(self.a.versions, self.b.versions)


def _differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)}


def compare(a: SavedRun, b: SavedRun) -> Comparison:
    """B - A, wherever both have a value.

    Chips are paired if both runs have the same seed and number of chips: chip by chip they share their random draws, so that
    the spread of the differences counts, not that of the chips. Otherwise the intervals are Welch's.

    Raises:
        UsageError: if the runs have no variable in common.
    """
    found, left_out = [], {}
    ours, theirs = a.results.layout.variables, b.results.layout.variables
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs:
            left_out[name] = f"only {'A' if name in ours else 'B'} has it"
        elif isinstance(one := _difference(name, a, b), str):
            left_out[name] = one
        else:
            found.append(one)
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UsageError(f"{a.folder} and {b.folder} have nothing to compare ({why}).")
    return Comparison(a, b, tuple(found), left_out)


def _difference(name: str, a: SavedRun, b: SavedRun) -> Difference | str:
    """The difference of one variable, or why there is none."""
    variable = a.results.layout.variables[name]
    other = b.results.layout.variables[name]
    if (variable.dims, variable.unit) != (other.dims, other.unit):
        axes = " and ".join(f"{', '.join(v.dims)} [{v.unit}]" for v in (variable, other))
        return f"its axes or unit differ ({axes})"
    again = [d for d in variable.dims if d in REPLICATES]
    rest = [d for d in variable.dims if d not in REPLICATES]
    at = {d: _matched(a.results.coordinates(d), b.results.coordinates(d)) for d in rest}
    if empty := [d for d in rest if not at[d]]:
        return f"the runs have no {empty[0]} in common"
    left, right = (_arranged(run, name, rest, again, at, side) for side, run in enumerate((a, b)))
    if not (np.isfinite(left).any() and np.isfinite(right).any()):
        return "it has no values in one of the runs"
    same = all(tuple(a.results.coordinates(d)) == tuple(b.results.coordinates(d)) for d in again)
    paired = bool(again) and same and a.name == b.name and a.config.get("seed") == b.config.get("seed")
    mean_a, mean_b, difference, half, n = _paired(left, right) if paired else _unpaired(left, right)
    return Difference(name, variable, at, mean_a, mean_b, difference, half, n, paired, " x ".join(again))


def _matched(ours: Any, theirs: Any) -> list[tuple[Coordinate, Coordinate]]:
    """Coordinates that both have; if each has only one, these two."""
    common = [(v, v) for v in ours if v in theirs]
    return common or ([(ours[0], theirs[0])] if len(ours) == len(theirs) == 1 else [])


def _arranged(run: SavedRun, name: str, rest: list[str], again: list[str], at: dict, side: int) -> np.ndarray:
    """Values at the compared coordinates: the axes `rest`, then one axis of all replicates."""
    dims, values = run.results.layout.variables[name].dims, run.results[name]
    values = np.transpose(values, [dims.index(d) for d in (*rest, *again)])
    for i, d in enumerate(rest):
        values = np.take(values, [run.results.axis(d, pair[side]) for pair in at[d]], axis=i)
    return values.reshape(*values.shape[: len(rest)], -1)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many values are known along the last axis, their mean, and their sample variance; NaN where there are too few."""
    known = np.isfinite(x)
    n = known.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, x, 0).sum(-1) / n
        variance = (np.where(known, x - mean[..., None], 0) ** 2).sum(-1) / np.where(n > 1, n - 1, np.nan)
    return n, mean, variance


def _paired(a: np.ndarray, b: np.ndarray) -> _Means:
    """Means, difference, half width and number, from the differences of each pair."""
    both = np.isfinite(a) & np.isfinite(b)
    n, difference, variance = _moments(np.where(both, b - a, np.nan))
    _, mean_a, _ = _moments(np.where(both, a, np.nan))
    _, mean_b, _ = _moments(np.where(both, b, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        half = students_t(n - 1.0) * np.sqrt(variance / n)
    return mean_a, mean_b, difference, np.where(n > 1, half, np.nan), n


def _unpaired(a: np.ndarray, b: np.ndarray) -> _Means:
    """The same for independent replicates, by Welch's formula."""
    (n, mean_a, var_a), (m, mean_b, var_b) = _moments(a), _moments(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        own, other = var_a / n, var_b / m
        freedom = (own + other) ** 2 / (own**2 / (n - 1) + other**2 / (m - 1))
        freedom = np.where(own + other > 0, freedom, n + m - 2.0)
        half = students_t(freedom) * np.sqrt(own + other)
    return mean_a, mean_b, mean_b - mean_a, np.where((n > 1) & (m > 1), half, np.nan), np.minimum(n, m)


# -- shown ---------------------------------------------------------------------------------------------------------------


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything as plain lists, with null for unknown values."""
    return {
        "a": str(found.a.folder),
        "b": str(found.b.folder),
        "unfinished": [str(r.folder) for r in (found.a, found.b) if r.points[0] < r.points[1]],
        "confidence": CONFIDENCE,
        "settings": {k: list(v) for k, v in found.settings.items()},
        "versions": {k: list(v) for k, v in found.versions.items()},
        "left_out": found.left_out,
        "variables": {d.name: _variable_as_json(d) for d in found.differences},
    }


def _variable_as_json(found: Difference) -> dict[str, Any]:
    arrays = {k: finite(getattr(found, k)) for k in ("a", "b", "difference", "half", "n")}
    arrays["half_width"] = arrays.pop("half")
    head = {"title": found.variable.title, "unit": found.variable.unit, "dims": list(found.at)}
    head |= {"over": found.over, "paired": found.paired}
    return head | {"coordinates": {d: [list(p) for p in pairs] for d, pairs in found.at.items()}} | arrays


def text(found: Comparison) -> str:
    """Tables for a terminal."""
    lines = [f"A: {found.a.folder}", f"B: {found.b.folder}", ""]
    lines += [f"{key}: {a} in A, {b} in B" for key, (a, b) in found.settings.items()] or ["The settings are the same."]
    lines += [f"versions differ: {', '.join(found.versions)}"] if found.versions else []
    for one in found.differences:
        lines += ["", *_table(one)]
    lines += ["", *(f"{name} is left out: {why}." for name, why in found.left_out.items())] if found.left_out else []
    return "\n".join(lines)


def _table(found: Difference) -> list[str]:
    """A heading and the rows that differ most, the clearest first where not all are shown."""
    known = np.isfinite(found.difference)
    places = [i for i in np.ndindex(known.shape) if known[i] and not found.equal[i]]
    with np.errstate(invalid="ignore", divide="ignore"):
        clear = np.where(np.isfinite(found.half), np.abs(found.difference) / found.half, np.abs(found.difference))
    shown = places if len(places) <= MOST_ROWS else sorted(places, key=lambda i: -clear[i])[:MOST_ROWS]
    unit = "" if found.variable.unit == "1" else f" [{found.variable.unit}]"
    lines = [f"{found.name}{unit}: {found.variable.title}"]
    if equal := int((known & found.equal).sum()):
        lines.append(f"  {equal} of {int(known.sum())} are equal in both")
    if missing := int((~known).sum()):
        lines.append(f"  {missing} of {known.size} are missing in one or both")
    if not shown:
        return lines
    head = [*found.at, "A", "B", "B - A"]
    body = [[*_coordinates(found, i), *_numbers(found, i)] for i in shown]
    widths = [max(len(row[k]) for row in (head, *body)) for k in range(len(head))]
    rows = ("  " + "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in (head, *body))
    rest = f"  ... the {len(shown)} clearest of {len(places)}; --json shows all"
    return [*lines, _about(found, places), *rows, *([rest] if len(shown) < len(places) else [])]


def _about(found: Difference, places: list[tuple[int, ...]]) -> str:
    """What the error bars of the rows that differ are."""
    counts = np.array([found.n[i] for i in places if np.isfinite(found.half[i])])
    if not counts.size:
        return "  one value each: no error bars"
    how = "the same in both, paired" if found.paired else "of different seeds or numbers, not paired"
    many = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    chance = (1 - CONFIDENCE) * counts.size
    return (
        f"  95 % intervals over {found.over}, n = {many} ({how}); * {int(found.certain.sum())} of {counts.size} exclude 0, "
        f"where chance alone would make about {chance:.2g}"
    )


def _coordinates(found: Difference, place: tuple[int, ...]) -> list[str]:
    pairs = (pairs[i] for pairs, i in zip(found.at.values(), place, strict=True))
    return [str(a) if a == b else f"{a} | {b}" for a, b in pairs]


def _numbers(found: Difference, place: tuple[int, ...]) -> list[str]:
    a, b, d, half = (float(x[place]) for x in (found.a, found.b, found.difference, found.half))
    error = f" +- {half:.2g}" if np.isfinite(half) else ""
    return [f"{a:.5g}", f"{b:.5g}", f"{d:+.4g}{error}{' *' if found.certain[place] else '  '}"]
