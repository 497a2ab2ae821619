"""Equal blocks of a function, one after the other, as one loop, which is traced, compiled and differentiated once.

A network written as a Python loop over layers is a long list of equations. Where the same block of them occurs several
times in a row, each fed by the one before and with parameters of its own, the blocks become one `lax.scan` over stacked
parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from xbar.graph.nodes import evaluate

LEAST = 3  # equal blocks in a row that are worth a loop
_PRODUCTS = ("dot_general", "conv_general_dilated")
_CALLS = ("jit", "pjit", "closed_call", "core_call")


@dataclasses.dataclass(frozen=True)
class Rolled:
    """A function with loops in place of equal blocks.

    Args:
        jaxpr: the function.
        stacks: for each parameter that leads a stack, the numbers of all parameters in it, in order.
    """

    jaxpr: ClosedJaxpr
    stacks: dict[int, tuple[int, ...]]


def rolled(closed: ClosedJaxpr, n_params: int) -> Rolled:
    """`closed` with its equal blocks as loops, if it has any; the first `n_params` inputs are parameters."""
    flat = _Flat(closed)
    loops = _find_loops(flat)
    if not loops:
        return Rolled(closed, {})
    stacks = {s[0]: s for loop in loops for s in loop.stacked if all(i < n_params for i in s)}

    def f(*inputs):
        env = dict(enumerate(inputs)) | flat.constants
        starts = {loop.start: loop for loop in loops}
        i = 0
        while i < len(flat.steps):
            loop = starts.get(i)
            if loop is None:
                flat.steps[i].run(env)
                i += 1
            else:
                loop.run(flat, env)
                i = loop.stop
        return [_value(env, o) for o in flat.outputs]

    return Rolled(jax.make_jaxpr(f)(*closed.in_avals), stacks)


@dataclasses.dataclass(frozen=True)
class _Step:
    """An equation between numbered values."""

    eqn: JaxprEqn
    ins: tuple[int | Literal, ...]
    outs: tuple[int, ...]

    def run(self, env: dict[int, Any]) -> None:
        env.update(zip(self.outs, evaluate(self.eqn, [_value(env, i) for i in self.ins]), strict=True))


def _value(env: dict[int, Any], operand: int | Literal) -> Any:
    return operand.val if isinstance(operand, Literal) else env[operand]


class _Flat:
    """The equations of a jaxpr in order, calls that hold a product inlined. Inputs have the first numbers."""

    def __init__(self, closed: ClosedJaxpr):
        self.steps: list[_Step] = []
        self.constants: dict[int, Any] = {}
        self.count = len(closed.jaxpr.invars)
        self.inputs = self.count
        self.outputs = self._inline(closed, list(range(self.count)))

    def _new(self) -> int:
        self.count += 1
        return self.count - 1

    def _inline(self, closed: ClosedJaxpr, ins: Sequence[int | Literal]) -> list[int | Literal]:
        env: dict[Any, int | Literal] = dict(zip(closed.jaxpr.invars, ins, strict=True))
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            number = self._new()
            env[var], self.constants[number] = number, value
        read = lambda atom: atom if isinstance(atom, Literal) else env[atom]  # noqa: E731
        for eqn in closed.jaxpr.eqns:
            operands = tuple(read(a) for a in eqn.invars)
            inner = eqn.params.get("jaxpr") if eqn.primitive.name in _CALLS else None
            if isinstance(inner, ClosedJaxpr) and _holds_product(inner.jaxpr):
                outs: Sequence[int | Literal] = self._inline(inner, operands)
            else:
                outs = tuple(self._new() for _ in eqn.outvars)
                self.steps.append(_Step(eqn, operands, tuple(outs)))
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(a) for a in closed.jaxpr.outvars]


def _holds_product(jaxpr: Jaxpr) -> bool:
    return any(eqn.primitive.name in _PRODUCTS or any(map(_holds_product, _inner(eqn))) for eqn in jaxpr.eqns)


def _inner(eqn: JaxprEqn) -> list[Jaxpr]:
    """The jaxprs in an equation's parameters."""
    values = [v for p in eqn.params.values() for v in (p if isinstance(p, tuple | list) else (p,))]
    return [v.jaxpr if isinstance(v, ClosedJaxpr) else v for v in values if isinstance(v, ClosedJaxpr | Jaxpr)]


# -- which equations are alike ------------------------------------------------------------------------------------------


def _identity(eqn: JaxprEqn, seen: _Seen, derivatives: bool = True) -> Hashable:
    """Equal for equations that do the same; derivatives included, unless they are those of a derivative."""
    avals = tuple((str(v.aval), repr(v.val) if isinstance(v, Literal) else None) for v in (*eqn.invars, *eqn.outvars))
    if eqn.effects:
        return object()
    if eqn.primitive.name.startswith(("custom_jvp", "custom_vjp")):
        inside = tuple(_of_jaxpr(jaxpr, seen, derivatives) for jaxpr in _inner(eqn))
        return eqn.primitive.name, avals, inside, _derivative(eqn, seen) if derivatives else None
    params = tuple((k, _of_param(v, seen, derivatives)) for k, v in sorted(eqn.params.items()))
    return eqn.primitive.name, params, avals


