"""From a function and its arguments to an analysed trace, done once for each kind of argument."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from xbar.graph.analysis import analyse
from xbar.graph.digital import say
from xbar.graph.identity import WeakCache, same, same_structure
from xbar.graph.nodes import Traced
from xbar.graph.rolling import Rolled, rolled

try:  # whatever makes JAX trace again
    from jax._src.config import trace_context as _context
except ImportError:
    _SETTINGS = """
        jax_enable_x64 jax_default_matmul_precision jax_numpy_dtype_promotion jax_numpy_rank_promotion
        jax_default_prng_impl jax_threefry_partitionable
    """.split()  # noqa: SIM905

    def _context() -> tuple[Any, ...]:
        return tuple(jax.config.read(name) for name in _SETTINGS)


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """The static part of a pytree: its structure, and the leaves that are not arrays. Frames are equal by `identity`."""

    treedef: Any
    static: tuple[Any, ...]
    paths: tuple[str, ...]

    def rebuild(self, arrays: Sequence[Any]) -> Any:
        """The pytree with these arrays in it."""
        rest = iter(arrays)
        return jax.tree.unflatten(self.treedef, [next(rest) if s is _ARRAY else s for s in self.static])

    @functools.cached_property
    def identity(self) -> Hashable:
        """Equal for frames that make a function do the same; keeps nothing alive that compares by identity.

        Raises:
            TypeError: if something static has no such identity.
        """
        return same_structure(self.treedef), same(self.static), self.paths

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Frame) and self.identity == other.identity)

    def __hash__(self) -> int:
        return hash(self.identity)


class _Array:
    """Stands for an array leaf among static ones."""

    def __repr__(self):
        return "<array>"


_ARRAY = _Array()


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array, or stands for one; all others are static."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)


def flatten(tree: Any, is_dynamic: Callable[[Any], bool] = is_array) -> tuple[list[Any], Frame]:
    """The array leaves of a pytree, and all the rest of it."""
    pairs, treedef = jax.tree_util.tree_flatten_with_path(tree)
    static = tuple(_ARRAY if is_dynamic(leaf) else leaf for _, leaf in pairs)
    paths = tuple(
        jax.tree_util.keystr(p, simple=True, separator=".") or "params" for p, leaf in pairs if is_dynamic(leaf)
    )
    return [leaf for _, leaf in pairs if is_dynamic(leaf)], Frame(treedef, static, paths)


def _is_real(leaf: Any) -> bool:
    """Whether a leaf of the inputs may be traced: a new Python float then needs no new trace."""
    return is_array(leaf) or type(leaf) is float


def aval_of(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an array, concrete or traced."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    aval = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))


class Function(eqx.Module):
    """A callable as arrays and a static rest: modules, methods of modules and partial applications hold arrays, which are
    constants of its traces and are passed with each call."""

    arrays: list[Any]
    frame: Frame = eqx.field(static=True)

    @classmethod
    def of(cls, f: Callable[..., Any]) -> Function:
        """`f` taken apart."""
        return cls(*flatten(_opened(f)))

    @property
    def name(self) -> str:
        """The name of the callable, for messages."""
        f: Any = self.frame.rebuild(self.arrays)
        while isinstance(f, _Partial):
            f = f.func
        return getattr(f, "__name__", type(f).__name__)


class _Partial(NamedTuple):
    """A partial application as a pytree; what is not taken apart is a leaf."""

    func: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    def __call__(self, *args: Any) -> Any:
        return self.func(*self.args, *args, **self.keywords)


def _opened(f: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(f, functools.partial):
        return _Partial(_opened(f.func), f.args, f.keywords)
    if isinstance(f, types.MethodType) and not jax.tree_util.all_leaves([f.__self__]):
        return _Partial(f.__func__, (f.__self__,), {})
    return f


class Given(NamedTuple):
    """What a plan is given besides parameters: dynamic leaves of the inputs, and captured arrays."""

    inputs: list[Any]
    captured: list[Any]


def trace(
    f: Function, frame: Frame, leaves: Sequence[Any], inputs: Sequence[Any], roll: bool = True
) -> tuple[Traced, Given]:
    """Traces and analyses `f(params, *inputs)`, once for each kind of parameters and inputs.

    Python floats among the inputs are traced, unless the function needs their value or would have other layers then.

    Args:
        roll: whether equal blocks, one after the other, become loops (`xbar.graph.rolling`).
    """
    dynamic, input_frame = flatten(tuple(inputs))
    request = _Request(f, frame, tuple(map(aval_of, leaves)), input_frame, tuple(map(aval_of, dynamic)), roll)
    if any(type(leaf) is float for leaf in input_frame.static):
        reals, real_frame = flatten(tuple(inputs), _is_real)
        general = dataclasses.replace(request, input_frame=real_frame, inputs=tuple(map(aval_of, reals)))
        traced = _cached("floats", general, lambda: _trace_general(general, request))
        if traced is not None:
            return traced, Given(reals, [*f.arrays, *traced.constants])
    traced = _cached("trace", request, request.trace)
    return traced, Given(dynamic, [*f.arrays, *traced.constants])


@dataclasses.dataclass(frozen=True, eq=False)
class _Request:
    """What decides a trace."""

    f: Function
    frame: Frame
    params: tuple[jax.ShapeDtypeStruct, ...]
    input_frame: Frame
    inputs: tuple[jax.ShapeDtypeStruct, ...]
    roll: bool

    @property
    def identity(self) -> Hashable:
        held = tuple(map(aval_of, self.f.arrays))
        kinds = tuple((a.shape, a.dtype, a.weak_type) for a in (*self.params, *self.inputs, *held))
        frames = tuple(frame.identity for frame in (self.f.frame, self.frame, self.input_frame))
        return frames, self.roll, kinds, _context()

    def trace(self) -> Traced:
        """Runs the function's Python body."""
        n, stop = len(self.params), len(self.params) + len(self.inputs)

        def flat(*leaves):
            f = self.f.frame.rebuild(leaves[stop:])
            return f(self.frame.rebuild(leaves[:n]), *self.input_frame.rebuild(leaves[n:stop]))

        held = map(aval_of, self.f.arrays)
        try:
            jaxpr, shape = jax.make_jaxpr(flat, return_shape=True)(*self.params, *self.inputs, *held)
        except Exception as error:
            shapes = [f"{a.dtype}{list(a.shape)}" for a in self.inputs]
            error.add_note(f"xbar: this happened while tracing f(params, *inputs) with inputs {', '.join(shapes)}.")
            raise
        loops = rolled(jaxpr, n) if self.roll else Rolled(jaxpr, {})
        out_tree = jax.tree.structure(shape)
        return analyse(loops.jaxpr, n, self.frame.paths, out_tree, loops.stacks, held=len(self.f.arrays))


_TRACES = WeakCache(size=128)
_SAID: set[str] = set()


def _cached(kind: str, request: _Request, make: Callable[[], Any]) -> Any:
    try:
        key = (kind, request.identity)
        hash(key)
    except TypeError as error:
        if str(error) not in _SAID:
            _SAID.add(str(error))
            say(f"xbar.analog: this function is traced and compiled again at every call, because {error}.")
        return make()
    return _TRACES.get(key, make)


def _trace_general(general: _Request, special: _Request) -> Traced | None:
    """The trace for any value of the floats, or None if the function needs values or has other layers with them."""
    try:
        traced = general.trace()
    except Exception:  # whatever it is: with values it will not happen, or happen again
        return None
    signatures = [[layer.signature for layer in t.layers] for t in (traced, _cached("trace", special, special.trace))]
    return traced if signatures[0] == signatures[1] else None
