"""The structure of a network's parameters in a file: what `f(params, *inputs)` takes apart, without the numbers."""

from __future__ import annotations

from typing import Any

import jax

from xbar.graph.tracing import Frame, aval_of, flatten
from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.structure import Decoder, Encoder

Avals = tuple[jax.ShapeDtypeStruct, ...]


def encoded(frame: Frame, avals: Avals) -> dict[str, Any]:
    """A parameter pytree as plain data: its paths, shapes and dtypes, and the tree, if what files may name can make it."""
    encoder = Encoder()
    node: dict[str, Any] = {"paths": list(frame.paths), "avals": encoder.value(avals, ("avals",)), "tree": None}
    try:
        tree = encoder.value(frame.rebuild(avals), ("params",))
        leaves, again = flatten(Decoder(lambda array: encoder.arrays[array["array"]]).value(tree))
        if again == frame and tuple(map(aval_of, leaves)) == avals and not encoder.arrays:
            node["tree"] = tree
    except (
        Exception
    ) as error:  # whatever an unknown node does when it is taken apart: the file then says why it has no tree
        node["why"] = str(error) if isinstance(error, ChipFileError) else f"{type(error).__name__}: {error}"
    return node


def decoded(node: dict[str, Any], decoder: Decoder, template: Any = None) -> tuple[Frame, Avals]:
    """The static part of the parameters, and shapes and dtypes of their arrays.

    Args:
        template: parameters of the same structure, where the file has none; or None.

    Raises:
        ChipFileError: if there is no tree, or the template has another one.
    """
    paths, avals = tuple(node["paths"]), decoder.value(node["avals"], "avals")
    if template is None and node["tree"] is None:
        raise ChipFileError(
            f"the structure of the parameters is not in the file ({node.get('why', 'a file cannot hold it')}). "
            "Give load(..., params=), the parameters or others of the same structure."
        )
    tree = decoder.value(node["tree"], "params") if template is None else template
    leaves, frame = flatten(tree)
    found = tuple((p, x.shape, x.dtype) for p, x in zip(frame.paths, map(aval_of, leaves), strict=True))
    expected = tuple((p, x.shape, x.dtype) for p, x in zip(paths, avals, strict=True))
    if found != expected:
        say = lambda some: ", ".join(f"{p} {x.dtype.name}{list(shape)}" for p, shape, x in some)  # noqa: E731
        other = [(p, s, jax.ShapeDtypeStruct(s, d)) for p, s, d in found if (p, s, d) not in expected]
        missing = [(p, s, jax.ShapeDtypeStruct(s, d)) for p, s, d in expected if (p, s, d) not in found]
        raise ChipFileError(
            "params does not have the structure that the chip was programmed with: it has "
            f"{say(other) or 'another order'}, and the file {say(missing) or 'another order'}. "
            "Give parameters of the same network."
        )
    return frame, avals
