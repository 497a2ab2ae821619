"""Compact models as SPICE subcircuits of behavioural sources."""

from __future__ import annotations

import re

from devices.compact.base import AbstractMemristor
from devices.exchange.model_equations import Equations, two_terminals


def to_spice(model: AbstractMemristor, name: str = "memristor", *, parallel: bool = False) -> str:
    """A compact model as a subcircuit `name p n` in the language of ngspice, which needs no compiler.

    The state is scaled to 0 .. 1 and is the voltage of a capacitor of 1 F that a current source charges; beyond its ends the
    current is switched off in the outward direction. A `Circuit`'s series resistance, offset, direction and start become part
    of the subcircuit, its compliance does not: that is the source's. Simulate with `tran ... uic`.

    Args:
        name: of the subcircuit. parallel: array parameters are those of elements in parallel.

    Raises:
        ValueError: for a model without a translation, or one whose parameters are arrays without `parallel`.

    Reference: ngspice 39 manual, behavioural sources.

    Breaks when: the simulator's time step does not resolve the switching (limit the step of `tran`), or its tolerances
    are too loose (`.options reltol=1e-5 abstol=1e-15`: currents of a state are 1 A for a change of the whole range in 1
    s).
    """
    device = two_terminals(model, parallel)
    plus, minus = ("n", "p") if device.reversed else ("p", "n")
    text = [
        "* Memristor model written by xbar. SI units.",
        *(["* A negative voltage from p to n makes the cell more conductive."] if device.reversed else []),
        f".subckt {name} p n",
        f"Ioffset {plus} {minus} {device.offset!r}",
        f"Rseries {plus} a {max(device.resistance, SHORT)!r}",
    ]
    for number, element in enumerate(device.elements, 1):
        text += _element(element, minus, "" if len(device.elements) == 1 else str(number))
    return "\n".join([*text, f".ends {name}", ""])


SHORT = 1e-6  # ohm: SPICE has no resistor of 0 ohm


def _element(e: Equations, minus: str, tag: str) -> list[str]:
    """Behavioural sources of one element between the nodes `a` and `minus`."""
    known = {name: f"({value!r})" for name, value in e.parameters.items()}
    put = lambda expression: re.sub(r"[A-Za-z_]\w*", lambda m: known.get(m[0], m[0]), expression)  # noqa: E731
    span = f"({put(e.high)} - {put(e.low)})"
    state, inside = f"s{tag}", f"m{tag}"
    lines = [
        f".ic V({state})={{({put(e.start)} - {put(e.low)}) / {span}}}",
        f"Cstate{tag} {state} 0 1 ic={{({put(e.start)} - {put(e.low)}) / {span}}}",
    ]
    known |= {
        "x": f"({put(e.low)} + {span} * min(max(V({state}), 0.0), 1.0))",
        "v": f"V(a, {minus})",
        "u": f"V({inside}, {minus})",
    }
    for k, (definition, expression) in enumerate(e.definitions):
        node = f"d{k}_{definition}{tag}"
        lines.append(f"B{node} {node} 0 V = {put(expression)}")
        known[definition] = f"V({node})"
    rate = f"d_rate{tag}"
    outward = f"(V({state}) >= 1.0 && V({rate}) > 0.0) || (V({state}) <= 0.0 && V({rate}) < 0.0)"
    lines += [
        f"B{rate} {rate} 0 V = ({put(e.rate)}) / {span}",
        f"Bstate{tag} 0 {state} I = ({outward}) ? 0.0 : V({rate})",
    ]
    if put(e.inner) == "0.0":
        lines.append(f"Vinner{tag} a {inside} 0")
    else:
        lines.append(f"Binner{tag} a {inside} I = V(a, {inside}) / {put(e.inner)}")
    return [*lines, f"Bcell{tag} {inside} {minus} I = {put(e.current)}"]
