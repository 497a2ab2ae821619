"""The transformation: from a function to the same function on crossbars."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import at_least_float32
from xbar.arguments import check_inputs, check_one_time, check_weights, layer_times, typed_key
from xbar.calibration import Per
from xbar.calibration import compensate as compensated
from xbar.chip import Chip
from xbar.graph.digital import warn_of_digital
from xbar.graph.nodes import Layer, Traced
from xbar.graph.stationary_weights import weights
from xbar.graph.tracing import Function, aval_of, flatten, trace
from xbar.macro.programming import Job, keys_of_stack, program_all
from xbar.macro.sharding import check_automatic
from xbar.macro.state import Correction, ProgrammedArray, Ranges
from xbar.macro.tile import Tile
from xbar.macro.tile_summary import preformatted
from xbar.macro.write_counts import AssumedWrites, Writes, writes_of
from xbar.summaries import analog_text

Gradient = Literal["exact", "straight_through"]
TileChoice = Tile | Callable[[str, tuple[int, ...]], Tile | None]


def analog(f: Callable[..., Any], tile: TileChoice, *, gradient: Gradient = "exact") -> Analog:
    """Moves the stationary matrix products of a function onto memristor crossbars.

    Every `dot_general` and `conv_general_dilated` of `f(params, *inputs)` with one operand that depends on `params` only
    is read from crossbars; everything else, and everything that meets the inputs on both sides (attention scores),
    stays digital. Composes with `jax.jit`, `jax.grad` and `jax.vmap`.

    Args:
        f: any JAX function `f(params, *inputs)`. `params` is a pytree (an Equinox module, a Flax variable dict, ...). Leaves
            that are not arrays, in `params` and `inputs` alike, are static; Python floats among the inputs are not, unless
            `f` needs their value or scales a weight with them. `f` may be a module, a method of one or a partial application:
            the arrays that it holds are constants, not parameters.
        tile: the crossbar macro; or a function `(path, shape) -> Tile | None` that chooses one for each layer from the
            path of its parameter (`"layers.0.weight"`) and its matrix shape (inputs, outputs), with None for a layer
            that stays digital.
        gradient: `"exact"` differentiates through devices and wires. `"straight_through"` takes derivatives with
            respect to the weights as if pairs of cells were ideal, at a fixed scale of each column, and those with
            respect to activations through the cells as they are, as training with weight noise usually does. It is
            about half the work, but not as good on devices with a large spread: it does not see what a weight's own
            noise depends on.

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
        raise ValueError(
            f"xbar.analog: gradient={gradient!r}; it must be {' or '.join(map(repr, get_args(Gradient)))}."
        )
    return Analog(Function.of(f), tile, gradient == "straight_through")


class Analog(eqx.Module):
    """A function whose stationary products run on crossbars; made by `xbar.analog`."""

    f: Function
    tile: TileChoice
    straight_through: bool = eqx.field(static=True, default=False)

    def __repr__(self) -> str:
        return analog_text(self)

    def _repr_html_(self) -> str:
        return preformatted(self)

    def __call__(
        self,
        params: Any,
        *inputs: Any,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float | None = None,
        ranges: dict[int, Ranges] | None = None,
        corrections: dict[int, Correction] | None = None,
        compensate: Per | None = None,
    ) -> Any:
        """`f(params, *inputs)` on devices programmed afresh, for hardware-aware training.

        Args:
            key: decides the devices and the read noise.
            t: time since programming [s]; the earliest that the device's data describe if None.
            ranges: converter ranges to train with, for example `chip.ranges` of a calibrated chip. They may be trained, too:
                the gradient with respect to a full scale is that of learned step sizes (Esser et al. 2020,
                arXiv:1902.08153).
            corrections: digital corrections of layers, such as `xbar.training.low_rank_adapters`.
            compensate: `"tile"` or `"column"` compensates drift from the earliest time with data onwards, as
                `xbar.compensate` does; None reads what drift has left.
        """
        check_one_time(t)
        program_key, read_key = jax.random.split(typed_key(key))
        chip = self._program(params, inputs, program_key, t=t, drawn=compensate is None)
        if ranges is not None:
            chip = chip.with_ranges(ranges)
        if corrections is not None:
            chip = chip.with_corrections(corrections)
        if compensate is not None:
            chip = compensated(chip, per=compensate)
        return chip(*inputs, t=None if chip.taken is not None else t, key=read_key)

    def tile_of(self, path: str, shape: tuple[int, ...]) -> Tile | None:
        """The macro of a layer, from the path of its parameter and the shape of its matrix; None if it stays digital."""
        return self.tile if isinstance(self.tile, Tile) else self.tile(path, shape)

    def program(self, params: Any, *inputs: Any, key: PRNGKeyArray) -> Chip:
        """Programs one physical chip.

        Args:
            params: the trained parameters. inputs: example inputs; only their shapes and dtypes matter.
            key: decides every device of the chip; the same key gives the same chip, whatever the batch.

        Raises:
            ValueError: if a weight is not finite or an empty input leaves an array nothing to read.

        Warns once of products that stay digital though one might expect them on arrays; `Chip.digital_products` lists all.
        """
        return self._program(params, inputs, typed_key(key))

    def programming(
        self, params: Any, *inputs: Any, key: PRNGKeyArray, assumed: AssumedWrites | None = None
    ) -> dict[str, Writes]:
        """What `program` with the same arguments sends to the cells of each layer: pulses, verifying reads and heat [J].

        `chip.energy(x).with_programming(writes, inferences=1e6)` shares it among inferences.

        Args:
            assumed: pulses and reads of a cell, for devices that do not give them.

        Raises:
            ValueError: for such a device if nothing is assumed.
        """
        leaves, frame = flatten(params)
        traced, given = trace(self.f, frame, leaves, inputs)
        tiles, alike = _assign(self.tile, traced.layers)
        if not alike:
            traced, given = trace(self.f, frame, leaves, inputs, roll=False)
            tiles, _ = _assign(self.tile, traced.layers)
        jobs = _jobs(traced, tiles, leaves, given.captured, typed_key(key))
        found = writes_of(list(jobs.values()), assumed)
        return {traced.layers[i].path: writes for i, writes in zip(jobs, found, strict=True)}

    def _program(
        self, params: Any, inputs: Sequence[Any], key: PRNGKeyArray, t: Any = None, drawn: bool = False
    ) -> Chip:
        """A chip; one that is `drawn` to be read once, at `t`, keeps only what that takes of its cells."""
        check_automatic("program", params, inputs, key)
        leaves, frame = flatten(params)
        traced, given = trace(self.f, frame, leaves, inputs)
        check_inputs(traced, inputs)
        tiles, alike = _assign(self.tile, traced.layers)
        if not alike:
            traced, given = trace(self.f, frame, leaves, inputs, roll=False)
            tiles, _ = _assign(self.tile, traced.layers)
        mapped = frozenset(tiles)
        warn_of_digital(traced, mapped)
        times = layer_times(tiles, t) if drawn and _settles(tiles) else None
        for i, own in tiles.items():
            if own.sharding is not None:
                own.sharding.check(own.partition(*traced.layers[i].product.sizes), traced.layers[i].path)
        programming = lambda: jax.jit(  # noqa: E731
            functools.partial(_program_layers, traced.plan_only(), self.straight_through), static_argnums=0
        )
        arrays, finite = traced.kept(("program", self.straight_through), programming)(
            _first_equal(tiles), leaves, given.captured, tiles, key, times
        )
        check_weights(traced.layers, finite)
        needed = traced.pruned(mapped).inputs_used(mapped)[: len(leaves)]
        kept = tuple(leaf if used else None for leaf, used in zip(leaves, needed, strict=True))
        return Chip(
            arrays=arrays,
            tiles=tiles,
            leaves=kept,
            f=self.f,
            frame=frame,
            avals=tuple(aval_of(leaf) for leaf in leaves),
            plan_layers=traced.layers,
            rolled=alike,
            taken=times,
        )


