"""Data sets of images, as float32 in [0, 1]."""

from __future__ import annotations

import gzip
import hashlib
import io
import pathlib
import zipfile
import zlib

import h5py
import numpy as np
from PIL import Image, UnidentifiedImageError

from experiments.datasets.dataset import Dataset, no_training, read_npz
from experiments.framework.errors import UsageError
from experiments.public_data.places import find as folder

_IDX = {
    "x_train": "train-images-idx3",
    "y_train": "train-labels-idx1",
    "x_test": "t10k-images-idx3",
    "y_test": "t10k-labels-idx1",
}


def digits() -> Dataset:
    """Handwritten digits, 8 x 8; they are included with xbar."""
    here = pathlib.Path(__file__).parents[1]
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


def idx(name: str) -> Dataset:
    """MNIST or Fashion-MNIST, from their four files."""
    hint = " or install Debian's package dataset-fashion-mnist" if name == "fashion-mnist" else ""
    holds = f"{_IDX['x_train']}-ubyte.gz and its three companions"
    place = folder(name, holds, f"{hint}, or use digits, which are included: --network mlp or cnn --data digits")
    arrays = {field: _read_idx(place, stem) for field, stem in _IDX.items()}
    for part in ("train", "test"):
        if len(arrays[f"x_{part}"]) != len(arrays[f"y_{part}"]) or arrays[f"x_{part}"].ndim != 3:
            raise UsageError(f"{place}: the images and labels of the {part} set do not match. Fetch them again.")
    x_train, x_test = (_unit(arrays[f"x_{part}"]) for part in ("train", "test"))
    y_train, y_test = (arrays[f"y_{part}"].astype(np.int32) for part in ("train", "test"))
    return Dataset(name, x_train, y_train, x_test, y_test)


def _read_idx(place: pathlib.Path, stem: str) -> np.ndarray:
    path = place / f"{stem}-ubyte.gz"
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    dims = raw[3] if len(raw) > 4 and raw[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(raw, ">u4", dims, 4) if dims and len(raw) >= 4 + 4 * dims else ()
    if not dims or len(raw) != 4 + 4 * dims + int(np.prod(shape, dtype=np.int64)):
        raise UsageError(f"{path}: not an IDX file of bytes, or cut short. Fetch it again.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def cifar10() -> Dataset:
    """All of CIFAR-10: 50,000 training and 10,000 test images, `(n, 32, 32, 3)`, from its authors' binary files."""
    place = folder("cifar10", "data_batch_1.bin to data_batch_5.bin and test_batch.bin")
    train = [_records(place / f"data_batch_{i}.bin") for i in range(1, 6)]
    x_test, y_test = _records(place / "test_batch.bin")
    x_train, y_train = (np.concatenate(part) for part in zip(*train, strict=True))
    return Dataset("cifar10", _unit(x_train), y_train, _unit(x_test), y_test)


def cifar10_subset() -> Dataset:
    """The first 5,000 training and 1,000 test images of CIFAR-10, `(n, 32, 32, 3)`, lossless."""
    holds = "labels.npz, train/batch_0.png to batch_4.png and test/batch_50.png"
    place = folder("cifar10-subset", holds, also=("cifar10",))
    if (place / "test_batch.bin").is_file():
        (x, y), (x_test, y_test) = _records(place / "data_batch_1.bin"), _records(place / "test_batch.bin")
        return Dataset("cifar10-subset", _unit(x[:5000]), y[:5000], _unit(x_test[:1000]), y_test[:1000])
    labels = read_npz(place / "labels.npz", "train", "test")
    sheets = {
        "train": [place / "train" / f"batch_{i}.png" for i in range(5)],
        "test": [place / "test" / "batch_50.png"],
    }
    found = {}
    for part, paths in sheets.items():
        images = np.concatenate([_sheet(path) for path in paths])
        if len(images) != len(labels[part]):
            raise UsageError(f"{place}: {len(images)} {part} images and {len(labels[part])} labels. Fetch it again.")
        found |= {f"x_{part}": _unit(images), f"y_{part}": labels[part].astype(np.int32)}
    return Dataset("cifar10-subset", **found)


def _records(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 32, 32, 3)` uint8 and labels int32 of a binary file: a label, then planes of red, green and blue."""
    try:
        rows = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    if not rows.size or rows.size % 3073 or rows[::3073].max() > 9:
        raise UsageError(
            f"{path}: it does not consist of records of 3,073 bytes with a label of 0 to 9. Fetch it again."
        )
    rows = rows.reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0].astype(np.int32)


def wake_words() -> Dataset:
    """The 1,000 images of MLPerf Tiny's visual wake words, `(n, 96, 96, 3)` RGB; 1 is a person. There is no training set.

    The JPEG files have red and blue swapped, as the benchmark's runner wants them; they are swapped back here.
    """
    path = folder("mlperf-tiny", "vww_images.zip") / "vww_images.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            rows = [line.split(",") for line in archive.read("labels.csv").decode().split()]
            images = np.stack([_pixels(io.BytesIO(archive.read(name)), f"{path}: {name}") for name, _ in rows])
        labels = np.array([int(label) for _, label in rows], np.int32)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    x = _unit(images[..., ::-1])
    return Dataset("wake-words", *no_training(x, labels), x, labels, in_runs=True)


def _sheet(path: pathlib.Path) -> np.ndarray:
    """A PNG of which every row is one 32 x 32 image."""
    pixels = _pixels(path, str(path))
    if pixels.shape[1:] != (1024, 3):
        raise UsageError(f"{path}: {pixels.shape} pixels; rows of 1,024 in three colours are expected. Fetch it again.")
    return pixels.reshape(-1, 32, 32, 3)


def _pixels(file: pathlib.Path | io.BytesIO, name: str) -> np.ndarray:
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"{name}: cannot be read ({error}). Fetch it again.") from error


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255
