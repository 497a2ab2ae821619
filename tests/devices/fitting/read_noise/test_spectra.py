"""Noise spectra: Whittle's likelihood of power laws, floors and Lorentzians; cells and their population."""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.fitting import coverage, fit_candidate
from devices.fitting.read_noise.spectrum_data import protocol, spectra
from devices.fitting.read_noise.spectrum_models import (
    LorentzianSpectrum,
    PowerAndLorentzian,
    PowerAndTwoLorentzians,
    PowerSpectrum,
    WhiteSpectrum,
)
from devices.fitting.read_noise.spectrum_population import PopulationSpectrum
from devices.instruments import FileError, Trace

FILE = pathlib.Path(os.environ.get("XBAR_DATA", "")) / "measured" / "rram_relaxation" / "techA" / "tsdata.min.tsv.gz"
measured = pytest.mark.skipif(not FILE.is_file(), reason="needs the measured data: XBAR_DATA")
TRUTH = {"w": 1e-7, "K": 1e-5, "b": 1.2, "s1": 6e-3, "f1": 1.0, "s2": 8e-3, "f2/f1": 40.0}
RATE = 400.0


def power_noise(reads, k, b, w, seed=0):
    """Relative fluctuation with S = k/f^b + w, cut from a record eight times as long so that slower noise leaks in
    as it does in life."""
    rng = np.random.default_rng(seed)
    many = 8 * reads
    f = np.fft.rfftfreq(many, 1 / RATE)[1:]
    size = np.sqrt((k / f**b + w) * RATE * many / 4)
    line = np.concatenate([[0], size * (rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f)))])
    return np.fft.irfft(line, many)[:reads]


def trace_of(*cells, mean=5e-5):
    g = np.concatenate([mean * (1 + x) for x in cells])
    device = np.repeat(np.arange(len(cells)), len(cells[0])).astype(float)
    return Trace("noise", {"g": g, "device": device}, protocol={"rate": RATE})


def fitted(candidate, trace, **options):
    return fit_candidate(*candidate.of(trace), trace, **options)


def check_coverage(candidate, reads=20_000):
    model = candidate(1)
    held, _ = coverage(model, protocol(reads, RATE, 1), {p.name: TRUTH[p.name] for p in model.parameters()})
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_intervals_hold_the_truth():
    """200 sets of ordinates, 90 % intervals: 84 to 96 % of them."""
    check_coverage(PowerSpectrum)


@pytest.mark.slow
@pytest.mark.parametrize("candidate", [WhiteSpectrum, LorentzianSpectrum, PowerAndLorentzian, PowerAndTwoLorentzians])
def test_intervals_hold_the_truth_slow(candidate):
    check_coverage(candidate, 100_000)


@pytest.mark.slow
def test_intervals_hold_for_series_too():
    """From reads to intervals: 6 cells of steep noise (b = 1.4) with a floor, 18 intervals of 90 %; fewer than 13 within
    would happen to right ones in 1 case of 160."""
    truth = {"K": 1e-5, "b": 1.4, "w": 1e-7}
    series = [power_noise(8192, 1e-5, 1.4, 1e-7, seed=k) for k in range(6)]
    found = fitted(PowerSpectrum, trace_of(*series), starts=1)
    inside = [n.low <= truth[n.name.split("_")[0]] <= n.high for n in found.numbers]
    assert sum(inside) >= 13, sum(inside)
    exponents = [n.value for n in found.numbers if n.name.startswith("b")]
    assert np.mean(exponents) == pytest.approx(1.4, abs=0.08)


@pytest.mark.slow
def test_wrong_spectra_are_rejected_and_the_right_one_is_not():
    """Power law with floor: white and Lorentzian spectra fail the tests, the power law passes and has the lowest
    BIC."""
    trace = trace_of(power_noise(20_000, 1e-5, 1.2, 1e-7))
    fits = {c.name: fitted(c, trace, starts=12) for c in (WhiteSpectrum, LorentzianSpectrum, PowerSpectrum)}
    assert fits["white"].rejected
    assert fits["lorentzian"].rejected
    assert not fits["1/f"].rejected, fits["1/f"].checks
    assert fits["1/f"].bic == min(f.bic for f in fits.values())


