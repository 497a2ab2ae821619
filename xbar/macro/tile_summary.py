"""How macros and their converters are printed: their numbers, with units."""

from __future__ import annotations

import dataclasses
import html
from typing import TYPE_CHECKING, Any

from devices._show import short

if TYPE_CHECKING:
    from xbar.macro.converters import ADC, DAC
    from xbar.macro.tile import Tile


def converter_text(converter: DAC | ADC) -> str:
    """A converter in one line."""
    parts = []
    for f in dataclasses.fields(converter):
        value = getattr(converter, f.name, None)
        if f.name == "bits" or value is not None:
            parts.append(f"{f.name}={short(value, getattr(f.metadata.get('converter'), 'unit', ''))}")
    return f"{type(converter).__name__}({', '.join(parts)})"


def tile_text(tile: Tile) -> str:
    """A macro in a few lines."""
    about = getattr(tile.device, "provenance", None)
    rows = [
        ("device", about.name if about is not None else short(tile.device)),
        ("inputs", repr(tile.dac)),
        ("outputs", repr(tile.adc)),
        ("wires", repr(tile.wires)),
        ("mapping", repr(tile.mapping)),
        ("read", f"at {short(tile.v_read, 'V')} for {short(tile.read_time, 's')}, {tile.read_noise} noise"),
        ("backward", None if tile.backward is None else repr(tile.backward)),
    ]
    return lines(f"Tile {tile.rows} x {tile.cols}", rows)


def lines(head: str, rows: list[tuple[str, str | None]]) -> str:
    """A heading and its rows, a label and a text each; those without a text are left out."""
    return "\n".join([head, *(f"  {label:<12}{' '.join(text.split())}" for label, text in rows if text is not None)])


def preformatted(x: Any) -> str:
    """What `x` prints, for a notebook."""
    return f"<pre>{html.escape(repr(x))}</pre>"
