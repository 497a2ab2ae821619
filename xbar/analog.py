"""The transformation: from a function to the same function on crossbars, and the chip it is programmed onto."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from xbar import accounting
from xbar import array as crossbar
from xbar.energy import Ledger, Technology
from xbar.execute import Context, Watch, inputs_used, prune, run, weights
from xbar.graph import Layer, Plan, Traced
from xbar.layers import Layers
from xbar.tile import Tile
from xbar.trace import Frame, aval_of, flatten, is_array, trace

Gradient = Literal["exact", "straight_through"]
TileChoice = Tile | Callable[[str, tuple[int, ...]], Tile | None]


def analog(f: Callable[..., Any], tile: TileChoice, *, gradient: Gradient = "exact") -> Analog:
    """Moves the stationary matrix products of a function onto memristor crossbars.

    Every `dot_general` and `conv_general_dilated` of `f(params, *inputs)` with one operand that depends on `params` only
    is read from crossbars; everything else, and everything that meets the inputs on both sides (attention scores),
    stays digital. Composes with `jax.jit`, `jax.grad` and `jax.vmap`.

    Args:
        f: any JAX function `f(params, *inputs)`. `params` is a pytree (an Equinox module, a Flax variable dict, ...). Leaves
            that are not arrays, in `params` and `inputs` alike, are static.
        tile: the crossbar macro; or a function `(path, shape) -> Tile | None` that chooses one for each layer from the
            path of its parameter (`"layers.0.weight"`) and its matrix shape (inputs, outputs), with None for a layer
            that stays digital.
        gradient: `"exact"` differentiates what devices and wires make of the weights. `"straight_through"` takes derivatives
            by the weights as if pairs of cells were ideal, at a fixed scale of each column, and those by activations through
            the cells as they are: what training with weight noise usually does. About half the work, and on devices with a
            large spread not as good: what a weight's own noise depends on is not seen.

    Returns:
        An `Analog`: call it as `f` with `key=` for fresh devices in each call, or `.program` it onto one chip.

    Breaks when: the pattern of products depends on the values of the inputs rather than on their shapes (JAX's own
    condition for tracing).
    """
    if not callable(f):
        raise TypeError(f"xbar.analog: f is a {type(f).__name__}; it must be a function f(params, *inputs).")
    if not (isinstance(tile, Tile) or callable(tile)):
        raise TypeError(
            f"xbar.analog: tile is a {type(tile).__name__}; it must be a Tile or a function (path, shape) -> Tile."
        )
    if gradient not in get_args(Gradient):
        raise ValueError(f"xbar.analog: gradient={gradient!r}; it is {' or '.join(map(repr, get_args(Gradient)))}.")
    return Analog(f, tile, gradient == "straight_through")


class Analog(eqx.Module):
    """A function whose stationary products run on crossbars; made by `xbar.analog`."""

    f: Callable[..., Any] = eqx.field(static=True)
    tile: TileChoice
    straight_through: bool = eqx.field(static=True, default=False)

    def __call__(
        self,
        params: Any,
        *inputs: Any,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float | None = None,
        ranges: dict[int, crossbar.Ranges] | None = None,
    ) -> Any:
        """`f(params, *inputs)` on devices programmed afresh, for hardware-aware training.

        Args:
            key: decides the devices and the read noise.
            t: time since programming [s]; the earliest that the device's data describe if None.
            ranges: converter ranges to train with, for example `chip.ranges` of a calibrated chip.
        """
        program_key, read_key = jax.random.split(_typed_key(key))
        chip = self._program(params, inputs, program_key)
        if ranges is not None:
            chip = chip.with_ranges(ranges)
        return chip(*inputs, t=t, key=read_key)

    def program(self, params: Any, *inputs: Any, key: PRNGKeyArray) -> Chip:
        """Programs one physical chip.

        Args:
            params: the trained parameters. inputs: example inputs; only their shapes and dtypes matter.
            key: decides every device of the chip; the same key gives the same chip, whatever the batch.

        Raises:
            ValueError: if a weight is not finite or an input is empty.
        """
        return self._program(params, inputs, _typed_key(key))

    def _program(self, params: Any, inputs: Sequence[Any], key: PRNGKeyArray) -> Chip:
        leaves, frame = flatten(params)
        _check_inputs(inputs)
        traced = trace(self.f, frame, leaves, inputs)
        tiles = _assign(self.tile, traced.layers)
        mapped = frozenset(tiles)
        arrays, finite = _program_layers(traced, self.straight_through, leaves, tiles, key)
        _check_weights(traced.layers, finite)
        needed = inputs_used(prune(traced.plan, mapped), mapped)[: len(leaves)]
        kept = tuple(leaf if used else None for leaf, used in zip(leaves, needed, strict=True))
        return Chip(
            arrays=arrays,
            tiles=tiles,
            leaves=kept,
            f=self.f,
            frame=frame,
            avals=tuple(aval_of(leaf) for leaf in leaves),
            plan_layers=traced.layers,
        )


class Chip(eqx.Module):
    """A function programmed onto one physical chip.

    A pytree: `jax.vmap` over programming keys gives a wafer. Drift at different times is one trajectory of the same
    cells; only read noise is drawn at each call.

    Args:
        arrays, tiles: the programmed arrays and their macros, by layer number.
        leaves: parameter leaves that digital work needs (biases, ...); None where a weight lives on arrays only.
        taken: time of each layer [s] for a chip that was taken at a time (`Chip.at`); else None.
    """

    arrays: dict[int, crossbar.ProgrammedArray]
    tiles: dict[int, Tile]
    leaves: tuple[Array | None, ...]
    f: Callable[..., Any] = eqx.field(static=True)
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
        if key is None and any(crossbar.draws_at_read(tile) for tile in self.tiles.values()):
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
        """Calls the chip and lets `watch(layer, tile, array, signals)` see every read; see `xbar.execute.Context`.

        Without `key`, reads are free of noise.
        """
        _check_inputs(inputs)
        traced, plan = self._traced(inputs)
        streaming = [leaf for leaf in jax.tree.leaves(inputs) if is_array(leaf)]
        typed = None if key is None else _typed_key(key)
        scans = tuple(layer.scans for layer in traced.layers)
        cells = (self.arrays, self.tiles, self.times(t))
        outs, seen = _run(plan, scans, watch, merge, cells, [*self.leaves, *streaming], typed)
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
        traced, plan = self._traced(inputs)
        if isinstance(inferences, bool) or not isinstance(inferences, int) or inferences < 1:
            raise ValueError(
                f"inferences={inferences!r}: how many inferences the inputs hold, a whole number of at least 1."
            )
        usages = self.watch(inputs, t=t, key=key, watch=accounting.Counter(traced.layers))[1]
        return accounting.ledger(traced, plan, self.tiles, usages, technology, inferences)

    @property
    def layers(self) -> Layers:
        """What sits on which tiles; print it for a table."""
        return Layers.of(self.plan_layers, self.tiles)

    @property
    def ranges(self) -> dict[int, crossbar.Ranges]:
        """Converter ranges by layer number, once calibrated."""
        return {i: a.ranges for i, a in self.arrays.items() if a.ranges is not None}

    def with_ranges(self, ranges: dict[int, crossbar.Ranges]) -> Chip:
        """This chip with converter ranges set."""
        if ranges.keys() != self.arrays.keys():
            raise ValueError(f"ranges for layers {sorted(ranges)} do not fit a chip with layers {sorted(self.arrays)}.")
        return self.with_arrays({i: dataclasses.replace(a, ranges=ranges[i]) for i, a in self.arrays.items()})

    def with_arrays(self, arrays: dict[int, crossbar.ProgrammedArray]) -> Chip:
        """This chip with other arrays."""
        return dataclasses.replace(self, arrays=arrays)

    def digital_products(self, *inputs: Any) -> tuple[Any, ...]:
        """The matrix products that stay digital for these inputs, each with the reason."""
        return self._traced(inputs)[0].digital

    def _traced(self, inputs: Sequence[Any]) -> tuple[Traced, Plan]:
        traced = trace(self.f, self.frame, self.avals, inputs)
        if tuple(x.signature for x in traced.layers) != tuple(x.signature for x in self.plan_layers):
            raise ValueError(
                "These inputs need other arrays than the chip has: the function maps "
                f"{[x.path for x in traced.layers]} for them, and the chip was programmed with "
                f"{[x.path for x in self.plan_layers]}. Program a chip with inputs of this kind."
            )
        return traced, prune(traced.plan, frozenset(self.arrays))

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


def _assign(tile: TileChoice, layers: Sequence[Layer]) -> dict[int, Tile]:
    if isinstance(tile, Tile):
        return dict.fromkeys(range(len(layers)), tile)
    chosen = {i: tile(layer.path, layer.shape) for i, layer in enumerate(layers)}
    for i, choice in chosen.items():
        if not (choice is None or isinstance(choice, Tile)):
            raise TypeError(
                f"tile({layers[i].path!r}, {layers[i].shape}) gave a {type(choice).__name__}; give a Tile or None."
            )
    return {i: choice for i, choice in chosen.items() if choice is not None}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _program_layers(
    traced: Traced, straight_through: bool, leaves: Sequence[Array], tiles: dict[int, Tile], key: PRNGKeyArray
) -> tuple[dict[int, crossbar.ProgrammedArray], dict[int, Array]]:
    """Programmed arrays, and whether each layer's weights are all finite."""
    matrices = weights(traced, leaves, frozenset(tiles))
    arrays = {
        i: _program_layer(traced.layers[i], tiles[i], w, jax.random.fold_in(key, i), straight_through)
        for i, w in matrices.items()
    }
    return arrays, {i: jnp.all(jnp.isfinite(w)) for i, w in matrices.items()}


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    plan: Plan,
    scans: tuple[tuple[int, ...], ...],
    watch: Watch | None,
    merge: Callable,
    cells: tuple,
    inputs,
    key,
):
    arrays, tiles, times = cells
    return run(plan, inputs, key, Context(arrays, tiles, dict(enumerate(scans)), times, watch, merge))


