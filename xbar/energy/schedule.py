"""The order of work: layers one after the other, or as a pipeline, with copies of slow layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.energy.units import engineering

KINDS = ("serial", "pipelined")


class Schedule(eqx.Module):
    """The order of work on one chip.

    Args:
        kind: "serial": an inference passes all layers before the next one enters, latency and period are the sum of the
            layers' times. "pipelined": every layer takes the next inference as soon as it is done with one; the period is the
            time of the slowest layer. An inference at batch 1 takes the sum of the times either way.
        copies: how many copies of a layer's arrays there are, by its name: this many of an inference's vectors are read
            at once. Layers that are not named have one.

    Raises:
        ValueError: for another kind, or copies that are not whole numbers of at least 1.
    """

    kind: str = eqx.field(static=True, default="serial")
    copies: tuple[tuple[str, int], ...] = eqx.field(static=True, default=(), converter=lambda c: tuple(dict(c).items()))

    def __check_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"Schedule: kind={self.kind!r}; it must be {' or '.join(map(repr, KINDS))}.")
        for name, n in self.copies:
            if isinstance(n, bool) or not isinstance(n, int) or n < 1:
                raise ValueError(f"Schedule: copies of {name!r} are {n!r}; give a whole number of at least 1.")

    def copies_of(self, name: str) -> int:
        """How many copies of a layer's arrays there are."""
        return dict(self.copies).get(name, 1)

    def check_names(self, names: Sequence[str]) -> None:
        """Raises ValueError for copies of layers that do not exist."""
        unknown = [name for name, _ in self.copies if name not in names]
        if unknown:
            raise ValueError(
                f"Schedule: no layer {unknown[0]!r} is on arrays; the layers on arrays are {', '.join(names)}."
            )

    def period(self, seconds: Float[Array, "*batch layers"]) -> Float[Array, "*batch"]:
        """Time from one inference to the next [s]."""
        return jnp.max(seconds, -1) if self.kind == "pipelined" else jnp.sum(seconds, -1)


def balanced_copies(
    seconds: Sequence[float], tiles: Sequence[int], most: Sequence[int], budget: int
) -> tuple[list[int], int]:
    """Copies of each layer that make the slowest layer of a pipeline as fast as `budget` more arrays allow.

    Greedy, which is optimal for one resource: the slowest layer gets the next copy, until its arrays exceed what is left.

    Args:
        seconds: time of each layer with one copy [s]. tiles: arrays of one copy. most: vectors of an inference; more
            copies than that have nothing to read. budget: arrays to spend.

    Returns:
        Copies of each layer, and the arrays left.
    """
    copies = [1] * len(seconds)
    time = lambda i: seconds[i] * math.ceil(most[i] / copies[i]) / max(most[i], 1)  # noqa: E731
    while len(copies):
        slowest = max(range(len(copies)), key=time)
        if tiles[slowest] > budget or copies[slowest] >= most[slowest] or tiles[slowest] < 1:
            break
        copies[slowest] += 1
        budget -= tiles[slowest]
    return copies, budget


def mesh_hops(tiles: Sequence[int], per_node: int) -> np.ndarray:
    """Mean hops of a layer's outputs to the next layer on a square mesh, filled row by row, back and forth.

    The first entry is the distance from the corner where inputs enter to the first layer, the last one that from the
    last layer back to that corner. Distances are between the middles of layers, and at least one hop.

    Args:
        tiles: arrays of each layer, in order. per_node: arrays that share one router.
    """
    nodes = [max(1, -(-n // per_node)) for n in tiles]
    side = max(1, math.isqrt(sum(nodes) - 1) + 1) if nodes else 1
    order = np.arange(sum(nodes))
    y, x = np.divmod(order, side)
    places = np.stack([np.where(y % 2, side - 1 - x, x), y], -1).astype(float)
    ends = np.cumsum(nodes)
    middles = [places[stop - n : stop].mean(0) for n, stop in zip(nodes, ends, strict=True)]
    way = np.stack([np.zeros(2), *middles, np.zeros(2)])
    return np.maximum(np.abs(np.diff(way, axis=0)).sum(-1), 1.0)


def schedule_text(
    schedule: Schedule, names: Sequence[str], seconds: Any, facts: Mapping[str, Sequence[Any]], period: Any
) -> str:
    """A schedule as a table: when each layer starts and ends in one inference, and how busy it is."""
    times = np.asarray(seconds, float).reshape(-1, len(names)).mean(0)
    start = np.concatenate([[0.0], np.cumsum(times)])
    every = float(np.mean(np.asarray(period)))
    head = [f"{name:>9}" for name in facts]
    lines = [f"{schedule.kind} schedule", f"{'layer':<30}{''.join(head)}{'start':>10}{'end':>10}{'busy':>7}"]
    for i, name in enumerate(names):
        shown = name if len(name) < 30 else "…" + name[-28:]
        cells = "".join(f"{_short(values[i]):>9}" for values in facts.values())
        when = "".join(f"{engineering(float(t), 's'):>10}" for t in start[i : i + 2])
        lines.append(f"{shown:<30}{cells}{when}{times[i] / every if every else 0:>7.0%}")
    lines.append(f"latency {engineering(float(start[-1]), 's')}, one inference every {engineering(every, 's')}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    number = float(np.mean(np.asarray(jax.device_get(value))))
    return f"{number:.0f}" if number == round(number) and number < 1e6 else f"{number:.3g}"
