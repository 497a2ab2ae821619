"""From a function and its arguments to an analysed trace, done once for each kind of argument."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np

from xbar.graph.analysis import analyse
from xbar.graph.nodes import Traced
from xbar.graph.rolling import Rolled, rolled


@dataclasses.dataclass(frozen=True)
class Frame:
    """The static part of a parameter pytree: its structure, and the leaves that are not arrays."""

    treedef: Any
    static: tuple[Any, ...]
    paths: tuple[str, ...]

    def rebuild(self, arrays: Sequence[Any]) -> Any:
        """The pytree with these arrays in it."""
        rest = iter(arrays)
        return jax.tree.unflatten(self.treedef, [next(rest) if s is _ARRAY else s for s in self.static])


class _Array:
    """Stands for an array leaf among static ones."""

    def __repr__(self):
        return "<array>"


_ARRAY = _Array()


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array, or stands for one; all others are static."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)


def flatten(tree: Any) -> tuple[list[Any], Frame]:
    """The array leaves of a pytree, and all the rest of it."""
    pairs, treedef = jax.tree_util.tree_flatten_with_path(tree)
    static = tuple(_ARRAY if is_array(leaf) else leaf for _, leaf in pairs)
    paths = tuple(
        jax.tree_util.keystr(p, simple=True, separator=".") or "params" for p, leaf in pairs if is_array(leaf)
    )
    return [leaf for _, leaf in pairs if is_array(leaf)], Frame(treedef, static, paths)


def aval_of(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an array, concrete or traced."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    aval = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))


def trace(
    f: Callable[..., Any], frame: Frame, leaves: Sequence[Any], inputs: Sequence[Any], roll: bool = True
) -> Traced:
    """Traces and analyses `f`, once for each kind of parameters and inputs.

    Args:
        roll: whether equal blocks, one after the other, become loops (`xbar.graph.rolling`).
    """
    streaming, input_frame = flatten(tuple(inputs))
    request = _Request(f, frame, tuple(map(aval_of, leaves)), input_frame, tuple(map(aval_of, streaming)), roll)
    try:
        hash(request.identity)
    except TypeError:  # a static leaf that cannot be hashed: trace every time
        return _trace_now(request)
    return _trace_cached(request)


class _Request:
    """What decides a trace, as a hashable."""

    def __init__(self, f, frame: Frame, params, input_frame: Frame, inputs, roll: bool):
        self.f, self.frame, self.params, self.input_frame, self.inputs = f, frame, params, input_frame, inputs
        self.roll = roll

    @property
    def identity(self) -> Hashable:
        kinds = tuple((a.shape, a.dtype, a.weak_type) for a in (*self.params, *self.inputs))
        frames = tuple((x.treedef, x.static, tuple(map(type, x.static))) for x in (self.frame, self.input_frame))
        return self.f, self.roll, frames, kinds, jax.config.read("jax_enable_x64")

    def __hash__(self):
        return hash(self.identity)

    def __eq__(self, other):
        return self.identity == other.identity


@functools.lru_cache(maxsize=64)
def _trace_cached(request: _Request) -> Traced:
    return _trace_now(request)


def _trace_now(request: _Request) -> Traced:
    n = len(request.params)

    def flat(*leaves):
        return request.f(request.frame.rebuild(leaves[:n]), *request.input_frame.rebuild(leaves[n:]))

    try:
        jaxpr, shape = jax.make_jaxpr(flat, return_shape=True)(*request.params, *request.inputs)
    except Exception as error:
        shapes = [f"{a.dtype}{list(a.shape)}" for a in request.inputs]
        error.add_note(f"xbar: this happened while tracing f(params, *inputs) with inputs {', '.join(shapes)}.")
        raise
    loops = rolled(jaxpr, n) if request.roll else Rolled(jaxpr, {})
    return analyse(loops.jaxpr, n, request.frame.paths, jax.tree.structure(shape), loops.stacks)
