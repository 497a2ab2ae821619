"""Published results reproduced: what was published, what comes out here, how far it may differ, and the verdict.

`--case E1` programming errors of four devices (CIFAR ResNets), `E2` a year of drift on phase-change memory, `E3` training with
noise on weights (ResNet-20), `E4` online learning on seven devices, `E5` training by stochastic pulses, `E6` training with the
device's errors (MNIST), `E7` wires.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Published results, reproduced"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; each case takes up to ten minutes on two cores."""

    case: Literal["E1", "E2", "E3", "E4", "E5", "E6", "E7"] = "E1"
    """Which result: E1 programming errors, E2 drift, E3 training with noise on weights, E4 online learning, E5 stochastic
    pulses, E6 training with errors, E7 wires."""
    draws: int = 5
    """Chips (or draws of whatever is random) for each part."""
    full: bool = False
    """E4: all seven devices, not two. E5: 10 epochs of all images."""
    epochs: int | None = None
    """Epochs of training on arrays (E4, E5); by default a short number set by the case."""
    seed: int = 0
    """Random seed of the chips and the training."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    if config.draws < 1:
        raise UsageError(f"--draws {config.draws}: give at least 1.")
    if config.epochs is not None and config.epochs < 1:
        raise UsageError(f"--epochs {config.epochs}: give at least 1.")


def layout(config: Config) -> Layout:
    from experiments.published import CASES

    case = CASES[config.case]
    dimensions = {
        "part": Dimension(case.parts, "what is measured together"),
        "quantity": Dimension(case.quantities, "what is measured"),
        "draw": Dimension(range(config.draws), "draw; the same number has the same key in all parts"),
    }
    return Layout(dimensions, {"value": Variable(("part", "quantity", "draw"), "what was found")}, ("part",))


def prepare(config: Config) -> Any:
    from experiments.published import CASES

    return CASES[config.case].prepare(config)


def compute(config: Config, state: Any, point: dict[str, Any]) -> dict[str, Any]:
    """All draws of one part."""
    import jax
    import numpy as np

    from experiments.framework.progress import steps
    from experiments.published import CASES

    case = CASES[config.case]
    value = np.full((len(case.quantities), config.draws), np.nan)
    for draw in steps(range(config.draws), point["part"]):
        key = jax.random.fold_in(jax.random.key(config.seed), draw)
        for name, number in case.measure(state, point["part"], key).items():
            value[case.quantities.index(name), draw] = number
    return {"value": value}


def present(config: Config, results: Results) -> Any:
    from experiments import reproduce_view

    return reproduce_view.present(config, results)
