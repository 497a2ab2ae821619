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
SURE = 4.0  # standard deviations of noise by which an offset may differ from the current at 0 V
GROWN = (
    3.0  # noise of the largest third of currents over that of the smallest, from which it is taken to grow with them
)
_THIRD = np.sqrt(20.0)  # standard deviation of a third difference of unit noise
_MEDIAN = 0.6745  # of the magnitude of a unit normal


def cells(trace: Trace) -> dict[str, Any]:
    """Voltages across the cell and currents (cells x rows), padded with `used` = 0.

    `size` is the magnitude of the current [A], a mean over five neighbours; `most` the largest magnitude that each cell's
    offset can have [A]: the current that was measured at 0 V (or, where 0 V was not measured, at the smallest voltage) and
    four standard deviations of noise. With `series_resistance` in the protocol the column v is taken as that before it:
    `v_cell = v - R i`.

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
    v, i, used, size = (np.zeros((len(parts), rows)) for _ in range(4))
    for k, p in enumerate(parts):
        v[k, : len(p)], i[k, : len(p)], used[k, : len(p)] = p["v"] - drop * p["i"], p["i"], 1.0
        size[k, : len(p)] = _smooth(p["v"], np.abs(p["i"]))
    least = np.array([abs(np.mean(p["i"][np.abs(p["v"]) <= np.min(np.abs(p["v"]))])) for p in parts])
    data = {"v": v, "i": i, "used": used, "size": size}
    noise = np.array([_noise(p) for p in parts])
    noise = np.min(noise) if noise_grows(data) else np.maximum(noise, np.median(noise))
    seen = np.max(np.abs(i), 1) / np.maximum(np.max(np.abs(v) * used, 1), 1e-300)
    behind = 1 + drop * seen  # an offset moves the voltage of the cell as well
    return {**data, "most": behind * (least * (1 + 1e-6) + SURE * noise)}


def _smooth(v: Float[np.ndarray, " rows"], size: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Means over the five nearest in voltage, three at the ends."""
    order = np.argsort(v, kind="stable")
    five, ones = np.ones(5), np.ones(len(v))
    found = np.empty(len(v))
    found[order] = np.convolve(size[order], five, "same") / np.convolve(ones, five, "same")
    return found


def _noise(part: Trace) -> float:
    """Standard deviation [A] of what a parabola does not explain among the eight readings at the smallest voltages."""
    near = np.argsort(np.abs(part["v"]), kind="stable")[:8]
    near = near[np.argsort(part["v"][near], kind="stable")]
    return float(np.sqrt(np.mean(np.diff(part["i"][near], 3) ** 2)) / _THIRD)


def _noise_by_size(data: Any) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Median |current| and noise [A] of the readings with the smallest, the middle and the largest currents.

    Noise is separated from the curve by third differences along the voltage.
    """
    found = []
    for v, i, used in zip(data["v"], data["i"], data["used"], strict=True):
        v, i = v[used > 0], i[used > 0]
        i = i[np.argsort(v, kind="stable")]
        found.append(np.stack([np.abs(i[1:-2] + i[2:-1]) / 2, np.abs(np.diff(i, 3)) / _THIRD]))
    size, noise = np.concatenate(found, 1)
    thirds = np.array_split(np.argsort(size, kind="stable"), 3)
    return np.array([np.median(size[t]) for t in thirds]), np.array([np.median(noise[t]) / _MEDIAN for t in thirds])


def noise_grows(data: Any) -> bool:
    """Whether noise is larger at larger currents, and more than rounding there."""
    size, noise = _noise_by_size(data)
    return bool(noise[2] > max(GROWN * noise[0], 1e-7 * size[2]))


def floor_and_slope(data: Any) -> dict[str, float]:
    """Starts for the noise at 0 A [A] and the part relative to the current."""
    size, noise = _noise_by_size(data)
    return {"s": max(float(noise[0]), 1e-17), "relative": float(np.clip(noise[2] / size[2], 1e-6, 1.0))}


def project(shape: Any, i: Any, weight: Any, xp: Any = jnp, most: Any = np.inf) -> tuple[Any, ...]:
    """Weighted least squares of `i = g shape + offset` for each cell, with |offset| <= most.

    Args:
        weight: of the squares, 0 where there is no reading.

    Returns:
        g, offset, residuals times the root of the weight, and ln of the determinant of the normal equations.
    """
    n = xp.sum(weight, -1)
    mean = lambda y: xp.sum(weight * y, -1) / n  # noqa: E731
    own = mean(shape)
    f = shape - own[..., None]
    power = xp.maximum(xp.sum(weight * f**2, -1), 1e-300)
    g = xp.sum(weight * f * i, -1) / power
    offset = mean(i) - g * own
    bound = xp.clip(offset, -most, most)
    # what is left to g where the offset is held: exact, as the sum of squares is a parabola
    g = g + (offset - bound) * own * n / xp.maximum(xp.sum(weight * shape**2, -1), 1e-300)
    residual = xp.sqrt(weight) * (i - g[..., None] * shape - bound[..., None])
    return g, bound, residual, xp.log(power) + xp.log(n)


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


def relative_errors(squares: Any, data: Any) -> Float[np.ndarray, " cells"]:
    """RMS(error)/RMS(current) of each cell."""
    return np.sqrt(np.asarray(squares) / np.sum(data["used"] * data["i"] ** 2, 1))


def median_error(squares: Any, data: Any) -> float:
    """Median over cells of RMS(error)/RMS(current)."""
    return float(np.median(relative_errors(squares, data)))


def log_error(model: Any, data: Any, floor: float) -> float:
    """RMS of log10(model / current) [decades] over readings above a floor [A]; NaN with none."""
    seen = (data["used"] > 0) & (np.abs(data["i"]) > floor) & (np.asarray(model) * data["i"] > 0)
    ratio = np.asarray(model)[seen] / data["i"][seen]
    return float(np.sqrt(np.mean(np.log10(ratio) ** 2))) if len(ratio) else float("nan")


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
