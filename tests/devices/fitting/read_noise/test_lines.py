"""Lines of the mains in spectra of reads, and drift: named, and out of the way of the noise."""

import numpy as np
import pytest

from devices.fitting.read_noise import lines
from devices.fitting.read_noise.spectrum_data import drift_error, spectra
from devices.fitting.read_noise.spectrum_models import PowerSpectrum, spectrum_notes
from devices.instruments import Trace

READS, RATE, K, B, W = 8192, 23.7, 5e-6, 1.2, 1.5e-5


def reads(f=60.0, amplitude=0.01, drift=-0.03, seed=0, rate=RATE):
    """Noise of K/f^b + w, a line at instants, and a straight line in time."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(2 * READS, 1 / rate)[1:]
    size = np.sqrt((K * frequency**-B + W) * rate * READS / 2)
    drawn = size * (rng.standard_normal(READS) + 1j * rng.standard_normal(READS))
    noise = np.fft.irfft(np.append(0, drawn))[:READS]
    t = np.arange(READS) / rate
    x = 1 + noise + amplitude * np.sin(2 * np.pi * f * t + 0.3) + drift * t / t[-1]
    return Trace("noise", {"t": t, "g": 1e-4 * x})


@pytest.mark.parametrize(
    "f, rate, words",
    [
        (60.0, RATE, "60 Hz, aliased"),
        (100.0, RATE, "50 Hz times 2, aliased"),
        (50.0, 400.0, "50 Hz."),
        (7.3, RATE, "not a harmonic of the mains"),
    ],
)
def test_a_line_is_found_and_named(f, rate, words):
    data = spectra(reads(f, rate=rate))
    [line] = data["lines"]
    said = spectrum_notes(data)
    assert line[0] == pytest.approx(lines.alias(f, rate), abs=2 * rate / READS)
    assert line[1] == pytest.approx(0.01 / np.sqrt(2), rel=0.15)
    assert words in said[0]


def test_noise_alone_has_no_line():
    """1e-4 of records may be said to have one."""
    assert all(len(spectra(reads(amplitude=0.0, seed=k))["lines"]) == 0 for k in range(20))


def test_the_spectrum_beside_a_line_is_that_of_noise():
    """A line of 3000 times the level: the likelihood of the truth is that without it, to what the masked ordinates carry."""
    model, values = PowerSpectrum(1), {"K": K, "b": B, "w": W}
    z = [model.scores(values, spectra(reads(amplitude=a, seed=3)))[:, 0] for a in (0.0, 0.02)]
    assert np.max(np.abs(z[1])) < 4
    assert np.mean(z[1] ** 2) == pytest.approx(np.mean(z[0] ** 2), abs=0.15)


def test_drift_is_reported_with_the_error_that_noise_makes():
    """40 records of -3 %: their scatter is the error, to 4 of its standard errors (11 %)."""
    found = np.array([spectra(reads(seed=k))["drift"][0] for k in range(40)])
    error = drift_error(lambda f: (K * f**-B + W)[:, None], READS, RATE)[0]
    assert np.mean(found) == pytest.approx(-0.03, abs=4 * error / np.sqrt(40))
    assert np.std(found) == pytest.approx(error, rel=0.45)
    assert "a drift of -" in spectrum_notes(spectra(reads()))[-1]
