"""Figures of programming errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series
from devices.fitting.report.retention_figures import relaxation_panels
from devices.fitting.write_errors.final_error_models import FinalErrors
from devices.fitting.write_errors.write_error_models import WriteErrors


def write_error_panels(candidate: WriteErrors, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Changes after the write; before them the share of reads within the window, where only that is known."""
    changes = relaxation_panels(candidate, values, data)
    if candidate.errors is not None:
        return changes
    t, measured, model = candidate.in_window(values, data)
    error = np.sqrt(measured * (1 - measured) / np.sum(data["used"], 0))
    window = Panel(
        "reads within the window", "time since the write [s]", "share of writes",
        (Series("measured", t, measured, error=error), Series("model", t, model, "line")), "log", "linear",
    )  # fmt: skip
    return (window, *changes)


def final_error_panels(candidate: FinalErrors, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Errors over targets, with the standard deviation of the model on both sides; and residuals in standard deviations."""
    target = np.asarray(candidate.targets)
    error, sd = data["g"] - data["target"], np.sqrt(values["sd_floor"] ** 2 + (values["sd_relative"] * target) ** 2)
    lines = (
        Series("measured", data["target"], error),
        Series("model, bias + sd", target, values["bias"] + sd, "line"),
        Series("model, bias - sd", target, values["bias"] - sd, "line"),
    )
    scores = Series("write", data["target"], candidate.scores(values, data))
    return (
        Panel("Write errors", "target [S]", "g - target [S]", lines, "log", "linear"),
        Panel("Residuals", "target [S]", "error [sd of the model]", (scores,), "log", "linear"),
    )
