"""The designs that `codesign` searches: converter bits of each layer, read time, conductance range, columns a converter.

A design is a vector in the unit box, so that every search meets the same space; `Space.physics` says what it stands for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments import chosen_devices, chosen_macros

BITS = (4.0, 9.0)  # of the converters; the energy regression is valid from 4 bits on
READ_TIME = (10e-9, 200e-9)  # s
RANGE = (0.3, 1.0)  # of the device's conductance range that is used
COLUMNS = (1.0, 64.0)  # that share a converter
SHARED = ("read_time", "range", "columns")
COSTS = ("energy", "latency", "area")


@dataclasses.dataclass(frozen=True)
class Physics:
    """What a design stands for: bits of each layer, read time [s], share of the conductance range, columns a converter."""

    bits: Any
    read_time: Any
    range: Any
    columns: Any


class Space:
    """A network on chips of any design: its loss, and what an inference costs.

    Args:
        config: of the experiment. task: `x`, `y`, `calibration` inputs and the network, as `mlperf_tiny.Task`.
    """

    def __init__(self, config: Any, task: Any, model: Any):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        import xbar

        self.config, self.task, self.device = config, task, chosen_devices.find(config.device)
        plain, seen = chosen_macros.tile(config, self.device), {}

        def nominal(path: str, shape: tuple[int, ...]) -> Any:
            seen[path] = None
            return plain

        chip = xbar.analog(task.network.f, nominal).program(model, task.x[:1], key=jax.random.key(config.seed))
        chip = xbar.calibrate(chip, task.calibration, percentile=99.99)
        self.layers = list(seen)
        self.recipe = chip.energy(task.x[:2], inferences=2).recipe
        self.index: dict[str, int] = {}  # number of each layer in a chip whose layers differ
        start = jnp.asarray(self.start(), jnp.float32)
        self.ranges = eqx.filter_jit(self._calibrated)(start, model, task.calibration, jax.random.key(config.seed))
        self.read = eqx.filter_jit(self._read)
        self.slope = eqx.filter_jit(eqx.filter_grad(self._objective))
        self._cost = jax.jit(lambda z: self.cost(self.physics(z)))

    @property
    def size(self) -> int:
        return len(self.layers) + len(SHARED)

    def physics(self, z: Any) -> Physics:
        """The design at a place in the unit box."""
        import jax.numpy as jnp

        n = len(self.layers)
        log = lambda u, bounds: bounds[0] * (bounds[1] / bounds[0]) ** u  # noqa: E731
        bits = BITS[0] + (BITS[1] - BITS[0]) * z[:n]
        t, share, columns = (log(z[n + i], b) for i, b in enumerate((READ_TIME, RANGE, COLUMNS)))
        return Physics(jnp.asarray(bits), t, share, columns)

    def start(self) -> np.ndarray:
        """The nominal design: 8 bits, 100 ns, the whole range, 8 columns a converter."""
        share = lambda value, bounds: np.log(value / bounds[0]) / np.log(bounds[1] / bounds[0])  # noqa: E731
        bits = (8 - BITS[0]) / (BITS[1] - BITS[0])
        shared = [share(100e-9, READ_TIME), 1.0, share(8, COLUMNS)]
        return self.rounded(np.array([bits] * len(self.layers) + shared))

    def rounded(self, z: np.ndarray) -> np.ndarray:
        """The nearest design that can be built: whole bits, and a power of two of columns a converter."""
        z, n = np.clip(np.asarray(z, float), 0, 1), len(self.layers)
        z[:n] = (np.round(BITS[0] + (BITS[1] - BITS[0]) * z[:n]) - BITS[0]) / (BITS[1] - BITS[0])
        levels = np.log2(COLUMNS[1] / COLUMNS[0])
        z[n + 2] = np.round(z[n + 2] * levels) / levels
        return z

    # -- what a design costs --------------------------------------------------------------------------------------

    def costs_of(self, z: np.ndarray) -> np.ndarray:
        """Energy [J], latency [s] and area [m^2] of an inference."""
        import jax.numpy as jnp

        return np.asarray(self._cost(jnp.asarray(z, jnp.float32)), float)

    def cost(self, physics: Physics) -> Any:
        """The same, differentiable: the ledger's recipe priced anew.

        Events are those of the nominal chip; the arrays' heat goes with the range and the read time.
        """
        import equinox as eqx
        import jax.numpy as jnp

        from xbar.energy.pricing import priced

        recipe = self.recipe
        heat = physics.range * physics.read_time / recipe.costs[0].read_time
        g_max = self.device.g_max * physics.range
        number = {path: i for i, path in enumerate(self.layers)}
        costs = tuple(
            dataclasses.replace(
                c, adc_bits=physics.bits[number[_path(c.name, number)]], read_time=physics.read_time, g_max=g_max
            )
            for c in recipe.costs
        )
        joules = ("array_joules", "word_joules", "bit_joules", "access_joules")
        usages = tuple(dataclasses.replace(u, **{n: getattr(u, n) * heat for n in joules}) for u in recipe.usages)
        technology = eqx.tree_at(lambda t: t.columns_per_adc, recipe.technology, physics.columns)
        found = priced(dataclasses.replace(recipe, costs=costs, usages=usages, technology=technology))
        return jnp.stack([found.terms.sum(), found.seconds.sum(), found.area.sum()])

    # -- what a design does ---------------------------------------------------------------------------------------

    def _calibrated(self, z: Any, model: Any, x: Any, key: Any) -> Any:
        """Converter ranges of the nominal design, by layer number."""
        import xbar

        chip = self._programmed(model, self.physics(z), key, None, False)
        self.index.update({chip.plan_layers[i].path: i for i in chip.arrays})
        return xbar.calibrate(chip, x, percentile=99.99).ranges

    def _chip(self, model: Any, physics: Physics, key: Any, relaxed: bool) -> Any:
        """One chip of a design at the time of the settings; its ranges are the nominal ones, times the range that is used.

        Args:
            relaxed: rounding as normal noise of the same variance, so that bits have a derivative.
        """
        import xbar

        ranges = {i: dataclasses.replace(r, adc=r.adc * physics.range) for i, r in self.ranges.items()}
        chip = self._programmed(model, physics, key, ranges, relaxed)
        return xbar.compensate(chip.with_ranges(ranges)).at(self.config.seconds)

    def _programmed(self, model: Any, physics: Physics, key: Any, ranges: Any, relaxed: bool) -> Any:
        """One chip of a design, without ranges."""
        import jax.numpy as jnp

        import xbar

        low = self.device.g_min
        device = dataclasses.replace(self.device, g_max=low + physics.range * (self.device.g_max - low))

        def tile(path: str, shape: tuple[int, ...]) -> Any:
            i = self.layers.index(path)
            own = chosen_macros.tile(self.config, device)
            adc = xbar.ADC(bits=jnp.round(physics.bits[i]))
            if relaxed:
                step = jnp.mean(ranges[self.index[path]].adc) / (2.0 ** (physics.bits[i] - 1) - 1)
                adc = xbar.ADC(bits=None, noise=step / 12**0.5)
            return dataclasses.replace(own, adc=adc, read_time=physics.read_time)

        return xbar.analog(self.task.network.f, tile).program(model, self.task.x[:1], key=key)

    def _read(self, z: Any, model: Any, x: Any, y: Any, key: Any) -> Any:
        """Loss and error of one chip of a design, converters that round."""
        import jax
        import jax.numpy as jnp

        outputs = self._chip(model, self.physics(z), key, False)(x, key=jax.random.fold_in(key, 1))
        return jnp.stack([self.task.network.loss(outputs, y), 1 - self.task.network.metric(outputs, y)])

    def _objective(self, both: Any, x: Any, y: Any, key: Any, weight: Any) -> Any:
        """`loss + weight ln(cost)` of a design and weights, relaxed."""
        import jax
        import jax.numpy as jnp

        z, model = both
        physics = self.physics(z)
        loss = self.task.network.loss(self._chip(model, physics, key, True)(x, key=jax.random.fold_in(key, 1)), y)
        return loss + weight * jnp.log(self.cost(physics)[COSTS.index(self.config.cost)])


def _path(name: str, known: dict[str, int]) -> str:
    """The layer that a row of the ledger belongs to."""
    return name if name in known else next(path for path in known if name.startswith(path))
