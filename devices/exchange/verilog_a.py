"""Compact models as Verilog-A, for circuit simulators."""

from __future__ import annotations

from devices.compact.base import AbstractMemristor
from devices.exchange.model_equations import Equations, two_terminals


def to_verilog_a(model: AbstractMemristor, name: str = "memristor", *, parallel: bool = False) -> str:
    """A compact model as a Verilog-A module with terminals `p` and `n` and its state as an internal node.

    The state is scaled to 0 .. 1 and integrated by the simulator (`idt`); beyond its ends the rate is switched off in
    the outward direction. A `Circuit`'s series resistance, offset, direction and start become part of the module, its
    compliance does not: that is the source's.

    Args:
        name: of the module. parallel: array parameters are those of elements in parallel, which become a module
            of their own.

    Raises:
        ValueError: for a model without a translation, or one whose parameters are arrays without `parallel`.

    Reference: Accellera Verilog-AMS 2.4 (recalled); the expressions are those of the model's own docstring.

    Breaks when: the simulator's time step does not resolve the switching; limit it with the transient analysis' maximum step.
    """
    device = two_terminals(model, parallel)
    first, *others = device.elements
    plus, minus = ("n", "p") if device.reversed else ("p", "n")
    around = {"r_series": device.resistance, "i_offset": device.offset}
    ends = [
        *(["    // a negative voltage from p to n makes the cell more conductive"] if device.reversed else []),
        f"    I({plus}, {minus}) <+ i_offset;",
        f"    V({plus}, a) <+ r_series * I({plus}, a);",
    ]
    text = ["// Memristor model written by xbar. SI units.", '`include "disciplines.vams"', ""]
    if not others:
        opening = _opening(name, "a, m, s", first.parameters | around, first)
        text += [*opening, "  analog begin", *_core(first, "a", minus), *ends, "  end"]
    else:
        opening = _opening(f"{name}_element", "m, s", first.parameters, first)
        text += [*opening, "  analog begin", *_core(first, "p", "n"), "  end", "endmodule", ""]
        text += _opening(name, "a", around)
        for k, element in enumerate(device.elements):
            given = ", ".join(f".{n}({v!r})" for n, v in element.parameters.items())
            text.append(f"  {name}_element #({given}) e{k + 1}(a, {minus});")
        text += ["  analog begin", *ends, "  end"]
    return "\n".join([*text, "endmodule", ""])


def _opening(name: str, nodes: str, parameters: dict[str, float], e: Equations | None = None) -> list[str]:
    """The opening of a module: its terminals, other nodes, parameters, and the variables that equations need."""
    variables = () if e is None else ("v", "u", "x", "rate", *dict.fromkeys(d for d, _ in e.definitions))
    return [
        f"module {name}(p, n);",
        "  inout p, n;",
        f"  electrical p, n, {nodes};",
        *(f"  parameter real {k} = {v!r};" for k, v in parameters.items()),
        *([f"  real {', '.join(variables)};"] if variables else []),
    ]


def _core(e: Equations, plus: str, minus: str) -> list[str]:
    """The model between two nodes."""
    span = f"(({e.high}) - ({e.low}))"
    return [
        f"    x = ({e.low}) + {span} * min(max(V(s), 0.0), 1.0);",
        f"    v = V({plus}, {minus});",
        f"    u = V(m, {minus});",
        *(f"    {d} = {expression};" for d, expression in e.definitions),
        f"    rate = {e.rate};",
        "    if ((V(s) >= 1.0 && rate > 0.0) || (V(s) <= 0.0 && rate < 0.0)) rate = 0.0;",
        f"    V(s) <+ idt(rate / {span}, (({e.start}) - ({e.low})) / {span});",
        f"    V({plus}, m) <+ ({e.inner}) * I({plus}, m);",
        f"    I(m, {minus}) <+ {e.current};",
    ]
