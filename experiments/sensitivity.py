"""What a network's loss is sensitive to: every physical number of its device, converters and wires, and every layer.

One backward pass through chips gives d loss / d ln(number), checked against finite differences on the same chips; then
layers are moved to digital hardware one by one, by gradient and greedily, until an accuracy floor is kept.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments import chosen_devices, crossbar_study
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable
from experiments.layer_split import METHODS

TITLE = "What a network's loss is sensitive to: physics and layers"
EFFECTS = ("write", "drift_mean", "drift_spread", "read_noise", "nonlinearity")


@dataclasses.dataclass(frozen=True)
class Config(crossbar_study.Setting):
    """Settings; the defaults take about two minutes on two cores."""

    ohm: float = 0.0
    """Resistance of the wires from one cell to the next [ohm]; 0 for ideal wires."""
    step: float = 0.1
    """Relative step of the finite differences."""
    checked: int = 60
    """How many numbers are checked by finite differences, those with the largest gradient first."""
    floor: float | None = None
    """Accuracy that a split of layers into analog and digital must keep; by default one point below digital."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    if not 0 <= config.ohm < 1e9:
        raise UsageError(f"--ohm {config.ohm}: give 0 (ideal wires) or a resistance in ohm per cell.")
    if not 1e-4 <= config.step <= 0.5:
        raise UsageError(f"--step {config.step}: give a relative step from 0.0001 to 0.5.")
    if config.checked < 0:
        raise UsageError(f"--checked {config.checked}: give at least 0.")
    if config.floor is not None and not 0 < config.floor < 1:
        raise UsageError(f"--floor {config.floor}: give an accuracy between 0 and 1, such as 0.95.")
    crossbar_study.check(config)
    if config.ohm and not chosen_devices.find(config.device, config.assume).conduction.linear:
        raise UsageError(f"--ohm {config.ohm}: {config.device} is not ohmic; wires are studied with ohmic cells here.")


inputs = crossbar_study.inputs


def numbers(config: Config) -> list[Any]:
    """The numbers of the device for which elasticities are computed: those that are not 0, and g_min."""
    import devices

    found = devices.device_numbers(chosen_devices.find(config.device, config.assume))
    return [n for n in found if n.part != "update" and (n.value != 0 or n.path == "g_min")]


def effects(config: Config) -> tuple[str, ...]:
    """The imperfections that the device has a law for."""
    device = chosen_devices.find(config.device, config.assume)
    lacks = device.unmeasured
    has = {
        "write": "write errors" not in lacks,
        "drift_mean": "drift" not in lacks,
        "drift_spread": "drift" not in lacks,
        "read_noise": "read noise" not in lacks,
        "nonlinearity": not device.conduction.linear,
    }
    return tuple(name for name in EFFECTS if has[name])


def quantities(config: Config) -> tuple[str, ...]:
    """Names of everything for which elasticities are computed, effects (of all layers together) first."""
    wires = ("wires",) if config.ohm else ()
    return (*effects(config), "adc_range", "dac_range", *wires, *(n.path for n in numbers(config)))


def layout(config: Config) -> Layout:
    names = crossbar_study.layers(config)
    dimensions = {
        "time": Dimension((crossbar_study.SECONDS[config.time],), "time since programming", "s"),
        "quantity": Dimension(quantities(config), "what is changed"),
        "layer": Dimension(names, "layer"),
        "effect": Dimension((*effects(config), "none"), "imperfection of its cells"),
        "chip": Dimension(range(config.chips), "chip"),
        "method": Dimension(METHODS, "how layers are chosen for digital hardware"),
        "moved": Dimension(range(len(names) + 1), "layers on digital hardware"),
    }
    by = lambda *dims: ("time", *dims)  # noqa: E731
    variables = {
        "loss": Variable(by("chip"), "loss", "nat"),
        "accuracy": Variable(by("chip"), "accuracy"),
        "digital_accuracy": Variable(by(), "accuracy without hardware"),
        "elasticity": Variable(by("quantity", "chip"), "d loss / d ln(value), by backward pass", "nat"),
        "difference": Variable(by("quantity", "chip"), "the same by finite differences", "nat"),
        "layer_elasticity": Variable(by("layer", "effect", "chip"), "d loss / d ln(size of the imperfection)", "nat"),
        "layer_difference": Variable(by("layer", "chip"), "all imperfections of a layer, finite differences", "nat"),
        "layer_macs": Variable(by("layer"), "multiply-accumulates of an inference"),
        "split_layer": Variable(by("method", "moved"), "number of the layer that was moved last"),
        "split_share": Variable(by("method", "moved"), "share of the multiply-accumulates on arrays"),
        "split_accuracy": Variable(by("method", "moved", "chip"), "accuracy of a split"),
        "verified_accuracy": Variable(by("method", "chip"), "accuracy of the chosen split, digital layers as such"),
    }
    return Layout(dimensions, variables, ("time",))


