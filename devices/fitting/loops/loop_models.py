"""Models of I-V loops: compact models driven with the measured voltage. See `AbstractLoop` for what they share."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from devices.compact.base import AbstractMemristor
from devices.compact.filament import Filament, bundle
from devices.compact.memdiode import Memdiode
from devices.compact.metastable_switch import MetastableSwitch
from devices.compact.stanford import StanfordPKU
from devices.compact.team import TEAM, VTEAM
from devices.compact.windows import Linear, NoWindow
from devices.compact.yakopcic import Yakopcic
from devices.constants import BOLTZMANN_EV
from devices.fitting.engine.candidate import Values
from devices.fitting.engine.parameters import Parameter
from devices.fitting.loops.loop_base import AbstractLoop

FILAMENTS = 12


class Threshold(AbstractLoop):
    """VTEAM: the state, the share of paths that are off, moves beyond thresholds of the voltage, at full speed to its ends.

    $$ i = v\\,[x\\,g_{off} + (1 - x)\\,g_{on}], \\qquad
       \\dot x = k_{off} \\langle -v/v_{off} - 1 \\rangle^{a_{off}} - k_{on} \\langle v/v_{on} - 1 \\rangle^{a_{on}} $$

    Thresholds are smooth over a fraction `width` of them. Noise: see `AbstractLoop`.

    Reference: Kvatinsky et al. 2015, 10.1109/TCSII.2015.2433536 (recalled, not read).

    Breaks when: the off state is not ohmic; k, threshold and exponent can hardly be told apart with one amplitude and
    rate.
    """

    name: ClassVar[str] = "vteam"
    law: ClassVar[str] = "dx/dt = k (v/v_th - 1)^a beyond thresholds, i = v (x g_off + (1 - x) g_on)"
    window: ClassVar[type] = NoWindow

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        return (*_conductances(s), *_rates(s), *_voltages(s, "v_on", "v_off"), *_exponents())

    def model(self, values: Values) -> AbstractMemristor:
        return VTEAM(-values["v_off"], values["v_on"], **_moving(values), window=self.window(), read_out="conductance")

    def start(self, values):
        return 1 - super().start(values)  # x0 is the share of paths that are on


class WindowedThreshold(Threshold):
    """VTEAM with a linear window: as `Threshold`, but both ends are approached exponentially.

    $$ \\dot x = k_{off} \\langle -v/v_{off} - 1 \\rangle^{a_{off}} (1 - x)
       - k_{on} \\langle v/v_{on} - 1 \\rangle^{a_{on}} x $$

    Reference and limits: as `Threshold`.
    """

    name: ClassVar[str] = "vteam-window"
    law: ClassVar[str] = "dx/dt = k (v/v_th - 1)^a (linear window) beyond thresholds, i = v (x g_off + (1 - x) g_on)"
    window: ClassVar[type] = Linear


class CurrentThreshold(AbstractLoop):
    """TEAM with a linear window: as `WindowedThreshold`, but the current has the thresholds.

    $$ \\dot x = k_{off} \\langle -i/i_{off} - 1 \\rangle^{a_{off}} (1 - x)
       - k_{on} \\langle i/i_{on} - 1 \\rangle^{a_{on}} x, \\qquad i = v\\,[x\\,g_{off} + (1 - x)\\,g_{on}] $$

    So a SET runs away, as the cell it turns on carries more current, and a RESET stops by itself.

    Reference: Kvatinsky et al. 2013, 10.1109/TCSI.2012.2215714 (recalled, not read).

    Breaks when: as `Threshold`; the cell sets at a fixed voltage, whatever its resistance.
    """

    name: ClassVar[str] = "team"
    law: ClassVar[str] = "dx/dt = k (i/i_th - 1)^a (linear window) beyond thresholds, i = v (x g_off + (1 - x) g_on)"

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        most = {"i_on": float(s.g_high * s.v_set), "i_off": float(s.g_high * s.v_reset)}
        least = float(s.g_low) / 30
        currents = tuple(
            Parameter(n, "A", least * v, i, (min(0.1 * i, 3 * least * v), 0.9 * i), log=True)
            for (n, i), v in zip(most.items(), (float(s.v_set), float(s.v_reset)), strict=True)
        )
        return (*_conductances(s), *_rates(s), *currents, *_exponents())

    def model(self, values: Values) -> AbstractMemristor:
        return TEAM(-values["i_off"], values["i_on"], **_moving(values), window=Linear(), read_out="conductance")

    def start(self, values):
        return 1 - super().start(values)  # x0 is the share of paths that are on


class HyperbolicSine(AbstractLoop):
    """Yakopcic's generalised memristor; see `Yakopcic` for the equations.

    $$ i = a_{1,2}\\,x \\sinh(b v), \\qquad \\dot x = g(v) f(x, v) $$

    Reference: Yakopcic et al. 2013, 10.1109/TCAD.2013.2252057.

    Breaks when: the off state is curved differently from the on state, which a single `b` cannot describe.
    """

    name: ClassVar[str] = "yakopcic"
    law: ClassVar[str] = "dx/dt = A (e^|v| - e^V) f(x) beyond thresholds, i = a x sinh(b v)"
    generations: ClassVar[int] = 8

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        top = max(float(s.v_set), float(s.v_reset))
        high = float(s.g_high) * top
        amps = _shared(low=1e-3 * high, high=1e3 * high, start=(0.1 * high, 10 * high), log=True)
        speed = _shared(
            low=1e-3 / float(s.time), high=1e9 / float(s.time), start=(1 / float(s.time), 1e4 / float(s.time)), log=True
        )
        return (
            Parameter("a1", "A", **amps),
            Parameter("a2", "A", **amps),
            Parameter("b", "1/V", 1e-2 / top, 30 / top, (0.1 / top, 5 / top), log=True),
            Parameter("ap", "1/s", **speed),
            Parameter("an", "1/s", **speed),
            *_voltages(s, "vp", "vn"),
            Parameter("xp", "", 0.0, 0.98, (0.05, 0.9)),
            Parameter("xn", "", 0.0, 0.98, (0.05, 0.9)),
            Parameter("alpha_p", "", 1e-2, 60.0, (0.1, 10.0), log=True),
            Parameter("alpha_n", "", 1e-2, 60.0, (0.1, 10.0), log=True),
        )

    def model(self, values: Values) -> AbstractMemristor:
        names = ("a1", "a2", "b", "ap", "an", "vp", "vn", "xp", "xn", "alpha_p", "alpha_n")
        return Yakopcic(**{n: values[n] for n in names}, x0=jnp.zeros(()))


class Switches(AbstractLoop):
    """The mean of metastable switches beside a diode (GMSS); see `MetastableSwitch` for the equations.

    $$ \\dot x = \\frac{1}{\\tau} [(1 - x)\\,\\sigma((v - v_{on})/v_t) - x\\,\\sigma((-v - v_{off})/v_t)], \\qquad
       i = v [x g_{on} + (1 - x) g_{off}] + s (e^{b_f v} - e^{-b_r v}) $$

    `v_t` is free: the published model fixes it at kT/q. Diode and switches share the current equally in
    the model's `phi`, which only scales both.

    Reference: Nugent, Molter 2014, 10.1371/journal.pone.0085175.

    Breaks when: loops at frequencies decades apart are fitted together (one exponential is too narrow).
    """

    name: ClassVar[str] = "gmss"
    law: ClassVar[str] = "dx/dt = [(1 - x) s((v - v_on)/v_t) - x s((-v - v_off)/v_t)] / tau, switches beside a diode"

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        top, time = max(float(s.v_set), float(s.v_reset)), float(s.time)
        amps = float(s.g_low) * top
        bend = _shared(low=1e-2 / top, high=30 / top, start=(0.5 / top, 8 / top), log=True)
        return (
            *_conductances(s),
            *_voltages(s, "v_on", "v_off", most=3.0),
            Parameter("tau", "s", 1e-8 * time, 1e2 * time, (1e-4 * time, 1e-1 * time), log=True),
            Parameter("v_t", "V", 1e-3 * top, top, (0.01 * top, 0.2 * top), log=True),
            Parameter("s_f", "A", 1e-8 * amps, 30 * amps, (1e-2 * amps, amps), log=True),
            Parameter("s_r", "A", 1e-8 * amps, 30 * amps, (1e-2 * amps, amps), log=True),
            Parameter("b_f", "1/V", **bend),
            Parameter("b_r", "1/V", **bend),
        )

    def model(self, values: Values) -> AbstractMemristor:
        return MetastableSwitch(
            r_on=0.5 / values["g_on"],
            r_off=0.5 / values["g_off"],
            v_on=values["v_on"],
            v_off=values["v_off"],
            tau=values["tau"],
            temperature=values["v_t"] / BOLTZMANN_EV,
            phi=0.5,
            forward_current=2 * values["s_f"],
            forward_slope=values["b_f"],
            reverse_current=2 * values["s_r"],
            reverse_slope=values["b_r"],
        )


class Diodes(AbstractLoop):
    """The dynamic memdiode; see `Memdiode` for the equations. The series resistance is the model's own.

    Reference: Miranda 2015, 10.1109/TNANO.2015.2455235; Aguirre et al. 2021, 10.3389/fphy.2021.735021 (recalled, not read).

    Breaks when: the spread of switching voltages is wider than two exponentials make it.
    """

    name: ClassVar[str] = "memdiode"
    law: ClassVar[str] = "dH/dt = (1 - H) e^(v/v_s)/t_s - H e^(-v/v_r)/t_r, antiparallel diodes behind a resistor"

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        top = max(float(s.v_set), float(s.v_reset))
        low, high = float(s.g_low) * top, float(s.g_high) * top
        bend = _shared(low=1e-2 / top, high=40 / top, start=(0.5 / top, 10 / top), log=True)
        ohm = _shared(
            low=1e-4 / float(s.g_high),
            high=1 / float(s.g_high),
            start=(1e-2 / float(s.g_high), 0.5 / float(s.g_high)),
            log=True,
        )
        return (
            *_switching(s),
            Parameter("i_min", "A", 1e-5 * low, high, (1e-2 * low, low), log=True),
            Parameter("i_max", "A", 1e-4 * high, 1e3 * high, (0.1 * high, 10 * high), log=True),
            Parameter("alpha_min", "1/V", **bend),
            Parameter("alpha_max", "1/V", **bend),
            Parameter("r_s", "ohm", **ohm),
            Parameter("beta", "", 0.02, 0.98, (0.3, 0.7)),
        )

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple({p.name: p for p in super().parameters()}.values())

    def cell_voltage(self, values, data):
        return jnp.asarray(data["v"])

    def model(self, values: Values) -> AbstractMemristor:
        v_set, v_reset, w_set, w_reset = (values[n] for n in ("v_set", "v_reset", "w_set", "w_reset"))
        time = self.scale.time / 100
        return Memdiode(
            set_time=time * jnp.exp(v_set / w_set),
            set_voltage=w_set,
            reset_time=time * jnp.exp(v_reset / w_reset),
            reset_voltage=w_reset,
            i_min=values["i_min"],
            i_max=values["i_max"],
            alpha_min=values["alpha_min"],
            alpha_max=values["alpha_max"],
            r_min=values["r_s"],
            r_max=values["r_s"],
            beta=values["beta"],
        )


class Gap(AbstractLoop):
    """Stanford-PKU: the gap of a filament, from 0.2 to 1.7 nm; see `StanfordPKU` for the equations.

    Fixed: 12 nm of oxide, hops of 0.25 nm over 0.6 eV at 298 K, beta = 0.8 (the published defaults), no smallest field.

    Reference: 10.1109/LED.2012.2210856, 10.1109/TED.2016.2545412 (recalled, not read).

    Breaks when: the on state is ohmic: the read-out is a hyperbolic sine in every state.
    """

    name: ClassVar[str] = "stanford"
    law: ClassVar[str] = "dg/dt = -v e^(-E/kT) sinh(gamma a v/(t kT)), i = i_0 e^(-g/g_0) sinh(v/v_0)"

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        top = max(float(s.v_set), float(s.v_reset))
        high = float(s.g_high) * top
        power = high * top
        gamma = min(max(5 / top, 0.5), 500.0), min(max(60 / top, 1.0), 1e3)
        return (
            Parameter("i_0", "A", 1e-3 * high, 1e5 * high, (high, 30 * high), log=True),
            Parameter("g_0", "m", 0.03e-9, 3e-9, (0.1e-9, 0.6e-9), log=True),
            Parameter("v_0", "V", 0.03 * top, 100 * top, (0.2 * top, 3 * top), log=True),
            Parameter("velocity", "m/s", 1e-9, 1e13, (1e-1, 1e4), log=True),
            Parameter("gamma_0", "", 0.5, 1e3, gamma, log=True),
            Parameter("gamma_0_reset", "", 0.5, 1e3, gamma, log=True),
            Parameter("r_th", "K/W", 1e-2 / power, 3e3 / power, (1 / power, 300 / power), log=True),
        )

    def model(self, values: Values) -> AbstractMemristor:
        names = ("i_0", "g_0", "v_0", "velocity", "gamma_0", "gamma_0_reset", "r_th")
        own = {n: values[n] for n in names}
        return StanfordPKU(**own, activation=0.6, a_0=0.25e-9, t_ox=12e-9, beta=0.8, f_min=None)

    def start(self, values):
        return 1 - super().start(values)  # x0 is how far the gap is closed


class OneFilament(AbstractLoop):
    """A filament with exponential rates, between an on and an off state, each with its own curvature; see `Filament`.

    $$ \\dot x = \\frac{1 - x}{\\tau} e^{(v - v_{set})/w_{set}} - \\frac{x}{\\tau} e^{-(v + v_{reset})/w_{reset}}, \\qquad
       i = v\\,G_{on}(v)^x G_{off}(v)^{1 - x}, \\quad G(v) = g \\sinh(b v) / (b v) $$

    tau is a hundredth of a loop's time: thresholds are the voltages that switch within it.

    Breaks when: switching is more gradual than one exponential makes it.
    """

    name: ClassVar[str] = "filament"
    law: ClassVar[str] = (
        "dx/dt = [(1 - x) e^((v - v_set)/w_set) - x e^(-(v + v_reset)/w_reset)] / tau, i = v G_on^x G_off^(1-x)"
    )

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        top = max(float(s.v_set), float(s.v_reset))
        bend = _shared(low=1e-2 / top, high=30 / top, start=(0.3 / top, 6 / top), log=True)
        return (*_conductances(s), Parameter("b_on", "1/V", **bend), Parameter("b_off", "1/V", **bend), *_switching(s))

    def model(self, values: Values) -> AbstractMemristor:
        return self.filament(values)

    def filament(self, values: Values) -> Filament:
        """One filament."""
        names = ("g_on", "g_off", "b_on", "b_off", "v_set", "v_reset", "w_set", "w_reset")
        return Filament(**{n: values[n] for n in names}, tau=self.scale.time / 100)


class FilamentSpectrum(OneFilament):
    """Filaments in parallel whose thresholds are normally distributed: as `OneFilament`, with a spread of each threshold.

    Twelve quantiles stand for the distribution. `spread_reset` is negative where the filament that sets last resets first.

    Breaks when: the current goes through filaments in series, or they heat each other.
    """

    name: ClassVar[str] = "filaments"
    law: ClassVar[str] = "12 filaments in parallel, as 'filament', with normally distributed v_set and v_reset"

    @property
    def starts(self) -> int:
        return min(super().starts, 12)  # twelve filaments' work, from good guesses

    def own(self) -> tuple[Parameter, ...]:
        s = self.scale
        up, down = float(s.v_set), float(s.v_reset)
        return (
            *super().own(),
            Parameter("spread_set", "V", 1e-3 * up, up, (0.02 * up, 0.3 * up), log=True),
            Parameter("spread_reset", "V", -down, down, (-0.3 * down, 0.3 * down)),
        )

    def model(self, values: Values) -> AbstractMemristor:
        return bundle(self.filament(values), FILAMENTS, values["spread_set"], values["spread_reset"])


def _shared(**bounds: Any) -> dict[str, Any]:
    """Bounds that several parameters share."""
    return bounds


def _conductances(s) -> tuple[Parameter, ...]:
    low, high = float(s.g_low), float(s.g_high)
    return (
        Parameter("g_on", "S", high / 100, 100 * high, (high / 2, 2 * high), log=True),
        Parameter("g_off", "S", low / 1e4, high, (low / 30, min(3 * low, 0.9 * high)), log=True),
    )


def _rates(s) -> tuple[Parameter, ...]:
    time = float(s.time)
    return tuple(
        Parameter(k, "1/s", 1e-4 / time, 1e8 / time, (1 / time, 1e4 / time), log=True) for k in ("k_on", "k_off")
    )


def _exponents() -> tuple[Parameter, ...]:
    powers = tuple(Parameter(a, "", 1.0, 12.0, (1.05, 5.0)) for a in ("a_on", "a_off"))
    return (*powers, Parameter("width", "", 0.02, 0.5, (0.03, 0.3), log=True))


def _moving(values: Values) -> dict[str, Any]:
    """What TEAM and VTEAM are made of, except their thresholds."""
    own = {n: values[n] for n in ("k_off", "a_off", "a_on", "width")}
    return {**own, "k_on": -values["k_on"], "r_on": 1 / values["g_on"], "r_off": 1 / values["g_off"]}


def _voltages(s, up: str, down: str, most: float = 1.0) -> tuple[Parameter, ...]:
    ends = ((up, float(s.v_set)), (down, float(s.v_reset)))
    return tuple(Parameter(name, "V", 0.02 * v, most * v, (0.1 * v, 0.9 * v), log=True) for name, v in ends)


def _switching(s) -> tuple[Parameter, ...]:
    ends = (("v_set", "w_set", float(s.v_set)), ("v_reset", "w_reset", float(s.v_reset)))
    levels = tuple(Parameter(v, "V", -3 * top, 5 * top, (0.1 * top, 1.0 * top)) for v, _, top in ends)
    return (*levels, *(Parameter(w, "V", 3e-3 * top, 3 * top, (0.02 * top, 0.3 * top), log=True) for _, w, top in ends))


CANDIDATES = (
    WindowedThreshold, Threshold, CurrentThreshold, Switches, HyperbolicSine, OneFilament, FilamentSpectrum, Diodes, Gap,
)  # fmt: skip
