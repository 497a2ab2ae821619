"""The search for the best parameters: a damped Newton method, and Levenberg-Marquardt where there are residuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from devices.fitting.engine.candidate import AbstractCandidate, AbstractPredictive, AbstractResiduals
from devices.fitting.engine.parameters import Frame

Local = tuple[Float[Array, ""], Float[Array, " p"], Float[Array, "p p"]]  # value, gradient, curvature
WORST = 1e12  # stands for a likelihood that is not a number
RIDGE = 1e-4  # a coordinate that the data do not determine has this much information, a standard error of 100
TOGETHER = (4, 24)  # searches in one batch: of a few, and of many
LARGE = 20_000  # readings from which on one search goes alone: repeating it costs more than another program
GAIN = 1e-3  # an optimum is one from which the quadratic model promises less log likelihood than this
SHARP = 1e-3  # a search goes on until it promises less than this share of it
LOOSE = 10.0  # a refit until it promises less than this times it: ends of intervals are looked for to 2 % only
STRETCH, STRETCHES = 6, 5  # steps of a refit at a time, and how many times
LONGEST = 17  # the same of a search
NEAR = 1.5  # an end worse than the best by more log likelihood is not another optimum: about the limit of an interval
OTHERS = 2  # other optima at most
SAME = 0.05  # ends at which the curvature predicts a smaller difference of the log likelihood than this are one
CREEP = 3e-3  # a search of a refit that gains less log likelihood than this per stretch creeps along a ridge, and ends


class Optimum(eqx.Module):
    """Where a search ended.

    Args:
        theta: coordinates. sigma: standard deviation of the residuals, NaN for other likelihoods. nll: negative log
            likelihood. gain: log likelihood that could still be gained, by the quadratic model. information: curvature of the
            negative log likelihood at the end (Gauss-Newton's for residuals). scores: gradient of each block.
    """

    theta: Float[Array, " p"]
    sigma: Float[Array, ""]
    nll: Float[Array, ""]
    gain: Float[Array, ""]
    information: Float[Array, "p p"]
    scores: Float[Array, "blocks p"]


def search(
    candidate: AbstractCandidate,
    frame: Frame,
    data: Any,
    starts: Float[Array, "starts p"],
    weights: Float[Array, " blocks"],
    free: Float[Array, " p"],
    *,
    steps: int = 100,
) -> Optimum:
    """The best end of searches from several starts at once; traced by JAX, and batched by `jax.vmap` over data and weights.

    Args:
        weights: how often each block counts (0: left out). free: 1 for coordinates that move, 0 for those that stay at
            their start. steps: Newton steps at most.
    """
    local = _local(candidate, frame, data, weights)
    ends = jax.vmap(lambda search: _advance(local, search, free, steps, SHARP))(_begin(starts))
    values = ends.here[0]
    theta = ends.theta[jnp.argmin(jnp.where(jnp.isfinite(values), values, jnp.inf))]
    return describe(candidate, frame, data, theta, weights, free)


def describe(candidate, frame: Frame, data: Any, theta, weights, free) -> Optimum:
    """Likelihood, information and scores at `theta`."""
    value, gradient, curvature = _local(candidate, frame, data, weights)(theta)
    _, gain = _newton(gradient * free, _held(curvature, free), 0.0)
    sigma = _sigma(candidate, frame, data, theta, weights, free)
    if isinstance(candidate, AbstractResiduals):
        rows = jnp.sum(candidate.used(data) * weights[:, None])
        curvature = curvature * jnp.maximum(rows - jnp.sum(free), 1) / rows
    scores = jax.jacfwd(lambda theta: _block_costs(candidate, frame, data, theta, sigma))(theta)
    return Optimum(theta, sigma, value, gain, curvature, scores)


def _sigma(candidate, frame: Frame, data: Any, theta, weights, free):
    """Standard deviation of the residuals, NaN for other likelihoods."""
    if not isinstance(candidate, AbstractResiduals):
        return jnp.full((), jnp.nan)
    used = candidate.used(data) * weights[:, None]
    squares = jnp.sum(used * candidate.residuals(frame.values(theta), data) ** 2)
    return jnp.sqrt(squares / jnp.maximum(jnp.sum(used) - jnp.sum(free), 1))


def _block_costs(candidate, frame: Frame, data: Any, theta, sigma) -> Float[Array, " blocks"]:
    """Negative log likelihood of each block."""
    values = frame.values(theta)
    return candidate.nll({**values, "sigma": sigma} if isinstance(candidate, AbstractResiduals) else values, data)


def _local(candidate: AbstractCandidate, frame: Frame, data: Any, weights) -> Callable[[Any], Local]:
    """Value, gradient and curvature of the negative log likelihood as a function of the coordinates."""
    if isinstance(candidate, AbstractPredictive):
        return _fisher(candidate, frame, data, weights)
    if not isinstance(candidate, AbstractResiduals):

        def total(theta):
            return jnp.sum(weights * candidate.nll(frame.values(theta), data))

        return lambda theta: (_finite(total(theta)), jax.grad(total)(theta), jax.hessian(total)(theta))

    root = jnp.sqrt(weights)[:, None]
    rows = jnp.sum(candidate.used(data) * weights[:, None])

    def residuals(theta):
        both = candidate.residuals(frame.values(theta), data) * candidate.used(data) * root
        return both.ravel(), both.ravel()

    def local(theta):
        slopes, r = jax.jacfwd(residuals, has_aux=True)(theta)
        squares = jnp.maximum(jnp.sum(r**2), 1e-300)
        return _finite(_normal(squares, rows)), rows * slopes.T @ r / squares, rows * slopes.T @ slopes / squares

    return local


def _normal(squares, rows):
    """Negative log likelihood of normal residuals at their own standard deviation."""
    return rows / 2 * (jnp.log(2 * jnp.pi * squares / rows) + 1)


@eqx.filter_jit
def values_of(candidate, frame: Frame, data: Any, thetas: Float[Array, "points p"]) -> Float[Array, " points"]:
    """Negative log likelihood at several points, compiled."""

    def value(theta):
        values = frame.values(theta)
        if not isinstance(candidate, AbstractResiduals):
            return jnp.sum(candidate.nll(values, data))
        used = candidate.used(data)
        return _normal(jnp.sum((candidate.residuals(values, data) * used) ** 2), jnp.sum(used))

    return jax.vmap(value)(thetas)


def _fisher(candidate: AbstractPredictive, frame: Frame, data: Any, weights) -> Callable[[Any], Local]:
    """Value, gradient and Fisher's information of a likelihood of normal prediction errors."""

    def ahead(theta):
        miss, variance = candidate.innovations(frame.values(theta), data)
        both = miss, jnp.log(variance)
        return both, both

    def local(theta):
        (slopes, bends), (miss, log_variance) = jax.jacfwd(ahead, has_aux=True)(theta)
        weight, precision = jnp.broadcast_to(weights[:, None], miss.shape), jnp.exp(-log_variance)
        pull, excess = weight * miss * precision, weight * (1 - miss**2 * precision) / 2
        gradient = jnp.einsum("br,brp->p", pull, slopes) + jnp.einsum("br,brp->p", excess, bends)
        first = jnp.einsum("br,brp,brq->pq", weight * precision, slopes, slopes)
        value = jnp.sum(weight * (log_variance + jnp.log(2 * jnp.pi) + miss**2 * precision)) / 2
        return _finite(value), gradient, first + jnp.einsum("br,brp,brq->pq", weight / 2, bends, bends)

    return local


def _finite(value):
    return jnp.where(jnp.isfinite(value), value, WORST)


def _held(curvature, free):
    """Curvature in which coordinates that stay do not take part."""
    return curvature * free[:, None] * free + jnp.diag(1 - free)


def _newton(gradient, curvature, damping):
    """A damped step downhill, and the decrease that an undamped one promises.

    Directions of negative curvature are reversed; no coordinate moves by more than 2. The ridge keeps rounding errors
    of a zero slope from promising a decrease.
    """
    gradient, curvature = jnp.nan_to_num(gradient), jnp.nan_to_num(curvature) + RIDGE * jnp.eye(gradient.size)
    scale = jnp.sqrt(jnp.abs(jnp.diag(curvature)))
    sizes, axes = jnp.linalg.eigh(curvature / (scale[:, None] * scale))
    along, sizes = axes.T @ (gradient / scale), jnp.abs(sizes) + 1e-9
    step = -(axes @ (along / (sizes + damping))) / scale
    step = step * jnp.minimum(1, 2 / jnp.maximum(jnp.max(jnp.abs(step)), 1e-300))
    return step, jnp.sum(along**2 / sizes) / 2


class Search(eqx.Module):
    """A search under way.

    Args:
        theta: coordinates. here: value, gradient and curvature there. damping: of the next step. done: whether it has ended.
    """

    theta: Float[Array | np.ndarray, "*searches p"]
    here: tuple[Any, Any, Any]
    damping: Float[Array | np.ndarray, "*searches"]
    done: Bool[Array | np.ndarray, "*searches"]


def _begin(starts: Float[Array | np.ndarray, "*searches p"]) -> Search:
    """Searches about which nothing is known yet: their first step is zero, and is taken."""
    *searches, size = starts.shape
    nothing = (np.full(searches, np.inf), np.zeros(starts.shape), np.tile(np.eye(size), (*searches, 1, 1)))
    return Search(starts, nothing, np.full(searches, 1e-3), np.zeros(searches, bool))


def _advance(
    local: Callable[[Any], Local], search: Search, free: Float[Array, " p"], steps: int, sharp: float | Float[Array, ""]
) -> Search:
    """Damped Newton, some steps further: a step that does not go down is repeated, ten times as damped."""

    def body(carry):
        search, k = carry
        value, gradient, curvature = search.here
        step, gain = _newton(gradient * free, _held(curvature, free), search.damping)
        there = local(search.theta + step)
        better, known = there[0] < value, value < jnp.inf
        lighter = jnp.where(known, search.damping / 10, search.damping)
        damping = jnp.where(better, lighter, jnp.maximum(search.damping, 1e-4) * 10)
        theta, here = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), (search.theta + step, there), (search.theta, search.here)
        )
        return Search(theta, here, damping, known & (gain < sharp * GAIN) | (damping > 1e10)), k + 1

    return lax.while_loop(lambda carry: (carry[1] < steps) & ~carry[0].done, body, (search, jnp.asarray(0)))[0]


