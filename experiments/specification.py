"""What a laboratory must improve: tolerances of its cells that together keep a network's accuracy.

The loosest tolerances on write error, drift spread, read noise, on/off ratio, stuck cells and nonlinearity are found by
an augmented Lagrangian over chips with common random numbers, and verified on fresh chips. Also shown: what one tolerance is
worth in units of the others; the smallest improvements of the device as it is; and, for a fitted device file, the next
measurement.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from experiments import (
    chosen_devices,
    chosen_macros,
    chosen_networks,
    crossbar_study,
    laboratory,
    next_measurement,
    tolerances,
)
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "What a laboratory must improve: tolerances that keep an accuracy"
LOOSEST, LEAST, MEASURE = "loosest together", "least improvement", "next measurement"
SOFTNESS = 0.25  # of the smooth accuracy, in median margins of the digital network
DROP = 0.01  # of accuracy, below the digital network, where no floor is given


@dataclasses.dataclass(frozen=True)
class Config(crossbar_study.Setting):
    """Settings; the defaults take about three minutes on two cores."""

    chips: int = 16
    """Chips of the search, the same for all trials."""
    fresh_chips: int = 64
    """Fresh chips for the verification, and as many to check the search against."""
    floor: float | None = None
    """Mean accuracy over chips that must be kept; by default one point below the digital network."""
    stuck_high: float = 0.5
    """Share of the stuck cells that are stuck at the highest conductance; the others are stuck at the lowest."""
    rounds: int = 8
    """Rounds of the augmented Lagrangian."""
    draws: int = 24
    """Draws from a device file's posterior that are read on chips, to check the linearisation."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    if config.floor is not None and not 0 < config.floor < 1:
        raise UsageError(f"--floor {config.floor}: give an accuracy between 0 and 1, such as 0.95.")
    if not 0 <= config.stuck_high <= 1:
        raise UsageError(f"--stuck-high {config.stuck_high}: give a share from 0 to 1.")
    for name, least in (("fresh_chips", 2), ("rounds", 1), ("draws", 2)):
        if getattr(config, name) < least:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least {least}.")
    crossbar_study.check(config)
    _check_bent(config)
    from experiments.networks import accuracy

    if chosen_networks.find(config).metric is not accuracy:
        raise UsageError(f"--network {config.network}: its metric is not an accuracy, which a specification needs.")


def _check_bent(config: Config) -> None:
    """Raises UsageError for a macro that only takes ohmic cells: a tolerance on nonlinearity needs non-ohmic ones."""
    from devices.conduction import Cubic

    device = chosen_devices.find(config.device, config.assume)
    chosen_macros.check_fits(config, dataclasses.replace(device, conduction=Cubic(1.0)))


inputs = crossbar_study.inputs


def known(config: Config) -> tuple[laboratory.Tolerance, ...]:
    """The tolerances of a run's device."""
    volts = chosen_macros.v_read(config)
    files = chosen_devices.inputs(config.device, config.assume) | inputs(config)
    return _known(config.device, config.assume, config.time, config.seed, volts, tuple(files.values()))


@functools.lru_cache(maxsize=4)
def _known(
    name: str, assume: str | None, time: str, seed: int, volts: float, hashes: Any
) -> tuple[laboratory.Tolerance, ...]:
    import jax

    device = chosen_devices.find(name, assume)
    return laboratory.tolerances(device, crossbar_study.SECONDS[time], volts, jax.random.key(seed))


def questions(config: Config) -> tuple[str, ...]:
    """The questions of a run: for a device file with a posterior, also what to measure next."""
    try:
        fitted = config.device.endswith(".toml") and chosen_devices.drawn(config.device, 2, config.assume) is not None
    except UsageError:
        fitted = False
    return (LOOSEST, LEAST, MEASURE) if fitted else (LOOSEST, LEAST)


