"""Compact models as expressions that circuit simulators understand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from devices.compact.base import AbstractMemristor
from devices.compact.circuit import Circuit
from devices.compact.filament import Filament
from devices.compact.memdiode import Memdiode
from devices.compact.metastable_switch import MetastableSwitch
from devices.compact.stanford import StanfordPKU
from devices.compact.team import TEAM, VTEAM, AbstractThreshold
from devices.compact.windows import Linear, NoWindow
from devices.compact.yakopcic import Yakopcic
from devices.constants import BOLTZMANN_EV


@dataclasses.dataclass(frozen=True)
class Equations:
    """A model as expressions: parameters, definitions in order, current, rate of the state, and its ends.

    Everything is an expression of Verilog-A, which SPICE understands as well, in the parameters, the voltage `v` across
    the model, the state `x` and earlier definitions. `inner`: resistance [ohm] of a resistor inside the model; the
    current is then a function of the voltage `u` behind it.
    """

    parameters: dict[str, float]
    definitions: tuple[tuple[str, str], ...]
    current: str
    rate: str
    low: str
    high: str
    start: str
    inner: str = "0.0"


@dataclasses.dataclass(frozen=True)
class TwoTerminals:
    """A memristor as its two terminals see it.

    Args:
        elements: equations of each of its elements in parallel. resistance: in series with all of them [ohm].
        offset: current beside the cell [A]. reversed: whether the terminals are swapped.
    """

    elements: tuple[Equations, ...]
    resistance: float = 0.0
    offset: float = 0.0
    reversed: bool = False


def two_terminals(model: AbstractMemristor, parallel: bool = False) -> TwoTerminals:
    """A model, or a `Circuit` of one, as equations.

    Args:
        parallel: array parameters are those of elements in parallel.

    Raises:
        ValueError: for a model without a translation, or one whose parameters are arrays without `parallel`.
    """
    with jax.enable_x64(True):  # digits of whatever precision the model has
        return _two_terminals(model, parallel)


def _two_terminals(model: AbstractMemristor, parallel: bool) -> TwoTerminals:
    circuit = model if isinstance(model, Circuit) else Circuit(model)
    inner, start = circuit.model, circuit.start
    sizes = {leaf.size for leaf in jax.tree.leaves((inner, start)) if leaf.ndim}
    if sizes and not parallel:
        raise ValueError(
            f"{type(inner).__name__} has parameters that are arrays: take one cell of it, or pass parallel=True if "
            "they are elements in parallel."
        )
    count = max(sizes, default=1)
    pick = lambda tree, k: jax.tree.map(lambda a: jnp.broadcast_to(a, count)[k] if a.ndim else a, tree)  # noqa: E731
    elements = []
    for k in range(count):
        found = equations(pick(inner, k))
        if start is not None:
            share = float(pick(start, k))
            low, high = f"({found.low})", f"({found.high})"
            parameters = {**found.parameters, "start_share": share}
            found = dataclasses.replace(found, parameters=parameters, start=f"{low} + start_share * ({high} - {low})")
        elements.append(found)
    return TwoTerminals(tuple(elements), float(circuit.resistance), float(circuit.offset), circuit.reversed)


def equations(model: AbstractMemristor) -> Equations:
    """The expressions of a model whose parameters are numbers."""
    for kind, translate in _TRANSLATIONS.items():
        if isinstance(model, kind):
            return translate(model)
    raise ValueError(
        f"{type(model).__name__} has no translation into circuit equations; these models have one: "
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


def _threshold(model: AbstractThreshold) -> Equations:
    at = "(x - w_on) / (w_off - w_on)"
    windows = {NoWindow: ("1.0", "1.0"), Linear: (f"(1.0 - {at})", at)}
    if type(model.window) not in windows:
        raise ValueError(
            f"the window {type(model.window).__name__} has no translation into circuit "
            "equations; NoWindow and Linear have one."
        )
    rising, falling = windows[type(model.window)]
    resistances = {
        "linear": f"r_on + (r_off - r_on) * {at}",
        "exponential": f"r_on * pow(r_off / r_on, {at})",
        "conductance": f"1.0 / ((1.0 - {at}) / r_on + {at} / r_off)",
    }
    resistance = resistances[model.read_out]
    drive = f"v / ({resistance})" if isinstance(model, TEAM) else "v"
    beyond = "max({z}, 0.0)" if float(model.width) == 0 else "width * ln(1.0 + exp(({z}) / width))"
    return Equations(
        parameters={**_scalars(model, "start", "window", "read_out"), "w_start": float(model.initial)},
        definitions=(
            ("drive", drive),
            ("off", f"k_off * pow({beyond.format(z='drive / u_off - 1.0')}, a_off) * {rising}"),
            ("on", f"k_on * pow({beyond.format(z='drive / u_on - 1.0')}, a_on) * {falling}"),
        ),
        current=f"v / ({resistance})",
        rate="off + on",
        low="w_on",
        high="w_off",
        start="w_start",
    )


_TRANSLATIONS: dict[type, Callable[[Any], Equations]] = {
    VTEAM: _threshold,
    TEAM: _threshold,
    Yakopcic: _yakopcic,
    MetastableSwitch: _metastable,
    StanfordPKU: _stanford,
    Memdiode: _memdiode,
    Filament: _filament,
}
