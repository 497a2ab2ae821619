"""What identifies a run: the contents of every file that it depends on. An edited file never shows the old results."""

import pathlib
import sys
import typing

import pytest

from experiments.command import cli
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
