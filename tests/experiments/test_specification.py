"""Sensitivity, specification and yield: closed forms, known optima, and small runs as a user starts them."""

import contextlib
import dataclasses
import io
import json
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import devices
import xbar
from devices.physical_numbers import departure_from_ohm
from experiments import (
    chip_yield,
    laboratory,
    layer_split,
    next_measurement,
    sensitivity,
    sensitivity_view,
    specification,
    specification_view,
    tolerances,
)
from experiments.command import cli
from experiments.crossbar_study import Study
from experiments.framework.store import Results
from experiments.networks.network import Network, squared_error

# -- tolerances ---------------------------------------------------------------------------------------------------------


def errors(weights):
    """A merit that falls with the squares of tolerances: `1 - sum w_k tau_k^2`."""
    return lambda x: (1 - float(np.sum(weights * np.exp(2 * x))), -2 * weights * np.exp(2 * x))


def test_loosest_tolerances_of_a_quadratic_loss():
    """max ln a + ln b subject to 3 a^2 + 0.2 b^2 <= 0.1: each spends half of the budget."""
    weights = np.array([3.0, 0.2])
    found = tolerances.loosest(errors(weights), 0.9, np.zeros(2), np.full(2, -6.0), np.full(2, 3.0))
    np.testing.assert_allclose(np.exp(found.x), np.sqrt(0.05 / weights), rtol=2e-3)
    assert abs(found.shortfall) < 1e-4 and found.imbalance < 0.01 and found.free.all()
    rates = tolerances.exchange_rates(found.slope)
    np.testing.assert_allclose(rates[[0, 1], [1, 0]], -1, rtol=0.01)
    # halving the first frees three quarters of its half of the budget for the second
    room = tolerances.room_for_others(lambda x: errors(weights)(x)[0], found.merit, found.x, 0, np.full(2, 3.0))
    assert room == pytest.approx(np.sqrt((0.05 + 0.75 * 0.05) / 0.05), rel=0.02)


def test_what_does_not_matter_ends_at_its_bound_and_what_cannot_be_kept_is_said():
    merit = errors(np.array([1.0, 0.0]))
    found = tolerances.loosest(merit, 0.99, np.zeros(2), np.full(2, -6.0), np.array([2.0, 2.0]))
    assert np.exp(found.x[0]) == pytest.approx(0.1, rel=5e-3) and found.x[1] == pytest.approx(2)
    assert found.free.tolist() == [True, False]
    assert np.isnan(tolerances.exchange_rates(found.slope)[1, 0])
    impossible = tolerances.loosest(errors(np.array([100.0, 1.0])), 0.99, np.zeros(2), np.full(2, -1.0), np.zeros(2))
    assert impossible.shortfall > 1


def test_exchange_rates_are_those_of_the_constraint():
    x, weights = np.array([-1.0, -2.0, -1.5]), np.array([1.0, 5.0, 2.0])
    rates = tolerances.exchange_rates(errors(weights)(x)[1])
    h = 1e-5
    for i, j in ((0, 1), (2, 0), (1, 2)):
        moved = x + h * np.eye(3)[j] + rates[i, j] * h * np.eye(3)[i]
        assert errors(weights)(moved)[0] == pytest.approx(errors(weights)(x)[0], abs=1e-8)


def test_a_device_is_built_at_its_tolerances(key):
    """At today's values it is the device of today; a share of stuck cells, an on/off ratio and a curvature are those
    asked for."""
    device = devices.pcm_joshi2020()
    known = laboratory.tolerances(device, 3600.0, 0.2, key)
    assert [t.name for t in known] == ["write", "drift_spread", "read_noise", "on_off", "stuck", "nonlinearity"]
    at = lambda **values: jnp.array(  # noqa: E731
        [np.log(values.get(t.name, t.today or t.low) / t.reference) for t in known], jnp.float32
    )
    target = jnp.linspace(1e-6, 2.4e-5, 50)
    one, other = (
        d.program(target, key=key).g for d in (device, laboratory.built(device, known, at(), 0.2, 0.5, False))
    )
    np.testing.assert_allclose(one, other, rtol=1e-4)
    made = laboratory.built(device, known, at(on_off=0.1, stuck=0.2, nonlinearity=0.3), 0.2, 0.5, False)
    assert float(made.g_max / made.g_min) == pytest.approx(10, rel=1e-4)
    assert float(made.faults.p_low + made.faults.p_high) == pytest.approx(0.2, rel=1e-4)
    assert float(made.conduction(jnp.asarray(1.0), jnp.asarray(0.2))) == pytest.approx(0.2 * 1.3, rel=1e-4)
    assert known[3].shown(0.1) == "10" and known[4].shown(0.001) == "99.9 %"


