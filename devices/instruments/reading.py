"""`read`: from files and folders to traces: which format, which sidecar, duplicates, merging, and checks of quality."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from devices.instruments import before_after, excerpt, merge, periods, templates
from devices.instruments import sidecar as sidecars
from devices.instruments.column_guesses import Table
from devices.instruments.formats import (
    FORMATS,
    NAMED_BY_SIDECAR,
    Format,
    hdf5,
    table_with_headers,
    table_without_headers,
)
from devices.instruments.quality import inspection
from devices.instruments.source import LIMIT_MB, File, NotAMeasurement
from devices.instruments.trace import KINDS, FileError, Flag, Trace

COMPANIONS = {"settings.json"}


@dataclasses.dataclass(frozen=True)
class _Place:
    """A file to read, and the folder that was asked for if it was found there."""

    path: pathlib.Path
    root: pathlib.Path | None = None


def read(
    path_or_paths: str | pathlib.Path | Sequence[str | pathlib.Path],
    *,
    kind: str | None = None,
    sidecar: Mapping[str, Any] | str | pathlib.Path | None = None,
) -> tuple[Trace, ...]:
    """Traces of files and folders, in SI units, with flags for all that was assumed or looks wrong.

    A folder is searched; what is not a measurement is left out with a note. Several files of the same kind, format and
    protocol become one trace where the format allows it.

    Args:
        path_or_paths: a file, a folder, or several. kind: keep only this kind, and read tables that could be of this
            kind as such.
        sidecar: what `<file>.toml` would say, as a mapping or a path; it overrides those beside the files.

    Raises:
        FileError: if a file is missing, damaged, of no known layout, or needs a sidecar; the message says what to do.
    """
    one = isinstance(path_or_paths, (str, pathlib.Path))
    asked = [pathlib.Path(p) for p in ([path_or_paths] if one else path_or_paths)]  # type: ignore[list-item]
    if kind is not None and kind not in KINDS:
        names = ", ".join(map(str, asked))
        raise FileError(f"{names}: unknown kind of measurement {kind!r}; known kinds are {', '.join(KINDS)}.")
    places = [place for path in asked for place in _walk(path)]
    found: list[merge.Part] = []
    skipped: list[str] = []
    done: set[pathlib.Path] = set()
    for place in places:
        if place.path in done:
            continue
        try:
            parts = _read_one(place, kind, sidecar)
        except NotAMeasurement as error:
            if place.root is None:
                raise
            skipped.append(f"{place.path.relative_to(place.root)} ({error.why})")
            continue
        done |= {pathlib.Path(source) for part in parts for source in part.trace.source} | {place.path}
        found += parts
    parts = merge.mark_duplicates(_with_starts(found, places, kind, sidecar))
    traces = merge.merged(parts)
    kept = [periods.timed(periods.numbered(trace)) for trace in traces if kind in (None, trace.kind)]
    if not kept:
        _nothing(asked, traces, skipped, kind)
    if skipped:
        kept[0] = kept[0].flagged(Flag("skipped files", f"Left out of the folder: {'; '.join(skipped)}."))
    return tuple(_inspected(trace, kind, sidecar, places) for trace in kept)


def _nothing(asked: list[pathlib.Path], traces: list[Trace], skipped: list[str], kind: str | None) -> None:
    where = ", ".join(map(str, asked)) or "(no path)"
    if traces:
        raise FileError(f"{where} holds no {kind}; it holds {', '.join(sorted({trace.kind for trace in traces}))}.")
    why = f"; left out: {'; '.join(skipped)}" if skipped else ""
    raise FileError(f"{where} holds no measurement that can be read{why}. Give files, or a folder with files.")


def _walk(path: pathlib.Path) -> Iterable[_Place]:
    if not path.is_dir():
        return [_Place(path)]
    files = (
        p
        for p in sorted(path.rglob("*"))
        if p.is_file() and not any(q.startswith(".") for q in p.relative_to(path).parts)
    )
    return [_Place(p, path) for p in files if p.suffix != ".toml" and p.name not in COMPANIONS]


def _read_one(place: _Place, kind: str | None, given: Any, start: str | None = None) -> list[merge.Part]:
    """Traces of one file with its sidecar applied; a refusal shows a sidecar with which it can be read, if there is
    one."""
    side = sidecars.find(place.path, place.root, given)
    if start:
        side["start"] = start
    file = File(place.path, float(side.get("max_megabytes", LIMIT_MB)))
    try:
        return _parts(file, side, kind)
    except FileError as error:
        if place.root is None or not isinstance(error, NotAMeasurement):
            _show_template(error, file, side, kind)
        raise


def _parts(file: File, side: Mapping[str, Any], kind: str | None) -> list[merge.Part]:
    """Traces of one file. Numbers that overflow on the way are missing ones, as `measured` says."""
    with np.errstate(all="ignore"):
        return [merge.Part(inspection.measured(trace), form, each) for trace, form, each in _raw(file, side, kind)]


def _raw(file: File, side: Mapping[str, Any], kind: str | None) -> list[tuple[Trace, Format, str | None]]:
    form = _format(file, side)
    more: dict[str, Any] = {"wanted": kind} if kind else {}
    if "start" in side and (path := file.path.parent / side["start"]).resolve() != file.path.resolve():
        more |= {"starts": (path.name, before_after.starts(_start(path), path))}
    traces = [sidecars.apply(trace, side) for trace in form.read(file, {**side, **more})]
    return [(trace, form, side.get("each_file")) for trace in traces]


def _start(path: pathlib.Path) -> list[Trace]:
    """Traces of a file of starts, by its own sidecar."""
    side = {key: value for key, value in sidecars.find(path, None, None).items() if key != "start"}
    file = File(path, float(side.get("max_megabytes", LIMIT_MB)))
    try:
        return [part.trace for part in _parts(file, side, None)]
    except FileError as error:
        _show_template(error, file, side, None)
        raise


def _with_starts(found: list[merge.Part], places: list[_Place], kind: str | None, given: Any) -> list[merge.Part]:
    """The parts without files that only hold the starts of others; two files of the same cells are before and after."""
    sides = {place.path: sidecars.find(place.path, place.root, given) for place in places}
    starts = {(path.parent / side["start"]).resolve() for path, side in sides.items() if "start" in side}
    if starts:
        return [part for part in found if pathlib.Path(part.trace.source[0]).resolve() not in starts]
    if len(found) != 2 or kind not in (None, "retention"):
        return found
    pair = before_after.pair([part.trace for part in found], any(place.root for place in places))
    if pair is None:
        return found
    start = pair.before.name if pair.before.parent == pair.after.parent else str(pair.before.resolve())
    root = next(place.root for place in places if place.path == pair.after)
    joined = _read_one(_Place(pair.after, root), kind, given, start)
    return [dataclasses.replace(part, trace=part.trace.flagged(pair.flag)) for part in joined]


def _show_template(error: FileError, file: File, side: Mapping[str, Any], kind: str | None) -> None:
    """Adds to a refusal a sidecar with which the file can be read, if there is one."""

    def attempt(other: Mapping[str, Any], some: File) -> list[Trace]:
        return [inspection.inspect(periods.timed(part.trace)) for part in _parts(some, sidecars.checked(other), kind)]

    try:
        _ = file.data
    except FileError:
        return  # too large, or damaged
    with np.errstate(all="ignore"):
        text = templates.proposal(file, _table(file, side), side, error, attempt, kind)
    if text:
        error.args = (f"{error} {text}",)


def _table(file: File, side: Mapping[str, Any]) -> Table | None:
    """Columns of a file, as its format or its text shows them."""
    try:
        own = getattr(_format(file, side), "table", None)
        return own(file) if own else excerpt.table(file)
    except FileError:
        try:
            return excerpt.table(file)
        except FileError:
            return None


def _inspected(trace: Trace, kind: str | None, given: Any, places: list[_Place]) -> Trace:
    """The trace with flags of quality; a refusal of one file's data shows a template, too."""
    try:
        return inspection.inspect(trace)
    except FileError as error:
        place = next((p for p in places if trace.source == (str(p.path),)), None)
        if place is not None:
            side = sidecars.find(place.path, place.root, given)
            _show_template(error, File(place.path, float(side.get("max_megabytes", LIMIT_MB))), side, kind)
        raise


