"""Which layers stay digital, so that an accuracy floor is kept with as much of the work on arrays as possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

DROP = 0.01  # of accuracy, below the digital network, where no floor is given
METHODS = ("gradient", "greedy")


def floor(given: float | None, digital: float) -> float:
    """The accuracy floor: the one given, or one point below the digital network."""
    return digital - DROP if given is None else given


@dataclasses.dataclass(frozen=True)
class Split:
    """Layers moved to digital hardware one after the other, by each of `METHODS`.

    Args:
        layer: which one was moved last, [method, moved]; NaN for none. share: of the multiply-accumulates still on arrays.
        accuracy: [method, moved, chip]. After greedy search has ended because the floor is kept, all three are NaN.
    """

    layer: np.ndarray
    share: np.ndarray
    accuracy: np.ndarray

    def chosen(self, method: str, floor: float) -> int:
        """How many layers are moved until the mean accuracy reaches the floor; all known moves if it never does."""
        mean = self.accuracy[METHODS.index(method)].mean(-1)
        holds = np.flatnonzero(mean >= floor)
        return int(holds[0]) if holds.size else int(np.flatnonzero(np.isfinite(mean))[-1])

    def digital(self, method: str, floor: float, layers: int) -> np.ndarray:
        """1 for each layer that is digital in the chosen split."""
        mask, own = np.zeros(layers), self.layer[METHODS.index(method)]
        mask[own[1 : self.chosen(method, floor) + 1].astype(int)] = 1
        return mask


def split(read: Callable[[np.ndarray], np.ndarray], slope: np.ndarray, macs: np.ndarray, floor: float) -> Split:
    """Moves layers to digital hardware by gradient (all of them) and greedily (until the floor is kept).

    By gradient, the order is that of the loss due to a layer's imperfections divided by its work: one backward pass, one
    reading per move. Greedily, every move tries every remaining layer, and takes the one with the most accuracy for its work.

    Args:
        read: accuracy of every chip for a mask of digital layers. slope: d loss / d ln(imperfections of a layer).
        macs: multiply-accumulates of each layer.
    """
    layers, start = len(macs), read(np.zeros(len(macs)))
    shape = (len(METHODS), layers + 1)
    found = Split(np.full(shape, np.nan), np.full(shape, np.nan), np.full((*shape, start.size), np.nan))
    for method, order in enumerate((_by_gradient(slope, macs), None)):
        mask = np.zeros(layers)
        found.share[method, 0], found.accuracy[method, 0] = 1.0, start
        for moved in range(1, layers + 1):
            if order is None and found.accuracy[method, moved - 1].mean() >= floor:
                break
            now = found.accuracy[method, moved - 1]
            candidates = np.flatnonzero(mask == 0) if order is None else order[moved - 1 : moved]
            best, reading = _best(read, mask, candidates, now, macs)
            mask[best] = 1
            found.layer[method, moved], found.accuracy[method, moved] = best, reading
            found.share[method, moved] = macs[mask == 0].sum() / macs.sum()
    return found


def _by_gradient(slope: np.ndarray, macs: np.ndarray) -> np.ndarray:
    return np.argsort(-slope / np.maximum(macs, 1))


def _best(read: Any, mask: np.ndarray, candidates: np.ndarray, now: np.ndarray, macs: np.ndarray) -> tuple[int, Any]:
    """The layer whose move gains most accuracy for its work, and the accuracies after the move."""
    readings = {}
    for i in candidates:
        tried = mask.copy()
        tried[i] = 1
        readings[int(i)] = read(tried)

    def gain(i: int) -> float:
        more = float((readings[i] - now).mean())
        return more / macs[i] if more > 0 else more * macs[i]

    best = max(readings, key=gain)
    return best, readings[best]


def verified(knobs: Any, programs: Any, mask: np.ndarray) -> np.ndarray:
    """Accuracy of every chip with these layers truly digital: `xbar.analog(f, lambda path, shape: Tile | None)`."""
    import equinox as eqx

    from experiments import in_turns

    study = knobs.study
    keep = {name for name, digital in zip(knobs.layers, mask, strict=True) if digital}
    if len(keep) == len(knobs.layers):
        return np.full(len(programs.keys), study.digital())
    tile = study.tile(study.device, wires=knobs.wires(1.0))

    @eqx.filter_jit
    def read(arrays, keys):
        given = study.holding(arrays)

        def one(key):
            chip = given.chip(lambda path, shape: None if path in keep else tile, key)
            return given.network.metric(given.outputs(chip, key), given.y)

        return in_turns.over(one, keys)

    return np.asarray(read(study.arrays, programs.keys), float)