def test_nonlinearity_is_that_at_the_read_voltage_of_the_macro():
    """NeuRRAM reads at 0.5 V: departure from Ohm's law of today's device, and of ohmic cells with a tolerance of 0.3."""
    config, cells = specification.Config(device="reram_milo2021", architecture="neurram"), devices.reram_milo2021()
    today = {t.name: t.today for t in specification.known(config)}["nonlinearity"]
    assert today == pytest.approx(abs(departure_from_ohm(cells, 0.5)))
    assert today > 2 * abs(departure_from_ohm(cells, 0.2))
    search: Any = object.__new__(specification.Search)
    search.config, search.study = config, types.SimpleNamespace(device=devices.ideal())
    search.known = laboratory.tolerances(devices.ideal(), 1.0, 0.5, jax.random.key(0))
    made = search._device(np.array([np.log(0.3 / t.reference) for t in search.known]), False)
    assert float(made.conduction(jnp.asarray(1.0), jnp.asarray(0.5))) == pytest.approx(1.3 * 0.5, rel=1e-4)


@pytest.mark.parametrize("missing, says", [(0.5, "must change"), (0.0, "nothing needs to improve")])
def test_ideal_cells_may_miss_the_accuracy(missing, says):
    """Ideal cells behind poor converters: the report says how much accuracy is missing, not that nothing needs to improve,
    and claims no tolerances for an accuracy that no search kept."""
    config = specification.Config(device="ideal", adc_bits=2, chips=2, fresh_chips=2)
    found = Results(specification.layout(config))
    given = {
        "floor": 0.96,
        "accuracy": 0.96 - missing,
        "accuracy_today": 0.96 - missing,
        "shortfall": missing,
        "room": 1.0,
    }
    for name, value in {**given, "value": 0.1}.items():
        found.values[name][...] = value
    said = specification_view.answer(config, found)
    assert says in said[0]
    assert any("loosest tolerances" in line for line in said) == (missing == 0)


def test_the_next_measurement_is_of_the_part_that_leaves_least():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 3)) * [1.0, 2.0, 0.0]
    found = next_measurement.linearised(np.array([3.0, 1.0, 9.0]), draws, ("drift", "programming", "range"))
    assert found.parts == ("drift", "programming") and found.best == "drift"
    np.testing.assert_allclose([found.total, *found.alone], [13**0.5, 3, 2], rtol=0.05)
    np.testing.assert_allclose(found.left, found.alone[::-1], rtol=1e-6)
    together = np.repeat(rng.standard_normal((4000, 1)), 2, 1) * [1.0, -1.0]  # what one adds the other takes away
    same = next_measurement.linearised(np.ones(2), together, ("drift", "read_noise"))
    assert same.total < 1e-9 and min(same.left) > 0.9  # to know one alone makes it worse


# -- sensitivity --------------------------------------------------------------------------------------------------------


def linear_knobs(monkeypatch, **settings):
    """One layer, squared error against its own exact outputs, on cells with a normal write error and white read noise."""
    rng = np.random.default_rng(0)
    w, x = (
        jnp.asarray(rng.standard_normal((24, 6)), jnp.float32),
        jnp.asarray(rng.standard_normal((40, 24)), jnp.float32),
    )
    network = Network("linear", lambda p, x: x @ p, w, None, True, loss=squared_error, metric=squared_error)
    noise = devices.noise.WhiteReadNoise(variance=(0.4e-6) ** 2, g_max=2e-5, bandwidth=5e6)
    device = devices.Device(5e-6, 2e-5, devices.programming.SpreadProgramming(0.3e-6, 2e-5), read_noise=noise)
    config = sensitivity.Config(chips=3, adc_bits=16, dac_bits=16, percentile=100.0, **settings)
    exact = lambda tile: dataclasses.replace(tile, dac=xbar.DAC(bits=None))  # noqa: E731
    study = Study(config, network, w, device, x, x @ w, x, 1.0)
    own = Study.tile
    monkeypatch.setattr(Study, "tile", lambda self, *a, **k: exact(own(self, *a, **k)))
    numbers = [n for n in devices.device_numbers(device) if n.value]
    return sensitivity.Knobs(study, ("params",), ("write", "read_noise"), tuple(numbers), 0.0)


