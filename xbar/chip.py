"""A function programmed onto one physical chip."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.energy import Ledger, Technology
from xbar.energy.counting import Counter, ledger
from xbar.graph.nodes import Context, Layer, Plan, Traced
from xbar.graph.tracing import Frame, Function, Given, is_array, trace
from xbar.macro.programming import stacked_keys
from xbar.macro.reading import draws_at_read, freeze, read, settle
from xbar.macro.state import ProgrammedArray, Ranges, Signals
from xbar.macro.tile import Tile
from xbar.tile_map import TileMap

Watch = Callable[[int, Tile, ProgrammedArray, Signals], Any]


class Chip(eqx.Module):
    """A function programmed onto one physical chip.

    A pytree: `jax.vmap` over programming keys gives a wafer. Drift at different times is one trajectory of the same
    cells; only read noise is drawn at each call.

    Args:
        arrays, tiles: the programmed arrays and their macros, by layer number.
        leaves: parameter leaves that digital work needs (biases, ...); None where a weight lives on arrays only.
        taken: time of each layer [s] for a chip that was taken at a time (`Chip.at`); else None.
    """

    arrays: dict[int, ProgrammedArray]
    tiles: dict[int, Tile]
    leaves: tuple[Array | None, ...]
    f: Function
    frame: Frame = eqx.field(static=True)
    avals: tuple[jax.ShapeDtypeStruct, ...] = eqx.field(static=True)
    plan_layers: tuple[Layer, ...] = eqx.field(static=True)
    taken: dict[int, Array] | None = None

    def at(self, t: Float[Array, ""] | float | None = None) -> Chip:
        """This chip at `t` [s] since programming, for many reads: drifted conductances, what wires leave of them and the
        variance of their noise are worked out once, and every call is a product with them.

        The chip that is returned takes no other time; read noise is still drawn at each call.
        """
        times = self.times(t)
        arrays = _settle_layers(self.plan_layers, self.tiles, self.arrays, times)
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
        traced, given = self._traced(inputs)
        check_inputs(traced, inputs)
        typed = None if key is None else typed_key(key)
        cells = (self.arrays, self.tiles, self.times(t))
        mapped = frozenset(self.arrays)
        running = lambda: jax.jit(functools.partial(_run, traced.pruned(mapped), traced.layers), static_argnums=(0, 1))  # noqa: E731
        outs, seen = traced.kept(("run", mapped), running)(
            watch, merge, cells, [*self.leaves, *given.inputs], given.captured, typed
        )
        return jax.tree.unflatten(traced.out_tree, outs), seen

    def energy(
        self,
        *inputs: Any,
        t: Float[Array, ""] | float | None = None,
        key: PRNGKeyArray | None = None,
        technology: Technology | None = None,
        inferences: int = 1,
    ) -> Ledger:
        """Energy [J] of computing these inputs, by layer and component, from the voltages and conductances of this call.

        Args:
            t: time since programming [s], as in a call.
            key: for the noise of the reads, which hardly moves the energy; left out if None.
            inferences: how many inferences the inputs hold; the ledger is per inference.
            technology: cost of converters and digital work; `xbar.energy.Technology()` if None.
        """
        traced = self._traced(inputs)[0]
        if isinstance(inferences, bool) or not isinstance(inferences, int) or inferences < 1:
            raise ValueError(
                f"inferences={inferences!r}: how many inferences the inputs hold, a whole number of at least 1."
            )
        usages = self.watch(inputs, t=t, key=key, watch=Counter(traced.layers))[1]
        return ledger(traced, traced.pruned(frozenset(self.arrays)), self.tiles, usages, technology, inferences)

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

    def with_arrays(self, arrays: dict[int, ProgrammedArray]) -> Chip:
        """This chip with other arrays."""
        return dataclasses.replace(self, arrays=arrays)

    def digital_products(self, *inputs: Any) -> tuple[Any, ...]:
        """The matrix products that stay digital for these inputs, each with the reason."""
        return self._traced(inputs)[0].digital

    def _traced(self, inputs: Sequence[Any]) -> tuple[Traced, Given]:
        traced, given = trace(self.f, self.frame, self.avals, inputs)
        if tuple(x.signature for x in traced.layers) != tuple(x.signature for x in self.plan_layers):
            raise ValueError(
                "These inputs need other arrays than the chip has: the function maps "
                f"{[x.path for x in traced.layers]} for them, and the chip was programmed with "
                f"{[x.path for x in self.plan_layers]}. Program a chip with inputs of this kind."
            )
        return traced, given

    def times(self, t: Float[Array, ""] | float | None) -> dict[int, Array]:
        """Time since programming of each layer [s], checked; None is the earliest that its device has data for, or the time
        at which the chip was taken."""
        if self.taken is not None:
            if t is not None:
                raise ValueError(
                    f"t={t}: this chip was taken at a time by chip.at(...). Leave t out, or call the chip it came from."
                )
            return self.taken
        times = {}
        for i, tile in self.tiles.items():
            own = tile.device.first_time if t is None else t
            tile.device.check_time(own)
            own = jnp.asarray(own, jnp.promote_types(jnp.float32, jnp.result_type(float)))
            if isinstance(own, Tracer):
                name = tile.device.provenance.name
                own = eqx.error_if(
                    own,
                    ~tile.device.time_is_valid(own),
                    f"t: no data of {name} at this time since programming.",
                )
            times[i] = own
        return times


def _run(
    plan: Plan, layers: tuple[Layer, ...], watch: Watch | None, merge: Callable, cells: tuple, inputs, captured, key
) -> tuple[list[Any], dict[int, Any]]:
    arrays, tiles, times = cells
    if key is not None:
        arrays = _frozen(layers, tiles, arrays, times, key)

    def read_layer(i, array, vectors, n, noise):
        y, signals = read(tiles[i], array, vectors, n, t=times[i], key=noise)
        return y, None if watch is None else watch(i, tiles[i], array, signals)

    scans = {i: x.scans for i, x in enumerate(layers)}
    return plan.run(inputs, key, Context(arrays, scans, read_layer, merge, captured))


def _frozen(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    times: dict[int, Array],
    key: PRNGKeyArray,
) -> dict[int, ProgrammedArray]:
    """The arrays with the noise that all reads of one call share, drawn once for each layer (and step of a stack)."""
    drawn = dict(arrays)
    for i, array in arrays.items():
        tile = tiles[i]
        if tile.read_noise != "frozen" or not tile.device.has_read_noise:
            continue
        part = tile.partition(*layers[i].product.sizes)
        draw = lambda a, k, i=i, tile=tile, part=part: freeze(tile, a, times[i], part, k)  # noqa: E731
        for _ in layers[i].lengths:
            draw = lambda a, k, inner=draw: jax.vmap(inner)(a, stacked_keys(k, len(a.cells.g)))  # noqa: E731
        own = jax.random.fold_in(jax.random.fold_in(key, 2**31 - 1), i)  # apart from the keys of reads
        drawn[i] = dataclasses.replace(array, frozen=draw(array, own))
    return drawn


@functools.partial(jax.jit, static_argnums=0)
def _settle_layers(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    times: dict[int, Array],
) -> dict[int, ProgrammedArray]:
    settled = {}
    for i, array in arrays.items():
        part = tiles[i].partition(*layers[i].product.sizes)
        at = lambda a, i=i, part=part: settle(tiles[i], a, times[i], part)  # noqa: E731
        for _ in layers[i].lengths:
            at = jax.vmap(at)
        settled[i] = dataclasses.replace(array, settled=at(array))
    return settled


def typed_key(key: PRNGKeyArray) -> PRNGKeyArray:
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.wrap_key_data(key)


def check_inputs(traced: Traced, inputs: Sequence[Any]) -> None:
    """Raises where an empty input leaves an array without a vector to read."""
    unread = [traced.layers[m.layer].path for m in traced.plan.multiplies() if m.empty]
    if not unread:
        return
    for i, leaf in enumerate(leaf for leaf in jax.tree.leaves(inputs) if is_array(leaf)):
        if 0 in leaf.shape:
            raise ValueError(
                f"input {i} is empty: its shape is {tuple(leaf.shape)}, and {unread[0]} is read with nothing. "
                "Give at least one sample."
            )
    raise ValueError(f"{unread[0]} is read with nothing: the function makes an empty operand of these inputs.")
