"""Training and test data of a network, which never overlap: a training set, or folds of a test set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.datasets import Dataset
from experiments.framework.errors import UsageError

CALIBRATION = 256
"""Unlabelled training inputs that converter ranges and statistics of outputs are taken from."""


@dataclasses.dataclass(frozen=True)
class Fold:
    """A split.

    Args:
        x_train, y_train: to train on; `y_train` is None where there are no labels to learn from.
        x_cal: unlabelled inputs that converter ranges and statistics of outputs are taken from; none of them is tested.
        x_test, y_test: to test on. places: their indices among all test inputs of the run.
    """

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_cal: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    places: np.ndarray


def folds(network: Any, count: int, limit: int) -> list[Fold]:
    """A single split for a network with a training set; `count` folds of the test inputs otherwise.

    A fold tests every `count`-th input and trains on all others, without their labels. To keywords, spoken digits (words of
    another task) are added, if they are available.

    Args:
        limit: maximum number of test inputs.
    """
    data = network.measured_on()
    chosen = _spread(len(data.x_test), limit)
    x, y = data.x_test[chosen], data.y_test[chosen]
    if network.teachable:
        x_cal = data.x_train[_spread(len(data.x_train), CALIBRATION)]
        return [Fold(data.x_train, data.y_train, x_cal, x, y, np.arange(len(x)))]
    if len(x) < max(count, 2):
        raise UsageError(
            f"--folds {count}: there are {len(x)} test inputs; give at least two folds, and no more than there are inputs."
        )
    more = _other_speech() if data.name == "keywords" else None
    return [_fold(data, x, y, np.arange(i, len(x), count), more) for i in range(count)]


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` indices, evenly spread: recordings of one person are next to each other."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


def _fold(data: Dataset, x: np.ndarray, y: np.ndarray, tested: np.ndarray, more: np.ndarray | None) -> Fold:
    seen = {a.tobytes() for a in x[tested]}
    known = [i for i in np.delete(np.arange(len(x)), tested) if x[i].tobytes() not in seen]  # keywords hold six pairs
    others = x[known]
    train = others if more is None else np.concatenate([np.repeat(others, max(len(more) // len(others), 1), 0), more])
    x_cal, _ = dataclasses.replace(data, x_test=others, y_test=y[known]).some("test", CALIBRATION)
    return Fold(train, None, x_cal, x[tested], y[tested], tested)


def _other_speech() -> np.ndarray | None:
    """Spoken digits through the keywords' front end, each at a random position within the second; None if they are not
    available."""
    from experiments import datasets

    try:
        digits = datasets.load("fsdd")
    except UsageError:
        return None
    x = np.concatenate([digits.x_train, digits.x_test])
    shifts = np.random.default_rng(0).integers(0, x.shape[1] // 2, len(x))
    return np.stack([np.roll(clip, n, axis=0) for clip, n in zip(x, shifts, strict=True)])


def sentence(network: Any, count: int) -> str:
    """What was trained on, and what was not."""
    data: Dataset = network.measured_on()
    if network.teachable:
        return (
            f"Trained on {len(data.x_train):,} inputs of {data.name}'s training set; tested on its test set, which "
            "training, converter ranges and matched statistics never see."
        )
    more = (
        " and on spoken digits (FSDD) through the benchmark's front end, if available"
        if data.name == "keywords"
        else ""
    )
    return (
        f"{data.name} has no training set: {count} networks are trained, each on the test inputs of the other folds{more},"
        " and tested on its own fold alone. No labels are used: the networks learn the digital network's outputs. Converter "
        "ranges and statistics are also taken from those training inputs."
    )
