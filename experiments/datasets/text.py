"""Data sets of text."""

from __future__ import annotations

import numpy as np

from experiments.datasets.dataset import Dataset
from experiments.framework.errors import UsageError
from experiments.public_data.places import find as folder

CONTEXT = 64  # characters of a window
TRAINING_SHARE = 0.9


def shakespeare() -> Dataset:
    """Tiny Shakespeare as windows of 64 characters, `(n, 64)` int32, each labelled with the character that follows.

    The symbols are those of the text, in the order of their codes. The first 90 % are for training, the rest for testing.
    """
    path = folder("tinyshakespeare", "input.txt") / "input.txt"
    try:
        text = np.array([ord(c) for c in path.read_text(encoding="utf-8")])
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Fetch it again.") from error
    if len(text) < 20 * CONTEXT:
        raise UsageError(f"{path}: {len(text)} characters are too few. Fetch it again.")
    codes = np.searchsorted(np.unique(text), text).astype(np.int32)
    cut = int(TRAINING_SHARE * len(codes))
    return Dataset("tinyshakespeare", *_windows(codes[:cut]), *_windows(codes[cut:]), in_runs=True)


def _windows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows side by side, and the same a character later."""
    n = (len(codes) - 1) // CONTEXT
    return codes[: n * CONTEXT].reshape(n, CONTEXT), codes[1 : n * CONTEXT + 1].reshape(n, CONTEXT)
