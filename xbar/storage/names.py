"""Classes and functions by name, among those already imported. Nothing is ever imported because a file says so."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import equinox as eqx

from devices.catalogue import Provenance
from xbar.graph.nodes import Layer
from xbar.graph.products import Convolution, DotProduct
from xbar.storage.chip_file_error import ChipFileError

PLAIN = (Provenance, Layer, DotProduct, Convolution)  # dataclasses of ours that are not modules
OURS = ("devices", "xbar")  # may move between their files from one version to the next
FUNCTIONS = ("jax.numpy", "jax.lax", "jax._src.nn.functions", "equinox.nn")  # whose functions a network may hold
NOT_PURE = frozenset({"load", "save", "savez", "fromfile", "from_dlpack", "frombuffer", "fromfunction", "fromiter"})


def name_of(kind: Any) -> str:
    """`module:name`, as files have it."""
    return f"{kind.__module__}:{kind.__qualname__}"


class Classes:
    """All subclasses of `equinox.Module`, and all named tuples, that have been imported or defined so far."""

    def __init__(self):
        self.modules = _named([*_below(eqx.Module), *PLAIN])
        self._tuples: dict[str, type] | None = None

    def module(self, name: str) -> type:
        """The class of this name.

        Raises:
            ChipFileError: if there is none.
        """
        return self._find(name, self.modules, "class")

    def named_tuple(self, name: str) -> type:
        """The named tuple of this name.

        Raises:
            ChipFileError: if there is none.
        """
        if self._tuples is None:
            self._tuples = _named([kind for kind in _below(tuple) if hasattr(kind, "_fields")])
        return self._find(name, self._tuples, "named tuple")

    def _find(self, name: str, among: dict[str, type], what: str) -> type:
        if name in among:
            return among[name]
        place, _, own = name.partition(":")
        room = place.partition(".")[0]
        moved = lambda other: room in OURS and other.partition(".")[0] == room  # noqa: E731
        parts = [(*key.split(":", 1), kind) for key, kind in among.items()]
        same = [(module, kind) for module, qualified, kind in parts if qualified == own]
        alike = [kind for m, kind in same if moved(m) or "__main__" in (place, m)]  # a script may be imported elsewhere
        if len(alike) == 1:
            return alike[0]
        raise ChipFileError(
            f"the {what} {own} of the module {place} was not found: define or import it before loading. "
            "(A file never imports anything by itself.)"
        )


def _below(root: type) -> list[type]:
    found: dict[type, None] = {}
    waiting = [root]
    while waiting:
        for kind in type.__subclasses__(waiting.pop()):
            if kind not in found:
                found[kind] = None
                waiting.append(kind)
    return list(found)


def _named(kinds: list[type]) -> dict[str, type]:
    """By name; of several with one name the one that its module knows, else the latest."""
    found: dict[str, type] = {}
    for kind in kinds:
        name = name_of(kind)
        if name not in found or _known(name) is not found[name]:
            found[name] = kind
    return found


def _known(name: str) -> Any:
    """What a loaded module has under this name; None if it has nothing."""
    place, _, own = name.partition(":")
    found: Any = sys.modules.get(place)
    for part in own.split("."):
        found = getattr(found, part, None)
    return found


def function_name(f: Any) -> str | None:
    """The name of a function that files may name: of JAX's and Equinox's networks; None for any other."""
    if not callable(f) or isinstance(f, type) or not isinstance(getattr(f, "__qualname__", None), str):
        return None
    name = f"{f.__module__}:{f.__qualname__}"
    return name if _may_be_named(name) and _known(name) is f else None


def function(name: str) -> Callable[..., Any]:
    """The function of this name.

    Raises:
        ChipFileError: if a file may not name it.
    """
    found = _known(name) if _may_be_named(name) else None
    if found is None or function_name(found) != name:
        raise ChipFileError(
            f"the function {name} is not one that a file may name (those of jax.nn, jax.numpy, jax.lax and equinox.nn). "
            "Give load(..., params=), the parameters or others of the same structure."
        )
    return found


def _may_be_named(name: str) -> bool:
    place, _, own = name.partition(":")
    inside = any(place == room or (room == "equinox.nn" and place.startswith("equinox.nn.")) for room in FUNCTIONS)
    return inside and own.isidentifier() and own not in NOT_PURE


def default_of(kind: type, parameter: str) -> Any:
    """What `kind(...)` takes for a parameter that is not given; None if nothing."""
    try:
        found = inspect.signature(kind.__init__).parameters.get(parameter)
    except (TypeError, ValueError):
        return None
    return None if found is None or found.default is inspect.Parameter.empty else found.default
