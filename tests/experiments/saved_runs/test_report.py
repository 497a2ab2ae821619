"""`xbar report`, `experiments.open_results`: runs shown, compared, listed, exported without computing; nothing is invented."""

import csv
import dataclasses
import json
import math
import pathlib
import re
import sys

import h5py
import numpy as np
import pytest
from scipy import stats

import experiments
from experiments import chip_yield
from experiments.command import cli
from experiments.framework import seal
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source
from experiments.framework.store import Results
from experiments.saved_runs import comparison, saved_run

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import wafer


@pytest.fixture
def xbar(monkeypatch, tmp_path, capsys):
    """Runs the command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.EXPERIMENTS, "wafer", ("wafer", "chips", "1 s"))
    monkeypatch.setattr(wafer, "computed", [])

    def command(*arguments):
        code = cli.command([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return command


def made(**settings):
    """The folder of a finished run of the wafer, as the runner leaves it (a test holds that against it)."""
    config = wafer.Config(**settings)
    results = Results(wafer.layout(config))
    for point in results.layout.points():
        results.put(point, wafer.compute(config, None, point))
    runs = pathlib.Path("results/wafer")
    folder = runs / f"20260101T12{len(list(runs.glob('*'))):02d}00Z-{config.seed}"
    folder.mkdir(parents=True)
    results.save(folder / "results.h5")
    summary = wafer.present(config, results).summary
    for name, content in (("config", dataclasses.asdict(config)), ("versions", {"jax": "1"}), ("summary", summary)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def cut(folder):
    """Makes the second device of a run unfinished."""
    config = wafer.Config(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in read(folder / "config.json").items()}
    )
    results, whole = Results(wafer.layout(config)), Results.load(folder / "results.h5", wafer.layout(config))
    values = {"accuracy": whole["accuracy"][:, 0], "energy": whole["energy"][0], "images": whole["images"]}
    results.put({"device": config.devices[0]}, values)
    results.save(folder / "results.h5")


def read(path):
    return json.loads(path.read_text())


def test_a_run_is_shown_again_without_computing(xbar, monkeypatch):
    monkeypatch.setattr(wafer, "figures", True)
    code, out, _ = xbar("run", "wafer", "--json")
    folder = pathlib.Path(json.loads(out)["folder"])
    assert code == 0 and {p.name for p in made().iterdir()} <= {p.name for p in folder.iterdir()}
    before, wafer.computed[:] = (folder / "report.html").read_bytes(), []
    (folder / "report.html").unlink()
    (folder / "wafer.png").unlink()
    code, out, _ = xbar("report", folder)
    assert code == 0 and "mean accuracy" in out and wafer.computed == []
    assert (folder / "report.html").read_bytes() == before and (folder / "wafer.png").exists()
    code, out, _ = xbar("report", folder / "results.h5", "--json")
    document = json.loads(out)
    assert code == 0 and document["summary"]["best"] == {"J": 1e-9} and document["points"] == [2, 2]


def test_an_unfinished_run_is_shown_as_such(xbar):
    folder = made()
    cut(folder)
    code, out, err = xbar("report", folder)
    assert code == 2 and "mean accuracy nan" in out and "unfinished: 1 of 2 points" in out and "unfinished" in err
    assert (
        "<strong>" in (folder / "report.html").read_text() and "1 of 2 points" in (folder / "report.html").read_text()
    )
    document = json.loads(xbar("report", folder, "--json")[1])
    assert document["points"] == [1, 2] and document["results"]["variables"]["energy"]["values"] == [1e-9, None]
    (folder / "results.h5").unlink()
    code, out, err = xbar("report", folder)
    assert code == 2 and out == "" and "no point of it is computed" in err


def test_results_whose_experiment_is_gone_or_changed_are_shown_plainly(xbar, monkeypatch):
    folder = made()
    (folder / "report.html").write_bytes(page := b"as it was")
    config = read(folder / "config.json")
    (folder / "config.json").write_text(json.dumps(config | {"colour": "red"}))
    code, out, err = xbar("report", folder)
    assert (
        code == 2
        and "settings differ in colour" in err
        and "24 of 24" in out
        and (folder / "report.html").read_bytes() == page
    )
    (folder / "config.json").write_text(json.dumps(config | {"chips": 7}))
    code, out, err = xbar("report", folder)
    assert code == 2 and "other axes or variables" in err and "accuracy" in out
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(wafer, "present", lambda config, results: 1 / 0)
    code, out, err = xbar("report", folder)
    assert code == 2 and "ZeroDivisionError" in err and "Traceback" not in err
    monkeypatch.delitem(cli.EXPERIMENTS, "wafer")
    code, out, err = xbar("report", folder)
    assert code == 2 and "there is no experiment 'wafer'" in err and "energy" in out


def owned(tmp_path, text=""):
    """The folder of a run of a user's own experiment, which imports a neighbour, and the file."""
    (tmp_path / "beside_mine.py").write_text("")
    (mine := tmp_path / "mine.py").write_text(
        pathlib.Path(wafer.__file__).read_text() + "\nimport beside_mine\n" + text
    )
    (folder := made()).parent.rename("results/mine")
    folder = pathlib.Path("results/mine") / folder.name
    (folder / "versions.json").write_text(json.dumps(Source.of_file(str(mine)).inputs))
    return folder, mine


