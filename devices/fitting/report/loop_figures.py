"""Figures of I-V loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series
from devices.fitting.loops.loop_base import AbstractLoop


def loop_panels(candidate: AbstractLoop, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Loop, residuals, and the loop in decades."""
    model, turn = candidate.fitted(values, data), float(data["polarity"])
    linear, decades, rest = [], [], []
    for k in range(candidate.loops):
        on, name = data["used"][k] > 0, f"loop {k + 1}: " if candidate.loops > 1 else ""
        v, i, m = turn * data["v"][k][on], turn * data["i"][k][on], turn * model[k][on]
        linear += [Series(name + "measured", v, i, "points"), Series(name + "model", v, m, "line")]
        decades += [Series(name + "measured", v, np.abs(i), "points"), Series(name + "model", v, np.abs(m), "line")]
        rest.append(Series(name + "measured - model", v, i - m, "points"))
    volts, amps = "voltage [V]", "current [A]"
    return (
        Panel(f"{candidate.name}: loop", volts, amps, tuple(linear)),
        Panel(f"{candidate.name}: residuals", volts, "measured - modelled current [A]", tuple(rest)),
        Panel(f"{candidate.name}: loop, magnitude", volts, "|current| [A]", tuple(decades), y_scale="log"),
    )
