"""Pairs of reads before and after a bake: whether cells still know what they were, and pairs that contradict the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy import stats

from devices.fitting.engine.uncertainty import LEVEL
from devices.instruments.trace import Trace

CELSIUS = 273.15  # [K]
FORGOTTEN = 0.5  # rank correlation of g with g0 below which cells hardly know what they were
FEWEST = 20  # cells of a pair that is judged
TIMES = 40  # pairs at most that are told apart: more times than this are a record, not pairs


class Pair(NamedTuple):
    """The reads at one temperature and time.

    Args:
        kelvin: T [K]. t: [s]. cells: how many. correlation, low, high: rank correlation of g with g0, and its 90 % interval.
            moved: median |g - g0| [S]. overwritten: 1 where it contradicts a harder bake, else 0.
    """

    kelvin: float
    t: float
    cells: float
    correlation: float
    low: float
    high: float
    moved: float
    overwritten: float = 0.0

    @property
    def place(self) -> str:
        return f"{self.kelvin - CELSIUS:.4g} C, {self.t:.3g} s"

    def says(self) -> str:
        return f"{self.place}: {self.correlation:.2f} ({self.low:.2f} .. {self.high:.2f})"


def pairs(trace: Trace) -> tuple[Pair, ...]:
    """All pairs, by temperature and time; those in which cells have forgotten what they were although a harder bake (hotter
    or longer, and neither colder nor shorter) left them in order and moved them less are marked as overwritten."""
    kelvin = trace["temperature"] if "temperature" in trace else np.full(len(trace), 300.0)
    places = np.unique(np.stack([kelvin, trace["t"]], 1)[trace["t"] > 0], axis=0)
    if len(places) > TIMES:
        return ()
    found = [_pair(trace, (kelvin == place[0]) & (trace["t"] == place[1]), *place) for place in places]
    judged = [p for p in found if p is not None]
    return tuple(p._replace(overwritten=float(any(_contradicts(p, other) for other in judged))) for p in judged)


def _pair(trace: Trace, rows: Bool[np.ndarray, " rows"], kelvin: float, t: float) -> Pair | None:
    """None with too few cells, or where nothing differs between them."""
    g, g0 = trace["g"][rows], trace["g0"][rows]
    good = np.isfinite(g) & np.isfinite(g0)
    g, g0 = g[good], g0[good]
    if len(g) < FEWEST or not np.ptp(g) or not np.ptp(g0):
        return None
    rho = float(np.corrcoef(stats.rankdata(g0), stats.rankdata(g))[0, 1])
    # Fisher's z; its variance for ranks by Bonett and Wright 2000, 10.1007/BF02294183 (recalled, not read)
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt((1 + rho**2 / 2) / (len(g) - 3))
    centre = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    low, high = (float(np.tanh(centre + side * half)) for side in (-1, 1))
    return Pair(float(kelvin), float(t), float(len(g)), rho, low, high, float(np.median(np.abs(g - g0))))


def _contradicts(pair: Pair, harder: Pair) -> bool:
    """Whether a pair was forgotten, and a harder bake was not."""
    is_harder = harder[:2] != pair[:2] and harder.kelvin >= pair.kelvin and harder.t >= 0.5 * pair.t
    return is_harder and pair.high < min(FORGOTTEN, harder.low) and pair.moved > harder.moved


def kept(trace: Trace, found: tuple[Pair, ...]) -> Bool[np.ndarray, " rows"]:
    """Which rows do not belong to an overwritten pair."""
    kelvin = trace["temperature"] if "temperature" in trace else np.full(len(trace), 300.0)
    rows = np.ones(len(trace), bool)
    for pair in found:
        rows &= ~((kelvin == pair.kelvin) & (trace["t"] == pair.t) & (pair.overwritten > 0))
    return rows


def as_array(found: tuple[Pair, ...]) -> np.ndarray:
    """Rows of numbers, one per pair."""
    return np.array(found, float).reshape(-1, len(Pair._fields))


def sentences(rows: np.ndarray) -> tuple[str, ...]:
    """What a reader needs to know about the pairs of `as_array`."""
    found = [Pair(*row) for row in np.asarray(rows)]
    if not found:
        return ()
    said = [f"rank correlation of g with g0, pair by pair (90 %): {'; '.join(p.says() for p in found)}."]
    for pair in found:
        if pair.overwritten:
            said.append(
                f"the pair at {pair.place} was left out: its cells hardly correlate with their earlier state (correlation "
                f"{pair.correlation:.2f}) and moved by {pair.moved:.2g} S in the median, more than in a harder bake. It looks "
                "as if they were written again between the two reads, or numbered differently: check this."
            )
    return tuple(said)