def test_likelihood_of_white_noise_is_the_density_of_the_series():
    """So that it compares with hidden Markov models of the same reads: N/2 (1 + ln 2 pi s^2), within 2 % of a nat a
    read... 3 nats."""
    x = 0.02 * np.random.default_rng(3).standard_normal(10_000)
    found = fitted(WhiteSpectrum, trace_of(x), starts=4)
    normal = 5000 * (1 + np.log(2 * np.pi * np.var(x)))
    # 330 bins' worth of saturation: the mean of a bin's ordinates scatters, which costs its own log
    assert found.nll == pytest.approx(normal, abs=100)
    assert found.estimate["w"] == pytest.approx(2 * 0.02**2 / RATE, rel=0.05)


@pytest.mark.slow
def test_laws_reproduce_the_variance_of_reads():
    """Variance that the law gives a read of the same bandwidth, over the record's length, against the series': 25 %,
    since the slowest octave is one draw."""
    x = power_noise(20_000, 1e-5, 1.0, 1e-6)
    found = fitted(PowerSpectrum, trace_of(x), starts=6)
    with jax.enable_x64(True):
        noise = found.candidate.laws({n: jnp.asarray(v) for n, v in found.estimate.items()}, found.data)["read_noise"]
        g = jnp.full(3, 5e-5)
        z = noise.latents(g, key=jax.random.key(0))
        variance = np.asarray(noise(g, z, jnp.asarray(20_000 / RATE), jnp.asarray(RATE / 2)))
    np.testing.assert_allclose(variance, np.var(5e-5 * x), rtol=0.25)


def population(cells=30, seed=0):
    """Data of a population of cells between 5 and 200 uS, whose own fits are known to a few per cent."""
    g = np.geomspace(5e-6, 2e-4, cells)
    spread = np.tile(np.diag([1e-4, 4e-3, 4e-4]), (cells, 1, 1))
    x = np.log(g) - np.mean(np.log(g))
    return {
        "x": x,
        "g": g,
        "mean": np.zeros((cells, 3)),
        "spread": spread,
        "nll": np.zeros(cells),
        "reads": np.asarray(1e4),
    }


POPULATION = {"K": 1e-5, "p": 1.5, "s_K": 0.6, "b": 1.15, "s_b": 0.1, "w": 1e-8, "q": 1.0, "s_w": 0.3}


@pytest.mark.slow
def test_intervals_of_a_population_hold_the_truth():
    """200 sets of 30 cells, 90 % intervals: 84 to 96 % of them."""
    held, _ = coverage(PopulationSpectrum(), population(), POPULATION)
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_population_is_found_from_series():
    """Twelve cells whose amplitude falls as G^-1.5: slope within 3 errors, exponent too; the law's curve goes
    through the cells."""
    g = np.geomspace(1e-5, 2e-4, 12)
    k = 1e-5 * (g / 4.5e-5) ** -1.5
    cells = [power_noise(4096, k[c], 1.2, k[c] / 50, seed=c) for c in range(12)]
    trace = Trace(
        "noise",
        {
            "g": np.concatenate([c * (1 + x) for c, x in zip(g, cells, strict=True)]),
            "device": np.repeat(np.arange(12.0), 4096),
        },
        protocol={"rate": RATE},
    )
    found = fitted(PopulationSpectrum, trace, starts=4)
    assert not found.rejected, found.checks
    for name, truth in (("p", 1.5), ("b", 1.2)):
        assert found.estimate[name] == pytest.approx(truth, abs=3 * found.stderr[name] + 0.02)
    with jax.enable_x64(True):
        law = found.candidate.laws({n: jnp.asarray(v) for n, v in found.estimate.items()}, found.data)[
            "read_noise"
        ].parts[1]
        amplitude = np.asarray(law.amplitude(jnp.asarray(g), jnp.asarray(g)))
    np.testing.assert_allclose(amplitude**2, k * g**2, rtol=0.3)


