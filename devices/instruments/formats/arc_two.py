"""ArC TWO HDF5: `/crosspoints/W00B00/timeseries` with the rows (current, voltage, pulse_width, read_voltage, op_type)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import polarity
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "ArC TWO"


def recognises(file: File) -> bool:
    """HDF5 whose root has the attribute H5DS_VERSION_MAJOR and a group `crosspoints`."""
    if not file.is_hdf5:
        return False
    with opened(file) as h5:
        return "H5DS_VERSION_MAJOR" in h5.attrs and "crosspoints" in h5


def opened(file: File) -> Any:
    """The HDF5 file.

    Raises:
        FileError: if it is damaged.
    """
    import h5py

    try:
        return h5py.File(io.BytesIO(file.data), "r")
    except OSError as error:
        raise FileError(f"{file.path} is a damaged HDF5 file ({error}); copy it again from its source.") from None


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """Pulses of all cells with the read after each of them, or their reads if there are no pulses."""
    with opened(file) as h5:
        names = [str(name) for name in h5["crosspoints"] if "timeseries" in h5["crosspoints"][name]]
        sets = [h5["crosspoints"][name]["timeseries"] for name in names]
        parts = [np.asarray(data[: int(data.attrs.get("NROWS", data.shape[0]))]) for data in sets]
    if not sum(map(len, parts)):
        raise FileError(f"{file.path} has no readings in any crosspoint's timeseries.")
    rows = np.concatenate(parts)
    kind = "op_type" if "op_type" in (rows.dtype.names or ()) else "type"
    missing = {"current", "voltage", "pulse_width", "read_voltage", kind} - set(rows.dtype.names or ())
    if missing:
        raise FileError(
            f"{file.path}: timeseries lack {', '.join(sorted(missing))}; this is no ArC TWO file that is known."
        )
    device = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(float)
    reads = (rows[kind] & 1).astype(bool) & (rows["read_voltage"] != 0)
    rows, device = rows[reads], device[reads]
    g = np.abs(rows["current"].astype(float) / rows["read_voltage"].astype(float))
    voltages = np.unique(rows["read_voltage"])
    protocol = {"v_read": float(voltages[0])} if len(voltages) == 1 else {}
    base: dict[str, Any] = dict(source=(str(file.path),), format=NAME, labels=tuple(names), protocol=protocol)
    amplitude, width = rows["voltage"].astype(float), rows["pulse_width"].astype(float)
    return [polarity.pulses_or_reads(file, g, amplitude, width, (rows[kind] & 2).astype(bool), device, side, base)]
