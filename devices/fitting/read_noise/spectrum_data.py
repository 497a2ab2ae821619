"""Series of reads as spectra: a tapered periodogram in narrow bins for the likelihood, and Welch's for the eye."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import signal
from scipy.signal import windows

from devices.fitting.read_noise import lines
from devices.instruments.trace import FileError, Trace

TAPER = 0.1  # share of the series under the cosine ends of the taper
SHARE = (1 - 5 * TAPER / 8) ** 2 / (1 - 93 * TAPER / 128)  # independent ordinates in one tapered ordinate, 0.95
WIDTH = 0.08  # of a bin in ln f, where there are ordinates enough
COMBS = 10  # blocks: every tenth bin, so that a block left out lies between others
SEGMENT = 32768  # of Welch's spectrum, at most
FEWEST = 256  # reads


def series(trace: Trace) -> tuple[np.ndarray, float]:
    """Reads (reads x cells, as long as the shortest cell's) and their rate [Hz].

    Raises:
        FileError: if the rate is unknown, the reads are not evenly spaced, too few, missing, or do not vary.
    """
    parts = list(trace.split())
    reads = min(len(p) for p in parts)
    if reads < FEWEST:
        raise FileError(f"{trace.name}: {reads} reads of a cell; a spectrum needs {FEWEST} or more. Record longer.")
    g = np.stack([p["g"][:reads] for p in parts], 1)
    if not np.isfinite(g).all() or (g.mean(0) <= 0).any() or (np.ptp(g, axis=0) == 0).any():
        raise FileError(
            f"{trace.name}: a series has missing values, a mean of zero or less, or never changes; noise needs evenly "
            "spaced, "
            "positive conductances that vary. Cut the series to a stretch without gaps."
        )
    return g, _rate(trace, parts[0])


def _rate(trace: Trace, part: Trace) -> float:
    if "rate" in trace.protocol:
        return float(trace.protocol["rate"])
    if "t" not in part:
        raise FileError(
            f"{trace.name}: the rate of the reads is unknown. Give `rate` [Hz] in the sidecar file, or a time column."
        )
    steps = np.diff(part["t"])
    step = float(np.median(steps))
    if step <= 0 or np.mean(np.abs(steps - step) > 0.1 * step) > 0.01:
        raise FileError(
            f"{trace.name}: reads are not evenly spaced (median step {step:.3g} s, more than 1 % of them off by over "
            "10 %); "
            "a spectrum needs a fixed rate. Resample, or cut to an even stretch."
        )
    return 1 / step


def relative(g: np.ndarray) -> np.ndarray:
    """Fluctuation relative to the mean, less its straight line in time."""
    return signal.detrend(g / g.mean(0) - 1, axis=0)


def protocol(reads: int, rate: float, cells: int) -> dict[str, Any]:
    """Frequencies of the bins [Hz], ordinates in each, and what else the likelihood needs, without readings.

    Bins are `WIDTH` wide in ln f but hold one ordinate at least; the first ordinate is left out, since the straight
    line took its share of it, and padding bins hold none.
    """
    ordinates = np.arange(2, (reads - 1) // 2 + 1)
    edge = np.floor(np.log(ordinates) / WIDTH)
    place = np.unique(edge, return_inverse=True)[1]
    count = np.bincount(place).astype(float)
    f = np.exp(np.bincount(place, np.log(ordinates)) / count) * rate / reads
    pad = -len(f) % COMBS
    return {
        "f": np.pad(f, (0, pad), constant_values=rate / 4),
        "count": np.pad(count, (0, pad)),
        "power": np.full((len(f) + pad, cells), 1 / rate),
        "rate": np.asarray(rate, float),
        "reads": np.asarray(reads, float),
        "g": np.ones(cells),
        "masked": np.zeros(cells),
        "lines": np.zeros((0, len(lines.Line._fields))),
        "drift": np.zeros(cells),
        "welch_f": np.ones(24),
        "welch": np.zeros((24, cells)),
    }


def spectra(trace: Trace) -> dict[str, Any]:
    """The likelihood's data: binned periodogram [1/Hz] of each cell, relative to its mean squared."""
    g, rate = series(trace)
    x = relative(g)
    reads = len(x)
    taper = windows.tukey(reads, TAPER)
    periodogram = lambda x: np.abs(np.fft.rfft(x * taper[:, None], axis=0)) ** 2 * (2 / (rate * np.sum(taper**2)))  # noqa: E731
    power = periodogram(x)
    data = protocol(reads, rate, x.shape[1])
    bins = np.repeat(np.arange(len(data["f"])), data["count"].astype(int))
    masked, found = lines.find(power, rate, reads)
    x = lines.without(x, rate, found)
    left = periodogram(x)[2 : 2 + len(bins)]
    power, masked = power[2 : 2 + len(bins)], masked[2 : 2 + len(bins)]
    data["count"] = np.bincount(bins, ~masked, len(data["f"])).astype(float)
    for cell in range(x.shape[1]):
        total = np.bincount(bins, left[:, cell] * ~masked, len(data["f"]))
        data["power"][:, cell] = np.where(data["count"] > 0, total / np.maximum(data["count"], 1), 1 / rate)
    # lines are taken as explained: their ordinates count as the density at its best
    data["masked"] = np.sum(np.log(np.maximum(power[masked], 1e-300) * rate / 2) + 1, 0)
    data["lines"] = np.array(found, float).reshape(-1, len(lines.Line._fields))
    data["drift"] = drift(g)
    data["g"] = g.mean(0)
    data["welch_f"], data["welch"] = _welch(x, rate, data["lines"][:, 0])
    return data


def drift(g: np.ndarray) -> np.ndarray:
    """Change of each cell over the record, of its straight line in time, relative to the line's start."""
    slope, middle = np.polyfit(np.arange(len(g)) / (len(g) - 1) - 0.5, g, 1)
    return slope / (middle - slope / 2)


def drift_error(density: Callable[[np.ndarray], np.ndarray], reads: int, rate: float) -> np.ndarray:
    """Standard error of `drift` due to noise of density S/G^2 [1/Hz].

    $$ \\mathrm{var} = \\int S(f) |W(f)|^2 df $$

    with W the transform of the weights of least squares; it falls off at low f, where S grows.
    """
    n = min(reads, 4096)  # the weights are smooth: fewer of them give the same
    at = np.arange(n) / (n - 1) - 0.5
    step = rate * n / reads / (16 * n)
    transfer = np.abs(np.fft.rfft(at / np.sum(at**2), 16 * n))[1:] ** 2
    f = step * np.arange(1, len(transfer) + 1)
    return np.sqrt(np.sum(density(f) * transfer[:, None], 0) * step)


def _welch(x: np.ndarray, rate: float, without: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Welch's spectrum in 24 logarithmic bins from its second frequency to 0.475 of the rate, less the
    neighbourhood of lines [Hz]; 0 where a bin is empty."""
    f, p = (s[2:] for s in signal.welch(x, rate, nperseg=min(SEGMENT, len(x) // 3), axis=0))
    near = np.abs(f[:, None] - without).min(1, initial=np.inf) < 4 * f[1] - 4 * f[0]
    kept = (f <= 0.475 * rate) & ~near
    f, p = f[kept], p[kept]
    place = np.clip(np.digitize(f, np.geomspace(f[0], f[-1], 25)) - 1, 0, 23)
    count = np.maximum(np.bincount(place, minlength=24), 1)
    sums = [np.bincount(place, column, 24) / count for column in (f, *p.T)]
    return np.where(sums[0] > 0, sums[0], 1.0), np.stack(sums[1:], 1)
