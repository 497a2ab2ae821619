"""Outputs of a chip brought back to the statistics of the digital network: batch-norm re-calibration."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import safe_sqrt
from xbar.arguments import typed_key
from xbar.chip import Chip
from xbar.execution import with_frozen_noise
from xbar.graph.control_flow import Scan, While
from xbar.graph.nodes import Context, Layer, Multiply, Plan, Traced
from xbar.graph.stationary_weights import weights
from xbar.graph.tracing import aval_of, flatten
from xbar.macro.reading import read
from xbar.macro.state import Correction, ProgrammedArray


class Moments(NamedTuple):
    """Sums over the vectors of reads, of each output, about a centre: what merges by addition."""

    number: Float[Array, "*stack groups 1 n"]
    total: Float[Array, "*stack groups 1 n"]
    squares: Float[Array, "*stack groups 1 n"]


class Statistics(NamedTuple):
    """Mean and standard deviation of each output, in the units of the product."""

    mean: Float[Array, "*stack groups 1 n"]
    spread: Float[Array, "*stack groups 1 n"]


def match_statistics(
    chip: Chip,
    params: Any,
    *inputs: Any,
    key: PRNGKeyArray | None = None,
    t: Float[Array, ""] | float | None = None,
    layers: Callable[[str], bool] | None = None,
) -> Chip:
    """Gives every output channel of every layer the mean and spread that it has in the digital network, on these inputs.

    $$ y' = \\frac{\\sigma}{\\hat\\sigma}\\,(y - \\hat\\mu) + \\mu $$

    with the mean and standard deviation over a batch (and positions) of the digital products, and hatted those of the
    chip. This needs no labels, no training and no writing of cells: a factor and an offset per channel, in digital
    logic. Where batch norm follows a layer or was folded into it, this is batch-norm re-calibration: its running
    statistics are replaced by those of the chip at `t`. Layers are corrected one after the other in one pass, each with
    the inputs that corrected ones give it, so that on these inputs, read without noise, the statistics are matched
    exactly.

    Args:
        chip: programmed, and calibrated if its converters are real; cells, ranges and drift compensation stay.
        params: the digital network's, those that were programmed. inputs: a representative batch.
        key: for the noise of the reads; None reads without noise. t: time since programming [s].
        layers: `path -> bool`, which are corrected; all by default.

    Returns:
        The chip with gains and offsets in place of those that it had. The gain multiplies a low-rank adapter's `B`, too: the
        adapter keeps its share of the output.

    Raises:
        ValueError: for parameters of other shapes than those programmed.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9 (AdaBS, on about 5 % of the training set, at each time).

    Breaks when: the batch is small (the statistics are its own), or a channel hardly varies in the chip: its noise is
    scaled up with its signal. A layer that is used several times (recurrent networks) gets one gain and offset from all of
    its uses, measured before it is corrected itself.
    """
    if chip.wafer:
        each = lambda one, k: match_statistics(one, params, *inputs, key=k, t=t, layers=layers)  # noqa: E731
        return chip.each_chip(each, key)
    leaves, frame = flatten(params)
    if tuple(map(aval_of, leaves)) != chip.avals or frame.paths != chip.frame.paths:
        raise ValueError("match_statistics: these are not the parameters that were programmed: other names or shapes.")
    traced, given = chip._traced(inputs)
    chosen = frozenset(i for i in chip.arrays if layers is None or any(map(layers, chip.plan_layers[i].names)))
    make = lambda: jax.jit(functools.partial(_matched, traced.plan_only(), chosen))  # noqa: E731
    run = traced.kept(("match", chosen), make)
    cells = ({i: _without_affine(a) if i in chosen else a for i, a in chip.arrays.items()}, chip.tiles, chip.times(t))
    found = run(cells, leaves, list(chip.leaves), given.inputs, given.captured, None if key is None else typed_key(key))
    return chip.with_corrections(found)


def _matched(
    traced: Traced,
    chosen: frozenset[int],
    cells: tuple,
    leaves: Sequence[Any],
    kept: list[Any],
    inputs: list[Any],
    captured: Sequence[Any],
    key: PRNGKeyArray | None,
) -> dict[int, Correction]:
    """The correction of each layer: a run of the digital network, then one of the chip that corrects as it goes."""
    arrays, tiles, times = cells
    plan, scans = traced.pruned(frozenset(arrays)), {i: x.scans for i, x in enumerate(traced.layers)}
    matrices = weights(traced, leaves, captured, frozenset(arrays))
    wanted = _digital_statistics(plan, scans, matrices, [*leaves, *inputs], captured)
    once = frozenset(i for i in chosen if _uses(plan, traced.layers[i], i) == 1)
    if key is not None:
        arrays = with_frozen_noise(traced.layers, tiles, arrays, times, key)

    def read_layer(i, given, product, x, noise, probe):
        (array, goal), vectors = given, product.vectors(x)
        y, _ = read(tiles[i], array, vectors, product.sizes[2], t=times[i], key=noise)
        seen = _moments(y, goal.mean)
        return (_correction(seen, goal)(y, vectors) if i in once else y), seen

    pairs = {i: (array, wanted[i]) for i, array in arrays.items()}
    seen = plan.run([*kept, *inputs], key, Context(pairs, scans, read_layer, jnp.add, captured))[1]
    return {i: _with_adapter(_correction(seen[i], wanted[i]), arrays[i].correction) for i in chosen}


def _digital_statistics(
    plan: Plan,
    scans: dict[int, tuple[int, ...]],
    matrices: dict[int, Array],
    inputs: list[Any],
    captured: Sequence[Any],
) -> dict[int, Statistics]:
    """Statistics of each layer's products in the digital network, in two passes: the second about the mean of the
    first."""

    def run(centres: dict[int, Array]) -> dict[int, Moments]:
        def read_layer(i, given, product, x, noise, probe):
            (w, centre), vectors = given, product.vectors(x)
            y = jnp.matmul(vectors, w.astype(vectors.dtype), precision=jax.lax.Precision.HIGHEST)
            return y, _moments(y, centre)

        pairs = {i: (w, centres[i]) for i, w in matrices.items()}
        return plan.run(inputs, None, Context(pairs, scans, read_layer, jnp.add, captured))[1]

    first = run({i: jnp.zeros_like(w[..., :1, :]) for i, w in matrices.items()})
    means = {i: m.total / m.number for i, m in first.items()}
    return {i: Statistics(means[i], _statistics(m, means[i]).spread) for i, m in run(means).items()}


def _moments(y: Float[Array, "groups vectors n"], centre: Array) -> Moments:
    apart = y - centre
    number = jnp.full_like(apart[:, :1], apart.shape[1])
    return Moments(number, jnp.sum(apart, 1, keepdims=True), jnp.sum(apart**2, 1, keepdims=True))


def _statistics(seen: Moments, centre: Array) -> Statistics:
    mean = seen.total / seen.number
    return Statistics(centre + mean, safe_sqrt(jnp.maximum(seen.squares / seen.number - mean**2, 0)))


def _correction(seen: Moments, goal: Statistics) -> Correction:
    """The gain and offset that give outputs with these moments (about the wanted mean) the wanted statistics."""
    found = _statistics(seen, goal.mean)
    gain = jnp.where(found.spread > 0, goal.spread / jnp.where(found.spread > 0, found.spread, 1), 1)
    return Correction(gain, goal.mean - gain * found.mean)


def _with_adapter(found: Correction, old: Correction | None) -> Correction:
    """The correction of an array's products and of those of the adapter beside it."""
    if old is None or old.b is None or found.gain is None:
        return found
    return dataclasses.replace(found, b=old.b * found.gain.astype(old.b.dtype))


def _without_affine(array: ProgrammedArray) -> ProgrammedArray:
    """The array without gain and offset; an adapter keeps its share of the output."""
    old = array.correction
    if old is None:
        return array
    b = old.b
    if b is not None and old.gain is not None:
        b = b / jnp.where(old.gain == 0, 1, old.gain).astype(b.dtype)
    return dataclasses.replace(array, correction=Correction(a=old.a, b=b))


def _uses(plan: Plan, layer: Layer, i: int) -> int:
    """How often one matrix of a layer is read in a call; loops of unknown length count twice."""
    count = 0
    for node in plan.nodes:
        if isinstance(node, Multiply):
            count += node.layer == i
            continue
        inner = sum(_uses(body, layer, i) for body in node.bodies)
        if isinstance(node, Scan) and node.uid not in layer.scans:
            inner *= node.eqn.params["length"]
        count += 2 * inner if isinstance(node, While) else inner
    return count
