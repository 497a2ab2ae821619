"""MATLAB .mat files: version 5 to 7 by SciPy, 7.3 (which is HDF5) by h5py; arrays by name, those in structures as `data.V`."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from devices.instruments import hdf5_file, named_arrays
from devices.instruments.column_guesses import Table
from devices.instruments.source import PART, File
from devices.instruments.trace import FileError, Trace

NAME = "MATLAB"
SEVERAL_FILES = True
MOST_DIMENSIONS = 8
DEEPEST = 6  # structures within structures


def recognises(file: File) -> bool:
    """The words with which MATLAB begins its files."""
    return file.is_matlab


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace of the arrays of one length, or of those that the sidecar names.

    Raises:
        FileError: if the file is damaged or too large, or it is not known what the arrays are.
    """
    return [named_arrays.trace(file, _arrays(file), side, NAME)]


def table(file: File) -> Table | None:
    """First rows of the arrays that belong together."""
    return named_arrays.table(_arrays(file))


def _arrays(file: File) -> dict[str, np.ndarray]:
    return _of_hdf5(file) if b"MATLAB 7.3" in file.head[:20] else _of_version_5(file)


def _of_version_5(file: File) -> dict[str, np.ndarray]:
    from scipy import io as scipy_io

    try:
        sizes = [math.prod(shape) for _, shape, _ in scipy_io.whosmat(io.BytesIO(file.data))]
        _check_size(file, max(8 * sum(sizes), _unpacked(file, file.data)))
        content = scipy_io.loadmat(io.BytesIO(file.data), simplify_cells=True)
    except FileError:
        raise
    except Exception as error:  # SciPy says what is wrong with a damaged file by exceptions of any kind
        raise FileError(
            f"{file.path} is a damaged MATLAB file, or of a kind that SciPy does not read ({type(error).__name__}: {error}); "
            "save it again."
        ) from None
    found: dict[str, np.ndarray] = {}
    _collect(found, "", {name: x for name, x in content.items() if not name.startswith("__")}, 0)
    return found


def _check_size(file: File, size: int) -> None:
    if size > file.limit_mb * 1e6:
        raise FileError(
            f"{file.path} unpacks to {size / 1e6:.0f} MB or more, above the limit of {file.limit_mb:g} MB; "
            f"write `max_megabytes = ...` into its sidecar {file.path.name}.toml."
        )


def _collect(found: dict[str, np.ndarray], name: str, item: Any, depth: int) -> None:
    """Arrays of numbers of a structure, by the path of names that leads to them."""
    if isinstance(item, Mapping) and depth < DEEPEST:
        for key, value in item.items():
            _collect(found, f"{name}.{key}" if name else str(key), value, depth + 1)
    elif isinstance(item, (np.ndarray, int, float)) and np.asarray(item).dtype.kind in "fiu":
        found[name] = np.asarray(item, float)


def _of_hdf5(file: File) -> dict[str, np.ndarray]:
    sets: dict[str, Any] = {}

    def visit(path: str, item: Any) -> None:
        numbers = not path.startswith("#") and "" in hdf5_file.fields(item, most=MOST_DIMENSIONS)
        if numbers and hdf5_file.text(file, item, "MATLAB_class") not in ("char", "logical"):
            sets[path] = item

    with hdf5_file.opened(file) as h5:
        h5.visititems(visit)
        hdf5_file.check_size(file, sets.values())
        arrays = {path: hdf5_file.columns(file, item)[""] for path, item in sets.items()}
    return {path.replace("/", "."): values.T for path, values in arrays.items()}  # MATLAB counts columns first


def _unpacked(file: File, data: bytes) -> int:
    """Bytes that the variables of a version 5 file unpack to; once they are more than the limit, the count ends.

    Each is a tag of two whole numbers, kind and bytes, and what follows; kind 15 is packed by zlib.
    """
    order: Literal["little", "big"] = "big" if data[126:128] == b"MI" else "little"
    place, size = 128, 0
    while place + 8 <= len(data) and size <= file.limit_mb * 1e6:
        kind, count = (int.from_bytes(data[k : k + 4], order) for k in (place, place + 4))
        left = data[place + 8 : place + 8 + count]
        unpack, place = zlib.decompressobj(), place + 8 + count
        while kind == 15 and left and size <= file.limit_mb * 1e6:
            size += len(unpack.decompress(left, PART))
            left = unpack.unconsumed_tail
    return size