@eqx.filter_jit
def information_of(candidate, frame, data, best: Optimum, weights) -> Float[Array, "p p"]:
    """What data of another protocol, with the same noise, would add to the curvature at an optimum; compiled."""
    theta = best.theta
    if isinstance(candidate, AbstractResiduals):

        def residuals(theta):
            return (candidate.residuals(frame.values(theta), data) * candidate.used(data)).ravel()

        slopes = jax.jacfwd(residuals)(theta)
        return slopes.T @ slopes / best.sigma**2
    return _local(candidate, frame, data, weights)(theta)[2]


class Refit(eqx.Module):
    """Ends of several searches.

    Args:
        theta: coordinates. nll: negative log likelihood of the data as weighted. blocks: of each block, whatever its weight.
    """

    theta: Float[Array | np.ndarray, "*searches p"]
    nll: Float[Array | np.ndarray, "*searches"]
    blocks: Float[Array | np.ndarray, "*searches blocks"]


def refit(candidate, frame, data, starts, weights, free) -> Refit:
    """One search for each row of `starts`, `weights` and `free`: a profile, a bootstrap, or blocks left out.

    Searches run four or 24 at a time, so that all of these share two compiled programs, and a few steps at a time, so
    that those that have ended do not wait for the others.
    """
    given = [np.atleast_2d(x) for x in (starts, weights, free)]
    count = max(len(x) for x in given)
    given = (np.broadcast_to(x, (count, x.shape[-1])) for x in given)
    return _ends(candidate, frame, data, *given, sharp=LOOSE, creep=CREEP, stretches=STRETCHES)


