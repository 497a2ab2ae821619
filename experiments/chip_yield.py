"""How many chips are good enough: accuracy over many chips, against the yield of cells and their spread.

For each yield of cells and each factor on the spread over cells, chips are programmed with cells of their own; the share
of chips above an accuracy threshold comes with its Clopper-Pearson and Wilson intervals.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from experiments import crossbar_study
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "How many chips are good enough, against cell yield and spread"
DROP = 0.02  # of accuracy, below the digital network, where no threshold is given
LEVEL = 0.95  # of the intervals
ROUNDING = 1e-6  # of accuracies, which are float32 numbers; one of 100,000 test inputs is ten times as much


@dataclasses.dataclass(frozen=True)
class Config(crossbar_study.Setting):
    """Settings; the defaults take about a minute on two cores."""

    chips: int = 256
    """Chips for each setting."""
    cell_yields: tuple[float, ...] = (1.0, 0.9999, 0.999, 0.99, 0.97)
    """Shares of cells that work; the others are stuck, each independently."""
    spreads: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Factors on what differs from cell to cell: write errors, and the spread of drift."""
    stuck_high: float = 0.5
    """Share of the stuck cells that are stuck at the highest conductance; the others are stuck at the lowest."""
    bar: float | None = None
    """Accuracy above which a chip is good; by default two points below the digital network."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    if config.bar is not None and not 0 < config.bar < 1:
        raise UsageError(f"--bar {config.bar}: give an accuracy between 0 and 1, such as 0.95.")
    if not 0 <= config.stuck_high <= 1:
        raise UsageError(f"--stuck-high {config.stuck_high}: give a share from 0 to 1.")
    for name, most in (("cell_yields", 1.0), ("spreads", 100.0)):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values) or not all(0 <= v <= most for v in values):
            raise UsageError(
                f"--{name.replace('_', '-')} {' '.join(map(str, values))}: give one or more different numbers from 0 "
                f"to {most:g}."
            )
    crossbar_study.check(config)


inputs = crossbar_study.inputs


def layout(config: Config) -> Layout:
    dimensions = {
        "spread": Dimension(config.spreads, "factor on write errors and on the spread of drift"),
        "cell_yield": Dimension(config.cell_yields, "share of cells that work"),
        "chip": Dimension(range(config.chips), "chip; the same number has the same key everywhere"),
    }
    variables = {
        "accuracy": Variable(("spread", "cell_yield", "chip"), "accuracy of a chip"),
        "digital_accuracy": Variable((), "accuracy without hardware"),
        "images": Variable((), "test inputs"),
    }
    return Layout(dimensions, variables, ("spread", "cell_yield"))


class Wafer:
    """Chips of one network on one device; compiled once for all yields and spreads."""

    def __init__(self, config: Config):
        self.config, self.study = config, crossbar_study.Study.of(config)

    @functools.cached_property
    def _read(self) -> Any:
        import equinox as eqx

        from experiments import in_turns

        def read(share, spread, arrays, keys):
            study = self.study.holding(arrays)
            tile = study.tile(with_faults(study.device, share, spread, self.config.stuck_high))

            def one(key):
                return study.network.metric(study.outputs(study.chip(tile, key), key), study.y)

            return in_turns.over(one, keys)

        return eqx.filter_jit(read)

    def accuracies(self, cell_yield: float, spread: float) -> np.ndarray:
        """Accuracy of every chip."""
        import jax.numpy as jnp

        keys = self.study.keys(0, self.config.chips)
        return np.asarray(self._read(jnp.asarray(1 - cell_yield), jnp.asarray(spread), self.study.arrays, keys), float)


def with_faults(device: Any, share: Any, spread: Any, high: float) -> Any:
    """The device with a share of stuck cells in addition to its own faults, and its cell-to-cell variation multiplied.

    Args:
        share: of stuck cells. spread: factor on write errors and on the spread of drift. high: share of the stuck cells
            that are stuck at the highest conductance.
    """
    import devices
    from devices.faults import NoFaults, StuckAt, SumOfFaults

    made = devices.amplify(device, devices.Factors(write=spread, drift_spread=spread))
    stuck = StuckAt(share * (1 - high), share * high, device.g_min, device.g_max)
    own = isinstance(device.faults, NoFaults)
    return dataclasses.replace(made, faults=stuck if own else SumOfFaults((device.faults, stuck)))


prepare = Wafer


def compute(config: Config, state: Wafer, point: dict[str, Any]) -> dict[str, Any]:
    """The accuracy of all chips of one setting."""
    return {
        "accuracy": state.accuracies(point["cell_yield"], point["spread"]),
        "digital_accuracy": state.study.digital(),
        "images": len(state.study.x),
    }


def intervals(good: int, chips: int) -> dict[str, tuple[float, float]]:
    """Clopper-Pearson (exact) and Wilson intervals of a share, at the 95 % level."""
    from scipy.stats import binomtest

    found = binomtest(good, chips)
    return {name: tuple(map(float, found.proportion_ci(LEVEL, method))) for name, method in _METHODS.items()}  # pyright: ignore[reportReturnType, reportArgumentType]


_METHODS = {"Clopper-Pearson": "exact", "Wilson": "wilson"}


def good(accuracies: np.ndarray, bar: float) -> np.ndarray:
    """Which chips have the accuracy `bar` or more. Accuracies are whole numbers of test inputs, so that many equal the bar."""
    return np.asarray(accuracies) >= bar - ROUNDING


def needed_yield(cell_yields: np.ndarray, shares: np.ndarray, wanted: float) -> float | None:
    """The smallest of the cell yields tried at and above which at least `wanted` of the chips are good; None if none is
    enough.

    Args:
        cell_yields: in any order. shares: of good chips at each.
    """
    order = np.argsort(-np.asarray(cell_yields))
    enough = np.asarray(shares)[order] >= wanted
    count = len(enough) if enough.all() else int(np.argmin(enough))
    return float(np.asarray(cell_yields)[order][count - 1]) if count else None


def present(config: Config, results: Results) -> Any:
    from experiments import chip_yield_view

    return chip_yield_view.present(config, results)
