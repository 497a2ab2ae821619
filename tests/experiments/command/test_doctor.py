"""`xbar doctor`: what is found, and an exit code for what is broken."""

import json
import pathlib
import tomllib

import pytest

from experiments.command import cli, doctor_command

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def doctor(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XBAR_DATA", raising=False)

    def run(*flags):
        code = cli.command(["doctor", *flags])
        return code, *capsys.readouterr()

    return run


def test_a_healthy_machine(doctor, monkeypatch, tmp_path):
    (tmp_path / "mine" / "mnist").mkdir(parents=True)
    monkeypatch.setenv("XBAR_DATA", str(tmp_path / "mine"))
    code, out, err = doctor("--json")
    document = json.loads(out)
    found = {f["what"]: f for f in document["findings"]}
    assert code == 0 and document["healthy"] and err == ""
    assert (
        found["mnist"]["said"] == str(tmp_path / "mine" / "mnist")
        and "xbar data fetch cifar10" in found["cifar10"]["said"]
    )
    assert "cpu" in found["JAX device"]["said"] or "gpu" in found["JAX device"]["said"]
    assert "can be written" in found["results"]["said"] and not (tmp_path / "results").exists()
    code, out, _ = doctor()
    assert code == 0 and "versions" in out and "data cache" in out


def test_what_is_broken_is_named(doctor, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XBAR_DATA", str(tmp_path / "none"))
    monkeypatch.setitem(doctor_command.NEEDED, "no_such_module", "no-such-package")
    monkeypatch.setitem(doctor_command.EXTRAS, "lab", (("no_such_module",), "Excel"))
    code, out, err = doctor("--out", str(tmp_path / "file" / "results"))
    assert code == 1 and "no-such-package" in err and "NotADirectoryError" in err and "is not a folder" in err
    assert "MISSING: no_such_module not installed (Excel). Run: pip install 'xbar-sim[lab]'" in out
    assert doctor("--nonsense")[0] == 2


def test_extras_and_needs_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"cuda", "test", "dev", "docs"}
    assert set(doctor_command.EXTRAS) == extras
    names = {line.split(">")[0] for line in project["dependencies"]}
    assert set(doctor_command.NEEDED.values()) == names
