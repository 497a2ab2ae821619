"""What a data set is, and how its files are read."""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
import zlib
from typing import Literal

import numpy as np

from experiments.framework.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Inputs `(n, ...)` as float32 and labels as int32, with a fixed split; `x_train` is empty where there is no training set.

    Args:
        name: of the set. notes: sentences on how the files were processed, for reports.
        in_runs: whether neighbours are similar, because inputs of one person or of one label are next to each other in the
            files.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    notes: tuple[str, ...] = ()
    in_runs: bool = False

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(a.max() for a in (self.y_train, self.y_test) if a.size)) + 1

    def some(self, part: Literal["train", "test"], most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """At most `most` inputs and labels that represent the whole: the first ones, in a fixed random order where
        neighbours are similar. A smaller number gives the beginning of a larger one."""
        x, y = (self.x_train, self.y_train) if part == "train" else (self.x_test, self.y_test)
        if not self.in_runs:
            return x[:most], y[:most]
        order = np.random.default_rng(0).permutation(len(x))[:most]
        return x[order], y[order]


def read_npz(path: pathlib.Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of a NumPy archive, all of them or those of these names; no pickles.

    Raises:
        UsageError: for a file that is missing or damaged, or lacks one of them.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in (names or archive.files)}
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise UsageError(f"{path}: is damaged ({error}). Fetch it again.") from error


def no_training(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An empty training set, of the shapes of a test set."""
    return x[:0], y[:0]
