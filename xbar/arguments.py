"""The arguments of a chip's calls (times, keys and inputs), checked and brought into one form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from devices import Device
from devices._numerics import at_least_float32
from devices.device import check_seconds
from xbar.graph.nodes import Layer, Traced
from xbar.graph.tracing import is_array
from xbar.macro.tile import Tile


def layer_times(tiles: dict[int, Tile], t: Float[Array, ""] | float | None) -> dict[int, Array]:
    """Time since programming of each layer [s], checked; None is the earliest that its device has data for."""
    times = {}
    for i, tile in tiles.items():
        own = tile.device.first_time if t is None else t
        tile.device.check_time(own)
        own = jnp.asarray(own, at_least_float32(jnp.result_type(float)))
        if isinstance(own, Tracer):
            name = tile.device.provenance.name
            own = eqx.error_if(
                own, ~tile.device.time_is_valid(own), f"t: there are no data for {name} at this time since programming."
            )
        times[i] = own
    return times


def typed_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """The key as JAX's type of keys; raises a TypeError for a seed."""
    if isinstance(key, int | np.integer) or not hasattr(key, "dtype"):
        seed = key if isinstance(key, int | np.integer) and not isinstance(key, bool) else 0
        raise TypeError(f"key={key!r} is not a key; give key=jax.random.key({seed}).")
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
                f"input {i} is empty: its shape is {tuple(leaf.shape)}, and {unread[0]} would be read with no vectors. "
                "Give at least one sample."
            )
    raise ValueError(f"{unread[0]} would be read with no vectors: the function makes an empty operand of these inputs.")


def inferences_of(inputs: Sequence[Any], outs: Any) -> int:
    """The common leading axis of inputs and outputs; 1 where all inputs are vectors or scalars."""
    lead = {np.shape(x)[0] for x in jax.tree.leaves(inputs) if is_array(x) and np.ndim(x) > 1}
    ends = {np.shape(y)[:1] for y in jax.tree.leaves(outs)}
    if not lead or lead == {1}:
        return 1
    if len(lead) == 1 and ends == {tuple(lead)}:
        return lead.pop()
    raise ValueError(
        f"chip.energy: inputs with leading axes {sorted(lead)} give outputs of shapes "
        f"{[np.shape(y) for y in jax.tree.leaves(outs)]}: which axis counts inferences is not clear. "
        "Give inferences=, the number of inferences that the inputs hold."
    )


def check_one_time(t: Any) -> None:
    if t is None or isinstance(t, int | float) or getattr(t, "ndim", None) == 0:
        return
    if isinstance(t, str):
        raise TypeError(f"t={t!r}: give the time since programming in seconds, for example t=86_400.0 for a day.")
    shape = np.shape(t)
    raise ValueError(
        f"t holds {math.prod(shape)} times (shape {shape}): a chip is read at one time. For several, call it for each: "
        "[chip(x, t=t, key=key) for t in times], or jax.vmap(lambda t: chip(x, t=t, key=key))(times)."
    )


def check_elapsed(t: Any) -> None:
    """Raises for what is no time since cells were last returned [s]."""
    if t is None:
        raise TypeError("t=None: give the time since the chip's cells were last returned, in seconds.")
    check_one_time(t)
    check_seconds(t)


def check_weights(layers: Sequence[Layer], finite: dict[int, Array]) -> None:
    """Raises ValueError for layers some of whose weights are not finite."""
    bad = [layers[i].path for i, ok in finite.items() if not isinstance(ok, Tracer) and not bool(ok)]
    if bad:
        raise ValueError(f"{', '.join(bad)}: a weight is NaN or infinite; a conductance cannot hold it.")


def needs_key(device: Device) -> bool:
    """Whether what a pulse does to a cell depends on a key."""
    if device.update is None:
        return False  # what is wrong then is for the device to say
    cells = jax.eval_shape(lambda k: device.program(jnp.full(1, 0.0), key=k), jax.random.key(0))
    try:
        jax.eval_shape(lambda c: device.pulse(c, jnp.ones(1), most=1), cells)
    except ValueError:
        return True
    return False


def find_layer(layers: Sequence[Layer], mapped: Collection[int], name: str | int) -> tuple[int, np.ndarray]:
    """The number of a layer on arrays, and which of its steps are meant where equal blocks share a stack."""
    for i in mapped:
        own = layers[i]
        if name == i or (name == own.path and not own.paths):
            return i, np.ones(own.lengths, bool)
        if name in own.paths:
            chosen = np.zeros(own.lengths, bool)
            chosen[own.paths.index(name)] = True
            return i, chosen
    known = ", ".join(repr(path) for i in mapped for path in layers[i].names)
    raise ValueError(f"layer {name!r} is not on this chip's arrays; its layers are {known}.")


def spread_values(layer: Layer, chosen: np.ndarray, values: Array, cells: int = 0) -> Array:
    """Values of one layer with all its axes, [*stack, cells, groups, k, n], 0 in the steps that are not chosen.

    Raises:
        ValueError: for values that do not fit the layer's matrix.
    """
    lengths, sizes = layer.lengths, layer.product.sizes
    own = lengths if bool(chosen.all()) else lengths[1:]
    lead = (cells,) if cells else ()
    if values.ndim:
        values = values.reshape(_with_all_axes(layer, values.shape, own, lead))
    full = jnp.broadcast_to(values, (*own, *lead, *sizes))
    full = jnp.broadcast_to(full, (*lengths, *lead, *sizes))
    return full * chosen.reshape(*chosen.shape, *(1,) * (full.ndim - chosen.ndim)).astype(full.dtype)


def _with_all_axes(
    layer: Layer, shape: tuple[int, ...], steps: tuple[int, ...], cells: tuple[int, ...]
) -> tuple[int, ...]:
    """The shape of values as [*steps, *cells, groups, k, n], of length 1 where they have no such axis."""
    groups, *matrix = layer.product.sizes
    said = f"{layer.path}: values of shape {shape}"
    if shape[-2:] != tuple(matrix):
        raise ValueError(f"{said} do not fit its matrix of {matrix[0]} inputs and {matrix[1]} outputs.")
    axes, fitting = (steps, cells, (groups,)), set()
    for kept in itertools.product((True, False), repeat=len(axes)):
        given = [axis if keep else () for axis, keep in zip(axes, kept, strict=True)]
        if sum(given, ()) == shape[:-2] and (kept[-1] or groups == 1 or len(shape) == 2):
            fitting.add(sum((own or (1,) * len(axis) for own, axis in zip(given, axes, strict=True)), ()))
    if len(fitting) == 1:
        return (*fitting.pop(), *matrix)
    names = ", ".join([*("steps" for _ in steps), *("cells" for _ in cells), "groups", "inputs", "outputs"])
    raise ValueError(
        f"{said} {'fit in more than one way' if fitting else 'do not fit'}. Give all axes ({names}): "
        f"{(*steps, *cells, groups, *matrix)}."
    )