def test_padding_holds_nothing():
    """Bins added to fill the blocks do not change the likelihood."""
    data = spectra(trace_of(power_noise(2000, 1e-5, 1.2, 1e-7)))
    more = {**data, "f": np.pad(data["f"], (0, 10), constant_values=50.0), "count": np.pad(data["count"], (0, 10))}
    more["power"] = np.pad(data["power"], ((0, 10), (0, 0)), constant_values=1.0)
    with jax.enable_x64(True):
        values = {n: jnp.asarray(TRUTH[n]) for n in ("w", "K", "b")}
        one, two = (float(jnp.sum(PowerSpectrum(1).nll(values, d))) for d in (data, more))
    assert one == pytest.approx(two, rel=1e-12)


def test_bad_series_are_refused():
    g = 5e-5 * (1 + 0.01 * np.random.default_rng(0).standard_normal(400))
    with pytest.raises(FileError, match="100 reads of a cell; a spectrum needs 256"):
        PowerSpectrum.of(Trace("noise", {"g": g[:100]}, protocol={"rate": RATE}))
    with pytest.raises(FileError, match="rate of the reads is unknown"):
        PowerSpectrum.of(Trace("noise", {"g": g}))
    with pytest.raises(FileError, match="not evenly spaced"):
        PowerSpectrum.of(Trace("noise", {"g": g, "t": np.cumsum(np.random.default_rng(1).exponential(1, 400))}))
    with pytest.raises(FileError, match="missing values"):
        PowerSpectrum.of(Trace("noise", {"g": np.where(np.arange(400) == 7, np.nan, g)}, protocol={"rate": RATE}))
    with pytest.raises(FileError, match="1 cells; a law of many cells needs 4"):
        PopulationSpectrum.of(Trace("noise", {"g": g}, protocol={"rate": RATE}))


def series_of_file():
    """Five cells, one a line: address, range, reads."""
    table = np.loadtxt(FILE)
    return [Trace("noise", {"g": row[2:]}, protocol={"rate": RATE}) for row in table]


REFERENCE = (0.46, 0.30, 0.27, 0.36, 0.13)  # RMS ln of A/f^b + W
AMPLITUDE = (2.3e-4, 1.0e-4, 4.9e-6, 3.0e-6, 1.8e-7)  # S/G^2 at 1 Hz


@pytest.mark.slow
@measured
@pytest.mark.parametrize("chosen", [(4,), pytest.param((0, 1, 2, 3), marks=pytest.mark.slow)])
def test_measured_cells_meet_the_reference_spectra(chosen):
    """RMS of ln(Welch in 24 bins .02-190 Hz / model). The reference power law was fitted to that very number, to two digits;
    with a Lorentzian or two the same fit is better, but in the last cell, where a power law is all there is."""
    series = series_of_file()
    for k in chosen:
        trace, rms, amplitude = series[k], REFERENCE[k], AMPLITUDE[k]
        power, best = (fitted(c, trace, starts=12, advise=False) for c in (PowerSpectrum, PowerAndTwoLorentzians))
        assert power.measures["RMS ln, least squares"] < rms + 0.0055
        assert best.measures["RMS ln, least squares"] < rms + (-0.05 if k < 4 else 0.0055)
        assert abs(np.log(power.estimate["K"] / amplitude)) < 0.75


@pytest.mark.slow
@measured
def test_measured_cells_need_more_than_a_power_law_but_for_one():
    series = series_of_file()
    gains = []
    for trace in (series[0], series[4]):
        power, more = (fitted(c, trace, starts=12) for c in (PowerSpectrum, PowerAndLorentzian))
        gains.append(power.bic - more.bic)
        assert not min(power, more, key=lambda f: f.bic).rejected
    assert gains[0] > 100
    assert gains[1] < 0
