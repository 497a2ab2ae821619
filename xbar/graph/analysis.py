"""What is stationary, what streams: a data-flow analysis of a jaxpr.

Every value gets a level: constant, stationary (depends on parameters only) or streaming (depends on inputs). A matrix
product of a stationary with a streaming operand can sit on a crossbar; everything stationary before it (transposes,
scaling, weight norm) happens once, when the crossbar is programmed.

Calls (`jit`, `custom_jvp`, ...) that hold such a product are inlined, so that a custom derivative of theirs is replaced by
the derivative of what they do; others are kept whole. A scan steps through stacked weights as through a stack of
arrays, and reads one array again and again if the weight is the same in each step.
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
from xbar.graph.products import Convolution, DotProduct, Product, convolution, dot_product

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "core_closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def analyse(
    jaxpr: ClosedJaxpr,
    n_params: int,
    paths: Sequence[str],
    out_tree: Any = None,
    stacks: Mapping[int, tuple[int, ...]] | None = None,
) -> Traced:
    """Marks the stationary products of a traced function.

    Args:
        jaxpr: the function's jaxpr; its first `n_params` inputs are the parameter leaves.
        paths: a name for each parameter leaf.
        stacks: for each leaf that leads a stack of leaves, all of them in order.
    """
    return _Analysis(paths, [aval.size for aval in jaxpr.in_avals], stacks or {}).trace(jaxpr, n_params, out_tree)


class _Analysis:
    """The state of one analysis. Blocks that turn out to hold no product are taken back (`_mark`, `_rewind`)."""

    def __init__(self, paths: Sequence[str], sizes: Sequence[int], stacks: Mapping[int, tuple[int, ...]]):
        self.paths, self.sizes, self.stacks = paths, sizes, stacks
        self.values: list[Value] = []
        self.layers: list[Layer] = []
        self.index: dict[Hashable, int] = {}
        self.digital: list[Digital] = []
        self.lengths: dict[int, int] = {}
        self.uids = 0

    def trace(self, jaxpr: ClosedJaxpr, n_params: int, out_tree: Any) -> Traced:
        inputs = [
            Value(Level.STATIONARY, frozenset([i]), (), ("leaf", i)) if i < n_params else _streaming(("input", i))
            for i in range(len(jaxpr.in_avals))
        ]
        plan = self.block(jaxpr, inputs)
        n_out = sum(getattr(aval, "size", 0) for aval in jaxpr.out_avals)
        digital = tuple(dict.fromkeys(self.digital))
        return Traced(plan, tuple(self.values), tuple(self.layers), digital, n_params, n_out, out_tree)

    # -- values ---------------------------------------------------------------------------------------------------

    def new(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def uid(self) -> int:
        self.uids += 1
        return self.uids

    def of(self, operand: Operand) -> Value:
        if isinstance(operand, Constant):
            return Value(Level.CONSTANT, frozenset(), (), _number_of_constant(operand.value))
        return self.values[operand]

    def merged(self, operands: Sequence[Operand], number: Hashable) -> Value:
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
        env.update(zip(closed.jaxpr.constvars, (Constant(c) for c in closed.consts), strict=True))
        read = lambda atom: Constant(atom.val) if isinstance(atom, Literal) else env[atom]  # noqa: E731
        for eqn in closed.jaxpr.eqns:
            outs = self.equation(eqn, tuple(read(a) for a in eqn.invars), nodes)
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(a) for a in closed.jaxpr.outvars]

    def equation(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[Operand]:
        name = eqn.primitive.name
        streaming = any(self.of(o).level is Level.STREAMING for o in ins)
        handler: Callable | None = None
        if streaming:
            handler = {
                "dot_general": self.multiply,
                "conv_general_dilated": self.multiply,
                "scan": self.scan,
                "while": self.loop,
                "cond": self.branch,
                "checkpoint": self.remat,
                "remat": self.remat,
                "remat2": self.remat,
            }.get(name, self.call if name in _CALLS else None)
        if handler is not None:
            mark = self._mark(nodes)
            outs = handler(eqn, ins, nodes)
            if outs is not None:
                return outs
            self._rewind(mark, nodes)
        return self.plain(eqn, ins, nodes)

    def plain(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int]:
        params = _hashable(eqn.params)
        number = None if params is None else (eqn.primitive.name, params, tuple(self.of(o).number for o in ins))
        outs = []
        for i in range(len(eqn.outvars)):
            value = self.merged(ins, object() if number is None else (number, i))
            outs.append(self.new(_streaming(value.number) if eqn.effects else value))
        nodes.append(Equation(eqn, ins, tuple(outs)))
        return outs

    def _mark(self, nodes: list[AbstractNode]) -> tuple[int, ...]:
        return len(nodes), len(self.layers)

    def _rewind(self, mark: tuple[int, ...], nodes: list[AbstractNode]) -> None:
        """Drops nodes and layers; values and digital products that were seen may stay, they harm nobody."""
        del nodes[mark[0] :]
        del self.layers[mark[1] :]
        self.index = {key: i for key, i in self.index.items() if i < mark[1]}

    def streaming_outs(self, eqn: JaxprEqn) -> tuple[int, ...]:
        return tuple(self.new(_streaming(object())) for _ in eqn.outvars)

    # -- products -------------------------------------------------------------------------------------------------

    def multiply(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        shapes = tuple(map(_shape, eqn.invars))
        levels = [self.of(o).level for o in ins]
        side = levels.index(Level.STATIONARY) if Level.STATIONARY in levels else None
        product = None
        if side is not None:
            is_dot = eqn.primitive.name == "dot_general"
            product = (
                dot_product(eqn.params, side, shapes)
                if is_dot
                else convolution(eqn.params, shapes, _shape(eqn.outvars[0]))
            )
        reason = _why_digital(eqn, levels, side, product)
        if reason or product is None or side is None:
            self.digital.append(Digital(eqn.primitive.name, shapes, reason or ""))
            return None
        out = self.new(_streaming(object()))
        nodes.append(Multiply(self.uid(), self.layer(ins[side], product), product, eqn, ins[1 - side], ins[side], out))
        return (out,)

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
        """The largest parameter that a weight is made from."""
        return max(sorted(leaves), key=lambda i: self.sizes[i])

    def _numbered(self, path: str) -> str:
        """A path, numbered if it was used in another way before."""
        uses = sum(path in (name.split(" #")[0] for name in (layer.path, *layer.paths)) for layer in self.layers)
        return path if not uses else f"{path} #{uses + 1}"

    # -- calls, loops, branches -----------------------------------------------------------------------------------

    def call(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[Operand] | None:
        start = len(nodes)
        outs = self.inline(_closed(eqn.params[_CALLS[eqn.primitive.name]]), ins, nodes)
        return outs if _holds_product(nodes[start:]) else None

    def scan(self, eqn: JaxprEqn, ins: tuple[Operand, ...], nodes: list[AbstractNode]) -> Sequence[int] | None:
        body, uid = eqn.params["jaxpr"], self.uid()
        n_const, n_carry = scan_counts(eqn)
        self.lengths[uid] = eqn.params["length"]
        known = [self.of(o) for o in ins]
        invariant = _invariant(body.jaxpr, n_const, n_carry)
        inputs = [
            v if i < n_const or (i < n_const + n_carry and invariant[i - n_const]) else _stepped(v, uid, i)
            for i, v in enumerate(known)
        ]
        while True:
            mark = self._mark(nodes)
            plan = self.block(body, inputs)
            settled = self._settle(inputs, plan, n_const, invariant)
            if settled == inputs:
                break
            self._rewind(mark, nodes)
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
        inputs = [v if i < n_body or invariant[i - n_body] else _streaming(object()) for i, v in enumerate(known)]
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


def _streaming(number: Hashable) -> Value:
    return Value(Level.STREAMING, frozenset(), (), number)


def _stepped(value: Value, scan: int, position: int) -> Value:
    """A value that a scan changes from step to step."""
    return dataclasses.replace(value, scans=(*value.scans, scan), number=("step", scan, position))


def _invariant(body: Jaxpr, n_const: int, n_carry: int) -> tuple[bool, ...]:
    """Which carried values the body of a loop hands on untouched."""
    return tuple(body.outvars[i] is body.invars[n_const + i] for i in range(n_carry))


def _closed(jaxpr: ClosedJaxpr | Jaxpr) -> ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())


def _holds_product(nodes: Sequence[AbstractNode]) -> bool:
    return any(node.holds_product for node in nodes)


def _aval(atom: Any) -> Any:
    return atom.aval


def _shape(atom: Any) -> tuple[int, ...]:
    return tuple(_aval(atom).shape)


def _why_digital(eqn: JaxprEqn, levels: list[Level], side: int | None, product: Product | None) -> str | None:
    """Why a product cannot sit on a crossbar, or None if it can."""
    if levels[0] is levels[1] is Level.STREAMING:
        return "both operands depend on the inputs"
    if side is None or product is None:
        return "the fixed operand holds no parameter"
    if not all(jnp.issubdtype(_aval(a).dtype, jnp.floating) for a in eqn.invars):
        return "not real floating-point numbers"
    if isinstance(product, DotProduct) and not product.w_contract:
        return "an outer product: nothing is summed"
    if isinstance(product, Convolution) and side == 0:
        return "the image, not the kernel, is the parameter"
    if isinstance(product, Convolution) and eqn.params["batch_group_count"] != 1:
        return "batch groups are not mapped"
    if 0 in product.sizes:
        return "empty"
    return None


def _hashable(params: dict[str, Any]) -> Hashable | None:
    try:
        key = tuple(sorted(params.items(), key=lambda item: item[0]))
        hash(key)
    except TypeError:
        return None
    return key


def _number_of_constant(value: Any) -> Hashable:
    """Scalars are equal by value, everything else by identity (the jaxpr keeps it alive)."""
    dtype = getattr(value, "dtype", np.dtype(type(value)) if isinstance(value, bool | int | float) else None)
    if dtype is None or isinstance(value, Tracer) or np.ndim(value) > 0:
        return ("object", id(value))
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return ("object", id(value))
    return ("scalar", str(dtype), np.asarray(value).item())
