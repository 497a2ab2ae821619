"""Runs that survive: killed, interrupted, doubled, without space, on workers. What is kept, what is said, which exit code."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from experiments.command import cli
from experiments.framework import progress, workers
from experiments.framework.errors import UsageError
from experiments.framework.store import Results

HERE = pathlib.Path(__file__).parent
MINE = str(HERE / "noisy_mean.py")
sys.path.insert(0, str(HERE))
import noisy_mean  # noqa: E402

MODULE = "experiments.command.start"
LIMITED = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, ({{size}}, {{size}}))
runpy.run_module("{MODULE}", run_name="__main__")
"""
linux = pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="watches the process in /proc")


@pytest.fixture
def start(tmp_path):
    """Starts the command in an empty folder; whatever is left of it is killed in the end."""
    started = []

    def begin(*arguments, file_size=None, **more):
        command = [sys.executable, "-m", MODULE, *arguments]
        if file_size is not None:
            command[1:3] = ["-c", LIMITED.format(size=file_size)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        process = subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, **pipes)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def xbar(start):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments, **more):
        process = start(*arguments, **more)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return run


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def finished(folder):
    """Finished points of all runs."""
    total = 0
    for path in pathlib.Path(folder).rglob("results.h5"):
        with h5py.File(path) as file:
            total += int(np.sum(file["finished"][()]))
    return total


