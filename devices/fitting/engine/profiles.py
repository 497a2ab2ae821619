"""Intervals of the profile likelihood, for parameters whose likelihood is not parabolic."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from devices.fitting.engine.candidate import AbstractResiduals
from devices.fitting.engine.optimum import GAIN, WORST, Optimum, refit, values_of
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import PROFILED, Number
from devices.fitting.engine.uncertainty import UNKNOWN, confused, covariance, quantile, variance_inflation

ROUNDS = 14  # of the search for an end of an interval
CLOSE = 0.02  # an end is found where the root of the cost is within this of its limit
BENT = 0.10  # how far the root of the cost may be from its parabola's at the ends of an interval
INSIDE_BOUND = 4.0  # others that lie at a bound start this far from the middle, or the plateau would hold them
BETTER = 0.1  # log likelihood beyond which an optimum counts as another one
MAX_STEP = 1.0  # how far others are moved at once as they follow on a parabola
FARTHEST = 40.0  # a coordinate this far from the estimate without too large a cost is not known on that side
FLAT = 12.0  # a coordinate with bounds is at one of them here
STRIDE = 4.0  # how far to look at once


def intervals(
    candidate,
    space: Space,
    data: Any,
    best: Optimum,
    spread: np.ndarray,
    found: tuple[Number, ...],
    *,
    stop_early: bool,
    alternative_optima: tuple[Optimum, ...] = (),
) -> tuple[tuple[Number, ...], np.ndarray | None]:
    """`found` with the interval of the profile likelihood where the likelihood is not parabolic: for parameters that the data
    confuse with others, and those whose cost at the ends of the interval shows it; for all where one is at a bound or
    not determined, as the others may follow it away from there; for all where the search stopped on a slope, as at a
    kink, whose curvature means nothing; and for all where there is another optimum within the limit: the interval then
    reaches from the ends around the one to those around the other, unless it holds that one anyway.

    Args:
        stop_early: whether to stop where profiles come across a better likelihood, with unfinished intervals.
        alternative_optima: optima that have been left for the best, or that other searches came to.

    Returns:
        the numbers; and coordinates of a likelihood better than the best by more than a tenth, where profiles came across any.
    """
    mixed = {name for a, b, _ in confused(space, best) for name in (a, b)}
    scale, zero = _wider(best, spread), float(best.nll)
    [limit] = _limits(candidate, space, candidate.count(data), np.ones(1))
    near = tuple(other for other in alternative_optima if other.nll - zero < limit and other.gain < BETTER)
    everywhere = bool(near) or best.gain >= GAIN or any(n.note for n in found)
    curved = not_parabolic(candidate, space, data, best) | everywhere
    names = tuple(n.name for n, off in zip(found, curved, strict=True) if n.name in mixed or off)
    ends, lowest = _profiles(candidate, space, data, best, names, scale, stop_early=stop_early)
    for other in near if lowest is None else ():
        if _inside(space, other, names, ends):
            continue
        ends, lowest = _profiles(
            candidate, space, data, other, names, scale, stop_early=stop_early, zero=zero, found=ends
        )
    better = dict(zip(names, _numbers(space, names, ends), strict=True))
    return tuple(_profiled(n, *better[n.name]) if n.name in better else n for n in found), lowest


def _inside(space: Space, other: Optimum, names: tuple[str, ...], ends: np.ndarray) -> bool:
    """Whether intervals hold all coordinates of another optimum."""
    theirs = np.asarray(other.theta)[[space.names.index(name) for name in names]]
    return bool(np.all((ends[:, 0] <= theirs) & (theirs <= ends[:, 1])))


def _numbers(space: Space, names: tuple[str, ...], ends: Float[np.ndarray, "names 2"]) -> Float[np.ndarray, "names 2"]:
    """Intervals of numbers from those of their coordinates."""
    theta = np.zeros((len(names), 2, len(space)))
    for k, name in enumerate(names):
        theta[k, :, space.names.index(name)] = ends[k]
    values = space.values(theta)
    return np.array([values[name][k] for k, name in enumerate(names)]).reshape(-1, 2)


def _profiled(number: Number, low: float, high: float) -> Number:
    note = "; ".join(filter(None, (number.note, PROFILED)))
    return dataclasses.replace(number, low=float(low), high=float(high), note=note)


def not_parabolic(candidate, space: Space, data: Any, best: Optimum) -> Bool[np.ndarray, " p"]:
    """Which coordinates have a likelihood that is not parabolic between the ends of their Laplace interval.

    The others are moved as they follow on a parabola; a cost at either end whose root is off by more than a tenth counts.
    """
    rows, laplace = candidate.count(data), covariance(best, robust=False)
    half = quantile(space, rows) * np.sqrt(np.diag(laplace))
    shifts = half[:, None] * _following(laplace)
    ends = np.asarray(best.theta) + np.concatenate([shifts, -shifts])
    with jax.enable_x64(True):
        cost = np.asarray(values_of(candidate, space.frame(), data, jnp.asarray(ends))) - float(best.nll)
    cost = np.nan_to_num(cost, nan=WORST)
    off = np.sqrt(np.maximum(cost, 0) / _limits(candidate, space, rows, np.ones(1))) - 1
    return np.logical_or(*np.split(np.abs(off) > BENT, 2))


def profile(
    candidate,
    space: Space,
    data: Any,
    best: Optimum,
    names: tuple[str, ...],
    spread: Float[np.ndarray, "p p"] | None = None,
) -> Float[np.ndarray, "names 2"]:
    """90 % intervals by the profile likelihood: the values that cost less log likelihood than the limit when all other
    parameters follow.

    The limit is half the square of Student's quantile t; for residuals of unknown deviation `n/2 ln(1 + t^2 / (n - p))`,
    which is exact for a linear model. Ends are found by false position on the root of the cost, a straight line for a
    parabola, and by halving. Where the profile never rises to the limit, the end is the bound of the search.

    Args:
        spread: covariance of the coordinates where the data reject the noise model: the limit grows by the variance in it
            over Laplace's, where that is larger; for coordinates that the data do not determine, by the mean of the others.

    Reference: adjustment of the limit by Chandler, Bate 2007, 10.1093/biomet/asm015 (recalled, not read).
    """
    return _numbers(
        space, names, _profiles(candidate, space, data, best, names, _wider(best, spread), stop_early=False)[0]
    )


def _profiles(
    candidate,
    space: Space,
    data: Any,
    best: Optimum,
    names: tuple[str, ...],
    scale: np.ndarray,
    *,
    stop_early: bool,
    zero=None,
    found: Float[np.ndarray, "names 2"] | None = None,
):
    """Intervals of coordinates about an optimum, and coordinates of a better likelihood or None.

    Args:
        scale: of the limits, by coordinate. zero: negative log likelihood from which costs count, that of the optimum itself
            if not given. found: intervals about a better optimum, to which those about this one are joined: one that is
            beyond its limit at an end of them is followed no further there.
    """
    if not names:
        return np.zeros((0, 2)), None
    zero = float(best.nll) if zero is None else zero
    rows, laplace = candidate.count(data), covariance(best, robust=False)
    which, sign = np.repeat([space.names.index(name) for name in names], 2), np.tile([-1.0, 1.0], len(names))
    goal = np.sqrt(_limits(candidate, space, rows, scale[which]))
    half = quantile(space, rows) * np.sqrt(scale * np.diag(laplace))[which]
    theta, bounded = np.asarray(best.theta), np.array([p.bounded for p in space.parameters])
    # a coordinate with bounds is at one of them well before the farthest distance; the flat before it need not be looked at
    outward, limited = sign * theta[which], bounded[which]
    farthest = np.where(limited, np.minimum(FLAT - outward, FARTHEST), FARTHEST)
    first = np.maximum(np.minimum(half, STRIDE), np.where(limited, -outward - INSIDE_BOUND, 0.0))
    lowest, least = None, -BETTER
    near, there = np.repeat(theta[None], len(which), 0), np.zeros(len(which))  # the outermost ends within the limit
    split = np.ones(len(which), bool)  # whether searches from two starts came to different ends

    def excess(at, reach):
        """Root of the cost over that of the limit, less 1, of some searches at some distances."""
        move, free = ((reach - there[at]) * sign[at])[:, None], np.arange(len(space)) != which[at][:, None]
        follow = np.clip(move * _following(laplace)[which[at]], -MAX_STEP, MAX_STEP)
        beside = near[at] + np.where(free, follow, move)
        beside = np.where(free & bounded, np.clip(beside, -INSIDE_BOUND, INSIDE_BOUND), beside)
        two = np.flatnonzero(split[at])
        starts = np.concatenate([near[at] + np.where(free, 0.0, move), beside[two]])
        free = np.concatenate([free, free[two]]).astype(float)
        lower = refit(candidate, space.frame(), data, starts, np.ones((1, len(best.scores))), free)
        cost, ends = np.nan_to_num(lower.nll, nan=WORST) - zero, lower.theta
        nonlocal lowest, least
        if np.min(cost) < least:
            lowest, least = ends[np.argmin(cost)], np.min(cost)
        (cost, second), (ends, theirs) = np.split(cost, [len(at)]), np.split(ends, [len(at)])
        split[at[two]] = np.abs(cost[two] - second) > BETTER
        ends[two] = np.where((second < cost[two])[:, None], theirs, ends[two])
        cost[two] = np.minimum(second, cost[two])
        miss = np.sqrt(np.maximum(cost, 0)) / goal[at] - 1
        near[at], there[at] = np.where(miss[:, None] > 0, near[at], ends), np.where(miss > 0, there[at], reach)
        return miss

    already = np.zeros(len(which)) if found is None else np.minimum(sign * (found.ravel() - theta[which]), farthest)
    reach = _crossings(excess, first, farthest, lambda: stop_early and lowest is not None, already)
    ends = theta[which] + sign * np.where(reach < farthest, reach, 2 * FARTHEST)
    if found is not None:
        ends = np.where(reach > already, ends, found.ravel())
    return ends.reshape(-1, 2), lowest


def _crossings(
    excess, first: np.ndarray, farthest: np.ndarray, halt=lambda: False, already: np.ndarray | None = None
) -> np.ndarray:
    """Distances at which functions that are -1 at 0 become 0, to 2 % of 1; `farthest` where they do not.

    Steps outward, then false position (Illinois), as these functions are nearly straight and expensive; where that
    creeps, half of the steps halve the bracket.

    Args:
        excess: of the indices of some functions and a distance for each. first: distances to look at first. halt: whether to
            stop unfinished. already: distances that are returned where the crossings are no farther.
    """
    count = len(first)
    already = np.zeros(count) if already is None else already
    inside, outside, reach = np.zeros(count), np.full(count, np.inf), np.maximum(first, already)
    under, over, side = -np.ones(count), np.zeros(count), np.zeros(count)
    at = np.flatnonzero(already < farthest)
    for look in range(ROUNDS):
        miss, a = excess(at, reach[at]), reach[at]
        out = miss > 0
        # the value at an end that stays a second time is halved, or chords would creep along a curve
        under[at] = np.where(out, under[at] / np.where(side[at] > 0, 2, 1), miss)
        over[at] = np.where(out, miss, over[at] / np.where(side[at] < 0, 2, 1))
        inside[at], outside[at] = np.where(out, inside[at], a), np.where(out, a, outside[at])
        side[at] = np.where(out, 1, -1)
        narrow = outside[at] - inside[at] < CLOSE * inside[at]
        at = at[(np.abs(miss) > CLOSE) & ~narrow & (inside[at] < farthest[at]) & (outside[at] > already[at])]
        if not len(at) or halt():
            break
        low, width, bracketed = inside[at], outside[at] - inside[at], np.isfinite(outside[at])
        share = 0.5 if look % 2 and look > 2 else under[at] / np.where(bracketed, under[at] - over[at], 1.0)
        outward = np.clip(-low * under[at] / np.maximum(1 + under[at], 1e-9), 0.1 * low, STRIDE)
        reach[at] = low + np.where(bracketed, share * np.where(bracketed, width, 1.0), outward)
    return np.maximum(np.where(inside < farthest, reach, farthest), already)


def _wider(best: Optimum, spread: np.ndarray | None) -> np.ndarray:
    """Ratio of the variances of `spread` to Laplace's; its mean where the likelihood gives none."""
    laplace = covariance(best, robust=False)
    if spread is None:
        return np.ones(len(laplace))
    ratio = np.maximum(np.diag(spread) / np.diag(laplace), 1.0)
    return np.where(np.diag(laplace) > UNKNOWN**2, variance_inflation(laplace, spread), ratio)


def _following(laplace: np.ndarray) -> np.ndarray:
    """How all coordinates move on a parabola where one of them moves by 1, a row for each."""
    return laplace / np.diag(laplace)[:, None]


def _limits(candidate, space: Space, rows: int, scale: np.ndarray) -> np.ndarray:
    """Loss of log likelihood at the ends of an interval."""
    squares = scale * quantile(space, rows) ** 2
    if isinstance(candidate, AbstractResiduals):
        return rows / 2 * np.log1p(squares / max(rows - len(space), 1))
    return squares / 2
