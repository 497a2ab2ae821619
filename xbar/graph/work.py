"""The digital work of a traced function: operations and data movement, counted equation by equation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


@dataclasses.dataclass(frozen=True)
class Work:
    """Amount of digital computation; works add, and multiply by a number of repetitions.

    Args:
        ops: additions, multiplications, comparisons and the like outside matrix products.
        mac_ops: additions and multiplications of matrix products and convolutions, two per MAC.
        elements_moved: elements copied by gathers, transpositions, concatenations, padding, scatters.
        transcendental: exponentials, divisions, roots and other functions that need several operations each.
        operands: elements that matrix products and convolutions read and write, each counted once.
        unbounded: a `while` loop is inside, counted as one iteration.
    """

    ops: int | float = 0
    mac_ops: int | float = 0
    elements_moved: int | float = 0
    transcendental: int | float = 0
    operands: int | float = 0
    unbounded: bool = False

    @property
    def total(self) -> int | float:
        """All operations, one per transcendental: the F of a roofline."""
        return self.ops + self.mac_ops + self.transcendental

    def __add__(self, other: Work) -> Work:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _AMOUNTS}
        return Work(**sums, unbounded=self.unbounded or other.unbounded)

    def __mul__(self, times: int | float) -> Work:
        amounts = {name: times * getattr(self, name) for name in _AMOUNTS}
        return Work(**amounts, unbounded=self.unbounded)

    __rmul__ = __mul__


_AMOUNTS = ("ops", "mac_ops", "elements_moved", "transcendental", "operands")
_TRANSCENDENTAL = """
    exp exp2 expm1 log log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
    logistic erf erfc erf_inv lgamma digamma pow sqrt rsqrt cbrt div rem
""".split()  # noqa: SIM905
# An address or a type changes: no operation takes place and nothing moves.
_FREE = """
    reshape squeeze expand_dims broadcast_in_dim stop_gradient convert_element_type bitcast_convert_type
    copy copy_p iota create_token pvary sharding_constraint optimization_barrier split device_put
    reduce_precision random_wrap random_unwrap random_seed random_fold_in random_split random_clone
""".split()  # noqa: SIM905
_MOVES = """
    transpose rev concatenate pad gather slice dynamic_slice dynamic_update_slice scatter
