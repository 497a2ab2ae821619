"""Which leaves of a parameter pytree are weights of arrays, and along which of their axes the output channels lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.graph.nodes import Traced
from xbar.graph.stationary_weights import weights
from xbar.graph.tracing import Function, flatten, trace
from xbar.transform import Analog

Per = Literal["tensor", "channel"]
OfOne = Callable[..., Float[Array, "..."]]  # (w, axes, *others)


@dataclasses.dataclass(frozen=True)
class ArrayWeights:
    """The weights among the leaves of a parameter pytree; made by `weights_of`, or by hand.

    Args:
        channels: for each leaf of `jax.tree.leaves(params)`: the axes along which a column of the array stays the same
            (output channels, groups, stacked blocks), all others running along its rows; None for a leaf that is not a weight.
    """

    channels: tuple[tuple[int, ...] | None, ...]

    def map(self, f: OfOne, params: Any, *others: Any, per: Per = "tensor") -> Any:
        """`params` with `f(w, axes)` in place of each weight; `axes` are those that share one statistic.

        Args:
            others: pytrees of the same structure, whose leaves are given to `f` as well: `f(w, axes, *others)`.
        """
        _check_per(per)
        leaves, tree = jax.tree.flatten(params)
        rest = [jax.tree.leaves(other) for other in others]
        if any(len(x) != len(self.channels) for x in (leaves, *rest)):
            raise ValueError(
                f"These weights were found among {len(self.channels)} leaves, but the parameters have {len(leaves)}. "
                "Find them again with xbar.training.weights_of(f, params, x)."
            )
        shared = lambda w, own: tuple(d for d in range(w.ndim) if per == "tensor" or d not in own)  # noqa: E731
        found = [
            w if own is None else f(w, shared(w, own), *more)
            for w, own, *more in zip(leaves, self.channels, *rest, strict=True)
        ]
        return jax.tree.unflatten(tree, found)

    def keys(self, key: PRNGKeyArray, params: Any) -> Any:
        """A pytree of keys, one for each leaf."""
        tree = jax.tree.structure(params)
        return jax.tree.unflatten(tree, list(jax.random.split(key, tree.num_leaves)))


def chosen_weights(given: ArrayWeights | None, params: Any, per: Per = "tensor") -> ArrayWeights:
    """The weights that were given; or every leaf with two axes longer than 1, of which no channels are known."""
    _check_per(per)
    if given is not None:
        return given
    if per == "channel":
        raise ValueError(
            "per='channel' needs to know which axis holds the channels: give weights=xbar.training.weights_of(f, params, x)."
        )
    is_weight = lambda w: eqx.is_inexact_array(w) and sum(n > 1 for n in w.shape) > 1  # noqa: E731
    return ArrayWeights(tuple(() if is_weight(w) else None for w in jax.tree.leaves(params)))


def weights_of(f: Callable[..., Any] | Analog, params: Any, *inputs: Any) -> ArrayWeights:
    """The weights that `xbar.analog` would put on arrays, with their channels, found by tracing `f(params, *inputs)`.

    Whatever multiplies its inputs in a matrix product is a weight, whatever the framework calls it; embeddings that are
    looked up, gains and biases are not. An axis holds channels if the matrix on the array does not change along its
    rows when only the index along this axis changes: this tells the axes of convolution kernels, dense layers and
    stacked blocks apart, whatever their layout.

    Args:
        f: the function, or what `xbar.analog` made of it: layers that its `tile` keeps digital are then left out.
        params, inputs: as in a call; only shapes and dtypes matter.

    Breaks when: one leaf is used in two layouts (tied embeddings): its first use decides.
    """
    leaves, frame = flatten(params)
    function = f.f if isinstance(f, Analog) else Function.of(f)
    traced, given = trace(function, frame, leaves, inputs, roll=False)
    mapped = {i for i, x in enumerate(traced.layers) if not isinstance(f, Analog) or f.tile_of(x.path, x.shape)}
    number = {path: i for i, path in enumerate(frame.paths)}
    channels: dict[int, tuple[int, ...]] = {}
    with jax.ensure_compile_time_eval():
        ones = [jnp.ones(x.shape, jnp.float32) for x in leaves]
        for i in sorted(mapped):
            leaf = _of_layer(traced, i, leaves, number)
            if leaf is not None and leaf not in channels:
                channels[leaf] = _channels(traced, i, leaf, ones, given.captured)
    arrays = iter(range(len(leaves)))
    return ArrayWeights(tuple(channels.get(next(arrays)) if _is_array(s) else None for s in jax.tree.leaves(params)))


def _of_layer(traced: Traced, i: int, leaves: Sequence[Any], number: dict[str, int]) -> int | None:
    """The leaf that holds a layer's weights: the one that names it, or the largest of those that it is made from."""
    layer = traced.layers[i]
    if layer.path in number:
        return number[layer.path]
    real = [n for n in layer.leaves if jnp.issubdtype(leaves[n].dtype, jnp.floating)]
    return max(real, key=lambda n: leaves[n].size, default=None)


def _channels(traced: Traced, i: int, leaf: int, ones: list[Array], captured: Sequence[Any]) -> tuple[int, ...]:
    found = []
    for axis, length in enumerate(ones[leaf].shape):
        count = jnp.arange(1.0, length + 1).reshape([-1 if d == axis else 1 for d in range(ones[leaf].ndim)])
        marked = [x * count if n == leaf else x for n, x in enumerate(ones)]
        matrix = weights(traced, marked, captured, frozenset([i]))[i]
        if length > 1 and bool(jnp.all(matrix == matrix[..., :1, :])):
            found.append(axis)
    return tuple(found)


def _is_array(leaf: Any) -> bool:
    return bool(flatten(leaf)[0])


def _check_per(per: str) -> None:
    if per not in get_args(Per):
        raise ValueError(f"per={per!r}; it must be 'tensor' or 'channel'.")