def search_once(candidate, frame, data, starts: Float[np.ndarray, "starts p"], blocks: int) -> tuple[Optimum, ...]:
    """As `search` for all blocks and coordinates, by the compiled programs of `refit`.

    Returns:
        the best end, and up to two others whose likelihood is hardly worse, in NumPy's arrays.
    """
    ends = search_ends(candidate, frame, data, starts, blocks, sharp=SHARP, creep=0.0, stretches=LONGEST)
    values, found = np.where(np.isfinite(ends.nll), ends.nll, np.inf), []
    for k in np.argsort(values):
        if found and (values[k] > found[0].nll + NEAR or len(found) > OTHERS):
            break
        if not any(_same(one, ends.theta[k]) for one in found):
            with jax.enable_x64(True):
                end = _describe(candidate, frame, data, ends.theta[k], np.ones(blocks), np.ones(starts.shape[1]))
            found.append(jax.tree.map(np.asarray, end))
    return tuple(found)


def search_ends(candidate, frame, data, starts, blocks: int, *, sharp: float, creep: float, stretches: int) -> Refit:
    """Where one search from each row of `starts` ends, for all blocks and coordinates."""
    weights, free = np.ones((len(starts), blocks)), np.ones(starts.shape)
    return _ends(candidate, frame, data, starts, weights, free, sharp=sharp, creep=creep, stretches=stretches)