def test_sensitivity_of_a_linear_network_in_closed_form(monkeypatch):
    """The loss is a mean of squares of independent errors, `a s_w^2 + b s_n^2 + small`: its elasticity by both factors is
    twice the loss, chip by chip; backward pass and differences agree, and the law's number says the same as the factor."""
    knobs = linear_knobs(monkeypatch)
    programs = sensitivity.Programs(knobs, knobs.study.keys(0, 3))
    loss, slopes = programs.read()[0], programs.slopes()
    both = slopes @ knobs.layer_direction(0)
    np.testing.assert_allclose(both, 2 * loss, rtol=0.02)
    for name, other in (("write", "programming.spread.value"), ("read_noise", "read_noise.variance.value")):
        slope = slopes @ knobs.direction(name)
        factor = 1 if name == "write" else 2  # a variance is a square
        np.testing.assert_allclose(factor * slopes @ knobs.direction(other), slope, rtol=0.02)
        np.testing.assert_allclose(
            programs.difference(knobs.direction(name), 0.1), slope, rtol=0.05, atol=0.02 * loss.max()
        )
    nothing = programs.read(digital=np.ones(1))[0]
    assert nothing.max() < 1e-3 * loss.min()  # a layer that counts as digital is exact
    np.testing.assert_array_equal(sensitivity.macs(knobs), [24 * 6])


def additive(cost):
    """Accuracy of two chips that loses `cost` for every layer on arrays."""
    return lambda mask: np.array([1.0, 1.0]) - np.sum(np.asarray(cost) * (1 - mask))


def test_a_share_of_slopes_that_cancel_is_not_a_percentage():
    """Layers whose errors lower the loss make the sum small, and a share of it large without a meaning."""
    said = lambda *mnat: sensitivity_view._write_sentence("abc", 1e-3 * np.array(mnat))  # noqa: E731
    assert said(1.0, 3.0, 0.0).startswith("Write b most carefully: its write errors make 75 % of what")
    assert "%" not in said(1.0, -1.0, 0.0).replace("+100 %", "") and "+1 mnat" in said(1.0, -1.0, 0.0)
    assert said(-1.0, 0.0, -2.0) == "No layer's write errors raise the loss."


def test_layers_move_by_what_they_gain_for_their_work():
    """Costs .01, .03, .02 with works 1, 10, 1: the third first, then the first, and the large one last."""
    cost, macs = np.array([0.01, 0.03, 0.02]), np.array([1.0, 10.0, 1.0])
    found = layer_split.split(additive(cost), cost, macs, 0.965)
    np.testing.assert_array_equal(found.layer[0, 1:], [2, 0, 1])
    np.testing.assert_array_equal(found.layer[1, 1:], [2, 0, np.nan])  # the floor holds after two moves
    np.testing.assert_allclose(found.share[1, :3], [1, 11 / 12, 10 / 12])
    assert [found.chosen(m, 0.965) for m in layer_split.METHODS] == [2, 2]
    np.testing.assert_array_equal(found.digital("greedy", 0.965, 3), [1, 0, 1])
    assert found.chosen("gradient", 1.1) == 3  # never: everything is digital in the end


# -- yield --------------------------------------------------------------------------------------------------------------


def test_intervals_of_shares():
    """Clopper and Pearson by beta quantiles, Wilson by his formula, and the ends."""
    found = chip_yield.intervals(17, 256)
    exact = stats.beta.ppf([0.025, 0.975], [17, 18], [240, 239])
    np.testing.assert_allclose(found["Clopper-Pearson"], exact, rtol=1e-6)
    z, p, n = stats.norm.ppf(0.975), 17 / 256, 256
    middle, half = p + z**2 / 2 / n, z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)
    np.testing.assert_allclose(found["Wilson"], np.array([middle - half, middle + half]) / (1 + z**2 / n), rtol=1e-6)
    assert chip_yield.intervals(0, 50)["Clopper-Pearson"] == pytest.approx((0, 1 - 0.025 ** (1 / 50)))


def test_chips_exactly_at_the_bar_are_good():
    """Accuracies are float32 shares of 500 inputs, the bar is 10 inputs below the digital network: 10 fewer are good, 11 are
    not, whatever the network's accuracy."""
    right = np.arange(11, 501)
    share = lambda n: (n / 500).astype(np.float32).astype(float)  # noqa: E731
    bars = share(right) - chip_yield.DROP
    assert all(chip_yield.good(share(right - 10), bars)) and not any(chip_yield.good(share(right - 11), bars))


