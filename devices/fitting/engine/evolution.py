"""A search without derivatives, for likelihoods with kinks: differential evolution from where other searches ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

GENERATIONS = 150
MEMBERS = 96  # of a population
PATIENCE = 30  # generations without a gain of `LITTLE`, after which it ends
LITTLE = 0.05  # log likelihood
BEST = 0.15  # share of the population that others move towards


def evolve(
    cost: Callable[[np.ndarray], np.ndarray],
    ends: Float[np.ndarray, "ends p"],
    starts: Float[np.ndarray, "starts p"],
    seed: int = 0,
) -> Float[np.ndarray, "members p"]:
    """Members of a population of least cost, the best first.

    A member x moves to `x + F (x_best - x) + F (x_1 - x_2)` in some of its coordinates, with `x_best` one of the best, `x_1`
    and `x_2` others, and stays there if that costs less: thresholds and what depends on them move together, however the
    cost bends in between.

    Args:
        cost: of points (members x coordinates), infinite or NaN where there is none. ends: where other searches ended.
        starts: points that fill the population up.

    Reference: current-to-pbest mutation, Zhang, Sanderson 2009, 10.1109/TEVC.2009.2014613 (recalled, not read).
    """
    rng = np.random.default_rng(seed)
    x = np.concatenate([ends, starts])[:MEMBERS]
    if len(x) < MEMBERS:  # neighbours of the ends
        more = ends[rng.integers(len(ends), size=MEMBERS - len(x))]
        x = np.concatenate([x, more + 0.3 * rng.standard_normal(more.shape)])
    value = _finite(cost(x))
    least, since = np.min(value), 0
    for _ in range(GENERATIONS):
        tried = _moved(x, value, rng)
        new = _finite(cost(tried))
        better = new < value
        x, value = np.where(better[:, None], tried, x), np.where(better, new, value)
        since = 0 if np.min(value) < least - LITTLE else since + 1
        least = min(least, np.min(value)) if since == 0 else least
        if since >= PATIENCE:
            break
    return x[np.argsort(value)]


def _moved(x: np.ndarray, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    members, size = x.shape
    best = np.argsort(value)[: max(int(BEST * members), 2)]
    towards, first, second = x[rng.choice(best, members)], *(x[rng.integers(members, size=members)] for _ in range(2))
    step = np.clip(0.5 + 0.2 * rng.standard_cauchy(members), 0.1, 1.0)[:, None]
    chosen = rng.random((members, size)) < rng.choice([0.3, 0.9], (members, 1))
    chosen[np.arange(members), rng.integers(size, size=members)] = True
    return np.where(chosen, x + step * (towards - x + first - second), x)


def _finite(value: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(value), value, np.inf)
