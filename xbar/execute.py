"""Running a plan: the weights it needs when programmed, the values it gives when read.

Two walks over the same graph. `weights` evaluates what depends on parameters only and hands each layer's matrix out.
`run` evaluates the rest, with every mapped product replaced by a read of its array.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, jaxpr_as_fun
from jaxtyping import Array, PRNGKeyArray

from xbar import array as crossbar
from xbar.graph import (
    Branch,
    Constant,
    Equation,
    Level,
    Multiply,
    Nested,
    Operand,
    Operation,
    Plan,
    Remat,
    Scan,
    Traced,
    While,
)
from xbar.tile import Tile

Watch = Callable[[int, Tile, crossbar.ProgrammedArray, crossbar.Signals], Any]


def evaluate(eqn: JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    """The outputs of one equation."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    subfuns, params = bound if isinstance(bound, tuple) else ((), bound)  # jax < 0.9 gives a pair
    with eqn.ctx.manager:
        outs = eqn.primitive.bind(*subfuns, *values, **params)
    return outs if eqn.primitive.multiple_results else [outs]


# -- pruning ------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def prune(plan: Plan, mapped: frozenset[int]) -> Plan:
    """The operations that the outputs need when the layers in `mapped` sit on arrays (their weights are not computed)."""
    needed = {o for o in plan.outputs if not isinstance(o, Constant)}
    kept: list[Operation] = []
    for op in reversed(plan.operations):
        if not op.eqn.effects and needed.isdisjoint(op.outs):
            continue
        if not isinstance(op, Equation | Multiply):
            op = _with_bodies(op, tuple(prune(body, mapped) for body in op.bodies))
        kept.append(op)
        needed.update(o for o in operands(op, mapped) if not isinstance(o, Constant))
    return Plan(plan.inputs, tuple(reversed(kept)), plan.outputs)


def operands(op: Operation, mapped: frozenset[int]) -> list[Operand]:
    """What an operation of a pruned plan reads."""
    if isinstance(op, Equation):
        return list(op.ins)
    if isinstance(op, Multiply):
        return [op.x] if op.layer in mapped else [op.x, op.w]
    used = [inputs_used(body, mapped) for body in op.bodies]
    if isinstance(op, Branch):
        return [op.ins[0], *(o for i, o in enumerate(op.ins[1:]) if any(u[i] for u in used))]
    if isinstance(op, Remat):
        return [o for o, u in zip(op.ins, used[0], strict=True) if u]
    if isinstance(op, While):
        n_cond, n_body = op.counts
        tail = op.ins[n_cond:]
        return [*op.ins[:n_cond], *(o for i, o in enumerate(tail) if i >= n_body or used[0][i])]
    n_const, n_carry = op.counts
    carried = range(n_const, n_const + n_carry)
    return [o for i, o in enumerate(op.ins) if i in carried or used[0][i]]


def inputs_used(plan: Plan, mapped: frozenset[int]) -> list[bool]:
    read = {o for op in plan.operations for o in operands(op, mapped) if not isinstance(o, Constant)}
    read.update(o for o in plan.outputs if not isinstance(o, Constant))
    return [i in read for i in plan.inputs]


def _with_bodies(op: Nested, bodies: tuple[Plan, ...]) -> Nested:
    if isinstance(op, Branch):
        return dataclasses.replace(op, branches=bodies)
    return dataclasses.replace(op, body=bodies[0])


# -- programming ----------------------------------------------------------------------------------------------------------


def weights(traced: Traced, leaves: Sequence[Array], mapped: frozenset[int]) -> dict[int, Array]:
    """The matrices `[*stack, groups, k, n]` of the layers in `mapped`, from the parameter leaves."""
    known = {i: (lambda leaf=leaf: leaf) for i, leaf in zip(traced.plan.inputs, leaves, strict=False)}
    return _Evaluator(traced, traced.plan, known).collect(mapped, frozenset())


