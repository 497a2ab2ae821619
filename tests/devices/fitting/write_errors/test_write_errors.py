"""Models of programming logs: write-verify to a window, and relaxation from there."""

import functools
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices import Device
from devices.fitting import coverage, fit_candidate
from devices.fitting.write_errors.write_error_models import MixtureErrors, NormalErrors, StudentErrors
from devices.instruments import FileError, Trace

US = 1e-6
TIMES = np.array([0.01, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])
NORMAL = {
    "shift_1": -0.06 * US, "shift_2": -0.1 * US,
    "spread_1": 0.8 * US, "spread_2": 1.6 * US, "spread_3": 0.8 * US, "spread_4": 0.5 * US,
    "t0": 3e-3, "noise": 0.4, "correlation": 6.0, "missed": 0.05,
}  # fmt: skip
STUDENT = {**NORMAL, "dof": 3.0}
MIXTURE = {**NORMAL, "share": 0.25, "widening": 4.0}


def log(cells=30, levels=8):
    """A protocol: every cell written to every level and read eight times; one write in twenty misses its window by 10 uS."""
    device, level = (v.ravel() for v in np.meshgrid(np.arange(cells), np.linspace(25, 120, levels) * US, indexing="ij"))
    g0 = level + 0.9 * US * np.sin(np.arange(len(level)))
    g0[::20] -= 10 * US
    row = np.repeat(np.arange(len(level)), len(TIMES))
    g = g0[row] + 2 * US * np.sin(np.arange(len(row)))
    columns = {"t": np.tile(TIMES, len(level)), "g": g, "g0": g0[row], "target": level[row], "device": device[row]}
    return Trace("programming", {**columns, "write": row, "g_low": level[row] - US, "g_high": level[row] + US})


def drawn(model, values, trace, seed=0):
    """The candidate for a trace, and data of it drawn from the model."""
    candidate, data = model.of(trace)
    with jax.enable_x64(True):
        truth = {n: jnp.asarray(v) for n, v in values.items()}
        return candidate, jax.tree.map(np.asarray, candidate.simulate(truth, data, key=jax.random.key(seed)))


@pytest.mark.slow
@pytest.mark.parametrize("model, values", [(NormalErrors, NORMAL), (StudentErrors, STUDENT), (MixtureErrors, MIXTURE)])
@pytest.mark.timeout(3600)
def test_intervals_hold_the_truth_as_often_as_they_say(model, values):
    """600 simulated sets, 90 % intervals: 84 to 96 % of them; chance alone puts the noise of the first 200 just outside."""
    candidate, data = model.of(log())
    held, _ = coverage(candidate, data, values, count=600)
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_tails_decide_between_the_models():
    """Student's t with 3 degrees of freedom: the normal model is rejected and has the larger BIC, the right one is neither."""
    trace = log()
    candidate, data = drawn(StudentErrors, STUDENT, trace)
    right = fit_candidate(candidate, data, trace)
    wrong = fit_candidate(NormalErrors.of(trace)[0], data, trace)
    assert wrong.rejected and wrong.bic > right.bic + 100
    assert not right.rejected, [c.sentence for c in right.checks]
    assert right.converged and right.estimate["dof"] == pytest.approx(3.0, abs=5 * right.stderr["dof"])


@pytest.mark.slow
def test_two_kinds_of_writes_are_told_from_one_heavy_tail():
    """A quarter of the writes four times as wide: the mixture is not rejected, and Student's t has the larger BIC."""
    trace = log()
    candidate, data = drawn(MixtureErrors, MIXTURE, trace)
    right = fit_candidate(candidate, data, trace)
    wrong = fit_candidate(StudentErrors.of(trace)[0], data, trace)
    assert wrong.bic > right.bic + 10
    assert not right.rejected, [c.sentence for c in right.checks]
    assert right.estimate["share"] == pytest.approx(0.25, abs=4 * right.stderr["share"])
    assert right.estimate["widening"] == pytest.approx(4.0, abs=4 * right.stderr["widening"])


