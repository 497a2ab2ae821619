"""Tiles on the devices of a mesh: the same chip as on one device, and no device ever holds the cells of another."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

import devices
import xbar

HERE = pathlib.Path(__file__).parent
ROUNDING = 1e-5  # sums over row tiles are taken in another order; float32
ACTIVATIONS = 4 * 64  # numbers in a batch of this file's inputs; a device holds 1024 cells of a matrix


def start(script, *args, devices):
    """A process with virtual devices. XLA's newer emitters, as outside of tests: the older ones round a loop's remainder
    another way."""
    settings = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *args],
        env=os.environ | settings | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def found():
    process = start("sharding_cases.py", devices=8)
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return json.loads(out)


PLACES = {
    "product": [None, None, "two", None, "four", None],
    "slices": [None, None, "two", None, "four", None],
    "frozen": [None, None, None, None, "four", None],
    "wires": [None, None, "two", None, "four", None],
    "groups": [None, "four", "two", None, None, None],
    "steps": [None, None, None, "two", None, "four", None],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", PLACES)
def test_a_spread_chip_is_the_same_chip_and_nobody_gathers_its_cells(found, case):
    """Fails if a draw depends on the device that makes it, or if anything here needs cells from elsewhere."""
    seen = found[case]
    assert all(seen["same"])
    assert seen["cells"] == [PLACES[case]] * len(seen["cells"])
    assert seen["net"] == PLACES[case]
    assert seen["outputs"] < ROUNDING
    assert seen["program"] == {}
    assert set(seen["at"]) <= {"all-reduce"}
    assert (
        max(seen["at"].get("all-reduce", [0])) <= 128
    )  # what a row of tiles draws behind wires: rows x rows of a tile
    assert set(seen["read"]) <= {"all-reduce", "all-gather"}
    assert max([0, *(n for sizes in seen["read"].values() for n in sizes)]) <= ACTIVATIONS


@pytest.mark.slow
def test_row_tiles_are_summed_over_devices_once(found):
    assert found["product"]["read"] == {"all-reduce": [ACTIVATIONS // 4]}
    assert found["frozen"]["read"] == {}


@pytest.mark.slow
def test_calibration_energy_and_gradients_are_those_of_one_device(found):
    seen = found["calibrated"]
    for name in ("ranges", "reference", "outputs", "energy", "gradient", "straight"):
        assert seen[name] < ROUNDING, name
    assert seen["adc"] == [None, "two", "four"]
    assert seen["spread"] == ["two", "four"]
    for kind in ("read", "backward"):
        assert max(n for sizes in seen[kind].values() for n in sizes) <= ACTIVATIONS


@pytest.mark.slow
@pytest.mark.parametrize("kind, last", [("chips", None), ("tiles", "four")])
def test_a_wafer_is_spread_over_chips_and_tiles(found, kind, last):
    seen = found["wafers"][kind]
    assert seen["far"] < 1e-6  # loops over several chips round otherwise than loops over one
    assert seen["cells"] == ["two", None, None, None, None, last, None]
    assert seen["program"] == {}
    assert seen["read"] == {}
    assert seen["outputs"] < ROUNDING
    assert seen["adc"] == ["two", None, None, last]


@pytest.mark.slow
def test_a_batch_is_spread_where_its_inputs_are(found):
    seen = found["batches"]
    assert seen["outputs"] < ROUNDING
    assert seen["spec"] == ["two", "four"]
    assert seen["plain"] == ["two", None]
    assert seen["read"] == {}


@pytest.mark.slow
def test_cells_are_rewritten_where_they_are(found):
    seen = found["rewritten"]
    assert all(seen["pulsed"])
    assert all(seen["again"])
    assert seen["cells"] == [[None, None, None, None, "four", None]] * 2
    assert set(seen["pulse"]) <= {"all-reduce"}


@pytest.mark.slow
def test_a_file_does_not_keep_devices(found):
    assert all(found["saved"]["same"])
    assert found["saved"]["sharding"] is None


@pytest.mark.slow
def test_what_cannot_be_spread_is_refused(found):
    uneven, explicit, unknown, twice = found["refused"]
    assert "col_tiles=3" in uneven
    assert "sharding.mesh" in explicit
    assert "not three" in unknown
    assert "twice" in twice


@pytest.mark.slow
def test_two_processes_make_one_chip():
    """Fails if a process programs other cells than one device would, or needs those of the other process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [start("sharding_processes.py", str(i), port, devices=2) for i in (0, 1)]
    try:
        ends = [p.communicate(timeout=240) for p in processes]
    finally:
        for p in processes:
            p.kill()
    for process, (out, err) in zip(processes, ends, strict=True):
        if process.returncode == 77:
            pytest.skip(f"no distributed CPUs here: {out.strip()}")
        assert process.returncode == 0, err
        seen = json.loads(out.splitlines()[-1])
        assert all(seen["same"])
        assert seen["own"] == 2
        assert seen["outputs"] < ROUNDING
        assert seen["energy"] < ROUNDING
        assert seen["gradient"] < ROUNDING


@pytest.mark.slow
def test_a_mesh_of_one_device_changes_nothing():
    """Cells bit for bit, outputs and slopes to rounding; what eight devices and two processes do takes minutes (slow)."""
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("row", "col"))
    w, x = jax.random.normal(jax.random.key(0), (16, 8)), jax.random.normal(jax.random.key(1), (3, 16))
    found = []
    for sharding in (None, xbar.Sharding(mesh, row_tiles="row", col_tiles="col")):
        tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4, sharding=sharding)
        network = xbar.analog(lambda w, x: x @ w, tile)
        chip = network.program(w, x, key=jax.random.key(2))
        slope = jax.jit(jax.grad(lambda w, n=network: n(w, x, key=jax.random.key(3)).sum()))(w)
        found.append((jax.tree.leaves(chip.arrays[0].cells), chip(x, t=60.0, key=jax.random.key(4)), slope))
    (cells, y, slope), (spread_cells, spread_y, spread_slope) = found
    assert all(np.array_equal(a, b) for a, b in zip(cells, spread_cells, strict=True))
    np.testing.assert_allclose(y, spread_y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(slope, spread_slope, rtol=1e-3, atol=1e-3)
