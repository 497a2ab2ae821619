"""The device zoo, the benchmark and `xbar cite`, as a user runs them, on a few cells."""

import json

import jax
import numpy as np
import pytest

import devices
import xbar
from experiments import benchmark_cases, benchmark_peers, benchmark_view, ir_drop, ir_drop_view
from experiments.command import cli
from experiments.device_zoo_waveforms import SINES
from experiments.framework.store import Results

SHOWN = ("pcm_joshi2020", "reram_wan2022", "ecram_lithium_tang2018", "yakopcic_oblea2010")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    out = tmp_path_factory.mktemp("zoo")
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert (
            cli.command(["run", "device-zoo", "--json", "--cells", "200", "--out", str(out), "--devices", *SHOWN]) == 0
        )
    return json.loads(said.getvalue())


def values(zoo, name, device):
    variable = zoo["results"]["variables"][name]
    return np.array(variable["values"][SHOWN.index(device)], float)


@pytest.mark.slow
def test_numbers(zoo):
    """Programming error, drift and pulses of the zoo are those of the devices' own formulas."""
    target = values(zoo, "write_target", "pcm_joshi2020")
    error = values(zoo, "write_error", "pcm_joshi2020")
    sigma = devices.pcm_joshi2020().programming.scale(target.astype("float32") + devices.pcm_joshi2020().g_min)
    np.testing.assert_allclose((error[5:, 2] - error[5:, 0]) / 2.563, sigma[5:], rtol=0.3)
    assert np.nansum(np.isfinite(values(zoo, "drift_time", "reram_wan2022"))) == 3
    pulsed = values(zoo, "pulsed", "ecram_lithium_tang2018")[:, 1]
    assert pulsed[49] > 9e-6 and pulsed[-1] < 2e-6
    loop, volt = values(zoo, "loop_current", "yakopcic_oblea2010"), values(zoo, "loop_volt", "yakopcic_oblea2010")
    areas = [abs(np.trapezoid(i[:200], volt[:200])) for i in loop]
    assert areas[0] > 2 * areas[2], "a pinched loop collapses with frequency"
    assert np.all(np.abs(loop[:, np.abs(volt) < 1e-9]) < 1e-9)


def test_files(zoo):
    names = {f.rsplit("/", 1)[1] for f in zoo["files"]}
    assert {f"{n}.{k}" for n in SHOWN for k in ("png", "svg")} | {"report.html", "results.h5"} == names


def test_every_compact_set_has_a_loop():
    compact = {n for n in devices.names() if devices.find(n).__module__.startswith("devices.compact")}
    assert set(SINES) == {n for n in compact if devices.catalogue.makes_itself(n)}


def test_benchmark(capsys, tmp_path):
    few = ["--json", "--cells", "1000", "--repeats", "2", "--cases", "pcm", "ir-64", "--out", str(tmp_path)]
    assert cli.command(["run", "benchmark", *few]) == 0
    found = json.loads(capsys.readouterr().out)
    seconds = np.array(found["results"]["variables"]["seconds"]["values"])
    assert seconds.shape == (2, 2) and np.all(seconds > 0) and found["summary"]["ratios"]["pcm"] > 0
    assert cli.command(["run", "benchmark", "--cases", "nothing"]) == 2


