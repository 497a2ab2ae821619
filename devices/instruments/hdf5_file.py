"""Untrusted HDF5 files: only the file itself, and its folder for virtual data sets, is ever read.

What lies in external storage or behind a link is not read, as it could be any file of this machine. The unpacked size
of data sets is checked against the size limit before a byte of them is read.
"""

from __future__ import annotations

import contextlib
import io
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from devices.instruments.source import File, decoded
from devices.instruments.trace import FileError

NUMBERS = "fiu"  # kinds of NumPy's dtypes
MOST = 32  # dimensions that HDF5 allows
NUMBER = 8  # bytes of a number in memory


@contextlib.contextmanager
def opened(file: File) -> Iterator[Any]:
    """The HDF5 file (an `h5py.File`), read from memory. The block should do no more than look into it.

    Raises:
        FileError: if it is damaged, which may show only within the block: h5py raises whatever HDF5 makes of wrong bytes.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(file.data), "r") as h5:
            yield h5
    except FileError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise FileError(f"{file.path} is a damaged HDF5 file ({said}); copy it again from its source.") from None


def member(group: Any, name: str) -> Any:
    """What a group holds under this name; None for a link that leads elsewhere (soft, external), or nowhere."""
    import h5py

    here = isinstance(group, h5py.Group) and isinstance(group.get(name, getlink=True), h5py.HardLink)
    return group[name] if here else None


def links(h5: Any) -> list[str]:
    """Names of the links that are not followed, with what they lead to."""
    import h5py

    found = []

    def visit(path: str, link: Any) -> None:
        if not isinstance(link, h5py.HardLink):
            found.append(f"{path} -> {getattr(link, 'filename', '')}{getattr(link, 'path', '?')}")

    h5.visititems_links(visit)
    return found


def fields(dataset: Any, most: int = 1) -> dict[str, np.dtype]:
    """The numbers that a data set has in each row, by name of the field (`""` without fields); none if it is something else.

    Args:
        most: dimensions that it may have, if it has no fields.
    """
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or not 1 <= len(dataset.shape) <= most:
        return {}
    try:
        dtype = dataset.dtype
    except TypeError:  # of a kind that NumPy lacks
        return {}
    if dtype.names and len(dataset.shape) > 1:
        return {}
    parts = {name: dtype[name] for name in dtype.names} if dtype.names else {"": dtype}
    return {name: part for name, part in parts.items() if part.kind in NUMBERS and not part.shape}


def check_size(file: File, datasets: Iterable[Any]) -> None:
    """Refuse what would take more memory than the file's limit.

    Raises:
        FileError: in that case.
    """
    size = sum(math.prod(map(int, d.shape)) * max(NUMBER * len(fields(d, MOST)), d.dtype.itemsize) for d in datasets)
    if size > file.limit_mb * 1e6:
        raise FileError(
            f"{file.path}: its data sets unpack to {size / 1e6:.0f} MB, more than the limit of {file.limit_mb:g} MB; "
            f"split it, or write `max_megabytes = {size / 1e6:.0f}` into its sidecar {file.path.name}.toml."
        )


def columns(file: File, dataset: Any) -> dict[str, np.ndarray]:
    """The numbers of a data set (float64) by name of the field, as in `fields`.

    Raises:
        FileError: if it lies in other files, and these are not virtual sources within its folder.
    """
    found = fields(dataset, MOST)
    if "" in found and dataset.is_virtual:
        return {"": _virtual(file, dataset)}
    _check_here(file, dataset)
    rows = dataset[()]
    return {name: np.asarray(rows[name] if name else rows, float) for name in found}


def _check_here(file: File, dataset: Any) -> None:
    kept = dataset.id.get_create_plist()
    if kept.get_external_count():
        other = decoded(kept.get_external(0)[0])
        raise FileError(
            f"{file.path}: the data set {dataset.name} lies in another file ({other!r}, external storage), which is not read: "
            "it could be any file. `h5repack -l CONTI IN OUT` at its source puts the numbers into the file."
        )
    if dataset.is_virtual:
        raise FileError(f"{file.path}: the data set {dataset.name} is a virtual data set made of {_WHAT}. {_STORE}")


_WHAT = "another virtual one, or of rows with fields"
_STORE = "Store the numbers themselves: `h5repack -l CONTI IN OUT` at its source."


def _virtual(file: File, dataset: Any) -> np.ndarray:
    """The numbers of a virtual data set from its sources; NaN where none has a number."""
    import h5py

    values = np.full(dataset.shape, np.nan)
    for part in dataset.virtual_sources():
        path = _source(file, dataset, part.file_name)
        try:
            with opened(file if path == file.path else File(path, file.limit_mb)) as h5:
                origin = h5
                for name in part.dset_name.strip("/").split("/"):
                    origin = member(origin, name)
                if set(fields(origin, MOST)) != {""}:
                    raise FileError(f"{path} has no numbers at {part.dset_name}")
                _check_here(file, origin)
                whole = part.src_space.get_select_type() == h5py.h5s.SEL_ALL
                origin.id.read(part.vspace, h5py.h5s.ALL if whole else part.src_space, values)
        except FileError as error:
            raise FileError(
                f"{file.path}: the virtual data set {dataset.name} cannot be put together: {error}"
            ) from None
    return values


def _source(file: File, dataset: Any, name: str) -> pathlib.Path:
    """The file that a virtual data set names, within the folder of the file."""
    if name == ".":
        return file.path
    folder = file.path.parent.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise FileError(
            f"{file.path}: the virtual data set {dataset.name} takes its numbers from {name!r}, outside of its folder, which "
            f"is not read: it could be any file. {_STORE}"
        )
    if not path.is_file():
        raise FileError(
            f"{file.path}: the virtual data set {dataset.name} takes its numbers from {name!r}, which is not there; copy that "
            "file beside it as well."
        )
    return path


def text(file: File, owner: Any, *names: str) -> str | None:
    """The first of the given attributes that exists, as text; None if none does.

    Raises:
        FileError: if it is not text.
    """
    for name in names:
        if name not in owner.attrs:
            continue
        value = owner.attrs[name]
        if isinstance(value, np.ndarray) and value.size == 1:  # MATLAB's writers and others make lists of one
            value = value.reshape(-1)[0]
        if isinstance(value, bytes):
            value = decoded(value)
        if not isinstance(value, str):
            raise FileError(
                f"{file.path}: the attribute `{name}` of {owner.name} is {_said(value)}, "
                "not text; write a unit such as V, uA, "
                "ms, kohm, uS."
            )
        return str(value)
    return None


def _said(value: Any) -> str:
    shown = repr(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value)
    return shown if len(shown) < 60 else shown[:57] + "..."
