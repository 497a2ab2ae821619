"""Files of strangers: each is refused with one kind of error and a sentence, and nothing of it is trusted."""

import os
import pathlib
import shutil
import sys

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from storage_files import edited, rewritten

import devices
import xbar

X = jax.random.normal(jax.random.key(2), (5, 6))
W = jax.random.normal(jax.random.key(1), (6, 4))
G, DOCUMENT = "layers/params/cells/g", "structure"


def f(p, x):
    return x @ p


@pytest.fixture(scope="module")
def chip():
    tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
    return xbar.calibrate(xbar.analog(f, tile).program(W, X, key=jax.random.key(0)), X)


@pytest.fixture(scope="module")
def good(chip, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "chip.h5"
    xbar.save(chip, path)
    return path


@pytest.fixture
def copy(good, tmp_path):
    return pathlib.Path(shutil.copy(good, tmp_path / "chip.h5"))


def refused(path, match):
    with pytest.raises(xbar.ChipFileError, match=match) as caught:
        xbar.load(path, f)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file_of_a_chip(tmp_path):
    refused(tmp_path / "none.h5", "cannot be read: No such file")
    refused(tmp_path, "is not a file")
    (tmp_path / "text.h5").write_text("conductances: high")
    refused(tmp_path / "text.h5", "is not an HDF5 file")
    (tmp_path / "empty.h5").touch()
    refused(tmp_path / "empty.h5", "is not an HDF5 file")
    os.mkfifo(tmp_path / "pipe.h5")
    refused(tmp_path / "pipe.h5", "is not a file")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    refused(tmp_path / "other.h5", "of another kind")


def test_versions(copy):
    with h5py.File(copy, "r+") as file:
        file.attrs["version"] = 2
    refused(copy, "version 2 of the format, but this xbar reads version 1. Update xbar")
    with h5py.File(copy, "r+") as file:
        file.attrs["version"] = "1"
    refused(copy, "version None")
    with h5py.File(copy, "r+") as file:
        file.attrs["format"] = np.bytes_("xbar device")
    refused(copy, "of another kind")


def test_a_data_set_that_is_missing_or_a_group(copy):
    with h5py.File(copy, "r+") as file:
        del file[G]
    refused(copy, f"{G} is missing")
    with h5py.File(copy, "r+") as file:
        file.create_group(G)
    refused(copy, f"{G} is a group")
    with h5py.File(copy, "r+") as file:
        del file[DOCUMENT]
    refused(copy, "structure is missing")


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda g: g[:, :, :, :3], "the description says"),
        (lambda g: g.astype(np.float64), "is float64 of shape"),
        (lambda g: np.where(g == g.max(), np.nan, g), "impossible conductance, such as nan S"),
        (lambda g: np.where(g == g.max(), np.inf, g), "impossible conductance, such as inf S"),
        (lambda g: -g, "impossible conductance"),
    ],
)
def test_conductances_that_no_cell_has(copy, change, match):
    with h5py.File(copy, "r+") as file:
        rewritten(file, G, change(file[G][()]).astype(file[G].dtype if "impossible" in match else None))
    refused(copy, match)


def test_numbers_without_their_checksum(copy):
    with h5py.File(copy, "r+") as file:
        file[G][...] *= 2
    refused(copy, "does not match its checksum")
    with h5py.File(copy, "r+") as file:
        del file[G].attrs["sha256"]
    refused(copy, "has no attribute `sha256`")
    with h5py.File(copy, "r+") as file:
        file[G].attrs["sha256"] = "text of any length"
    refused(copy, "is not a short text")


def test_nothing_outside_of_the_file_is_read(copy, tmp_path):
    """Links to other files, data sets over other files, and raw external storage, with the right numbers in them."""
    with h5py.File(copy) as file:
        g = file[G][()]
    g.tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["g"] = g
    with h5py.File(copy, "r+") as file:
        del file[G]
        file[G] = h5py.ExternalLink("secret.h5", "/g")
    refused(copy, "leads elsewhere")
    with h5py.File(copy, "r+") as file:
        del file[G]
        file[G] = h5py.SoftLink("/layers/params/cells/drift/target")
    refused(copy, "leads elsewhere")
    with h5py.File(copy, "r+") as file:
        del file[G]
        layout = h5py.VirtualLayout(g.shape, g.dtype)
        layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "g", g.shape)
        file.create_virtual_dataset(G, layout)
    refused(copy, "in another file")
    with h5py.File(copy, "r+") as file:
        rewritten(file, G, g, external=[(str(tmp_path / "secret.bin"), 0, g.nbytes)])
    refused(copy, "in another file")


