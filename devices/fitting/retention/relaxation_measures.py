"""Pictures and figures of merit of changes of conductance in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series

_BAND = 0.8413447460685429  # of a normal distribution lies below one standard deviation
_MICRO = 1e-6  # published likelihoods are of conductances in microsiemens


def group_of(data: Any, count: int) -> np.ndarray:
    """Which of `count` equally full ranges of conductance each write starts in."""
    edges = np.quantile(data["g0"], np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, data["g0"], side="right")


def _times(data: Any, parts: int) -> np.ndarray:
    """Times of all reads in parts of a decade, rounded; NaN where there is no read."""
    used = data["used"] > 0
    return np.where(used, np.round(parts * np.log10(np.where(used, data["t"], 1.0))), np.nan)


def measures(mean: np.ndarray, scale: np.ndarray, shape: Any, data: Any, g_max: float) -> dict[str, float]:
    """Mean log likelihood a read, as if reads were independent [per uS], and how well the variance is described in 32
    ranges of conductance at every time (times are rounded to half decades)."""
    used = data["used"] > 0
    z = (data["d"] - mean) / scale
    found = {"mean logL": float(np.mean((shape.logpdf(z) - np.log(scale / _MICRO))[used]))}
    ranges, times = np.floor(data["g0"] / g_max * 32), _times(data, 2)
    pairs = []
    for at in np.unique(times[used]):
        for r in np.unique(ranges[ranges < 32]):
            rows = (ranges == r)[:, None] & (times == at)
            if rows.sum() >= 20:
                d, m, s = data["d"][rows], mean[rows], scale[rows]
                half = np.subtract(*np.quantile(d, [_BAND, 1 - _BAND])) / 2
                pairs.append(
                    (np.var(d), np.mean(s**2) * shape.var() + np.var(m), half, np.median(s) * shape.ppf(_BAND))
                )
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


def panels(mean: np.ndarray, scale: np.ndarray, shape: Any, data: Any) -> tuple[Panel, ...]:
    """Spread and shift over time in four ranges of conductance, data and model, and a quantile plot."""
    group, used, times = group_of(data, 4), data["used"] > 0, _times(data, 10)
    spreads, shifts = [], []
    for k in range(4):
        rows = group == k
        if not rows.any():
            continue
        name = f"{data['g0'][rows].min():.3g} to {data['g0'][rows].max():.3g} S"
        at = [rows[:, None] & (times == part) for part in np.unique(times[used])]
        at = [reads for reads in at if reads.sum() > max(4, rows.sum() / 20)]
        t = np.array([np.median(data["t"][reads]) for reads in at])
        half = np.array([np.subtract(*np.quantile((data["d"] - mean)[r], [_BAND, 1 - _BAND])) / 2 for r in at])
        width = np.array([np.median(scale[reads]) * shape.ppf(_BAND) for reads in at])
        spreads += [Series(name, t, half), Series(f"{name}, model", t, width, "line")]
        moved = np.array([np.median(data["d"][reads]) for reads in at])
        shifts += [
            Series(name, t, moved),
            Series(f"{name}, model", t, np.array([np.median(mean[reads]) for reads in at]), "line"),
        ]
    time = "time since the write [s]"
    z = np.sort(((data["d"] - mean) / scale)[used])
    p = (np.arange(len(z)) + 0.5) / len(z)
    few = np.unique(np.round(np.linspace(0, 1, 400) ** 1.0 * (len(z) - 1)).astype(int))
    expected = shape.ppf(p[few])
    return (
        Panel("spread of the change", time, "half of 16 to 84 % range [S]", tuple(spreads), "log", "linear"),
        Panel("median change", time, "change of conductance [S]", tuple(shifts), "log", "linear"),
        Panel(
            "quantiles of the change", "model, in units of its scale", "data, in units of the model's scale",
            (Series("reads", expected, z[few]), Series("model", expected, expected, "line")), "symlog", "symlog",
        ),
    )  # fmt: skip
