"""Data sets, by name: images in [0, 1] and labels, with a fixed split."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import pathlib
import zlib

import h5py
import numpy as np

from experiments.framework.errors import UsageError

NAMES = ("digits", "mnist", "fashion-mnist")
_IDX = {
    "x_train": "train-images-idx3",
    "y_train": "train-labels-idx1",
    "x_test": "t10k-images-idx3",
    "y_test": "t10k-labels-idx1",
}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images `(n, height, width)` as float32 in [0, 1], and labels `(n,)` as int32."""

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(name: str) -> Dataset:
    """A data set by name.

    Raises:
        UsageError: for an unknown name, or files that are missing or damaged.
    """
    if name == "digits":
        return _digits()
    if name in NAMES:
        return _idx(name)
    raise UsageError(f"data set {name!r} is unknown; there are {', '.join(NAMES)}.")


def _digits() -> Dataset:
    here = pathlib.Path(__file__).parent
    places = [here.parent / "data" / "digits.h5", here / "data" / "digits.h5"]  # source tree, installed wheel
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise UsageError(f"digits.h5 is missing; it belongs at {places[0]}. Install xbar-sim again.")
    try:
        with h5py.File(path) as file:
            images, labels, test = (np.asarray(file[k]) for k in ("images", "labels", "test"))
            expected = file.attrs["sha256"]
    except (OSError, KeyError, zlib.error) as error:
        raise UsageError(f"{path} is damaged ({error}). Install xbar-sim again.") from error
    if hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() != expected:
        raise UsageError(f"{path} is damaged: its checksum is wrong. Install xbar-sim again.")
    x, y = images.astype(np.float32) / 16, labels.astype(np.int32)
    return Dataset("digits", x[~test], y[~test], x[test], y[test])


def _idx(name: str) -> Dataset:
    folder = _folder(name)
    arrays = {field: _read_idx(folder, stem) for field, stem in _IDX.items()}
    for part in ("train", "test"):
        if len(arrays[f"x_{part}"]) != len(arrays[f"y_{part}"]) or arrays[f"x_{part}"].ndim != 3:
            raise UsageError(f"{folder}: images and labels of the {part} set do not belong together. Fetch them again.")
    scaled = {k: v.astype(np.float32) / 255 if k[0] == "x" else v.astype(np.int32) for k, v in arrays.items()}
    return Dataset(name, **scaled)


def _folder(name: str) -> pathlib.Path:
    root = os.environ.get("XBAR_DATA")
    places = [pathlib.Path(root) / sub / name for sub in ("datasets", ".")] if root else []
    if name == "fashion-mnist":
        places.append(pathlib.Path("/usr/share/datasets/fashion-mnist"))
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(map(str, places)) or "nowhere, as XBAR_DATA is not set"
    hint = " or install Debian's package dataset-fashion-mnist" if name == "fashion-mnist" else ""
    raise UsageError(
        f"data set {name!r} is not here (looked in: {looked}). Set XBAR_DATA to a folder that holds {name}/ with "
        f"{_IDX['x_train']}-ubyte.gz and its three companions{hint}, or use --data digits, which ships."
    )


def _read_idx(folder: pathlib.Path, stem: str) -> np.ndarray:
    path = folder / f"{stem}-ubyte.gz"
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    dims = raw[3] if len(raw) > 4 and raw[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(raw, ">u4", dims, 4) if dims and len(raw) >= 4 + 4 * dims else ()
    if not dims or len(raw) != 4 + 4 * dims + int(np.prod(shape, dtype=np.int64)):
        raise UsageError(f"{path}: not an IDX file of bytes, or cut short. Fetch it again.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)
