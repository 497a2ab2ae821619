"""Searches from the ends of others, mixed: for likelihoods with many valleys, as for models with thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from devices.fitting.engine.candidate import AbstractCandidate
from devices.fitting.engine.optimum import SHARP, search_ends
from devices.fitting.engine.parameters import Space

KEPT = 24  # ends from which others are made
CHILDREN = 24  # searches of a generation
SHARES = (0.15, 0.35)  # of coordinates that are taken from elsewhere
JITTER = 0.2  # standard deviation of half of the children about their parents
FAVOUR = 0.25  # probability that the best end is the parent; else the second with the same probability, and so on
SHORT = 8  # stretches of a search, which need not end
SLOW = 0.05  # log likelihood per stretch below which it is abandoned
RETURNED = 4


def mixed_ends(
    candidate: AbstractCandidate,
    space: Space,
    data: Any,
    first: Float[np.ndarray, "starts p"],
    blocks: int,
    seed: int = 0,
) -> Float[np.ndarray, "ends p"]:
    """The best ends of `candidate.generations` of searches, the best first.

    Each generation starts from good ends, of which some coordinates are taken from another end or from a new point: thresholds
    that one search found are tried with the speeds of another. As many searches from new points alone end higher.
    """
    rng = np.random.default_rng(seed)
    ends, cost = _searched(candidate, space, data, first, blocks)
    for generation in range(candidate.generations):
        keep = np.argsort(cost)[:KEPT]
        ends, cost = ends[keep], cost[keep]
        children = _children(ends, space.starts([], CHILDREN, seed + generation + 1), rng)
        more, their = _searched(candidate, space, data, children, blocks)
        ends, cost = np.concatenate([ends, more]), np.concatenate([cost, their])
    return ends[np.argsort(cost)[:RETURNED]]


def _searched(candidate, space: Space, data: Any, starts: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    found = search_ends(candidate, space.frame(), data, starts, blocks, sharp=SHARP, creep=SLOW, stretches=SHORT)
    return np.asarray(found.theta), np.where(np.isfinite(found.nll), found.nll, np.inf)


def _children(ends: np.ndarray, fresh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count, size = fresh.shape
    parents = ends[np.minimum(rng.geometric(FAVOUR, count) - 1, len(ends) - 1)]
    others = np.where(rng.random((count, 1)) < 0.5, ends[rng.integers(len(ends), size=count)], fresh)
    moved = parents + JITTER * rng.standard_normal((count, size)) * (rng.random((count, 1)) < 0.5)
    return np.where(rng.random((count, size)) < rng.choice(SHARES, (count, 1)), others, moved)
