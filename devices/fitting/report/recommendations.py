"""What to measure next, and what the data cannot tell apart, in sentences."""

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


def inseparable(space: Space, best: Optimum) -> tuple[str, ...]:
    """Sentences about parameters that the data cannot tell apart."""
    return tuple(
        f"{a} and {b} cannot be told apart with these data: correlation {rho:+.3f}; only a combination of them is known."
        for a, b, rho in confused(space, best)
    )


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
