"""The matrices that are programmed: what of a graph can be known before it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from xbar.graph.control_flow import Scan
from xbar.graph.nodes import Constant, Equation, Level, Operand, Plan, Traced, evaluate


def weights(
    traced: Traced, leaves: Sequence[Array], captured: Sequence[Any], mapped: frozenset[int]
) -> dict[int, Array]:
    """The matrices `[*stack, groups, k, n]` of the layers in `mapped`, from the parameter leaves and captured arrays."""
    known = {i: (lambda leaf=leaf: leaf) for i, leaf in zip(traced.plan.inputs, leaves, strict=False)}
    return _Evaluator(traced, captured, traced.plan, known).collect(mapped, frozenset())


class _Evaluator:
    """Evaluates on demand what a plan can know before it runs."""

    def __init__(self, traced: Traced, captured: Sequence[Any], plan: Plan, known: dict[int, Callable[[], Any]]):
        self.traced, self.captured, self.plan, self.known = traced, captured, plan, known
        self.memo: dict[int, Any] = {}
        self.producer = {o: node for node in plan.nodes if isinstance(node, Equation) for o in node.outs}

    def get(self, operand: Operand) -> Any:
        """The value of an operand. Not recursive: arithmetic on a weight may be deeper than Python's stack."""
        if isinstance(operand, Constant):
            return operand.among(self.captured)
        waiting = [operand]
        while waiting:
            missing = self._step(waiting[-1])
            waiting.extend(missing)
            if not missing:
                waiting.pop()
        return self.memo[operand]

    def _step(self, operand: int) -> list[int]:
        """Evaluates an operand, or gives those that must come first."""
        if operand in self.memo:
            return []
        if operand in self.known:
            self.memo[operand] = self.known[operand]()
            return []
        node = self.producer[operand]
        missing = [o for o in node.ins if not isinstance(o, Constant) and o not in self.memo]
        if not missing:
            values = [o.among(self.captured) if isinstance(o, Constant) else self.memo[o] for o in node.ins]
            self.memo.update(zip(node.outs, evaluate(node.eqn, values), strict=True))
        return missing

    def available(self, operand: Operand, active: frozenset[int]) -> bool:
        if isinstance(operand, Constant):
            return True
        value = self.traced.values[operand]
        return value.level < Level.STREAMING and active.issuperset(value.scans)

    def collect(self, mapped: frozenset[int], active: frozenset[int]) -> dict[int, Array]:
        """The matrices that can be known while the scans in `active` stand at one step."""
        found: dict[int, Array] = {}
        for node in self.plan.nodes:
            if not node.bodies:
                for m in node.multiplies():
                    scans = self.traced.layers[m.layer].scans
                    if m.layer in mapped and m.layer not in found and active.issuperset(scans):
                        found[m.layer] = m.product.matrix(_real(self.get(m.w)))
                continue
            for body, pairs in zip(node.bodies, node.inflow(), strict=True):
                inner = _Evaluator(self.traced, self.captured, body, self.thunks(pairs, active))
                found = {**inner.collect(mapped, active), **found}
                if isinstance(node, Scan):
                    found.update(self.stepped(node, inner, mapped, active))
        return found

    def thunks(self, pairs: Sequence[tuple[int, Operand]], active: frozenset[int]) -> dict[int, Callable[[], Any]]:
        return {i: (lambda o=o: self.get(o)) for i, o in pairs if self.available(o, active)}

    def stepped(
        self, node: Scan, fixed: _Evaluator, mapped: frozenset[int], active: frozenset[int]
    ) -> dict[int, Array]:
        """Matrices that change from step to step of a scan, stacked over its steps."""
        inside = active | {node.uid}
        wanted = frozenset(
            i
            for i in node.body.layers & mapped
            if node.uid in (scans := self.traced.layers[i].scans) and inside.issuperset(scans[: scans.index(node.uid)])
        )
        if not wanted:
            return {}
        n_const, n_carry = node.counts
        known_before = lambda i: self.traced.values[node.body.inputs[i]].level < Level.STREAMING  # noqa: E731
        carried = [i for i in range(n_carry) if not node.invariant[i] and known_before(n_const + i)]
        streams = [i for i in range(n_const + n_carry, len(node.ins)) if known_before(i)]

        def step(carry, xs):
            ids = [node.body.inputs[n_const + i] for i in carried] + [node.body.inputs[i] for i in streams]
            now = {i: (lambda v=v: v) for i, v in zip(ids, (*carry, *xs), strict=True)}
            at_step = _Evaluator(self.traced, self.captured, node.body, {**fixed.known, **now})
            found = at_step.collect(wanted, inside)
            return [at_step.get(node.body.outputs[i]) for i in carried], found

        init = [jnp.asarray(self.get(node.ins[n_const + i])) for i in carried]
        xs = [self.get(node.ins[i]) for i in streams]
        return lax.scan(step, init, xs, length=node.eqn.params["length"], reverse=node.eqn.params["reverse"])[1]


def _real(w: Array) -> Array:
    """Integers and booleans as the numbers that cells hold."""
    return w if jnp.issubdtype(w.dtype, jnp.floating) else jnp.asarray(w, jnp.float32)
