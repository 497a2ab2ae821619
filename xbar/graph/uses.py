"""Where a plan reads each array, and how often: every product with the loops around it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from devices._numerics import at_least_float32
from xbar.graph.control_flow import Scan, While
from xbar.graph.nodes import Constant, Multiply, Plan


@dataclasses.dataclass(frozen=True)
class Use:
    """One product of a plan with an array.

    Args:
        uid: of the product. layer: whose array it reads.
        scans, lengths: the loops around it, outermost first, and how many steps each makes.
        vectors: (groups, vectors, k) of one read. n: outputs of a vector. dtype: of the vectors.
        backward: whether its input depends on parameters, so that an error is propagated back through the array.
    """

    uid: int
    layer: int
    scans: tuple[int, ...]
    lengths: tuple[int, ...]
    vectors: tuple[int, int, int]
    n: int
    dtype: Any
    backward: bool


def uses_of(plan: Plan, mapped: frozenset[int], parameters: int) -> list[Use]:
    """All reads of the layers in `mapped`, in the order of the program.

    Args:
        plan: a pruned one. parameters: how many of its first inputs are parameters.

    Raises:
        ValueError: for a product inside a `while` loop, through which no error can be propagated back.
    """
    return _uses(plan, mapped, set(plan.inputs[:parameters]), (), ())


def _uses(
    plan: Plan, mapped: frozenset[int], learned: set[int], scans: tuple[int, ...], lengths: tuple[int, ...]
) -> list[Use]:
    found: list[Use] = []
    for node in plan.nodes:
        reads = [o for o in node.operands(mapped) if not isinstance(o, Constant)]
        depends = any(o in learned for o in reads)
        if isinstance(node, Multiply):
            depends = depends or node.layer in mapped
            if node.layer in mapped and not node.empty:
                found.append(_use(node, scans, lengths, node.x in learned))
        elif isinstance(node, While):
            if node.body.layers & mapped:
                raise ValueError(
                    "training on arrays: a product lies in a while loop whose number of iterations is not fixed, and "
                    "no error can be propagated back through it. Use jax.lax.scan, or fori_loop with fixed bounds."
                )
        else:
            for body in node.bodies:
                own = (node.uid, node.eqn.params["length"]) if isinstance(node, Scan) else None
                inside = (scans, lengths) if own is None else ((*scans, own[0]), (*lengths, own[1]))
                within = set(body.inputs) if own is not None or depends else set()  # a carried value may depend on any
                found += _uses(body, mapped, within, *inside)
            depends = depends or any(body.layers & mapped for body in node.bodies)
        if depends:
            learned.update(node.outs)
    return found


def _use(node: Multiply, scans: tuple[int, ...], lengths: tuple[int, ...], backward: bool) -> Use:
    aval: Any = node.eqn.outvars[0].aval
    dtype = at_least_float32(aval.dtype)
    shape = jax.eval_shape(node.product.vectors, jax.ShapeDtypeStruct(node.product.x_shape, dtype)).shape
    groups, vectors, k = shape
    return Use(node.uid, node.layer, scans, lengths, (groups, vectors, k), node.product.sizes[2], dtype, backward)