def test_a_users_own_file_shows_its_runs_as_long_as_it_does_not_change(xbar, tmp_path):
    folder, mine = owned(tmp_path)
    code, out, _ = xbar("report", folder, "--source", mine)
    assert code == 0 and "mean accuracy" in out and f"xbar run {mine}" in (folder / "report.html").read_text()
    page = (folder / "report.html").read_bytes()
    for edited in (tmp_path / "beside_mine.py", mine):
        edited.write_text(edited.read_text() + "\n# edited\n")
        code, out, err = xbar("report", folder, "--source", mine)
        assert code == 2 and f"{edited.name} changed since the run" in err and "24 of 24" in out
        assert (folder / "report.html").read_bytes() == page
    mine.unlink()
    code, out, err = xbar("report", folder, "--source", mine)
    assert code == 2 and "mine.py" in err and "24 of 24" in out


def test_no_python_file_is_run_because_a_folder_names_it(xbar, tmp_path):
    """Neither as the experiment, although the folder brings the file and its hash, nor as the network of one of ours."""
    folder, mine = owned(tmp_path, 'import pathlib\npathlib.Path("ran").touch()\n')
    code, out, err = xbar("report", folder)
    assert code == 2 and f"add --source {mine}" in err and "24 of 24" in out and not pathlib.Path("ran").exists()
    config = dataclasses.asdict(chip_yield.Config(network="mine.py"))
    folder = folder.parent.rename("results/yield") / folder.name
    (folder / "config.json").write_text(json.dumps(config))
    code, out, err = xbar("report", folder)
    assert code == 2 and "add --source mine.py" in err and "24 of 24" in out and not pathlib.Path("ran").exists()


def test_files_that_changed_since_show_no_old_numbers(xbar, tmp_path):
    folder = made()
    (folder / "report.html").write_bytes(page := b"as it was")
    pathlib.Path("my.toml").write_text("edited")
    (folder / "versions.json").write_text(json.dumps({"my.toml": "of another content"}))
    config = read(folder / "config.json") | {"devices": ["my.toml", "reram"]}
    (folder / "config.json").write_text(json.dumps(config))
    code, _, err = xbar("report", folder)
    assert code == 2 and "my.toml changed since the run" in err and (folder / "report.html").read_bytes() == page


def changed(change):
    """Damage that HDF5 does not mind, with a seal (a stranger can make one) or without."""

    def apply(folder, seal_it):
        with h5py.File(folder / "results.h5", "r+") as file:
            change(file)
        if seal_it:
            (folder / "results.h5").write_bytes(seal.sealed((folder / "results.h5").read_bytes()))

    return apply


def _unscaled(file):
    del file["device"]


def _elsewhere(file):
    del file["energy"]
    file.create_dataset("energy", (2,), "f8", external=[("/etc/passwd", 0, 16)])


