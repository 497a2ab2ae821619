"""Targets for a programmer: the conductances that programming aims at, cell by cell."""

import csv

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

W = jax.random.normal(jax.random.key(1), (13, 10)) / 4
X = jnp.ones((2, 13))
KEY = jax.random.key(0)
EXACT = devices.Device(1e-6, 2e-5)


def product(p, x):
    return x @ p["w"]


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "mapping",
    [xbar.Differential(), xbar.Offset(), xbar.BitSliced(4, 2), xbar.Redundant(2)],
    ids=lambda m: type(m).__name__,
)
def test_cells_without_errors_are_on_target(tmp_path, mapping):
    """An exact device: every line's target is the conductance of that very cell, found by its indices in the chip's layout."""
    network = xbar.analog(product, xbar.Tile(device=EXACT, rows=8, cols=4, mapping=mapping))
    chip = network.program({"w": W}, X, key=KEY)
    xbar.export_targets(tmp_path / "t.csv", network, {"w": W}, X, chip=chip)
    lines, g = table(tmp_path / "t.csv"), np.asarray(chip.arrays[0].cells.g)
    assert len(lines) == g.size and {line["layer"] for line in lines} == {"w"}
    at = [tuple(int(line[k]) for k in ("cell", "block", "tile_row", "row", "tile_column", "column")) for line in lines]
    assert len(set(at)) == g.size
    found = np.array([g[i] for i in at])
    np.testing.assert_allclose([float(line["target [S]"]) for line in lines], found, rtol=1e-6)
    np.testing.assert_array_equal([np.float32(line["achieved [S]"]) for line in lines], found)


def test_a_weight_by_hand(tmp_path):
    """One pair: w = -s rests at g_min on the positive line and is g_max on the negative one; half of it is in the middle."""
    network = xbar.analog(product, xbar.Tile(device=EXACT, rows=4, cols=4))
    xbar.export_targets(tmp_path / "t.csv", network, {"w": jnp.array([[-2.0], [1.0]])}, jnp.ones((1, 2)))
    lines = table(tmp_path / "t.csv")
    assert list(lines[0]) == [
        "layer",
        "step",
        "cell",
        "block",
        "tile_row",
        "tile_column",
        "row",
        "column",
        "target [S]",
    ]
    found = {(line["cell"], line["row"]): float(line["target [S]"]) for line in lines}
    expected = {("0", "0"): 1e-6, ("1", "0"): 2e-5, ("0", "1"): 1.05e-5, ("1", "1"): 1e-6}
    assert found == pytest.approx(expected, rel=1e-6)


def test_hdf5_holds_what_the_table_holds(tmp_path):
    """A stack of equal blocks: each step is named by its own parameter in the table."""
    weights = [jax.random.normal(jax.random.key(i), (6, 6)) for i in range(3)]

    def blocks(p, x):
        for w in p:
            x = jax.nn.relu(x @ w)
        return x

    network = xbar.analog(blocks, xbar.Tile(device=devices.pcm_joshi2020(), rows=4, cols=4))
    chip = network.program(weights, jnp.ones((2, 6)), key=KEY)
    for name in ("t.csv", "t.h5"):
        xbar.export_targets(tmp_path / name, network, weights, jnp.ones((2, 6)), chip=chip)
    lines = table(tmp_path / "t.csv")
    with h5py.File(tmp_path / "t.h5") as file:
        (group,) = file.values()
        assert group["target"].shape == group["achieved"].shape == (3, 2, 1, 2, 3, 2, 3)
        assert [d.label for d in group["target"].dims] == [
            "step",
            "cell",
            "block",
            "tile_row",
            "row",
            "tile_column",
            "column",
        ]
        assert group["target"].attrs["units"] == "S"
        np.testing.assert_array_equal([np.float32(x["target [S]"]) for x in lines], group["target"][()].ravel())
        np.testing.assert_array_equal(group["achieved"][()].ravel(), np.asarray(chip.arrays[0].cells.g).ravel())
    assert [lines[i]["layer"] for i in (0, len(lines) // 2, -1)] == ["0", "1", "2"]


def test_what_is_refused(tmp_path):
    tile = xbar.Tile(device=EXACT, rows=8, cols=4)
    network = xbar.analog(product, tile)
    with pytest.raises(xbar.ChipFileError, match=r"written as \.csv or \.h5"):
        xbar.export_targets(tmp_path / "t.txt", network, {"w": W}, X)
    other = xbar.analog(lambda p, x: x @ p["w"].T, tile).program({"w": W}, jnp.ones((2, 10)), key=KEY)
    with pytest.raises(xbar.ChipFileError, match="does not have the layers"):
        xbar.export_targets(tmp_path / "t.csv", network, {"w": W}, X, chip=other)
    wafer = jax.vmap(lambda k: network.program({"w": W}, X, key=k))(jax.random.split(KEY, 2))
    with pytest.raises(xbar.ChipFileError, match="is a wafer"):
        xbar.export_targets(tmp_path / "t.csv", network, {"w": W}, X, chip=wafer)
    chip = network.program({"w": W}, X, key=KEY).at(1.0)
    if chip.arrays[0].cells is None:
        with pytest.raises(xbar.ChipFileError, match="has no cells"):
            xbar.export_targets(tmp_path / "t.csv", network, {"w": W}, X, chip=chip)
    assert not list(tmp_path.iterdir())