def layout(config: Config) -> Layout:
    dimensions = {
        "question": Dimension(questions(config), "what is asked"),
        "tolerance": Dimension(tuple(t.name for t in known(config)), "imperfection"),
        "chip": Dimension(range(config.chips), "chip of the search"),
        "fresh": Dimension(range(config.fresh_chips), "fresh chip"),
        "part": Dimension((*next_measurement.MEASUREMENTS, "all"), "part of the device that is not known exactly"),
    }
    by = lambda *dims: ("question", *dims)  # noqa: E731
    variables = {
        "value": Variable(
            by("tolerance"), "tolerance: shares of the range or of Ohm's law, g_min/g_max, share of cells"
        ),
        "slope": Variable(by("tolerance", "chip"), "d accuracy / d ln(tolerance) at the tolerances"),
        "slope_today": Variable(by("tolerance", "chip"), "d accuracy / d ln(tolerance) of the device as it is"),
        "free": Variable(by("tolerance"), "1 where a tolerance is at no bound of its search"),
        "room": Variable(by("tolerance"), "factor by which all others may grow if this one is halved"),
        "shortfall": Variable(by(), "accuracy that is missing on the chips of the search"),
        "imbalance": Variable(by(), "relative departure from the condition of an optimum"),
        "floor": Variable(by(), "accuracy that has to be kept"),
        "digital_accuracy": Variable(by(), "accuracy without hardware"),
        "accuracy": Variable(by("fresh"), "accuracy of fresh chips at the tolerances"),
        "accuracy_today": Variable(by("fresh"), "accuracy of fresh chips of the device as it is"),
        "deviation": Variable(
            by("part"), "standard deviation of the accuracy by what is not known of a part, linearised"
        ),
        "deviation_left": Variable(by("part"), "the same of all parts, once this one is known"),
        "deviation_read": Variable(by("part"), "the same as `deviation`, of chips that were read with draws"),
    }
    return Layout(dimensions, variables, ("question",))


