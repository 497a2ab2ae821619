"""Results as an xarray Dataset."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from experiments.framework import plain_json
from experiments.framework.errors import UsageError
from experiments.saved_runs.saved_run import SavedRun, read_run


def open_results(path: str | os.PathLike[str]) -> Any:
    """The results of a run as an `xarray.Dataset` in memory, every number checked against its checksum.

    Coordinates and variables carry `units` and `long_name`; the attributes of the data set are `experiment`, `began` (UTC),
    `points_finished`, `points`, and `config`, `versions`, `summary` as JSON. Values that are not computed are NaN, and
    `finished` says which points are computed.

    Args:
        path: the folder of a run, or its `results.h5`.

    Raises:
        UsageError: if xarray is not installed, if there is no run, or if it is damaged.
    """
    try:
        import xarray
    except ImportError as error:
        raise UsageError(
            "open_results needs the package xarray, which is not installed. Run: pip install 'xbar-sim[results]'"
        ) from error
    run = read_run(pathlib.Path(path))
    layout, results = run.results.layout, run.results
    about = lambda title, unit: {"long_name": title, "units": unit}  # noqa: E731
    coordinates = {n: (n, list(d.values), about(d.title, d.unit)) for n, d in layout.dimensions.items()}
    variables: dict[str, Any] = {n: (v.dims, results[n], about(v.title, v.unit)) for n, v in layout.variables.items()}
    variables["finished"] = (layout.point_dims, results.finished, about("point is computed", "1"))
    return xarray.Dataset(variables, coordinates, _attributes(run))


def _attributes(run: SavedRun) -> dict[str, Any]:
    done, total = run.points
    return {
        "experiment": run.name,
        "began": run.date,
        "points_finished": done,
        "points": total,
        "config": json.dumps(run.config),
        "versions": json.dumps(run.versions),
        "summary": plain_json.text(run.summary),
    }
