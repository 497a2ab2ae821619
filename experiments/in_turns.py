"""Many chips at once or a few at a time, as memory allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from experiments.framework.memory import available_memory

BUDGET = 4 * 2**30  # bytes that chips may take together, so that a run fits 8 GB with XLA and the data
SHARE = 0.5  # of the memory that is free


def over(f: Callable[..., Any], *stacked: Any, budget: float | None = None) -> Any:
    """`jax.vmap(f)(*stacked)`, in batches of as many as fit in memory; the numbers are the same.

    Args:
        f: of one chip. stacked: pytrees of arrays with a leading axis, one entry per chip.
        budget: bytes for all that run at once; by default 4 GiB, or half of the free memory if that is less.
    """
    count = jax.tree.leaves(stacked)[0].shape[0]
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), stacked)
    together = at_once(peak_bytes(f, *one), count, allowed() if budget is None else budget)
    if together >= count:
        return jax.vmap(f)(*stacked)
    return jax.lax.map(lambda xs: f(*xs), stacked, batch_size=together)


def at_once(each: float, count: int, budget: float) -> int:
    """How many of `count` chips of `each` bytes fit in `budget` [bytes]; at least 1, with batches of about equal size."""
    fit = max(int(budget // max(each, 1)), 1)
    return math.ceil(count / math.ceil(count / fit))


def allowed() -> float:
    """Bytes that chips may take together: 4 GiB, or half of the free memory."""
    free = available_memory()
    return BUDGET if free is None else min(BUDGET, SHARE * free)


def peak_bytes(f: Callable[..., Any], *arguments: Any) -> int:
    """The most bytes that intermediate results of `f` occupy at one time, operation by operation.

    Args:
        arguments: arrays, or their shapes and dtypes; they are not counted.

    An upper bound where the compiler fuses operations, a lower one where it keeps copies.
    """
    return _peak(jax.make_jaxpr(f)(*arguments).jaxpr)


def _peak(jaxpr: Any) -> int:
    last = {v: i for i, eqn in enumerate(jaxpr.eqns) for v in eqn.invars if not hasattr(v, "val")}
    last |= dict.fromkeys((v for v in jaxpr.outvars if not hasattr(v, "val")), len(jaxpr.eqns))
    made: set[Any] = set()
    live = most = 0
    for i, eqn in enumerate(jaxpr.eqns):
        live += sum(_bytes(v.aval) for v in eqn.outvars)
        made |= set(eqn.outvars)
        most = max(most, live + max(map(_peak, _inner(eqn)), default=0))
        gone = {v for v in {*eqn.outvars, *(v for v in eqn.invars if not hasattr(v, "val"))} if last.get(v, -1) <= i}
        live -= sum(_bytes(v.aval) for v in gone & made)
    return most


def _bytes(aval: Any) -> int:
    dtype = getattr(aval, "dtype", None)
    return math.prod(getattr(aval, "shape", ())) * getattr(dtype, "itemsize", 0)


def _inner(eqn: Any) -> Iterator[Any]:
    """The programs that an operation runs."""
    for value in eqn.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns"):
                yield part
            elif hasattr(getattr(part, "jaxpr", None), "eqns"):
                yield part.jaxpr
