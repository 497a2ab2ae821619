"""`xbar fit` as people run it: from a laboratory's log to the accuracy of a network, and every file that cannot be used."""

import gzip
import json
import os
import pathlib

import numpy as np
import pytest

import devices
from devices import compact, fitting
from devices.device_file import load, load_draws
from experiments import fit_files
from experiments.command import cli
from experiments.framework.plain_json import finite


@pytest.fixture
def measured():
    """The folder of measured data; skips where XBAR_DATA does not lead there."""
    folder = pathlib.Path(os.environ.get("XBAR_DATA", "")) / "measured"
    if not os.environ.get("XBAR_DATA") or not folder.is_dir():
        pytest.skip("XBAR_DATA names no folder with measured/, real laboratory data")
    return folder


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(["write-verify, t"], id="one model", marks=pytest.mark.slow),
        pytest.param(None, id="every model", marks=pytest.mark.slow),
    ],
)
def test_from_my_measurements_to_my_network(measured, tmp_path, monkeypatch, capsys, chosen):
    """Write-verify logs of 100 cells -> a device file with its posterior -> accuracy of the digits network over time.

    Accuracy after a second must be near the digital network's (within 5 points for 8-bit converters), carry a spread over
    chips, and a second one with the numbers drawn from what the measurement leaves open.
    """
    monkeypatch.chdir(tmp_path)
    log = next(iter((measured / "rram_target_program").glob("13scheme*")))
    few = ["--model", *chosen, "--starts", "6"] if chosen else []
    assert cli.command(["fit", str(log), "--out", "my.toml", "--draws", "8", *few]) == 0
    said = capsys.readouterr()
    assert "90 % interval" in said.out and "my.toml" in said.out and "my.html" in said.out
    models = [
        line.split("model ")[1].split(", kind")[0] for line in said.err.splitlines() if line.startswith("fit: point")
    ]
    assert len(models) == len(set(models)) == len(chosen or fitting.candidates("programming"))
    device = load("my.toml")
    assert device.provenance.numbers == "fitted" and device.provenance.span is not None
    assert device.provenance.span[1] == pytest.approx(10, rel=0.2)
    assert any(np.ptp(leaf, axis=0).max() > 0 for leaf in _leaves(load_draws("my.toml", 8)))
    page = pathlib.Path("my.html").read_text()
    assert "data:image/svg+xml;base64," in page and "http" not in page.split("base64,")[0]

    settings = [
        "--network",
        "mlp",
        "--device",
        "my.toml",
        "--posterior",
        "--times",
        "1s",
        "1d",
        "--adc-bits",
        "8",
        "--chips",
        "4",
    ]
    settings += ["--steps", "300", "--hardware-steps", "30", "--json"]
    devices.device._WARNED.clear()
    with pytest.warns(UserWarning, match="my extrapolates: t = 86400 s is beyond the 10.16"):
        assert cli.command(["run", "accuracy-energy", *settings]) == 0
    variables = json.loads(capsys.readouterr().out)["results"]["variables"]
    values = lambda name: np.array(variables[name]["values"], float)  # noqa: E731
    accuracy, drawn = (values(n)[:, 0, 0] for n in ("accuracy", "accuracy_posterior"))  # training, time, chip
    assert accuracy.shape == (2, 2, 4)
    assert np.all(accuracy[:, 0].mean(-1) > values("digital_accuracy").max() - 0.05)
    assert np.all(np.isfinite(drawn)) and np.any(drawn != accuracy)
    assert np.any(accuracy.std(-1) > 0)


def _leaves(device):
    import equinox as eqx
    import jax

    return jax.tree.leaves(eqx.filter(device, eqx.is_array))


def good_table(path):
    v = np.concatenate([np.linspace(0, 1, 20), np.linspace(1, 0, 20)])
    path.write_text("Voltage (V),Current (A)\n" + "\n".join(f"{x:.6g},{1e-5 * x:.6g}" for x in v))


