"""Results as a tidy table: one row per value, its coordinates in columns with units."""

from __future__ import annotations

import csv
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from experiments.framework.errors import UsageError
from experiments.framework.files import replacing
from experiments.saved_runs.saved_run import SavedRun


def write_csv(run: SavedRun, path: pathlib.Path, overwrite: bool = False) -> int:
    """Writes `variable, value, unit, finished`, and a column for each axis; returns the number of rows.

    An unknown value is an empty cell, never 0. `finished` is 1 where the point of the value is computed. An axis
    that a variable does not have is an empty cell.

    Raises:
        UsageError: if the file exists already, or its folder does not.
    """
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already. Give another name, or --overwrite.")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"{path}: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}. Give a file."
        )
    dimensions = run.results.layout.dimensions
    heads = [name if d.unit == "1" else f"{name} [{d.unit}]" for name, d in dimensions.items()]
    count = 0
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["variable", "value", "unit", "finished", *heads])
        for row in rows(run):
            writer.writerow(row)
            count += 1
    return count


def rows(run: SavedRun) -> Iterator[list[object]]:
    """The rows, variable by variable, the last axis fastest."""
    layout, results = run.results.layout, run.results
    for name, variable in layout.variables.items():
        finished = _finished(run, variable.dims)
        grid = itertools.product(*(layout.dimensions[d].values for d in variable.dims))
        for at, value, done in zip(grid, results[name].ravel().tolist(), finished.ravel().tolist(), strict=True):
            here = dict(zip(variable.dims, at, strict=True))
            known = repr(value) if np.isfinite(value) else ""
            yield [name, known, variable.unit, int(done), *(here.get(d, "") for d in layout.dimensions)]


def _finished(run: SavedRun, dims: tuple[str, ...]) -> np.ndarray:
    """Whether the point of each value is computed; for values that points share, whether any of these points is."""
    layout = run.results.layout
    kept = [d for d in layout.point_dims if d in dims]
    shared = tuple(i for i, d in enumerate(layout.point_dims) if d not in dims)
    found = np.asarray(run.results.finished.any(axis=shared))
    found = found.transpose([kept.index(d) for d in dims if d in kept])
    return np.broadcast_to(found[tuple(slice(None) if d in kept else None for d in dims)], layout.shape(dims))
