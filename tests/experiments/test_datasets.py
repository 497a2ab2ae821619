"""Data sets: what ships is intact, what is absent or damaged says so."""

import gzip
import os
import pathlib

import h5py
import numpy as np
import pytest
from sklearn.datasets import load_digits

from experiments import datasets
from experiments.framework.errors import UsageError

ROOT = pathlib.Path(__file__).parents[2]


def test_digits_are_those_of_the_source():
    """Every image and label of scikit-learn's copy, once, in the split that data/make_digits.py fixes."""
    data, source = datasets.load("digits"), load_digits()
    assert data.x_train.shape == (1352, 8, 8) and data.x_test.shape == (445, 8, 8) and data.x_train.dtype == np.float32
    ours = np.concatenate([data.x_train, data.x_test]).reshape(1797, -1) * 16
    rows = lambda images: sorted(map(bytes, np.round(images).astype(np.uint8)))  # noqa: E731
    assert rows(ours) == rows(source.images.reshape(1797, -1))
    counts = np.bincount(data.y_test)
    assert counts.min() >= 43 and counts.max() <= 46 and counts.sum() == 445


def test_some_inputs_are_like_the_whole():
    """Of a set sorted by label the first 50 hold one label; of its `some` 50, both as often as all: no network is tested, and
    no converter calibrated, on one class. Fewer are the beginning of more, and what is not sorted stays in its order."""
    x, y = np.arange(1000.0, dtype=np.float32)[:, None], np.repeat([0, 1], 500).astype(np.int32)
    alike = datasets.Dataset("sorted", x[:0], y[:0], x, y, in_runs=True)
    found, labels = alike.some("test", 50)
    assert 15 <= labels.sum() <= 35 and len(np.unique(found)) == 50
    np.testing.assert_array_equal(labels, (found[:, 0] >= 500).astype(int))
    np.testing.assert_array_equal(alike.some("test", 80)[0][:50], found)
    np.testing.assert_array_equal(np.sort(alike.some("test")[0], 0), x)
    np.testing.assert_array_equal(datasets.Dataset("mixed", x, y, x, y).some("train", 50)[0], x[:50])


def test_the_script_makes_what_ships(tmp_path):
    script = (ROOT / "data" / "make_digits.py").read_text()
    (tmp_path / "make_digits.py").write_text(script)
    scope = {"__name__": "__main__", "__file__": str(tmp_path / "make_digits.py")}
    exec(compile(script, "make_digits.py", "exec"), scope)
    with h5py.File(tmp_path / "digits.h5") as a, h5py.File(ROOT / "data" / "digits.h5") as b:
        assert a.attrs["sha256"] == b.attrs["sha256"]
        np.testing.assert_array_equal(a["test"][:], b["test"][:])


def idx(folder, name, array):
    folder.mkdir(parents=True, exist_ok=True)
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / "mnist"
    for part, n in (("train", 6), ("t10k", 4)):
        idx(folder, f"{part}-images-idx3", np.full((n, 28, 28), 51))
        idx(folder, f"{part}-labels-idx1", np.arange(n))
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    return folder


def test_idx_files(mnist):
    data = datasets.load("mnist")
    assert data.x_train.shape == (6, 28, 28) and data.y_test.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(data.x_test, 0.2)


def test_damaged_files_are_named(mnist):
    path = mnist / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for wrong in (
        whole[:-20],
        b"junk",
        gzip.compress(gzip.decompress(whole)[:-5]),
        gzip.compress(b"\0\0\x08\x03"),
        gzip.compress(b""),
    ):
        path.write_bytes(wrong)
        with pytest.raises(UsageError, match=r"train-images-idx3-ubyte.gz.*Fetch it again"):
            datasets.load("mnist")
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        datasets.load("mnist")


def test_images_without_their_labels(mnist):
    idx(mnist, "train-labels-idx1", np.arange(5))
    with pytest.raises(UsageError, match="set do not match"):
        datasets.load("mnist")


def test_absent_data_says_where_it_belongs(monkeypatch, tmp_path):
    monkeypatch.delenv("XBAR_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"XBAR_DATA is not set.*Run `xbar data fetch mnist`"):
        datasets.load("mnist")
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=r"use digits, which are included: --network mlp or cnn"):
        datasets.load("mnist")
    with pytest.raises(UsageError, match="unknown"):
        datasets.load("cifar")


@pytest.mark.skipif(
    not (pathlib.Path(os.environ.get("XBAR_DATA", "")) / "datasets" / "mnist").is_dir(),
    reason="XBAR_DATA names no folder with MNIST",
)
def test_real_mnist():
    data = datasets.load("mnist")
    assert data.x_train.shape == (60_000, 28, 28) and np.bincount(data.y_test).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_whole_cifar10_and_its_first_images(monkeypatch, tmp_path):
    """Red, green and blue planes become pixels; the subset is the beginning of the first training and of the test file."""
    rng = np.random.default_rng(0)
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="`xbar data fetch cifar10`"):
        datasets.load("cifar10-subset")
    records = {}
    (tmp_path / "cifar10").mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        rows = rng.integers(0, 10, (1200, 3073), np.uint8)
        rows.tofile(tmp_path / "cifar10" / f"{name}.bin")
        records[name] = rows
    data = datasets.load("cifar10")
    row = records["data_batch_2"][7]
    assert data.x_train.shape == (6000, 32, 32, 3) and data.y_train[1207] == row[0]
    assert np.round(data.x_train[1207, 3, 5] * 255).tolist() == [row[1 + c * 1024 + 3 * 32 + 5] for c in range(3)]
    part = datasets.load("cifar10-subset")
    np.testing.assert_array_equal(part.x_train, data.x_train[:1200])
    np.testing.assert_array_equal(part.x_test, data.x_test[:1000])
    np.testing.assert_array_equal(part.y_test, records["test_batch"][:1000, 0])
    (tmp_path / "cifar10" / "test_batch.bin").write_bytes(b"\x0b" * 3073)
    with pytest.raises(UsageError, match=r"test_batch.bin.*records of 3,073"):
        datasets.load("cifar10")