def test_the_yield_that_is_needed_is_the_smallest_from_which_on_all_are_enough():
    cells = np.array([0.9, 1.0, 0.99, 0.999])
    assert chip_yield.needed_yield(cells, np.array([0.0, 1.0, 0.8, 0.95]), 0.9) == 0.999
    assert (
        chip_yield.needed_yield(cells, np.array([1.0, 1.0, 0.8, 0.95]), 0.9) == 0.999
    )  # what luck gives later does not count
    assert chip_yield.needed_yield(cells, np.array([0.0, 0.5, 0.8, 0.95]), 0.9) is None
    assert chip_yield.needed_yield(cells, np.ones(4), 0.9) == 0.9


def test_stuck_cells_beside_a_device_and_its_own_faults(key):
    own = devices.faults.StuckAt(0.1, 0.0, 0.0, 1e-5)
    device = devices.Device(0.0, 1e-5, faults=own)
    made = chip_yield.with_faults(device, 0.2, 1.0, 1.0)
    g = made.conductance(made.program(jnp.full((50_000,), 5e-6), key=key), 0.0)
    assert float(jnp.mean(g > 9e-6)) == pytest.approx(0.2, abs=0.01)  # five standard errors
    assert float(jnp.mean(g < 1e-6)) == pytest.approx(0.08, abs=0.007)


# -- runs ---------------------------------------------------------------------------------------------------------------


def run(name, *flags):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert cli.command(["run", name, "--json", "--steps", "150", "--images", "60", *flags]) == 0
    return json.loads(said.getvalue())


def values(found, name):
    return np.array(found["results"]["variables"][name]["values"], float)


@pytest.mark.slow
def test_a_small_yield(tmp_path):
    """Fewer good cells, fewer good chips."""
    found = run("yield", "--chips", "12", "--cell-yields", "1", "0.9", "--spreads", "1", "--out", str(tmp_path))
    accuracy = values(found, "accuracy")
    assert accuracy.shape == (1, 2, 12) and accuracy[0, 0].mean() > accuracy[0, 1].mean() + 0.1
    low, high = found["summary"]["clopper_pearson"][0][0]
    assert low <= found["summary"]["share"][0][0] <= high


@pytest.mark.parametrize(
    "name, flags, says",
    [
        ("sensitivity", ["--step", "0"], "relative step"),
        ("sensitivity", ["--ohm", "-1"], "ohm per cell"),
        ("sensitivity", ["--chips", "1"], "at least 2"),
        ("specification", ["--floor", "95"], "between 0 and 1"),
        ("specification", ["--device", "reram", "--time", "1y"], "measured at"),
        ("specification", ["--assume", "0.03"], "no law that pcm lacks"),
        ("yield", ["--cell-yields", "2"], "from 0 to 1"),
        ("yield", ["--spreads", "1", "1"], "different numbers"),
        ("yield", ["--bar", "0"], "between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(name, flags, says, tmp_path, capsys):
    assert cli.command(["run", name, "--out", str(tmp_path), *flags]) == 2
    assert says in capsys.readouterr().err and not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_small_sensitivity(tmp_path):
    """Slopes agree with differences, effects are sums over layers, and the splits end where the floor holds."""
    found = run("sensitivity", "--chips", "4", "--checked", "6", "--out", str(tmp_path))
    slope, layer = values(found, "elasticity")[0], values(found, "layer_elasticity")[0]
    np.testing.assert_allclose(slope[:4], np.nansum(layer, 0)[:4], rtol=1e-3, atol=1e-6)
    assert found["summary"]["agree"]["write error"] in (True, None) and np.isfinite(values(found, "loss")).all()
    assert values(found, "split_share")[0, 0].tolist()[-1] == 0


@pytest.mark.slow
def test_a_small_specification(tmp_path):
    """The least improvement never makes anything worse, and the answer names what to improve or that nothing has to."""
    few = ["--chips", "2", "--fresh-chips", "4", "--rounds", "2", "--out", str(tmp_path)]
    found = run("specification", *few)
    value = values(found, "value")
    assert value.shape == (2, 6) and (value > 0).all()
    assert len(found["summary"]["answer"]) == 3
