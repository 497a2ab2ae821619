"""The same network on a digital processor, from the same trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from xbar.energy.gpu import GPU, Roofline, h100_sxm, ridge_batch, roofline
from xbar.graph.tracing import Function, flatten, trace

BYTES = {"int8": 1, "fp8": 1, "fp16": 2, "bf16": 2, "tf32": 4, "fp32": 4, "fp64": 8}


@dataclasses.dataclass(frozen=True)
class GPUBaseline:
    """Rooflines of one inference on a GPU.

    Args:
        one: at batch 1. ridge: at the smallest batch at which reading the weights takes no longer than the arithmetic.
        ops: operations of one inference, two per MAC. weight_bytes: all parameters [B].
        kernels: matrix products of a call, a kernel each; the element-wise rest is taken to be fused into them.
    """

    one: Roofline
    ridge: Roofline
    ops: float
    weight_bytes: int
    kernels: int


def gpu_baseline(
    f: Callable[..., Any],
    params: Any,
    *inputs: Any,
    inferences: int = 1,
    gpu: GPU | None = None,
    precision: str = "int8",
    **settings: Any,
) -> GPUBaseline:
    """Time and energy of `f(params, *inputs)` on a GPU, at batch 1 and at the ridge batch.

    Operations and kernels are counted in the trace that `xbar.analog` maps. The memory traffic of an inference is its inputs
    and outputs; activations in between are taken to stay in the cache.

    Args:
        inferences: how many inferences the inputs hold. gpu: `xbar.energy.h100_sxm()` if None.
        precision: number format of weights, activations and arithmetic. settings: passed to `xbar.energy.roofline`.

    Reference: `xbar.energy.roofline`.

    Breaks when: activations do not fit the cache; the weights do (their traffic then vanishes).
    """
    gpu = gpu or h100_sxm()
    leaves, frame = flatten(params)
    traced = trace(Function.of(f), frame, leaves, inputs)[0]
    plan = traced.pruned(frozenset())
    size = _bytes(precision)
    weight_bytes, ops = _elements(leaves) * size, traced.digital_work(plan, frozenset()).total / inferences
    traffic = (_elements(flatten(inputs)[0]) + traced.n_out) * size / inferences
    kernels = plan.kernels
    at = lambda batch: roofline(  # noqa: E731
        ops, weight_bytes, traffic, kernels, gpu=gpu, batch=batch, precision=precision, **settings
    )
    shared: Mapping[str, Any] = {k: v for k, v in settings.items() if k.endswith("_utilisation")}
    ridge = ridge_batch(ops, weight_bytes, gpu=gpu, precision=precision, **shared)
    return GPUBaseline(at(1), at(ridge), ops, weight_bytes, kernels)


def _bytes(precision: str) -> int:
    if precision not in BYTES:
        raise ValueError(f"precision={precision!r}: one of {', '.join(BYTES)}.")
    return BYTES[precision]


def _elements(tree: Any) -> int:
    """Number of array elements of a pytree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if hasattr(leaf, "size"))
