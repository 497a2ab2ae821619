"""How laws and devices are printed: their numbers, with units."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_PREFIXES = ((1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))


def short(value: Any, unit: str = "") -> str:
    """A number, a few numbers or the range of many, with their unit; anything else as Python prints it."""
    if type(value).__name__ == "Constant" and hasattr(value, "value"):
        return short(value.value, unit)  # a curve that is a number
    if isinstance(value, Tracer) or not isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return f"traced {getattr(value, 'dtype', '')}".strip() if isinstance(value, Tracer) else _other(value)
    if value.dtype.kind not in "fiub" and not jax.numpy.issubdtype(value.dtype, jax.numpy.floating):
        return f"{value.dtype}{list(value.shape)}"
    numbers = np.asarray(value, float).ravel()
    if numbers.size == 1:
        return quantity(numbers[0], unit)
    if 0 < numbers.size <= 6 and value.ndim == 1:
        return f"[{', '.join(f'{x:.6g}' for x in numbers)}]{_after(unit)}"
    size = "x".join(map(str, value.shape))
    return f"{size} values" + (
        f", {quantity(numbers.min(), unit)} to {quantity(numbers.max(), unit)}" if numbers.size else ""
    )


def quantity(x: float, unit: str) -> str:
    """A number with its unit; siemens with a prefix."""
    if unit == "S" and x:
        factor, prefix = next((p for p in _PREFIXES if abs(x) >= 0.9995 * p[0]), _PREFIXES[-1])
        return f"{x / factor:.6g} {prefix}S"
    return f"{x:.6g}{_after(unit)}"


def law(module: Any) -> str:
    """A law in one line: its class and its numbers."""
    parts = []
    for f in dataclasses.fields(module):
        value = getattr(module, f.name, None)
        if f.repr and value is not None and value is not False:
            parts.append(f"{f.name}={short(value, getattr(f.metadata.get('converter'), 'unit', ''))}")
    return f"{type(module).__name__}({', '.join(parts)})"


def rows(device: Any) -> list[tuple[str, str]]:
    """What is printed of a device: its range, laws and source, each with a label and a text."""
    about, low, high = device.provenance, device.g_min, device.g_max
    found = [("range", f"{short(low, 'S')} to {short(high, 'S')}")]
    for f in dataclasses.fields(device):
        value = getattr(device, f.name)
        idle = value is None or type(value) is f.default_factory  # nothing happens there, or Ohm's law
        if f.name not in ("g_min", "g_max", "provenance") and not idle:
            found.append((f.name.replace("_", " "), _other(value)))
    if device.unmeasured and about.numbers != "none":
        found.append(("without", ", ".join(device.unmeasured)))
    source = "; ".join(f"doi:{d}" for d in about.dois)
    text = ", ".join(t for t in (about.technology, source) if t)
    return [*found, ("source", text)] if text else found


def device_text(device: Any) -> str:
    """A device in a few lines."""
    lines = [f"  {label:<12}{text}" for label, text in rows(device)]
    return "\n".join([f"Device {device.provenance.name}", *lines])


def device_html(device: Any) -> str:
    """A device as a table."""
    cell = 'style="text-align:left"'
    body = "".join(
        f"<tr><th {cell}>{label}</th><td {cell}>{html.escape(text)}</td></tr>" for label, text in rows(device)
    )
    return f"<table><caption>Device {html.escape(device.provenance.name)}</caption>{body}</table>"


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""


def _other(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {short(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(short(v) for v in value) + ")"
    return repr(value)
