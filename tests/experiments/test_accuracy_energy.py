"""The main job, small: what it finds has the right shape, the right order, and can be repeated."""

import contextlib
import io
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import devices.device_file
from experiments import accuracy_energy, accuracy_energy_figure, networks, supervised, training_study
from experiments.command import cli
from experiments.framework.experiment import Source, identity
from experiments.framework.store import Results
from xbar.energy import COMPONENTS

SMALL = [
    "--network",
    "mlp",
    "--chips",
    "4",
    "--adc-bits",
    "4",
    "8",
    "--devices",
    "pcm_joshi2020",
    "reram",
    "--times",
    "1s",
    "1d",
    "--steps",
    "600",
    "--hardware-steps",
    "300",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert cli.command(["run", "accuracy-energy", "--json", "--out", str(out), *SMALL]) == 0
    return json.loads(stream.getvalue())


def values(run, name):
    return np.array(run["results"]["variables"][name]["values"], float)


def test_accuracies(run):
    """Digits are learned; chips lose a little; 4 bits are worse than 8; a day is worse than a second; nothing is missing."""
    accuracy = values(run, "accuracy")  # training, device, bits, time, chip
    assert accuracy.shape == (2, 2, 2, 2, 4) and np.isfinite(accuracy).all()
    digital = values(run, "digital_accuracy")
    assert digital.min() > 0.95
    assert accuracy.min() > 0.85 and accuracy[:, :, 1].mean() < digital.mean()
    assert accuracy[:, :, 0].mean() < accuracy[:, :, 1].mean()
    assert accuracy[..., 1, :].mean() < accuracy[..., 0, :].mean()
    assert accuracy[0].std(-1).max() > 0  # chips differ


def test_energies(run):
    """Every component is there, the total lies within its P10 - P90, and an H100 needs more."""
    energy = values(run, "energy")
    assert energy.shape == (2, 2, 2, 2, 4, len(COMPONENTS)) and accuracy_energy.COMPONENTS == COMPONENTS
    priced = [name not in ("off_chip", "neurons") for name in COMPONENTS]  # nothing crosses the edge, nothing spikes
    assert (energy[..., priced] > 0).all() and (energy >= 0).all()
    total, quantile = energy.sum(-1).mean(-1), values(run, "energy_quantile")
    assert (quantile[..., 0] < total).all() and (total < quantile[..., 1]).all()
    adc = energy[..., COMPONENTS.index("adc")].mean((0, 1, 3, 4))
    assert adc[1] > 1.5 * adc[0]
    gpu = values(run, "gpu_energy")
    assert gpu[0] > gpu[1] > gpu[3] > total.max()


def test_files(run):
    folder = pathlib.Path(run["folder"])
    assert {"results.h5", "report.html", "accuracy-energy.png", "accuracy-energy.svg"} <= {
        p.name for p in folder.iterdir()
    }
    text = (folder / "report.html").read_text()
    for word in ("Accuracy [%]", "P10", "H100", "10.1038/s41467-020-16108-9", "seed"):
        assert word in text


@pytest.mark.parametrize("steps, each", [(300, [100, 100, 100]), (100, [34, 33, 33]), (1, [1])])
def test_as_many_steps_of_hardware_aware_training_as_asked_for(steps, each):
    config = accuracy_energy.Config(network="mlp", hardware_steps=steps)
    assert [t.steps for t in accuracy_energy._tools(config, "ideal").trainers if t is not None] == each


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--adc-bits", "0"], "2 to 16"),
        (["--adc-bits", "4", "4"], "different values"),
        (["--chips", "0"], "at least 1"),
        (["--percentile", "0"], "at most 100"),
        (["--clip", "0"], "above 0"),
        (["--devices", "reram", "--times", "1y"], "reram has no data at any of these times"),
        (["--devices", "pcm", "--posterior"], "none of pcm is a device file"),
        (["--assume", "no-such-device"], "--assume no-such-device: there is no device"),
        (["--devices", "pcm", "--assume", "0.03"], "it has no law that pcm lacks"),
        (["--network", "mpl"], "unknown network. Did you mean 'mlp'"),
        (["--network", "./none.py"], "none.py is missing"),
        (
            ["--network", "mlp", "--data", "cifar10-subset"],
            "network 'mlp' is measured on digits or mnist or fashion-mnist",
        ),
        (["--hardware-steps", "-1"], "at least 0"),
    ],
)
def test_settings_that_cannot_be(flags, says, tmp_path, capsys):
    assert cli.command(["run", "accuracy-energy", "--out", str(tmp_path), *flags]) == 2
    assert says in capsys.readouterr().err and not any(tmp_path.iterdir())


