"""Parameters of a fit: bounded numbers, and the unbounded coordinates in which they are searched for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One number to be found.

    With `s` the identity, or the logarithm for `log`, and theta any real number:

    $$ s(p) = s(low) + (s(high) - s(low))\\,\\mathrm{sigmoid}(\\theta) \\quad\\text{between two bounds},\\qquad
       s(p) = c + w\\,\\theta \\quad\\text{without} $$

    Args:
        name, unit: as people read them. low, high: bounds; both finite, or both infinite (0 and infinity for `log`).
        start: range from which searches start, within the bounds; c and w are its centre and half width. By default the
            bounds themselves. log: whether it is searched for on a logarithmic scale.

    Raises:
        ValueError: if bounds or start do not make a range.
    """

    name: str
    unit: str
    low: float
    high: float
    start: tuple[float, float] | None = None
    log: bool = False

    def __post_init__(self):
        first, last = self.start or (self.low, self.high)
        finite = math.isfinite(self.high) and (math.isfinite(self.low) and (self.low > 0 or not self.log))
        open_ended = math.isinf(self.high) and (self.low == 0 if self.log else math.isinf(self.low))
        inside = self.low <= first < last <= self.high and math.isfinite(first) and math.isfinite(last)
        if not (finite or open_ended) or not inside or (self.log and first <= 0):
            raise ValueError(
                f"Parameter {self.name}: low={self.low:g}, high={self.high:g}, start={self.start}: bounds must both be finite "
                "(and positive for log=True) or both infinite (0 and inf for log=True), with a finite start range inside."
            )

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.high)

    def frame(self) -> tuple[float, float]:
        """Offset and width, on the scale of the search."""
        scale = math.log if self.log else float
        if self.bounded:
            return scale(self.low), scale(self.high) - scale(self.low)
        first, last = (scale(x) for x in self.start or (self.low, self.high))
        return (first + last) / 2, (last - first) / 2

    def theta(self, value: float) -> float:
        """The coordinate of a number; numbers at or beyond a bound end up just inside it."""
        offset, width = self.frame()
        share = ((math.log(max(value, 1e-300)) if self.log else value) - offset) / width
        if not self.bounded:
            return share
        share = min(max(share, 1e-3), 1 - 1e-3)
        return math.log(share / (1 - share))


class Frame(eqx.Module):
    """The map from coordinates to numbers, as arrays: bounds that follow the data need no new compilation."""

    names: tuple[str, ...] = eqx.field(static=True)
    bounded: tuple[bool, ...] = eqx.field(static=True)
    log: tuple[bool, ...] = eqx.field(static=True)
    offset: Float[np.ndarray | Array, " p"]
    width: Float[np.ndarray | Array, " p"]

    def values(self, theta: Float[Array, "*batch p"]) -> dict[str, Float[Array, "*batch"]]:
        """The numbers by name."""
        found = {}
        for k, (name, bounded, log) in enumerate(zip(self.names, self.bounded, self.log, strict=True)):
            moved = jax.nn.sigmoid(theta[..., k]) if bounded else theta[..., k]
            scaled = self.offset[k] + self.width[k] * moved
            found[name] = jnp.exp(scaled) if log else scaled
        return found


@dataclasses.dataclass(frozen=True)
class Space:
    """All parameters of a fit, in order."""

    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def frame(self) -> Frame:
        """The map from coordinates to numbers."""
        ends = np.array([p.frame() for p in self.parameters]).reshape(-1, 2)
        bounded, log = (tuple(getattr(p, what) for p in self.parameters) for what in ("bounded", "log"))
        return Frame(self.names, bounded, log, ends[:, 0], ends[:, 1])

    def values(self, theta: Float[np.ndarray | Array, "*batch p"]) -> dict[str, Float[np.ndarray, "*batch"]]:
        """The numbers by name, in double precision."""
        return self._moved(theta)[0]

    def slopes(self, theta: Float[np.ndarray | Array, "*batch p"]) -> dict[str, Float[np.ndarray, "*batch"]]:
        """Derivatives of the numbers, each to its coordinate."""
        return self._moved(theta)[1]

    def _moved(self, theta):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, _with_slopes(self.frame(), np.asarray(theta)))

    def theta(self, values: Mapping[str, float]) -> np.ndarray:
        """The coordinates of numbers by name."""
        return np.array([p.theta(float(values[p.name])) for p in self.parameters])

    def starts(self, guesses: Sequence[Mapping[str, float]], count: int, seed: int = 0) -> np.ndarray:
        """`count` points to start from: the guesses, then a Latin hypercube over the start ranges."""
        first = [self.theta(g) for g in guesses][:count]
        drawn = _latin_hypercube(max(count - len(first), 1), len(self), seed)
        spread = []
        for k, p in enumerate(self.parameters):
            low, high = (p.theta(x) for x in p.start or (p.low, p.high))
            spread.append(low + (high - low) * drawn[:, k])
        return np.concatenate([np.array(first).reshape(-1, len(self)), np.stack(spread, 1)])[:count]


@eqx.filter_jit
def _with_slopes(frame: Frame, theta):
    return jax.jvp(frame.values, (theta,), (jnp.ones_like(theta),))


def _latin_hypercube(points: int, axes: int, seed: int) -> np.ndarray:
    """Points on the unit cube, one in each of as many slices along every axis."""
    rng = np.random.default_rng(seed)
    slices = rng.permuted(np.tile(np.arange(points)[:, None], axes), axis=0)
    return (slices + rng.random((points, axes))) / points
