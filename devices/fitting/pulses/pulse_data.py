"""Pulse trains as padded arrays: one block for each train, and what can be seen in them without a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devices.instruments.trace import FileError, Trace

Trains = Mapping[str, np.ndarray]


def trains(trace: Trace) -> Trains:
    """Readings by train: a stretch of one device, of one cycle, in which the count of pulses grows.

    Returns:
        `y` [trains, rows] the readings; `direction` the pulse before each; `used` 1 for readings after a pulse (0 for
        the first
        of a train, and padding); `side` [trains] the direction of most of its pulses; `age` [trains] cycles since the first;
        `device` [trains].

    Raises:
        FileError: if a train has no pulse, or a direction is neither +1 nor -1.
    """
    wrong = trace["direction"][~np.isin(trace["direction"], (-1.0, 1.0))]
    if len(wrong):
        raise FileError(
            f"{trace.name}: direction={wrong[0]:g} of a pulse; it must be +1 where a pulse raises the "
            "conductance and -1 where it lowers it."
        )
    first = np.flatnonzero(_starts(trace))
    lengths = np.diff(np.append(first, len(trace)))
    first, lengths = first[lengths > 1], lengths[lengths > 1]
    if not len(first):
        raise FileError(f"{trace.name}: no train has two readings; a pulse needs a reading before and one after it.")
    at = np.arange(lengths.max())
    inside = at < lengths[:, None]
    rows = first[:, None] + np.minimum(at, lengths[:, None] - 1)  # padding repeats the last reading
    used = (inside & (at > 0)).astype(float)
    direction = trace["direction"][rows] * used
    cycle = trace["cycle"][first] if "cycle" in trace else np.zeros(len(first))
    return {
        "y": trace["g"][rows],
        "direction": direction,
        "used": used,
        "side": np.where(direction.sum(1) >= 0, 1.0, -1.0),
        "age": cycle - cycle.min(),
        "device": np.unique(trace["device"][first], return_inverse=True)[1].astype(float),
    }


def _starts(trace: Trace) -> np.ndarray:
    """Which rows begin a train."""
    start = np.ones(len(trace), bool)
    start[1:] = np.diff(trace["device"]) != 0
    if "cycle" in trace:
        start[1:] |= np.diff(trace["cycle"]) != 0
    if "pulse" in trace:
        start[1:] |= np.diff(trace["pulse"]) <= 0
    return start


def mixed(data: Trains) -> bool:
    """Whether there are trains with pulses in both directions."""
    return bool(((data["direction"] > 0).any(1) & (data["direction"] < 0).any(1)).any())


def increments(data: Trains, side: float, over: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conductance, step in the direction of the pulses, and train, of every `over` consecutive pulses in direction
    `side`."""
    y, along = data["y"], data["direction"] == side
    rows = y.shape[1] - over
    keep = np.stack([along[:, k : rows + k] for k in range(1, over + 1)]).all(0)
    step = side * (y[:, over:] - y[:, :-over]) / over
    g = y[:, :-1] if over == 1 else np.lib.stride_tricks.sliding_window_view(y, over + 1, 1).mean(-1)
    return g[keep], step[keep], np.broadcast_to(np.arange(len(y))[:, None], keep.shape)[keep]


def smoothing(data: Trains) -> int:
    """Over how many pulses steps are averaged for a first look: a thirtieth of the longest train."""
    return 1 if mixed(data) else max(data["y"].shape[1] // 30, 1)


def binned(g: np.ndarray, step: np.ndarray, logarithmic: bool, bins: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Mean conductance and mean step in bins with equally many values."""
    order = np.argsort(g)
    parts = np.array_split(order, min(bins, max(len(g) // 3, 1)))
    middle = [np.exp(np.mean(np.log(g[p]))) if logarithmic else g[p].mean() for p in parts]
    return np.array(middle), np.array([step[p].mean() for p in parts])


def split_noise(residual: np.ndarray, train: np.ndarray) -> tuple[float, float]:
    """Standard deviations of reads and of steps, from residuals of successive increments.

    A read error enters two increments with opposite signs, so `cov(d_k, d_k+1) = -s_read^2` and `var(d) = s_update^2 + 2
    s_read^2`.
    """
    residual = residual - residual.mean()
    together = train[1:] == train[:-1]
    total = residual.var()
    shared = -np.mean(residual[1:][together] * residual[:-1][together]) if together.any() else 0.0
    read = np.clip(shared, 0.01 * total, 0.49 * total)
    return float(np.sqrt(read)), float(np.sqrt(total - 2 * read))
