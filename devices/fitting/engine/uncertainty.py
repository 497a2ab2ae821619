"""The uncertainty of the parameters: Laplace and block-robust errors, bootstrap, and held-out blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from devices.fitting.engine.optimum import RIDGE, Optimum, refit
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import AT_BOUND, UNDETERMINED, Number

LEVEL = 0.90  # of every interval
UNKNOWN = 10.0  # a coordinate with a larger standard error is one that the data do not determine


def covariance(best: Optimum, *, robust: bool) -> np.ndarray:
    """Covariance of the coordinates: the inverse information, or the sandwich `H^-1 (sum of s s') H^-1` of block scores.

    The sandwich holds for noise of any shape and correlation within blocks; it needs more blocks than parameters.
    """
    information, scores = np.nan_to_num(np.asarray(best.information)), np.asarray(best.scores)
    sizes, axes = np.linalg.eigh(information)
    # a direction of negative curvature is unknown
    inverse = (axes / (np.maximum(sizes, 0) + RIDGE)) @ axes.T
    if not robust:
        return inverse
    blocks = len(scores)
    moved = inverse @ np.nan_to_num(scores).T  # times itself: no negative variances, however it is rounded
    return moved @ moved.T * blocks / max(blocks - 1, 1)


def variance_inflation(laplace: np.ndarray, spread: np.ndarray) -> float:
    """Ratio of the variance by blocks V to that of the likelihood, on average over what the data determine:
    `tr(J V) / tr(J J^-1)` with the information J; at least 1."""
    information = np.linalg.inv(laplace) - RIDGE * np.eye(len(laplace))
    known, wider = (np.trace(information @ c) for c in (laplace, spread))
    return float(max(wider / max(known, 1e-300), 1.0))


def quantile(space: Space, rows: int) -> float:
    """Half width of an interval in standard errors: Student's t of the readings less the parameters."""
    return float(stats.t.ppf((1 + LEVEL) / 2, max(rows - len(space), 1)))


def numbers(space: Space, best: Optimum, spread: np.ndarray, rows: int) -> tuple[Number, ...]:
    """Estimates with standard errors (delta method) and intervals (of the coordinate, so that they keep within bounds)."""
    theta, laplace = np.asarray(best.theta), np.diag(covariance(best, robust=False))
    # where the likelihood is flat, blocks agree that it is: their scatter says nothing of what is known
    variance = np.where(laplace > UNKNOWN**2, np.maximum(laplace, np.diag(spread)), np.diag(spread))
    half = quantile(space, rows) * np.sqrt(variance)
    three, slopes = space.values(np.stack([theta - half, theta, theta + half])), space.slopes(theta)
    found = []
    for k, p in enumerate(space.parameters):
        low, value, high = three[p.name]
        error = abs(slopes[p.name]) * np.sqrt(variance[k])
        note = UNDETERMINED if half[k] > UNKNOWN else ""
        if p.bounded and abs(theta[k]) > 6:
            note = f"{AT_BOUND} {'upper' if theta[k] > 0 else 'lower'} bound"
        found.append(Number(p.name, p.unit, float(value), float(error), float(low), float(high), note))
    return tuple(found)


def correlation(spread: np.ndarray) -> np.ndarray:
    """Correlation of the coordinates."""
    scale = np.sqrt(np.maximum(np.diag(spread), 1e-300))
    return spread / np.outer(scale, scale)


def bootstrap(candidate, space: Space, data: Any, best: Optimum, draws: int = 200, seed: int = 0) -> np.ndarray:
    """Coordinates of refits to blocks drawn with replacement, one row per draw."""
    blocks = len(best.scores)
    weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(float)
    start = np.asarray(best.theta)[None]
    return np.asarray(refit(candidate, space.frame(), data, start, weights, np.ones(len(space))).theta)


def held_out(candidate, space: Space, data: Any, best: Optimum, folds: int = 5) -> tuple[float, float]:
    """Mean negative log likelihood per reading of blocks that the fit has not seen, and its standard error over blocks.

    NaN with fewer than two blocks.
    """
    blocks = len(best.scores)
    folds = min(folds, blocks)
    if folds < 2:
        return float("nan"), float("nan")
    fold = np.arange(blocks) * folds // blocks
    weights = (fold[None] != np.arange(folds)[:, None]).astype(float)
    ends = refit(candidate, space.frame(), data, np.asarray(best.theta)[None], weights, np.ones(len(space)))
    unseen, rows = ends.blocks[fold, np.arange(blocks)], candidate.count(data)
    return float(unseen.sum() / rows), float(unseen.std(ddof=1) * np.sqrt(blocks) / rows)


def confused(space: Space, best: Optimum) -> tuple[tuple[str, str, float], ...]:
    """Pairs of parameters of which the data determine only a combination, with their correlation."""
    information = np.nan_to_num(np.asarray(best.information))
    spread = covariance(best, robust=False)
    alone = 1 / np.sqrt(np.maximum(np.diag(information), 0) + RIDGE)  # error of each if all others were known
    worse = np.sqrt(np.diag(spread)) / alone
    rho, names = correlation(spread), space.names
    return tuple(
        (names[j], names[i], float(rho[i, j]))
        for i in range(len(names))
        for j in range(i)
        if abs(rho[i, j]) > 0.98 and max(worse[i], worse[j]) > 5
    )
