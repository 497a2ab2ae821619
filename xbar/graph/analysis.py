"""What is stationary, what streams: a data-flow analysis of a jaxpr.

Every value gets a level: constant, stationary (depends on parameters only) or streaming (depends on inputs). A matrix
product of a stationary with a streaming operand can sit on a crossbar; everything stationary before it (transposes,
scaling, weight norm) happens once, when the crossbar is programmed.

Calls (`jit`, `custom_jvp`, `custom_vmap`, ...) that hold such a product are inlined, so that their custom derivatives
and batching rules are replaced by those of what they compute; others are kept whole. A scan steps through stacked
weights as through a stack of arrays, and reads one array again and again if the weight is the same in each step.
Products inside any other equation are listed as digital, whatever it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from xbar.graph.control_flow import Branch, Remat, Scan, While, scan_counts
from xbar.graph.digital import is_product, products_inside, shapes_of, why_digital
from xbar.graph.nodes import (
    AbstractNode,
    Constant,
    Digital,
    Equation,
    Layer,
    Level,
    Multiply,
    Operand,
    Plan,
    Traced,
    Value,
)
from xbar.graph.products import Product, convolution, dot_product
from xbar.graph.work import inner_jaxprs

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "core_closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
    "composite": "jaxpr",
}


def analyse(
    jaxpr: ClosedJaxpr,
    n_params: int,
    paths: Sequence[str],
    out_tree: Any = None,
    stacks: Mapping[int, tuple[int, ...]] | None = None,
    held: int = 0,
) -> Traced:
    """Marks the stationary products of a traced function.

    Args:
        jaxpr: the function's jaxpr; its first `n_params` inputs are the parameter leaves.
        paths: a name for each parameter leaf.
        stacks: for each leaf that leads a stack of leaves, all of them in order.
        held: how many of its last inputs are arrays that the function holds, constants like those that it closes over.
    """
    return _Analysis(paths, jaxpr.in_avals, stacks or {}, held).trace(jaxpr, n_params, out_tree)


class _Analysis:
    """The state of one analysis. Blocks that turn out to hold no product are taken back (`_mark`, `_rewind`)."""

    def __init__(self, paths: Sequence[str], avals: Sequence[Any], stacks: Mapping[int, tuple[int, ...]], held: int):
        self.paths, self.avals, self.stacks, self.held = paths, avals, stacks, held
        self.values: list[Value] = []
        self.layers: list[Layer] = []
        self.index: dict[Hashable, int] = {}
        self.digital: list[Digital] = []
        self.lengths: dict[int, int] = {}
        self.constants: dict[int, tuple[int, Any]] = {}
        self.numbers: dict[Hashable, int] = {}
        self.uids = 0

    def trace(self, jaxpr: ClosedJaxpr, n_params: int, out_tree: Any) -> Traced:
        n = len(jaxpr.in_avals) - self.held
        ids = [self.new(self.leaf(i) if i < n_params else self.streaming()) for i in range(n)]
        nodes: list[AbstractNode] = []
        outputs = self.inline(jaxpr, [*ids, *(Constant(captured=i) for i in range(self.held))], nodes)
        plan = Plan(tuple(ids), tuple(nodes), tuple(outputs))
        n_out = sum(getattr(aval, "size", 0) for aval in jaxpr.out_avals)
        constants = tuple(_on_device(value) for _, value in self.constants.values())
        digital = tuple(dict.fromkeys(self.digital))
        return Traced(plan, tuple(self.values), tuple(self.layers), digital, constants, n_params, n_out, out_tree)

    # -- values ---------------------------------------------------------------------------------------------------

    def new(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def uid(self) -> int:
        self.uids += 1
        return self.uids

    def number(self, key: Hashable) -> int:
        """One number for equal keys; keys are made of numbers, so that they do not grow with what they stand for."""
        return self.numbers.setdefault(key, len(self.numbers))

    def leaf(self, i: int) -> Value:
        return Value(Level.STATIONARY, frozenset([i]), (), self.number(("leaf", i)))

    def streaming(self) -> Value:
        """A value that depends on the inputs, equal to no other."""
        return Value(Level.STREAMING, frozenset(), (), self.number(object()))

    def constant(self, value: Any) -> Constant:
        """A scalar as it is, an array as its place among what the function captures."""
        if not isinstance(value, Tracer | jax.Array) and np.ndim(value) == 0:
            return Constant(value)
        place = self.held + len(self.constants)
        return Constant(captured=self.constants.setdefault(id(value), (place, value))[0])  # the jaxpr keeps ids valid

    def of(self, operand: Operand) -> Value:
        if not isinstance(operand, Constant):
            return self.values[operand]
        if operand.captured is not None:
            key: Hashable = ("captured", operand.captured)
        else:
            key = ("scalar", str(jnp.result_type(operand.value)), str(operand.value))
        return Value(Level.CONSTANT, frozenset(), (), self.number(key))

    def merged(self, operands: Sequence[Operand], number: int) -> Value:
        """The value of something computed from all of `operands`."""
        known = [self.of(o) for o in operands]
        level = max((v.level for v in known), default=Level.CONSTANT)
        leaves = frozenset().union(*(v.leaves for v in known))
        scans = tuple(sorted(set().union(*(v.scans for v in known))))
        return Value(level, leaves, scans, number)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def block(self, closed: ClosedJaxpr, inputs: Sequence[Value]) -> Plan:
        """A jaxpr with a scope of its own: the whole function, or the body of a loop."""
        ids = [self.new(v) for v in inputs]
        nodes: list[AbstractNode] = []
        outputs = self.inline(closed, ids, nodes)
        return Plan(tuple(ids), tuple(nodes), tuple(outputs))

    def inline(self, closed: ClosedJaxpr, ins: Sequence[Operand], nodes: list[AbstractNode]) -> list[Operand]:
        """Appends a jaxpr's equations to `nodes`; returns what its outputs are."""
        env: dict[Any, Operand] = dict(zip(closed.jaxpr.invars, ins, strict=True))
        env.update(zip(closed.jaxpr.constvars, map(self.constant, closed.consts), strict=True))
        read = lambda atom: self.constant(atom.val) if isinstance(atom, Literal) else env[atom]  # noqa: E731
        for eqn in closed.jaxpr.eqns:
            outs = self.equation(eqn, tuple(read(a) for a in eqn.invars), nodes)
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(a) for a in closed.jaxpr.outvars]

    def equation(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[Operand]:
        streaming = any(self.of(o).level is Level.STREAMING for o in ins)
        if streaming:
            handler = self.handler(eqn)
            mark = self._mark(nodes)
            outs = handler(eqn, ins, nodes)
            if outs is not None:
                return outs
            self._rewind(mark, nodes)
        return self.plain(eqn, ins, nodes)

    def handler(self, eqn: JaxprEqn) -> Callable[..., Sequence[Operand] | None]:
        """What maps the products of an equation; it gives None where there are none."""
        name = eqn.primitive.name
        if is_product(eqn):
            return self.multiply
        if name in _CALLS:
            return self.call
        loops = {"scan": self.scan, "while": self.loop, "cond": self.branch}
        remats = dict.fromkeys(("checkpoint", "remat", "remat2"), self.remat)
        return {**loops, **remats}.get(name, self.unknown)

    def plain(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int]:
        params = _hashable(eqn.params)
        key = object() if params is None else (eqn.primitive.name, params, tuple(self.of(o).number for o in ins))
        number = self.number(key)
        outs = []
        for i in range(len(eqn.outvars)):
            value = self.merged(ins, self.number(("out", number, i)))
            outs.append(self.new(dataclasses.replace(self.streaming(), number=value.number) if eqn.effects else value))
        nodes.append(Equation(eqn, ins, tuple(outs)))
        return outs

    def _mark(self, nodes: list[AbstractNode]) -> tuple[int, ...]:
        return len(nodes), len(self.layers)

    def _rewind(self, mark: tuple[int, ...], nodes: list[AbstractNode]) -> None:
        """Drops nodes and layers; values and digital products that were seen may stay, they do no harm."""
        del nodes[mark[0] :]
        del self.layers[mark[1] :]
        self.index = {key: i for key, i in self.index.items() if i < mark[1]}

    def streaming_outs(self, eqn: JaxprEqn) -> tuple[int, ...]:
        return tuple(self.new(self.streaming()) for _ in eqn.outvars)

    # -- products -------------------------------------------------------------------------------------------------

    def multiply(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        levels = [self.of(o).level for o in ins]
        side = levels.index(Level.STATIONARY) if Level.STATIONARY in levels else None
        product = None if side is None else _product(eqn, side)
        reason = why_digital(eqn, levels, side, product)
        if reason or product is None or side is None:
            self.stays_digital(eqn, ins, *(reason or ("", True)))
            return None
        out = self.new(self.streaming())
        nodes.append(Multiply(self.uid(), self.layer(ins[side], product), product, eqn, ins[1 - side], ins[side], out))
        return (out,)

    def stays_digital(self, eqn: JaxprEqn, ins: Sequence[Operand], reason: str, surprising: bool) -> None:
        known = [self.of(o) for o in ins]
        leaves = frozenset().union(*(v.leaves for v in known if v.level is Level.STATIONARY))
        path = self.paths[self._largest(leaves)] if leaves else None
        self.digital.append(Digital(eqn.primitive.name, shapes_of(eqn), reason, path, surprising))

    def layer(self, weight: Operand, product: Product) -> int:
        """The layer that holds this weight in this layout; a new one at its first use."""
        value = self.of(weight)
        key = (value.number, product.layout)
        if key not in self.index:
            self.index[key] = len(self.layers)
            lengths = tuple(self.lengths[s] for s in value.scans)
            named = self._largest(value.leaves)
            stack = next((s for s in self.stacks.values() if named in s), ())
            paths = tuple(self._numbered(self.paths[i]) for i in stack) if lengths[:1] == (len(stack),) else ()
            self.layers.append(
                Layer(self._numbered(self.paths[named]), product, value.leaves, value.scans, lengths, paths)
            )
        return self.index[key]

    def _largest(self, leaves: frozenset[int]) -> int:
        """The largest parameter that a weight is made from; masks and indices give a name only to what has no other."""
        real = lambda i: jnp.issubdtype(self.avals[i].dtype, jnp.inexact)  # noqa: E731
        return max(sorted(leaves), key=lambda i: (real(i), self.avals[i].size))

    def _numbered(self, path: str) -> str:
        """A path, numbered if it was used in another way before."""
        uses = sum(path in (name.split(" #")[0] for name in (layer.path, *layer.paths)) for layer in self.layers)
        return path if not uses else f"{path} #{uses + 1}"

    # -- calls, loops, branches -----------------------------------------------------------------------------------

    def call(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[Operand] | None:
        start, name = len(nodes), eqn.primitive.name
        closed = _closed(eqn.params.get(_CALLS[name]) or next(inner_jaxprs(eqn.params)))
        outs = self.inline(closed, ins, nodes)
        captures = name in ("jit", "pjit") and bool(closed.consts)  # inlined, they are passed and not compiled in
        return outs if captures or _holds_product(nodes[start:]) else None

    def scan(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        body, uid = eqn.params["jaxpr"], self.uid()
        n_const, n_carry = scan_counts(eqn)
        self.lengths[uid] = eqn.params["length"]
        known = [self.of(o) for o in ins]
        invariant = _invariant(body.jaxpr, n_const, n_carry)
        inputs = [
            v if i < n_const or (i < n_const + n_carry and invariant[i - n_const]) else self.stepped(v, uid, i)
            for i, v in enumerate(known)
        ]
        while True:
            mark, seen = self._mark(nodes), len(self.digital)
            plan = self.block(body, inputs)
            settled = self._settle(inputs, plan, n_const, invariant)
            if settled == inputs:
                break
            self._rewind(mark, nodes)
            del self.digital[seen:]  # seen with levels that were too low
            inputs = settled
        if not _holds_product(plan.nodes):
            return None
        outs = self.streaming_outs(eqn)
        nodes.append(Scan(uid, eqn, plan, ins, outs, invariant))
        return outs

    def _settle(self, inputs: list[Value], plan: Plan, n_const: int, invariant: Sequence[bool]) -> list[Value]:
        """Raises each carried value to what the body makes of it."""
        settled = list(inputs)
        for i, fixed in enumerate(invariant):
            before, after = inputs[n_const + i], self.of(plan.outputs[i])
            if not fixed:
                level, leaves = max(before.level, after.level), before.leaves | after.leaves
                settled[n_const + i] = dataclasses.replace(before, level=level, leaves=leaves)
        return settled

    def loop(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        body, n_cond, n_body = (
            eqn.params["body_jaxpr"],
            eqn.params["cond_nconsts"],
            eqn.params["body_nconsts"],
        )
        known = [self.of(o) for o in ins[n_cond:]]
        invariant = _invariant(body.jaxpr, n_body, len(known) - n_body)
        inputs = [v if i < n_body or invariant[i - n_body] else self.streaming() for i, v in enumerate(known)]
        conditions = [*(self.of(o) for o in ins[:n_cond]), *inputs[n_body:]]
        self.list_inside(eqn.params["cond_jaxpr"], conditions, "in the condition of a while loop")
        plan = self.block(body, inputs)
        if not _holds_product(plan.nodes):
            return None
        outs = self.streaming_outs(eqn)
        nodes.append(While(self.uid(), eqn, plan, ins, outs))
        return outs

    def branch(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        known = [self.of(o) for o in ins[1:]]
        plans = tuple(self.block(b, known) for b in eqn.params["branches"])
        if not any(_holds_product(p.nodes) for p in plans):
            return None
        outs = self.streaming_outs(eqn)
        nodes.append(Branch(self.uid(), eqn, plans, ins, outs))
        return outs

    def remat(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        plan = self.block(_closed(eqn.params["jaxpr"]), [self.of(o) for o in ins])
        if not _holds_product(plan.nodes):
            return None
        outs = self.streaming_outs(eqn)
        nodes.append(Remat(self.uid(), eqn, plan, ins, outs))
        return outs

    def unknown(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> None:
        """Lists the products inside an equation that is evaluated as it stands."""
        known = [self.of(o) for o in ins]
        for closed in inner_jaxprs(eqn.params):
            if len(closed.jaxpr.invars) == len(ins):
                self.list_inside(closed, known, f"inside {eqn.primitive.name}")
                continue
            for product in products_inside(closed):  # whose operands are anybody's guess
                fixed = any(v.level is Level.STATIONARY for v in known)
                self.stays_digital(product, ins, f"inside {eqn.primitive.name}", surprising=fixed)

    def list_inside(self, closed: ClosedJaxpr, inputs: Sequence[Value], where: str) -> None:
        """Lists the products of a function that could be mapped elsewhere."""
        mark = self._mark([])
        plan = self.block(closed, inputs)
        for m in plan.multiplies():
            path = self.paths[self._largest(self.layers[m.layer].leaves)]
            self.digital.append(Digital(m.eqn.primitive.name, shapes_of(m.eqn), where, path, surprising=True))
        self._rewind(mark, [])

    def stepped(self, value: Value, scan: int, position: int) -> Value:
        """A value that a scan changes from step to step."""
        number = self.number(("step", scan, position))
        return dataclasses.replace(value, scans=(*value.scans, scan), number=number)


def _invariant(body: Jaxpr, n_const: int, n_carry: int) -> tuple[bool, ...]:
    """Which carried values the body of a loop passes on unchanged."""
    return tuple(body.outvars[i] is body.invars[n_const + i] for i in range(n_carry))


def _closed(jaxpr: ClosedJaxpr | Jaxpr) -> ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())


def _holds_product(nodes: Sequence[AbstractNode]) -> bool:
    return any(node.holds_product for node in nodes)


def _product(eqn: JaxprEqn, side: int) -> Product | None:
    """The layout of a product whose operand number `side` is the matrix; None for a kind that is not mapped."""
    if eqn.primitive.name == "dot_general":
        return dot_product(eqn.params, side, shapes_of(eqn))
    if eqn.primitive.name == "conv_general_dilated":
        result: Any = eqn.outvars[0].aval
        return convolution(eqn.params, shapes_of(eqn), tuple(result.shape))
    return None


def _hashable(params: dict[str, Any]) -> Hashable | None:
    try:
        key = tuple(sorted(params.items(), key=lambda item: item[0]))
        hash(key)
    except TypeError:
        return None
    return key


def _on_device(value: Any) -> Any:
    """An array as JAX holds it: one of NumPy's would be copied at every call."""
    if isinstance(value, Tracer | jax.Array):
        return value
    with jax.ensure_compile_time_eval():
        return jnp.asarray(value)
