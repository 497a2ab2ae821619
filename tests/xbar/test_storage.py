"""Chips in files: the same bits again, in another process too; a chip's file is never half a file."""

import os
import pathlib
import subprocess
import sys

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import storage_cases as cases
from storage_files import edited

import devices
import xbar

ROOT = pathlib.Path(__file__).parents[2]


def assert_same(a, b):
    """The same structure, the same bits, the same way of giving way to other dtypes."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert type(x) is type(y)
        if hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes() and np.shape(x) == np.shape(y)
        assert getattr(x, "dtype", None) == getattr(y, "dtype", None)
        assert getattr(x, "weak_type", None) == getattr(y, "weak_type", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Chips of all kinds, saved, with what they read; and read again in another process."""
    where = tmp_path_factory.mktemp("chips")
    for name, (_, make) in cases.CASES.items():
        chip = make()
        xbar.save(chip, where / f"{name}.h5")
        np.save(where / f"{name}.npy", cases.read(chip))
    with jax.enable_x64(True):
        wide = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
        chip = cases.programmed(
            cases.product, jax.tree.map(lambda p: p.astype(jnp.float64), cases.P), wide, cases.X.astype(jnp.float64)
        )
        assert chip.arrays[0].cells.g.dtype == jnp.float64
        xbar.save(chip, where / "float64.h5")
        np.save(where / "float64.npy", chip(cases.X.astype(jnp.float64), t=3600.0, key=cases.KEY))
    script = ROOT / "tests/xbar/storage_cases.py"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script), "read", str(where)], check=True, env=env, timeout=600)
    return where


@pytest.mark.parametrize("name", [*cases.CASES, "float64"])
def test_another_process_reads_the_same_bits(folder, name):
    """The law of a user's own was defined in a module here and in a script there."""
    here, there = np.load(folder / f"{name}.npy"), np.load(folder / f"{name}.again.npy")
    assert here.dtype == there.dtype and here.tobytes() == there.tobytes()


@pytest.mark.parametrize("name", cases.CASES)
def test_every_leaf_comes_back(folder, name):
    f, make = cases.CASES[name]
    assert_same(xbar.load(folder / f"{name}.h5", f), make())


def test_what_a_chip_does_a_loaded_one_does(folder):
    """Calibration, energy, time, compensation and gradients by its numbers, and saving it again gives the same file."""
    f, make = cases.CASES["calibrated"]
    chip, loaded = make(), xbar.load(folder / "calibrated.h5", f, cases.X)
    assert_same(loaded.at(60.0), chip.at(60.0))
    assert_same(xbar.calibrate(loaded, cases.X, t=60.0), xbar.calibrate(chip, cases.X, t=60.0))
    assert str(loaded.energy(cases.X, inferences=5)) == str(chip.energy(cases.X, inferences=5))
    assert str(loaded.layers) == str(chip.layers)
    again = folder / "again.h5.copy"
    xbar.save(loaded, again)
    assert again.read_bytes() == (folder / "calibrated.h5").read_bytes()


def test_names_and_units_are_for_people(folder):
    with h5py.File(folder / "taken.h5") as file:
        assert file.attrs["format"] == b"xbar chip" and file.attrs["version"] == 1
        assert file.attrs["jax"].decode() == jax.__version__
        layer = file["layers/w"]
        own = {"ranges/adc": "A", "reference": "S", "time": "s", "settled/variance": "S^2"}
        units = {**own, "tile/v_read": "V", "tile/device/g_max": "S", "tile/device/drift/t0": "s"}
        assert {name: layer[name].attrs["units"].decode() for name in units} == units
        np.testing.assert_array_equal(file["parameters/b"], cases.P["b"])
    with h5py.File(folder / "pulsed.h5") as file:
        assert file["layers/w/cells/g"].attrs["units"] == b"S" and file["layers/w/cells/age"].attrs["units"] == b"s"
    with h5py.File(folder / "wires.h5") as file:
        assert file["layers/w/tile/wires/r_row"].attrs["units"] == b"ohm"


def test_one_array_at_two_places_is_kept_once(folder):
    """A tile of all layers is written for the first of them only."""
    with h5py.File(folder / "stack.h5") as file:
        assert [name for name in file["layers"] if "tile" in file["layers"][name]] == ["in"]


def test_keys_wide_and_narrow_numbers(tmp_path):
    """Leaves of a law may be random keys, bfloat16, complex, NumPy's, or numbers that are not finite."""

    class Odd(devices.AbstractDrift):
        key: jax.Array
        half: jax.Array
        phase: jax.Array
        eight: jax.Array
        table: np.ndarray
        flags: jax.Array
        empty: jax.Array
        scalar: np.float32 = np.float32(0.1)
        limit: float = float("inf")
        names: frozenset = eqx.field(static=True, default=frozenset({"a", "b"}))
        sizes: dict = eqx.field(static=True, default_factory=lambda: {"a": (1, None), "b": [True, -0.0]})

        def __call__(self, g, z, t):
            return g * self.half.astype(g.dtype)

    odd = Odd(
        jax.random.key(3, impl="rbg"),
        jnp.asarray(0.5, jnp.bfloat16),
        jnp.asarray([1 + 2j]),
        jnp.asarray([1.5, -2], jnp.float8_e4m3fn),
        np.asarray([[1, 2]], np.int64).T[::-1],
        jnp.asarray([True, False]),
        jnp.zeros((0, 3)),
    )
    chip = cases.programmed(cases.product, cases.P, xbar.Tile(device=devices.Device(1e-6, 2e-5, drift=odd)))
    xbar.save(chip, tmp_path / "odd.h5")
    loaded = xbar.load(tmp_path / "odd.h5", cases.product)
    assert_same(loaded, chip)
    back = loaded.tiles[0].device.drift
    assert back.names == odd.names and back.sizes == odd.sizes and back.limit == float("inf")


