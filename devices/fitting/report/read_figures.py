"""Pictures of read I-V curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devices.fitting.engine.result import Panel, Series
from devices.fitting.reads.read_iv_base import OhmicRead


def read_iv_panels(candidate: OhmicRead, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Currents of eight cells, residuals, and offsets."""
    g, offset, _, _, f, _ = candidate.fitted_arrays(values, data)
    residual = data["i"] - g[:, None] * f - offset[:, None]
    shown = np.argsort(g)[np.linspace(0, len(g) - 1, min(len(g), 8)).astype(int)]
    curves = []
    for c in shown:
        used = data["used"][c] > 0
        order = np.flatnonzero(used)[np.argsort(data["v"][c][used])]
        v = data["v"][c, order]
        curves += [
            Series(f"{g[c] * 1e6:.3g} uS", v, data["i"][c, order] - offset[c]),
            Series("model", v, g[c] * f[c, order], "line"),
        ]
    rest = [
        Series(f"{g[c] * 1e6:.3g} uS", data["v"][c][data["used"][c] > 0], residual[c][data["used"][c] > 0])
        for c in shown
    ]
    return (
        Panel("Read current", "voltage [V]", "current less offset [A]", tuple(curves)),
        Panel("Residuals", "voltage [V]", "current [A]", tuple(rest)),
        Panel("Offset", "conductance [S]", "offset [A]", (Series("cells", g, offset),)),
    )
