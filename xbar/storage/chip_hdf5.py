"""The file: named arrays with units and checksums, and one text that says what they make up.

A file is untrusted until it is read. What is accepted is what `write` writes: whole arrays, contiguous, unfiltered, in this
file and not in another, so that an array in memory is never larger than what lies on the disk.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pathlib
import stat
from collections.abc import Mapping
from typing import Any

import h5py
import jax
import numpy as np

from xbar.storage.arrays import digest, from_kept, kept_as, to_kept
from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.structure import shape_of

FORMAT = "xbar chip"
VERSION = 1
MOST = 2**36  # bytes of a file: more is refused
MOST_TEXT = 2**26  # bytes of the description
_TEXT = "structure"
_AGAIN = "It was truncated or changed: use another copy, or save the chip again."


def write(path: pathlib.Path, text: str, arrays: Mapping[str, Any], units: Mapping[str, str]) -> None:
    """Writes a new file."""
    raw = text.encode("ascii")
    with h5py.File(path, "x", libver=("v110", "v110")) as file:  # whose own records carry checksums
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        for name, version in _versions().items():
            file.attrs[name] = np.bytes_(version)
        dataset = file.create_dataset(_TEXT, data=np.bytes_(raw))
        dataset.attrs["sha256"] = np.bytes_(hashlib.sha256(raw).hexdigest())
        for name, x in arrays.items():
            kept = to_kept(x)
            dataset = file.create_dataset(name, data=kept)
            dataset.attrs["sha256"] = np.bytes_(digest(kept))
            if name in units:
                dataset.attrs["units"] = np.bytes_(units[name])


def _versions() -> dict[str, str]:
    try:
        own = importlib.metadata.version("xbar-sim")
    except importlib.metadata.PackageNotFoundError:
        own = "unknown"  # a clone that was never installed
    return {"xbar": own, "jax": jax.__version__, "numpy": np.__version__}


class ChipFile:
    """An open file of a chip; use it in a `with` statement.

    Raises:
        ChipFileError: if it is not one.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self.left = _size(self.path)  # bytes that arrays may still take: together never more than the file has
        try:
            known = h5py.is_hdf5(self.path)
        except OSError:
            known = False
        if not known:
            raise ChipFileError(
                f"{path} is not an HDF5 file. Give a file that xbar.save wrote; {_AGAIN[0].lower()}{_AGAIN[1:]}"
            )
        self.file = h5py.File(self.path, "r")
        self._read: dict[str, Any] = {}
        try:
            self._check_format()
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> ChipFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _check_format(self) -> None:
        if "format" not in self.file.attrs or self._attribute(self.file, "format") != FORMAT:
            raise ChipFileError(
                f"{self.path} is an HDF5 file of another kind: its attribute `format` is not {FORMAT!r}. "
                "Give a file that xbar.save wrote."
            )
        version, value = self.file.attrs.get_id("version"), None
        if version.shape == () and version.dtype.kind in "iu":
            value = self.file.attrs["version"]
        if value != VERSION:
            raise ChipFileError(
                f"{self.path} has version {value} of the format, but this xbar reads version {VERSION}. "
                "Update xbar, or save the chip again with this one."
            )

    def text(self) -> str:
        """The description of the chip."""
        dataset = self._dataset(_TEXT)
        if dataset.shape != () or dataset.dtype.kind != "S" or dataset.dtype.itemsize > MOST_TEXT:
            raise ChipFileError(f"{self.path}: {_TEXT} is not text of at most {MOST_TEXT} bytes. {_AGAIN}")
        self._check_storage(_TEXT, dataset, dataset.dtype.itemsize)
        raw = bytes(dataset[()])
        if hashlib.sha256(raw).hexdigest() != self._attribute(dataset, "sha256"):
            raise ChipFileError(f"{self.path}: {_TEXT} does not match its checksum. {_AGAIN}")
        return raw.decode("ascii")

    def array(self, node: dict[str, Any]) -> Any:
        """The array that a node of the description names."""
        name = node["array"]
        if name not in self._read:
            self._read[name] = node, from_kept(self._kept(node), node, f"{self.path}: {name}")
        first, found = self._read[name]
        if first != node:
            raise ChipFileError(f"{self.path}: {name} is described in two ways. {_AGAIN}")
        return found

    def _kept(self, node: dict[str, Any]) -> np.ndarray:
        name = node["array"]
        dtype, shape = kept_as(node["dtype"], shape_of(node["shape"], name))
        dataset = self._dataset(name)
        if dataset.dtype != dtype or dataset.shape != shape:
            raise ChipFileError(
                f"{self.path}: {name} is {dataset.dtype} of shape {dataset.shape}, but the description says {dtype} of "
                f"shape {shape}. {_AGAIN}"
            )
        self._check_storage(name, dataset, dtype.itemsize * int(np.prod(shape, dtype=object)))
        kept = np.empty(shape, dtype)
        if kept.size:
            dataset.read_direct(kept)
        if digest(kept) != self._attribute(dataset, "sha256"):
            raise ChipFileError(f"{self.path}: {name} does not match its checksum. {_AGAIN}")
        return kept

    def _dataset(self, name: Any) -> h5py.Dataset:
        """A data set of this very file: links that lead elsewhere are not followed."""
        found: Any = self.file
        for part in str(name).split("/"):
            link = found.get(part, getlink=True) if isinstance(found, h5py.Group) and part else None
            if not isinstance(link, h5py.HardLink):
                what = "is missing" if link is None else "leads elsewhere"
                raise ChipFileError(f"{self.path}: {name} {what}; the description names it. {_AGAIN}")
            found = found[part]
        if not isinstance(found, h5py.Dataset):
            raise ChipFileError(f"{self.path}: {name} is a group; the description names a data set. {_AGAIN}")
        return found

    def _check_storage(self, name: str, dataset: h5py.Dataset, size: int) -> None:
        """Raises unless the data set is stored in this file, in one piece and uncompressed."""
        kept = dataset.id.get_create_plist()
        plain = kept.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) and not kept.get_nfilters()
        if not plain or kept.get_external_count():
            raise ChipFileError(
                f"{self.path}: {name} is kept in pieces, compressed, or in another file; xbar.save writes arrays whole. "
                "`h5repack -l CONTI -f NONE IN OUT` converts it."
            )
        self.left -= size
        if self.left < 0 or dataset.id.get_storage_size() != size:
            raise ChipFileError(f"{self.path}: {name} claims {size} bytes, more than the file holds for it. {_AGAIN}")

    def _attribute(self, owner: h5py.Group | h5py.Dataset, name: str) -> str:
        if name not in owner.attrs:
            raise ChipFileError(f"{self.path}: {owner.name} has no attribute `{name}`. {_AGAIN}")
        found = owner.attrs.get_id(name)
        if found.shape != () or found.dtype.kind != "S" or found.dtype.itemsize > 200:
            raise ChipFileError(f"{self.path}: the attribute `{name}` of {owner.name} is not a short text. {_AGAIN}")
        value: Any = owner.attrs[name]
        return bytes(value).decode("ascii")


def _size(path: pathlib.Path) -> int:
    try:
        found = path.stat()
    except OSError as error:
        raise ChipFileError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise ChipFileError(f"{path} is not a file. Give a file that xbar.save wrote.")
    if found.st_size > MOST:
        raise ChipFileError(f"{path} has {found.st_size} bytes; files of more than {MOST} bytes are not read.")
    return found.st_size
