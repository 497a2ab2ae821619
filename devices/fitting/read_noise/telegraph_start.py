"""Where searches for telegraph noise start: a mixture of normals, and how long the levels last."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import stats

ROUNDS = 60


def mixture(x: Float[np.ndarray, " reads"], levels: int) -> tuple[np.ndarray, float]:
    """Normals of one width by expectation and maximisation on at most 5000 reads: means (ascending) and width."""
    x = x[:: max(len(x) // 5000, 1)]
    mean = np.quantile(x, (np.arange(levels) + 0.5) / levels)
    share, s = np.full(levels, 1 / levels), np.std(x) / 2
    for _ in range(ROUNDS):
        weight = share * stats.norm.pdf(x[:, None], mean, s) + 1e-300
        weight = weight / weight.sum(1, keepdims=True)
        share = weight.mean(0)
        mean = (weight * x[:, None]).sum(0) / np.maximum(weight.sum(0), 1e-9)
        s = max(float(np.sqrt((weight * (x[:, None] - mean) ** 2).sum() / len(x))), 1e-9)
    return np.sort(mean), float(s)


def dwell_of(x: Float[np.ndarray, " reads"], levels: np.ndarray) -> np.ndarray:
    """Mean time at the lower and the upper level, in reads, with a hysteresis of half their distance."""
    low, high = levels[0] + (levels[-1] - levels[0]) * np.array([0.25, 0.75])
    sign = np.where(x > high, 1, np.where(x < low, -1, 0))
    sure = np.flatnonzero(sign)
    up = sign[sure] > 0
    jumps = max(int(np.sum(up[1:] != up[:-1])), 1)
    return np.clip([2 * np.sum(~up) / jumps, 2 * np.sum(up) / jumps], 0.5, 1e5) * len(x) / max(len(sure), 1)
