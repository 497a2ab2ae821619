"""Continual learning: a trained chip drifts, and is refreshed by a few steps of training on its own arrays.

Three copies of every chip: one left alone, one whose drift is compensated by a factor for each tile, and one that is trained
for some updates at each time. The cost of refreshing is counted: pulses, energy, reads, and the pulses of the busiest cells.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments import chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable
from experiments.train_on_array import device

TITLE = "Drift, and refreshing by training on the arrays"
ARMS = ("left alone", "compensated", "refreshed")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about two minutes on two cores."""

    network: str = "mlp"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, for networks that support several."""
    device: str = "pcm_nandakumar2020"
    """Device whose pulses and drift are known: a published one, or a device file of your own (`my_device.toml`)."""
    times: tuple[float, ...] = (60.0, 3600.0, 86_400.0, 2_592_000.0, 31_536_000.0)
    """Times after programming [s], at each of which chips are read, refreshed and read again."""
    updates: int = 60
    """Updates per refresh."""
    batch: int = 32
    """Samples per update, drawn from the training data."""
    rate: float = 0.05
    """Learning rate of a refresh."""
    chips: int = 5
    """Chips; each has trained weights of its own."""
    epochs: int = 10
    """Passes over the training data in floating point, before weights are written."""
    v_pulse: float = 1.0
    """Voltage of a programming pulse [V], for its energy."""
    width: float = 1e-7
    """Its duration [s]."""
    adc_bits: int = 8
    """Resolution of the output converters, forward and backward."""
    seed: int = 0
    """Random seed of the weights, samples and chips."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name in ("updates", "batch", "chips", "epochs"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")
    valid = all(0 <= t < float("inf") for t in config.times)
    if not config.times or not valid or sorted(set(config.times)) != list(config.times):
        raise UsageError(f"--times {' '.join(map(str, config.times))}: give ascending times in seconds.")
    for name in ("rate", "v_pulse", "width"):
        if not 0 < getattr(config, name) < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give a number above 0.")
    if not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    device(config.device)
    if not chosen_networks.find(config).teachable:
        raise UsageError(f"--network {config.network}: it has no data to train on.")


inputs = chosen_networks.inputs


def layout(config: Config) -> Layout:
    dimensions = {
        "arm": Dimension(ARMS, "what is done"),
        "chip": Dimension(range(config.chips), "chip; the same number has the same cells in all arms"),
        "time": Dimension(config.times, "time after programming", "s"),
    }
    by = ("arm", "chip", "time")
    variables = {
        "before": Variable(by, "test accuracy at this time, before anything is refreshed"),
        "after": Variable(by, "test accuracy just afterwards"),
        "pulses": Variable(by, "pulses of refreshing so far"),
        "joules": Variable(by, "their heat", "J"),
        "seconds": Variable(by, "time of these pulses, layers side by side", "s"),
        "busiest": Variable(by, "pulses so far to the cells of the layer that got most, the mean of its cells"),
        "reading": Variable((), "energy of the reads of one refresh, forward and backward", "J"),
        "digital_accuracy": Variable(("chip",), "test accuracy in floating point"),
    }
    return Layout(dimensions, variables, ("arm",))


class State:
    """The course, trained weights of each chip, and their accuracy in floating point."""

    def __init__(self, config: Config):
        import jax
        import numpy as np

        from experiments.array_training import Course

        self.course = Course.of(chosen_networks.find(config), config.epochs, 8, 0.1)
        self.keys = self.course.keys(config.seed, config.chips)
        self.weights, curves = jax.jit(jax.vmap(self.course.floating_point))(self.keys)
        self.digital = np.asarray(curves)[:, -1]