def children(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            continue
    return found


def alive(pid):
    """Whether a process runs; one that has ended and is not yet collected does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def values(folder):
    """Bytes of what every run found, by its settings."""
    found = {}
    for path in pathlib.Path(folder).rglob("results.h5"):
        with h5py.File(path) as file:
            found[(path.parent / "config.json").read_text()] = file["error"][()].tobytes()
    return found


SWEEP = ("sweep", MINE, "--readings", "10", "1000", "--noise", "0.1", "0.2", "--seed", "0..1")


@linux
def test_kill_in_the_middle_of_a_sweep_on_two_workers(start, xbar, tmp_path):
    """The same command gives the table of an undisturbed sweep; workers do not outlive the process that started them."""
    slow = (*SWEEP, "--seconds", "0.2", "--workers", "2")
    process = start(*slow, "--out", "killed")
    wait_for(lambda: finished(tmp_path / "killed") >= 2)
    helpers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(map(alive, helpers)), 30.0)
    before = finished(tmp_path / "killed")
    assert 2 <= before < 8
    code, table, err = xbar(*slow, "--out", "killed")
    assert code == 0 and f"{8 - before} points done" in err and finished(tmp_path / "killed") == 8
    code, undisturbed, _ = xbar(*slow, "--out", "whole")
    assert code == 0 and table.replace("killed", "whole") == undisturbed
    assert values(tmp_path / "killed") == values(tmp_path / "whole")


@pytest.mark.slow
@linux
def test_serial_processes_and_a_cluster_agree_bit_for_bit(start, xbar, tmp_path):
    """A worker of the cluster is killed meanwhile; its point is done again."""
    cluster = subprocess.Popen(
        [sys.executable, str(HERE / "dask_cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        address, *pids = cluster.stdout.readline().split()
        sweep = (*SWEEP, "--seconds", "0.1")
        process = start(*sweep, "--scheduler", address, "--out", "cluster")
        wait_for(lambda: finished(tmp_path / "cluster") >= 2)
        os.kill(int(pids[0]), signal.SIGKILL)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    finally:
        cluster.communicate("")
    assert xbar(*sweep, "--workers", "2", "--out", "processes")[0] == 0
    assert xbar(*sweep, "--out", "serial")[0] == 0
    assert values(tmp_path / "cluster") == values(tmp_path / "processes") == values(tmp_path / "serial")
    assert len(values(tmp_path / "serial")) == 4


@pytest.mark.slow
@linux
def test_a_lost_worker_is_replaced(start, xbar, tmp_path):
    process = start("run", MINE, "--seconds", "0.3", "--workers", "2")
    wait_for(lambda: finished(tmp_path) >= 1)
    for pid in children(process.pid):
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0 and "4 of 4 points done" in err


def test_workers_that_always_end_are_given_up(monkeypatch):
    """A point that kills whoever computes it, as one that needs too much memory does."""

    class Dying:
        def __init__(self, *_, **__): ...

        def submit(self, f, task):
            raise workers.BrokenProcessPool("gone")

        def shutdown(self, **_): ...

    monkeypatch.setattr(workers.futures, "ProcessPoolExecutor", Dying)
    task = workers.Task(workers.Source("x"), {}, {})
    with pytest.raises(RuntimeError, match=r"died 3 times before they finished a point.*fewer --workers"):
        list(workers.Workers(2).results([task, task], print))


@pytest.mark.slow
@linux
@pytest.mark.parametrize("moments", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_interrupted_at_random_moments(start, xbar, tmp_path, moments):
    """From the first import to the last figure: 130 and a sentence, no traceback, no half-written file, no lost point."""
    draw = random.Random(20)
    for _ in range(moments):
        process = start("run", MINE, "--seconds", "0.3")
        wait_for(lambda p=process: len(list(pathlib.Path(f"/proc/{p.pid}/task").glob("*"))) > 1)
        time.sleep(draw.uniform(0, 3))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        said = "interrupted; " in err and "Traceback" not in err
        assert (process.returncode == 130 and said) or (process.returncode == 0 and finished(tmp_path) == 4), err
    code, out, _ = xbar("run", MINE, "--seconds", "0.3")
    assert code == 0 and "1000 readings" in out and finished(tmp_path) == 4
    (folder,) = (tmp_path / "results/noisy_mean").glob("[!.]*")
    assert not list(folder.glob(".*"))


def test_terminated(start, tmp_path):
    process = start("run", MINE, "--seconds", "0.5")
    wait_for(lambda: finished(tmp_path) >= 1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and "terminated; finished points are kept" in err and "Traceback" not in err


BUSY = """
def compute(config, state, point):
    print("busy", flush=True)
    return {"error": np.linalg.eigh(np.random.default_rng(0).normal(size=(5000, 5000)))[0][:50]}
"""


def test_interrupted_inside_compiled_code(start, tmp_path):
    """An eigenvalue problem that takes a minute hands nothing to Python meanwhile."""
    mine = tmp_path / "busy.py"
    mine.write_text(pathlib.Path(MINE).read_text() + BUSY)
    process = start("run", str(mine))
    assert process.stdout.readline() == "busy\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 130 and "finished points are kept" in err


@pytest.mark.parametrize(
    "limit, named, kept", [pytest.param(15_000, "spread.png", 4, marks=pytest.mark.slow), (6_000, "results.h5", 0)]
)
def test_a_full_disk(xbar, tmp_path, limit, named, kept):
    """The file is named, what was stored stays, and the same command goes on from there."""
    code, out, err = xbar("run", MINE, file_size=limit)
    assert code == 1 and out == "" and f"{named}: File too large" in err and "Traceback" not in err
    assert finished(tmp_path) == kept and not list(tmp_path.rglob(".*"))
    code, _, err = xbar("run", MINE)
    assert code == 0 and (f"{kept} of 4 points are there" in err) == bool(kept)


@linux
def test_a_folder_that_cannot_be_written(xbar):
    """It is found out before any work."""
    code, out, err = xbar("run", MINE, "--out", "/proc/results")
    assert code == 2 and out == "" and "/proc/results" in err and "--out" in err and "preparing" not in err


def test_two_processes_share_one_run(start, tmp_path):
    """One waits for the other and shows the same; no point is computed twice or lost."""
    both = [start("run", MINE, "--seconds", "0.3") for _ in range(2)]
    outputs = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] and len(list((tmp_path / "results/noisy_mean").iterdir())) == 1
    computing = [err for _, err in outputs if "point 4 of 4" in err]
    assert len(computing) == 1 and finished(tmp_path) == 4


@linux
def test_results_that_cannot_be_shown_are_not_lost(xbar, tmp_path):
    with open("/dev/full", "w") as full:
        code, _, err = xbar("run", MINE, stdout=full)
    assert code == 1 and "could not be printed" in err and "Traceback" not in err and "Exception" not in err
    assert list(tmp_path.rglob("report.html"))


def test_terminals_without_unicode(xbar, tmp_path):
    mine = tmp_path / "units.py"
    mine.write_text(pathlib.Path(MINE).read_text().replace(':.2e} V"', ':.2e} µV ± 1 ☃"'), encoding="utf-8")
    code, out, _ = xbar("run", str(mine), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert code == 0 and "uV +- 1 \\u2603" in out


def test_memory_is_planned(xbar, tmp_path):
    mine = tmp_path / "large.py"
    mine.write_text(pathlib.Path(MINE).read_text().replace("range(50)", "range(10**12)"))
    code, _, err = xbar("run", str(mine))
    assert code == 2 and "error (4 readings x 1000000000000 trial) 96 TB" in err and "are available" in err
    assert not list(tmp_path.rglob("config.json"))


def test_damaged_bytes_never_become_other_numbers(tmp_path):
    """Of 100 files with a changed byte each is refused, or gives the numbers that were written, or misses points."""
    config = noisy_mean.Config()
    layout = noisy_mean.layout(config)
    results = Results(layout)
    for point in layout.points():
        results.put(point, noisy_mean.compute(config, None, point))
    results.save(tmp_path / "results.h5")
    whole = (tmp_path / "results.h5").read_bytes()
    draw, found = random.Random(0), {"refused": 0, "same": 0, "missing": 0}
    for _ in range(100):
        at = draw.randrange(len(whole))
        (tmp_path / "damaged.h5").write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :]
        )
        try:
            loaded = Results.load(tmp_path / "damaged.h5", layout)
        except UsageError:
            found["refused"] += 1
            continue
        found["missing" if loaded.damaged else "same"] += 1
        np.testing.assert_array_equal(loaded["error"][loaded.finished], results["error"][loaded.finished])
        assert np.isnan(loaded["error"][~loaded.finished]).all()
    assert all(found.values())


@pytest.mark.parametrize("damage, said", [
    ("", "has no Config, TITLE, layout, compute, present"),
    ("x = (", "line 1: SyntaxError"), ("1 / 0", "line 1: ZeroDivisionError"),
    ("Config = TITLE = layout = compute = present = 0", "not a dataclass with a field `seed"),
])  # fmt: skip
def test_a_file_that_is_no_experiment(xbar, tmp_path, damage, said):
    (tmp_path / "wrong.py").write_text(damage)
    code, _, err = xbar("run", "./wrong.py")
    assert code == 2 and said in err and "Traceback" not in err


def test_a_sweep_as_json(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.command([*SWEEP, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["settings"] for run in document["runs"]] == [
        {"noise": n, "seed": s} for n in (0.1, 0.2) for s in (0, 1)
    ]
    assert (tmp_path / "results/sweeps").is_dir() and all("last_V" in run["summary"] for run in document["runs"])


@pytest.mark.parametrize("flags, said", [
    (("--noise", "0.1", "0.1"), "--noise 0.1 0.1: give one or more different values"),
    (("--seed", "0..99999"), "0..99999: give a range of at most"), (("--workers", "0"), "--workers 0"),
    (("--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "give only one of the two"),
    (("--scheduler", "nowhere"), "--scheduler nowhere: give an address such as tcp://host:8786"),
    (("--scheduler", "tcp://127.0.0.1:1"), "--scheduler tcp://127.0.0.1:1: nothing answers there"),
])  # fmt: skip
def test_sweeps_that_cannot_be(monkeypatch, capsys, tmp_path, flags, said):
    monkeypatch.chdir(tmp_path)
    assert cli.command(["sweep", MINE, *flags]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.rglob("*"))


def test_progress_says_how_much_time_is_left(capsys, monkeypatch):
    """Points, and steps inside a long one; here without a terminal, where bars are lines."""
    clock = iter(np.arange(0.0, 1000.0, 7.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert list(progress.steps([1, 2], "training")) == [1, 2] and not capsys.readouterr().err
    with progress.Progress("line", 3) as shown:
        for point in ({"x": 1}, {"x": 2}, {"x": 3}):
            shown.starting(point)
            assert list(progress.steps([1, 2, 3], "training")) == [1, 2, 3]
            shown.finished(point)
    said = capsys.readouterr().err
    assert re.search(r"line: point 1 of 3: x 1\n", said) and re.search(
        r"line: point 3 of 3: x 3 \(about \d+ s left\)", said
    )
    assert re.search(r"line: training, 2 of 3 \(about \d+ s left\)", said)