def test_what_is_small_on_the_disk_and_large_in_memory(copy):
    """Compressed zeros, chunks that were never written, and one array under many names."""
    with h5py.File(copy, "r+") as file:
        rewritten(file, G, np.zeros((1000, 1000), np.float32), compression="gzip")
    refused(copy, "the description says")
    edited(
        copy,
        copy.with_name("b.h5"),
        '"shape": [2, 1, 1, 6, 1, 4], "dtype": "float32"',
        '"shape": [900000000], "dtype": "float32"',
    )
    huge = copy.with_name("b.h5")
    with h5py.File(huge, "r+") as file:
        del file[G]
        file.create_dataset(G, (900_000_000,), np.float32, chunks=(1_000_000,), compression="gzip")
    refused(huge, "kept in pieces, compressed")
    with h5py.File(huge, "r+") as file:
        del file[G]
        file.create_dataset(G, (900_000_000,), np.float32)
    refused(huge, "claims 3600000000 bytes")


def test_objects_and_text_where_numbers_are_expected(copy):
    with h5py.File(copy, "r+") as file:
        del file[G]
        file.create_dataset(G, (2, 1, 1, 6, 1, 4), h5py.string_dtype())
    refused(copy, "the description says")


DESCRIPTIONS = [
    ('"devices.device:Device"', '"os:system"', "the class system of the module os was not found"),
    ('"devices.device:Device"', '"devices.no_such_module:Device2"', "was not found"),
    ('"devices.device:Device"', '"xbar.macro.wires.base:IdealWires"', "IdealWires has no"),
    ('"rows": 8', '"rows": -8', "a tile of -8 x 4"),
    ('"rows": 8', '"rows": 2.5', "tile.rows is a float; expected int"),
    ('"rows": 8', '"rows": NaN', "NaN"),
    ('"rows": 8', '"rows": 3', "the layer's tiles need"),
    ('"rows": 8', '"rows": {"function": "os:system"}', "not one that a file may name"),
    ('"rows": 8', '"rows": {"function": "jax.numpy:load"}', "not one that a file may name"),
    ('"rows": 8', '"rows": {"pickle": "gASV"}', "which this version does not know"),
    ('"read_noise": "independent"', '"read_noise": "loud"', "it must be 'independent' or 'frozen'"),
    ('"float32"', '"object"', "is not a kind of number"),
    ('"chip": {', '"ship": {', "damaged"),
    ('"arrays": {"dict": [[0,', '"arrays": {"dict": [[1,', "each mapped layer needs one of each"),
    ('"rolled"', '"ruled"', "it holds ruled"),
    ('"taken": null', '"taken": {"dict": []}', "times of layers"),
    ('"lengths": {"tuple": []}', '"lengths": {"tuple": [3]}', "the layer's tiles need"),
    ('{"chip"', "[" * 100_000 + '{"chip"', "damaged"),
]


@pytest.mark.parametrize("old, new, match", DESCRIPTIONS, ids=[f"{i}" for i in range(len(DESCRIPTIONS))])
def test_descriptions_that_no_chip_has(good, tmp_path, old, new, match):
    edited(good, tmp_path / "chip.h5", old, new)
    modules = set(sys.modules)
    refused(tmp_path / "chip.h5", match)
    assert not {name for name in set(sys.modules) - modules if "no_such" in name}


def same(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_damage_at_random(good, chip, tmp_path):
    """250 files, each cut off or with one to three bytes changed: refused, or the very chip (a unit or a version was hit)."""
    rng = np.random.default_rng(0)
    raw, path, said = good.read_bytes(), tmp_path / "chip.h5", []
    for trial in range(250):
        data = bytearray(raw)
        if trial % 8 == 0:
            del data[rng.integers(len(data)) :]
        else:
            for at in rng.integers(len(data), size=rng.integers(1, 4)):
                data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            loaded = xbar.load(path, f)
        except xbar.ChipFileError as error:
            said.append(str(error))
        else:
            assert same(loaded, chip)
    assert len(said) > 120
    assert all(sentence.startswith(str(path)) and len(sentence) > 40 for sentence in said)


def test_a_chip_that_was_taken_at_a_time(chip, tmp_path):
    """Nothing is left of its cells but what reads meet, and that must be finite."""
    path, name = tmp_path / "chip.h5", "layers/params/settled/conductance"
    xbar.save(chip.at(60.0), path)
    with h5py.File(path, "r+") as file:
        rewritten(file, name, np.where(file[name][()] > 0, np.float32(np.nan), 0).astype(np.float32))
    refused(path, "impossible conductance, such as nan S")


def test_the_limit_of_size(good, monkeypatch):
    monkeypatch.setattr("xbar.storage.chip_hdf5.MOST", 1000)
    refused(good, "files of more than 1000 bytes are not read")


def test_what_was_read_is_a_chip(good, chip):
    assert same(xbar.load(good, f, X), chip)
    assert float(jnp.abs(xbar.load(good, f)(X, key=jax.random.key(1)) - chip(X, key=jax.random.key(1))).max()) == 0