def _value(file):
    file["accuracy"][0, 0, 0] = 0.5


def _time(file):
    file["time"][1] = 60.0


def _unit(file):
    file["energy"].attrs["units"] = "mJ"


@pytest.mark.parametrize("name, content, said, listed", [
    ("results.h5", b"no HDF5", "damaged", "damaged"), ("results.h5", b"", "damaged", "damaged"),
    ("results.h5", seal.sealed(b"no HDF5"), "not a results file", "damaged"),
    ("config.json", b"{", "cannot be read", "damaged"),
    ("versions.json", b"[]", "does not hold a JSON object", "finished"), ("versions.json", None, "cannot be read", "finished"),
    ("results.h5", -700, "damaged", "damaged"), ("results.h5", -1, "damaged", "damaged"),
])  # fmt: skip
def test_damaged_files_are_sentences(xbar, name, content, said, listed):
    path = made() / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else path.read_bytes()[:content])
    refused(xbar, path.parent, said)
    code, out, _ = xbar("report", "results")
    assert code == 0 and listed in out


def refused(xbar, folder, said):
    for arguments in (("report", folder), ("report", folder, folder)):
        code, out, err = xbar(*arguments)
        assert code == 2 and said in err and "Traceback" not in err and out == ""


@pytest.mark.parametrize("change", [_unscaled, _elsewhere, _value, _time, _unit])
def test_results_that_were_changed_are_refused(xbar, change):
    folder = made()
    changed(change)(folder, False)
    refused(xbar, folder, "damaged")


@pytest.mark.parametrize("change, said", [(_unscaled, "not a results file"), (_elsewhere, "is stored in another file")])
def test_a_seal_is_not_trusted(xbar, change, said):
    folder = made()
    changed(change)(folder, True)
    refused(xbar, folder, said)


def test_no_damaged_byte_is_read(xbar):
    """A byte changed anywhere is seen before HDF5, which can end the program over it."""
    path = made() / "results.h5"
    whole = path.read_bytes()
    assert seal.is_whole(path)
    rng = np.random.default_rng(0)
    for place, flip in zip(rng.integers(len(whole), size=300), rng.integers(1, 256, size=300), strict=True):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ int(flip)]) + whole[place + 1 :])
        assert not seal.is_whole(path)


@pytest.mark.parametrize("arguments, said", [
    (["nowhere"], "does not exist"), (["."], "no runs below"), (["a", "b", "c"], "two runs, not 3"),
    (["a", "b"], "does not exist"),
    ([".", "--csv", "x.csv"], "the folder of one"), (["--nonsense"], "nonsense"), ([], "does not exist"),
    (["file"], "is not a run"),
])  # fmt: skip
def test_wrong_paths(xbar, arguments, said):
    pathlib.Path("file").write_text("")
    code, out, err = xbar("report", *arguments)
    assert code == 2 and said in err and out == "" and {p.name for p in pathlib.Path().iterdir()} == {"file"}


# -- two runs ------------------------------------------------------------------------------------------------------------


def test_chips_of_the_same_seed_are_paired(xbar):
    a, b = made(), made(gain=0.005)
    code, out, _ = xbar("report", a, b, "--json")
    found = json.loads(out)["variables"]["accuracy"]
    x, y = (Results.load(f / "results.h5", wafer.layout(wafer.Config()))["accuracy"] for f in (a, b))
    expected = stats.ttest_rel(y, x, axis=-1).confidence_interval(0.95)
    np.testing.assert_allclose(np.array(found["difference"]) + found["half_width"], expected.high, rtol=1e-9)
    np.testing.assert_allclose(np.array(found["difference"]) - found["half_width"], expected.low, rtol=1e-9)
    assert (
        code == 0
        and found["paired"]
        and json.loads(out)["settings"] == {"gain": [0.0, 0.005]}
        and found["n"] == [[6, 6]] * 2
    )
    code, out, _ = xbar("report", a, b)
    assert (
        "paired" in out
        and "* 4 of 4 exclude 0" in out
        and "gain: 0.0 in A, 0.005 in B" in out
        and "2 of 2 are equal in both" in out
    )


