"""Where data sets are on this machine: local copies first, then the cache."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence

from experiments.framework.errors import UsageError
from experiments.public_data.registry import entries

RECORD = "SOURCE.json"  # in each folder that was fetched: written last, so that a folder with it is complete


def cache() -> pathlib.Path:
    """The folder that fetched data sets go to: `$XDG_CACHE_HOME/xbar/data`, else `~/.cache/xbar/data`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".cache") / "xbar" / "data"


def searched(name: str) -> list[pathlib.Path]:
    """Where a data set may be, in the order in which it is looked for."""
    root = os.environ.get("XBAR_DATA")
    local = [pathlib.Path(root) / sub / name for sub in ("datasets", "measured", ".")] if root else []
    known = entries().get(name)
    return [*local, *(pathlib.Path(p) for p in (known.also if known else ())), cache() / name]


def located(name: str) -> pathlib.Path | None:
    """The folder of a data set, or None if it is not on this machine."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        return None
    fetched = cache() / name
    return next((p for p in searched(name) if p.is_dir() and (p != fetched or (p / RECORD).is_file())), None)


def find(name: str, holds: str = "its files", otherwise: str = "", also: Sequence[str] = ()) -> pathlib.Path:
    """The folder of a data set: below `XBAR_DATA`, where the system's packages put it, or in the cache.

    Args:
        holds, otherwise: what the message says about its files, and about alternatives. also: data sets that hold the same
            files and can be used instead.

    Raises:
        UsageError: if it is in none of these places; the message says how to get it.
    """
    names = (name, *also)
    folder = next((found for n in names if (found := located(n)) is not None), None)
    if folder is not None:
        return folder
    looked = ", ".join(str(path) for n in names for path in searched(n))
    unset = "" if os.environ.get("XBAR_DATA") else "; XBAR_DATA is not set"
    known = next((n for n in names if n in entries()), None)
    how = f"Run `xbar data fetch {known}`, or set" if known else "Set"
    raise UsageError(
        f"data set {name!r} is not here (looked in: {looked}{unset}). {how} XBAR_DATA to a folder that holds {name}/ "
        f"with {holds}{otherwise}."
    )