@pytest.mark.parametrize("name, least", [("mlp", 0.96), ("cnn", 0.95)])
def test_networks_learn_digits(name, least, optimised):
    network = networks.find(name, jax.random.key(0), "digits")
    model = supervised.trained(network, 600, key=jax.random.key(1))
    assert float(network.metric(network.f(model, jnp.asarray(network.data.x_test)), network.data.y_test)) > least


def test_table_and_figure_are_of_the_same_time(run):
    """Energies of the table and of the figure are those at the time nearest to a day."""
    from experiments import accuracy_energy_view as view

    config = accuracy_energy.Config(
        network="mlp", chips=4, adc_bits=(4, 8), devices=("pcm_joshi2020", "reram"), times=("1s", "1d")
    )
    results = Results.load(pathlib.Path(run["folder"]) / "results.h5", accuracy_energy.layout(config))
    at = dict(training="naive", device="reram", adc_bits=8, time=86_400.0)
    from xbar.energy import engineering

    shown = engineering(float(results.select("energy", **at).sum(-1).mean()), "J")
    table = view.energy_table(results)
    assert "1 day after programming" in table and shown in table
    macs = float(results["macs"])
    assert macs == 64 * 32 + 32 * 10 and view.measured_chips(results)["IBM 34-tile"] == pytest.approx(
        macs * 2e-12 / 12.4
    )


def test_layout_asks_devices_only_for_times_they_know():
    tools = accuracy_energy._tools(accuracy_energy.Config(), "reram")
    assert [tools.times[i] for i in tools.known] == [1.0, 86_400.0]


@pytest.mark.slow
def test_what_was_never_measured_is_said_wherever_its_accuracy_stands(tmp_path, monkeypatch):
    """A device of a bare range has no spread over chips; with an assumption it has one, and the assumption is said. So is
    that it is used beyond its data, once."""
    monkeypatch.chdir(tmp_path)
    about = devices.Provenance("bare", numbers="fitted", span=(0.0, 0.5))
    bare = devices.Device(1e-6, 1e-4, provenance=about)
    devices.device._WARNED.clear()
    devices.device_file.save(bare, "bare.toml")
    small = [
        "--network",
        "mlp",
        "--device",
        "bare.toml",
        "--chips",
        "2",
        "--adc-bits",
        "4",
        "--times",
        "1s",
        "--steps",
        "20",
    ]
    small += ["--hardware-steps", "3", "--test-images", "50", "--json"]
    told = {}
    for name, more in (("bare", []), ("assumed", ["--assume", "0.2"])):
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream), pytest.warns(UserWarning, match="bare.* extrapolates"):
            assert cli.command(["run", "accuracy-energy", *small, *more]) == 0
        told[name] = json.loads(stream.getvalue())
    assert told["bare"]["summary"]["unmeasured"] == {"bare.toml": ["write errors", "drift", "read noise"]}
    assert told["assumed"]["summary"]["unmeasured"] == {"bare.toml": ["drift", "read noise"]}
    assert "20.0% of the range" in told["assumed"]["summary"]["assumed"]["bare.toml"][0]
    assert values(told["bare"], "accuracy").std(-1).max() == 0 < values(told["assumed"], "accuracy").std(-1).max()
    page, figure = (
        next(pathlib.Path(told["bare"]["folder"]).glob(ending)).read_text() for ending in ("report.html", "*.svg")
    )
    for text in (page, figure):
        assert "bare has no law for write errors, drift, read noise" in text
    assert "bare extrapolates: t = 1 s is beyond the 0.5 s that its data reach" in page
    assert "± none" in page and "± 0.0" not in page