class Search:
    """Accuracy of chips at given tolerances, smooth and counted; compiled once.

    The smooth accuracy is the mean of `sigmoid(margin/tau)`, where tau is a share of the digital network's median margin.
    """

    def __init__(self, config: Config):
        import jax.numpy as jnp

        self.config, self.known, self.study = config, known(config), crossbar_study.Study.of(config)
        self.tau = SOFTNESS * float(
            jnp.median(jnp.abs(self.margin(self.study.network.f(self.study.model, self.study.x), self.study.y)))
        )
        self.keys, self.ranges, self.span = self.study.keys(1, config.chips), None, 1.0

    def margin(self, logits: Any, labels: Any) -> Any:
        """How far the right class leads, or trails the best of the others, divided by the rms of all centred logits: a
        gain of the outputs, which changes no decision, changes nothing here."""
        import jax
        import jax.numpy as jnp

        own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
        lead = jnp.sum(jnp.where(own, logits, 0), -1) - jnp.max(jnp.where(own, -jnp.inf, logits), -1)
        return lead / jnp.sqrt(jnp.mean((logits - logits.mean(-1, keepdims=True)) ** 2))

    def _device(self, x: Any, graded: bool) -> Any:
        volts, high = chosen_macros.v_read(self.config), self.config.stuck_high
        return laboratory.built(self.study.device, self.known, x, volts, high, graded)

    @functools.cached_property
    def _smooth(self) -> Any:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from experiments import in_turns

        def of(x, arrays, key, ranges, span):
            study = self.study.holding(arrays)
            device = self._device(x, graded=True)
            scale = (device.g_max - device.g_min) / span
            ranges = {i: dataclasses.replace(r, adc=r.adc * scale) for i, r in ranges.items()}
            outputs = study.outputs(study.chip(study.tile(device), key, ranges), key)
            return jnp.mean(jax.nn.sigmoid(self.margin(outputs, study.y) / self.tau))

        def read(x, arrays, keys, ranges, span):
            return in_turns.over(lambda key, r: jax.value_and_grad(of)(x, arrays, key, r, span), keys, ranges)

        return eqx.filter_jit(read)

    @functools.cached_property
    def _calibrated(self) -> Any:
        import equinox as eqx

        from experiments import in_turns

        def read(x, arrays, keys):
            study, device = self.study.holding(arrays), self._device(x, graded=False)
            ranges = in_turns.over(lambda key: study.chip(study.tile(device), key).ranges, keys)
            return ranges, device.g_max - device.g_min

        return eqx.filter_jit(read)

    @functools.cached_property
    def _counted(self) -> Any:
        import equinox as eqx

        from experiments import in_turns

        def read(x, arrays, keys):
            study, device = self.study.holding(arrays), self._device(x, graded=False)

            def one(key):
                return study.network.metric(study.outputs(study.chip(study.tile(device), key), key), study.y)

            return in_turns.over(one, keys)

        return eqx.filter_jit(read)

    def calibrate(self, x: np.ndarray) -> None:
        """Determines the converter ranges of the chips of the search at these tolerances."""
        import jax.numpy as jnp

        self.ranges, self.span = self._calibrated(jnp.asarray(x, jnp.float32), self.study.arrays, self.keys)

    def smooth(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smooth accuracy of every chip of the search, and its slopes, [chips, tolerances]."""
        import jax.numpy as jnp

        value, slope = self._smooth(jnp.asarray(x, jnp.float32), self.study.arrays, self.keys, self.ranges, self.span)
        return np.asarray(value, float), np.asarray(slope, float)

    def counted(self, x: np.ndarray, purpose: int, count: int) -> np.ndarray:
        """Accuracy of other chips, each calibrated on its own."""
        import jax.numpy as jnp

        return np.asarray(
            self._counted(jnp.asarray(x, jnp.float32), self.study.arrays, self.study.keys(purpose, count)), float
        )


prepare = Search


def compute(config: Config, state: Search, point: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question."""
    digital = state.study.digital()
    floor = digital - DROP if config.floor is None else config.floor
    found = _empty(config) | {"floor": floor, "digital_accuracy": digital}
    if point["question"] == MEASURE:
        return found | _measurement(config, state)
    return found | _tolerances(config, state, floor, point["question"] == LEAST)


def _empty(config: Config) -> dict[str, Any]:
    """Every variable of a point, all NaN."""
    plan = layout(config)
    return {name: np.full(plan.shape(v.dims[1:]), np.nan) for name, v in plan.variables.items()}


def _tolerances(config: Config, state: Search, floor: float, as_it_is: bool) -> dict[str, Any]:
    from experiments.framework.progress import say

    known = state.known
    today = np.array([t.start if t.today else t.bounds[0] for t in known])
    low, high = np.array([t.bounds for t in known]).T
    start = np.array([t.start for t in known])
    if as_it_is:  # nothing may become worse, and imperfections that the device does not have are not added
        start, high = today, today
        low = np.where([t.today > 0 for t in known], low, today)

    def merit(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = state.smooth(x)
        return float(value.mean()), slope.mean(0)

    def between(x: np.ndarray) -> float:
        state.calibrate(x)
        counted = state.counted(x, 2, config.fresh_chips).mean()
        say(
            f"{'least improvement' if as_it_is else 'loosest'}: accuracy {100 * counted:.2f} %, floor {100 * floor:.2f} %"
        )
        return float(counted - merit(x)[0])

    state.calibrate(today)
    slope_today = state.smooth(today)[1].T
    best = tolerances.loosest(merit, floor, start, low, high, rounds=config.rounds, between=between)
    offset = between(best.x)
    others = lambda i: tolerances.room_for_others(lambda x: merit(x)[0], merit(best.x)[0], best.x, i, high)  # noqa: E731
    room = [np.nan if as_it_is else others(i) for i in range(len(known))]
    return {
        "value": np.array([t.value(x) for t, x in zip(known, best.x, strict=True)]),
        "slope": state.smooth(best.x)[1].T,
        "slope_today": slope_today,
        "free": best.free.astype(float),
        "room": np.array(room),
        "shortfall": floor - offset - merit(best.x)[0],
        "imbalance": best.imbalance,
        "accuracy": state.counted(best.x, 3, config.fresh_chips),
        "accuracy_today": state.counted(today, 3, config.fresh_chips),
    }


def _measurement(config: Config, state: Search) -> dict[str, Any]:
    """How much each part of the posterior contributes to the uncertainty of the accuracy."""
    from devices.physical_numbers import device_numbers, values_of
    from experiments.posterior_reading import PosteriorReading

    device = state.study.device
    numbers = [n for n in device_numbers(device) if n.part != "update"]
    reading = PosteriorReading(state, numbers)
    count = max(config.draws, 256)
    draws = values_of(chosen_devices.drawn(config.device, count, config.assume), numbers)
    slope = reading.slopes().mean(0)
    found = next_measurement.linearised(slope, draws, tuple(n.part for n in numbers))
    parts = (*next_measurement.MEASUREMENTS, "all")
    result = {name: np.full(len(parts), np.nan) for name in ("deviation", "deviation_left", "deviation_read")}
    for i, part in enumerate(found.parts):
        at = parts.index(part)
        result["deviation"][at], result["deviation_left"][at] = found.alone[i], found.left[i]
        only = [n.part == part for n in numbers]
        result["deviation_read"][at] = reading.deviation(draws[: config.draws], np.array(only))
    result["deviation"][-1] = found.total
    result["deviation_read"][-1] = reading.deviation(draws[: config.draws], np.ones(len(numbers), bool))
    return result


def present(config: Config, results: Results) -> Any:
    from experiments import specification_view

    return specification_view.present(config, results)
