"""What to measure next, and which parameters the data cannot separate, in sentences."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from devices.fitting.engine.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.engine.optimum import RIDGE, Optimum, information_of
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.uncertainty import confused

KNOWN = 0.05  # a standard error of a coordinate below this needs no advice
WORTH = (
    1.2  # a proposal is named that shrinks the error this many times more than another measurement of the same would
)
DRAWS = 4  # simulated measurements whose mean information stands for the expected one


def inseparable(space: Space, best: Optimum) -> tuple[str, ...]:
    """A sentence about the parameters that the data tell apart worst, and the names of the others that they confuse."""
    pairs = sorted(confused(space, best), key=lambda pair: -abs(pair[2]))
    if not pairs:
        return ()
    a, b, rho = pairs[0]
    sentence = (
        f"{a} and {b} cannot be told apart with these data: correlation {rho:+.3f}; only a combination of them is known"
    )
    names = dict.fromkeys(name for pair in pairs[1:] for name in pair[:2])
    rest = f" (likewise for {len(pairs) - 1} more pairs, among {', '.join(names)})" if names else ""
    return (f"{sentence}{rest}.",)


def advice(candidate: AbstractCandidate, space: Space, data: Any, best: Optimum) -> tuple[str, ...]:
    """Which measurement would be most informative, by Fisher information: the proposals of the candidate, each
    simulated at the estimate.

    A proposal is ranked by how much it shrinks the error of the worst known combination of parameters, without nuisance
    parameters, measured together with the existing data. Of a proposal that continues the present measurement only what
    it adds counts; another measurement must be more informative than the present one repeated, which lowers any error
    by the root of two.
    """
    information = np.asarray(best.information) + RIDGE * np.eye(len(space))
    wanted = [k for k, name in enumerate(space.names) if name.rstrip("_0123456789") not in candidate.nuisances]
    if not np.isfinite(information).all() or not wanted:
        return ()
    sizes, axes = np.linalg.eigh(information)
    # a direction of negative curvature is unknown
    information = (axes * np.maximum(sizes, RIDGE)) @ axes.T
    variances, directions = np.linalg.eigh(_part(information, wanted))
    worst, before = directions[:, -1], np.sqrt(variances[-1])
    if before < KNOWN:
        return ()
    present, ranked = None, []
    for proposal in candidate.experiments(data):
        more, usual = _information(candidate, space, proposal[1], best), np.sqrt(2.0)
        if len(proposal) > 2:  # the present measurement, continued
            present = _information(candidate, space, data, best) if present is None else present
            more, usual = _positive(more - present), 1.0
        after = np.sqrt(worst @ _part(information + more, wanted) @ worst)
        ranked.append((before / after / usual, before / after, proposal[0]))
    ranked.sort(reverse=True)
    order = [wanted[k] for k in np.argsort(-np.abs(worst))[:2] if abs(worst[k]) > 0.3]
    loads = " and ".join(space.names[k] for k in order)
    return tuple(
        f"{s}: the error of {loads} would shrink by a factor of {gain:.1f}."
        for own, gain, s in ranked[:2]
        if own > WORTH
    )


def _part(information: np.ndarray, wanted: list[int]) -> np.ndarray:
    """Covariance of some coordinates, whatever the others are."""
    return np.linalg.inv(information)[np.ix_(wanted, wanted)]


def _positive(matrix: np.ndarray) -> np.ndarray:
    sizes, axes = np.linalg.eigh(matrix)
    return (axes * np.maximum(sizes, 0)) @ axes.T


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
        for k in range(DRAWS):
            drawn = _draw(candidate, values, protocol, jax.random.key(k))
            blocks = jax.eval_shape(lambda d=drawn: candidate.nll(values, d)).shape
            total = total + np.asarray(information_of(candidate, frame, drawn, best, np.ones(blocks))) / DRAWS
        return _positive(np.nan_to_num(total))


@eqx.filter_jit
def _draw(candidate, values, protocol, key):
    return candidate.simulate(values, protocol, key=key)
