"""Printing a ledger for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import numpy as np

from xbar.energy.units import engineering


@runtime_checkable
class Ledger(Protocol):
    """What a table needs of a ledger (`xbar.energy.Ledger`)."""

    terms: Any
    seconds: Any
    area: Any
    notes: tuple[str, ...]
    components: tuple[str, ...]
    programming: Any

    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def joules(self) -> Any: ...
    @property
    def by_component(self) -> Any: ...
    @property
    def total(self) -> Any: ...
    @property
    def per_mac(self) -> Any: ...
    @property
    def latency(self) -> Any: ...
    @property
    def period(self) -> Any: ...
    @property
    def amortised_programming(self) -> Any: ...
    def quantiles(self, probabilities: Any = ..., by: str = ...) -> Any: ...


WIDTH = 100
_NAME, _CELL, _SPREAD = 22, 10, 17


def ledger_table(ledger: Ledger) -> str:
    """Energy, time and area by layer (with its largest components) and by component, then totals and notes; batched
    ledgers print their mean."""
    rule = "-" * WIDTH
    joules, low_high = _mean(ledger.joules, 2), _spread(ledger, "layer", 1)
    seconds, area = _mean(ledger.seconds, 2), _mean(ledger.area, 2)
    lines = [_line("layer", ("energy", "P10-P90", "time", "mm2", "mostly")), rule]
    for name, row, spread, t, a in zip(ledger.layers, joules, low_high.T, seconds, area, strict=True):
        lines.append(_row(name, row.sum(), spread, t.sum(), a.sum(), _mostly(ledger.components, row)))
    lines += [rule, _line("component", ("energy", "P10-P90", "time", "mm2", "share")), rule]
    columns = zip(
        ledger.components,
        _mean(ledger.by_component, 1),
        _spread(ledger, "component", 1).T,
        seconds.T,
        area.T,
        strict=True,
    )
    total = float(joules.sum())
    for name, x, spread, t, a in columns:
        lines.append(_row(name, x, spread, t.sum(), a.sum(), f"{x / total:.1%}" if total and total == total else ""))
    whole = _spread(ledger, "total", 0)
    lines += [rule, _row("total", total, whole, seconds.sum(), area.sum(), "")]
    if ledger.programming is not None:
        shared = float(np.mean(np.asarray(ledger.amortised_programming)))
        lines.append(_row("programming", shared, (shared, shared), 0.0, 0.0, _shared(ledger)))
    return "\n".join([*lines, *_footer(ledger)])


def ledger_text(ledger: Ledger) -> str:
    """A ledger in a few lines; `print` shows the whole table."""
    low, high = map(_joules, _spread(ledger, "total", 0))
    parts = _mean(ledger.by_component, 1)
    always = [ledger.components.index(name) for name in ("array", "adc")]
    others = [i for i in np.argsort(-parts) if i not in always and parts[i] != 0][:3]
    shown = ", ".join(f"{ledger.components[i]} {_joules(parts[i])}" for i in (*always, *others))
    lines = [
        f"Ledger of {len(ledger.layers)} layers" + (f", mean of {ledger.total.size}" if ledger.total.ndim else ""),
        f"  per inference  {_joules(_mean(ledger.total, 0))} ({low} to {high}), {_joules(_mean(ledger.per_mac, 0))} per MAC",
        f"  latency        {_seconds(ledger.latency)}, one inference every {_seconds(ledger.period)}",
        f"  components     {shown}, ...",
        f"  notes          {len(ledger.notes)}; print(ledger) lists them, with all layers",
    ]
    return "\n".join(lines)


def _line(name: str, cells: Iterable[str]) -> str:
    energy, spread, time, area, last = cells
    name = _fitted(name)
    return f"{name:<{_NAME}}{energy:>{_CELL}}{spread:>{_SPREAD}}{time:>{_CELL}}{area:>{_CELL}}  {last}".rstrip()[:WIDTH]


def _row(name: str, joules: SupportsFloat, spread: Any, seconds: SupportsFloat, area: SupportsFloat, last: str) -> str:
    low, high = map(_joules, spread)
    text = "" if low == high else f"{low.removesuffix('J')}-{high}".replace(" ", "")
    t, mm2 = float(seconds), float(area) * 1e6
    return _line(name, (_joules(joules), text, engineering(t, "s") if t else "", f"{mm2:.3g}" if mm2 else "", last))


def _mostly(components: tuple[str, ...], row: np.ndarray) -> str:
    """The two largest components of a layer."""
    total = row.sum()
    if not total > 0:
        return "undefined" if np.isnan(total) else ""
    largest = np.argsort(-row)[:2]
    return ", ".join(f"{components[i]} {row[i] / total:.0%}" for i in largest if row[i] / total >= 0.01)


def _shared(ledger: Ledger) -> str:
    joules, inferences = ledger.programming
    once = engineering(float(np.mean(np.asarray(joules.sum(-1)))), "J")
    return f"{once} over {float(np.mean(np.asarray(inferences))):.3g} inferences"


def _joules(value: SupportsFloat) -> str:
    return engineering(float(value), "J")


def _seconds(values: Any) -> str:
    return engineering(float(np.mean(np.asarray(values))), "s")


def _mean(values: Any, rank: int) -> np.ndarray:
    """Mean over the leading batch axes, of which an unbatched ledger has none."""
    return np.asarray(np.asarray(values).reshape((-1, *values.shape[values.ndim - rank :])).mean(0))


def _spread(ledger: Ledger, by: str, rank: int) -> np.ndarray:
    return np.stack([_mean(q, rank) for q in ledger.quantiles((0.1, 0.9), by=by)])


def _footer(ledger: Ledger) -> list[str]:
    inference, mac = _joules(_mean(ledger.total, 0)), _joules(_mean(ledger.per_mac, 0))
    batch = f", mean of {ledger.total.size} ledgers" if ledger.total.ndim else ""
    lines = [
        f"{inference} per inference, {mac} per MAC at median coefficients{batch}",
        f"latency {_seconds(ledger.latency)}, one inference every {_seconds(ledger.period)}",
    ]
    for note in ledger.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    return lines


def _fitted(name: str) -> str:
    """A name in its column; a row of digital work is known by its layer, which loses its last part (`.weight`)
    first."""
    if len(name) < _NAME:
        return name
    layer, bracket, what = name.partition(" (")
    if bracket and "." in layer:
        name = f"{layer.rpartition('.')[0]} ({what}"
    return name if len(name) < _NAME else "…" + name[2 - _NAME :]
