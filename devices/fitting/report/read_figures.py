"""Figures of read I-V curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series
from devices.fitting.reads.read_iv_base import OhmicRead


def read_iv_panels(candidate: OhmicRead, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Currents of seven cells, residuals, and offsets."""
    g, offset, _, _, f, _ = candidate.fitted_arrays(values, data)
    residual = data["i"] - g[:, None] * f - offset[:, None]
    shown = np.argsort(g)[np.linspace(0, len(g) - 1, min(len(g), 7)).astype(int)]
    curves, said = [], _labels(g[shown])
    for c, label in zip(shown, said, strict=True):
        used = data["used"][c] > 0
        order = np.flatnonzero(used)[np.argsort(data["v"][c][used])]
        v = data["v"][c, order]
        curves += [
            Series(label, v, data["i"][c, order] - offset[c]),
            Series(f"{label}, model", v, g[c] * f[c, order], "line"),
        ]
    rest = [
        Series(label, data["v"][c][data["used"][c] > 0], residual[c][data["used"][c] > 0])
        for c, label in zip(shown, said, strict=True)
    ]
    return (
        Panel("Read current", "voltage [V]", "current less offset [A]", tuple(curves)),
        Panel("Residuals", "voltage [V]", "current [A]", tuple(rest)),
        Panel("Offset", "conductance [S]", "offset [A]", (Series("cells", g, offset),)),
    )


def _labels(g: np.ndarray) -> list[str]:
    """A cell by its conductance, and by its rank where another shows the same."""
    shown = [f"{one * 1e6:.3g} uS" for one in g]
    return [s if shown.count(s) == 1 else f"{s} (no. {k + 1})" for k, s in enumerate(shown)]
