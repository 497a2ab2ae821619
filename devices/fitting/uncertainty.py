"""How well the parameters are known: Laplace and block-robust errors, profiles, bootstrap, held-out blocks, and advice."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from devices.fitting.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.optimum import RIDGE, Optimum, information_of, refit
from devices.fitting.parameters import Space
from devices.fitting.result import Number

LEVEL = 0.90  # of every interval
UNKNOWN = 10.0  # a coordinate with a larger standard error is one that the data do not determine


def covariance(best: Optimum, *, robust: bool) -> np.ndarray:
    """Covariance of the coordinates: the inverse information, or the sandwich `H^-1 (sum of s s') H^-1` of block scores.

    The sandwich holds for noise of any shape and correlation within blocks; it needs more blocks than parameters.
    """
    information, scores = np.nan_to_num(np.asarray(best.information)), np.asarray(best.scores)
    sizes, axes = np.linalg.eigh(information)
    # a direction of negative curvature is one that is not known
    inverse = (axes / (np.maximum(sizes, 0) + RIDGE)) @ axes.T
    if not robust:
        return inverse
    blocks = len(scores)
    moved = inverse @ np.nan_to_num(scores).T  # times itself: no negative variances, however it is rounded
    return moved @ moved.T * blocks / max(blocks - 1, 1)


def numbers(space: Space, best: Optimum, spread: np.ndarray, rows: int) -> tuple[Number, ...]:
    """Estimates with standard errors (delta method) and intervals (of the coordinate, so that they keep within bounds)."""
    theta, frame = np.asarray(best.theta), space.frame()
    quantile = stats.t.ppf((1 + LEVEL) / 2, max(rows - len(theta), 1))
    half = quantile * np.sqrt(np.diag(spread))
    with jax.enable_x64(True):
        three = {n: np.asarray(v) for n, v in frame.values(jnp.stack([theta - half, theta, theta + half])).items()}
        slopes = {n: np.asarray(v) for n, v in jax.jacfwd(frame.values)(jnp.asarray(theta)).items()}
    found = []
    for k, p in enumerate(space.parameters):
        low, value, high = three[p.name]
        error = abs(slopes[p.name][k]) * np.sqrt(spread[k, k])
        note = "not determined by these data" if half[k] > UNKNOWN else ""
        if p.bounded and not note and abs(theta[k]) > 6:
            note = f"at its {'upper' if theta[k] > 0 else 'lower'} bound"
        found.append(Number(p.name, p.unit, float(value), float(error), float(low), float(high), note))
    return tuple(found)


def correlation(spread: np.ndarray) -> np.ndarray:
    """Correlation of the coordinates."""
    scale = np.sqrt(np.diag(spread))
    return spread / np.outer(scale, scale)


def profile(candidate, space: Space, data: Any, best: Optimum, name: str, points: int = 15) -> tuple[float, float]:
    """90 % interval of one parameter by its profile likelihood: the values that cost less than 1.35 log likelihood
    when all other parameters follow. Bounds of the search are returned where the profile never rises that far."""
    k = space.names.index(name)
    spread = covariance(best, robust=False)
    grid = np.linspace(-1, 1, points) * min(6.0, 4 * float(np.sqrt(spread[k, k])))
    starts = (
        np.asarray(best.theta) + grid[:, None] * spread[k] / spread[k, k]
    )  # others follow as they do on a quadratic
    free = np.ones(len(space))
    free[k] = 0
    ends = refit(candidate, space.frame(), data, starts, np.ones((1, len(best.scores))), free)
    cost = np.asarray(ends.nll) - float(best.nll)
    limit = float(stats.chi2.ppf(LEVEL, 1)) / 2
    edges = [
        _crossing(grid[points // 2 :], cost[points // 2 :], limit),
        _crossing(grid[points // 2 :: -1], cost[points // 2 :: -1], limit),
    ]
    with jax.enable_x64(True):
        at = [
            float(best.theta[k]) + (edge if edge is not None else side * 40.0)
            for edge, side in zip(edges, (1, -1), strict=True)
        ]
        theta = np.repeat(np.asarray(best.theta)[None], 2, 0)
        theta[:, k] = at
        high, low = (float(v) for v in space.frame().values(jnp.asarray(theta))[name])
    return low, high


def _crossing(grid: np.ndarray, cost: np.ndarray, limit: float) -> float | None:
    """Where a profile first exceeds the limit, linear in the root of the cost."""
    over = np.flatnonzero(cost > limit)
    if not len(over):
        return None
    j = over[0]
    if j == 0:
        return float(grid[0])
    a, b = np.sqrt(np.maximum(cost[[j - 1, j]], 0))
    share = (np.sqrt(limit) - a) / max(b - a, 1e-12)
    return float(grid[j - 1] + share * (grid[j] - grid[j - 1]))


def bootstrap(candidate, space: Space, data: Any, best: Optimum, draws: int = 200, seed: int = 0) -> np.ndarray:
    """Coordinates of refits to blocks drawn with replacement, a row a draw."""
    blocks = len(best.scores)
    weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(float)
    start = np.asarray(best.theta)[None]
    return np.asarray(refit(candidate, space.frame(), data, start, weights, np.ones(len(space))).theta)


def held_out(candidate, space: Space, data: Any, best: Optimum, folds: int = 5) -> tuple[float, float]:
    """Mean negative log likelihood a reading of blocks that the fit has not seen, and its standard error over blocks.

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
    """Pairs of parameters of which the data know a combination only, with their correlation."""
    information = np.asarray(best.information)
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


