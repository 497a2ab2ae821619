"""Data sets, by name, with a fixed split: `load(name)`; `folder(name)` is the folder of its files."""

from __future__ import annotations

from collections.abc import Callable

from experiments.datasets import images, signals, text
from experiments.datasets.dataset import Dataset
from experiments.framework.errors import UsageError
from experiments.public_data.places import find as folder

SETS: dict[str, Callable[[], Dataset]] = {
    "digits": images.digits,
    "mnist": lambda: images.idx("mnist"),
    "fashion-mnist": lambda: images.idx("fashion-mnist"),
    "cifar10": images.cifar10,
    "cifar10-subset": images.cifar10_subset,
    "wake-words": images.wake_words,
    "keywords": signals.keywords,
    "fsdd": signals.spoken_digits,
    "fsdd-new-speaker": signals.spoken_digits_of_new_speakers,
    "mitbih-beats": signals.heartbeats,
    "mitbih-nsv": signals.heartbeats_in_context,
    "tinyshakespeare": text.shakespeare,
}
NAMES = tuple(SETS)

__all__ = ["NAMES", "Dataset", "folder", "load"]


def load(name: str) -> Dataset:
    """A data set by name.

    Raises:
        UsageError: for an unknown name, or files that are missing or damaged.
    """
    if name not in SETS:
        raise UsageError(f"data set {name!r} is unknown; choose from {', '.join(NAMES)}.")
    return SETS[name]()
