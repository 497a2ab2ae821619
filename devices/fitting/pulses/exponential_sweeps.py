"""Exponential curves through pulse trains by least squares: NeuroSim's description of a sweep, with free ends."""

from __future__ import annotations

import dataclasses

import numpy as np

from devices.fitting.pulses.pulse_data import Trains


@dataclasses.dataclass(frozen=True)
class Sweeps:
    """One curve for each train.

    $$ g(n) = g_0 + B (1 - e^{-n/A}), \\qquad n = 0 \\ldots N $$

    Args:
        start: `g_0` [S]. change: B (1 - exp(-N/A)), from the first to the last reading [S]. shape: A/N; negative where
            steps grow along the train. r2: explained share of the variance. nrmse: root mean square error over the range
            of the
            readings. side: direction of the pulses. fitted: the curve, NaN beyond the train.
    """

    start: np.ndarray
    change: np.ndarray
    shape: np.ndarray
    r2: np.ndarray
    nrmse: np.ndarray
    side: np.ndarray
    fitted: np.ndarray


def sweeps(data: Trains, rounds: int = 6) -> Sweeps:
    """Least squares for all trains at once: start and change are linear, and N/A is searched for on successively finer
    grids."""
    y = np.where(_inside(data), data["y"], np.nan)
    x = np.where(_inside(data), np.arange(y.shape[1]), np.nan)
    x = x / np.nanmax(x, 1, keepdims=True)
    best, width = np.zeros(len(y)), 20.0
    for _ in range(rounds):
        grid = best[:, None] + width * np.linspace(-1, 1, 41)
        cost = np.stack([np.nansum((_line(_basis(x, grid[:, k]), y)[0] - y) ** 2, 1) for k in range(grid.shape[1])], 1)
        best, width = grid[np.arange(len(y)), np.argmin(cost, 1)], width / 12
    fitted, start, change = _line(_basis(x, best), y)
    error = np.sqrt(np.nanmean((fitted - y) ** 2, 1))
    return Sweeps(
        start,
        change,
        1 / np.where(best == 0, 1e-9, best),
        1 - error**2 / np.nanvar(y, 1),
        error / (np.nanmax(y, 1) - np.nanmin(y, 1)),
        np.asarray(data["side"]),
        fitted,
    )


def _inside(data: Trains) -> np.ndarray:
    inside = data["used"] > 0
    inside[:, 0] = True
    return inside


def _basis(x: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """`(1 - exp(-r x)) / (1 - exp(-r))`, from 0 to 1 and straight at r = 0."""
    r = np.where(np.abs(rate) < 1e-6, 1e-6, rate)[:, None]
    return np.where(r > 0, np.expm1(-r * x) / np.expm1(-r), np.expm1(-r * x) / np.expm1(-r))


def _line(basis: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of `y` on a constant and the basis, row by row."""
    b, m = np.nanmean(basis, 1, keepdims=True), np.nanmean(y, 1, keepdims=True)
    slope = np.nansum((basis - b) * (y - m), 1, keepdims=True) / np.maximum(
        np.nansum((basis - b) ** 2, 1, keepdims=True), 1e-300
    )
    start = m - slope * b
    return start + slope * basis, start[:, 0], slope[:, 0]