def test_a_run_belongs_to_the_contents_of_the_file_it_assumes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = accuracy_energy.Config(devices=("ideal",), assume="other.toml")
    seen = []
    for share in (0.01, 0.02):
        devices.device_file.save(devices.assume_spread(devices.Device(1e-6, 1e-4), share), "other.toml")
        seen.append(identity(Source("accuracy-energy"), accuracy_energy, config)["other.toml"])
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    "module, kept",
    [
        (accuracy_energy, lambda config: accuracy_energy._tools(config, "my.toml").device),
        (training_study, lambda config: training_study._reader(config, "my.toml").analog.tile.device),
    ],
)
def test_a_file_that_changes_is_read_again(module, kept, tmp_path, monkeypatch):
    """Compiled programs are kept for a device; a file of the same name may hold another one later."""
    monkeypatch.chdir(tmp_path)
    config, seen = module.Config(devices=("my.toml",), network="mlp"), []
    for g_max in (1e-4, 2e-4):
        devices.device_file.save(devices.Device(1e-6, g_max), "my.toml")
        assert kept(config) is kept(config)
        seen.append(float(kept(config).g_max))
    assert seen == [pytest.approx(1e-4), pytest.approx(2e-4)]


@pytest.mark.slow
def test_a_network_of_ones_own_without_a_training_set(tmp_path, monkeypatch):
    """Mapped as it is, calibrated on its test inputs, which is said; a changed file is another run."""
    monkeypatch.chdir(tmp_path)
    text = """
import numpy as np
f = lambda p, x: x @ p
params = np.eye(4, dtype=np.float32)
x, y = np.eye(4, dtype=np.float32)[np.arange(40) % 4], np.arange(40) % 4
"""
    pathlib.Path("mine.py").write_text(text)
    flags = ["--network", "./mine.py", "--devices", "pcm", "--chips", "2", "--adc-bits", "6", "--times", "1s", "--json"]
    told = []
    for more in ("", "# another\n"):
        pathlib.Path("mine.py").write_text(text + more)
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            assert cli.command(["run", "accuracy-energy", *flags, "--hardware-steps", "3"]) == 0
        told.append(json.loads(stream.getvalue()))
    assert len({run["folder"] for run in told}) == 2 and len(values(told[0], "accuracy")) == 1
    assert values(told[0], "accuracy").min() > 0.9 and "largest_gain_points" not in told[0]["summary"]
    assert told[0]["summary"]["accuracy"] == {"pcm 6 bit naive 1 s": pytest.approx(values(told[0], "accuracy").mean())}
    page = next(pathlib.Path(told[0]["folder"]).glob("report.html")).read_text()
    for words in (
        "with given weights",
        "mine.py has no training set: no hardware-aware training",
        "without their labels",
    ):
        assert words in page
    pathlib.Path("mine.py").write_text(text + "x_train, y_train = x, y\n")
    for steps, expected in ((3, ("naive", "hardware-aware")), (0, ("naive",))):
        assert accuracy_energy.trainings(accuracy_energy.Config(network="./mine.py", hardware_steps=steps)) == expected


def test_times_without_data_do_not_set_the_limits_of_the_figure():
    config = accuracy_energy.Config(devices=("ideal", "reram"), chips=2)
    results = Results(accuracy_energy.layout(config))
    results.values["accuracy"][...] = 0.9
    results.values["accuracy"][:, 1, :, -1] = np.nan  # no data after a year
    assert accuracy_energy_figure._limits(results, 94.0) == pytest.approx((89.0, 95.0))
