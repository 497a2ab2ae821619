"""Chips of any design: their outputs, and what an inference on them costs, with derivatives with respect to the design."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from experiments import chosen_devices, chosen_macros, write_effort
from experiments.design_space import COSTS, NOMINAL, VOLTS, Box, Physics

KT = 1.380649e-23 * 300.0  # J, at 300 K
SCALAR = {
    "xla_backend_optimization_level": 0
}  # for programs of thousands of scalar operations: a tenth of the compilation time
CELL_BITS = {2: 4, 4: 2, 7: 1}  # of a digit, by the number of digits that a magnitude of 7 bits is cut into


class Nominal(NamedTuple):
    """What a nominal chip tells about all designs whose weights are laid out on tiles in the same way.

    Args:
        ranges: of its converters, by layer number. recipes: of its ledger, for each number of word lines.
        siemens: of all cells of a column, of each layer. cells, joules: how many cells are written, and the energy this takes,
            in the order of the layers.
    """

    ranges: Any
    recipes: Any
    siemens: Any
    cells: Any
    joules: Any


class Space:
    """A network on chips of any design, with one way of slicing weights.

    Args:
        config: of the experiment. task: `x`, `y`, `calibration` inputs and the network, as `mlperf_tiny.Task`.
        slices: of a weight: 1 for cells that hold all of it; 2, 4 or 7 for sign and magnitude of 8 bits.
    """

    def __init__(self, config: Any, task: Any, model: Any, slices: int = 1):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        self.config, self.task, self.slices = config, task, slices
        self.device = chosen_devices.find(config.device)
        self.rows = config.tile_rows if config.rows is None else (config.rows,)
        self.index: dict[str, int] = {}  # number of each layer in a chip whose layers differ
        key, measure = jax.random.key(config.seed), eqx.filter_jit(self._nominal)
        given = (model, task.calibration, key, jnp.asarray(NOMINAL["read_time"]))
        alike = self._alike(model, key)
        found = {group: measure(*given, group) for group in alike}
        self.seen = [found[group] for group in alike for _ in group]
        self.recipes = [recipe for group in alike for recipe in found[group].recipes]
        self.first = [list(self.rows).index(group[-1]) for group in alike for _ in group]  # that a design is read with
        self.box = self._box(model, key)
        self.read = eqx.filter_jit(self._read)
        self._loss_slope = eqx.filter_jit(eqx.filter_grad(self._loss))
        log_cost = lambda z: jnp.log(self.cost(self.box.physics(z))[COSTS.index(config.cost)])  # noqa: E731
        self._cost = jax.jit(lambda z: self.cost(self.box.physics(z)), compiler_options=SCALAR)
        self._cost_slope = jax.jit(jax.grad(log_cost), compiler_options=SCALAR)

    def _alike(self, model: Any, key: Any) -> list[tuple[int, ...]]:
        """The numbers of word lines, grouped where weights are laid out on tiles in the same way: reads are then the same."""
        import equinox as eqx

        from xbar import analog

        program = analog(self.task.network.f, self._macro(self.device, self.rows[-1])).program
        chip = eqx.filter_eval_shape(program, model, self.task.x[:1], key=key)
        groups: dict[Any, list[int]] = {}
        for rows in self.rows:
            tile = self._macro(self.device, rows)
            parts = [tile.partition(*chip.plan_layers[i].product.sizes) for i in chip.arrays]
            ways = tuple((p.blocks, p.row_tiles, p.col_tiles, p.used_rows, p.used_cols) for p in parts)
            groups.setdefault(ways, []).append(rows)
        return [tuple(group) for group in groups.values()]

    def _box(self, model: Any, key: Any) -> Box:
        """The design variables that the device and the settings leave open."""
        from devices.programming import ExactProgramming
        from devices.write_verify import WriteVerify

        layers, most = tuple(self.index), self.device.provenance.volts or VOLTS[1]
        if isinstance(self.device.programming, ExactProgramming | WriteVerify):  # no error, or a window of its own
            return Box(layers, None, self.rows, most)
        costs = write_effort.layer_costs(self.task, model, layers, key)
        shares = write_effort.shares(costs, np.asarray(self.seen[-1].cells, float))
        return Box(layers, tuple(map(float, shares)), self.rows, most)

    # -- what a design costs --------------------------------------------------------------------------------------

    def costs_of(self, z: np.ndarray) -> np.ndarray:
        """Energy [J], latency [s] and area [m^2] of an inference."""
        import jax.numpy as jnp

        return np.asarray(self._cost(jnp.asarray(z, jnp.float32)), float)

    def cost(self, physics: Physics) -> Any:
        """The same, differentiable: the recipes of the nominal ledgers repriced; between two numbers of word lines,
        interpolated in the logarithms of both."""
        import jax.numpy as jnp

        each = jnp.stack([self._priced(physics, recipe) for recipe in self.recipes])
        found = each[0]
        if len(each) > 1:
            left = jnp.clip(jnp.floor(physics.rows).astype(int), 0, len(each) - 2)
            low, high = jnp.log(each[left]), jnp.log(each[left + 1])
            found = jnp.exp(low + (physics.rows - left) * (high - low))
        if physics.pulses is None:
            return found
        written = self.seen[-1].joules * physics.pulses / NOMINAL["pulses"] * physics.range
        return found.at[0].add(jnp.sum(written) / self.config.inferences)

    def _priced(self, physics: Physics, recipe: Any) -> Any:
        """Events are those of the nominal chip; heat scales with range, time and voltage, line charge with voltage squared."""
        import equinox as eqx
        import jax.numpy as jnp

        from xbar.energy.pricing import priced

        volts = physics.volts / NOMINAL["volts"]
        heat = physics.range * physics.read_time / NOMINAL["read_time"] * volts * self.driven(physics.volts)
        numbers = {path: n for n, path in enumerate(self.box.layers)}
        own = dict(read_time=physics.read_time, v_read=physics.volts, g_max=self.device.g_max * physics.range)
        costs = tuple(
            dataclasses.replace(c, adc_bits=physics.bits[numbers[c.name]], **own)  # pyright: ignore[reportArgumentType]
            for c in recipe.costs
        )
        factors = {name: heat for name in ("array_joules", "word_joules", "bit_joules", "access_joules")}  # noqa: C420
        factors["line_swing"] = volts**2
        usages = tuple(
            dataclasses.replace(u, **{name: getattr(u, name) * f for name, f in factors.items()}) for u in recipe.usages
        )
        technology = eqx.tree_at(lambda t: t.columns_per_adc, recipe.technology, physics.columns)
        found = priced(dataclasses.replace(recipe, costs=costs, usages=usages, technology=technology))
        return jnp.stack([found.terms.sum(), found.seconds.sum(), found.area.sum()])

    def driven(self, volts: Any) -> Any:
        """Current of a cell in the middle of its range at a voltage [V], relative to that at the nominal voltage."""
        import jax.numpy as jnp

        g = (self.device.g_min + self.device.g_max) / 2
        at = lambda v: self.device.conduction(g, jnp.asarray(v, g.dtype))  # noqa: E731
        return at(volts) / at(NOMINAL["volts"])

    # -- what a design does ---------------------------------------------------------------------------------------

    def _read(self, z: Any, model: Any, x: Any, y: Any, key: Any, noise: Any, row: int) -> Any:
        """Loss and error of one chip of a design with `rows[row]` word lines and converters that round."""
        import jax.numpy as jnp

        outputs = self._chip(model, self.box.physics(z), key, row, False)(x, key=noise)
        return jnp.stack([self.task.network.loss(outputs, y), 1 - self.task.network.metric(outputs, y)])

    def slope(self, both: Any, x: Any, y: Any, key: Any, weight: float, row: int) -> Any:
        """Derivative of `loss + weight ln(cost)` with respect to a relaxed design and weights; the loss is that with
        `rows[row]` word lines."""
        by_z, by_model = self._loss_slope(both, x, y, key, row)
        return by_z + weight * self._cost_slope(both[0]), by_model

    def _loss(self, both: Any, x: Any, y: Any, key: Any, row: int) -> Any:
        import jax

        z, model = both
        chip = self._chip(model, self.box.physics(z), key, row, True)
        return self.task.network.loss(chip(x, key=jax.random.fold_in(key, 1)), y)

    def _chip(self, model: Any, physics: Physics, key: Any, row: int, relaxed: bool) -> Any:
        """One chip of a design at the time of the settings; its ranges are the nominal ones, scaled as the currents change.

        Args:
            relaxed: rounding as normal noise of the same variance, so that bits have a derivative.
        """
        import xbar

        current = physics.range * self.driven(physics.volts)
        ranges = {i: dataclasses.replace(r, adc=r.adc * current) for i, r in self.seen[row].ranges.items()}
        tile = lambda path, shape: self._tile(path, physics, ranges, row, relaxed)  # noqa: E731
        chip = xbar.analog(self.task.network.f, tile).program(model, self.task.x[:1], key=key)
        return xbar.compensate(chip.with_ranges(ranges)).at(self.config.seconds)

    def _tile(self, path: str, physics: Physics, ranges: Any, row: int, relaxed: bool) -> Any:
        import jax.numpy as jnp

        import xbar

        n, low = self.box.layers.index(path), self.device.g_min
        device = dataclasses.replace(self.device, g_max=low + physics.range * (self.device.g_max - low))
        if physics.pulses is not None:
            device = dataclasses.replace(device, programming=self._written(physics.pulses[n]))
        noise = self._amplifier(self.seen[row].siemens[path] * physics.range, physics.read_time)
        if relaxed:
            step = jnp.mean(ranges[self.index[path]].adc) / (2.0 ** (physics.bits[n] - 1) - 1)
            adc = xbar.ADC(bits=None, noise=jnp.sqrt(noise**2 + step**2 / 12))
        else:
            adc = xbar.ADC(bits=jnp.round(physics.bits[n]), noise=noise)
        macro = self._macro(device, self.rows[row])
        return dataclasses.replace(macro, adc=adc, read_time=physics.read_time, v_read=physics.volts)

    def _macro(self, device: Any, rows: int) -> Any:
        import xbar

        mapping = chosen_macros.mapping(self.config)
        if self.slices > 1:
            mapping = xbar.BitSliced(8, CELL_BITS[self.slices])
        return dataclasses.replace(chosen_macros.tile(self.config, device), rows=rows, mapping=mapping)

    def _written(self, pulses: Any) -> Any:
        """The device's write error, at this number of pulses per cell."""
        from devices.amplification import AmplifiedProgramming

        error = write_effort.error_after(pulses) / write_effort.error_after(NOMINAL["pulses"])
        return AmplifiedProgramming(self.device.programming, error)

    def _amplifier(self, siemens: Any, read_time: Any) -> Any:
        """Rms noise current of the amplifier that holds a column of `siemens` at 0 V, and of that column's thermal noise [A].

        i^2 = (e^2 G^2 + 4 k T G) / (2 t_read)
        """
        import jax.numpy as jnp

        density = self.config.amplifier_noise**2 * siemens**2 + 4 * KT * siemens
        return jnp.sqrt(density * 0.5 / read_time)

    def _nominal(self, model: Any, x: Any, key: Any, read_time: Any, group: tuple[int, ...]) -> Nominal:
        """The nominal chip with numbers of word lines between which its reads do not change."""
        import jax.numpy as jnp

        import xbar
        from experiments.mlperf_tiny import WRITES
        from xbar.energy import AssumedWrites
        from xbar.energy.counting import costs_of

        macro = lambda rows: dataclasses.replace(self._macro(self.device, rows), read_time=read_time)  # noqa: E731
        network = xbar.analog(
            self.task.network.f, lambda path, shape: macro(group[-1])
        )  # traced, so no layers share a loop
        chip = network.program(model, self.task.x[:1], key=key)
        self.index = {chip.plan_layers[i].path: i for i in chip.arrays}
        chip = xbar.calibrate(chip, x, percentile=99.99)
        ledger = chip.energy(self.task.x[:2], inferences=2)
        writes = network.programming(model, self.task.x[:1], key=key, assumed=AssumedWrites(**WRITES))
        written: Any = ledger.with_programming(writes, inferences=1).programming
        order = jnp.asarray([list(writes).index(path) for path in self.index])
        cells = jnp.stack([w.cells for w in writes.values()])
        now: Any = chip.at().arrays
        siemens = {path: _column(now[i].settled.conductance, chip.tiles[i]) for path, i in self.index.items()}
        costs = [tuple(costs_of(p, chip.plan_layers[i], macro(r), 1) for p, i in self.index.items()) for r in group]
        recipes = [dataclasses.replace(ledger.recipe, costs=c) for c in costs]
        return Nominal(chip.ranges, recipes, siemens, cells[order], written[0][order])


def _column(g: Any, tile: Any) -> Any:
    """Mean over columns of the total conductance of their cells that take part in one read [S]."""
    return (g.sum((-6, -3)) / tile.mapping.reads).mean()