@functools.partial(jax.jit, static_argnums=0)
def _settle_layers(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, crossbar.ProgrammedArray],
    times: dict[int, Array],
) -> dict[int, crossbar.ProgrammedArray]:
    settled = {}
    for i, array in arrays.items():
        part = crossbar.partition_of(tiles[i], *layers[i].product.sizes)
        settle = lambda a, i=i, part=part: crossbar.settle(tiles[i], a, times[i], part)  # noqa: E731
        for _ in layers[i].lengths:
            settle = jax.vmap(settle)
        settled[i] = dataclasses.replace(array, settled=settle(array))
    return settled


def _program_layer(
    layer: Layer, tile: Tile, w: Array, key: PRNGKeyArray, straight_through: bool
) -> crossbar.ProgrammedArray:
    """Programs one layer; a stack of matrices that scans step through gets devices of its own at every step."""
    program = lambda m, k: crossbar.program(tile, m, key=k, straight_through=straight_through)  # noqa: E731
    for _ in layer.lengths:
        program = lambda m, k, inner=program: jax.vmap(inner)(m, crossbar.stacked_keys(k, m.shape[0]))  # noqa: E731
    return program(w.astype(jnp.promote_types(w.dtype, jnp.float32)), key)


def _typed_key(key: PRNGKeyArray) -> PRNGKeyArray:
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.wrap_key_data(key)


def _check_inputs(inputs: Sequence[Any]) -> None:
    for i, leaf in enumerate(leaf for leaf in jax.tree.leaves(inputs) if is_array(leaf)):
        if 0 in leaf.shape:
            raise ValueError(f"input {i} is empty: its shape is {tuple(leaf.shape)}. Give at least one sample.")


def _check_weights(layers: Sequence[Layer], finite: dict[int, Array]) -> None:
    bad = [layers[i].path for i, ok in finite.items() if not isinstance(ok, Tracer) and not bool(ok)]
    if bad:
        raise ValueError(f"{', '.join(bad)}: a weight is NaN or infinite; a conductance cannot hold it.")
