"""Tolerances that together keep a bound, and what one of them is worth in units of the others.

Tolerances `tau_k` are limits to keep within (a write error, a spread); a merit M (an accuracy) falls as they grow.
The loosest ones together solve

$$ \\max_\\tau \\sum_k \\ln \\tau_k \\quad\\text{subject to}\\quad M(\\tau) \\ge M_0 $$

in `x = ln tau` between bounds, by the augmented Lagrangian method: inner minimisations by L-BFGS-B of
`-sum x + (rho/2) max(0, c + lambda/rho)^2` with `c = (M_0 - M)/unit`, then `lambda <- max(0, lambda + rho c)`. The unit is
the mean size of the slopes at the start of each round, so that lambda is of order 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import optimize

Merit = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""`x -> (M, dM/dx)`."""


@dataclasses.dataclass(frozen=True)
class Loosest:
    """The tolerances found.

    Args:
        x: logarithms of the tolerances. merit: M there. slope: dM/dx there. multiplier: of the bound.
        shortfall: how far M is below the bound; 0 or less where it holds. free: which tolerances are not at a bound.
        imbalance: largest relative departure of a slope of the free ones from their mean, 0 at an exact optimum.
    """

    x: np.ndarray
    merit: float
    slope: np.ndarray
    multiplier: float
    shortfall: float
    free: np.ndarray
    imbalance: float


def loosest(
    merit: Merit,
    least: float,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    rounds: int = 8,
    evaluations: int = 20,
    between: Callable[[np.ndarray], float] | None = None,
) -> Loosest:
    """The loosest tolerances whose merit is `least` or more.

    Args:
        merit: smooth in x; with common random numbers, a function without noise. start, low, high: of x.
        rounds, evaluations: of the outer and inner loops.
        between: called with x before each round; what it returns is added to the merit, to correct one that approximates
            another.

    Breaks when: no x keeps the bound (`shortfall` says so), or the merit has several local maxima.
    """
    x, weight, offset = np.clip(start, low, high), 4.0, 0.0
    price, short = 0.0, np.inf  # the multiplier [1 / merit], and how far the last round was off
    for _ in range(rounds):
        fresh = 0.0 if between is None else between(x)
        offset = fresh if short == np.inf else (offset + fresh) / 2  # damped: it may be counted on few chips
        unit = max(float(np.abs(merit(x)[1]).mean()), 1e-9)
        price = price or 1 / unit
        x = _inner(merit, least - offset, x, (low, high), price * unit, weight, unit, evaluations)
        c = (least - offset - merit(x)[0]) / unit
        price = max(0.0, price + weight * c / unit)
        weight, short = (2 * weight if abs(c) > 0.5 * short else weight), abs(c)
    value, slope = merit(x)
    edge = 1e-3 * np.maximum(high - low, 1e-9)
    free = (x > low + edge) & (x < high - edge)
    mean = slope[free].mean() if free.any() else 1.0
    imbalance = float(np.abs(slope[free] / mean - 1).max(initial=0.0)) if mean else 0.0
    return Loosest(x, value + offset, slope, price, least - offset - value, free, imbalance)


def _inner(
    merit: Merit,
    least: float,
    x: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    multiplier: float,
    weight: float,
    unit: float,
    evaluations: int,
) -> np.ndarray:
    def lagrangian(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = merit(x)
        short = max(0.0, (least - value) / unit + multiplier / weight)
        return -x.sum() + weight / 2 * short**2, -1 - weight * short * slope / unit

    options = {"maxfun": evaluations, "maxiter": evaluations}
    found = optimize.minimize(lagrangian, x, jac=True, method="L-BFGS-B", bounds=list(zip(*ends)), options=options)  # noqa: B905
    return np.clip(found.x, *ends)


def exchange_rates(slope: np.ndarray) -> np.ndarray:
    """`d ln tau_i / d ln tau_j` at constant merit, all others fixed: `-(dM/dx_j)/(dM/dx_i)`, row i and column j.

    How much looser (tighter, if negative) i must become if j becomes looser. At the loosest tolerances all rates between
    free ones are -1; elsewhere they are not. NaN where i has no influence.
    """
    slope = np.asarray(slope, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(slope[:, None] == 0, np.nan, -slope[None, :] / slope[:, None])
    np.fill_diagonal(rates, np.nan)
    return rates


def room_for_others(
    merit: Callable[[np.ndarray], float],
    least: float,
    x: np.ndarray,
    which: int,
    high: np.ndarray,
    *,
    factor: float = 2.0,
    most: float = 3.0,
    steps: int = 7,
) -> float:
    """Factor by which all other tolerances may grow together if one is made `factor` times tighter; 1 if not at all.

    Args:
        merit: `x -> M`. which: index of the one that is tightened. high: bounds of x. most: the largest answer.
        steps: bisections of the logarithm.
    """
    others = np.arange(len(x)) != which
    tighter = x - np.log(factor) * ~others
    low, top = 0.0, np.log(most)
    for _ in range(steps):
        middle = (low + top) / 2
        keeps = merit(np.minimum(tighter + middle * others, high)) >= least
        low, top = (middle, top) if keeps else (low, middle)
    return float(np.exp(low))