@dataclasses.dataclass(frozen=True)
class Knobs:
    """Everything that can be changed, as one vector of relative changes `k`: a number is multiplied by `exp(k)`.

    `g_min = 0` S has no relative change: there `k` is in percent of g_max.
    """

    study: Any
    layers: tuple[str, ...]
    effects: tuple[str, ...]
    numbers: tuple[Any, ...]
    ohm: float

    @property
    def size(self) -> int:
        return len(self.numbers) + len(self.layers) * len(self.effects) + 3

    def direction(self, quantity: str) -> np.ndarray:
        """The unit change of one quantity."""
        k, start = np.zeros(self.size), len(self.numbers)
        if quantity in self.effects:
            k[start : self.size - 3].reshape(len(self.layers), -1)[:, self.effects.index(quantity)] = 1
        elif quantity in (tail := ("adc_range", "dac_range", "wires")):
            k[self.size - 3 + tail.index(quantity)] = 1
        else:
            k[[n.path for n in self.numbers].index(quantity)] = 1
        return k

    def layer_direction(self, layer: int) -> np.ndarray:
        """The unit change of all imperfections of one layer."""
        k, start = np.zeros(self.size), len(self.numbers)
        k[start : self.size - 3].reshape(len(self.layers), -1)[layer] = 1
        return k

    def one_sided(self, quantity: str) -> bool:
        """Whether a quantity cannot become smaller than it is."""
        return any(n.path == quantity and n.value == 0 for n in self.numbers)

    def holding(self, arrays: tuple[Any, ...]) -> Knobs:
        """The same with other arrays; see `Study.holding`."""
        return dataclasses.replace(self, study=self.study.holding(arrays))

    def wires(self, factor: Any) -> Any:
        """Wires of `factor` times the resistance; None for ideal ones."""
        import xbar

        return xbar.ResistiveWires(self.ohm * factor, self.ohm * factor) if self.ohm else None

    def chip(self, k: Any, digital: Any, key: Any, ranges: Any) -> Any:
        """One chip with these changes.

        Args:
            digital: 1 for a layer of exact cells behind converters of 16 bits that hardly clip, as if it were digital, else 0.
        """
        import jax.numpy as jnp

        import devices
        from devices.physical_numbers import shifted

        study, start = self.study, len(self.numbers)
        values = np.array([n.value for n in self.numbers])
        scale = 0.01 * float(study.device.g_max)
        change = jnp.where(values == 0, scale * k[:start], values * jnp.expm1(k[:start]))
        device = shifted(study.device, list(self.numbers), change)
        sizes = jnp.exp(k[start : self.size - 3]).reshape(len(self.layers), len(self.effects)) * (1 - digital)[:, None]
        adc, dac, wire = jnp.exp(k[self.size - 3 :])
        span = (device.g_max - device.g_min) / (study.device.g_max - study.device.g_min)
        wires = self.wires(wire)

        def tile(path: str, shape: tuple[int, ...]) -> Any:
            i = self.layers.index(path)
            own = devices.Factors(**dict(zip(self.effects, sizes[i], strict=True)))
            bits = jnp.where(digital[i] > 0, 16.0, study.adc_bits)
            return study.tile(devices.amplify(device, own), wires=wires, adc_bits=bits)

        wide = lambda path: jnp.where(digital[self.layers.index(path)] > 0, 8.0, 1.0)  # noqa: E731
        return study.chip(tile, key, ranges, lambda path: (dac, adc * span * wide(path)))


def prepare(config: Config) -> Knobs:
    study = crossbar_study.Study.of(config)
    return Knobs(study, crossbar_study.layers(config), effects(config), tuple(numbers(config)), config.ohm)