def inseparable(space: Space, best: Optimum) -> tuple[str, ...]:
    """Sentences about parameters that the data cannot tell apart."""
    return tuple(
        f"{a} and {b} cannot be told apart with these data: correlation {rho:+.3f}; only a combination of them is known."
        for a, b, rho in confused(space, best)
    )


def intervals(candidate, space: Space, data: Any, best: Optimum, found: tuple[Number, ...]) -> tuple[Number, ...]:
    """`found` with the interval of the profile likelihood for parameters that the data do not determine, or confuse with
    others; at most four of them."""
    mixed = {name for a, b, _ in confused(space, best) for name in (a, b)}
    doubtful = sorted((n for n in found if n.note or n.name in mixed), key=lambda n: (not n.note, n.name))[:4]
    better = {}
    for number in doubtful:
        low, high = profile(candidate, space, data, best, number.name)
        note = "; ".join(filter(None, (number.note, "interval by profile")))
        better[number.name] = dataclasses.replace(number, low=low, high=high, note=note)
    return tuple(better.get(n.name, n) for n in found)


def advice(candidate: AbstractCandidate, space: Space, data: Any, best: Optimum) -> tuple[str, ...]:
    """Which measurement would tell most, by Fisher information: the proposals of the candidate, each simulated at the
    estimate.

    A proposal is ranked by how much it shrinks the error of the worst known coordinate, measured together with the data that
    are there.
    """
    information = np.asarray(best.information) + RIDGE * np.eye(len(space))
    if not np.isfinite(information).all():
        return ()
    sizes, axes = np.linalg.eigh(information)
    sizes = np.maximum(sizes, RIDGE)  # a direction of negative curvature is one that is not known
    information, worst = (axes * sizes) @ axes.T, axes[:, 0]
    before = 1 / np.sqrt(sizes[0])
    if before < 0.05:
        return ()
    ranked = []
    for sentence, protocol in candidate.experiments(data):
        more = _information(candidate, space, protocol, best)
        after = np.sqrt(worst @ np.linalg.solve(information + more, worst))
        ranked.append((before / after, sentence))
    ranked.sort(reverse=True)
    loads = " and ".join(space.names[k] for k in np.argsort(-np.abs(worst))[:2] if abs(worst[k]) > 0.3)
    return tuple(f"{s}: the error of {loads} would shrink {gain:.1f} times." for gain, s in ranked[:2] if gain > 1.2)


def _information(candidate, space: Space, protocol: Any, best: Optimum) -> np.ndarray:
    """Fisher information of a protocol at the estimate."""
    frame = space.frame()
    with jax.enable_x64(True):
        theta = jnp.asarray(best.theta)
        values = frame.values(theta)
        if isinstance(candidate, AbstractResiduals):
            blocks = jax.eval_shape(lambda: candidate.used(protocol)).shape[:1]
            return np.nan_to_num(np.asarray(information_of(candidate, frame, protocol, best, np.ones(blocks))))
        total = 0.0
        for k in range(4):  # the information of four draws stands for its mean
            drawn = _draw(candidate, values, protocol, jax.random.key(k))
            blocks = jax.eval_shape(lambda d=drawn: candidate.nll(values, d)).shape
            total = total + np.asarray(information_of(candidate, frame, drawn, best, np.ones(blocks))) / 4
        sizes, axes = np.linalg.eigh(np.nan_to_num(total))
        return (axes * np.maximum(sizes, 0)) @ axes.T


@eqx.filter_jit
def _draw(candidate, values, protocol, key):
    return candidate.simulate(values, protocol, key=key)
