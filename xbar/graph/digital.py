"""Products that stay digital: which equations hold one, why they cannot be mapped, and which of them are unexpected."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn

from xbar.graph.nodes import Level, Traced
from xbar.graph.products import Convolution, DotProduct, Product
from xbar.graph.work import inner_jaxprs

_PRODUCTS = (
    "dot_general",
    "conv_general",
    "matmul",
    "matvec",
    "matmat",
)  # in a name; new ones are likely to have one, too
_UNMAPPED = {
    "ragged_dot_general": "the group sizes decide which matrix a row is multiplied by",
    "bcoo_dot_general": "the matrix is sparse; give a dense one",
}
_INSIDE = ("xbar", "equinox", "jaxtyping", "beartype")
BOTH_STREAM = "both operands depend on the inputs"


def is_product(eqn: JaxprEqn) -> bool:
    """Whether an equation multiplies matrices."""
    return any(part in eqn.primitive.name for part in _PRODUCTS)


def why_digital(
    eqn: JaxprEqn, levels: Sequence[Level], side: int | None, product: Product | None
) -> tuple[str, bool] | None:
    """Why a product cannot sit on a crossbar, and whether that may surprise; None if it can."""
    if Level.STATIONARY not in levels:
        fixed = Level.CONSTANT in levels
        return ("the fixed operand holds no parameter" if fixed else BOTH_STREAM), False
    if side is None or product is None:
        return _UNMAPPED.get(eqn.primitive.name, f"{eqn.primitive.name} is not mapped"), True
    if 0 in product.sizes:
        return "empty", False
    *dtypes, result = dtypes_of(eqn)
    if any(jnp.issubdtype(d, jnp.complexfloating) for d in (*dtypes, result)):
        return "complex numbers", True
    if not jnp.issubdtype(result, jnp.floating):
        return "integers times integers give integers; convert an operand to floating point", True
    if isinstance(product, DotProduct) and not product.w_contract:
        return "an outer product: nothing is summed", True
    if isinstance(product, Convolution) and side == 0:
        return "the image, not the kernel, is the parameter", True
    if isinstance(product, Convolution) and eqn.params["batch_group_count"] != 1:
        return "batch groups are not mapped", True
    return None


def products_inside(closed: ClosedJaxpr) -> Iterator[JaxprEqn]:
    """The products of a function, at any depth."""
    for eqn in closed.jaxpr.eqns:
        if is_product(eqn):
            yield eqn
        for inner in inner_jaxprs(eqn.params):
            yield from products_inside(inner)


def shapes_of(eqn: JaxprEqn) -> tuple[tuple[int, ...], ...]:
    """The shapes of an equation's operands."""
    return tuple(tuple(getattr(atom.aval, "shape", ())) for atom in eqn.invars)


def dtypes_of(eqn: JaxprEqn) -> list[Any]:
    """The types of an equation's operands, and of its first result."""
    avals: list[Any] = [atom.aval for atom in (*eqn.invars, eqn.outvars[0])]
    return [aval.dtype for aval in avals]


def say(message: str) -> None:
    """A warning at the line outside this package that leads here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def warn_of_digital(traced: Traced, mapped: frozenset[int]) -> None:
    """Says once for a trace which products stay digital though one might expect them on arrays."""
    surprising = [str(d) for d in traced.digital if d.surprising]
    if not mapped:
        chosen = [f"{layer.path}: the tile function returned None" for layer in traced.layers]
        reasons = chosen + [str(d) for d in traced.digital] or ["the function multiplies no matrices"]
        head = "nothing in this function runs on crossbars"
    elif surprising:
        reasons, head = surprising, "these products stay digital"
    else:
        return

    def warn() -> bool:
        say(f"xbar.analog: {head}. " + "; ".join(reasons) + ".")
        return True

    traced.kept(("warned", bool(mapped)), warn)
