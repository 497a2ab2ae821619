"""What the models of an I-V loop share: driving a compact model with the measured voltage, the residual, figures,
laws."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import solve_increasing, trajectory
from devices.compact.base import AbstractMemristor
from devices.compact.circuit import Circuit
from devices.fitting.engine.candidate import AbstractResiduals, Values
from devices.fitting.engine.checks import uncorrelated
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.loops.loop_data import POINTS, ROWS, compliance, is_periodic, loop_arrays, pad_to_common_shape
from devices.fitting.loops.loop_guess import guesses
from devices.fitting.loops.loop_pulses import elements, pulse_laws
from devices.instruments.trace import FileError, Trace

SOLVE = 16  # iterations for the cell's voltage, from the measured one
PERIODS = 3  # one from both ends of the range, one from the fixed point that follows, one to be looked at


class Scale(eqx.Module):
    """Scales of a loop, from which bounds are made.

    Args:
        g_low, g_high: conductances [S]. v_set, v_reset: largest voltages of either sign [V]. time: of a loop [s]. floor: [A].
    """

    g_low: np.ndarray
    g_high: np.ndarray
    v_set: np.ndarray
    v_reset: np.ndarray
    time: np.ndarray
    floor: np.ndarray

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Scale:
        v, i = data["v"][data["used"] > 0], data["i"][data["used"] > 0]
        large = np.abs(v) > 0.1 * np.abs(v).max()
        low, high = np.quantile(np.abs(i[large] / v[large]), [0.02, 0.98])
        top = np.abs(data["v"]).max()
        ends = np.max(data["v"]), np.max(-data["v"])
        times = np.sum(data["dt"], 1)
        if not (times > 0).any():
            raise FileError("needs loops of more than one row, or increasing times.")
        time = np.exp(np.mean(np.log(times[times > 0])))
        found = (max(low, 1e-9 * high), high, *(max(e, 0.05 * top) for e in ends), time, data["floor"])
        return cls(*(np.asarray(x, float) for x in found))


class AbstractLoop(AbstractResiduals):
    """A compact model driven with the measured voltage of the device, behind a resistance that is fitted where needed.

    $$ i_n = I(x_n, v_n - R_s i_n^{meas}) + i_0, \\qquad f(i_n^{meas}) = f(i_n) + \\sigma \\epsilon_n, \\qquad
       f(i) = \\frac{i}{i_{rms}} + a\\,\\mathrm{asinh}\\frac{i}{i_{floor}} $$

    `f` weights relative errors of small currents and absolute errors of large ones: noise is about proportional to the
    current between `i_floor` (2 % of readings are smaller) and `a i_rms`. a is 0.05, or 0.15 where these two are more than
    three decades apart; `protocol["relative_weight"]` sets another. Between readings the state makes one
    of the model's own steps at the mean voltage, or several where the voltage changes by more than 3 % of its range. It
    starts from a free value, or, in whole periods of a drive that repeats, from where it ends. Rows in compliance do not
    count; where the model would carry more than the measured current there, the cell's voltage is reduced from the
    source's by their ratio.

    Args:
        periodic: whether loops are whole periods. loops: how many. series: whether there is a series resistance to be found.
        limited: whether rows are in compliance. circuit: whether the source drives the model through the known resistor,
            instead of the measured voltage (loops at several frequencies: there only the source's voltage is the same
            for a model that is not quite right). scale: of the data.
    """

    kind: ClassVar[str] = "loop"
    nuisances: ClassVar[tuple[str, ...]] = ("offset", "r_s", "x")  # x0, x0_1, ...
    keeps_excluded: ClassVar[bool] = True  # the state evolves in rows that do not count, too
    periodic: bool = eqx.field(static=True)
    loops: int = eqx.field(static=True)
    series: bool = eqx.field(static=True)
    limited: bool = eqx.field(static=True)
    circuit: bool = eqx.field(static=True)
    scale: Scale

    @property
    def starts(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 6 if self.circuit else 24  # each step behind a resistor is an equation to be solved

    @classmethod
    def of(cls, trace: Trace) -> tuple[AbstractLoop, Any]:
        trace = compliance(trace)
        data = loop_arrays(trace)
        series = "v_drive" not in trace and "series_resistance" not in trace.protocol
        together, limited = is_periodic(trace) and "resistance" in data, bool(data["limited"].any())
        built = cls(is_periodic(trace), len(data["v"]), series, limited, together, Scale.of(data))
        return built, data

    @classmethod
    def pad_to_common_shape(cls, data: list[Any]) -> list[Any]:
        return pad_to_common_shape(data)

    @abc.abstractmethod
    def own(self) -> tuple[Parameter, ...]:
        """Parameters of the compact model."""

    @abc.abstractmethod
    def model(self, values: Values) -> AbstractMemristor:
        """The compact model; arrays of parameters are elements in parallel. A positive voltage makes it more conductive."""

    def parameters(self) -> tuple[Parameter, ...]:
        s, floor = self.scale, float(self.scale.floor)
        more = [Parameter("offset", "A", -30 * floor, 30 * floor, (-floor, floor))]
        if self.series:
            most = 1 / float(s.g_high)
            more.append(Parameter("r_s", "ohm", 1e-3 * most, most, (1e-2 * most, 0.5 * most), log=True))
        if not self.periodic:
            names = ["x0"] if self.loops == 1 else [f"x0_{k + 1}" for k in range(self.loops)]
            more += [Parameter(name, "", 0.0, 1.0, (0.02, 0.98)) for name in names]
        return (*self.own(), *more)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        return guesses(self.parameters(), data)

    def notes(self, data: Any) -> tuple[str, ...]:
        there, used = int(data["there"]), self.loops
        found = (
            [f"{used} of the {there} loops, equally spaced, were fitted; fit_many fits each."] if there > used else []
        )
        if data["thinned"] > 0:
            found.append(f"loops were thinned to at most {POINTS} equally spaced rows.")
        if self.limited:
            found.append(f"{int(data['limited'].sum())} rows at the source's current limit do not count (compliance).")
        if data["timed"] == 0:
            found.append(
                "rows have no time, or a clock that stands still: 1 V/s was assumed, so rates are known only up to the true "
                "sweep rate."
            )
        if self.circuit:
            found.append(
                "the source's voltage behind the known resistor drives the model, not the measured voltage of the cell."
            )
        if data["polarity"] < 0:
            found.append(
                "a negative voltage sets this device: the signs of voltage and current were reversed for the model."
            )
        if self.series:
            found.append("the cell's voltage is taken as v - r_s i with the measured current, as if that were exact.")
        return tuple(found)

    def start(self, values: Values) -> Float[Array, " loops"]:
        """States at the start as fractions of the range."""
        if self.loops == 1:
            return values["x0"][None]
        return jnp.stack([values[f"x0_{k + 1}"] for k in range(self.loops)])

    def currents(self, values: Values, data: Any) -> Float[Array, "loops rows"]:
        """Modelled currents [A]."""
        model, v = self.model(values), self.cell_voltage(values, data)
        first = self.first_states(values, data)[None] if not self.periodic else None
        i = self.settled_period(model, v, data)[1] if first is None else self.states(model, first, v, data)[1][0]
        return i.T + values["offset"]

    def first_states(self, values: Values, data: Any) -> Float[Array, "loops elements"]:
        """States at the first row of each loop."""
        model = self.model(values)
        if self.periodic:
            return self.settled_period(model, self.cell_voltage(values, data), data)[0][0]
        low, high = (jnp.asarray(b) for b in model.bounds)
        unit = jnp.ones((self.loops, elements(model)))
        return low + (high - low) * unit * self.start(values)[:, None]

    def settled_period(self, model, v, data) -> tuple[Float[Array, "2 loops elements"], Float[Array, "rows loops"]]:
        """States at the first row of a drive that repeats for ever, twice, and currents [A]."""
        low, high = (jnp.asarray(b) for b in model.bounds)
        unit = jnp.ones((self.loops, elements(model)))
        bottom, top = low * unit, high * unit

        def period(carry, _):
            first, _ = carry
            ends, i = self.states(model, first, v, data)
            wide = jnp.maximum(first[1] - first[0], 1e-9 * (top - bottom))
            slope = jnp.clip((ends[1] - ends[0]) / wide, 0.0, 1 - 1e-9)
            fixed = jnp.clip(ends[0] + slope * (ends[0] - first[0]) / (1 - slope), bottom, top)
            return (jnp.stack([fixed, fixed]), i[0]), None

        nothing = jnp.zeros((v.shape[1], self.loops))
        found, _ = lax.scan(period, (jnp.stack([bottom, top]), nothing), None, length=PERIODS)
        return found

    def terminals(self, values: Mapping[str, float], data: Any) -> Circuit:
        """The fitted device between its two terminals, in the state of the first row of the first loop: series resistance,
        offset and polarity included, the source's compliance and a known resistor of the rig not. Arrays of parameters are
        elements in parallel."""
        given = {name: jnp.asarray(value, float) for name, value in values.items()}
        model = self.model(given)
        low, high = (jnp.asarray(b) for b in model.bounds)
        share = (self.first_states(given, data)[0] - low) / (high - low)
        return Circuit(
            model,
            resistance=given.get("r_s", 0.0),
            offset=given["offset"],
            reversed=bool(data["polarity"] < 0),
            start=jnp.clip(share[0] if elements(model) == 1 else share, 0, 1),
        )

    def cell_voltage(self, values: Values, data: Any) -> Float[Array, "loops rows"]:
        """Voltage across the cell [V], apart from compliance."""
        return data["v"] - values["r_s"] * data["i"] if self.series else jnp.asarray(data["v"])

    def states(self, model, x, v, data):
        """States after the last step, and currents [A] at every row: `x` is (starts, loops, elements), currents are (starts,
        rows, loops)."""
        if self.circuit:
            return self.states_behind_resistor(model, x, data)
        after = jnp.concatenate([v[:, 1:], v[:, :1]], 1)
        inputs = [((v + after) / 2).T, data["dt"].T]
        if self.limited:
            current = jnp.asarray(data["i"])
            following = jnp.concatenate([current[:, 1:], current[:, :1]], 1)
            limited = jnp.maximum(data["limited"], jnp.roll(data["limited"], -1, 1))
            inputs += [(jnp.abs(current + following) / 2).T, limited.T]
        coupled = self.limited and x.shape[-1] > 1
        end, rows, _ = trajectory(_limited_step if self.limited else _step, coupled, model, x, tuple(inputs))
        return end, total(model, jnp.moveaxis(rows, 0, 1), v.T)

    def states_behind_resistor(self, model, x, data):
        """As `states`, behind the known resistor R: each step is made at the voltage u that holds at its end,

        $$ u + R\\,I(x_{n+1}(u), u) = v_{drive,n+1} $$

        so that a cell that sets within a step takes as much of the drive's voltage as it can hold.
        """
        after = lambda rows: jnp.concatenate([rows[:, 1:], rows[:, :1]], 1).T  # noqa: E731
        inputs = after(jnp.asarray(data["v_drive"])), after(jnp.asarray(data["v"])), jnp.asarray(data["dt"]).T
        given = model, jnp.asarray(data["resistance"])
        end, _, i = trajectory(_circuit_step, x.shape[-1] > 1, given, x, inputs)
        return end, jnp.moveaxis(jnp.roll(i, 1, 0), 0, 1)

    def residuals(self, values: Values, data: Any) -> Float[Array, "blocks rows"]:
        error = to_noise_scale(self.currents(values, data), data) - to_noise_scale(data["i"], data)
        return (error * data["used"]).reshape(-1, ROWS)

    def used(self, data: Any) -> Float[Array, "blocks rows"]:
        return jnp.reshape(jnp.asarray(data["used"]), (-1, ROWS))

    def simulate(self, values: Values, data: Any, *, key: PRNGKeyArray) -> Any:
        noise = values["sigma"] * jax.random.normal(key, jnp.shape(data["i"]), jnp.result_type(float))
        return {**data, "i": from_noise_scale(to_noise_scale(self.currents(values, data), data) + noise, data)}

    def fitted(self, values: Mapping[str, float], data: Any) -> np.ndarray:
        """Modelled currents [A], as an array of numbers."""
        with jax.enable_x64(True):
            return np.asarray(_currents(self, {n: jnp.asarray(v, float) for n, v in values.items()}, data))

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        with jax.enable_x64(True):
            error = np.asarray(
                to_noise_scale(jnp.asarray(self.fitted(values, data)), data) - to_noise_scale(data["i"], data)
            )
        return (uncorrelated(np.where(data["used"] > 0, error, np.nan), "residuals of the loop"),)

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        """nRMSE = RMS(error) / RMS(current) and logRMSE in decades of |current|, where |v| > 30 mV and |i| > 3 `floor`."""
        model, used = self.fitted(values, data), data["used"] > 0
        large = used & (np.abs(data["v"]) > 0.03) & (np.abs(data["i"]) > 3 * data["floor"])
        return {"nRMSE": nrmse(model, data, used), "logRMSE": log_rmse(model, data, large)}

    def experiments(self, data: Any) -> tuple[tuple[str, Any], ...]:
        def like(volts=1.0, time=1.0):
            return {**data, "v": data["v"] * volts, "dt": data["dt"] * time, "i": data["i"] * volts}

        return (
            ("measure the same loop ten times slower as well", like(time=10.0)),
            ("measure the same loop ten times faster as well", like(time=0.1)),
            ("measure a loop of 70 % of the amplitude as well", like(0.7)),
            ("measure a loop of 130 % of the amplitude as well, if the device tolerates it", like(1.3)),
            ("measure the same loop once more", like()),
        )

    def laws(self, values: Values, data: Any) -> dict[str, Any]:
        """Range and pulse law for square pulses of the largest measured voltages (see `pulse_laws`)."""
        v = self.cell_voltage(values, data)
        return pulse_laws(self.model(values), jnp.max(v), jnp.min(v), jnp.asarray(data["v_read"]))


def _step(model, x, at):
    """A step at a voltage."""
    volts, dt = at
    return state_after(model, x, volts, dt), ()


def _limited_step(model, x, at):
    """A step at a voltage, which the source lowers where it limits the current."""
    volts, dt, amps, limited = at
    own = jnp.abs(total(model, x, volts))
    return state_after(
        model, x, volts * jnp.where(limited > 0, jnp.minimum(1, amps / jnp.maximum(own, 1e-30)), 1), dt
    ), ()


def _circuit_step(given, x, at):
    """A step behind a resistor, and the current at its end."""
    (model, resistance), (volts, guess, dt) = given, at
    move = lambda u: state_after(model, x, u, dt)  # noqa: E731
    excess = lambda u: u + resistance * total(model, move(u), u) - volts  # noqa: E731
    whole = jnp.zeros(x.shape[:-1])
    ends = jnp.minimum(volts, 0) + whole, jnp.maximum(volts, 0) + whole
    u = solve_increasing(excess, *ends, steps=SOLVE, start=guess + whole)
    return move(u), (volts - u) / resistance


def state_after(model: AbstractMemristor, x, v, dt):
    """State (starts, loops, elements) after a step, whose length differs from loop to loop."""
    volts = jnp.broadcast_to(v, x.shape[:-1])[..., None]
    return jax.vmap(model.step, in_axes=(1, 1, 0), out_axes=1)(x, volts, dt)


def total(model: AbstractMemristor, x, v):
    """Current [A] of all elements together, the last axis of `x`."""
    return jnp.sum(model.current(x, v[..., None]), -1)


@eqx.filter_jit
def _currents(candidate: AbstractLoop, values, data):
    return candidate.currents(values, data)


def to_noise_scale(i, data):
    """The scale on which noise is constant."""
    return i / data["rms"] + data["relative"] * jnp.arcsinh(i / data["floor"])


def from_noise_scale(f, data):
    """Its inverse, by Newton's method: `to_noise_scale` is monotonic, and concave in the magnitude."""
    size = jnp.abs(f)
    ratio, weight = data["floor"] / data["rms"], data["relative"]
    y = jnp.minimum(size / weight, jnp.arcsinh(size / ratio))  # asinh(i / floor) is at most either

    def newton(_, y):
        return y - (ratio * jnp.sinh(y) + weight * y - size) / (ratio * jnp.cosh(y) + weight)

    y = lax.fori_loop(0, 30, newton, y)
    return jnp.sign(f) * data["floor"] * jnp.sinh(y)


def nrmse(model: np.ndarray, data: Any, rows: np.ndarray) -> float:
    """RMS(error) / RMS(current) over some rows."""
    return float(np.sqrt(np.mean((model - data["i"])[rows] ** 2) / np.mean(data["i"][rows] ** 2)))


def log_rmse(model: np.ndarray, data: Any, rows: np.ndarray) -> float:
    """Root mean square error of |current| over some rows, in decades; currents of the wrong sign count by their magnitude."""
    ratio = np.maximum(np.abs(model[rows]), 1e-300) / np.abs(data["i"][rows])
    return float(np.sqrt(np.mean(np.log10(ratio) ** 2)))