def _same(end: Optimum, theta: Any) -> bool:
    """Whether coordinates differ from an end's only where the likelihood does not change, by its curvature."""
    apart = theta - end.theta
    return not apart @ end.information @ apart / 2 > SAME


_describe = eqx.filter_jit(describe)


def _ends(candidate, frame, data, starts, weights, free, *, sharp: float, creep: float, stretches: int) -> Refit:
    """Where searches end that go on until they promise less than `sharp` of a `GAIN`, or gain less than `creep` per
    stretch."""
    with jax.enable_x64(True):
        searches = jax.tree.map(np.array, _begin(starts))
        blocks, left = np.zeros(weights.shape), np.arange(len(starts))
        alone = max(np.size(x) for x in jax.tree.leaves(data)) >= LARGE
        for _ in range(stretches):
            before = searches.here[0].copy()
            for rows in _batches(left, alone):
                some = jax.tree.map(lambda x, rows=rows: x[rows], searches)
                given = some, weights[rows], free[rows], np.asarray(sharp)
                some, its = jax.tree.map(np.asarray, _stretch(candidate, frame, data, *given))
                blocks[rows] = its
                for whole, part in zip(jax.tree.leaves(searches), jax.tree.leaves(some), strict=True):
                    whole[rows] = part
            left = left[~searches.done[left] & ~(before - searches.here[0] < creep)[left]]
    return Refit(searches.theta, searches.here[0], blocks)


def _batches(rows: np.ndarray, alone: bool):
    """Rows 24 at a time, the last few four at a time; the last row is repeated where they do not divide evenly.

    Args:
        alone: whether a single row may go alone.
    """
    few, many = TOGETHER
    while len(rows):
        size = 1 if alone and len(rows) == 1 else many if len(rows) > 3 * few else few
        yield rows[np.minimum(np.arange(size), len(rows) - 1)]
        rows = rows[size:]


@eqx.filter_jit
def _stretch(candidate, frame, data, searches: Search, weights, free, sharp):
    """Searches some steps further, and the negative log likelihood of each block where they are."""

    def one(search, weight, move):
        search = _advance(_local(candidate, frame, data, weight), search, move, STRETCH, sharp)
        sigma = _sigma(candidate, frame, data, search.theta, weight, move)
        return search, _block_costs(candidate, frame, data, search.theta, sigma)

    return jax.vmap(one)(searches, weights, free)


def search_data(candidate, frame, data, starts: Float[np.ndarray, "sets starts p"], weights, free) -> Optimum:
    """One search for each entry of the leading axis of `data` and `starts`: many devices, or many simulated data sets.

    A few sets at a time, by one compiled program whatever their number: derivatives stay in the processor's cache, and
    those that have ended do not wait for the others. In NumPy's arrays.
    """
    count, each = starts.shape[:2]
    size, found = max(TOGETHER[1] // each, 1), []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        some = jax.tree.map(lambda x, rows=rows: x[rows], data)
        ends = _search_data(candidate, frame, some, starts[rows], weights, free)
        found.append(jax.tree.map(np.asarray, ends))
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *found)


@eqx.filter_jit
def _search_data(candidate, frame, data, starts, weights, free) -> Optimum:
    return jax.vmap(lambda d, s: search(candidate, frame, d, s, weights, free))(data, starts)