""".split()  # noqa: SIM905
_CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())


def _size(variable: Any) -> int:
    return math.prod(_shape(variable))


def work_of(eqn: JaxprEqn) -> Work:
    """Digital work of one equation of a jaxpr.

    Element-wise functions cost one operation per output, reductions one per input, `dot_general` 2 B M N K,
    a convolution 2 * outputs * (kernel elements per output channel). Gathers, transpositions and so on cost
    no operation but move their output; reshapes, broadcasts and type changes are free. Nested jaxprs are
    entered: a scan counts `length` times, a `cond` its most expensive branch, a `while` one iteration, with `unbounded`
    set.

    Args:
        eqn: an equation of `jax.make_jaxpr(f)(...).eqns`.

    Returns:
        `Work` of one execution.

    Breaks when: a compiler removes work (padding, dead code, zeros of a dilated convolution all count), or
    an unknown primitive is not element-wise: it counts one operation per output.
    """
    name = eqn.primitive.name
    if name in _FREE:
        return Work()
    if name == "dot_general":
        return _product(eqn, _contracted(eqn.params["dimension_numbers"], eqn.invars[0]))
    if name == "ragged_dot_general":  # each row meets one of the matrices
        dims = eqn.params["ragged_dot_dimension_numbers"].dot_dimension_numbers
        return _product(eqn, _contracted(dims, eqn.invars[0]))
    if name == "bcoo_dot_general":  # each stored element meets the columns of the other operand
        stored, dense = _size(eqn.invars[0]), _size(eqn.invars[2])
        (_, dense_axes), (_, batch) = eqn.params["dimension_numbers"]
        columns = dense // max(math.prod(_shape(eqn.invars[2])[a] for a in (*dense_axes, *batch)), 1)
        return Work(mac_ops=2 * stored * columns, operands=stored + dense + _size(eqn.outvars[0]))
    if name == "conv_general_dilated":
        kernel = _shape(eqn.invars[1])
        return _product(eqn, math.prod(kernel) // max(kernel[eqn.params["dimension_numbers"].rhs_spec[0]], 1))
    plain = _array_work(eqn)
    return _nested_work(eqn) if plain is None else plain


def count(jaxpr: ClosedJaxpr | Jaxpr) -> Work:
    """Digital work of a whole jaxpr, the sum of `work_of` over its equations."""
    return sum((work_of(eqn) for eqn in _open(jaxpr).eqns), Work())


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def _contracted(dimension_numbers: Any, lhs: Any) -> int:
    (lhs_axes, _), _ = dimension_numbers
    return math.prod(_shape(lhs)[axis] for axis in lhs_axes)


def _product(eqn: JaxprEqn, depth: int) -> Work:
    outputs = _size(eqn.outvars[0])
    return Work(mac_ops=2 * outputs * depth, operands=outputs + sum(map(_size, eqn.invars)))


def _array_work(eqn: JaxprEqn) -> Work | None:
    """Reductions, windows, sorts, scatters and moves; None for anything else."""
    name = eqn.primitive.name
    inputs, outputs = (_size(v[0]) if v else 0 for v in (eqn.invars, eqn.outvars))
    if name in _MOVES:
        written = {"dynamic_update_slice": 1, "scatter": 2}.get(name)  # in place: only the update moves
        return Work(elements_moved=outputs if written is None else _size(eqn.invars[written]))
    if name.startswith("scatter"):
        return Work(ops=_size(eqn.invars[2]), elements_moved=_size(eqn.invars[2]))
    if name.startswith("reduce_window"):
        return Work(ops=outputs * math.prod(eqn.params["window_dimensions"]))
    if name.startswith(("reduce", "arg")) or name in _CUMULATIVE:
        return Work(ops=inputs)
    if name in ("sort", "top_k", "approx_top_k"):
        axis = eqn.params.get("dimension", -1)
        length = max(_shape(eqn.invars[0])[axis], 2)
        return Work(ops=inputs * math.ceil(math.log2(length)), elements_moved=sum(map(_size, eqn.outvars)))
    return None


def _nested_work(eqn: JaxprEqn) -> Work:
    name, params = eqn.primitive.name, eqn.params
    if name == "scan":
        return params["length"] * count(params["jaxpr"])
    if name == "while":
        turn = count(params["cond_jaxpr"]) + count(params["body_jaxpr"])
        return dataclasses.replace(turn, unbounded=True)
    if name == "cond":
        return max((count(branch) for branch in params["branches"]), key=lambda work: work.total)
    inner = next(inner_jaxprs(params), None)
    if inner is not None:
        return params["mesh"].size * count(inner) if name == "shard_map" else count(inner)
    outputs = sum(map(_size, eqn.outvars))
    power = params["y"] if name == "integer_pow" else 2
    if name in _TRANSCENDENTAL or power < 0:
        return Work(transcendental=outputs)
    return Work(ops=outputs * max(power - 1, 0))


def inner_jaxprs(params: Any) -> Iterator[ClosedJaxpr]:
    """The functions that an equation holds, wherever in its parameters; derivative rules are callables, not jaxprs."""
    if isinstance(params, ClosedJaxpr):
        yield params
    elif isinstance(params, Jaxpr):
        yield ClosedJaxpr(params, [None] * len(params.constvars))
    elif isinstance(params, dict):
        yield from (j for value in params.values() for j in inner_jaxprs(value))
    elif isinstance(params, list | tuple):
        yield from (j for value in params for j in inner_jaxprs(value))
