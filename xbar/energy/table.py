"""Printing a ledger for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import jax
import numpy as np

from xbar.energy.units import engineering


@runtime_checkable
class Ledger(Protocol):
    """What a table needs of a ledger (`xbar.energy.Ledger`)."""

    terms: Any
    layers: tuple[str, ...]
    notes: tuple[str, ...]
    components: tuple[str, ...]

    @property
    def joules(self) -> Any: ...
    @property
    def by_component(self) -> Any: ...
    @property
    def total(self) -> Any: ...
    @property
    def per_mac(self) -> Any: ...
    def quantiles(self, probabilities: Any = ..., by: str = ...) -> Any: ...


WIDTH = 100
_NAME, _CELL, _SPREAD = 14, 10, 15  # columns; "accumulate" takes one more


def ledger_table(ledger: Ledger) -> str:
    """Joules by layer and component with P10-P90, then totals and notes; batched ledgers print their mean."""
    rule = "-" * WIDTH
    joules, spread = _mean(ledger.joules, 2), _spread(ledger, "layer", 1)
    low, high = _spread(ledger, "component", 1)
    lines = [_line(ledger, "layer", (*ledger.components, "total"), "P10-P90"), rule]
    lines += [_energies(ledger, *row) for row in zip(ledger.layers, joules, spread.T, strict=True)]
    lines += [rule, _energies(ledger, "total", _mean(ledger.by_component, 1), _spread(ledger, "total", 0))]
    lines += [_line(ledger, name, map(_joules, q)) for name, q in (("P10", low), ("P90", high))]
    return "\n".join([*lines, *_footer(ledger)])


def ledger_text(ledger: Ledger) -> str:
    """A ledger in a few lines; `print` has the whole table."""
    low, high = map(_joules, _spread(ledger, "total", 0))
    shares = zip(ledger.components, _mean(ledger.by_component, 1), strict=True)
    lines = [
        f"Ledger of {len(ledger.layers)} layers" + (f", mean of {ledger.total.size}" if ledger.total.ndim else ""),
        f"  per inference  {_joules(_mean(ledger.total, 0))} ({low} to {high}), {_joules(_mean(ledger.per_mac, 0))} per MAC",
        f"  components     {', '.join(f'{name} {_joules(x)}' for name, x in shares)}",
        f"  notes          {len(ledger.notes)}; print(ledger) has them, with all layers",
    ]
    return "\n".join(lines)


def _line(ledger: Ledger, name: str, cells: Iterable[str], spread: str = "") -> str:
    name = name if len(name) < _NAME else "…" + name[2 - _NAME :]
    widths = [max(_CELL, len(component) + 1) for component in ledger.components] + [_CELL]
    body = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
    return f"{name:<{_NAME}}{body}{spread:>{_SPREAD}}".rstrip()


def _energies(ledger: Ledger, name: str, row: np.ndarray, spread: np.ndarray) -> str:
    low, high = map(_joules, spread)
    text = low if low == high else f"{low.removesuffix('J')}-{high}".replace(" ", "")
    return _line(ledger, name, map(_joules, (*row, row.sum())), text)


def _joules(value: SupportsFloat) -> str:
    return engineering(float(value), "J")


def _mean(values: jax.Array, rank: int) -> np.ndarray:
    """Mean over the leading batch axes, of which an unbatched ledger has none."""
    return np.asarray(np.asarray(values).reshape((-1, *values.shape[values.ndim - rank :])).mean(0))


def _spread(ledger: Ledger, by: str, rank: int) -> np.ndarray:
    return np.stack([_mean(q, rank) for q in ledger.quantiles((0.1, 0.9), by=by)])


def _footer(ledger: Ledger) -> list[str]:
    inference, mac = _joules(_mean(ledger.total, 0)), _joules(_mean(ledger.per_mac, 0))
    batch = f", mean of {ledger.total.size} ledgers" if ledger.total.ndim else ""
    lines = [f"{inference} per inference, {mac} per MAC at median coefficients{batch}"]
    for note in ledger.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    return lines