class _Evaluator:
    """Evaluates on demand what a plan can know before it runs."""

    def __init__(self, traced: Traced, plan: Plan, known: dict[int, Callable[[], Any]]):
        self.traced, self.plan, self.known = traced, plan, known
        self.memo: dict[int, Any] = {}
        self.producer = {o: op for op in plan.operations for o in op.outs if isinstance(op, Equation)}

    def get(self, operand: Operand) -> Any:
        if isinstance(operand, Constant):
            return operand.value
        if operand not in self.memo:
            if operand in self.known:
                self.memo[operand] = self.known[operand]()
            else:
                op = self.producer[operand]
                self.memo.update(zip(op.outs, evaluate(op.eqn, [self.get(o) for o in op.ins]), strict=True))
        return self.memo[operand]

    def available(self, operand: Operand, active: frozenset[int]) -> bool:
        if isinstance(operand, Constant):
            return True
        value = self.traced.values[operand]
        return value.level < Level.STREAMING and active.issuperset(value.scans)

    def collect(self, mapped: frozenset[int], active: frozenset[int]) -> dict[int, Array]:
        """The matrices that can be known while the scans in `active` stand at one step."""
        found: dict[int, Array] = {}
        for op in self.plan.operations:
            if isinstance(op, Multiply):
                scans = self.traced.layers[op.layer].scans
                if op.layer in mapped and op.layer not in found and active.issuperset(scans):
                    found[op.layer] = op.product.matrix(self.get(op.w))
            elif not isinstance(op, Equation):
                for body, pairs in zip(op.bodies, _inflow(op), strict=True):
                    inner = _Evaluator(self.traced, body, self.thunks(pairs, active))
                    found = {**inner.collect(mapped, active), **found}
                    if isinstance(op, Scan):
                        found.update(self.stepped(op, inner, mapped, active))
        return found

    def thunks(self, pairs: Sequence[tuple[int, Operand]], active: frozenset[int]) -> dict[int, Callable[[], Any]]:
        return {i: (lambda o=o: self.get(o)) for i, o in pairs if self.available(o, active)}

    def stepped(self, op: Scan, fixed: _Evaluator, mapped: frozenset[int], active: frozenset[int]) -> dict[int, Array]:
        """Matrices that change from step to step of a scan, stacked over its steps."""
        inside = active | {op.uid}
        wanted = frozenset(
            i
            for i in op.body.layers & mapped
            if op.uid in (scans := self.traced.layers[i].scans) and inside.issuperset(scans[: scans.index(op.uid)])
        )
        if not wanted:
            return {}
        n_const, n_carry = op.counts
        known_before = lambda i: self.traced.values[op.body.inputs[i]].level < Level.STREAMING  # noqa: E731
        carried = [i for i in range(n_carry) if not op.invariant[i] and known_before(n_const + i)]
        streams = [i for i in range(n_const + n_carry, len(op.ins)) if known_before(i)]

        def step(carry, xs):
            ids = [op.body.inputs[n_const + i] for i in carried] + [op.body.inputs[i] for i in streams]
            now = {i: (lambda v=v: v) for i, v in zip(ids, (*carry, *xs), strict=True)}
            at_step = _Evaluator(self.traced, op.body, {**fixed.known, **now})
            found = at_step.collect(wanted, inside)
            return [at_step.get(op.body.outputs[i]) for i in carried], found

        init = [jnp.asarray(self.get(op.ins[n_const + i])) for i in carried]
        xs = [self.get(op.ins[i]) for i in streams]
        return lax.scan(step, init, xs, length=op.eqn.params["length"], reverse=op.eqn.params["reverse"])[1]


def _inflow(op: Nested) -> list[list[tuple[int, Operand]]]:
    """For each body: its input numbers with the operands that stay the same while it runs."""
    if isinstance(op, Branch):
        return [list(zip(b.inputs, op.ins[1:], strict=True)) for b in op.branches]
    if isinstance(op, Remat):
        return [list(zip(op.body.inputs, op.ins, strict=True))]
    if isinstance(op, While):
        n_cond, n_body = op.counts
        pairs = list(zip(op.body.inputs, op.ins[n_cond:], strict=True))
        fixed = [o == i for i, o in zip(op.body.inputs[n_body:], op.body.outputs, strict=True)]
        return [pairs[:n_body] + [p for p, f in zip(pairs[n_body:], fixed, strict=True) if f]]
    n_const, n_carry = op.counts
    pairs = list(zip(op.body.inputs, op.ins, strict=True))
    carried = [p for p, f in zip(pairs[n_const : n_const + n_carry], op.invariant, strict=True) if f]
    return [pairs[:n_const] + carried]


