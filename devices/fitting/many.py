"""`fit_many`: one model fitted to many devices at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from devices.fitting.engine import uncertainty
from devices.fitting.engine.optimum import GAIN, search_data
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import Number
from devices.fitting.kinds import candidates, listed
from devices.instruments.trace import FileError, Trace


@dataclasses.dataclass(frozen=True, eq=False)
class ManyFits:
    """One model, many devices.

    Args:
        model: its name. devices: names of the traces. numbers: of each device, with standard errors of blocks of its data
            where there are enough of them. measures: figures of merit of each device. converged: of each search.
    """

    model: str
    devices: tuple[str, ...]
    numbers: tuple[tuple[Number, ...], ...]
    measures: tuple[dict[str, float], ...]
    converged: np.ndarray

    @property
    def estimates(self) -> dict[str, np.ndarray]:
        """Values by name of the parameter, one entry per device."""
        return {row[0].name: np.array([n.value for n in row]) for row in zip(*self.numbers, strict=True)}


def fit_many(traces: Sequence[Trace], model: str, *, starts: int = 6, seed: int = 0) -> ManyFits:
    """Fits a model to each of many traces of one kind, all in one batch and within common bounds.

    Raises:
        FileError: if there is no such model, or the traces differ in what is to be fitted (one has a series resistance
            that another does not have, say).
    """
    if not traces:
        raise FileError("fit_many: no traces were given.")
    available = candidates(traces[0].kind)
    if model not in available or any(t.kind != traces[0].kind for t in traces):
        kinds = ", ".join(sorted({t.kind for t in traces}))
        raise FileError(
            f"fit_many: model {model!r} for traces of kind {kinds}; known models for a "
            f"{traces[0].kind} are:{listed(available)}"
        )
    one = available[model]
    rows = [t if one.keeps_excluded else t.where(t.good) for t in traces]
    built, data = zip(*(one.of(t) for t in rows), strict=True)
    data = one.pad_to_common_shape(list(data))
    shapes = {str(jax.tree.map(np.shape, d)) for d in data} | {str(jax.tree.structure(c)) for c in built}
    if len(shapes) > len({str(jax.tree.structure(built[0]))} | {str(jax.tree.map(np.shape, data[0]))}):
        raise FileError(
            "fit_many: the traces differ in what was measured or how many loops or rows there are: "
            f"{', '.join(t.name for t in traces)}. Fit similar ones together."
        )
    candidate = jax.tree.map(lambda *x: np.median(x, 0), *built)
    space = Space(candidate.parameters())
    first = np.stack([space.starts(candidate.guesses(d), starts, seed) for d in data])
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *x: np.stack(x), *data)
        blocks = jax.eval_shape(lambda: candidate.nll(_probe(space), data[0])).shape[0]
        ends = search_data(candidate, space.frame(), stacked, first, np.ones(blocks), np.ones(len(space)))
    found = [_numbers(candidate, space, d, jax.tree.map(lambda x, k=k: x[k], ends)) for k, d in enumerate(data)]
    numbers, measures = zip(*found, strict=True)
    return ManyFits(model, tuple(t.name for t in traces), numbers, measures, np.asarray(ends.gain < GAIN))


def _probe(space: Space):
    return {**space.frame().values(jnp.zeros(len(space))), "sigma": np.ones(())}


def _numbers(candidate, space: Space, data, best):
    robust = len(best.scores) > len(space)
    spread = uncertainty.covariance(best, robust=robust)
    numbers = uncertainty.numbers(space, best, spread, candidate.count(data))
    values = {n.name: n.value for n in numbers}
    return numbers, candidate.measures({**values, "sigma": float(best.sigma)}, data)
