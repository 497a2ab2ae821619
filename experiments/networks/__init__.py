"""The networks that experiments run: `find(name_or_path, key)` makes one from the table, or from a user's file."""

from __future__ import annotations

import difflib
import pathlib

from jaxtyping import PRNGKeyArray

from experiments.framework.errors import UsageError
from experiments.networks.network import Network, accuracy, cross_entropy, forward, squared_error
from experiments.networks.own_file import own as _own
from experiments.networks.zoo import NAMES, ZOO, known, weights_file

__all__ = [
    "NAMES",
    "ZOO",
    "Network",
    "accuracy",
    "cross_entropy",
    "files",
    "find",
    "forward",
    "is_own",
    "squared_error",
]


def find(name: str, key: PRNGKeyArray, data: str | None = None) -> Network:
    """The network of this name, or of this Python file (`./mine.py`), with what it is measured on.

    Args:
        key: for random weights, where none are given. data: a data set other than the network's own.

    Raises:
        UsageError: if there is none, or its weights or data are missing or not as expected.
    """
    if is_own(name):
        if data is not None:
            raise UsageError(f"--data {data}: {name} brings its own x and y. Leave --data out.")
        return _own(name)
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"--network {name}: unknown network.{hint} Choose from {', '.join(NAMES)}; or give a Python file, ./mine.py."
        )
    return known(name, key, data)


def files(name: str) -> tuple[pathlib.Path, ...]:
    """The files that a network is read from: their contents identify a run.

    Raises:
        UsageError: if one is missing.
    """
    path = pathlib.Path(name) if is_own(name) else weights_file(name)
    if path is None:
        return ()
    if not path.is_file():
        raise UsageError(f"--network {name}: {path} is missing.")
    return (path,)


def is_own(name: str) -> bool:
    """Whether this is a user's own file, not a name of the table."""
    return name.endswith(".py")