# -- running --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run needs besides its inputs.

    Args:
        arrays, tiles: the mapped layers. scans: the scans that step through each layer's stack.
        t: time since programming of each layer [s].
        watch: sees every read and returns non-negative numbers; `merge` joins those of two reads of one array, with 0
            as its neutral element.
    """

    arrays: Mapping[int, crossbar.ProgrammedArray]
    tiles: Mapping[int, Tile]
    scans: Mapping[int, tuple[int, ...]]
    t: Mapping[int, Array]
    watch: Watch | None = None
    merge: Callable[[Array, Array], Array] = jnp.add


Watched = dict[int, Any]


def run(plan: Plan, inputs: Sequence[Any], key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    """Evaluates a pruned plan: its outputs, and what was watched in each layer."""
    env = dict(zip(plan.inputs, inputs, strict=True))
    watched: Watched = {}
    read = lambda o: o.value if isinstance(o, Constant) else env.get(o)  # noqa: E731
    for op in plan.operations:
        if isinstance(op, Equation):
            outs, seen = evaluate(op.eqn, [read(o) for o in op.ins]), {}
        else:
            noise = None if key is None else jax.random.fold_in(key, op.uid)
            outs, seen = _RUN[type(op)](op, read, noise, ctx)
        env.update(zip(op.outs, outs, strict=True))
        watched = _merged(watched, seen, ctx)
    return [read(o) for o in plan.outputs], watched


def _merged(a: Watched, b: Watched, ctx: Context) -> Watched:
    joined = {i: jax.tree.map(ctx.merge, a[i], b[i]) for i in a.keys() & b.keys()}
    return {**a, **b, **joined}


def _run_multiply(op: Multiply, read: Callable, key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    x = read(op.x)
    if op.layer not in ctx.arrays:
        pair = (x, read(op.w)) if op.product.stationary == 1 else (read(op.w), x)
        return list(evaluate(op.eqn, pair)), {}
    aval: Any = op.eqn.outvars[0].aval
    working = jnp.promote_types(aval.dtype, jnp.float32)
    tile, programmed = ctx.tiles[op.layer], ctx.arrays[op.layer]
    vectors = op.product.vectors(jnp.asarray(x, working))
    y, signals = crossbar.read(tile, programmed, vectors, op.product.sizes[2], t=ctx.t[op.layer], key=key)
    seen = {} if ctx.watch is None else {op.layer: ctx.watch(op.layer, tile, programmed, signals)}
    return [op.product.result(y).astype(aval.dtype)], seen


def _run_scan(op: Scan, read: Callable, key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    params = op.eqn.params
    n_const, n_carry = op.counts
    values = [read(o) for o in op.ins]
    used = op.body.layers & ctx.arrays.keys()
    stacked = {i: ctx.arrays[i] for i in used if op.uid in ctx.scans[i]}

    def step(carry, xs):
        i, streams, arrays = xs
        inner = dataclasses.replace(ctx, arrays={**ctx.arrays, **arrays})
        noise = None if key is None else jax.random.fold_in(key, i)
        outs, seen = run(op.body, [*values[:n_const], *carry, *streams], noise, inner)
        outs = _typed(outs, params["jaxpr"].out_avals)
        return outs[:n_carry], (outs[n_carry:], seen)

    init = _typed(values[n_const : n_const + n_carry], params["jaxpr"].out_avals[:n_carry])
    xs = (jnp.arange(params["length"]), values[n_const + n_carry :], stacked)
    carry, (ys, seen) = lax.scan(
        step, init, xs, length=params["length"], reverse=params["reverse"], unroll=params["unroll"]
    )
    folded = {i: s if i in stacked else jax.tree.map(lambda a: _fold(ctx.merge, a), s) for i, s in seen.items()}
    return [*carry, *ys], folded


def _fold(merge: Callable[[Array, Array], Array], steps: Array) -> Array:
    return lax.scan(lambda total, step: (merge(total, step), None), jnp.zeros_like(steps[0]), steps)[0]


def _run_while(op: While, read: Callable, key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    n_cond, n_body = op.counts
    values = [read(o) for o in op.ins]
    condition = jaxpr_as_fun(op.eqn.params["cond_jaxpr"])

    def body(state):
        i, carry, seen = state
        noise = None if key is None else jax.random.fold_in(key, i)
        outs, now = run(op.body, [*values[n_cond : n_cond + n_body], *carry], noise, ctx)
        return i + 1, _typed(outs, out_avals), _merged(seen, now, ctx)

    out_avals = op.eqn.params["body_jaxpr"].out_avals
    init = _typed(values[n_cond + n_body :], out_avals)
    nothing = _zeros(lambda: body((jnp.zeros((), jnp.int32), init, {}))[2])
    state = (jnp.zeros((), jnp.int32), init, nothing)
    _, carry, seen = lax.while_loop(lambda s: condition(*values[:n_cond], *s[1])[0], body, state)
    return carry, seen


def _run_branch(op: Branch, read: Callable, key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    index, *values = (read(o) for o in op.ins)
    calls = [lambda b=b: run(b, values, key, ctx) for b in op.branches]
    nothing: Watched = {}
    for call in calls:
        nothing.update(_zeros(lambda call=call: call()[1]))

    def with_all(call):
        outs, seen = call()
        return _typed(outs, [v.aval for v in op.eqn.outvars]), {**nothing, **seen}

    return lax.switch(index, [lambda call=call: with_all(call) for call in calls])


def _typed(values: Sequence[Any], avals: Sequence[Any]) -> list[Any]:
    """Values with exactly the dtypes that the original loop or branch carries."""
    extended = lambda aval: jnp.issubdtype(aval.dtype, jax.dtypes.extended)  # noqa: E731
    return [v if extended(a) else jnp.asarray(v, a.dtype) for v, a in zip(values, avals, strict=True)]


def _zeros(f: Callable[[], Any]) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(f))


def _run_remat(op: Remat, read: Callable, key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
    again = jax.checkpoint(
        lambda values: run(op.body, values, key, ctx),
        prevent_cse=op.eqn.params["prevent_cse"],
        policy=op.eqn.params["policy"],
    )
    return again([read(o) for o in op.ins])


_RUN: dict[type, Callable] = {
    Multiply: _run_multiply,
    Scan: _run_scan,
    While: _run_while,
    Branch: _run_branch,
    Remat: _run_remat,
}
