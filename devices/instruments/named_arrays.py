"""Arrays by name, as MATLAB and HDF5 files hold them, as columns of one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import column_headers, columns_to_trace
from devices.instruments.column_guesses import Table
from devices.instruments.column_headers import Header, Unit
from devices.instruments.excerpt import ROWS
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag, Trace

Arrays = Mapping[str, np.ndarray]
WIDE = 8  # columns of a matrix that are columns of a table, where no vector belongs to its rows or columns


def table(arrays: Arrays) -> Table | None:
    """The first rows of the arrays that belong together."""
    columns, _ = _columns(arrays)
    if not columns:
        return None
    values = np.stack([values[:ROWS] for values in columns.values()], axis=1)
    return Table(tuple(columns), values, ", ".join(f"{x:g}" for x in values[0]))


def trace(file: File, arrays: Arrays, side: Mapping[str, Any], form: str) -> Trace:
    """One trace: of the arrays that `arrays` of the sidecar names, else of all that have the same length; `columns` and
    `units` say what they are in that order, else their own names do.

    A matrix whose rows (or columns) are as long as a vector is a device for each of its columns (or rows).

    Raises:
        FileError: if an array is not there, they differ in length, or it is not known what they are.
    """
    asked = side.get("arrays")
    if asked is not None:
        lost = [name for name in asked if name not in arrays]
        if lost:
            raise FileError(f"{file.path} has no array {lost[0]!r}; it has {_shapes(arrays)}.")
        arrays = {name: arrays[name] for name in asked}
    columns, device = _columns(arrays)
    if not columns:
        raise FileError(f"{file.path} has no arrays of numbers of the same length; it has {_shapes(arrays) or 'none'}.")
    names = list(columns)
    if "columns" in side and len(side["columns"]) != len(names):
        raise FileError(
            f"{file.path} has the arrays {', '.join(names)}, but its sidecar names {len(side['columns'])} columns; name one "
            "for each, or choose by `arrays = [...]`."
        )
    headers = [column_headers.header(name) for name in names]
    if "columns" in side:
        headers = [
            Header(h.text, None if c == "-" else c, h.unit) for h, c in zip(headers, side["columns"], strict=True)
        ]
    headers = columns_to_trace.most_certain(headers)
    named = [
        (h.column or "-", columns[name], _unit(file, h, k, side))
        for k, (name, h) in enumerate(zip(names, headers, strict=True))
    ]
    if device is not None and all(h.column != "device" for h in headers):
        named.append(("device", device, Unit("")))
    flags = columns_to_trace.about_headers(headers, asked="columns" in side)
    left = [name for name in arrays if name not in columns and not any(n.startswith(f"{name}(") for n in names)]
    if left and asked is None:
        flags.append(
            Flag("arrays left out", f"Of another length: {', '.join(left[:8])}; `arrays = [...]` can name them.")
        )
    unsure = {h.column for h in headers if h.column and not h.sure}
    return columns_to_trace.trace(file, named, side, form, flags=flags, unsure=unsure)


def _unit(file: File, header: Header, k: int, side: Mapping[str, Any]) -> Unit:
    units = side.get("units", [])
    if k < len(units):
        return column_headers.unit(units[k]) or Unit("1")
    if header.column is None or column_headers.dimension(header.column) == "":
        return Unit("")
    if header.unit is None:
        raise FileError(f"{file.path}: the array {header.text!r} has no unit, and units are not guessed.")
    return header.unit


def _shapes(arrays: Arrays) -> str:
    shown = [f"{name} {' x '.join(map(str, x.shape)) or 'a number'}" for name, x in list(arrays.items())[:12]]
    return ", ".join(shown) + (", ..." if len(arrays) > 12 else "")


def _columns(arrays: Arrays) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Columns of one length by name, and the device of each row if a matrix goes with a vector."""
    several = {name: np.squeeze(np.asarray(x, float)) for name, x in arrays.items() if np.size(x) > 1}
    vectors = {name: x for name, x in several.items() if x.ndim == 1}
    matrices = {name: x for name, x in several.items() if x.ndim == 2}
    for length in {len(x) for x in vectors.values()}:
        matched = {n: x if x.shape[1] == length else x.T for n, x in matrices.items() if length in x.shape}
        if matched:
            many = Counter(x.shape[0] for x in matched.values()).most_common(1)[0][0]
            columns = {n: np.tile(x, many) for n, x in vectors.items() if len(x) == length}
            columns |= {n: x.ravel() for n, x in matched.items() if x.shape[0] == many}
            columns |= {n: np.repeat(x, length) for n, x in vectors.items() if len(x) == many != length}
            return {n: columns[n] for n in arrays if n in columns}, np.repeat(np.arange(many, dtype=float), length)
    if (
        not vectors
        and len({x.shape for x in matrices.values()}) == 1
        and min(next(iter(matrices.values())).shape) > WIDE
    ):
        many, length = next(iter(matrices.values())).shape
        return {n: x.ravel() for n, x in matrices.items()}, np.repeat(np.arange(many, dtype=float), length)
    for name, x in matrices.items():
        tall = x if x.shape[0] >= x.shape[1] else x.T
        if tall.shape[1] <= WIDE:
            vectors |= {f"{name}(:,{k + 1})": tall[:, k] for k in range(tall.shape[1])}
    if not vectors:
        return {}, None
    counts = Counter(len(x) for x in vectors.values())
    length = max(counts, key=lambda n: (counts[n], n))
    return {n: x for n, x in vectors.items() if len(x) == length}, None
