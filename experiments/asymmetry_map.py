"""Which pulses a training algorithm tolerates: accuracy against the asymmetry and number of steps and reference errors.

A cell makes `states` steps of `s` in the middle of its range; at a weight w its steps up and down are
`s (1 -+ asymmetry w)`: 0 is the same step everywhere, 1 means soft bounds. The references, which fast arrays read as zero,
may be off the symmetry points of the cells.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from experiments import chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable
from experiments.train_on_array import ALGORITHMS

TITLE = "Training on arrays: accuracy against asymmetry, number of states and reference errors"
G_MAX = 20e-6  # S; results do not depend on it


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about eight minutes on two cores."""

    network: str = "mlp"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, for networks that support several."""
    algorithm: tuple[str, ...] = ("sgd", "tiki-taka2")
    """Algorithms: sgd, tiki-taka, tiki-taka2, c-tiki-taka2, agad, mixed-precision, manhattan."""
    asymmetry: tuple[float, ...] = (0.0, 0.5, 1.0)
    """Share of its step that a cell loses, or gains, at a weight of 1."""
    states: tuple[int, ...] = (20, 100, 1000)
    """Steps over the whole range, if all were as large as those in the middle."""
    reference: tuple[float, ...] = (0.0,)
    """Standard deviation of references from the symmetry point, in units of weight; for algorithms with a fast array."""
    spread: float = 0.3
    """Relative spread of steps from pulse to pulse."""
    chips: int = 5
    """Chips for each setting; chips of the same number start from the same weights and see the same samples."""
    epochs: int = 10
    """Passes over the training data."""
    batch: int = 8
    """Samples per update."""
    rate: float = 0.1
    """Learning rate; it falls to a tenth over the training."""
    weight: float = 1.0
    """The weight at the end of the conductance range."""
    adc_bits: int = 8
    """Resolution of the output converters, forward and backward."""
    seed: int = 0
    """Random seed of the weights, samples and chips."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name in ("algorithm", "asymmetry", "states", "reference"):
        given = getattr(config, name)
        if not given or len(set(given)) != len(given):
            raise UsageError(f"--{name} {' '.join(map(str, given))}: give one or more different values.")
    unknown = [name for name in config.algorithm if name not in ALGORITHMS]
    if unknown:
        raise UsageError(f"--algorithm {unknown[0]}: unknown; choose from {', '.join(ALGORITHMS)}.")
    if not all(0 <= a <= 1 for a in config.asymmetry):
        raise UsageError("--asymmetry: give shares from 0 (none) to 1 (soft bounds).")
    if min(config.states) < 4 or not all(0 <= r <= 1 for r in config.reference):
        raise UsageError("--states takes numbers of 4 or more, --reference numbers from 0 to 1.")
    for name in ("chips", "epochs", "batch"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")
    for name in ("rate", "weight"):
        if not 0 < getattr(config, name) < float("inf"):
            raise UsageError(f"--{name} {getattr(config, name)}: give a number above 0.")
    if not 0 <= config.spread <= 10 or not 2 <= config.adc_bits <= 16:
        raise UsageError("--spread takes 0 to 10, --adc-bits 2 to 16.")
    if not chosen_networks.find(config).teachable:
        raise UsageError(f"--network {config.network}: it has no data to train on.")


inputs = chosen_networks.inputs


def layout(config: Config) -> Layout:
    dimensions = {
        "algorithm": Dimension(config.algorithm, "algorithm"),
        "reference": Dimension(config.reference, "spread of references (weights)"),
        "states": Dimension(config.states, "states"),
        "asymmetry": Dimension(config.asymmetry, "asymmetry"),
        "chip": Dimension(range(config.chips), "chip"),
    }
    by = ("algorithm", "reference", "states", "asymmetry", "chip")
    variables = {
        "accuracy": Variable(by, "test accuracy after the last epoch"),
        "pulses": Variable(by, "pulses to a cell of the network's own arrays and of those beside them, on average"),
        "digital_accuracy": Variable(("chip",), "test accuracy of the same training in floating point"),
    }
    return Layout(dimensions, variables, ("algorithm", "reference", "states"))


class State:
    """The course, its accuracies in floating point, and a compiled epoch for each algorithm."""

    def __init__(self, config: Config):
        import jax
        import numpy as np

        from experiments.array_training import Course

        self.config = config
        self.course = Course.of(chosen_networks.find(config), config.epochs, config.batch, config.rate)
        self.keys = self.course.keys(config.seed, config.chips)
        self.digital = np.asarray(jax.vmap(lambda k: self.course.floating_point(k)[1])(self.keys))[:, -1]

    @functools.cache  # noqa: B019  # of one run
    def compiled(self, algorithm: str, reference: float) -> tuple[Any, Any]:
        """How chips of (step, asymmetry, key) begin, and their next epoch: a row of asymmetries by a row of chips."""
        import jax

        import xbar
        from experiments import array_training
        from xbar.training import insitu

        config, course = self.config, self.course
        made = array_training.algorithm(algorithm, reference * G_MAX / 2)
        rule = insitu.on_arrays(made, course.schedule)
        trainer = array_training.ArrayTrainer(rule, course.network.loss, config.batch)

        def begin(states, asymmetry, key):
            cells = device(states, asymmetry, config.spread)
            tile = array_training.pairs(cells, config.weight, config.adc_bits)
            return course.begin(xbar.analog(course.network.f, tile), rule, key)

        over = lambda f, axes: jax.vmap(jax.vmap(f, axes[0]), axes[1])  # noqa: E731
        epoch = lambda learned, key, i: course.epoch(trainer, learned, key, i)  # noqa: E731
        return (
            jax.jit(over(begin, ((None, None, 0), (None, 0, None)))),
            jax.jit(over(epoch, ((0, 0, None), (0, None, None)))),
        )

    @functools.cache  # noqa: B019  # of one run
    def trained(self, algorithm: str, reference: float, states: int) -> tuple[Any, Any]:
        """Accuracy of all chips, and pulses to a cell."""
        import jax.numpy as jnp
        import numpy as np

        from experiments.framework import progress

        begin, epoch = self.compiled(algorithm, reference)
        learned = begin(jnp.asarray(float(states)), jnp.asarray(self.config.asymmetry), self.keys)
        right = None
        for i in progress.steps(range(self.config.epochs), f"{algorithm}, {states} states"):
            learned, right = epoch(learned, self.keys, jnp.asarray(i))
        cells = sum(a.cells.g[0, 0, 0].size for a in learned.chip.arrays.values())
        pulses = sum(np.asarray(t.sum.pulses) for t in learned.total.values()) / cells
        return np.asarray(right), pulses


def device(states: Any, asymmetry: Any, spread: float) -> Any:
    """Cells with this many steps, whose size is linear in the conductance."""
    import devices
    from devices import steps, updates

    s = G_MAX / states
    law = steps.LinearStep(s, s, asymmetry, asymmetry, G_MAX / 2, 0.0, G_MAX)
    return devices.Device(0.0, G_MAX, update=updates.PulseUpdate(law, pulses=updates.CycleNoise(relative=spread)))


def has_references(algorithm: str) -> bool:
    """Whether an algorithm reads a fast array against references."""
    return "tiki" in algorithm or algorithm == "agad"


prepare = State


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """All asymmetries and chips of one algorithm, number of states and spread of references, side by side."""
    name = point["algorithm"]
    found = state.trained(name, point["reference"] if has_references(name) else 0.0, point["states"])
    return {"accuracy": found[0], "pulses": found[1], "digital_accuracy": state.digital}


def present(config: Config, results: Results) -> Any:
    from experiments import asymmetry_map_view

    return asymmetry_map_view.present(config, results)
