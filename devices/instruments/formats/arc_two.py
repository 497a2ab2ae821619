"""ArC TWO HDF5: `/crosspoints/W00B00/timeseries` with the rows (current, voltage, pulse_width, read_voltage, op_type)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices.instruments import hdf5_file, polarity
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "ArC TWO"
FIELDS = ("current", "voltage", "pulse_width", "read_voltage")


def recognises(file: File) -> bool:
    """HDF5 whose root has the attribute H5DS_VERSION_MAJOR and a group `crosspoints`."""
    if not file.is_hdf5:
        return False
    with hdf5_file.opened(file) as h5:
        return "H5DS_VERSION_MAJOR" in h5.attrs and hdf5_file.member(h5, "crosspoints") is not None


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """Pulses of all cells with the read after each of them, or their reads if there are no pulses.

    Raises:
        FileError: if there are no readings, or the rows have other fields.
    """
    with hdf5_file.opened(file) as h5:
        points = hdf5_file.member(h5, "crosspoints")
        sets = {str(name): hdf5_file.member(hdf5_file.member(points, name), "timeseries") for name in points}
        sets = {name: data for name, data in sets.items() if data is not None}
        kind = _kind(file, list(sets.values()))
        hdf5_file.check_size(file, sets.values())
        parts = [_rows(file, data) for data in sets.values()]
    names = tuple(sets)
    if not sum(len(part["current"]) for part in parts):
        raise FileError(f"{file.path} has no readings in any crosspoint's timeseries.")
    rows = {name: np.concatenate([part[name] for part in parts]) for name in (*FIELDS, kind)}
    device = np.repeat(np.arange(len(parts)), [len(part["current"]) for part in parts]).astype(float)
    reads = (rows[kind] % 2 >= 1) & (rows["read_voltage"] != 0)  # bits: 1 read, 2 pulse
    rows, device = {name: values[reads] for name, values in rows.items()}, device[reads]
    if not reads.any():
        raise FileError(f"{file.path} has no reads: no row is of type 1 or 3 at a read voltage other than 0.")
    g = np.abs(rows["current"] / rows["read_voltage"])
    voltages = np.unique(rows["read_voltage"])
    protocol = {"v_read": float(voltages[0])} if len(voltages) == 1 else {}
    base: dict[str, Any] = dict(source=(str(file.path),), format=NAME, labels=names, protocol=protocol)
    pulsed = rows[kind] % 4 >= 2
    return [polarity.pulses_or_reads(file, g, rows["voltage"], rows["pulse_width"], pulsed, device, side, base)]


def _kind(file: File, sets: Sequence[Any]) -> str:
    """Name of the field that says what each row is; all timeseries have it, and the others."""
    found = [hdf5_file.fields(data) for data in sets]
    kind = "op_type" if all("op_type" in fields for fields in found) else "type"
    missing = {name for fields in found for name in (*FIELDS, kind) if name not in fields}
    if missing:
        raise FileError(f"{file.path}: timeseries lack {', '.join(sorted(missing))}; this is not a known ArC TWO file.")
    return kind


def _rows(file: File, dataset: Any) -> dict[str, np.ndarray]:
    """The filled rows: the first `NROWS` if the file has that attribute, else all."""
    count = dataset.attrs.get("NROWS", dataset.shape[0])
    if np.shape(count) or not isinstance(count, (int, np.integer)) or not 0 <= count <= dataset.shape[0]:
        raise FileError(f"{file.path}: NROWS of {dataset.name} must be a whole number from 0 to {dataset.shape[0]}.")
    return {name: values[: int(count)] for name, values in hdf5_file.columns(file, dataset).items()}
