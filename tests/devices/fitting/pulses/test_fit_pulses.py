"""Pulse trains: step laws, noise of reads against noise of updates, spread, fatigue, and the devices made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import data_folder
from scipy import stats

import devices
from devices.fitting import coverage, fit_candidate
from devices.fitting.engine.hierarchy import levels
from devices.fitting.pulses import pulse_data
from devices.fitting.pulses.exponential_sweeps import sweeps
from devices.fitting.pulses.pulse_models import (
    CANDIDATES,
    ConstantPulses,
    ExponentialPulses,
    LinearPulses,
    LogPolynomialPulses,
)
from devices.instruments import FileError, Trace, read

US = 1e-6
MEASURED = data_folder() / "measured" if data_folder() else None
needs_data = pytest.mark.skipif(
    MEASURED is None or not (MEASURED / "yflash_cycling").is_dir(),
    reason="XBAR_DATA names no folder with measured/yflash_cycling",
)


def trains(blocks, unit="S", **protocol):
    """A trace of (device, cycle, direction, readings)."""
    lengths = [len(b[3]) for b in blocks]
    column = lambda k: np.repeat([float(b[k]) for b in blocks], lengths)  # noqa: E731
    return Trace(
        "pulses",
        {"g": np.concatenate([b[3] for b in blocks]), "device": column(0), "cycle": column(1), "direction": column(2),
         "pulse": np.concatenate([np.arange(n) for n in lengths])},
        protocol=protocol, unit=unit,
    )  # fmt: skip


def soft(devices=12, pulses=60, spread=0.15, read=0.2 * US, update=0.3, seed=0):
    """Trains up and down between 4 and 22 uS along soft bounds, made without the library."""
    rng = np.random.default_rng(seed)
    blocks = []
    for d in range(devices):
        for side in (1, -1):
            h, factor = (4.0 * US if side > 0 else 22.0 * US), np.exp(spread * rng.standard_normal())
            seen = [h + read * rng.standard_normal()]
            for _ in range(pulses):
                step = factor * 0.04 * ((25 * US - h) if side > 0 else (h - 3.0 * US))
                h += side * step + update * step * rng.standard_normal()
                seen.append(h + read * rng.standard_normal())
            blocks.append((d, 0, side, np.array(seen)))
    return trains(blocks)


def truth_of(candidate, data):
    """Parameters near the data, with noise well away from the ends of its range."""
    guess = candidate.guesses(data)[0]
    scale = 1.0 if candidate.decades else float(candidate.shape.high - candidate.shape.low)
    noise = {"update": 0.3, "floor": 0.005 * scale, "read": 0.01 * scale}
    bent = {f"{name}_{side}": value for name, value in (("fall", 0.15), ("gamma", 2.0)) for side in ("up", "down")}
    chosen = noise | (bent if "fall_up" in guess else {})  # the guess of an exponential law is a straight line
    return {p.name: float(guess[p.name]) for p in candidate.parameters()} | chosen


@pytest.mark.few(1)
@pytest.mark.parametrize("update, floor", [(1e-3, 0.1 * US), (0.3, 0.01 * US)])
def test_likelihood_is_that_of_all_factors_that_a_train_may_have(update, floor):
    """Reads without noise: the density of 24 trains is an integral over their factors, spread by 0.3, done by quadrature.
    Within 0.2 of log likelihood in all; linearised about what a train has said so far alone it would be 4 to 6 off."""
    candidate, data = LinearPulses.of(soft(12, 40))
    noise = {"spread_up": 0.3, "spread_down": 0.3, "update": update, "floor": floor, "read": 1e-12}
    with jax.enable_x64(True):
        values = {n: jnp.asarray(v) for n, v in (truth_of(candidate, data) | noise).items()}
        data = jax.tree.map(np.asarray, candidate.simulate(values, data, key=jax.random.key(0)))
        found = float(np.sum(candidate.nll(values, data)))
        model = candidate.state_space(values, data)
        before, direction = (jnp.asarray(x) for x in (data["y"][:, :-1].T, data["direction"][:, 1:].T))
        law = np.stack([np.asarray(model.step(h, d)) for h, d in zip(before, direction, strict=True)], 1)
    u = np.linspace(-1.8, 1.8, 4001)
    step, seen = law[:, :, None] * np.exp(u), np.diff(data["y"], axis=1)[:, :, None]
    density = stats.norm.logpdf(seen, step, update * np.abs(step) + floor).sum(1) + stats.norm.logpdf(u, 0, 0.3)
    most = density.max(1, keepdims=True)
    exact = -np.sum(most[:, 0] + np.log(np.trapezoid(np.exp(density - most), u, axis=1)))
    assert found == pytest.approx(exact, abs=0.2)


@pytest.mark.slow
def test_reads_and_updates_are_told_apart():
    """Noise of reads 0.2 uS, of updates 30 % of a step, spread of devices 15 %: within four standard errors, and the
    model stands."""
    trace = soft()
    found = fit_candidate(*LinearPulses.of(trace), trace, starts=2)
    assert found.converged
    for name, value in (("read", 0.2 * US), ("update", 0.3)):
        assert abs(found.estimate[name] - value) < 4 * found.stderr[name], name
    assert not found.rejected
    assert found.measures["A/N up"] == pytest.approx(-1 / np.log1p(-0.04) / 60, rel=0.2)

    wrong = fit_candidate(*ConstantPulses.of(trace), trace, starts=2)
    assert any(c.rejected for c in wrong.checks if c.name == "lack of fit")
    assert wrong.bic > found.bic + 100

    _device_repeats_the_data(found, trace)


def _device_repeats_the_data(found, trace):
    """200 cells pulsed from where the data start: mean and spread of the last conductance as measured.

    The mean within four of its standard errors; the standard deviation of 12 values within a factor of two.
    """
    data = found.data
    with jax.enable_x64(True):
        laws = found.candidate.laws({n: jnp.asarray(v) for n, v in found.estimate.items()}, data)
        device = devices.Device(**laws)
        cells = device.program(jnp.full(200, 4.2 * US), key=jax.random.key(0))
        cells = device.pulse(cells, 60, key=jax.random.key(1))
        last = np.asarray(cells.g)
    seen = data["y"][data["side"] > 0][:, -1]
    assert abs(last.mean() - seen.mean()) < 4 * seen.std() / np.sqrt(len(seen))
    assert 0.5 < last.std() / seen.std() < 2
    np.testing.assert_allclose(float(device.update.cells.step), 0.15 / np.sqrt(2), rtol=0.7)


def test_padding_and_order_of_trains_change_nothing():
    """A train of another length beside it leaves a train's likelihood as it is, to rounding."""
    blocks = soft(2)
    one, both = blocks.where(blocks["device"] == 0), blocks.where((blocks["device"] == 0) | (blocks["pulse"] < 20))
    candidate, data = LinearPulses.of(one)
    values = truth_of(candidate, data)
    with jax.enable_x64(True):
        values = {n: jnp.asarray(v) for n, v in values.items()}
        alone, beside = (np.asarray(candidate.nll(values, pulse_data.trains(t))) for t in (one, both))
    np.testing.assert_allclose(alone, beside[:2], rtol=1e-10)
    assert len(beside) == 4


