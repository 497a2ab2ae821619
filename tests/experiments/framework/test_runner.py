"""Runs: folders, resuming, interruption, output. What was computed is never lost, and never mixed."""

import dataclasses
import json
import pathlib
import re
import sys

import h5py
import numpy as np
import pytest

from experiments.command import cli
from experiments.framework import runner, seal, store, versions
from experiments.framework.errors import UsageError
from experiments.framework.store import Results

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fake


@pytest.fixture
def xbar(monkeypatch, tmp_path, capsys):
    """Runs the command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.EXPERIMENTS, "line", ("fake", "a line", "1 s"))
    monkeypatch.setattr(fake, "computed", [])
    monkeypatch.setattr(fake, "stop_at", None)

    def command(*arguments):
        code = cli.command(list(arguments))
        return code, *capsys.readouterr()

    return command


def folders():
    return sorted(pathlib.Path("results/line").iterdir())


def test_a_run_leaves_a_folder(xbar):
    code, out, err = xbar("run", "line", "--slopes", "1", "2")
    assert code == 0 and "sum 9" in out and "point 2 of 2" in err
    (folder,) = folders()
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "versions.json",
        "results.h5",
        "line.png",
        "line.svg",
        "report.html",
        "summary.json",
    }
    assert json.loads((folder / "config.json").read_text()) == {
        "slopes": [1.0, 2.0],
        "kind": "line",
        "seed": 0,
    }
    assert {"jax", "python", "device", "xbar-sim"} <= json.loads((folder / "versions.json").read_text()).keys()


def test_json_is_the_only_thing_on_standard_output(xbar):
    code, out, _ = xbar("run", "line", "--json")
    document = json.loads(out)
    assert code == 0 and document["summary"] == {"sum": 18.0}
    assert document["results"]["variables"]["y"]["values"] == [[1, 2], [2, 4], [3, 6]]
    assert document["results"]["dimensions"]["x"] == {"values": ["a", "b"], "unit": "1"}


def test_json_has_null_for_unknown_numbers(xbar, monkeypatch):
    """Other programs refuse NaN and Infinity, which JSON does not have; in a run, its summary, a sweep and a report."""
    present = fake.present

    def unknown(config, results):
        summary = {"sum": float("nan"), "of": {"best": (np.float32(0.5), np.inf)}}
        return dataclasses.replace(present(config, results), summary=summary)

    monkeypatch.setattr(fake, "present", unknown)
    strict = lambda text: json.loads(text, parse_constant=pytest.fail)  # noqa: E731
    expected = {"sum": None, "of": {"best": [0.5, None]}}
    assert strict(xbar("run", "line", "--json")[1])["summary"] == expected
    assert strict((folders()[0] / "summary.json").read_text()) == expected
    assert strict(xbar("report", str(folders()[0]), "--json")[1])["summary"] == expected
    assert strict(xbar("sweep", "line", "--json")[1])["runs"][0]["summary"] == expected
    assert (
        strict(next(pathlib.Path("results/sweeps").glob("*/sweep.json")).read_text())["runs"][0]["summary"] == expected
    )


def test_interrupted_run_keeps_points_and_goes_on(xbar, monkeypatch):
    monkeypatch.setattr(fake, "stop_at", 3.0)
    code, out, err = xbar("run", "line")
    assert code == 130 and out == "" and "finished points are kept" in err
    monkeypatch.setattr(fake, "stop_at", None)
    fake.computed.clear()
    code, out, err = xbar("run", "line")
    assert code == 0 and "sum 18" in out and "2 of 3 points are there already, resuming" in err
    assert fake.computed == ["prepare", 3.0] and len(folders()) == 1


def test_finished_run_is_shown_again(xbar):
    xbar("run", "line")
    fake.computed.clear()
    code, out, _ = xbar("run", "line")
    assert code == 0 and "sum 18" in out and fake.computed == [] and len(folders()) == 1


def test_fresh_starts_anew(xbar):
    xbar("run", "line")
    xbar("run", "line", "--fresh")
    assert fake.computed.count(1.0) == 2 and len(folders()) == 2


@pytest.mark.parametrize("change", [("--slopes", "1", "2", "4"), ("--seed", "1"), ("--kind", "other")])
def test_changed_settings_never_mix(xbar, change):
    xbar("run", "line")
    before = (folders()[0] / "results.h5").read_bytes()
    xbar("run", "line", *change)
    assert len(folders()) == 2 and fake.computed.count("prepare") == 2
    assert any((f / "results.h5").read_bytes() == before for f in folders())


def test_other_versions_never_mix(xbar, monkeypatch):
    xbar("run", "line")
    monkeypatch.setattr(runner, "current_versions", lambda: {"jax": "99"})
    xbar("run", "line")
    assert len(folders()) == 2


def test_damaged_results_are_an_error_not_a_mix(xbar):
    xbar("run", "line")
    (folders()[0] / "results.h5").write_bytes(b"not HDF5")
    code, _, err = xbar("run", "line")
    assert code == 2 and "damaged" in err and "--fresh" in err


def test_unreadable_folders_are_left_alone(xbar):
    stray = pathlib.Path("results/line/stray")
    stray.mkdir(parents=True)
    (stray / "config.json").write_text("{")
    code, _, err = xbar("run", "line")
    assert code == 0 and "left alone" in err and [p.name for p in stray.iterdir()] == ["config.json"]


def test_report_is_self_contained(xbar):
    xbar("run", "line")
    page = (folders()[0] / "report.html").read_text()
    assert "data:image/svg+xml;base64," in page and "A line &lt;was&gt; drawn." in page and "sum 18" in page
    assert "http" not in page and "<script" not in page and "<link" not in page


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["run", "lin"], 2, "Did you mean 'line'"),
        (["rum", "line"], 2, "Did you mean 'run'"),
        (["run"], 2, "needs the name"),
        (["list", "line"], 2, "takes no arguments"),
        (["run", "line", "--slopes"], 2, ""),
        (["run", "line", "--nonsense", "3"], 2, "nonsense"),
        (["run", "line", "--seed", "x"], 2, "x"),
    ],
)
def test_bad_usage(xbar, arguments, code, says):
    got, out, err = xbar(*arguments)
    assert got == code and says in err and out == ""
    assert not pathlib.Path("results").exists() or not any(pathlib.Path("results").rglob("results.h5"))


def test_a_failure_is_one_line_and_keeps_points(xbar, monkeypatch):
    def explode(config, state, point):
        if point["slope"] == 2.0:
            raise ZeroDivisionError("no")
        return {"y": [1, 2]}

    monkeypatch.setattr(fake, "compute", explode)
    code, _, err = xbar("run", "line")
    assert code == 1 and "ZeroDivisionError: no" in err and "Traceback" not in err
    assert Results.load(folders()[0] / "results.h5", fake.layout(fake.Config())).finished.tolist() == [
        True,
        False,
        False,
    ]
    monkeypatch.setattr(cli.importlib.import_module("fake"), "compute", explode)
    with pytest.raises(ZeroDivisionError):
        xbar("run", "line", "--debug", "--fresh")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.h5"
    results = Results(fake.layout(fake.Config()))
    results.put({"slope": 1.0}, {"y": [1, 2]})
    results.save(path)
    before = path.read_bytes()

    def fail(self, file):
        raise OSError("disk full")

    monkeypatch.setattr(Results, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        results.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["results.h5"]


def test_store_round_trip_with_scales_and_units(tmp_path):
    layout = fake.layout(fake.Config())
    results = Results(layout)
    results.put({"slope": 2.0}, {"y": [5, 6], "total": 1.0})
    results.save(tmp_path / "r.h5")
    again = Results.load(tmp_path / "r.h5", layout)
    np.testing.assert_array_equal(again["y"], [[np.nan, np.nan], [5, 6], [np.nan, np.nan]])
    assert (
        again.select("y", slope=2.0, x="b") == 6
        and again.is_finished({"slope": 2.0})
        and not again.is_finished({"slope": 1.0})
    )
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["y"].dims[0][0].name == "/slope" and file["y"].attrs["units"] == "m"
        assert [x.decode() for x in file["y"].dims[1][0][:]] == ["a", "b"]
    with pytest.raises(UsageError, match="other settings or another version"):
        Results.load(tmp_path / "r.h5", fake.layout(fake.Config(slopes=(1.0,))))


def test_a_value_of_the_wrong_shape_is_not_spread_over_axes():
    results = Results(fake.layout(fake.Config()))
    with pytest.raises(ValueError, match=r"y of point.*shape \(\), not \(2,\) of axes \('x',\)"):
        results.put({"slope": 1.0}, {"y": 5.0})
    assert not results.is_finished({"slope": 1.0})


def test_changed_code_never_mixes(xbar, monkeypatch, tmp_path):
    """An edit without a commit makes another run; a repository around an installed copy is not ours."""
    (tmp_path / "xbar").mkdir()
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    xbar("run", "line")
    (tmp_path / "xbar" / "new.py").write_text("edited = True")
    xbar("run", "line")
    assert len(folders()) == 2
    assert {json.loads((f / "versions.json").read_text())["commit"] for f in folders()} == {"unknown"}


def test_input_that_cannot_be_used_leaves_nothing_behind(xbar, monkeypatch):
    def refuse(config):
        raise UsageError("no data here")

    monkeypatch.setattr(fake, "prepare", refuse)
    code, _, err = xbar("run", "line")
    assert code == 2 and "no data here" in err and not pathlib.Path("results").exists()


def _resize(file):
    values = file["y"][:1]
    del file["y"]
    file["y"] = values


def _move(file):
    file["slope"][0] = 9.0


def _change(file):
    file["y"][0, 0] = 9.0


def _share(file):
    file["total"][()] = 9.0


def _elsewhere(file):
    del file["y"]
    file["y"] = h5py.ExternalLink("other.h5", "y")


@pytest.mark.parametrize("damage, said", [
    (_resize, "its /y is float64 of shape .1, 2., not of shape .3, 2."), (_move, "its slope is .9.0"),
    (_elsewhere, "it has no y"), (_share, "its /total does not match its checksum"),
])  # fmt: skip
def test_results_that_are_not_those_that_were_written_are_refused(xbar, tmp_path, damage, said):
    assert xbar("run", "line")[0] == 0
    (path,) = tmp_path.rglob("results.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    code, out, err = xbar("run", "line")
    assert code == 2 and out == "" and "is damaged or not a results file" in err and re.search(said, err)


def test_results_of_another_layout_are_not_called_damaged(xbar, monkeypatch):
    """The file is as it was written; the experiment now asks for something else."""
    assert xbar("run", "line")[0] == 0
    layout = fake.layout

    def other(config):
        made = layout(config)
        return dataclasses.replace(made, dimensions=dict(made.dimensions, x=store.Dimension(("a", "c"), "place")))

    monkeypatch.setattr(fake, "layout", other)
    code, _, err = xbar("run", "line")
    assert code == 2 and "was made with other settings or another version (its x is ['a', 'b']" in err
    assert "damaged" not in err


def test_optional_packages_that_compute_are_versions():
    assert {"scipy", "pymoo"} <= versions.current_versions().keys()


def test_points_that_are_not_those_that_were_written_are_computed_again(xbar, tmp_path):
    """A byte of one point is changed: that point alone is computed once more, and the table is that of before."""
    table = xbar("run", "line")[1].splitlines()[0]
    (path,) = tmp_path.rglob("results.h5")
    with h5py.File(path, "r+") as file:
        _change(file)
    fake.computed.clear()
    code, out, err = xbar("run", "line")
    assert code == 0 and "1 points do not match their checksum" in err and fake.computed == ["prepare", 1.0]
    assert out.splitlines()[0] == table


@pytest.mark.parametrize("seed", ["1e23", "-1", str(2**32), str(10**30)])
def test_seeds_that_no_generator_takes_are_refused_before_work(xbar, tmp_path, seed):
    fake.computed.clear()
    code, out, _ = xbar("run", "line", "--seed", seed)
    assert code == 2 and out == "" and not fake.computed and not list(tmp_path.rglob("results.h5"))


def test_damage_that_ends_hdf5_does_not_end_a_run(xbar, monkeypatch):
    """A file that kills its reader is tried by another program, and refused; one that does not loses only damaged points."""
    assert xbar("run", "line")[0] == 0
    path = folders()[0] / "results.h5"
    path.write_bytes(path.read_bytes()[:-1])  # its seal is broken, its numbers are not
    assert not seal.ends_its_reader(path)
    fake.computed.clear()
    assert xbar("run", "line")[0] == 0 and fake.computed == [] and len(folders()) == 1 and seal.is_whole(path)
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(seal, "_READ_ALL", "import os; os.abort()")
    code, out, err = xbar("run", "line")
    assert code == 2 and out == "" and "beyond reading" in err and "--fresh" in err


def test_what_all_points_share_is_compared_however_small_it_is():
    """Picojoules that differ by a tenth are no rounding."""
    results = Results(fake.layout(fake.Config()))
    results.put({"slope": 1.0}, {"y": [1, 2], "total": 1.0e-12})
    with pytest.raises(ValueError, match="total of point"):
        results.put({"slope": 2.0}, {"y": [1, 2], "total": 1.1e-12})
    assert not results.is_finished({"slope": 2.0})