prepare = State


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """All chips of one arm, from time to time."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from experiments.framework import progress

    refreshed = point["arm"] == "refreshed"
    chips = _Chips.of(config, state, compensated=point["arm"] == "compensated")
    learned = jax.jit(jax.vmap(chips.begin))(state.keys, state.weights)
    visit = jax.jit(jax.vmap(lambda l, k, dt, i: chips.visit(l, k, dt, i, refreshed), (0, 0, None, None)))
    found: dict[str, list[Any]] = {}
    for i, dt in enumerate(progress.steps(np.diff(config.times, prepend=0.0), point["arm"])):
        learned, (before, after) = visit(learned, state.keys, jnp.asarray(float(dt)), jnp.asarray(i))
        sums = {layer: total.sum for layer, total in learned.total.items()}
        cells = {layer: a.cells.g[0, :].size for layer, a in learned.chip.arrays.items()}
        now = {
            "before": before,
            "after": after,
            "pulses": sum(s.pulses for s in sums.values()),
            "joules": sum(s.joules for s in sums.values()),
            "seconds": jnp.max(jnp.stack([s.seconds for s in sums.values()]), 0),
            "busiest": jnp.max(jnp.stack([s.pulses / cells[layer] for layer, s in sums.items()]), 0),
        }
        for name, value in now.items():
            found.setdefault(name, []).append(np.asarray(value))
    values = {name: np.stack(each, -1) for name, each in found.items()}
    return values | {"reading": chips.reading(state), "digital_accuracy": state.digital}


@dataclasses.dataclass(frozen=True, eq=False)
class _Chips:
    """What happens to one chip."""

    config: Config
    course: Any
    analog: Any
    rule: Any
    compensated: bool

    @classmethod
    def of(cls, config: Config, state: State, compensated: bool) -> _Chips:
        import xbar
        from xbar.training import insitu

        adc = xbar.ADC(bits=config.adc_bits)
        tile = xbar.Tile(device(config.device), adc=adc, backward=xbar.Periphery(xbar.DAC(), adc))
        drive = insitu.Drive(v_up=config.v_pulse, v_down=config.v_pulse, width=config.width)
        rule = insitu.on_arrays(insitu.MixedPrecision(pairing="one_sided"), config.rate, drive=drive)
        return cls(config, state.course, xbar.analog(state.course.network.f, tile), rule, compensated)

    def begin(self, key: Any, weights: Any) -> Any:
        """A chip with trained weights, its converters calibrated."""
        import jax

        import xbar

        x = self.course.x[:256]
        program, reads, begin = (jax.random.fold_in(key, i) for i in (2, 3, 4))
        chip = self.analog.program(self.course.whole(weights), x, key=program)
        chip = xbar.calibrate(chip, x, key=reads, compensate_drift=False)
        learned = self.rule.init(chip, key=begin)
        return dataclasses.replace(learned, chip=xbar.compensate(chip)) if self.compensated else learned

    def visit(self, learned: Any, key: Any, dt: Any, i: Any, refreshed: bool) -> Any:
        """The chip `dt` [s] later, and its accuracies before and after it is refreshed."""
        import jax

        from experiments import array_training

        course, config = self.course, self.config
        reads, order, learn = (jax.random.fold_in(jax.random.fold_in(key, n), i) for n in (5, 6, 7))
        learned = dataclasses.replace(learned, chip=learned.chip.wait(dt))
        accuracy = lambda now: array_training.accuracy(now, course.x_test, course.y_test, reads)  # noqa: E731
        before = accuracy(learned)
        if not refreshed:
            return learned, (before, before)
        rows = jax.random.randint(order, (config.updates * config.batch,), 0, len(course.x))
        trainer = array_training.ArrayTrainer(self.rule, course.network.loss, config.batch)
        learned, _ = trainer.epoch(learned, course.x[rows], course.y[rows], learn)
        return learned, (before, accuracy(learned))

    def reading(self, state: State) -> float:
        """Energy of the reads of a refresh [J]; backward reads cost as much as forward reads of as many
        multiply-accumulates."""
        import jax

        from experiments.array_training import energy_of_reads

        config, course = self.config, self.course
        first = jax.tree.map(lambda w: w[0], state.weights)
        some = course.x[: config.batch]
        chip = self.analog.program(course.whole(first), some, key=state.keys[0])
        forward, backward = energy_of_reads(chip, some)
        return forward * (1 + backward) * config.updates * config.batch


def present(config: Config, results: Results) -> Any:
    from experiments import refreshing_view

    return refreshing_view.present(config, results)