def _of_param(value: Any, seen: _Seen, derivatives: bool) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return _of_jaxpr(value.jaxpr, seen, derivatives), tuple(_of_constant(c) for c in value.consts)
    if isinstance(value, Jaxpr):
        return _of_jaxpr(value, seen, derivatives)
    if isinstance(value, tuple | list):
        return tuple(_of_param(v, seen, derivatives) for v in value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


class _Seen:
    """Numbers of structures, and of the jaxprs that were found to have them; these are kept, as they are known by address."""

    def __init__(self):
        self.numbers: dict[Hashable, int] = {}
        self.jaxprs: dict[tuple[int, bool], tuple[Jaxpr, int]] = {}

    def number(self, structure: Hashable) -> int:
        return self.numbers.setdefault(structure, len(self.numbers))


def _of_jaxpr(jaxpr: Jaxpr, seen: _Seen, derivatives: bool) -> int:
    if (id(jaxpr), derivatives) in seen.jaxprs:
        return seen.jaxprs[id(jaxpr), derivatives][1]
    numbers: dict[Any, int] = {}
    number = lambda v: repr(v.val) if isinstance(v, Literal) else numbers.setdefault(v, len(numbers))  # noqa: E731
    head = tuple((number(v), str(v.aval)) for v in (*jaxpr.constvars, *jaxpr.invars))
    body = tuple(
        (_identity(e, seen, derivatives), tuple(number(v) for v in e.invars), tuple(number(v) for v in e.outvars))
        for e in jaxpr.eqns
    )
    structure = (head, body, tuple(number(v) for v in jaxpr.outvars))
    found = seen.number(structure)
    seen.jaxprs[id(jaxpr), derivatives] = jaxpr, found
    return found


def _of_constant(value: Any) -> Hashable:
    small = isinstance(value, np.ndarray | jax.Array) and value.size <= 64 and not isinstance(value, Tracer)
    return (str(value.dtype), value.shape, np.asarray(value).tobytes()) if small else id(value)


def _derivative(eqn: JaxprEqn, seen: _Seen) -> Hashable:
    """What a call with a derivative of its own does, and what its derivative is."""
    avals: list[Any] = [v.aval for v in eqn.invars]
    floating = [i for i, a in enumerate(avals) if jnp.issubdtype(a.dtype, jnp.floating)]

    def pulled(values):
        def of(some):
            mixed = list(values)
            for i, v in zip(floating, some, strict=True):
                mixed[i] = v
            return evaluate(eqn, mixed)

        outs, back = jax.vjp(of, [values[i] for i in floating])

        def ones(o):
            return jnp.ones_like(o) if jnp.issubdtype(o.dtype, jnp.floating) else np.zeros(o.shape, jax.dtypes.float0)

        return outs, back([ones(o) for o in outs])

    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
    try:
        traced = jax.make_jaxpr(pulled)(shapes)
    except Exception:  # it has no derivative in reverse: it cannot be shown to equal another
        return object()
    return _of_jaxpr(traced.jaxpr, seen, False), tuple(_of_constant(c) for c in traced.consts)


# -- which blocks follow each other ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Loop:
    """Equal blocks of `size` steps from step `start` on, up to `stop`.

    Args:
        constants: operands that are the same in all blocks.
        stacked: operands that each block has its own of, block by block.
        carried: (what the first block reads, place of the output that later blocks read), a place being the number of a step
            in its block and that of the output.
        ins: for each step and operand of a block: a literal, or what kind of operand it is and its number or place.
    """

    start: int
    size: int
    blocks: int
    constants: tuple[int, ...]
    stacked: tuple[tuple[int, ...], ...]
    carried: tuple[tuple[int, tuple[int, int]], ...]
    ins: tuple[tuple[Any, ...], ...]

    @property
    def stop(self) -> int:
        return self.start + self.size * self.blocks

    def run(self, flat: _Flat, env: dict[int, Any]) -> None:
        """Runs all blocks and leaves the values that later steps read."""
        steps = flat.steps[self.start : self.start + self.size]
        wanted = self._read_later(flat)

        def body(carry, xs):
            made: dict[tuple[int, int], Any] = {}
            kinds = {"carry": lambda i: carry[i], "own": lambda i: xs[i], "made": lambda at: made[at]}
            kinds["constant"] = lambda i: env[self.constants[i]]
            for s, (step, ins) in enumerate(zip(steps, self.ins, strict=True)):
                values = [i.val if isinstance(i, Literal) else kinds[i[0]](i[1]) for i in ins]
                made.update({(s, o): v for o, v in enumerate(evaluate(step.eqn, values))})
            return [made[place] for _, place in self.carried], [made[place] for place in wanted]

        first = [env[i] for i, _ in self.carried]
        xs = [jnp.stack([env[i] for i in own]) for own in self.stacked]
        last, ys = lax.scan(body, first, xs, length=self.blocks)
        for (_, (s, o)), value in zip(self.carried, last, strict=True):
            env[flat.steps[self.stop - self.size + s].outs[o]] = value
        for (s, o), value in zip(wanted, ys, strict=True):
            for b in range(self.blocks):
                env[flat.steps[self.start + b * self.size + s].outs[o]] = value[b]

    def _read_later(self, flat: _Flat) -> list[tuple[int, int]]:
        """Places of outputs that are read after the loop, beyond the last block's carried ones."""
        later = {i for step in flat.steps[self.stop :] for i in step.ins if not isinstance(i, Literal)}
        later.update(i for i in flat.outputs if not isinstance(i, Literal))
        given = {(self.blocks - 1, *place) for _, place in self.carried}
        found = dict.fromkeys(
            (s, o)
            for b in range(self.blocks)
            for s in range(self.size)
            for o, out in enumerate(flat.steps[self.start + b * self.size + s].outs)
            if out in later and (b, s, o) not in given
        )
        return list(found)


def _find_loops(flat: _Flat) -> list[_Loop]:
    """Loops that do not overlap, the ones that cover most first."""
    seen = _Seen()
    alike = np.array([seen.number(("step", _identity(step.eqn, seen))) for step in flat.steps])
    product = np.array(
        [step.eqn.primitive.name in _PRODUCTS or any(map(_holds_product, _inner(step.eqn))) for step in flat.steps]
    )
    taken = np.zeros(len(alike), bool)
    loops: list[_Loop] = []
    runs = sorted(_runs(alike), key=lambda run: (-(run[1] // run[2]) * run[2], run[2]))
    for start, length, size in runs:
        loop = next(
            (
                found
                for offset in range(length % size + 1)
                for blocks in [(length - offset) // size]
                if not taken[start + offset : start + offset + blocks * size].any()
                and product[start + offset : start + offset + size].any()
                and (found := _loop(flat, start + offset, size, blocks)) is not None
            ),
            None,
        )
        if loop is not None:
            taken[loop.start : loop.stop] = True
            loops.append(loop)
    return sorted(loops, key=lambda loop: loop.start)


def _runs(alike: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, length, period) of stretches that repeat with a period, `LEAST` times or more."""
    found = []
    for size in range(1, len(alike) // LEAST + 1):
        same = np.concatenate([[False], alike[:-size] == alike[size:], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start >= (LEAST - 1) * size:
                found.append((int(start), int(stop - start + size), size))
    return found


def _loop(flat: _Flat, start: int, size: int, blocks: int) -> _Loop | None:
    """The loop over equal blocks from `start` on, or None if they do not follow each other as the iterations of a loop
    do."""
    if blocks < LEAST:
        return None
    places: dict[int, tuple[int, int, int]] = {}  # value -> block, step, output
    for b in range(blocks):
        for s in range(size):
            for o, out in enumerate(flat.steps[start + b * size + s].outs):
                places[out] = (b, s, o)
    constants: dict[int, int] = {}
    stacked: dict[tuple[int, ...], int] = {}
    carried: dict[tuple[int, tuple[int, int]], int] = {}

    def kind(own: Sequence[Any]) -> Any:
        """What an operand of all blocks is."""
        where = [places.get(i) for i in own]
        if all(w is None for w in where):
            if len(set(own)) == 1:
                return "constant", constants.setdefault(own[0], len(constants))
            return "own", stacked.setdefault(tuple(own), len(stacked))
        if any(w is None for w in where[1:]):
            return None
        step_out = {w[1:] for w in where[1:] if w is not None}
        if len(step_out) != 1:
            return None
        (place,) = step_out
        back = {b - w[0] for b, w in enumerate(where) if b and w is not None}
        if back == {0} and where[0] is not None and where[0] == (0, *place):
            return "made", place
        if back == {1} and where[0] is None:
            return "carry", carried.setdefault((own[0], place), len(carried))
        return None

    ins = []
    for s in range(size):
        steps = [flat.steps[start + b * size + s] for b in range(blocks)]
        row = []
        for position, first in enumerate(steps[0].ins):
            own = [step.ins[position] for step in steps]
            found = first if isinstance(first, Literal) else kind(own)  # literals are alike, as their equations are
            if found is None:
                return None
            row.append(found)
        ins.append(tuple(row))
    if not carried:  # side by side, not one after the other: better done together
        return None
    return _Loop(start, size, blocks, tuple(constants), tuple(stacked), tuple(carried), tuple(ins))
