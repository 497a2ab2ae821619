"""First guesses for loops: read-outs from the lowest and highest conductance at each voltage, thresholds from jumps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices.fitting.engine.parameters import Parameter

BINS = 8  # of the magnitude of the voltage


def guesses(parameters: Sequence[Parameter], data: Mapping[str, Any]) -> list[dict[str, float]]:
    """Eight points: what the loop shows, with sharp and soft thresholds, from a low and a high start, and slow or fast."""
    seen, found = _seen(data), []
    for soft, start, share in itertools.product((0.03, 0.15), (0.02, 0.98), (0.4, 0.6)):
        point = {}
        for p in parameters:
            value = start if p.name.startswith("x0") else seen.get(p.name, _inside(p, share))
            value = soft * seen["v_set"] if p.name.startswith("w_") else value
            point[p.name] = float(np.clip(value, p.low, p.high))
        found.append(point)
    return found


def _inside(p: Parameter, share: float) -> float:
    low, high = p.start or (p.low, p.high)
    return low * (high / low) ** share if p.log else low + share * (high - low)


def _seen(data: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by the names that models give them."""
    on = (data["used"] > 0) & (np.abs(data["v"]) > 0.04 * np.abs(data["v"]).max()) & (data["i"] * data["v"] > 0)
    v, g = np.abs(data["v"][on]), data["i"][on] / data["v"][on]
    edges = np.linspace(v.min(), v.max() * (1 + 1e-9), BINS + 1)
    groups = [g[(v >= a) & (v < b)] for a, b in itertools.pairwise(edges)]
    middles = np.array([(a + b) / 2 for (a, b), x in zip(itertools.pairwise(edges), groups, strict=True) if len(x)])
    low, high = (np.array([np.quantile(x, q) for x in groups if len(x)]) for q in (0.1, 0.9))
    rise = max(float(np.log(low[-1] / low[0])), 0.05)
    ups, downs = _jump(data, 1.0), _jump(data, -1.0)
    return {
        "g_off": low[0], "g_on": high.max(), "b_off": (rise + np.log(2 * (rise + 1))) / middles[-1], "b_on": 0.1 / middles[-1],
        "offset": 0.0, "v_set": ups, "v_on": ups, "vp": ups, "v_reset": downs, "v_off": downs, "vn": downs,
    }  # fmt: skip


def _jump(data: Mapping[str, Any], side: float) -> float:
    """Voltage at which the conductance jumps most: up for `side` 1, down (at negative voltage) for -1."""
    v, i = side * data["v"], np.maximum(side * data["i"], data["floor"])
    change = side * np.diff(np.log(i / np.maximum(v, 1e-3 * np.abs(v).max())), axis=1)
    change = np.where((v[:, :-1] > 0.04 * np.abs(v).max()) & (v[:, 1:] > 0), change, -np.inf)
    at = np.unravel_index(np.argmax(change), change.shape)
    return float(max(v[at], 0.05 * np.abs(v).max()))