class Programs:
    """The compiled programs of a run: converter ranges, gradients, and readings of changed chips."""

    def __init__(self, knobs: Knobs, keys: Any):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from experiments import in_turns

        zero = np.zeros(len(knobs.layers))
        self.knobs, self.keys, self.arrays = knobs, keys, knobs.study.arrays

        def calibrated(arrays, k, keys):
            given = knobs.holding(arrays)
            return in_turns.over(lambda key: given.chip(k, jnp.asarray(zero), key, None).ranges, keys)

        def read(given, k, digital, key, ranges):
            outputs = given.study.outputs(given.chip(k, digital, key, ranges), key)
            return given.study.network.loss(outputs, given.study.y), given.study.network.metric(outputs, given.study.y)

        def readings(arrays, k, digital, keys, ranges):
            given = knobs.holding(arrays)
            return in_turns.over(lambda key, r: read(given, k, digital, key, r), keys, ranges)

        def slopes(arrays, k, keys, ranges):
            given = knobs.holding(arrays)
            of = lambda k, key, r: read(given, k, jnp.asarray(zero), key, r)[0]  # noqa: E731
            return in_turns.over(lambda key, r: jax.grad(of)(k, key, r), keys, ranges)

        self._read, self._slopes = eqx.filter_jit(readings), eqx.filter_jit(slopes)
        self.ranges = eqx.filter_jit(calibrated)(self.arrays, self.start, keys)

    @property
    def start(self) -> Any:
        import jax.numpy as jnp

        return jnp.zeros(self.knobs.size)

    def slopes(self) -> np.ndarray:
        """d loss / d k of every chip, [chips, knobs]: one backward pass."""
        return np.asarray(self._slopes(self.arrays, self.start, self.keys, self.ranges), float)

    def read(self, k: Any = None, digital: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Loss and accuracy of every chip."""
        import jax.numpy as jnp

        k = self.start if k is None else jnp.asarray(k, self.start.dtype)
        digital = jnp.asarray(np.zeros(len(self.knobs.layers)) if digital is None else digital, k.dtype)
        loss, accuracy = self._read(self.arrays, k, digital, self.keys, self.ranges)
        return np.asarray(loss, float), np.asarray(accuracy, float)

    def difference(self, direction: np.ndarray, step: float, one_sided: bool = False) -> np.ndarray:
        """Slope of the loss of every chip along a direction, by second-order central (or one-sided) differences."""
        if one_sided:  # of second order: what starts at 0 is curved
            step = 5 * step
            near, far = (self.read(n * step / 2 * direction)[0] for n in (1, 2))
            return (4 * near - far - 3 * self.read()[0]) / step
        return (self.read(step * direction)[0] - self.read(-step * direction)[0]) / (2 * step)


def macs(knobs: Knobs) -> np.ndarray:
    """Multiply-accumulates of an inference by layer."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    study, counted = knobs.study, dict.fromkeys(knobs.layers, 0.0)

    def chip(arrays):
        given = knobs.holding(arrays)
        return given.chip(jnp.zeros(knobs.size), jnp.zeros(len(knobs.layers)), jax.random.key(0), None)

    def count(made, x):
        def watch(i, tile, array, signals):
            groups, k, n = made.plan_layers[i].product.sizes
            return jnp.asarray(float(groups * signals.volts.shape[3] * k * n))

        return made.watch((x,), watch=watch)[1]

    made = eqx.filter_eval_shape(chip, study.arrays)
    for i, number in eqx.filter_jit(lambda arrays, x: count(chip(arrays), x))(study.arrays, study.x[:1]).items():
        counted[made.plan_layers[i].path] += float(np.sum(number))
    return np.array([counted[name] for name in knobs.layers])


def compute(config: Config, state: Knobs, point: dict[str, Any]) -> dict[str, Any]:
    """Gradients, finite differences, and the two ways to split layers."""
    from experiments import layer_split
    from experiments.framework.progress import steps

    programs = Programs(state, state.study.keys(0, config.chips))
    loss, accuracy = programs.read()
    slopes, names = programs.slopes(), quantities(config)
    elasticity = np.array([slopes @ state.direction(q) for q in names])
    difference = np.full_like(elasticity, np.nan)
    largest = np.argsort(-np.abs(elasticity.mean(1)))
    chosen = [*range(len(state.effects)), *(i for i in largest if i >= len(state.effects))][: config.checked]
    for i in steps(chosen, "finite differences"):
        difference[i] = programs.difference(state.direction(names[i]), config.step, state.one_sided(names[i]))
    by_layer = slopes[:, len(state.numbers) : state.size - 3].reshape(config.chips, len(state.layers), -1)
    layer_difference = np.array(
        [
            programs.difference(state.layer_direction(i), config.step)
            for i in steps(range(len(state.layers)), "finite differences of layers")
        ]
    )
    work, digital = macs(state), state.study.digital()
    floor = layer_split.floor(config.floor, digital)
    slope = by_layer.sum(2).mean(0)
    found = layer_split.split(lambda mask: programs.read(digital=mask)[1], slope, work, floor)
    verified = np.array(
        [layer_split.verified(state, programs, found.digital(m, floor, len(state.layers))) for m in METHODS]
    )
    none = np.full((len(state.layers), 1, config.chips), np.nan)
    result = {
        "loss": loss,
        "accuracy": accuracy,
        "digital_accuracy": digital,
        "elasticity": elasticity,
        "difference": difference,
        "layer_elasticity": np.concatenate([np.moveaxis(by_layer, 0, 2), none], 1),
        "layer_difference": layer_difference,
        "layer_macs": work,
        "split_layer": found.layer,
        "split_share": found.share,
        "split_accuracy": found.accuracy,
        "verified_accuracy": verified,
    }
    return result


def present(config: Config, results: Results) -> Any:
    from experiments import sensitivity_view

    return sensitivity_view.present(config, results)
