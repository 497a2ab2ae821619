"""Figures of retention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.constants import BOLTZMANN_EV
from devices.fitting.engine.result import Panel, Series
from devices.fitting.retention.bake_models import Bake
from devices.fitting.retention.failure_models import Failures
from devices.fitting.retention.power_law_models import PowerLawRetention
from devices.fitting.retention.relaxation_measures import BAND, group_of, rounded_times
from devices.fitting.retention.relaxation_models import LogTime


def bake_panels(candidate: Bake, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Mean and spread of the change in a bake, and probabilities of the changes."""
    x, p = "conductance before the bake [S]", candidate.probabilities(values, data)
    mean, scale, _, share = candidate.change_distribution(values, data)
    middle, width = mean @ share, np.sqrt(((mean - (mean @ share)[:, None]) ** 2 + scale**2) @ share)
    changes, spreads = [], []
    for kelvin in np.unique(data["kelvin"]):
        rows = np.flatnonzero(data["kelvin"] == kelvin)
        rows = rows[np.argsort(data["g0"][rows])]
        parts = np.array_split(rows, max(min(len(rows) // 20, 24), 1))
        g0, d = np.array([data["g0"][r].mean() for r in parts]), data["g"] - data["g0"]
        for found, data_of, model in ((changes, np.mean, middle), (spreads, np.std, width)):
            found.append(Series(f"{kelvin:.0f} K", g0, np.array([data_of(d[r]) for r in parts])))
            found.append(Series(f"{kelvin:.0f} K, model", g0, np.array([model[r].mean() for r in parts]), "line"))
    few = np.linspace(0, len(p) - 1, min(len(p), 400)).astype(int)
    uniform = (few + 0.5) / len(p)
    return (
        Panel("mean change in a bake", x, "change of conductance [S]", tuple(changes)),
        Panel("spread of the change in a bake", x, "standard deviation [S]", tuple(spreads)),
        Panel(
            "residuals: probabilities of the changes", "probability, if the model is right", "probability by the model",
            (Series("cells", uniform, np.sort(p)[few]), Series("right model", uniform, uniform, "line")),
        ),
    )  # fmt: skip


def failure_panels(candidate: Failures, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Share of failed cells over time, and its difference from the model."""
    shares, rest = [], []
    for heat, edges, seen, expected in candidate.failure_counts(values, data):
        name, total = f"{heat / BOLTZMANN_EV:.0f} K", seen.sum()
        known = np.isfinite(edges)
        model = np.cumsum(expected)[known] / total
        error = np.sqrt(model * (1 - model) / total)  # binomial
        shares.append(Series(name, edges[known], np.cumsum(seen)[known] / total, error=error))
        shares.append(Series(f"{name}, model", edges[known], model, "line"))
        rest.append(Series(name, edges[known], (np.cumsum(seen - expected) / total)[known], error=error))
    time = "time since the write [s]"
    return (
        Panel("failed cells", time, "share that has failed", tuple(shares), "log", "linear"),
        Panel("residuals of failed cells", time, "measured - modelled share", tuple(rest), "log", "linear"),
    )


def relaxation_panels(
    candidate: LogTime | PowerLawRetention, values: Mapping[str, float], data: Any
) -> tuple[Panel, ...]:
    """Spread and shift over time in four ranges of conductance, data and model, and a quantile plot."""
    mean, scale, shape, *_ = candidate.marginal(values, data)
    group, used, times = group_of(data, 4), data["used"] > 0, rounded_times(data, 10)
    spreads, shifts = [], []
    for k in range(4):
        rows = group == k
        if not rows.any():
            continue
        name = f"{data['g0'][rows].min():.3g} to {data['g0'][rows].max():.3g} S"
        at = [rows[:, None] & (times == part) for part in np.unique(times[used])]
        at = [reads for reads in at if reads.sum() > max(4, rows.sum() / 20)]
        t = np.array([np.median(data["t"][reads]) for reads in at])
        half = np.array([np.subtract(*np.quantile((data["d"] - mean)[r], [BAND, 1 - BAND])) / 2 for r in at])
        width = np.array([np.median(scale[reads]) * shape.ppf(BAND) for reads in at])
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
