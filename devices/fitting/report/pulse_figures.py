"""Figures of pulse trains and of maps of single pulses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series
from devices.fitting.pulses import pulse_data
from devices.fitting.pulses.pulse_diagnostics import SIDES, diagnose
from devices.fitting.pulses.pulse_map_models import PulseMap
from devices.fitting.pulses.pulse_models import PulseTrain


def pulse_map_panels(candidate: PulseMap, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Mean change against voltage with the gate open, and residuals."""
    rows = candidate.predictions(values, data)
    open_gate = rows["v_gate"] >= np.quantile(rows["v_gate"], 0.6)
    pictures = []
    for decades in np.unique(rows["decades"].round(6))[[0, -1]]:
        of = open_gate & (np.abs(rows["decades"] - decades) < 1e-5)
        v = np.unique(rows["v"][of])
        label = f"{float(candidate.width) * 10**decades:.2g} s"
        seen, model = (np.array([rows[what][of & (rows["v"] == one)].mean() for one in v]) for what in ("y", "mean"))
        pictures += [Series(label, v, seen), Series(f"model, {label}", v, model, "line")]
    thin = slice(None, None, max(len(rows["y"]) // 2000, 1))
    z = ((rows["y"] - rows["mean"]) / rows["sd"])[thin]
    return (
        Panel("mean change, gate open", "pulse [V]", "log10 (g after / g before)", tuple(pictures)),
        Panel(
            "residuals",
            "probability of switching",
            "standardised residual",
            (Series("pulses", rows["p"][thin], z),),
        ),
    )


def pulse_panels(candidate: PulseTrain, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Trains under the law's curves, steps against conductance, and one-pulse-ahead errors."""
    seen, unit, shape = diagnose(candidate, values, data), candidate.shape.unit, candidate.shape
    axis, scale = f"conductance [{unit}]", "log" if candidate.decades else "linear"
    grid = (np.geomspace if candidate.decades else np.linspace)(shape.low, shape.high, 100)
    trains, steps, errors = [], [], []
    for side in candidate.sides:
        of = np.flatnonzero(np.asarray(data["side"]) == SIDES[side])
        for k in of[:: max(len(of) // 3, 1)][:3]:
            n = np.flatnonzero(np.isfinite(seen.course[k]))
            few = n[:: max(len(n) // 300, 1)]
            trains.append(Series(f"{side}, train {k + 1}", few.astype(float), data["y"][k][few]))
            trains.append(Series(f"law, train {k + 1}", n.astype(float), seen.course[k][n], "line"))
        g, step, _ = pulse_data.increments(data, SIDES[side], pulse_data.smoothing(data))
        thin = slice(None, None, max(len(g) // 1500, 1))
        steps += [Series(side, g[thin], step[thin]), Series(f"law, {side}", grid, shape.at(values, side, grid), "line")]
        along = np.isfinite(seen.error) & (np.asarray(data["direction"])[:, 1:] == SIDES[side])
        thin = slice(None, None, max(along.sum() // 1500, 1))
        errors.append(Series(side, seen.predicted[along][thin], seen.error[along][thin]))
    return (
        Panel("pulse trains", "pulses", axis, tuple(trains), y_scale=scale),
        Panel("one-pulse-ahead errors", axis, "standardised error", tuple(errors), x_scale=scale),
        Panel("steps", axis, f"step [{unit}]", tuple(steps), x_scale=scale),
    )
