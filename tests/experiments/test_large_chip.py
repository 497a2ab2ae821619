"""The cluster's job, as two processes of this machine: the chip of one process, each holding half."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

SMALL = ("--layers", "2", "--width", "64", "--tile", "16", "--batch", "4")
CPU = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}


def start(*flags):
    command = [sys.executable, "-m", "experiments.slurm.large_chip", *SMALL, *flags]
    path = {"PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=os.environ | CPU | path, **pipes)


def ends(*processes):
    try:
        found = [p.communicate(timeout=240) for p in processes]
    finally:
        for p in processes:
            p.kill()
    assert [p.returncode for p in processes] == [0] * len(processes), found
    return json.loads(found[0][0].splitlines()[-1])


@pytest.mark.slow
def test_two_processes_hold_half_of_the_chip_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    alone = ends(start())
    both = ends(*(start("--processes", "2", "--process", str(i), "--coordinator", address) for i in (0, 1)))
    assert both["devices"] == 2 and both["weights"] == alone["weights"] == 2 * 64**2
    assert both["output_power"] == pytest.approx(alone["output_power"], rel=1e-5)
    assert 0.45 < both["bytes_a_process"] / alone["bytes_a_process"] < 0.6
