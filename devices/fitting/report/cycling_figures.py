"""Figures of cycling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from devices.fitting.cycling.cycle_models import CycleTable
from devices.fitting.cycling.endurance_models import STATES, Window
from devices.fitting.engine.result import Panel, Series


def cycle_panels(candidate: CycleTable, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Each quantity over cycles, and errors of the prediction from the cycles before."""
    z, used = candidate.standardised_errors(values, data), np.asarray(data["used"]) > 0
    with jax.enable_x64(True):
        mean = np.asarray(candidate.mean(values, data))
    pictures, errors = [], []
    for k, q in enumerate(candidate.quantities):
        of = used[..., k]
        cycle, few = np.asarray(data["cycle"])[of], slice(None, None, max(of.sum() // 2000, 1))
        line = Series("mean", cycle[few], 10 ** mean[..., k][of][few], "line")
        unit = "A" if q.startswith("i") else "V"
        series = (Series(q, cycle[few], 10 ** data["y"][..., k][of][few]), line)
        pictures.append(Panel(q, "cycle", f"{q} [{unit}]", series, y_scale="log"))
        errors.append(Series(q, cycle[few], z[..., k][of][few]))
    return (*pictures, Panel("one-cycle-ahead errors", "cycle", "standardised error", tuple(errors)))


def endurance_panels(candidate: Window, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Window over cycles, and residuals."""
    used = np.flatnonzero(data["used"].ravel() > 0)
    used = used[np.linspace(0, len(used) - 1, min(len(used), 2000)).astype(int)]
    u, _ = candidate.residuals(values, data)
    with jax.enable_x64(True):
        model = np.asarray(candidate.windows({n: jnp.asarray(v) for n, v in values.items()}, data))
    n, take = data["cycle"].ravel()[used], lambda a: a.ravel()[used]
    order = np.argsort(n)
    shown, rest = [], []
    for k, state in enumerate(STATES):
        shown += [
            Series(state, n, 10 ** take(data["y"][k])),
            Series(f"{state} model", n[order], 10 ** take(model[k])[order], "line"),
        ]
        rest.append(Series(state, n, take(u[k])))
    return (
        Panel("Window", "cycles", "conductance [S]", tuple(shown), "log", "log"),
        Panel("Residuals", "cycles", "log10(g / model)", tuple(rest), "log"),
    )
