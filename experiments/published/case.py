"""What a published case is: parts that are measured, and claims that they are compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Found = Mapping[str, np.ndarray]
"""What was measured, by quantity: one number per draw, NaN where a quantity does not belong to this part."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One line of the table.

    Args:
        what: in words. published: the figure, as text, with its unit; "" if none was read. source: where it is found.
        ours: the numbers of all draws from what was measured. low, high: bounds of their mean.
        read: whether the published figure was read, so that agreement may be called a reproduction.
        scale, unit: factor and unit for the table.
    """

    what: str
    published: str
    source: str
    ours: Callable[[Found], np.ndarray]
    low: float = -np.inf
    high: float = np.inf
    read: bool = True
    scale: float = 100.0
    unit: str = "%"

    def verdict(self, found: Found) -> str:
        """`reproduces`, `as expected` (where no published figure was read), `differs`, or `not run`."""
        values = np.asarray(self.ours(found), float)
        if not np.isfinite(values).any():
            return "not run"
        if not self.low <= float(np.nanmean(values)) <= self.high:
            return "differs"
        return "reproduces" if self.read else "as expected"

    @property
    def tolerance(self) -> str:
        """The bounds, as text."""
        low, high = (f"{b * self.scale:g}" for b in (self.low, self.high))
        if np.isinf(self.high):
            return f">= {low}"
        return f"<= {high}" if np.isinf(self.low) else f"{low} .. {high}"


@dataclasses.dataclass(frozen=True)
class Case:
    """A published result.

    Args:
        title: what it is. parts: what is measured, one after another. quantities: names of all numbers.
        prepare: `(config) -> state`. measure: `(state, part, key) -> {quantity: number}` of one draw.
        claims: lines of the table. method: what was done, and how it differs from what was published.
        minutes: on two cores.
    """

    title: str
    parts: tuple[str, ...]
    quantities: tuple[str, ...]
    prepare: Callable[[Any], Any]
    measure: Callable[[Any, str, Any], dict[str, Any]]
    claims: tuple[Claim, ...]
    method: tuple[str, ...]
    minutes: int