@pytest.mark.slow
def test_cost_against_size(capsys, tmp_path, monkeypatch):
    """Three sizes of one family give an exponent and a second figure; a case without a peer has a time and no ratio."""
    for n in (8, 16, 32):
        make = benchmark_cases.ir_drop(n, 1, "")
        case = benchmark_cases.Case(f"alone, {n}", "", make, repeats=2, double=True, family="IR drop, alone", size=n)
        monkeypatch.setitem(benchmark_cases.CASES, f"alone-{n}", case)
    few = ["--json", "--repeats", "2", "--cases", "alone-16", "alone-8", "alone-32", "ir-64", "--out", str(tmp_path)]
    assert cli.command(["run", "benchmark", *few]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.all(np.array(found["results"]["variables"]["seconds"]["values"]) > 0)
    assert found["summary"]["ratios"].keys() == {"ir-64"}
    shown = {name: benchmark_cases.CASES[name] for name in ("alone-16", "alone-8", "alone-32", "ir-64")}
    assert benchmark_view._by_size(shown, "IR drop, alone") == ["alone-8", "alone-16", "alone-32"]
    assert found["summary"]["exponents"].keys() == {"IR drop, alone"}
    assert list(tmp_path.glob("benchmark/*/sizes.png"))


@pytest.mark.slow
def test_the_peers_of_the_benchmark_answer_the_same():
    """Ours, SciPy's sparse LU and (where installed) badcrossbar on one tile: currents to 1e-8."""
    with jax.enable_x64(True):
        g, v = benchmark_cases._wired(24, 3)
        found = xbar.ResistiveWires(benchmark_cases.OHM, benchmark_cases.OHM).solve(g, v).i_out
        np.testing.assert_allclose(
            benchmark_peers.circuit_solver("SciPy sparse LU", g, v, benchmark_cases.OHM)(None).T, found, rtol=1e-8
        )
        if benchmark_peers.available("badcrossbar"):
            np.testing.assert_allclose(
                benchmark_peers.circuit_solver("badcrossbar", g, v, benchmark_cases.OHM)(None), found, rtol=1e-8
            )


def test_error_bars_of_ir_drop_are_those_of_the_inputs_that_were_read():
    """100 inputs at 90 %: a standard error of 3 points, although 445 were asked for."""
    config = ir_drop.Config()
    results = Results(ir_drop.layout(config))
    for name, value in (("accuracy", 0.9), ("weight_error", 0.1), ("digital_accuracy", 0.95), ("test_images", 100.0)):
        results.values[name][...] = value
    bars = ir_drop_view.curves(config, results).axes[1].containers[0].lines[2][0].get_segments()
    assert [b[1, 1] - b[0, 1] for b in bars] == pytest.approx([6.0] * len(config.sizes))


def test_ideal_wires_alone_are_drawn_without_logarithms_of_zero():
    config = ir_drop.Config(sizes=(4,), ohms=(0.0,))
    results = Results(ir_drop.layout(config))
    for name, value in (("accuracy", 0.9), ("weight_error", 0.0), ("digital_accuracy", 0.95), ("test_images", 100.0)):
        results.values[name][...] = value
    assert ir_drop_view.curves(config, results).axes[0].get_xscale() == "linear"


@pytest.mark.slow
def test_ir_drop(capsys, tmp_path):
    """Small: the error grows with the tile and with the wires' resistance, and a gain a column takes some of it away."""
    few = ["--sizes", "8", "16", "--ohms", "1", "20", "--steps", "100", "--wire-steps", "2", "--largest-trained", "8"]
    few += ["--test-images", "40"]
    assert cli.command(["run", "ir-drop", *few, "--json", "--out", str(tmp_path)]) == 0
    variables = json.loads(capsys.readouterr().out)["results"]["variables"]
    error = np.array(variables["output_error"]["values"])  # size, ohm
    assert error[0, 0] < error[0, 1] < error[1, 1] and error[0, 0] < error[1, 0]
    drop = np.array(variables["drop"]["values"], float)
    assert np.nanmin(drop[1, 1]) < np.nanmin(drop[0, 0]) < 1 and np.isnan(drop[0, 0, 8:]).all()
    accuracy = np.array(variables["accuracy"]["values"], float)
    assert np.isfinite(accuracy[0]).all() and np.isnan(accuracy[1, :, 4:]).all()
    assert cli.command(["run", "ir-drop", "--sizes", "1"]) == 2


def test_wires_take_no_data_without_a_network(capsys, tmp_path):
    """The default network is one for digits; other data would not be used."""
    assert cli.command(["run", "ir-drop", "--data", "mnist", "--out", str(tmp_path)]) == 2
    assert "--data mnist: the default network is one for digits" in capsys.readouterr().err


def test_cite(capsys):
    assert cli.command(["cite", "pcm_joshi2020", "vteam_magic"]) == 0
    said = capsys.readouterr().out
    assert said.count("@") == 2 + len(devices.find("vteam_magic").provenance.dois) and "Nature Communications" in said
    assert cli.command(["cite"]) == 0
    assert all(n in capsys.readouterr().out for n in ("ideal",))
    assert cli.command(["cite", "pcm_joshi"]) == 2
    assert "Did you mean 'pcm_joshi2020'" in capsys.readouterr().err
    assert cli.command(["cite", "ideal"]) == 2
    assert cli.command(["run", "device-zoo", "--devices", "nothing"]) == 2
    assert cli.command(["run", "device-zoo", "--devices", "jart_vcm_v1b_variable"]) == 2


@pytest.mark.slow
def test_any_device_in_accuracy_energy(capsys, tmp_path):
    """A device by its own name, beyond its data: it runs, warns once, and the results say so."""
    few = ["--network", "mlp", "--steps", "20", "--hardware-steps", "3", "--chips", "2", "--test-images", "20"]
    few += ["--adc-bits", "6", "--times", "1s", "1mo"]
    devices.device._WARNED.clear()
    with pytest.warns(UserWarning, match="sonos_agrawal2022 extrapolates"):
        code = cli.command(["run", "accuracy-energy", *few, "--devices", "sonos_agrawal2022", "--out", str(tmp_path)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "sonos_agrawal2022 extrapolates: t = 2.592e+06 s is beyond the 432000 s that its data reach" in said.out


def test_what_is_no_device_is_refused(capsys):
    assert cli.command(["run", "accuracy-energy", "--devices", "pmc"]) == 2
    assert cli.command(["run", "accuracy-energy", "--devices", "vteam_magic"]) == 2
    assert "a compact model" in capsys.readouterr().err