def test_a_class_that_is_not_there_is_asked_for(folder):
    code = "import sys, xbar\ntry: xbar.load(sys.argv[1], lambda p, x: x)\nexcept xbar.ChipFileError as error: print(error)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(folder / "own_law.h5")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    assert "LogRelaxation of the module storage_cases" in said and "define or import it before loading" in said


def test_parameters_that_a_file_cannot_hold_are_asked_for(tmp_path):
    """An activation of the user's own is code; `params=` brings it."""
    model = eqx.nn.MLP(13, 3, 6, 1, activation=lambda x: jnp.maximum(x, 0.1 * x), key=cases.KEY)
    chip = cases.programmed(cases.mlp, model)
    xbar.save(chip, tmp_path / "mlp.h5")
    with pytest.raises(xbar.ChipFileError, match=r"Give load\(\.\.\., params=\)"):
        xbar.load(tmp_path / "mlp.h5", cases.mlp)
    abstract = eqx.filter_eval_shape(lambda: model)
    loaded = xbar.load(tmp_path / "mlp.h5", cases.mlp, cases.X, params=abstract)
    assert cases.read(loaded).tobytes() == cases.read(chip).tobytes()
    with pytest.raises(xbar.ChipFileError, match=r"it has layers\.0\.weight float32\[7, 13\]"):
        xbar.load(tmp_path / "mlp.h5", cases.mlp, params=eqx.nn.MLP(13, 3, 7, 1, key=cases.KEY))


def test_another_function_is_refused(folder):
    """At once with example inputs, else at the first call; one that needs a weight digitally, too."""
    with pytest.raises(xbar.ChipFileError, match=r"has the products none for these inputs, but the chip w \[13, 10\]"):
        xbar.load(folder / "calibrated.h5", lambda p, x: x + p["b"][0], cases.X)
    chip = xbar.load(folder / "calibrated.h5", lambda p, x: x + p["b"][0])
    with pytest.raises(ValueError, match="need arrays that the chip does not have"):
        chip(cases.X, key=cases.KEY)
    with pytest.raises(xbar.ChipFileError, match="computes with w digitally"):
        xbar.load(folder / "calibrated.h5", lambda p, x: x @ p["w"] + p["w"].sum(), cases.X)
    with pytest.raises(TypeError):
        xbar.load(folder / "calibrated.h5", 3)


def test_a_save_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    chip = cases.programmed(cases.product, cases.P)
    path = tmp_path / "chip.h5"
    xbar.save(chip, path)
    before = path.read_bytes()
    negative = eqx.tree_at(lambda c: c.arrays[0].cells.g, chip, -chip.arrays[0].cells.g)
    with pytest.raises(xbar.ChipFileError, match="an impossible conductance"):
        xbar.save(negative, path)
    with pytest.raises(xbar.ChipFileError, match="which a file cannot hold"):
        xbar.save(eqx.tree_at(lambda c: c.tiles[0].device.drift, chip, lambda g, z, t: g), path)
    with pytest.raises(TypeError):
        xbar.save({"chip": chip}, path)
    with pytest.raises(xbar.ChipFileError, match="outside of jit"):
        jax.jit(lambda k: xbar.save(xbar.analog(cases.product, cases.PCM).program(cases.P, cases.X, key=k), path))(
            cases.KEY
        )

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OSError, match="No space left"):
        xbar.save(chip, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["chip.h5"]


def test_places_that_cannot_be_written(tmp_path):
    chip = cases.programmed(cases.product, cases.P)
    with pytest.raises(xbar.ChipFileError, match="there is no folder"):
        xbar.save(chip, tmp_path / "none" / "chip.h5")
    with pytest.raises(xbar.ChipFileError, match="is a folder"):
        xbar.save(chip, tmp_path)


def test_a_field_that_came_later_gets_its_default(folder, tmp_path):
    """Cells of an older version have no `update`; a field that is not known is refused."""
    path = tmp_path / "older.h5"
    edited(folder / "calibrated.h5", path, ', "update": null', "")
    assert xbar.load(path, cases.product).arrays[0].cells.update is None
    edited(folder / "calibrated.h5", path, '"update": null', '"colour": null')
    with pytest.raises(xbar.ChipFileError, match="Cells has no colour"):
        xbar.load(path, cases.product)


def test_wide_numbers_need_wide_jax(folder):
    with pytest.raises(xbar.ChipFileError, match="jax_enable_x64"):
        xbar.load(folder / "float64.h5", cases.product)


def test_two_layers_of_one_parameter(tmp_path):
    """Used in two layouts, a parameter is two layers."""
    f = lambda p, x: (x @ p) @ p.T  # noqa: E731
    chip = cases.programmed(f, cases.W)
    assert [layer.path for layer in chip.plan_layers] == ["params", "params #2"]
    xbar.save(chip, tmp_path / "chip.h5")
    assert_same(xbar.load(tmp_path / "chip.h5", f, cases.X), chip)