@pytest.mark.slow
def test_likelihood_is_that_of_the_covariance_written_out():
    """Normal model: the sum over writes of a multivariate normal density with covariance
    s^2 (sqrt(l_i l_j) exp(-|l_i - l_j| / 6) + noise I)."""
    from scipy import stats

    candidate, data = drawn(NormalErrors, NORMAL, log(cells=2))
    with jax.enable_x64(True):
        values = {n: jnp.asarray(v) for n, v in NORMAL.items()}
        found = float(jnp.sum(candidate.nll(values, data)))
        shift, spread = (np.asarray(v) for v in candidate.curves(values, data))
        folds = np.asarray(candidate.folds(values, data))
    total = 0.0
    for k in range(len(shift)):
        a, b = folds[k][:, None], folds[k]
        cov = spread[k][:, None] * spread[k] * (np.sqrt(a * b) * np.exp(-np.abs(a - b) / 6) + 0.4 * np.eye(8))
        total -= stats.multivariate_normal(shift[k], cov).logpdf(data["d"][k])
    missed = (data["g0"] < data["low"]) | (data["g0"] > data["high"])
    away = np.maximum(data["low"] - data["g0"], data["g0"] - data["high"])[missed]
    total -= np.sum(~missed) * np.log(0.95) + np.sum(np.log(0.05 * (2 * US) / candidate.miss) - away / candidate.miss)
    total -= -len(missed) * np.log(2 * US)
    np.testing.assert_allclose(found, total, rtol=1e-9)


def test_reads_that_are_missing_change_nothing_else():
    """Dropping the last read of every other write from the table is the same as never having taken it."""
    trace = log(cells=4)
    late, some = trace["t"] == TIMES[-1], trace["write"] % 2 == 1
    short = trace.where(~(late & some))
    candidate, data = NormalErrors.of(short)
    whole, complete = NormalErrors.of(trace.where(~late))
    with jax.enable_x64(True):
        values = {n: jnp.asarray(v) for n, v in NORMAL.items()}
        less, more = (np.asarray(c.costs(values, d)) for c, d in ((whole, complete), (candidate, data)))
    np.testing.assert_allclose(more[1::2], less[1::2], rtol=1e-9)
    assert np.all(more[0::2] != less[0::2])


@pytest.mark.slow
def test_device_made_of_the_laws_does_as_the_data():
    """20 000 cells programmed to three levels: the share in the window and the width of the change at four times, to 4
    standard errors of the 90 writes of a level, and the share that misses its window."""
    trace = log(cells=90)
    candidate, data = drawn(StudentErrors, STUDENT, trace)
    found = fit_candidate(candidate, data, trace)
    laws = candidate.laws({n: jnp.asarray(v) for n, v in found.estimate.items()}, data)
    device = Device(**laws)
    for target in np.unique(data["target"])[[1, 3, 6]]:
        cells = device.program(jnp.full(20_000, target, jnp.float32), key=jax.random.key(1))
        rows = data["target"] == target
        low, high = target - US, target + US
        missed = np.mean((np.asarray(cells.g) < low * 0.999999) | (np.asarray(cells.g) > high * 1.000001))
        assert missed == pytest.approx(found.estimate["missed"], abs=0.006)
        for k in (0, 2, 4, 7):
            g = np.asarray(device.conductance(cells, float(TIMES[k])))
            drawn_g = data["g0"][rows] + data["d"][rows, k]
            share = np.mean((g > low) & (g < high))
            measured = np.mean((drawn_g > low) & (drawn_g < high))
            assert abs(share - measured) < 4 * np.sqrt(share * (1 - share) / rows.sum()) + 0.01
            change = np.subtract(*np.quantile(g - np.asarray(cells.g), [0.84, 0.16]))
            theirs = np.subtract(*np.quantile(data["d"][rows, k], [0.84, 0.16]))
            assert change == pytest.approx(theirs, rel=0.45)  # four errors of a quantile range of 90


