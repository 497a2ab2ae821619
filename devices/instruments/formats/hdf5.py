"""Plain HDF5: in every group, one-dimensional data sets of one length (or one table with fields) with units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import column_headers, columns_to_trace, named_arrays
from devices.instruments.column_guesses import Table
from devices.instruments.formats import arc_two
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "HDF5 table"


def recognises(file: File) -> bool:
    """Any HDF5 file."""
    return file.is_hdf5


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace for every group whose data sets have known names.

    Raises:
        FileError: if a unit is missing (attribute `units`, or in the name), lengths differ, or no name is known.

    With `columns` or `arrays` of the sidecar, one trace of the data sets of numbers that these name.
    """
    if "columns" in side or "arrays" in side:
        return [named_arrays.trace(file, _arrays(file), side, NAME)]
    groups: dict[str, dict[str, tuple[np.ndarray, str | None]]] = {}

    def visit(path: str, item: Any) -> None:
        if not hasattr(item, "shape"):
            return
        parent, _, name = path.rpartition("/")
        if item.dtype.names:
            groups[path] = {field: (np.asarray(item[field]), None) for field in item.dtype.names}
        elif len(item.shape) == 1 and item.dtype.kind in "fiu":
            unit = item.attrs.get("units", item.attrs.get("unit"))
            groups.setdefault(parent, {})[name] = (np.asarray(item), unit.decode() if isinstance(unit, bytes) else unit)

    with arc_two.opened(file) as h5:
        h5.visititems(visit)
    traces = [_trace(file, where, columns, side) for where, columns in groups.items() if _known(columns)]
    if not traces:
        names = ", ".join(name for group in groups.values() for name in group) or "none"
        raise FileError(
            f"{file.path} has no data sets with known names; it has {names}"
            ". Name them like `voltage (V)` and `current (uA)`, or give them an attribute `units`."
        )
    return traces


def table(file: File) -> Table | None:
    """First rows of the data sets that belong together."""
    return named_arrays.table(_arrays(file))


def _arrays(file: File) -> dict[str, np.ndarray]:
    """All data sets of one or two dimensions of numbers, and fields of tables, by their paths."""
    found: dict[str, np.ndarray] = {}

    def visit(path: str, item: Any) -> None:
        if hasattr(item, "shape") and item.dtype.names and len(item.shape) == 1:
            found.update(
                {f"{path}/{f}": np.asarray(item[f], float) for f in item.dtype.names if item.dtype[f].kind in "fiu"}
            )
        elif hasattr(item, "shape") and len(item.shape) in (1, 2) and item.dtype.kind in "fiu":
            found[path] = np.asarray(item, float)

    with arc_two.opened(file) as h5:
        h5.visititems(visit)
    return found


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
