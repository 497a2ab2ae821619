"""Draws of parameters from the posterior of a fit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from devices.fitting.engine.optimum import RIDGE, WORST, values_of
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import Fit
from devices.fitting.engine.uncertainty import variance_inflation

WIDE = 3.0  # standard deviation of the prior of coordinates without bounds
PARTICLES = 512
TOGETHER = 128  # likelihoods at once
LARGE = 20_000  # readings beyond which twenty thousand likelihoods would take minutes
STAGES = 60  # from the first distribution to the posterior, at most
MOVES, LAST = 5, 25  # steps of each particle in a stage, and in the last one
MAX_COST_RATIO = 1.5  # times the mean cost of draws that moving them may come to
INSIDE_BOUND = 3.0  # coordinates at a bound are drawn at first this far from the middle, where the prior is


def draw(fit: Fit, count: int, rng: np.random.Generator) -> Float[np.ndarray, "count p"]:
    """Coordinates drawn from the posterior of a fit.

    Where the likelihood is a parabola, or there are more than 20 000 readings: from the normal distribution around the
    estimate, with the fit's covariance C. What the data do not determine stays bounded: numbers without bounds are held
    by a prior three times as wide as the range from which searches start, those with bounds by the variance of a prior
    that is uniform between them on the scale of the search,

    $$ C' = (C^{-1} + D)^{-1}, \\qquad D = \\mathrm{diag}(1/3^2 \\text{ or } 3/\\pi^2) $$

    Where an interval comes from a profile, the likelihood itself is drawn from, with these priors. Where the data
    reject the noise model, the likelihood is raised to the power `p / tr(J V)` of `variance_inflation`, J the
    information and V the covariance by blocks, and draws are moved by the linear map that gives normal ones the
    covariance V, unless that costs likelihood, as in a valley that bends. Particles go from a normal distribution to
    the posterior through powers of the ratio of the two (sequential Monte Carlo), and move by Metropolis's steps in
    each stage.

    References: Del Moral, Doucet, Jasra 2006, 10.1111/j.1467-9868.2006.00553.x; the power: Pauli, Racugno, Ventura 2011,
    Statistica Sinica 21, 149 (both recalled, not read).
    """
    if fit.rows > LARGE or not any(n.profiled for n in fit.numbers):
        return rng.multivariate_normal(fit.theta, with_prior(fit), count, method="eigh")
    return _particles(fit, max(count, PARTICLES), rng)[:count]


def with_prior(fit: Fit) -> np.ndarray:
    """Covariance of the coordinates with the prior."""
    root = np.sqrt(_precision(fit))
    along = root[:, None] * fit.covariance
    return fit.covariance - along.T @ np.linalg.solve(np.eye(len(root)) + along * root, along)


def _precision(fit: Fit) -> Float[np.ndarray, " p"]:
    """Of the prior; a coordinate of a number that is uniform between its bounds has a logistic distribution."""
    return np.array([3 / np.pi**2 if p.bounded else 1 / WIDE**2 for p in fit.candidate.parameters()])


def _particles(fit: Fit, count: int, rng: np.random.Generator) -> Float[np.ndarray, "count p"]:
    space, power = Space(fit.candidate.parameters()), 1 / variance_inflation(fit.laplace, fit.covariance)
    bounded, size = np.array([p.bounded for p in space.parameters]), len(space)
    centre = np.where(bounded, np.clip(fit.theta, -INSIDE_BOUND, INSIDE_BOUND), fit.theta)
    spread = np.linalg.inv(power * (np.linalg.inv(fit.laplace) - RIDGE * np.eye(size)) + np.diag(_precision(fit)))
    begin = np.linalg.cholesky((spread + spread.T) / 2)

    def first(theta):
        return -0.5 * np.sum(np.linalg.solve(begin, (theta - centre).T) ** 2, 0)

    def likelihood(theta):
        padded = np.resize(theta, (-(-count // TOGETHER) * TOGETHER, size))
        with jax.enable_x64(True):
            some = (jnp.asarray(part) for part in padded.reshape(-1, TOGETHER, size))
            nll = [np.asarray(values_of(fit.candidate, space.frame(), fit.data, part)) for part in some]
        nll = np.concatenate(nll)[:count]
        return -power * (np.where(np.isfinite(nll), nll, WORST) - fit.nll)

    def posterior(theta):
        even = -np.abs(theta) - 2 * np.log1p(np.exp(-np.abs(theta)))
        prior = np.where(bounded, even, -(((theta - fit.theta) / WIDE) ** 2) / 2)
        return likelihood(theta) + prior.sum(1)

    theta = centre + rng.standard_normal((count, size)) @ begin.T
    before, after, share = first(theta), posterior(theta), 0.0
    for stage in range(STAGES):
        ratio = after - before
        step = 1.0 - share if stage == STAGES - 1 else _step(ratio, 1.0 - share)
        share, weights = share + step, _weights(step * ratio)
        root = _root(np.cov(theta.T, aweights=weights).reshape(size, size))
        kept = np.minimum(np.searchsorted(np.cumsum(weights), (rng.random() + np.arange(count)) / count), count - 1)
        theta, before, after = theta[kept], before[kept], after[kept]
        last = share >= 1.0
        for _ in range(LAST if last else MOVES):
            length = 2.38 / np.sqrt(size) * rng.choice((1.0, 0.3, 0.1), (count, 1))
            there = theta + length * rng.standard_normal((count, size)) @ root.T
            old, new = (before, after), (first(there), posterior(there))
            gain = (1 - share) * (new[0] - old[0]) + share * (new[1] - old[1])
            taken = np.log(rng.random(count)) < gain
            theta = np.where(taken[:, None], there, theta)
            before, after = (np.where(taken, *pair) for pair in zip(new, old, strict=True))
        if last:
            break
    if power < 1:
        # what V, like any score, says nothing about has the variance of the likelihood
        blocks = fit.covariance + RIDGE * fit.laplace @ fit.laplace
        turn = _map(spread, np.linalg.inv(np.linalg.inv(blocks) - RIDGE * np.eye(size) + np.diag(_precision(fit))))
        mapped = theta.mean(0) + (theta - theta.mean(0)) @ turn
        if np.mean(likelihood(mapped)) > MAX_COST_RATIO * np.mean(likelihood(theta)):
            theta = mapped
    return rng.permutation(theta)


def _map(given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The symmetric matrix that gives vectors of one covariance another."""
    root = _root(given)
    inverse = np.linalg.inv(root)
    return inverse @ _root(root @ wanted @ root) @ inverse


def _root(matrix: np.ndarray) -> np.ndarray:
    sizes, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    return (axes * np.sqrt(np.maximum(sizes, 0))) @ axes.T


def _weights(logs: np.ndarray) -> np.ndarray:
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def _step(ratio: np.ndarray, most: float) -> float:
    """The largest power of a ratio of densities that leaves half of the particles effective."""
    low, high = 0.0, most
    for step in [most, *([None] * 30)]:
        middle = step or (low + high) / 2
        enough = 1 / np.sum(_weights(middle * ratio) ** 2) >= len(ratio) / 2
        low, high = (middle, high) if enough else (low, middle)
    return low
