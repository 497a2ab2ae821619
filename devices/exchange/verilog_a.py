"""Compact models as Verilog-A, for circuit simulators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from devices.compact.base import AbstractMemristor
from devices.compact.circuit import Circuit
from devices.compact.filament import Filament
from devices.compact.memdiode import Memdiode
from devices.compact.metastable_switch import MetastableSwitch
from devices.compact.stanford import StanfordPKU
from devices.compact.team import VTEAM
from devices.compact.windows import Linear, NoWindow
from devices.compact.yakopcic import Yakopcic
from devices.constants import BOLTZMANN_EV


@dataclasses.dataclass(frozen=True)
class Equations:
    """A model as Verilog-A: parameters, definitions in order, current, rate of the state, and its ends.

    Everything is an expression of Verilog-A in the parameters, the voltage `v` across the model, the state `x` and
    earlier definitions. `inner`: resistance [ohm] of a resistor inside the model; the current is one of the voltage
    `u` behind it.
    """

    parameters: dict[str, float]
    definitions: tuple[tuple[str, str], ...]
    current: str
    rate: str
    low: str
    high: str
    start: str
    inner: str = "0.0"


def to_verilog_a(model: AbstractMemristor, name: str = "memristor") -> str:
    """A compact model as a Verilog-A module with terminals `p` and `n` and its state as an internal node.

    The state is scaled to 0 .. 1 and integrated by the simulator (`idt`); beyond its ends the rate is switched off in
    the outward direction. A `Circuit`'s series resistance becomes part of the module, its compliance does not: that is
    the source's.

    Raises:
        ValueError: for a model without a translation, or one whose parameters are arrays of cells.

    Reference: Accellera Verilog-AMS 2.4 (recalled); the expressions are those of the model's own docstring.

    Breaks when: the simulator's time step does not resolve the switching; limit it with the transient analysis' maximum step.
    """
    resistance = 0.0
    if isinstance(model, Circuit):
        resistance, model = float(model.resistance), model.model
    e = equations(model)
    span = f"(({e.high}) - ({e.low}))"
    text = [
        "// Memristor model written by xbar. SI units.",
        '`include "disciplines.vams"',
        "",
        f"module {name}(p, n);",
        "  inout p, n;",
        "  electrical p, n, a, m, s;",
        *(f"  parameter real {k} = {v!r};" for k, v in {**e.parameters, "r_series": resistance}.items()),
        f"  real {', '.join(['v', 'u', 'x', 'rate', *dict.fromkeys(d for d, _ in e.definitions)])};",
        "  analog begin",
        f"    x = ({e.low}) + {span} * min(max(V(s), 0.0), 1.0);",
        "    v = V(a, n);",
        "    u = V(m, n);",
        *(f"    {d} = {expression};" for d, expression in e.definitions),
        f"    rate = {e.rate};",
        "    if ((V(s) >= 1.0 && rate > 0.0) || (V(s) <= 0.0 && rate < 0.0)) rate = 0.0;",
        f"    V(s) <+ idt(rate / {span}, (({e.start}) - ({e.low})) / {span});",
        "    V(p, a) <+ r_series * I(p, a);",
        f"    V(a, m) <+ ({e.inner}) * I(a, m);",
        f"    I(m, n) <+ {e.current};",
        "  end",
        "endmodule",
        "",
    ]
    return "\n".join(text)


def equations(model: AbstractMemristor) -> Equations:
    """The Verilog-A expressions of a model."""
    for kind, translate in _TRANSLATIONS.items():
        if isinstance(model, kind):
            try:
                return translate(model)
            except TypeError as error:
                raise ValueError(
                    f"to_verilog_a: {type(model).__name__} has parameters that are arrays; take one cell of it."
                ) from error
    raise ValueError(
        f"to_verilog_a: there is no translation of {type(model).__name__}; there is one of "
        f"{', '.join(k.__name__ for k in _TRANSLATIONS)}."
    )


def _scalars(model: Any, *leave: str) -> dict[str, float]:
    """Number fields by name."""
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(model) if f.name not in leave}
    return {name: float(value) for name, value in fields.items() if value is not None}


def _yakopcic(model: Yakopcic) -> Equations:
    slowed = "exp(-{a} * max({d}, 0.0)) * (1.0 - max({d}, 0.0) / (1.0 - {s}))"
    return Equations(
        parameters=_scalars(model),
        definitions=(
            ("up", "ap * max(exp(v) - exp(vp), 0.0)"),
            ("down", "an * max(exp(-v) - exp(vn), 0.0)"),
            ("rising", slowed.format(a="alpha_p", d="(x - xp)", s="xp")),
            ("falling", slowed.format(a="alpha_n", d="(1.0 - xn - x)", s="xn")),
        ),
        current="(v >= 0.0 ? a1 : a2) * x * sinh(b * v)",
        rate="eta * (up - down) * (eta * v >= 0.0 ? rising : falling)",
        low="0.0",
        high="1.0",
        start="x0",
    )


def _metastable(model: MetastableSwitch) -> Equations:
    return Equations(
        parameters={**_scalars(model), "boltzmann": float(BOLTZMANN_EV)},
        definitions=(
            ("on", "1.0 / (1.0 + exp(-(v - v_on) / (boltzmann * temperature))) / tau"),
            ("off", "1.0 / (1.0 + exp(-(-v - v_off) / (boltzmann * temperature))) / tau"),
            (
                "diode",
                "forward_current * (exp(forward_slope * v) - 1.0) - reverse_current * (exp(-reverse_slope * v) - 1.0)",
            ),
        ),
        current="phi * v * (x / r_on + (1.0 - x) / r_off) + (1.0 - phi) * diode",
        rate="on * (1.0 - x) - off * x",
        low="0.0",
        high="1.0",
        start="x0",
    )


def _stanford(model: StanfordPKU) -> Equations:
    named = {**_scalars(model, "gamma_0_reset", "f_min", "start"), "boltzmann": float(BOLTZMANN_EV)}
    named["gamma_0_reset"] = float(model.gamma_0 if model.gamma_0_reset is None else model.gamma_0_reset)
    gamma = "(v < 0.0 ? gamma_0_reset : gamma_0) - beta * pow(x * 1e9, 3.0)"
    field = ()
    if model.f_min is not None:
        named["f_min"] = float(model.f_min)
        field = (("gamma", "gamma / (1.0 + exp(-2.0 * (gamma * abs(v) / t_ox - f_min) / f_width))"),)
    named["x_start"] = float(model.initial)
    return Equations(
        parameters=named,
        definitions=(
            ("amps", "i_0 * exp(-x / g_0) * sinh(v / v_0)"),
            ("kt", "boltzmann * (ambient + v * amps * r_th)"),
            ("gamma", gamma),
            *field,
            ("push", "gamma * a_0 / t_ox * v / kt"),
        ),
        current="amps",
        rate="-velocity * (exp(push - activation / kt) - exp(-push - activation / kt)) / 2.0",
        low="g_min",
        high="g_max",
        start="x_start",
    )


def _memdiode(model: Memdiode) -> Equations:
    return Equations(
        parameters=_scalars(model),
        definitions=(("slope", "alpha_min + (alpha_max - alpha_min) * x"),),
        current="(i_min + (i_max - i_min) * x) * (exp(beta * slope * u) - exp(-(1.0 - beta) * slope * u))",
        rate="exp(v / set_voltage) / set_time * (1.0 - x) - exp(-v / reset_voltage) / reset_time * x",
        low="0.0",
        high="1.0",
        start="h0",
        inner="(r_min + (r_max - r_min) * x)",
    )


def _filament(model: Filament) -> Equations:
    bent = "({b} * v == 0.0 ? 1.0 : sinh({b} * v) / ({b} * v))"
    return Equations(
        parameters=_scalars(model),
        definitions=(
            ("on", f"g_on * {bent.format(b='b_on')}"),
            ("off", f"g_off * {bent.format(b='b_off')}"),
            ("setting", "exp(min((v - v_set) / w_set, 60.0)) / tau"),
            ("resetting", "exp(min(-(v + v_reset) / w_reset, 60.0)) / tau"),
        ),
        current="v * pow(on, x) * pow(off, 1.0 - x)",
        rate="setting * (1.0 - x) - resetting * x",
        low="0.0",
        high="1.0",
        start="x0",
    )


def _vteam(model: VTEAM) -> Equations:
    at = "(x - w_on) / (w_off - w_on)"
    windows = {NoWindow: ("1.0", "1.0"), Linear: (f"(1.0 - {at})", at)}
    if type(model.window) not in windows:
        raise ValueError(
            f"to_verilog_a: there is no translation of the window {type(model.window).__name__}; there is one of "
            "NoWindow and Linear."
        )
    rising, falling = windows[type(model.window)]
    resistances = {
        "linear": f"r_on + (r_off - r_on) * {at}",
        "exponential": f"r_on * pow(r_off / r_on, {at})",
        "conductance": f"1.0 / ((1.0 - {at}) / r_on + {at} / r_off)",
    }
    beyond = "max({z}, 0.0)" if float(model.width) == 0 else "width * ln(1.0 + exp(({z}) / width))"
    return Equations(
        parameters={**_scalars(model, "start", "window", "read_out"), "w_start": float(model.initial)},
        definitions=(
            ("off", f"k_off * pow({beyond.format(z='v / u_off - 1.0')}, a_off) * {rising}"),
            ("on", f"k_on * pow({beyond.format(z='v / u_on - 1.0')}, a_on) * {falling}"),
        ),
        current=f"v / ({resistances[model.read_out]})",
        rate="off + on",
        low="w_on",
        high="w_off",
        start="w_start",
    )


_TRANSLATIONS: dict[type, Callable[[Any], Equations]] = {
    VTEAM: _vteam,
    Yakopcic: _yakopcic,
    MetastableSwitch: _metastable,
    StanfordPKU: _stanford,
    Memdiode: _memdiode,
    Filament: _filament,
}
