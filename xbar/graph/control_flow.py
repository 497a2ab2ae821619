"""Nodes that hold plans of their own: loops, branches, rematerialised calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, jaxpr_as_fun
from jaxtyping import Array, PRNGKeyArray

from xbar.graph.nodes import AbstractNode, Context, Operand, Plan, Read, Watched, merged
from xbar.graph.work import Work


@dataclasses.dataclass(frozen=True)
class _OneBody(AbstractNode):
    """A node with one plan inside. `ins` are the equation's operands."""

    uid: int
    eqn: JaxprEqn
    body: Plan
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return (self.body,)

    def with_bodies(self, bodies: tuple[Plan, ...]) -> AbstractNode:
        return dataclasses.replace(self, body=bodies[0])

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return self.body.work(mapped, streams)

    @property
    def kernels(self) -> int:
        return self.body.kernels

    def folded(self, key: PRNGKeyArray | None) -> PRNGKeyArray | None:
        """This node's own key."""
        return None if key is None else jax.random.fold_in(key, self.uid)


@dataclasses.dataclass(frozen=True)
class Scan(_OneBody):
    """`lax.scan` whose body holds products. `ins` are constants, initial carry and xs."""

    invariant: tuple[bool, ...]  # for each carry: the body hands it on unchanged

    @property
    def counts(self) -> tuple[int, int]:
        """Number of constants and of carried values."""
        return scan_counts(self.eqn)

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        n_const, n_carry = self.counts
        used = self.body.inputs_used(mapped)
        carried = range(n_const, n_const + n_carry)
        return [o for i, o in enumerate(self.ins) if i in carried or used[i]]

    def inflow(self) -> list[list[tuple[int, Operand]]]:
        n_const, n_carry = self.counts
        pairs = list(zip(self.body.inputs, self.ins, strict=True))
        carried = [p for p, f in zip(pairs[n_const : n_const + n_carry], self.invariant, strict=True) if f]
        return [pairs[:n_const] + carried]

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        params, key = self.eqn.params, self.folded(key)
        n_const, n_carry = self.counts
        values = [read(o) for o in self.ins]
        used = self.body.layers & ctx.arrays.keys()
        stacked = {i: ctx.arrays[i] for i in used if self.uid in ctx.scans[i]}
        probes = {m.uid: ctx.probes[m.uid] for m in self.body.multiplies() if m.uid in ctx.probes}

        def step(carry, xs):
            i, streams, arrays, own = xs
            inner = dataclasses.replace(ctx, arrays={**ctx.arrays, **arrays}, probes=own)
            noise = None if key is None else jax.random.fold_in(key, i)
            outs, seen = self.body.run([*values[:n_const], *carry, *streams], noise, inner)
            outs = _typed(outs, params["jaxpr"].out_avals)
            return outs[:n_carry], (outs[n_carry:], seen)

        init = _typed(values[n_const : n_const + n_carry], params["jaxpr"].out_avals[:n_carry])
        xs = (jnp.arange(params["length"]), values[n_const + n_carry :], stacked, probes)
        carry, (ys, seen) = lax.scan(
            step, init, xs, length=params["length"], reverse=params["reverse"], unroll=params["unroll"]
        )
        folded = {i: s if i in stacked else jax.tree.map(lambda a: _fold(ctx.merge, a), s) for i, s in seen.items()}
        return [*carry, *ys], folded

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return self.eqn.params["length"] * self.body.work(mapped, streams)

    @property
    def kernels(self) -> int:
        return self.eqn.params["length"] * self.body.kernels


def scan_counts(eqn: JaxprEqn) -> tuple[int, int]:
    """Number of constants and of carried values of a `scan` equation."""
    if "num_consts" in eqn.params:
        return eqn.params["num_consts"], eqn.params["num_carry"]
    consts, carry, _ = eqn.params["ft_in"].unpack()  # newer jax keeps the operands as trees
    return len(list(consts)), len(list(carry))