def wrong_columns(path):
    path.write_text("alpha,beta,gamma\n1,2,3\n2,3,4\n")


def mixed_units(path):
    path.write_text("Voltage (V),Current (A)\n0.1,1e-6\n0.2 mV,2 uA\n0.3,3e-6\n")


def empty(path):
    path.write_text("")


def truncated(path):
    good_table(path)
    whole = gzip.compress(path.read_bytes() * 50)
    path.write_bytes(whole[: len(whole) // 2])


def all_nan(path):
    path.write_text("Voltage (V),Current (A)\n" + "nan,nan\n" * 20)


def junk(path):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def sparse(path):
    with path.open("wb") as file:
        file.truncate(2 * 2**30)


def swapped(path):
    v = np.linspace(0.1, 1, 30)
    path.write_text("Voltage (V),Current (A)\n" + "\n".join(f"{1e-5 * x:.6g},{x:.6g}" for x in v))


def commas(path):
    path.write_text("Voltage (V),Current (A)\n" + "\n".join(f"0,{k},1e-6,{k}" for k in range(20)))


def half_a_mark(path):
    path.write_bytes(b"\xef\xbb\xbf")  # a byte order mark and nothing behind it


BAD = [wrong_columns, mixed_units, empty, truncated, all_nan, junk, sparse, swapped, commas, half_a_mark]


@pytest.mark.parametrize("make", BAD, ids=lambda f: f.__name__)
def test_bad_files_give_one_message_and_leave_nothing(make, tmp_path, monkeypatch, capsys):
    """Exit code 2, one message that names the file, no traceback, nothing written."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("data.csv.gz" if make is truncated else "data.csv")
    make(path)
    assert cli.command(["fit", str(path), "--out", "my.toml"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("xbar: ") == 1 and "data.csv" in said.err and "Traceback" not in said.err
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_same_file_twice_is_said(tmp_path, monkeypatch, capsys):
    """A copy is left out and said to be one."""
    monkeypatch.chdir(tmp_path)
    v = np.tile(np.linspace(0.01, 0.3, 30), 2)
    text = "Voltage (V),Current (A)\n" + "\n".join(f"{x:.6g},{2e-5 * x:.6g}" for x in v)
    for name in ("a.csv", "b.csv"):
        pathlib.Path(name).write_text(text)
    cli.command(["fit", "a.csv", "b.csv", "--kind", "read-iv", "--model", "ohmic", "--out", "my.toml"])
    said = capsys.readouterr()
    assert "duplicate" in said.out + said.err


def test_no_permission(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good_table(tmp_path / "data.csv")
    monkeypatch.setattr(pathlib.Path, "open", _refused)
    monkeypatch.setattr("builtins.open", _refused)
    assert cli.command(["fit", "data.csv", "--out", "my.toml"]) == 2
    monkeypatch.undo()
    assert "data.csv may not be read" in capsys.readouterr().err and not (tmp_path / "my.toml").exists()


def _refused(*args, **kwargs):
    raise PermissionError(13, "Permission denied", "data.csv")


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "fit needs files"),
        (["nowhere.csv"], "nowhere.csv"),
        (["data.csv", "--out", "my.json"], "ends in .toml"),
        (["data.csv", "--kind", "loops"], "loop"),
        (["data.csv", "--model", "nothing"], "nothing"),
        (["data.csv", "--draws", "0"], "--draws 0"),
    ],
)
def test_wrong_use_is_told_how_to_mend_it(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good_table(tmp_path / "data.csv")
    assert cli.command(["fit", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.slow
def test_exports_stand_beside_the_device(measured, tmp_path, monkeypatch, capsys):
    """A pulse train in siemens gives aihwkit's and NeuroSim's numbers; Verilog-A is refused with its reason."""
    monkeypatch.chdir(tmp_path)
    up = 1e-6 + 9e-6 * (1 - np.exp(-np.arange(60) / 20))
    down = up[-1] - (up[-1] - 1e-6) * (1 - np.exp(-np.arange(1, 61) / 25))
    noise = 3e-8 * np.random.default_rng(0).standard_normal(120)
    g = np.concatenate([up, down]) + noise
    rows = [f"{k},{1 if k < 60 else -1},{x:.6g}" for k, x in enumerate(g)]
    pathlib.Path("pulses.csv").write_text("pulse,direction,G (S)\n" + "\n".join(rows))
    settings = [
        "--out",
        "my.toml",
        "--model",
        "linear",
        "--starts",
        "2",
        "--draws",
        "2",
        "--export",
        "aihwkit",
        "neurosim",
        "verilog-a",
    ]
    assert cli.command(["fit", "pulses.csv", *settings]) == 0
    assert "no verilog-a file" in capsys.readouterr().err
    assert json.loads(pathlib.Path("my.aihwkit.json").read_text())["parameters"]["dw_min"] > 0
    assert 0 < json.loads(pathlib.Path("my.neurosim.json").read_text())["NL_LTP"] < 9
    assert isinstance(load("my.toml"), devices.Device)


def test_json_has_null_for_what_is_no_number():
    found = finite(
        {"held_out": (np.nan, np.inf), "fits": [{"aic": -1.5, "name": "a", "rejected": True, "bic": -np.inf}]}
    )
    assert found == {"held_out": [None, None], "fits": [{"aic": -1.5, "name": "a", "rejected": True, "bic": None}]}


@pytest.mark.slow
def test_a_name_that_is_no_utf8_does_not_cost_the_fit(tmp_path, monkeypatch, capsys):
    """Page, JSON and device file are written, with the odd byte escaped."""
    monkeypatch.chdir(tmp_path)
    rows = [(c, 0.01 * k, 1e-5 * c * 0.01 * k * (1 + 1e-3 * (-1) ** k)) for c in range(1, 6) for k in range(1, 9)]
    name = os.fsdecode(b"m\xff.csv")
    pathlib.Path(name).write_text(
        "Device,Voltage (V),Current (A)\n" + "".join(f"{c},{v:.2f},{i:.6e}\n" for c, v, i in rows)
    )
    settings = ["--kind", "read-iv", "--model", "ohmic", "--starts", "2", "--draws", "2", "--json", "--out", "my.toml"]
    assert cli.command(["fit", name, *settings]) == 0
    assert r"m\udcff.csv" in json.loads(capsys.readouterr().out)["fits"][0]["source"]
    assert r"m\udcff.csv" in load("my.toml").provenance.measured
    assert r"m\udcff.csv" in pathlib.Path("my.html").read_text(encoding="utf-8")


def test_names_of_models_stand_one_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    good_table(tmp_path / "data.csv")
    assert cli.command(["fit", "data.csv", "--kind", "read-iv", "--model", "x", "--out", "my.toml"]) == 2
    said = capsys.readouterr().err
    assert "data.csv: unknown model 'x'" in said and "\n  'sinh + series resistance'\n" in said


@pytest.mark.parametrize("seed", ["1e23", "-1", str(2**32)])
def test_seeds_are_refused_before_files_are_read(tmp_path, monkeypatch, capsys, seed):
    monkeypatch.chdir(tmp_path)
    assert cli.command(["fit", "nowhere.csv", "--seed", seed]) == 2
    assert "nowhere.csv" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_fitted_loop_goes_to_every_other_program(tmp_path, monkeypatch, capsys):
    """A loop of a filament behind 300 ohm, its current measured 20 nA too high, wired the wrong way round.

    NeuroSim needs the table of steps of the fresh fit; SPICE and Verilog-A have resistor, offset, direction and start.
    """
    monkeypatch.chdir(tmp_path)
    filament = compact.Filament(1e-3, 1e-5, 0.5, 0.4, 0.05, 0.05, 1e-3, b_on=0.3, b_off=2.0)
    cell = compact.Circuit(filament, resistance=300.0, offset=2e-8, reversed=True, start=0.1)
    t = np.linspace(0, 0.1, 161)
    v = -np.sin(20 * np.pi * t)
    i = np.asarray(compact.simulate(cell, compact.Waveform(t, v), substeps=4).i)
    rows = [f"{a:.6g},{b:.6g},{c:.6g}" for a, b, c in zip(t, v, i, strict=True)]
    pathlib.Path("loop.csv").write_text("t (s),V (V),I (A)\n" + "\n".join(rows))
    settings = ["--out", "my-cell.toml", "--model", "filament", "--starts", "4", "--draws", "2"]
    assert cli.command(["fit", "loop.csv", *settings, "--export", "neurosim", "aihwkit", "spice", "verilog-a"]) == 0
    assert "xbar: no " not in capsys.readouterr().err
    assert json.loads(pathlib.Path("my-cell.neurosim.json").read_text())["maxNumLevelLTP"] > 0
    assert json.loads(pathlib.Path("my-cell.aihwkit.json").read_text())["class"] == "PiecewiseStepDevice"
    module, circuit = (pathlib.Path(f"my-cell.{ending}").read_text() for ending in ("verilog-a.va", "spice.cir"))
    assert "module my_cell(p, n);" in module and ".subckt my_cell p n" in circuit
    for name, true, rel in (("r_series", 300, 0.2), ("i_offset", 2e-8, 0.5), ("start_share", 0.1, 0.5)):
        assert float(module.split(f"{name} = ")[1].split(";")[0]) == pytest.approx(true, rel=rel), name
    assert "I(n, p) <+ i_offset;" in module and "Ioffset n p" in circuit


@pytest.mark.slow
def test_what_is_fitted_when_the_user_stops_is_kept(tmp_path, monkeypatch, capsys):
    """Interrupted at its third model, a fit leaves page, device file and numbers of the first two, and says so."""
    monkeypatch.chdir(tmp_path)
    volts, rng = np.linspace(-0.4, 0.4, 17), np.random.default_rng(0)
    rows = [(k, v, 1e-5 * (k + 1) * np.sinh(v) * (1 + 0.01 * rng.standard_normal())) for k in range(8) for v in volts]
    pathlib.Path("data.csv").write_text("device,V (V),I (A)\n" + "\n".join(f"{k},{v:.6g},{i:.6g}" for k, v, i in rows))
    pages = []

    def stopped(name, points):
        for k, point in enumerate(points):
            if k == 2:
                pages.append(pathlib.Path("my.html").read_text())
                raise KeyboardInterrupt
            yield point

    monkeypatch.setattr(cli, "track", stopped)
    assert (
        cli.command(["fit", "data.csv", "--kind", "read-iv", "--out", "my.toml", "--draws", "2", "--starts", "2"])
        == 130
    )
    said = capsys.readouterr()
    assert "left out: what was not yet fitted when you interrupted; fitted so far:" in said.err
    assert "still running" in pages[0] and "still running" not in pathlib.Path("my.html").read_text()
    assert (
        len([line for line in said.out.splitlines() if " passed " in line or " rejected " in line or " none " in line])
        >= 2
    )
    assert pathlib.Path("my.toml").exists() or "no device file" in said.out


def test_conductances_without_a_unit_are_said_before_the_fit(tmp_path):
    """`xbar fit` warns that no device file can be made unless the file says which conductances its numbers stand for."""
    (tmp_path / "m.csv").write_text("\n".join(f"{0.1 * n:.1f},{1 - 0.1 * n:.1f}" for n in range(10)))
    sidecar = 'kind = "pulses"\ncolumns = ["g_up", "g_down"]\nunits = ["1", "1"]\n'
    for more, expected in (("", True), ("normalised = [0.0, 1.0]\n[protocol]\ng_min = 1e-6\ng_max = 1e-4\n", False)):
        (tmp_path / "m.csv.toml").write_text(sidecar + more)
        said = []
        fit_files._read(fit_files.Arguments(files=(tmp_path / "m.csv",)), said.append)
        assert any("no device file" in line and "normalised" in line for line in said) == expected
