"""What identifies a run: the contents of every file that it depends on. An edited file never shows the old results."""

import pathlib
import sys
import types
import typing

import numpy as np
import pytest

from experiments import chosen_networks
from experiments.command import cli
from experiments.framework import own_code
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source, identity
from experiments.framework.known_experiments import EXPERIMENTS

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fake


@pytest.fixture
def xbar(monkeypatch, tmp_path, capsys):
    """Runs the command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.EXPERIMENTS, "line", ("fake", "a line", "1 s"))
    monkeypatch.setattr(fake, "computed", [])
    return lambda *arguments: (cli.command(list(arguments)), *capsys.readouterr())


def runs(name):
    return len(list(pathlib.Path("results", name).iterdir()))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_identified_by_its_device_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Source(name, module=EXPERIMENTS[name][0])
    module = source.load()
    monkeypatch.delattr(module, "inputs", raising=False)  # networks may need data that is not here
    hints = typing.get_type_hints(module.Config)
    for field in {"device", "devices", "assume"} & hints.keys():
        several = typing.get_origin(hints[field]) is tuple
        config = module.Config(**{field: ("ideal", "my.toml") if several else "my.toml"})
        seen = []
        for text in ("g_max = 1e-4", "g_max = 1e-3"):
            pathlib.Path("my.toml").write_text(text)
            seen.append(identity(source, module, config)["my.toml"])
        assert seen[0] != seen[1]


def test_an_edited_device_file_is_another_run(xbar):
    for text in ("g_max = 1e-4", "g_max = 1e-3"):
        pathlib.Path("my.toml").write_text(text)
        code, _, err = xbar("run", "line", "--kind", "my.toml")
        assert code == 0 and "there already" not in err
    assert runs("line") == 2 and fake.computed.count("prepare") == 2


def test_a_file_that_is_edited_during_a_run_ends_it(xbar, monkeypatch):
    """No point of the edited file is stored among those of the old one, whoever computes it."""
    file, compute = pathlib.Path("my.toml"), fake.compute
    file.write_text("g_max = 1e-4")

    def edit(config, state, point):
        if point["slope"] == 2.0:
            file.write_text("g_max = 1e-3")
        return compute(config, state, point)

    monkeypatch.setattr(fake, "compute", edit)
    code, _, err = xbar("run", "line", "--kind", "my.toml")
    assert code == 2 and "my.toml: not as it was when this run began" in err
    file.write_text("g_max = 1e-4")
    monkeypatch.setattr(fake, "compute", compute)
    code, _, err = xbar("run", "line", "--kind", "my.toml")
    assert code == 0 and "1 of 3 points are there already, resuming" in err


MINE = """
import numpy as np
from helper import scale
mixing = np.load("mixing.npy")
f = lambda p, x: x @ p["w"] @ mixing
params = {"w": scale * np.load("w.npy")}
x, y = np.eye(3), np.arange(3)
"""


def test_a_network_file_is_identified_by_what_it_loads_and_imports(tmp_path, monkeypatch):
    """Parameters, arrays inside `f`, imported files: each counts, and the same file gives the same hashes."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("mine.py").write_text(MINE)
    config = types.SimpleNamespace(network="./mine.py", data=None, seed=0)

    def seen(w=1.0, mixing=1.0, scale="1.0"):
        np.save("w.npy", w * np.eye(3, dtype=np.float32))
        np.save("mixing.npy", mixing * np.eye(3, dtype=np.float32))
        pathlib.Path("helper.py").write_text(f"scale = {scale}  # {'.' * len(scale)}")
        chosen_networks._read.cache_clear()  # another process
        return chosen_networks.inputs(config)

    first = seen()
    differing = lambda other: {name for name in first if first[name] != other[name]}  # noqa: E731
    assert differing(seen()) == set()
    assert differing(seen(w=2.0)) == {"mine.py: params"}
    assert differing(seen(mixing=2.0)) == {"mine.py: f"}
    assert differing(seen(scale="2.00")) == {"mine.py: params", "helper.py"}


def test_an_experiment_file_is_identified_by_what_it_imports(xbar):
    pathlib.Path("mine.py").write_text(pathlib.Path(fake.__file__).read_text() + "\nfrom slope_of_mine import slope\n")
    for text in ("slope = 1", "slope = 1.5"):
        pathlib.Path("slope_of_mine.py").write_text(text)
        code, _, err = xbar("run", "./mine.py")
        assert code == 0 and "there already" not in err
    assert runs("mine") == 2 and sys.modules["slope_of_mine"].slope == 1.5
    pathlib.Path("slope_of_mine.py").write_text("slope = 1.125")
    source = Source.of_file("mine.py")
    pathlib.Path("slope_of_mine.py").write_text("slope = 1.25")
    with pytest.raises(UsageError, match=r"mine.py: slope_of_mine\.py beside it changed since the run began"):
        source.load()


def test_neighbours_are_what_is_imported_from_the_folder(tmp_path):
    """Also inside functions and packages, and through each other; what is installed is not a neighbour."""
    for name in ("a", "b", "unused", "xbar", "kit/__init__", "kit/c", "kit/deep/d", "kit/deep/e"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "a.py").write_text("def late():\n    from b import *\nimport mine")
    (tmp_path / "kit/deep/d.py").write_text("from . import e\nfrom .... import unused")
    (tmp_path / "kit/c.py").write_text("from .deep import d")
    found = own_code.neighbours(tmp_path / "mine.py", "import a, numpy.linalg, xbar\nfrom kit import c")
    assert set(found) == {"a.py", "b.py", "kit/__init__.py", "kit/c.py", "kit/deep/d.py", "kit/deep/e.py"}
