"""The designs that `codesign` searches, as vectors in the unit box, so that every search explores the same space."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

BITS = (4.0, 9.0)  # of the converters; the energy regression is valid from 4 bits on
PULSES = (2.0, 50.0)  # that a cell is written with, on average
READ_TIME = (10e-9, 200e-9)  # s
VOLTS = (0.05, 0.4)  # V, at full scale of an input
RANGE = (0.3, 1.0)  # of the device's conductance range that is used
COLUMNS = (1.0, 64.0)  # that share a converter
NOMINAL: dict[str, float] = dict(bits=8, pulses=20, read_time=100e-9, volts=0.2, range=1.0, columns=8)
COSTS = ("energy", "latency", "area")
QUANTITIES = ("bits", "pulses", "read_time", "volts", "range", "columns", "rows", "slices")


@dataclasses.dataclass(frozen=True)
class Physics:
    """The physical quantities of a design.

    Args:
        bits: of each layer's converters. pulses: that each layer's cells are written with (None: not a variable).
        read_time: [s]. volts: full-scale read voltage [V]. range: share of the conductance range. columns: of a converter.
        rows: word lines of a tile, as a position among those to choose from (0.5 is between the first two).
    """

    bits: Any
    pulses: Any
    read_time: Any
    volts: Any
    range: Any
    columns: Any
    rows: Any


@dataclasses.dataclass(frozen=True)
class Box:
    """The variables of a design, and their bounds: each is a power law of its position in the unit box; bits are linear.

    Args:
        layers: names. shares: pulses of each layer relative to the mean at equal effort (`write_effort.shares`); None for a
            device without a write error. rows: word lines to choose from. most_volts: that the device's data reach [V].
    """

    layers: tuple[str, ...]
    shares: tuple[float, ...] | None
    rows: tuple[int, ...]
    most_volts: float = VOLTS[1]

    @property
    def each(self) -> tuple[str, ...]:
        """Variables that every layer has for itself."""
        return ("bits",) if self.shares is None else ("bits", "pulses")

    @property
    def shared(self) -> dict[str, tuple[float, float]]:
        """Variables that all layers share, and their bounds."""
        bounds = {"read_time": READ_TIME, "volts": (VOLTS[0], min(VOLTS[1], self.most_volts))}
        bounds |= {"range": RANGE, "columns": COLUMNS}
        return bounds if len(self.rows) == 1 else {**bounds, "rows": (self.rows[0], self.rows[-1])}

    @property
    def size(self) -> int:
        return len(self.layers) * len(self.each) + len(self.shared)

    def physics(self, z: Any) -> Physics:
        """The design at a point in the unit box."""
        import jax.numpy as jnp

        n, shared = len(self.layers), self.shared
        rest = dict(zip(shared, z[n * len(self.each) :], strict=True))
        place = rest.pop("rows", 0.0) * (len(self.rows) - 1)
        scaled = {name: shared[name][0] * (shared[name][1] / shared[name][0]) ** u for name, u in rest.items()}
        bits = jnp.asarray(BITS[0] + (BITS[1] - BITS[0]) * z[:n])
        pulses = None if self.shares is None else PULSES[0] * (PULSES[1] / PULSES[0]) ** jnp.asarray(z[n : 2 * n])
        return Physics(bits, pulses, rows=place, **scaled)

    def row_number(self, z: np.ndarray) -> int:
        """The index in `rows` of the number of word lines that a design is read with: the nearest."""
        return int(np.round(z[-1] * (len(self.rows) - 1))) if len(self.rows) > 1 else 0

    def nominal(self, fair: bool = False) -> np.ndarray:
        """8 bits, 100 ns, 0.2 V, the whole range, 8 columns per converter, the most rows, 20 pulses per cell.

        Args:
            fair: the same total number of pulses, but more of them in layers whose errors cost more.
        """
        found = [self._place(BITS, NOMINAL["bits"], linear=True)] * len(self.layers)
        if self.shares is not None:
            share = self.shares if fair else [1.0] * len(self.layers)
            found += [self._place(PULSES, NOMINAL["pulses"] * s) for s in share]
        found += [1.0 if name == "rows" else self._place(b, NOMINAL[name]) for name, b in self.shared.items()]
        return self.rounded(np.array(found))

    def together(self, place: dict[str, float]) -> np.ndarray:
        """The design with identical layers: a position in [0, 1] for each variable; pulses in fair shares."""
        found = [place["bits"]] * len(self.layers)
        if self.shares is not None:
            mean = PULSES[0] * (PULSES[1] / PULSES[0]) ** place["pulses"]
            found += [self._place(PULSES, mean * s) for s in self.shares]
        return np.array(found + [place[name] for name in self.shared])

    def rounded(self, z: np.ndarray) -> np.ndarray:
        """The nearest design that can be built: whole bits, a power of two of columns per converter, an available `rows`."""
        z, n = np.clip(np.asarray(z, float), 0, 1), len(self.layers)
        z[:n] = (np.round(BITS[0] + (BITS[1] - BITS[0]) * z[:n]) - BITS[0]) / (BITS[1] - BITS[0])
        for name, levels in (("columns", np.log2(COLUMNS[1] / COLUMNS[0])), ("rows", len(self.rows) - 1)):
            if name in self.shared:
                i = n * len(self.each) + list(self.shared).index(name)
                z[i] = np.round(z[i] * levels) / levels
        return z

    def values(self, z: np.ndarray, slices: int) -> np.ndarray:
        """Values of a design in the order of `QUANTITIES`, means over layers, SI units; NaN: not a variable."""
        found = self.physics(z)
        pulses = np.nan if found.pulses is None else float(np.mean(np.asarray(found.pulses)))
        rest = [float(getattr(found, name)) for name in ("read_time", "volts", "range", "columns")]
        return np.array([float(np.mean(np.asarray(found.bits))), pulses, *rest, self.rows[self.row_number(z)], slices])

    def _place(self, bounds: tuple[float, float], value: float, linear: bool = False) -> float:
        low, high = bounds
        place = (value - low) / (high - low) if linear else np.log(value / low) / np.log(high / low)
        return float(np.clip(place, 0, 1))