def test_sweeps_find_exact_exponentials():
    """A/N of curves without noise, growing and falling, to the grid's last digits."""
    n = np.arange(41) / 40
    curves = [(0, k, 1, 1e-6 + 1e-5 * np.expm1(-n / a) / np.expm1(-1 / a)) for k, a in enumerate((0.15, 0.6, -0.5))]
    found = sweeps(pulse_data.trains(trains(curves)))
    np.testing.assert_allclose(found.shape, [0.15, 0.6, -0.5], rtol=1e-4)
    np.testing.assert_allclose(found.nrmse, 0, atol=1e-5)


def test_normalised_trains_need_a_range_to_become_a_device():
    g = np.linspace(-1, 1, 30) + 0.02 * np.random.default_rng(0).standard_normal(30)
    for protocol, keys in (
        ({}, set()),
        ({"g_min": 1 * US, "g_max": 25 * US}, {"g_min", "g_max", "update", "read_noise"}),
    ):
        candidate, data = LinearPulses.of(trains([(0, 0, 1, g)], unit="1", **protocol))
        assert candidate.sides == ("up",)
        with jax.enable_x64(True):
            laws = candidate.laws({n: jnp.asarray(v) for n, v in truth_of(candidate, data).items()}, data)
        assert set(laws) == keys


def test_bad_trains_are_refused():
    with pytest.raises(FileError, match=r"direction=0 of a pulse; it must be \+1"):
        LinearPulses.of(trains([(0, 0, 0, np.arange(5.0))]))
    with pytest.raises(FileError, match="no train has two readings"):
        LinearPulses.of(trains([(0, k, 1, np.ones(1)) for k in range(5)]))
    with pytest.raises(FileError, match="have no logarithm"):
        LogPolynomialPulses.of(trains([(0, 0, 1, np.linspace(-1, 1, 20))], unit="1"))


@pytest.mark.slow
@pytest.mark.timeout(3600)  # the exponential takes a quarter of an hour
@pytest.mark.parametrize("model", [pytest.param(c, id=c.name) for c in CANDIDATES])
def test_intervals_hold_the_truth_as_often_as_they_say(model):
    """200 simulated sets of 40 devices, 60 pulses up and 60 down, 90 % intervals: 84 to 96 %."""
    candidate, data = model.of(soft(40))
    held, _ = coverage(candidate, data, truth_of(candidate, data), starts=1)
    assert {name: share for name, share in held.items() if not 0.84 <= share <= 0.96} == {}