@pytest.mark.slow
def test_a_log_without_windows_first_reads_or_numbers_of_writes_is_fitted():
    """Only the columns that a log must have: the first read stands for g0, and nothing is a miss: where writes start is
    taken from the data."""
    trace = log(cells=6)
    bare = Trace("programming", {n: trace[n] for n in ("target", "t", "g", "device")})
    candidate, data = NormalErrors.of(bare)
    assert data["d"].shape == (48, 7)
    found = fit_candidate(candidate, data, bare, starts=4)
    assert found.converged and "missed" not in {n.name for n in found.numbers}
    assert any("no windows were logged" in flag for flag in found.flags)
    laws = candidate.laws({n: jnp.asarray(v) for n, v in NORMAL.items()}, data)
    assert set(laws) == {"drift", "programming", "g_min", "g_max"}
    programming = laws["programming"]
    at = np.argmin(np.abs(np.asarray(programming.targets) - trace["target"][0]))
    first = data["g0"][data["target"] == trace["target"][0]] - trace["target"][0]
    np.testing.assert_allclose(np.asarray(programming.errors)[at, [0, -1]], np.quantile(first, [0.01, 0.99]), rtol=1e-4)


def test_a_log_without_times_is_refused():
    trace = log(cells=2)
    columns = {n: trace[n] for n in ("target", "g", "g0", "device")}
    with pytest.raises(FileError, match="time after the write"):
        StudentErrors.of(Trace("programming", {**columns, "t": np.zeros(len(trace))}))


FOLDER = pathlib.Path(os.environ.get("XBAR_DATA", "")) / "measured" / "rram_target_program"
FILES = {
    8: ("14scheme_testSBA_100_1025_8_Oct17.tsv.gz", -2.610, 5.5),
    28: ("14scheme_testours_100_104_4_Oct12.tsv.gz", -2.513, 4.6),
    7: ("13scheme_test_100_10_7_Dec6.tsv.gz", -1.851, 2.7),
}
measured = pytest.mark.skipif(not FOLDER.is_dir(), reason="XBAR_DATA names no folder with measured/rram_target_program")


@functools.cache
def fitted_log(levels):
    from devices.instruments import read

    (trace,) = read(FOLDER / FILES[levels][0])
    candidate, data = StudentErrors.of(trace)
    return candidate, data, fit_candidate(candidate, data, trace)


@pytest.mark.slow
@measured
@pytest.mark.parametrize("levels", [8, 28, 7])
def test_measured_logs_are_described_better_than_by_the_published_baseline(levels):
    """Mean log likelihood a read above that of a Student's t of sigma^2 = exp(poly2)(log10 t + tau), and its spread."""
    _, baseline, spread = FILES[levels]
    *_, found = fitted_log(levels)
    assert found.converged and found.measures["mean logL"] > baseline + 0.02
    at_one = next(v for n, v in found.measures.items() if n.startswith("sd of g - g0 at 1"))
    assert at_one / US == pytest.approx(spread, abs=0.06)
    assert 5 < found.estimate["correlation"] < 8  # e-folds: reads share less the farther they are apart


TOO_FEW = pytest.mark.xfail(
    strict=True, reason="0.08 too few after 1 s: quiet cells are quieter than Student's t has them"
)


@pytest.mark.slow
@measured
@pytest.mark.parametrize(
    "levels",
    [8, pytest.param(28, marks=pytest.mark.slow), pytest.param(7, marks=[pytest.mark.slow, TOO_FEW])],
)
def test_device_made_of_a_measured_log_keeps_as_many_reads_in_their_windows(levels):
    """After 1 s and 10 s, as many as were measured, to 0.06."""
    candidate, data, found = fitted_log(levels)
    device = Device(**candidate.laws({n: jnp.asarray(v) for n, v in found.estimate.items()}, data))
    targets = jnp.asarray(np.tile(data["target"], 20_000 // len(data["target"])), jnp.float32)
    cells = device.program(targets, key=jax.random.key(0))
    shape = (-1, len(data["target"]))
    for k in (4, 7):
        g = np.asarray(device.conductance(cells, float(np.median(data["t"][:, k])))).reshape(shape)
        by_device = np.mean((g >= data["low"]) & (g <= data["high"]))
        now = data["g0"] + data["d"][:, k]
        assert by_device == pytest.approx(np.mean((now >= data["low"]) & (now <= data["high"])), abs=0.06)
