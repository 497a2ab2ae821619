"""MATLAB .mat files: version 5 to 7 by SciPy, 7.3 (which is HDF5) by h5py; arrays by name, those in structures as `data.V`."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.instruments import named_arrays
from devices.instruments.column_guesses import Table
from devices.instruments.formats import arc_two
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "MATLAB"
SEVERAL_FILES = True
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
        _check_size(file, sum(sizes))
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


def _check_size(file: File, numbers: int) -> None:
    if 8 * numbers > file.limit_mb * 1e6:
        raise FileError(
            f"{file.path} unpacks to {8 * numbers / 1e6:.0f} MB, more than the {file.limit_mb:g} MB that are read at once; "
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
    found: dict[str, np.ndarray] = {}

    def visit(path: str, item: Any) -> None:
        if path.startswith("#") or not hasattr(item, "shape") or item.dtype.kind not in "fiu":
            return
        if "MATLAB_class" in item.attrs and bytes(item.attrs["MATLAB_class"]) in (b"char", b"logical"):
            return
        _check_size(file, item.size + sum(x.size for x in found.values()))
        found[path.replace("/", ".")] = np.asarray(item, float).T  # MATLAB counts columns first

    with arc_two.opened(file) as h5:
        try:
            h5.visititems(visit)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{file.path} is a damaged MATLAB 7.3 file ({error}); save it again.") from None
    return found