@dataclasses.dataclass(frozen=True)
class While(_OneBody):
    """`lax.while_loop` whose body holds products. `ins` are cond constants, body constants and initial carry."""

    @property
    def counts(self) -> tuple[int, int]:
        """Number of constants of the condition and of the body."""
        return self.eqn.params["cond_nconsts"], self.eqn.params["body_nconsts"]

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        n_cond, n_body = self.counts
        used = self.body.inputs_used(mapped)
        return [*self.ins[:n_cond], *(o for i, o in enumerate(self.ins[n_cond:]) if i >= n_body or used[i])]

    def inflow(self) -> list[list[tuple[int, Operand]]]:
        n_cond, n_body = self.counts
        pairs = list(zip(self.body.inputs, self.ins[n_cond:], strict=True))
        fixed = [o == i for i, o in zip(self.body.inputs[n_body:], self.body.outputs, strict=True)]
        return [pairs[:n_body] + [p for p, f in zip(pairs[n_body:], fixed, strict=True) if f]]

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        n_cond, n_body = self.counts
        key = self.folded(key)
        values = [read(o) for o in self.ins]
        condition = jaxpr_as_fun(self.eqn.params["cond_jaxpr"])
        out_avals = self.eqn.params["body_jaxpr"].out_avals

        def body(state):
            i, carry, seen = state
            noise = None if key is None else jax.random.fold_in(key, i)
            outs, now = self.body.run([*values[n_cond : n_cond + n_body], *carry], noise, ctx)
            return i + 1, _typed(outs, out_avals), merged(seen, now, ctx)

        init = _typed(values[n_cond + n_body :], out_avals)
        nothing = _zeros(lambda: body((jnp.zeros((), jnp.int32), init, {}))[2])
        state = (jnp.zeros((), jnp.int32), init, nothing)
        _, carry, seen = lax.while_loop(lambda s: condition(*values[:n_cond], *s[1])[0], body, state)
        return carry, seen

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return self.body.work(mapped, streams) + Work(unbounded=True)


@dataclasses.dataclass(frozen=True)
class Remat(_OneBody):
    """`jax.checkpoint` of a function that holds products."""

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        return [o for o, u in zip(self.ins, self.body.inputs_used(mapped), strict=True) if u]

    def inflow(self) -> list[list[tuple[int, Operand]]]:
        return [list(zip(self.body.inputs, self.ins, strict=True))]

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        key = self.folded(key)
        again = jax.checkpoint(
            lambda values: self.body.run(values, key, ctx),
            prevent_cse=self.eqn.params["prevent_cse"],
            policy=self.eqn.params["policy"],
        )
        return again([read(o) for o in self.ins])


@dataclasses.dataclass(frozen=True)
class Branch(AbstractNode):
    """`lax.cond` or `lax.switch` with products in a branch. `ins` are the index and the operands."""

    uid: int
    eqn: JaxprEqn
    branches: tuple[Plan, ...]
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return self.branches

    def with_bodies(self, bodies: tuple[Plan, ...]) -> AbstractNode:
        return dataclasses.replace(self, branches=bodies)

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        used = [body.inputs_used(mapped) for body in self.branches]
        return [self.ins[0], *(o for i, o in enumerate(self.ins[1:]) if any(u[i] for u in used))]

    def inflow(self) -> list[list[tuple[int, Operand]]]:
        return [list(zip(b.inputs, self.ins[1:], strict=True)) for b in self.branches]

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        index, *values = (read(o) for o in self.ins)
        noise = None if key is None else jax.random.fold_in(key, self.uid)
        calls = [lambda b=b: b.run(values, noise, ctx) for b in self.branches]
        nothing: Watched = {}
        for call in calls:
            nothing.update(_zeros(lambda call=call: call()[1]))

        def with_all(call):
            outs, seen = call()
            return _typed(outs, [v.aval for v in self.eqn.outvars]), {**nothing, **seen}

        return lax.switch(index, [lambda call=call: with_all(call) for call in calls])

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return max((body.work(mapped, streams) for body in self.branches), key=lambda w: w.total)

    @property
    def kernels(self) -> int:
        return sum(body.kernels for body in self.branches)


def _typed(values: Sequence[Any], avals: Sequence[Any]) -> list[Any]:
    """Values with exactly the dtypes that the original loop or branch carries."""
    extended = lambda aval: jnp.issubdtype(aval.dtype, jax.dtypes.extended)  # noqa: E731
    return [v if extended(a) else jnp.asarray(v, a.dtype) for v, a in zip(values, avals, strict=True)]


def _zeros(f: Callable[[], Any]) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(f))


def _fold(merge: Callable[[Array, Array], Array], steps: Array) -> Array:
    return lax.scan(lambda total, step: (merge(total, step), None), jnp.zeros_like(steps[0]), steps)[0]
