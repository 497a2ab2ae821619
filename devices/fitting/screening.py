"""Large traces: models are first fitted to some of the devices, and only those that could be the best to all
readings."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from devices.fitting.engine.candidate import AbstractCandidate
from devices.fitting.engine.optimum import values_of
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import Fit
from devices.instruments.trace import Trace

READINGS = 4_000  # of the part on which models are looked for
WORTHWHILE = 3  # from this many times as many readings on, not all are fitted at once
DEVICES = 64  # fewer devices than this do not stand for all


def part_of(trace: Trace, seed: int) -> Trace | None:
    """All readings of some devices, drawn at random, of a large trace; None where all can be fitted at once."""
    devices = np.unique(trace["device"])
    count = round(len(devices) * READINGS / len(trace))
    if len(trace) < WORTHWHILE * READINGS or count < DEVICES:
        return None
    chosen = np.random.default_rng(seed).choice(devices, count, replace=False)
    return trace.where(np.isin(trace["device"], chosen))


def is_large(candidate: AbstractCandidate, data: Any) -> bool:
    """Whether a model sees so many readings that it is screened first; some models thin them out themselves."""
    return not candidate.keeps_excluded and candidate.count(data) >= WORTHWHILE * READINGS


def on_all(small: Fit, candidate: AbstractCandidate, data: Any, rows: Trace) -> Fit:
    """A fit to a part of the readings, with its likelihood, and so its BIC, on all of them."""
    space = Space(candidate.parameters())
    with jax.enable_x64(True):
        theta = jnp.asarray(space.theta(small.estimate))[None]
        nll = float(values_of(candidate, space.frame(), jax.tree.map(np.asarray, data), theta)[0])
    said = (
        f"fitted to {len(small.trace)} of {len(rows)} readings: {len(np.unique(small.trace['device']))} of "
        f"{len(np.unique(rows['device']))} devices, drawn at random; its likelihood, AIC and BIC are those of all readings."
    )
    return dataclasses.replace(small, nll=nll, rows=candidate.count(data), flags=(said, *small.flags), trace=rows)


def could_win(small: Fit, share: float, best: float) -> bool:
    """Whether a fit to a share of the readings, fitted to all of them, could have a BIC below `best`.

    Parameters from a share of the readings cost `k / share` in twice the log likelihood, of which twice as much is allowed.
    """
    return not small.bic - 2 * small.unknowns / share > best