def _assign(tile: TileChoice, layers: Sequence[Layer]) -> tuple[dict[int, Tile], bool]:
    """The tile of each layer that gets one; and whether equal blocks of the network got equal ones."""
    if isinstance(tile, Tile):
        return dict.fromkeys(range(len(layers)), tile), True
    found, alike = {}, True
    for i, layer in enumerate(layers):
        for name in layer.names:
            choice = tile(name, layer.shape)
            if not (choice is None or isinstance(choice, Tile)):
                raise TypeError(f"tile({name!r}, {layer.shape}) gave a {type(choice).__name__}; give a Tile or None.")
            alike = alike and (choice is not None or not layer.paths) and _equal(found.setdefault(i, choice), choice)
    return {i: choice for i, choice in found.items() if choice is not None}, alike


def _equal(a: Tile | None, b: Tile | None) -> bool:
    """Whether two tiles are the same recipe, as far as can be told while tracing."""
    if a is b:
        return True
    one, other = jax.tree.leaves(a), jax.tree.leaves(b)
    if jax.tree.structure(a) != jax.tree.structure(b) or any(isinstance(x, Tracer) for x in (*one, *other)):
        return False
    return all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def _settles(tiles: dict[int, Tile]) -> bool:
    """Whether it is better to settle the cells of every layer before the inputs come."""
    return all(tile.device.conduction.linear and not tile.wired for tile in tiles.values())


def _first_equal(tiles: dict[int, Tile]) -> tuple[tuple[int, int], ...]:
    """For each layer, the first one that has the same tile: what a compiled program can no longer see."""
    first: dict[int, int] = {}
    for i, tile in tiles.items():
        first[i] = next((j for j in set(first.values()) if _equal(tiles[j], tile)), i)
    return tuple(first.items())


def _program_layers(
    traced: Traced,
    straight_through: bool,
    first: tuple[tuple[int, int], ...],
    leaves: Sequence[Array],
    captured: Sequence[Any],
    tiles: dict[int, Tile],
    key: PRNGKeyArray,
    times: dict[int, Array] | None,
) -> tuple[dict[int, ProgrammedArray], dict[int, Array]]:
    """Programmed arrays, and whether each layer's weights are all finite; at `times`, if given, and at no other."""
    jobs = _jobs(traced, {i: tiles[j] for i, j in first}, leaves, captured, key)
    at = None if times is None else [times[i] for i in jobs]
    arrays = program_all(list(jobs.values()), straight_through=straight_through, times=at)
    finite = {i: jnp.all(jnp.isfinite(job.w)) for i, job in jobs.items()}
    return dict(zip(jobs, arrays, strict=True)), finite


def _jobs(
    traced: Traced, tiles: dict[int, Tile], leaves: Sequence[Array], captured: Sequence[Any], key: PRNGKeyArray
) -> dict[int, Job]:
    """What is programmed: the matrix of each layer with its tile and its key."""
    jobs = {}
    for i, w in weights(traced, leaves, captured, frozenset(tiles)).items():
        own = keys_of_stack(jax.random.fold_in(key, i), traced.layers[i].lengths)  # every step has devices of its own
        jobs[i] = Job(tiles[i], w.astype(at_least_float32(w.dtype)), own)
    return jobs
