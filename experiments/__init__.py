"""The experiments, and the command line that runs them."""

from __future__ import annotations

import os
from typing import Any


def open_results(path: str | os.PathLike[str]) -> Any:
    """The results of a run, a folder or its `results.h5`, as an `xarray.Dataset` (extra `[results]`).

    Every number is checked against its checksum. Coordinates and variables have `units`; the attributes hold `config`,
    `versions` and `summary` as JSON, and how many points are finished. Values that are not computed yet are NaN.

    Raises:
        UsageError: if xarray is not installed, if there is no run, or if it is damaged.
    """
    from experiments.saved_runs import as_xarray

    return as_xarray.open_results(path)