@pytest.mark.parametrize("settings", [{"seed": 1}, {"chips": 9}])
def test_other_chips_are_not(xbar, settings):
    """Welch's interval, as SciPy has it; a gain of a quarter of the spread is then no clear difference."""
    a, b = made(), made(gain=0.005, **settings)
    found = json.loads(xbar("report", a, b, "--json")[1])["variables"]["accuracy"]
    x = Results.load(a / "results.h5", wafer.layout(wafer.Config()))["accuracy"]
    y = Results.load(b / "results.h5", wafer.layout(wafer.Config(**settings)))["accuracy"]
    expected = stats.ttest_ind(y, x, axis=-1, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(np.array(found["difference"]) + found["half_width"], expected.high, rtol=1e-9)
    assert not found["paired"] and "not paired" in xbar("report", a, b)[1]


def test_the_interval_covers_as_often_as_it_says():
    """2,000 pairs of 5 chips each: 95 % +- 2.4 % (five standard errors) of the intervals hold the true difference."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 2000, 5)) * np.array([1.0, 2.0])[:, None, None]
    for found, truth in ((comparison._unpaired(x, y + 1), 1), (comparison._paired(x, x + y + 3), 3)):
        inside = np.abs(found[2] - truth) <= found[3]
        assert abs(inside.mean() - 0.95) < 0.024


def test_missing_values_stay_missing(xbar):
    a, b = made(), made(gain=0.005)
    cut(b)
    code, out, err = xbar("report", a, b, "--json")
    document = json.loads(out)
    assert code == 2 and document["unfinished"] == [str(b)] and "unfinished" in err
    assert [row[1] for row in document["variables"]["accuracy"]["difference"]] == [None, None]
    code, out, _ = xbar("report", a, b)
    assert code == 2 and "reram" not in out.split("exclude 0")[1].split("energy")[0] and "nan" not in out
    assert "2 of 4 are missing in one or both" in out


def test_coordinates_are_matched_and_what_cannot_be_is_said(xbar):
    a, b = made(devices=("pcm",)), made(devices=("reram",), times=(3600.0, 60.0))
    code, out, _ = xbar("report", a, b)
    assert code == 0 and "pcm | reram" in out and "3600" in out and "60.0 " not in out
    c = made(times=(5.0, 7.0))
    code, out, _ = xbar("report", a, c)
    assert code == 0 and "accuracy is left out: the runs have no time in common" in out
    same = xbar("report", a, a)[1]
    assert "The settings are the same." in same and "2 of 2 are equal" in same and "*" not in same


def test_long_tables_show_the_clearest(xbar):
    times = tuple(float(t) for t in range(1, 31))
    a, b = made(times=times), made(times=times, gain=0.01)
    out = xbar("report", a, b)[1]
    assert "the 24 clearest of 60" in out


# -- many runs -----------------------------------------------------------------------------------------------------------


def test_an_index_of_many_runs(xbar):
    a, b, c = made(), made(gain=0.01), made(seed=3)
    cut(c)
    (c / "summary.json").write_text('{"accuracy": NaN}')
    code, out, _ = xbar("report", "results")
    assert (
        code == 0
        and "gain" in out
        and "1 of 2 points" in out
        and "chips" not in out
        and "best.J" in out
        and "nan" not in out
    )
    page = pathlib.Path("results/index.html").read_text()
    for folder in (a, b, c):
        assert f'href="{folder.relative_to("results").as_posix()}' in page
    assert (
        "http" not in page
        and "<script" not in page
        and "<th>seed</th>" in page
        and "3 runs, 1 of them not finished" in page
    )
    runs = json.loads(xbar("report", "results", "--json")[1])["runs"]
    assert (
        [r["state"] for r in runs] == ["finished", "finished", "1 of 2 points"]
        and runs[0]["date"]
        and not runs[2]["numbers"]
    )
    assert xbar("report")[0] == 0


def test_names_are_text_on_the_page(xbar):
    made(devices=("<b>pcm</b>",))
    made(devices=("reram",))
    xbar("report", "results")
    page = pathlib.Path("results/index.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;" in page


# -- tables and Datasets -------------------------------------------------------------------------------------------------


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_value_is_a_row(xbar):
    folder = made()
    code, _, _ = xbar("report", folder, "--csv", "out.csv")
    found = table("out.csv")
    assert code == 0 and list(found[0]) == ["variable", "value", "unit", "finished", "time [s]", "device", "chip"]
    results = Results.load(folder / "results.h5", wafer.layout(wafer.Config()))
    for row in (r for r in found if r["variable"] == "accuracy"):
        at = {"time": float(row["time [s]"]), "device": row["device"], "chip": int(row["chip"])}
        assert float(row["value"]) == results.select("accuracy", **at) and row["finished"] == "1"
    assert len(found) == 24 + 2 + 1 and found[-1] == dict(
        zip(found[0], ["images", "445.0", "1", "1", "", "", ""], strict=True)
    )


def test_a_table_is_not_overwritten_and_gaps_are_no_zeros(xbar):
    folder = made()
    cut(folder)
    assert xbar("report", folder, "--csv", "out.csv")[0] == 2
    gaps = [r for r in table("out.csv") if r["device"] == "reram"]
    assert len(gaps) == 13 and {r["value"] for r in gaps} == {""} and {r["finished"] for r in gaps} == {"0"}
    assert all(r["value"] and r["finished"] == "1" for r in table("out.csv") if r["device"] != "reram")
    pathlib.Path("out.csv").write_text("mine")
    code, out, err = xbar("report", folder, "--csv", "out.csv")
    assert code == 2 and "already" in err and out == "" and pathlib.Path("out.csv").read_text() == "mine"
    xbar("report", folder, "--csv", "out.csv", "--overwrite")
    assert len(table("out.csv")) == 27
    code, _, err = xbar("report", folder, "--csv", "no/out.csv")
    assert code == 2 and "there is no folder no" in err


def test_results_open_in_xarray(xbar):
    xarray = pytest.importorskip("xarray")
    folder = made()
    found = experiments.open_results(folder)
    assert found.accuracy.dims == ("time", "device", "chip") and found.time.attrs["units"] == "s"
    assert found.energy.attrs == {"units": "J", "long_name": "energy of an inference"} and bool(found.finished.all())
    assert float(found.accuracy.sel(device="pcm", time=1.0).mean()) == pytest.approx(0.9, abs=0.03)
    assert json.loads(found.attrs["config"])["chips"] == 6 and json.loads(found.attrs["versions"]) == {"jax": "1"}
    assert (found.attrs["experiment"], found.attrs["points_finished"], found.attrs["points"]) == ("wafer", 2, 2)
    pytest.importorskip("h5netcdf")
    with xarray.open_dataset(folder / "results.h5", engine="h5netcdf") as plain:
        for name in ("accuracy", "energy", "images"):
            assert plain[name].dims == found[name].dims and plain[name].attrs["units"] == found[name].attrs["units"]
            np.testing.assert_array_equal(plain[name], found[name])
        assert plain.device.values.tolist() == found.device.values.tolist()
    found.to_netcdf("again.nc", engine="h5netcdf")
    cut(folder)
    half = experiments.open_results(folder / "results.h5")
    assert math.isnan(half.energy.sel(device="reram")) and half.finished.values.tolist() == [True, False]


def test_without_xarray_the_message_says_how_to_get_it(xbar, monkeypatch):
    folder = made()
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'xbar-sim[results]'")):
        experiments.open_results(folder)


def test_a_layout_comes_back_from_its_file(xbar):
    folder = made()
    ours, found = wafer.layout(wafer.Config()), saved_run.layout_of(folder / "results.h5")
    assert found.point_dims == ours.point_dims and dict(found.variables) == dict(ours.variables)
    assert {n: (tuple(d.values), d.title, d.unit) for n, d in found.dimensions.items()} == {
        n: (tuple(d.values), d.title, d.unit) for n, d in ours.dimensions.items()
    }
