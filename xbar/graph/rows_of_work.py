"""The digital work of a plan row by row: what stands between one product and the next, named after what it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from jax.extend.core import JaxprEqn

from xbar.graph.control_flow import Branch, Scan, While
from xbar.graph.nodes import Equation, Level, Multiply, Plan, Traced
from xbar.graph.work import Work, inner_jaxprs, work_of

_CALLS = (
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vmap_call",
    "checkpoint",
)
NEURONS = "neurons"  # the name of a row that is steps of spiking neurons
NEURON_STEP = "neuron_step"  # and the call that is one (`xbar.spiking.neurons`)
# What a row is, by the primitives in it (all of one set); the first that fits names it.
_KINDS = (
    ("softmax", ({"exp", "exp2"}, {"reduce_sum", "cumsum", "reduce_max"}, {"div", "log"})),
    ("normalisation", ({"rsqrt", "sqrt"},)),
    ("pooling", ({"reduce_window_max", "reduce_window_sum", "reduce_window", "reduce_window_min"},)),
    ("activation", ({"max", "min", "select_n", "clamp", "tanh", "logistic", "erf", "exp", "square", "integer_pow"},)),
    ("sum", ({"add", "sub", "mul", "reduce_sum", "div", "add_any"},)),
)


@dataclasses.dataclass(frozen=True)
class DigitalRow:
    """Digital work between two products.

    Args:
        what: "neurons" (of spiking networks), "attention" (a product of two streams), "product" (one that could be on an
            array, or holds constants), "softmax", "normalisation", "pooling", "activation", "sum", or "moves".
        after: number of the layer on arrays whose outputs it works on; None before the first.
        work: of one call.
    """

    what: str
    after: int | None
    work: Work


def digital_rows(traced: Traced, plan: Plan, mapped: frozenset[int]) -> tuple[DigitalRow, ...]:
    """The digital work of one call of a pruned plan, in order; equal kinds after one layer are one row. Together they are
    `Traced.digital_work`."""
    rows: dict[tuple[str, int | None], Work] = {}
    for what, after, work in _Walk(traced, mapped).rows(plan):
        if work.total or work.elements_moved or work.operands or work.unbounded:
            rows[what, after] = rows.get((what, after), Work()) + work
    return tuple(DigitalRow(what, after, work) for (what, after), work in rows.items())


class _Walk:
    """Goes through a plan; remembers the last layer that was read."""

    def __init__(self, traced: Traced, mapped: frozenset[int]):
        self.traced, self.mapped = traced, mapped
        self.after: int | None = None
        self.work, self.seen = Work(), set[str]()

    def streams(self, value: int) -> bool:
        return self.traced.values[value].level is Level.STREAMING

    def flush(self) -> Iterator[tuple[str, int | None, Work]]:
        """What has accumulated since the last product."""
        work, seen = self.work, self.seen
        self.work, self.seen = Work(), set()
        kind = next((name for name, sets in _KINDS if all(seen & some for some in sets)), "moves")
        yield kind, self.after, work

    def rows(self, plan: Plan) -> Iterator[tuple[str, int | None, Work]]:
        yield from self._inside(plan)
        yield from self.flush()

    def _inside(self, plan: Plan) -> Iterator[tuple[str, int | None, Work]]:
        for node in plan.nodes:
            if isinstance(node, Multiply):
                yield from self.flush()
                if node.layer in self.mapped:
                    self.after = node.layer
                else:
                    yield "product", self.after, node.work(self.mapped, self.streams)
            elif isinstance(node, Equation):
                if any(map(self.streams, node.outs)):
                    yield from self._equation(node.eqn)
            elif node.bodies:
                yield from self.flush()
                yield from self._bodies(node)

    def _bodies(self, node: Any) -> Iterator[tuple[str, int | None, Work]]:
        times = node.eqn.params["length"] if isinstance(node, Scan) else 1
        bodies = node.bodies
        if isinstance(node, Branch):
            bodies = (max(bodies, key=lambda body: body.work(self.mapped, self.streams).total),)
        for body in bodies:
            yield from ((what, after, times * work) for what, after, work in self.rows(body))
        if isinstance(node, While):
            yield "moves", self.after, Work(unbounded=True)

    def _equation(self, eqn: JaxprEqn) -> Iterator[tuple[str, int | None, Work]]:
        work, name = work_of(eqn), eqn.primitive.name
        inner = next(inner_jaxprs(eqn.params), None) if name in _CALLS else None
        if work.mac_ops and inner is not None:
            for inside in inner.jaxpr.eqns:
                yield from self._equation(inside)
            return
        if work.mac_ops:
            yield from self.flush()
            yield "attention", self.after, work
            return
        if inner is not None and eqn.params.get("name") == NEURON_STEP:
            yield from self.flush()
            yield NEURONS, self.after, work
            return
        self.work = self.work + work
        self.seen |= names_inside(eqn)


def names_inside(eqn: JaxprEqn) -> set[str]:
    """Names of the primitives that an equation is made of."""
    found = {eqn.primitive.name}
    for closed in inner_jaxprs(eqn.params):
        for inside in closed.jaxpr.eqns:
            found |= names_inside(inside)
    return found
