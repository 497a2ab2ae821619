"""Selective write-verify (SWIM): the weights whose errors cost most are written carefully, the others once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from devices.programming import AbstractProgramming
from xbar.chip import Chip
from xbar.graph.stationary_weights import weights as matrices_of
from xbar.graph.tracing import is_array
from xbar.macro.layout import to_cells
from xbar.training.array_weights import ArrayWeights, chosen_weights
from xbar.transform import Analog


def curvature(loss: Callable[..., Any], params: Any, *rest: Any, key: PRNGKeyArray, probes: int = 16) -> Any:
    """The diagonal of the loss's second derivative with respect to each parameter.

    $$ H_{ii} \\approx \\langle v_i (H v)_i \\rangle, \\quad v_i = \\pm 1 $$

    Exact after one probe where H is diagonal; otherwise the error of an entry falls as
    `sqrt(2 sum_j H_ij^2 / probes)` over `j != i`.

    Args:
        loss: `(params, *rest) -> number`. key: decides the probes. probes: products with H, each twice a gradient's work.

    Returns:
        A pytree like `params`, in units of the loss over the square of each parameter's; leaves that are not real stay
        as they are.

    Reference: Yan et al. 2022, arXiv:2202.08395 (SWIM: second derivatives as sensitivities); the estimate: Bekas et al.
    2007, 10.1016/j.apnum.2007.01.003.

    Breaks when: the loss is piecewise linear (hinge) or far from a minimum, where the gradient counts.
    """
    real, static = eqx.partition(params, eqx.is_inexact_array)
    slope = jax.grad(lambda p: loss(eqx.combine(p, static), *rest))
    leaves, tree = jax.tree.flatten(real)

    def probe(total: Any, own: PRNGKeyArray) -> tuple[Any, None]:
        keys = jax.random.split(own, len(leaves))
        v = jax.tree.unflatten(
            tree, [jax.random.rademacher(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
        )
        product = jax.jvp(slope, (real,), (v,))[1]
        return jax.tree.map(lambda s, a, b: s + a * b / probes, total, v, product), None

    found = jax.lax.scan(probe, jax.tree.map(jnp.zeros_like, real), jax.random.split(key, probes))[0]
    return eqx.combine(found, static)


def most_sensitive(sensitivity: Any, share: float, *, variance: Any = None, weights: ArrayWeights | None = None) -> Any:
    """Which weights are worth verifying: those where `H_ii var(w_i) / 2`, the expected cost of their error, is largest.

    Args:
        sensitivity: `H_ii`, of `curvature`. share: of all weights, from 0 to 1; rounded to the nearest number of weights.
        variance: of each weight's error, a pytree like it or one number for all; None: the same for all.
        weights: which leaves are weights, as in `weight_noise`.

    Returns:
        A pytree of booleans like `sensitivity`; leaves that are not weights are False throughout.

    Raises:
        ValueError: for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"most_sensitive: share={share!r}; it must be a share of the weights, from 0 to 1.")
    leaves, tree = jax.tree.flatten(sensitivity)
    each = [1.0] if variance is None else jax.tree.leaves(variance)
    each = each * len(leaves) if len(each) == 1 else each
    chosen = chosen_weights(weights, sensitivity).channels
    cost = [None if c is None else np.asarray(h * v, float) for h, v, c in zip(leaves, each, chosen, strict=True)]
    together = np.concatenate([c.ravel() for c in cost if c is not None])
    order = np.argsort(-together, kind="stable")
    taken = np.zeros(together.size, bool)
    taken[order[: round(share * together.size)]] = True
    masks, start = [], 0
    for leaf, c in zip(leaves, cost, strict=True):
        size = 0 if c is None else c.size
        own = np.zeros(np.shape(leaf), bool) if c is None else taken[start : start + size].reshape(c.shape)
        masks.append(jnp.asarray(own))
        start += size
    return jax.tree.unflatten(tree, masks)


def program_selectively(
    network: Analog,
    params: Any,
    *inputs: Any,
    careful: Any,
    programming: AbstractProgramming,
    key: PRNGKeyArray,
) -> Chip:
    """One chip whose chosen weights are written with another programming law than the rest.

    Args:
        network, params, inputs, key: as in `network.program`; the cells that are not chosen are those of that chip.
        careful: booleans like `params`, as `most_sensitive` gives them.
        programming: the law of write-verified cells, for example `devices.programming.ExactProgramming()`, or that of a
            narrow window.

    Raises:
        ValueError: if `careful` does not have the structure of `params`.

    Breaks when: a weight on the array is made from several parameters (a folded gain): it is written carefully if any of them
    is chosen.
    """
    if jax.tree.structure(careful) != jax.tree.structure(params):
        raise ValueError(
            "program_selectively: careful does not have the structure of params; give a boolean for each parameter."
        )
    chip = network.program(params, *inputs, key=key)
    finer = lambda tile: dataclasses.replace(tile, device=dataclasses.replace(tile.device, programming=programming))  # noqa: E731
    finely = Analog(network.f, _each_tile(network, finer), network.straight_through)
    other = finely.program(params, *inputs, key=key)
    traced, given = chip._traced(inputs)
    pairs = zip(jax.tree.leaves(careful), jax.tree.leaves(params), strict=True)
    marks = [jnp.asarray(m, jnp.float32) for m, leaf in pairs if is_array(leaf)]
    on_arrays = matrices_of(traced, marks, given.captured, frozenset(chip.arrays))
    arrays = dict(chip.arrays)
    for i, mark in on_arrays.items():
        where = _by_cell(chip, i, mark > 0)
        pick = lambda a, b, where=where: jnp.where(where.reshape(where.shape + (1,) * (a.ndim - where.ndim)), b, a)  # noqa: E731
        mixed = jax.tree.map(pick, arrays[i].cells.whole(), other.arrays[i].cells.whole())
        arrays[i] = dataclasses.replace(arrays[i], cells=mixed)
    return chip.with_arrays(arrays)


def _each_tile(network: Analog, change: Callable[[Any], Any]) -> Any:
    if not callable(network.tile):
        return change(network.tile)
    choose = network.tile

    def changed(path: str, shape: tuple[int, ...]) -> Any:
        tile = choose(path, shape)
        return None if tile is None else change(tile)

    return changed


def _by_cell(chip: Chip, i: int, mark: Bool[Array, "*stack groups k n"]) -> Bool[Array, "..."]:
    """A truth value for each cell of a layer, in the layout of `ProgrammedArray`."""
    tile = chip.tiles[i]
    part = tile.partition(*chip.plan_layers[i].product.sizes)
    spread = lambda m: to_cells(m[None], part, tile.mapping.extra_cols)  # noqa: E731
    for _ in chip.plan_layers[i].lengths:
        spread = jax.vmap(spread)
    return spread(mark)
