"""Figures of merit of changes of conductance in time."""

from __future__ import annotations

from typing import Any

import numpy as np

BAND = 0.8413447460685429  # of a normal distribution lies below one standard deviation
_MICRO = 1e-6  # published likelihoods are of conductances in microsiemens


def group_of(data: Any, count: int) -> np.ndarray:
    """Which of `count` equally full ranges of conductance each write starts in."""
    edges = np.quantile(data["g0"], np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, data["g0"], side="right")


def rounded_times(data: Any, parts: int) -> np.ndarray:
    """Times of all reads in parts of a decade, rounded; NaN where there is no read."""
    used = data["used"] > 0
    return np.where(used, np.round(parts * np.log10(np.where(used, data["t"], 1.0))), np.nan)


def measures(mean: np.ndarray, scale: np.ndarray, shape: Any, data: Any, g_max: float) -> dict[str, float]:
    """Mean log likelihood per read, as if reads were independent [per uS], and how well the variance is described in 32
    ranges of conductance at every time (times are rounded to half decades)."""
    used = data["used"] > 0
    z = (data["d"] - mean) / scale
    found = {"mean logL": float(np.mean((shape.logpdf(z) - np.log(scale / _MICRO))[used]))}
    ranges, times = np.floor(data["g0"] / g_max * 32), rounded_times(data, 2)
    pairs = []
    for at in np.unique(times[used]):
        for r in np.unique(ranges[ranges < 32]):
            rows = (ranges == r)[:, None] & (times == at)
            if rows.sum() >= 20:
                d, m, s = data["d"][rows], mean[rows], scale[rows]
                half = np.subtract(*np.quantile(d, [BAND, 1 - BAND])) / 2
                pairs.append((np.var(d), np.mean(s**2) * shape.var() + np.var(m), half, np.median(s) * shape.ppf(BAND)))
    if len(pairs) > 2:
        variance, model, half, width = np.array(pairs).T
        found["R2 of spread"] = 1 - float(np.sum((half - width) ** 2) / np.sum((half - half.mean()) ** 2))
        if np.isfinite(model).all():
            found["R2 of variance"] = 1 - float(
                np.sum((variance - model) ** 2) / np.sum((variance - variance.mean()) ** 2)
            )
            found["relative RMS of variance"] = float(np.sqrt(np.mean((model / variance - 1) ** 2)))
            found["RMS ln variance"] = float(np.sqrt(np.mean(np.log(model / variance) ** 2)))
    return found