def _format(file: File, side: Mapping[str, Any]) -> Format:
    """The format of a file by its content, or the one that its sidecar names.

    Raises:
        FileError: if the sidecar names an unknown one. NotAMeasurement: if no format knows the content.
    """
    if "format" in side:
        named = [form for form in FORMATS if side["format"] == form.NAME]
        if not named:
            raise FileError(
                f"{file.path}: unknown format {side['format']!r}; known formats are "
                f"{', '.join(form.NAME for form in FORMATS)}."
            )
        if named[0] not in NAMED_BY_SIDECAR[1:] and not named[0].recognises(file):
            raise FileError(
                f"{file.path}: its sidecar says format = {side['format']!r}, but it does not "
                "have that layout; remove that line, and "
                "name the columns."
            )
        return named[0]
    candidates: tuple[Format, ...] = FORMATS
    if file.is_hdf5 and {"columns", "arrays"} & set(side):
        candidates = (hdf5,)
    if "columns" in side and not (file.is_workbook or file.is_hdf5 or file.is_matlab):
        candidates = NAMED_BY_SIDECAR
    form = next((form for form in candidates if form.recognises(file)), None)
    if form is None and table_without_headers.holds(file, len(side.get("columns", ()))):
        form = table_without_headers
    if form is None:
        what = (
            "a workbook that is damaged or was cut off, or that Clarius did not write"
            if file.is_workbook
            else f"starts with {(file.start or [''])[0][:60]!r}"
        )
        if table_with_headers.only_headers(file):
            raise FileError(f"{file.path} has headers but no row of numbers below them; export it again with its data.")
        raise NotAMeasurement(
            f"{file.path} has no known layout ({what}). Known layouts: {', '.join(f.NAME for f in FORMATS)}. Save it as "
            "CSV with headers such as `Voltage (V),Current (A)`.",
            "no known layout",
        )
    return form
