"""A loss and its gradient as a chip measures them: activations and errors of every array, to form outer products of."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.arguments import check_inputs, typed_key
from xbar.chip import Chip
from xbar.execution import with_frozen_noise
from xbar.graph.nodes import Context, Layer, Traced
from xbar.graph.uses import Use, uses_of
from xbar.macro.backward_reading import read_transposed
from xbar.macro.converters import ADC, DAC, Periphery
from xbar.macro.reading import draws_at_read, read
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile

IDEAL = Periphery(DAC(bits=None), ADC(bits=None))


class Factors(eqx.Module):
    """The factors of one array's gradient: `dL/dw = sum_v x_v d_v^T`.

    Args:
        x: input vectors of all reads, in the order of the program: reads of one call one after the other, those of a loop step
            by step, vectors of a read in its own order (samples first, then places, where the samples are the first axis).
        d: derivative of the loss with respect to the outputs of each.
        forward, backward: vectors that the array was read with in either direction.
    """

    x: Float[Array, "*stack groups vectors k"]
    d: Float[Array, "*stack groups vectors n"]
    forward: int = eqx.field(static=True, default=0)
    backward: int = eqx.field(static=True, default=0)

    @property
    def gradient(self) -> Float[Array, "*stack groups k n"]:
        """The gradient with respect to the weights, summed over all vectors."""
        return jnp.einsum("...gvk,...gvn->...gkn", self.x, self.d, precision=jax.lax.Precision.HIGHEST)


class Gradients(eqx.Module):
    """What a chip learns from one call.

    Args:
        layers: factors of each array, by layer number. leaves: gradient with respect to each parameter leaf that
            digital work needs, in the order of `Chip.leaves`; None where there is none.
    """

    layers: dict[int, Factors]
    leaves: tuple[Array | None, ...]


def backpropagate(
    chip: Chip,
    inputs: Sequence[Any],
    loss: Callable[[Any], Float[Array, ""]],
    *,
    key: PRNGKeyArray | None = None,
    t: Float[Array, ""] | float | None = None,
) -> tuple[Float[Array, ""], Gradients]:
    """A loss of `f(params, *inputs)` on the chip, and its gradient in factors, for whatever the transformation maps: dense
    layers, convolutions (patches), loops, shared weights, projections of attention.

    Forward, every array is read as in `chip(*inputs)`. Backward, errors pass each array in the other direction
    (`Tile(backward=Periphery(...))`: inputs on the bit lines, currents of the word lines, the same cells, wires and noise of
    their own), through converters if the tile has some for it and without rounding if not. Digital work is differentiated
    as it stands.

    Args:
        loss: a function of the outputs that captures labels. A mean over samples gives the errors of a mean.
        key: for the noise of these reads; needed where the device or a converter is noisy.
        t: time since the chip's cells were last returned [s], as in `chip(..., t=t)`.

    Returns:
        The loss, and `Gradients`.

    Raises:
        ValueError: for a wafer (use `jax.vmap`), a missing key, cells that are not ohmic (no backward read is defined), or
            a product in a `while` loop.
    """
    if chip.wafer:
        raise ValueError("backpropagate: this is a wafer of chips. Train each: jax.vmap over the chips and their keys.")
    tiles = {i: _with_way_back(tile) for i, tile in chip.tiles.items()}
    if key is None and any(draws_at_read(tile) or (tile.backward or IDEAL).noisy for tile in tiles.values()):
        raise ValueError("backpropagate needs key=: reading this chip is noisy. Pass key=jax.random.key(0).")
    traced, given = chip._traced(inputs)
    check_inputs(traced, inputs)
    taken = chip if chip.taken is not None else chip.at(t)
    run = traced.kept(
        ("backpropagate", frozenset(chip.arrays)),
        lambda: functools.partial(_run, traced.plan_only(), frozenset(chip.arrays)),
    )
    typed = None if key is None else typed_key(key)
    cells = (taken.arrays, tiles, taken.taken)
    return run(loss, cells, chip.leaves, given.inputs, given.captured, typed)


def uses(chip: Chip, inputs: Sequence[Any]) -> list[Use]:
    """Every read of a call of the chip."""
    traced, _ = chip._traced(inputs)
    return uses_of(traced.pruned(frozenset(chip.arrays)), frozenset(chip.arrays), len(chip.leaves))


def _with_way_back(tile: Tile) -> Tile:
    return tile if tile.backward is not None else dataclasses.replace(tile, backward=IDEAL)


def _run(
    traced: Traced, mapped: frozenset[int], loss: Callable, cells: tuple, leaves: tuple, inputs, captured, key
) -> tuple[Array, Gradients]:
    arrays, tiles, times = cells
    plan = traced.pruned(mapped)
    found = uses_of(plan, mapped, len(leaves))
    if key is not None:
        arrays = with_frozen_noise(traced.layers, tiles, arrays, times, key)

    def read_layer(i, array, product, x, noise, probe) -> Any:
        return _observed(product.sizes[2], probe, product.vectors(x), tiles[i], array, times[i], noise), None

    def objective(real, probes):
        scans = {i: x.scans for i, x in enumerate(traced.layers)}
        context = Context(arrays, scans, read_layer, jnp.add, captured, probes)
        outs, _ = plan.run([*eqx.combine(real, fixed), *inputs], key, context)
        return loss(jax.tree.unflatten(traced.out_tree, outs))

    real, fixed = eqx.partition(leaves, eqx.is_inexact_array)
    value, (slopes, seen) = jax.value_and_grad(objective, (0, 1))(real, {u.uid: _probe(u) for u in found})
    layers = {i: _joined(traced.layers[i], [u for u in found if u.layer == i], seen) for i in arrays}
    return value, Gradients({i: f for i, f in layers.items() if f is not None}, slopes)


def _probe(use: Use) -> tuple[Array, Array]:
    """Zeros that stand where the factors of one product are found: the loss is differentiated with respect to them."""
    groups, vectors, k = use.vectors
    zeros = lambda size: jnp.zeros((*use.lengths, groups, vectors, size), use.dtype)  # noqa: E731
    return zeros(k), zeros(use.n)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _observed(
    n: int,
    probe: tuple[Array, Array],
    vectors: Array,
    tile: Tile,
    array: ProgrammedArray,
    t: Array,
    key: PRNGKeyArray | None,
) -> Array:
    """A read whose derivative is a read in the other direction. The derivative with respect to `probe` is (vectors,
    errors) themselves."""
    return read(tile, array, vectors, n, t=t, key=key)[0]


def _observed_forward(n, probe, vectors, tile, array, t, key):
    return _observed(n, probe, vectors, tile, array, t, key), (vectors, tile, array, t, key)


def _observed_backward(n, kept, d):
    vectors, tile, array, t, key = kept
    outer, d = d, _before(array, d)
    back = None if key is None else jax.random.fold_in(key, 1)
    x = read_transposed(tile, array, d, vectors.shape[-1], t=t, key=back)
    if array.correction is not None and array.correction.a is not None:
        x = x + jnp.einsum("gvn,grn,gkr->gvk", outer, array.correction.b, array.correction.a)
    return (vectors, d), x.astype(vectors.dtype), None, None, None, None


_observed.defvjp(_observed_forward, _observed_backward)


def _before(array: ProgrammedArray, d: Array) -> Array:
    """The error of the products before their digital gain."""
    gain = None if array.correction is None else array.correction.gain
    return d if gain is None else d * gain.astype(d.dtype)


def _joined(layer: Layer, own: Sequence[Use], seen: dict[int, tuple[Array, Array]]) -> Factors | None:
    """The factors of all reads of one array, loops that do not change the array laid out as vectors."""
    if not own:
        return None
    joined = []
    for use in own:
        stack = [use.scans.index(uid) for uid in layer.scans]
        time = [a for a in range(len(use.scans)) if a not in stack]
        joined.append([_as_vectors(part, stack, time) for part in seen[use.uid]])
    x, d = (jnp.concatenate([pair[part] for pair in joined], -2) for part in (0, 1))
    steps = [_size(use, layer) for use in own]
    backward = sum(v for v, use in zip(steps, own, strict=True) if use.backward)
    return Factors(x, d, sum(steps), backward)


def _size(use: Use, layer: Layer) -> int:
    """Vectors that one matrix is read with."""
    vectors = use.vectors[1]
    for uid, length in zip(use.scans, use.lengths, strict=True):
        vectors *= 1 if uid in layer.scans else length
    return vectors


def _as_vectors(part: Array, stack: list[int], time: list[int]) -> Array:
    """[*loops, groups, vectors, k] -> [*stack, groups, steps and vectors, k]."""
    loops = part.ndim - 3
    part = part.transpose(*stack, loops, *time, loops + 1, loops + 2)
    lead = len(stack) + 1
    return part.reshape(*part.shape[:lead], -1, part.shape[-1])
