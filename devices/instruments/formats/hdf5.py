"""Plain HDF5: in every group, one-dimensional data sets of one length (or one table with fields) with units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import column_headers, columns_to_trace, hdf5_file, named_arrays
from devices.instruments.column_guesses import Table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

NAME = "HDF5 table"


def recognises(file: File) -> bool:
    """Any HDF5 file."""
    return file.is_hdf5


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace for every group whose data sets have known names.

    Raises:
        FileError: if a unit is missing (attribute `units`, or in the name), lengths differ, no name is known, or numbers lie
            in other files.

    With `columns` or `arrays` of the sidecar, one trace of the data sets of numbers that these name.
    """
    if "columns" in side or "arrays" in side:
        return [named_arrays.trace(file, _arrays(file), side, NAME)]
    with hdf5_file.opened(file) as h5:
        groups, left = _groups(file, h5), hdf5_file.links(h5)
    notes = [Flag("links left out", f"Links are not followed: {'; '.join(left[:5])}.")] if left else []
    traces = [
        _trace(file, where, columns, side).flagged(*notes) for where, columns in groups.items() if _known(columns)
    ]
    if not traces:
        names = ", ".join(name for group in groups.values() for name in group) or "none"
        links = f" (and links, which are not followed: {'; '.join(left[:5])})" if left else ""
        raise FileError(
            f"{file.path} has no data sets with known names; it has {names}{links}"
            ". Name them like `voltage (V)` and `current (uA)`, or give them an attribute `units`."
        )
    return traces


def _groups(file: File, h5: Any) -> dict[str, dict[str, tuple[np.ndarray, str | None]]]:
    """Numbers and their units by name, for every group and every table with fields."""
    found: dict[str, Any] = {}
    h5.visititems(lambda path, item: found.update({path: item}) if hdf5_file.fields(item) else None)
    hdf5_file.check_size(file, found.values())
    groups: dict[str, dict[str, tuple[np.ndarray, str | None]]] = {}
    for path, dataset in found.items():
        parent, _, name = path.rpartition("/")
        unit = hdf5_file.text(file, dataset, "units", "unit")
        for field, values in hdf5_file.columns(file, dataset).items():
            where, column = (path, field) if field else (parent, name)
            groups.setdefault(where, {})[column] = values, None if field else unit
    return groups


def table(file: File) -> Table | None:
    """First rows of the data sets that belong together."""
    return named_arrays.table(_arrays(file))


def _arrays(file: File) -> dict[str, np.ndarray]:
    """All data sets of one or two dimensions of numbers, and fields of tables, by their paths."""
    found: dict[str, Any] = {}
    with hdf5_file.opened(file) as h5:
        h5.visititems(lambda path, item: found.update({path: item}) if hdf5_file.fields(item, most=2) else None)
        hdf5_file.check_size(file, found.values())
        return {
            f"{path}/{field}".rstrip("/"): values
            for path, dataset in found.items()
            for field, values in hdf5_file.columns(file, dataset).items()
        }


def _known(columns: Mapping[str, Any]) -> bool:
    return any(column_headers.header(name).column for name in columns)


def _trace(
    file: File, where: str, columns: Mapping[str, tuple[np.ndarray, str | None]], side: Mapping[str, Any]
) -> Trace:
    named, headers = [], columns_to_trace.most_certain([column_headers.header(name) for name in columns])
    for header, (name, (values, text)) in zip(headers, columns.items(), strict=True):
        if header.column is None:
            continue
        unit = column_headers.unit(text) if text is not None else header.unit
        if unit is None and column_headers.dimension(header.column) == "":
            unit = column_headers.Unit("")
        if unit is None:
            raise FileError(
                f"{file.path}: the data set {where}/{name} has {'no unit' if text is None else f'the unit {text!r}'}; give it "
                "an attribute `units` such as V, uA, ms, kohm, uS."
            )
        named.append((header.column, values, unit))
    if len({len(values) for _, values, _ in named}) > 1:
        lengths = ", ".join(f"{column} {len(values)}" for column, values, _ in named)
        raise FileError(
            f"{file.path}: the data sets of /{where} differ in length ({lengths}); give each table a group."
        )
    unsure = {h.column for h in headers if h.column and not h.sure}
    notes = columns_to_trace.about_headers(headers, asked=False)
    return columns_to_trace.trace(
        file, named, side, NAME, (f"{file.path.stem}/{where}".rstrip("/"),), flags=notes, unsure=unsure
    )
