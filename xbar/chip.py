"""A function programmed onto one physical chip."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from devices._numerics import at_least_float32
from devices.device import most_pulses
from xbar.architectures.architecture import Architecture
from xbar.arguments import (
    check_elapsed,
    check_inputs,
    check_one_time,
    check_weights,
    find_layer,
    inferences_of,
    layer_times,
    needs_key,
    spread_values,
    typed_key,
)
from xbar.energy import Ledger, Schedule, Technology
from xbar.energy.counting import Counter, elements_of, ledger
from xbar.execution import Watch, rewrite_layer, run_layers, settle_layers, wait_layers
from xbar.graph.nodes import Layer, Traced
from xbar.graph.tracing import Frame, Function, Given, trace
from xbar.macro.disturbing import Selection, check_reads, check_selection
from xbar.macro.layout import to_cells
from xbar.macro.programming import keys_of_stack
from xbar.macro.reading import draws_at_read
from xbar.macro.sharding import check_automatic
from xbar.macro.state import Correction, ProgrammedArray, Ranges
from xbar.macro.tile import Tile
from xbar.macro.tile_summary import preformatted
from xbar.macro.updating import pulse, reprogram
from xbar.macro.wires.noise_map import warn_of_error
from xbar.macro.write_counts import Writes, pulse_writes
from xbar.summaries import chip_text
from xbar.tile_map import TileMap

UNCOUNTED = "digital corrections of layers (gains, offsets, low-rank adapters) are not counted"


class Chip(eqx.Module):
    """A function programmed onto one physical chip.

    Drift at different times is one trajectory of the same cells; only read noise is drawn at each call.

    A pytree: `wafer = jax.vmap(lambda k: network.program(params, x, key=k))(keys)` is many chips in one, and everything that
    a chip does, a wafer does with each of its chips: `wafer(x)`, `wafer.at(t)`, `wafer.energy(x)`, `xbar.calibrate(wafer, x)`.
    What comes back has a leading axis of chips.

    Args:
        arrays, tiles: the programmed arrays and their macros, by layer number.
        leaves: parameter leaves that digital work needs (biases, ...); None where a weight lives on arrays only.
        taken: time of each layer [s] for a chip that was taken at a time (`Chip.at`); else None.
        rolled: whether equal blocks of the function share a layer, as a stack of arrays.
    """

    arrays: dict[int, ProgrammedArray]
    tiles: dict[int, Tile]
    leaves: tuple[Array | None, ...]
    f: Function
    frame: Frame = eqx.field(static=True)
    avals: tuple[jax.ShapeDtypeStruct, ...] = eqx.field(static=True)
    plan_layers: tuple[Layer, ...] = eqx.field(static=True)
    taken: dict[int, Array] | None = None
    rolled: bool = eqx.field(static=True, default=True)

    def at(self, t: Float[Array, ""] | float | None = None) -> Chip:
        """This chip at `t` [s] since programming, for many reads: drifted conductances, the effect of wires on them and
        the variance of their noise are worked out once, and every call is a product with them.

        The chip that is returned takes no other time; read noise is still drawn at each call.
        """
        if self.wafer:
            return self.each_chip(lambda chip, _: chip.at(t))
        times = self.times(t)
        arrays = settle_layers(self.plan_layers, self.tiles, self.arrays, times)
        for array in arrays.values():
            warn_of_error(array.settled.noise_error)
        return dataclasses.replace(self, arrays=arrays, taken=times)

    def __call__(self, *inputs: Any, t: Float[Array, ""] | float | None = None, key: PRNGKeyArray | None = None) -> Any:
        """`f(params, *inputs)` as this chip computes it.

        Args:
            t: time since programming [s]; for each layer the earliest that its device's data describe if None.
            key: for the noise of this read; needed where the device or a converter is noisy.

        Raises:
            ValueError: for a time without data, a missing key, an empty input, or inputs that need other arrays.
        """
        if key is None and any(draws_at_read(tile) for tile in self.tiles.values()):
            raise ValueError(
                "chip(...) needs key=: reading this chip's devices or converters is noisy. Pass key=jax.random.key(0)."
            )
        if self.wafer:
            return self.each_chip(lambda chip, k: chip(*inputs, t=t, key=k), key)
        return self.watch(inputs, t=t, key=key)[0]

    def watch(
        self,
        inputs: Sequence[Any],
        *,
        t: Float[Array, ""] | float | None = None,
        key: PRNGKeyArray | None = None,
        watch: Watch | None = None,
        merge: Callable[[Array, Array], Array] = jnp.add,
    ) -> tuple[Any, dict[int, Any]]:
        """Calls the chip and lets `watch(layer, tile, array, signals)` see every read; see `xbar.macro.state.Signals`.

        Without `key`, reads are free of noise.
        """
        if self.wafer:
            return self.each_chip(lambda chip, k: chip.watch(inputs, t=t, key=k, watch=watch, merge=merge), key)
        check_automatic("chip", inputs)
        traced, given = self._traced(inputs)
        check_inputs(traced, inputs)
        typed = None if key is None else typed_key(key)
        cells = (self.arrays, self.tiles, self.times(t))
        run = run_layers(traced, frozenset(self.arrays))
        outs, seen = run(watch, merge, cells, [*self.leaves, *given.inputs], given.captured, typed)
        return jax.tree.unflatten(traced.out_tree, outs), seen

    def energy(
        self,
        *inputs: Any,
        t: Float[Array, ""] | float | None = None,
        key: PRNGKeyArray | None = None,
        technology: Technology | Architecture | None = None,
        inferences: int | None = None,
        schedule: Schedule | None = None,
        fixed: bool = False,
    ) -> Ledger:
        """Energy [J], time [s] and area [m^2] of computing these inputs, by layer and component, from the voltages and
        conductances of this call.

        Args:
            t: time since programming [s], as in a call.
            key: for the noise of the reads, which hardly changes the energy; left out if None.
            inferences: how many inferences the inputs hold; the ledger is per inference. By default the leading axis of inputs
                that are not vectors, if the outputs have it too; the ledger's notes say so.
            technology: cost of converters and digital work, or an architecture, which brings its schedule;
                `xbar.energy.Technology()` if None.
            schedule: order of work; the architecture's, or one layer after the other, if None.
            fixed: leave the data out: every cell conducts (g_min + g_max)/2, word lines switch with `technology.activity`.
                The ledger says so.
        """
        if isinstance(technology, Architecture):
            schedule = technology.schedule if schedule is None else schedule
            technology = technology.technology
        traced = self._traced(inputs)[0]
        if inferences is not None and (isinstance(inferences, bool) or int(inferences) != inferences or inferences < 1):
            raise ValueError(
                f"inferences={inferences!r}: how many inferences the inputs hold, a whole number of at least 1."
            )
        if self.wafer:
            how: dict[str, Any] = dict(technology=technology, inferences=inferences, schedule=schedule, fixed=fixed)
            return self.each_chip(lambda chip, k: chip.energy(*inputs, t=t, key=k, **how), key)
        outs, usages = self.watch(inputs, t=t, key=key, watch=Counter(traced.layers, fixed))
        count = inferences_of(inputs, outs) if inferences is None else int(inferences)
        plan, elements = traced.pruned(frozenset(self.arrays)), (elements_of(inputs), elements_of([outs]))
        how = dict(schedule=schedule, fixed=fixed, elements=elements)
        found = ledger(traced, plan, self.tiles, usages, technology, count, **how)
        if any(a.correction is not None for a in self.arrays.values()):
            found = dataclasses.replace(found, notes=(*found.notes, UNCOUNTED))
        if inferences is None and count > 1:
            said = (
                f"per inference: the inputs' leading axis was taken for {count} inferences (inferences= says otherwise)"
            )
            found = dataclasses.replace(found, notes=(said, *found.notes))
        return found

    def __repr__(self) -> str:
        return chip_text(self)

    def _repr_html_(self) -> str:
        return preformatted(self)

    @property
    def wafer(self) -> tuple[int, ...]:
        """The number of chips, axis by axis; empty for a single chip."""
        for i, array in self.arrays.items():
            g: Array = jax.tree.leaves(array.cells or array.settled)[0]  # conductances come first
            return g.shape[: max(g.ndim - 6 - len(self.plan_layers[i].lengths), 0)]
        return ()

    def each_chip(self, f: Callable[[Chip, PRNGKeyArray | None], Any], key: PRNGKeyArray | None = None) -> Any:
        """`f(chip, key)` of each chip of a wafer, with a key of its own; results have a leading axis of chips.

        Args:
            key: one for all chips, or one for each.
        """
        number = self.wafer[0]
        keys = None if key is None else typed_key(key)
        if keys is not None and keys.shape != (number,):
            keys = jax.random.split(keys, number)
        return jax.vmap(f, in_axes=(0, None if keys is None else 0))(self, keys)

    def wait(self, t: Float[Array, ""] | float, *, reads: Float[Array, ""] | float = 0.0) -> Chip:
        """This chip `t` [s] later: times count from then on, and every cell is older by `t`.

        Args:
            reads: of every cell meanwhile, at full read voltage, for devices that reads disturb (`Device(disturb=)`).

        Raises:
            ValueError: for reads of devices that do not say what a read does to them.
        """
        if self.wafer:
            return self.each_chip(lambda chip, _: chip.wait(t, reads=reads))
        self._check_writable("wait")
        when, often = jnp.asarray(t), check_reads(reads, self.tiles)
        return self.with_arrays(wait_layers(self.plan_layers, self.tiles, self.arrays, when, often))

    def pulse(
        self,
        layer: str | int,
        n: Num[Array, "..."] | int,
        *,
        t: Float[Array, ""] | float = 0.0,
        key: PRNGKeyArray | None = None,
        most: int | None = None,
        select: Selection = "transistor",
    ) -> Chip:
        """Applies programming pulses to the cells of one layer; those of all other layers age by `t`.

        Converter ranges stay as they are. The reference for drift compensation is read again: the layer keeps the gain that
        it has at `t`. What is subtracted for offset inputs changes with the product with ones.

        Args:
            layer: path of its parameter, as `chip.layers` names it.
            n: pulses, up if positive, down if negative: one number, one for each weight, or one for each cell. The axes are
                (steps, cells, groups, inputs, outputs). Those of steps, cells (positive and negative of a pair) and groups may
                be left out, and all of them get the same pulses then; that of several groups only if the others are too.
            t: time since the chip's cells were last returned, by programming or by another call of this kind [s].
            key: for laws with noise. most: largest number of pulses to any cell; needed where `n` is traced.
            select: what cells that are not selected see, which `Device(disturb=)` turns into steps: `"transistor"`, no
                voltage; `"half"`, V/2 on the lines of a pulsed cell; `"third"`, V/3 there and -V/3 elsewhere. Word
                lines are pulsed one after the other, the columns of each side by side.

        Raises:
            ValueError: for a layer that the chip does not have, numbers of another shape, or a chip taken at a time.
        """
        if self.wafer:
            return self.each_chip(lambda chip, k: chip.pulse(layer, n, t=t, key=k, most=most, select=select), key)
        self._check_writable("pulse")
        i, chosen = find_layer(self.plan_layers, self.arrays, layer)
        if key is None and needs_key(self.tiles[i].device):
            raise ValueError("chip.pulse needs key=: pulses of this device are noisy. Pass key=jax.random.key(0).")
        most = most_pulses(n) if most is None else most
        counts = spread_values(self.plan_layers[i], chosen, jnp.asarray(n), self.tiles[i].mapping.cells)
        check_selection(select, self.tiles[i])
        return self._rewritten(i, functools.partial(pulse, most=most, select=select), (counts,), t, key)

    def pulse_writes(
        self, layer: str | int, n: Num[Array, "..."] | int, *, v_up: float, v_down: float, width: float, t: float = 0.0
    ) -> Writes:
        """What `pulse` with the same `layer`, `n` and `t` sends: pulses, and their heat in the cells [J].

        Args:
            v_up, v_down: voltages of a pulse up and down [V]. width: duration [s]. Where the device's `update` knows the heat
                of its pulses, as one from a compact model does, that counts instead.
        """
        self._check_writable("pulse_writes")
        if self.wafer:
            how = dict(v_up=v_up, v_down=v_down, width=width, t=t)
            return self.each_chip(lambda chip, _: chip.pulse_writes(layer, n, **how))
        i, chosen = find_layer(self.plan_layers, self.arrays, layer)
        tile, array, sizes = self.tiles[i], self.arrays[i], self.plan_layers[i].product.sizes
        part, g = tile.partition(*sizes), tile.device.conductance(array.cells, t)
        spread = lambda n: to_cells(n, part, g.shape[-1] - part.used_cols)  # noqa: E731
        for _ in self.plan_layers[i].lengths:
            spread = jax.vmap(spread)
        counts = spread(spread_values(self.plan_layers[i], chosen, jnp.asarray(n), tile.mapping.cells))
        return pulse_writes(g, counts, v_up, v_down, width, getattr(tile.device.update, "heat", None))

    def reprogram(
        self,
        layer: str | int,
        w: Float[Array, "..."],
        *,
        rows: Sequence[int] | slice | None = None,
        t: Float[Array, ""] | float = 0.0,
        key: PRNGKeyArray,
    ) -> Chip:
        """Rewrites the weights of one layer, or of some of its rows; all other cells age by `t`.

        Converter ranges stay as they are: calibrate again if the weights differ much. The reference for drift compensation is
        read again: rows that are written start with a gain of 1, like a new chip, others keep theirs.

        Args:
            layer: path of its parameter, as `chip.layers` names it.
            w: all weights of the layer, in the shape of its parameter as the product uses it, or of its matrix.
            rows: inputs whose word lines are written; None: all. The digital side needs the other rows in `w` as they are.
            t: time since the chip's cells were last returned [s]. key: for all that is drawn when cells are written.

        Raises:
            ValueError: for a layer that the chip does not have, weights of another shape or not finite, or a chip taken at a
                time.
            RuntimeError: if some rows are written with weights for which the scale of a column would have to change.
        """
        if self.wafer:
            return self.each_chip(lambda chip, k: chip.reprogram(layer, w, rows=rows, t=t, key=k), key)  # pyright: ignore[reportArgumentType]
        self._check_writable("reprogram")
        i, chosen = find_layer(self.plan_layers, self.arrays, layer)
        product = self.plan_layers[i].product
        w = jnp.asarray(w, self.arrays[i].cells.g.dtype)
        check_weights(self.plan_layers, {i: jnp.all(jnp.isfinite(w))})
        stack = w.ndim - len(product.w_shape)
        if w.shape[max(stack, 0) :] == product.w_shape:
            as_matrix = product.matrix
            for _ in range(stack):
                as_matrix = jax.vmap(as_matrix)
            w = as_matrix(w)
        places: Any = slice(None) if rows is None else rows if isinstance(rows, slice) else np.asarray(rows)
        hit = jnp.zeros(product.sizes[1], bool).at[places].set(True)
        return self._rewritten(
            i, reprogram, (spread_values(self.plan_layers[i], chosen, w), hit & chosen[..., None]), t, key
        )

    def _rewritten(self, i: int, rewrite: Callable, values: tuple, t: Any, key: PRNGKeyArray | None) -> Chip:
        """This chip with layer `i` rewritten `t` later, and everything else older by `t`."""
        lengths = self.plan_layers[i].lengths
        keys = keys_of_stack(typed_key(jax.random.key(0) if key is None else key), lengths)
        check_elapsed(t)
        when = jnp.broadcast_to(jnp.asarray(t, at_least_float32(jnp.result_type(float))), lengths)
        array = rewrite_layer(self.plan_layers[i], rewrite, self.tiles[i], self.arrays[i], *values, when, keys)
        older = wait_layers(self.plan_layers, self.tiles, self.arrays, jnp.asarray(t))
        return self.with_arrays({**older, i: array})

    def _check_writable(self, what: str) -> None:
        if self.taken is not None:
            raise ValueError(
                f"chip.{what}: this chip was taken at a time by chip.at(...), for reads only. Use the chip it came from."
            )

    @property
    def layers(self) -> TileMap:
        """What sits on which tiles; print it for a table."""
        return TileMap.of(self.plan_layers, self.tiles)

    @property
    def ranges(self) -> dict[int, Ranges]:
        """Converter ranges by layer number, once calibrated."""
        return {i: a.ranges for i, a in self.arrays.items() if a.ranges is not None}

    def with_ranges(self, ranges: dict[int, Ranges]) -> Chip:
        """This chip with converter ranges set."""
        if ranges.keys() != self.arrays.keys():
            raise ValueError(f"ranges for layers {sorted(ranges)} do not fit a chip with layers {sorted(self.arrays)}.")
        return self.with_arrays({i: dataclasses.replace(a, ranges=ranges[i]) for i, a in self.arrays.items()})

    def with_corrections(self, corrections: dict[int, Correction]) -> Chip:
        """This chip with digital corrections of some layers: a gain, an offset or low-rank matrices
        that one gives replace the present ones; what it does not give is kept."""
        unknown = corrections.keys() - self.arrays.keys()
        if unknown:
            raise ValueError(f"corrections for layers {sorted(unknown)}; the chip has layers {sorted(self.arrays)}.")
        corrected = lambda i, new: dataclasses.replace(self.arrays[i], correction=new.over(self.arrays[i].correction))  # noqa: E731
        return self.with_arrays({**self.arrays, **{i: corrected(i, new) for i, new in corrections.items()}})

    def with_arrays(self, arrays: dict[int, ProgrammedArray]) -> Chip:
        """This chip with other arrays."""
        return dataclasses.replace(self, arrays=arrays)

    def digital_products(self, *inputs: Any) -> tuple[Any, ...]:
        """The matrix products that stay digital for these inputs, each with the reason."""
        return self._traced(inputs)[0].digital

    def _traced(self, inputs: Sequence[Any]) -> tuple[Traced, Given]:
        traced, given = trace(self.f, self.frame, self.avals, inputs, self.rolled)
        if tuple(x.signature for x in traced.layers) != tuple(x.signature for x in self.plan_layers):
            raise ValueError(
                "These inputs need arrays that the chip does not have: the function maps "
                f"{[x.path for x in traced.layers]} for them, and the chip was programmed with "
                f"{[x.path for x in self.plan_layers]}. Program a chip with inputs of this kind."
            )
        return traced, given

    def times(self, t: Float[Array, ""] | float | None) -> dict[int, Array]:
        """Time since programming of each layer [s], checked; None is the earliest that its device has data for, or the time
        at which the chip was taken."""
        check_one_time(t)
        if self.taken is not None:
            if t is not None:
                raise ValueError(
                    f"t={t}: this chip was taken at a time by chip.at(...). Leave t out, or call the chip it came from."
                )
            return self.taken
        return layer_times(self.tiles, t)
