"""The catalogue of published devices: the source of every parameter set and the range of its data."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

from devices.references import REFERENCES


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a parameter set's numbers come from and how far they reach.

    Args:
        name: the function that makes it. technology: the kind of cell, in words. doi: the work to cite for it; more in `also`.
        measured: what was measured, and on how many devices, in words.
        numbers: how the numbers were obtained: "read" in the source or in a public program that implements it, "fitted"
            to measured data, "recalled" from memory, "assumed" where some are a choice of ours, "none" where there are
            none.
        times: the only times [s] that have data; None: any t >= 0. span: first and last time [s] that have data, where the law
            extrapolates beyond them. volts: largest voltage [V] of the data. temperature: of the data [K].
        notes: what a user should know.
    """

    name: str
    technology: str = ""
    doi: str = ""
    also: tuple[str, ...] = ()
    measured: str = ""
    numbers: str = "read"
    times: tuple[float, ...] | None = None
    span: tuple[float, float] | None = None
    volts: float | None = None
    temperature: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def dois(self) -> tuple[str, ...]:
        """Every work to cite."""
        return tuple(d for d in (self.doi, *self.also) if d)


Maker = TypeVar("Maker", bound=Callable[..., Any])
_PUBLISHED: dict[str, Callable[..., Any]] = {}


def published(about: Provenance) -> Callable[[Maker], Maker]:
    """Decorator: enters a function in the catalogue under its own name. Use it in your own files as well.

    Raises:
        ValueError: if the name is taken by another function, or is not the one in `about`.
    """

    def enter(make: Maker) -> Maker:
        name = make.__name__
        earlier = _PUBLISHED.get(name)
        if about.name != name:
            raise ValueError(
                f"published: the function is called {name!r} and its provenance "
                f"{about.name!r}; give both the same name."
            )
        if earlier is not None and (earlier.__module__, earlier.__qualname__) != (make.__module__, make.__qualname__):
            raise ValueError(f"published: {name!r} exists already, in {earlier.__module__}. Choose another name.")
        make.provenance = about  # pyright: ignore[reportFunctionMemberAccess]
        _PUBLISHED[name] = make
        return make

    return enter


def names() -> tuple[str, ...]:
    """All names in the catalogue, in alphabetical order."""
    return tuple(sorted(_PUBLISHED))


def find(name: str) -> Callable[..., Any]:
    """The function that makes the parameter set `name`; its `provenance` names the sources of the numbers.

    Raises:
        ValueError: if there is no such name.
    """
    if name not in _PUBLISHED:
        close = difflib.get_close_matches(name, _PUBLISHED, 1, 0.6)
        raise ValueError(
            f"there is no device {name!r}."
            + (f" Did you mean {close[0]!r}?" if close else f" The catalogue has: {', '.join(names())}.")
        )
    return _PUBLISHED[name]


def makes_itself(name: str) -> bool:
    """Whether a parameter set can be made without further arguments, such as a shape or a key."""
    parameters = inspect.signature(find(name)).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def describe(name: str) -> None:
    """Prints a parameter set: what it describes, the sources of its numbers and the range of its data.

    Raises:
        ValueError: if there is no such name.
    """
    print(description(name))


def description(name: str) -> str:
    """What `describe` prints.

    Raises:
        ValueError: if there is no such name.
    """
    make = find(name)
    about: Provenance = make.provenance  # pyright: ignore[reportFunctionMemberAccess]
    rows = {
        "technology": about.technology,
        "range": _range(make() if makes_itself(name) else None),
        "measured": about.measured,
        "numbers": about.numbers,
        "times": _times(about),
        "voltage": f"up to {about.volts:g} V" if about.volts else "",
        "temperature": f"{about.temperature:g} K" if about.temperature else "",
        "source": "; ".join(_source(d) for d in about.dois),
        **{f"note {i + 1}" if len(about.notes) > 1 else "note": n for i, n in enumerate(about.notes)},
    }
    wrap = lambda label, text: textwrap.fill(  # noqa: E731
        text,
        100,
        initial_indent=f"  {label:<12}",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )
    head = f"{name}: {(make.__doc__ or '').strip().splitlines()[0]}"
    return "\n".join([head, *(wrap(label, text) for label, text in rows.items() if text)])


def bibtex(name: str) -> str:
    """BibTeX entries of the works to cite for a parameter set.

    Raises:
        ValueError: if there is no such name, or nothing to cite for it.
    """
    about: Provenance = find(name).provenance  # pyright: ignore[reportFunctionMemberAccess]
    if not about.dois:
        raise ValueError(f"{name} has no publication to cite ({about.measured or about.technology}).")
    return "\n\n".join(
        REFERENCES[d].bibtex(d) if d in REFERENCES else f"@misc{{{d},\n  doi = {{{d}}}\n}}" for d in about.dois
    )


def _range(made: Any) -> str:
    if not (hasattr(made, "g_min") and hasattr(made, "g_max")):
        return ""
    return f"{float(made.g_min) * 1e6:.4g} to {float(made.g_max) * 1e6:.4g} uS"


def _times(about: Provenance) -> str:
    if about.times is not None:
        return f"only {', '.join(f'{t:g}' for t in about.times)} s after programming; other times are refused"
    if about.span is not None:
        return f"{about.span[0]:g} to {about.span[1]:g} s after programming; beyond, the law extrapolates and says so"
    return ""


def _source(doi: str) -> str:
    known = REFERENCES.get(doi)
    return f"{known.short()}, doi:{doi}" if known else f"doi:{doi}"