@needs_data
def test_exponential_curves_through_1000_pulses_are_as_good_as_published_fits():
    """NeuroSim's exponential with free ends, least squares: R2 0.918 and 0.886, nRMSE of the range 0.0645 and 0.0652."""
    trace = _gong()
    found = sweeps(pulse_data.trains(trace))
    np.testing.assert_allclose(found.r2, [0.918, 0.886], atol=5e-4)
    np.testing.assert_allclose(found.nrmse, [0.0645, 0.0652], atol=5e-5)


def _gong():
    table = np.loadtxt(MEASURED / "gong_reram_pulse" / "gong_et_al.csv", delimiter=",")
    return trains([(0, 0, 1, table[:, 0]), (0, 0, -1, table[:, 1])], unit="1")


@needs_data
@pytest.mark.slow
def test_reads_of_1000_pulses_are_noisier_than_updates():
    """Noise of reads 4.0 % of the range by the covariance of increments, of updates 2.2 %: by likelihood within 0.3 and
    0.8 %."""
    trace = _gong()
    found = fit_candidate(*ExponentialPulses.of(trace), trace)
    span = np.ptp(trace["g"])
    typical = np.mean([found.candidate.shape.typical[side] for side in ("up", "down")])
    assert found.estimate["read"] / span == pytest.approx(0.040, abs=0.004)
    assert (found.estimate["floor"] + found.estimate["update"] * typical) / span == pytest.approx(0.022, abs=0.008)


@needs_data
@pytest.mark.slow
def test_400_cycles_of_a_floating_gate():
    """Curves through trains, and single steps of ln g: at least as good as an exponential for each train, and as a
    fifth-degree
    polynomial with coefficients that change linearly with the cycles."""
    trace = read(MEASURED / "yflash_cycling" / "data_cycle2cycle.txt")[0]
    found = fit_candidate(*LogPolynomialPulses.of(trace), trace)
    m = found.measures
    assert (round(m["NeuroSim R2 down"], 4), round(m["NeuroSim R2 up"], 4)) == (0.9997, 0.9958)
    assert (m["R2 down"], m["R2 up"]) >= (0.99965, 0.9958)
    assert m["nRMSE down"] < 0.00425
    assert m["nRMSE up"] < 0.0203
    assert m["R2 ln steps down"] > 0.573
    assert m["R2 ln steps up"] > 0.931
    assert m["sd ln steps down"] < 0.0217
    assert m["sd ln steps up"] < 0.0201
    assert m["A/N down"] == pytest.approx(0.167, abs=0.002)
    assert m["A/N up"] == pytest.approx(-0.603, abs=0.002)
    assert found.estimate["fatigue_up"] < -0.5


@needs_data
@pytest.mark.slow
def test_96_floating_gates():
    """Mean step of ln g and its standard deviation over devices: -0.201 +- 0.043 and +0.310 +- 0.075, to rounding."""
    trace = read(MEASURED / "yflash_cycling" / "data_device2device_prog_erase.txt")[0]
    found = fit_candidate(*LogPolynomialPulses.of(trace), trace)
    m = found.measures
    for side, mean, spread in (("down", -0.201, 0.043), ("up", 0.310, 0.075)):
        assert m[f"mean ln step {side}"] == pytest.approx(mean, abs=6e-4)
        assert m[f"spread of mean ln step {side}"] == pytest.approx(spread, abs=6e-4)
        # what trains move in all against what the fitted law says of their conductances: the same spread, otherwise found;
        # 15 % is twice the standard error of a standard deviation of 96
        assert found.estimate[f"spread_{side}"] == pytest.approx(spread_of_trains(found, side), rel=0.15)
    between = levels(*pulse_factors(found))
    assert between.between[0, 0] > 0


def spread_of_trains(found, side):
    """Standard deviation over trains of the logarithm of all steps over all steps of the law."""
    sign = 1.0 if side == "up" else -1.0
    g, step, train = pulse_data.increments(found.data, sign)
    law = getattr(found.candidate.shape.law(found.estimate), side)(jnp.asarray(g, jnp.float32))
    sums = [np.bincount(train, weights) for weights in (step, np.asarray(law, float))]
    used = np.bincount(train) > 0
    return np.std(np.log(sums[0][: len(used)][used] / sums[1][: len(used)][used]), ddof=1)


def pulse_factors(found):
    from devices.fitting.pulses.pulse_spread import factors

    return factors(found.candidate, found.estimate, found.data)
