"""What headerless logs of array test rigs have in common: first rows as numbers, cells by address, the flag of a layout."""

from __future__ import annotations

import numpy as np

from devices.instruments import text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Flag

R_LOW, R_HIGH = 10.0, 1e13  # resistances of devices [ohm]


def start(file: File, columns: int) -> np.ndarray | None:
    """Numbers of the rows at the start of the file, if they are all numbers in the given number of columns; else
    None."""
    lines = [line for line in file.start if line.strip()]
    if len(lines) < 2 or len(text_table.fields(lines[0])) != columns:
        return None
    sign = text_table.separator(lines[0])
    try:
        rows = np.array([[float(cell) for cell in text_table.fields(line, sign)] for line in lines])
    except ValueError:
        return None
    return rows if rows.ndim == 2 and np.isfinite(rows).all() else None


def whole(values: np.ndarray) -> bool:
    """Whether all are whole numbers, not negative."""
    return bool((values >= 0).all() and (values == np.round(values)).all())


def ohms(values: np.ndarray) -> bool:
    """Whether all could be resistances of devices [ohm]."""
    return bool(((values > R_LOW) & (values < R_HIGH)).all())


def inverse(r: np.ndarray, g: np.ndarray) -> bool:
    """Whether R times G is one in every row: then they are ohms and siemens of the same reading."""
    return bool((np.abs(r * g - 1) < 1e-3).all())


def cells(file: File, address: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number of the cell of every row, and the addresses as labels.

    Raises:
        FileError: if a row has none.
    """
    if not np.isfinite(address).all():
        row = 1 + int(np.argmin(np.isfinite(address)))
        raise FileError(
            f"{file.path}: the column of devices has empty cells (row {row}); every row must name its device."
        )
    unique, index = np.unique(address, return_inverse=True)
    return index.astype(float), tuple(f"{a:g}" if a != round(a) else str(int(a)) for a in unique)


def assumed(what: str, checks: str) -> Flag:
    """The flag that says which layout was assumed, and what was checked."""
    return Flag("assumed layout", f"No header: columns were taken as {what}; checked: {checks}.")


def rows_of(file: File, columns: int) -> np.ndarray:
    """All rows.

    Raises:
        FileError: if a later row has another number of columns.
    """
    values = text_table.numbers(file)
    if values.shape[1] != columns:
        raise FileError(f"{file.path} has {values.shape[1]} columns where {columns} were expected.")
    return values
