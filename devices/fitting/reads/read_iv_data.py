"""Read currents as arrays, and the linear part of their models in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from devices.instruments.trace import FileError, Trace

FEWEST = 5  # voltages of a cell
CELLS = 4  # of them


def cells(trace: Trace) -> dict[str, Any]:
    """Voltages across the cell and currents (cells x rows), padded with `used` = 0.

    With `series_resistance` in the protocol the column v is taken as that before it: `v_cell = v - R i`.

    Raises:
        FileError: with too few cells, voltages or readings, or the same voltage throughout.
    """
    drop = float(trace.protocol.get("series_resistance", 0.0))
    good = trace.where(np.isfinite(trace["v"]) & np.isfinite(trace["i"]))
    parts = [p for p in good.split() if len(np.unique(p["v"])) >= FEWEST]
    if len(parts) < CELLS:
        raise FileError(
            f"{trace.name}: {len(parts)} cells with {FEWEST} or more different voltages; a read current law common to "
            "cells needs "
            f"{CELLS} or more such cells. Measure more cells or voltages."
        )
    rows = max(map(len, parts))
    v, i, used = (np.zeros((len(parts), rows)) for _ in range(3))
    for k, p in enumerate(parts):
        v[k, : len(p)], i[k, : len(p)], used[k, : len(p)] = p["v"] - drop * p["i"], p["i"], 1.0
    return {"v": v, "i": i, "used": used}


def project(shape: Any, i: Any, used: Any, xp: Any = jnp) -> tuple[Any, ...]:
    """Least squares of `i = g shape + offset` for each cell.

    Returns:
        g, offset, residuals (0 where unused), and ln of the determinant of the normal equations.
    """
    n = xp.sum(used, -1)
    mean = lambda y: xp.sum(used * y, -1) / n  # noqa: E731
    f = used * (shape - mean(shape)[..., None])
    power = xp.maximum(xp.sum(f**2, -1), 1e-300)
    g = xp.sum(f * i, -1) / power
    offset = mean(i) - g * mean(shape)
    residual = used * (i - g[..., None] * shape - offset[..., None])
    return g, offset, residual, xp.log(power) + xp.log(n)


def own_shape(
    shape: Callable[[Any, Any], Any], grid: Float[np.ndarray, " points"], data: Any
) -> Float[np.ndarray, " cells"]:
    """Sum of squares of each cell at its own best shape parameter, of those on a grid."""
    best = np.full(len(data["v"]), np.inf)
    for parameter in grid:
        *_, residual, _ = project(shape(data["v"], parameter), data["i"], data["used"], np)
        best = np.minimum(best, np.sum(residual**2, 1))
    return best


def linear(columns: list[Any], data: Any) -> Float[np.ndarray, " cells"]:
    """Sum of squares of each cell after least squares on columns (cells x rows)."""
    design = np.stack(columns, -1) * data["used"][..., None]
    scale = np.maximum(np.sqrt(np.sum(design**2, 1, keepdims=True)), 1e-300)
    beta = np.linalg.pinv(design / scale) @ (data["used"] * data["i"])[..., None]
    return np.sum((data["used"] * data["i"] - ((design / scale) @ beta)[..., 0]) ** 2, 1)


def median_error(squares: Any, data: Any) -> float:
    """Median over cells of RMS(error)/RMS(current)."""
    return float(np.median(np.sqrt(np.asarray(squares) / np.sum(data["used"] * data["i"] ** 2, 1))))


def lag_one(residual: Any, design: list[Any], used: Any) -> tuple[float, float]:
    """Mean product of neighbouring standardised residuals beyond what the projection makes, and its standard error.

    The fit of `design` to independent noise of unit variance leaves residuals of covariance `1 - H`.
    """
    x = np.stack(design, -1) * used[..., None]
    q = np.linalg.qr(x)[0]
    pairs = used[:, 1:] * used[:, :-1]
    expected = -np.sum(pairs * np.einsum("crk,crk->cr", q[:, 1:], q[:, :-1]), 1)
    cell = np.sum(pairs * residual[:, 1:] * residual[:, :-1], 1) - expected
    return float(np.sum(cell) / pairs.sum()), float(np.std(cell, ddof=1) * np.sqrt(len(cell)) / pairs.sum())
