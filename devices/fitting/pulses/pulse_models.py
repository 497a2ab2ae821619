"""Pulse trains: step laws, noise of updates and of reads, spread of trains and fatigue, by a state-space likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from devices.fitting.engine.candidate import AbstractPredictive
from devices.fitting.engine.parameters import Parameter
from devices.fitting.pulses import pulse_data, pulse_laws
from devices.fitting.pulses.pulse_diagnostics import pulse_checks, pulse_measures
from devices.fitting.pulses.pulse_filter import StateSpace, kalman, simulate
from devices.fitting.pulses.pulse_spread import device_laws
from devices.instruments.trace import FileError, Trace

SIDES = {"up": 1.0, "down": -1.0}
TRAINS = 8  # from this many trains in a direction on, their spread is a parameter
CYCLES = 30  # from this many cycles on, fatigue is one, too
BANDWIDTH = 1e6  # Hz, of a read of which nothing is known: an assumption, stated in the notes


class PulseTrain(AbstractPredictive):
    """Pulses on a hidden conductance `h`, each followed by a noisy read.

    $$ h_k = h_{k-1} \\pm e^{u + a}\\,\\Delta_\\pm(h_{k-1}) + (\\sigma_r |\\Delta| + \\sigma_f) \\xi_k, \\qquad y_k = h_k
    + \\rho\\,\\epsilon_k, \\qquad
       u \\sim N(0, \\tau^2) \\text{ of each train}, \\qquad a = A (1 - e^{-c/C}) $$

    The first read of a train says where it starts and nothing else. Parameters: those of the step law; `update` and `floor`,
    sigma_r and sigma_f; `read`, rho; `spread`, tau, with at least 8 trains; `fatigue` A and `fatigue_cycles` C with at
    least 30 cycles c. Where
    conductances span more than a decade, `floor` and `read` are relative: sigma_f is in proportion to h, and rho to a power
    of it, `read_exponent`, `read` being rho/h at the highest.

    Reference: extended Kalman filter, as in Durbin, Koopman 2012, 10.1093/acprof:oso/9780199641178.001.0001 (recalled,
    not read).

    Breaks when: one pulse moves the conductance so far that the step law bends within the error of a read; pulses of a
    train differ in amplitude or width; a read disturbs the state. One read after each pulse cannot tell noise of the
    reading from noise of the write that the next pulse forgets.
    """

    kind: ClassVar[str] = "pulses"
    starts: ClassVar[int] = 4  # the guesses are good, and data can be long
    shapes: ClassVar[type[pulse_laws.Shape]]

    shape: pulse_laws.Shape
    noise: Mapping[str, Any]  # a first look at the noise, from which searches start
    bandwidth: Any  # of the reads [Hz]
    spreads: tuple[str, ...] = eqx.field(static=True)
    ageing: bool = eqx.field(static=True)
    decades: bool = eqx.field(static=True)
    siemens: bool = eqx.field(static=True)
    assumed: bool = eqx.field(static=True)  # whether the bandwidth is

    @classmethod
    def of(cls, trace: Trace) -> tuple[PulseTrain, Any]:
        data, unit = pulse_data.trains(trace), trace.unit
        data, siemens = _scaled(data, trace)
        low, high = np.quantile(data["y"][data["used"] > 0], [0.005, 0.995])
        if not high > low:
            raise FileError(f"all readings are {low:g} {unit}: pulses changed nothing.")
        if cls.shapes.logarithmic and low <= 0:
            raise FileError(f"conductances down to {low:g} {unit} have no logarithm.")
        present = {side for side, sign in SIDES.items() if (data["direction"] == sign).any()}
        typical = {side: _typical(data, SIDES[side], high - low) for side in SIDES if side in present}
        shape = cls.shapes(np.asarray(low), np.asarray(high), typical, "S" if siemens else unit)
        decades = bool(high > 10 * low > 0)
        known = {"bandwidth", "rate"} & set(trace.protocol)
        bandwidth = trace.protocol.get("bandwidth", trace.protocol.get("rate", 2 * BANDWIDTH) / 2)
        ageing = bool(np.ptp(data["age"]) + 1 >= CYCLES)
        look = _noise_look(data, 0.01 * low if decades else None)
        candidate = cls(shape, look, np.asarray(bandwidth), _spreads(data), ageing, decades, siemens, not known)
        return candidate, data

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(self.shape.typical)

    def parameters(self) -> tuple[Parameter, ...]:
        unit = "" if self.decades else self.shape.unit
        scale = 1.0 if self.decades else float(self.shape.high - self.shape.low)
        found = [p for side in self.sides for p in self.shape.parameters(side)]
        if self.ageing:
            for side in self.sides:
                found.append(Parameter(f"fatigue_{side}", "", -4.0, 4.0, (-1.0, 0.5)))
                found.append(Parameter(f"fatigue_cycles_{side}", "cycles", 3.0, 1e4, (20.0, 500.0), log=True))
        found += [Parameter(name, "", 1e-3, 2.0, (0.02, 0.5), log=True) for name in self.spreads]
        found.append(Parameter("update", "", 1e-3, 1e3, (0.03, 10.0), log=True))
        found.append(Parameter("floor", unit, 1e-5 * scale, scale, (1e-3 * scale, 0.1 * scale), log=True))
        found.append(Parameter("read", unit, 1e-5 * scale, scale, (1e-3 * scale, 0.1 * scale), log=True))
        if self.decades:
            found.append(Parameter("read_exponent", "", -0.5, 2.0, (0.2, 1.2)))
        return tuple(found)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        first: dict[str, float] = {}
        over = pulse_data.smoothing(data)
        for side in self.sides:
            g, step, train = pulse_data.increments(data, SIDES[side], over)
            g = np.maximum(g, 0.01 * self.shape.low) if self.decades else g
            first |= self.shape.guess(side, *pulse_data.binned(g, step, self.decades))
            law = self.shape.at(first, side, g)
            more, scale = _factors(side, law, step, train, data, self.ageing)
            first |= more | {n: scale * v for n, v in first.items() if n.startswith("step") and n.endswith(side)}
        first["spread"] = max(first["spread_" + side] for side in self.sides)
        noise = {name: float(v) for name, v in self.noise.items()}
        return [
            {**first, **noise, "update": noise["update"] * a, "floor": noise["floor"] * b}
            for a, b in ((0.7, 0.5), (0.1, 1.0))
        ]

    def state_space(self, values: Mapping[str, Any], data: Any) -> StateSpace:
        """The model of these data."""
        high, age = self.shape.high, jnp.asarray(data["age"])
        fatigue = [
            values.get(f"fatigue_{side}", 0.0) * -jnp.expm1(-age / values.get(f"fatigue_cycles_{side}", 1.0))
            for side in SIDES
        ]
        spread = [values.get(f"spread_{side}", values.get("spread", 0.0)) for side in SIDES]
        floor, read, power = values["floor"], values["read"], values.get("read_exponent", 0.0)
        if self.decades:
            positive = lambda h: jnp.maximum(h, 0.01 * self.shape.low)  # noqa: E731
            noise = (lambda h: floor * positive(h), lambda h: read * high * (positive(h) / high) ** power)
        else:
            noise = (lambda h: floor + 0 * h, lambda h: read + 0 * h)
        train = jnp.where(data["side"] > 0, *spread) * jnp.ones_like(age)
        return StateSpace(self.shape.law(values), (fatigue[0], fatigue[1]), train, values["update"], noise[0], noise[1])

    def innovations(
        self, values: Mapping[str, Any], data: Any
    ) -> tuple[Float[Array, "blocks rows"], Float[Array, "blocks rows"]]:
        found = kalman(self.state_space(values, data), data)
        return found.miss, found.total

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        return {**data, "y": simulate(self.state_space(values, data), data, key=key)}

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]))

    def notes(self, data: Any) -> tuple[str, ...]:
        if not self.assumed:
            return ()
        return (
            f"the bandwidth of the reads is not known and was taken as {BANDWIDTH:g} Hz, "
            "which scales the read noise of the "
            "device; give `bandwidth` [Hz] in the sidecar's [protocol]",
        )

    def checks(self, values, data):
        return pulse_checks(self, values, data)

    def measures(self, values, data):
        return pulse_measures(self, values, data)

    def experiments(self, data):
        twice = {name: np.concatenate([x, x]) for name, x in data.items()}
        return (("measure as many pulse trains again", twice),)

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """In siemens only: a normalised trace needs `g_min` and `g_max` [S] in its protocol, the ends of its range."""
        return device_laws(self, values, data) if self.siemens else {}


def _scaled(data: Any, trace: Trace) -> tuple[Any, bool]:
    """Readings in siemens, where they are or the protocol says what their range is."""
    if trace.unit == "S" or not {"g_min", "g_max"} <= set(trace.protocol):
        return data, trace.unit == "S"
    first, last = (float(trace.protocol[name]) for name in ("g_min", "g_max"))
    low, high = np.quantile(data["y"][data["used"] > 0], [0.005, 0.995])
    share = (data["y"] - low) / (high - low)
    return {**data, "y": first + share * (last - first)}, True


def _typical(data: Any, side: float, span: float) -> np.ndarray:
    """Mean step, at least a hundred-thousandth of the range."""
    step = pulse_data.increments(data, side)[1]
    return np.asarray(max(np.mean(step), 1e-5 * span))


def _spreads(data: Any) -> tuple[str, ...]:
    if len(data["side"]) < TRAINS:
        return ()
    if pulse_data.mixed(data):
        return ("spread",)
    return tuple(f"spread_{side}" for side, sign in SIDES.items() if np.sum(data["side"] == sign) >= TRAINS)


def _noise_look(data: Any, least: float | None) -> dict[str, np.ndarray]:
    """Noise of reads and updates, from what increments leave over a smooth curve through them.

    Args:
        least: where conductances go through decades, the smallest that counts [S].
    """
    decades, reads, updates, relative = least is not None, [], [], []
    for side in SIDES.values():
        g, step, train = pulse_data.increments(data, side)
        if len(g) < 4:
            continue
        g = np.maximum(g, least) if least is not None else g
        curve = np.interp(g, *pulse_data.binned(g, step, decades, 20))
        middle = np.median(curve / g if decades else curve)
        read, update = pulse_data.split_noise((step - curve) / (g if decades else 1.0), train)
        reads.append(read)
        updates.append(update)
        relative.append(update / max(abs(middle), 1e-3 * update))
    if not reads:
        raise FileError("needs four or more consecutive pulses in one direction.")
    found = {"read": np.mean(reads), "floor": np.mean(updates), "update": np.mean(relative)}
    return {name: np.asarray(v) for name, v in (found | ({"read_exponent": 0.8} if decades else {})).items()}


def _factors(side: str, law, step, train, data, ageing: bool) -> tuple[dict[str, float], float]:
    """How much trains differ in their steps, how that changes with the cycles, and what steps start from, relative to
    `law`."""
    trains = np.unique(train)
    sums = np.array([[x[train == k].sum() for x in (step, law)] for k in trains])
    ratio = np.divide(*sums.T, out=np.ones(len(sums)), where=sums[:, 1] != 0)
    ratio = np.log(np.clip(ratio, 0.05, 20.0))
    found = {f"spread_{side}": float(np.clip(np.std(ratio), 0.01, 1.0))}
    if ageing:
        age = data["age"][trains]
        early, late = age < np.quantile(age, 0.1), age >= np.median(age)
        lost = ratio[late].mean() - ratio[early].mean()
        found |= {
            f"fatigue_{side}": float(np.clip(1.3 * lost, -3, 3)),
            f"fatigue_cycles_{side}": 0.25 * float(np.ptp(age)),
        }
        return found, math.exp(ratio[early].mean())
    return found, 1.0


class ConstantPulses(PulseTrain):
    """The same step at every conductance: `ConstantStep`.

    The rest is as in `PulseTrain`; see `pulse_laws.Constant` for the parameters of the step.
    """

    name: ClassVar[str] = "constant"
    law: ClassVar[str] = "dg = s"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.Constant


class LinearPulses(PulseTrain):
    """A step that changes linearly with the conductance: `LinearStep`; an exponential sweep, NeuroSim's with free ends.

    The rest is as in `PulseTrain`; see `pulse_laws.Linear` for the parameters of the step.
    """

    name: ClassVar[str] = "linear"
    law: ClassVar[str] = "dg = s (1 -+ gamma z)"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.Linear


class ExponentialPulses(PulseTrain):
    """A step that decays exponentially towards the end of the range: `ExponentialStep`.

    The rest is as in `PulseTrain`; see `pulse_laws.Exponential` for the parameters of the step.
    """

    name: ClassVar[str] = "exponential"
    law: ClassVar[str] = "dg = s (1 - c (exp(+-gamma z) - 1))"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.Exponential


class PowerPulses(PulseTrain):
    """A step that falls with a power of the distance to where it ends: `PowerStep`.

    The rest is as in `PulseTrain`; see `pulse_laws.Power` for the parameters of the step.
    """

    name: ClassVar[str] = "power"
    law: ClassVar[str] = "dg = s (distance to the end)^gamma"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.Power


class SplinePulses(PulseTrain):
    """A step with no law but smoothness: `PiecewiseStep`.

    The rest is as in `PulseTrain`; see `pulse_laws.Spline` for the parameters of the step.
    """

    name: ClassVar[str] = "spline"
    law: ClassVar[str] = "dg = linear between 5 nodes"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.Spline


class LogPolynomialPulses(PulseTrain):
    """A step of the logarithm, as for floating gates: `LogPolynomialStep`.

    The rest is as in `PulseTrain`; see `pulse_laws.LogPolynomial` for the parameters of the step.
    """

    name: ClassVar[str] = "log-polynomial"
    law: ClassVar[str] = "d ln g = s polynomial(ln g)"
    shapes: ClassVar[type[pulse_laws.Shape]] = pulse_laws.LogPolynomial


CANDIDATES = (ConstantPulses, LinearPulses, ExponentialPulses, PowerPulses, SplinePulses, LogPolynomialPulses)
