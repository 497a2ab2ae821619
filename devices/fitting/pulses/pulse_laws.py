"""Step laws as functions of the parameters of a fit."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from devices.fitting.engine.parameters import Frame, Parameter, Space
from devices.steps import (
    AbstractStep,
    ConstantStep,
    ExponentialStep,
    LinearStep,
    LogPolynomialStep,
    PiecewiseStep,
    PowerStep,
)

NODES = 5
POWERS = 5


class Shape(eqx.Module):
    """A family of step laws over the measured range `low` to `high`, the steps of a direction that was not measured being 0.

    Args:
        low, high: range [S]. unit: of conductances. typical: mean step [S] in each measured direction.
    """

    logarithmic: ClassVar[bool] = False  # whether conductances must be positive
    low: Any
    high: Any
    typical: Mapping[str, Any]
    unit: str = eqx.field(static=True)

    @abc.abstractmethod
    def parameters(self, side: str) -> tuple[Parameter, ...]:
        """Parameters of the steps in one direction."""

    @abc.abstractmethod
    def law(self, values: Mapping[str, Any]) -> AbstractStep:
        """The law with these parameters."""

    def _step(self, side: str, name: str = "step") -> Parameter:
        mean = float(self.typical[side])
        return Parameter(f"{name}_{side}", self.unit, 1e-3 * mean, 1e3 * mean, (mean / 5, mean * 5), log=True)

    def guess(self, side: str, g: np.ndarray, step: np.ndarray) -> dict[str, float]:
        """Least squares through steps seen at conductances, as relative errors where conductances span decades."""
        space = Space(self.parameters(side))
        frame, weight = (
            space.frame(),
            1
            / (
                np.maximum(np.abs(g), 1e-2 * self.low)
                if self.high > 10 * self.low > 0
                else np.full(len(g), self.typical[side])
            ),
        )
        with jax.enable_x64(True):

            def miss(theta):
                return np.nan_to_num((np.asarray(_predicted(self, frame, side, theta, g)) - step) * weight, nan=1e6)

            def slopes(theta):
                return np.nan_to_num(np.asarray(_slopes(self, frame, side, theta, g)) * weight[:, None])

            robust: Any = {"jac": slopes, "loss": "soft_l1", "f_scale": 0.3, "max_nfev": 60}
            ends = [least_squares(miss, start, **robust) for start in space.starts([], 4)]
            best = min(ends, key=lambda end: end.cost).x
            return {name: float(v) for name, v in space.values(best).items()}

    def at(self, values: Mapping[str, float], side: str, g: np.ndarray) -> np.ndarray:
        """Steps at conductances."""
        with jax.enable_x64(True):
            return np.asarray(_steps(self, {n: np.asarray(v) for n, v in values.items()}, side, np.asarray(g)))


def _both(values: Mapping[str, Any], name: str, missing: float) -> tuple[Any, Any]:
    """A parameter up and down."""
    return values.get(f"{name}_up", missing), values.get(f"{name}_down", missing)


@eqx.filter_jit
def _steps(shape: Shape, values: Mapping[str, Any], side: str, g: Any):
    return getattr(shape.law(values), side)(jnp.asarray(g))


@eqx.filter_jit
def _predicted(shape: Shape, frame: Frame, side: str, theta: Any, g: Any):
    return _steps(shape, frame.values(theta), side, g)


@eqx.filter_jit
def _slopes(shape: Shape, frame: Frame, side: str, theta: Any, g: Any):
    return jax.jacfwd(lambda t: _steps(shape, frame.values(t), side, g))(theta)


class Constant(Shape):
    """`Delta = s`."""

    def parameters(self, side):
        return (self._step(side),)

    def law(self, values):
        return ConstantStep(*_both(values, "step", 0.0), self.low, self.high)


class Linear(Shape):
    """`Delta = s (1 -+ gamma z)`, `z` from -1 to 1 over the range. Negative gamma: steps that grow along the train."""

    def parameters(self, side):
        return self._step(side), Parameter(f"gamma_{side}", "", -0.999, 1.5, (-0.8, 1.2))

    def law(self, values):
        middle = (self.low + self.high) / 2
        return LinearStep(*_both(values, "step", 0.0), *_both(values, "gamma", 0.0), middle, self.low, self.high)


class Exponential(Shape):
    """`Delta = s (1 - c (exp(+-gamma z) - 1))`: s is the step in the middle of the range, 0 where that is negative."""

    def parameters(self, side):
        return (
            self._step(side),
            Parameter(f"fall_{side}", "", -0.98, 10.0, (-0.5, 1.5)),
            Parameter(f"gamma_{side}", "", 0.2, 12.0, (0.4, 5.0), log=True),
        )

    def law(self, values):
        (step_up, step_down), (up, down) = _both(values, "step", 0.0), _both(values, "fall", 0.0)
        steps, amplitudes = (step_up * (1 + up), step_down * (1 + down)), (up / (1 + up), down / (1 + down))
        gammas, middle = _both(values, "gamma", 1.0), (self.low + self.high) / 2
        return ExponentialStep(*steps, *amplitudes, *gammas, 1.0, 0.0, middle, self.low, self.high)


class Power(Shape):
    """`Delta = s w^gamma`, `w` the distance to the end towards which pulses lead, in units of the range."""

    def parameters(self, side):
        span = float(self.high - self.low)
        end = float(self.high) if side == "up" else float(self.low)
        ends = sorted((end, end + (span if side == "up" else -span)))
        first = (end - 0.1 * span, ends[1]) if side == "up" else (ends[0], end + 0.1 * span)
        return (
            self._step(side),
            Parameter(f"exponent_{side}", "", 0.05, 8.0, (0.3, 3.0), log=True),
            Parameter(f"end_{side}", self.unit, first[0], first[1]),
        )

    def law(self, values):
        ends = values.get("end_down", self.low), values.get("end_up", self.high)
        return PowerStep(*_both(values, "step", 0.0), *_both(values, "exponent", 1.0), *ends)


class Spline(Shape):
    """Linear between equidistant nodes over the range."""

    def parameters(self, side):
        return tuple(self._step(side, f"step{k}") for k in range(NODES))

    def law(self, values):
        up, down = zip(*(_both(values, f"step{k}", 0.0) for k in range(NODES)), strict=True)
        return PiecewiseStep(_stacked(up), _stacked(down), self.low, self.high)


class LogPolynomial(Shape):
    """`Delta ln g = +-s sum_k c_k z^k`, `z` from -1 to 1 over the logarithm of the range, `c_0` = 1."""

    logarithmic = True

    def parameters(self, side):
        rest = (Parameter(f"c{k}_{side}", "", -20.0, 20.0, (-0.5, 0.5)) for k in range(1, POWERS))
        return (Parameter(f"step_{side}", "", 1e-4, 5.0, (0.01, 0.5), log=True), *rest)

    def law(self, values):
        up, down = zip((1.0, 1.0), *(_both(values, f"c{k}", 0.0) for k in range(1, POWERS)), strict=True)
        step_up, step_down = _both(values, "step", 0.0)
        return LogPolynomialStep(step_up * _stacked(up), step_down * _stacked(down), self.low, self.high)


def _stacked(numbers: tuple[Any, ...]) -> Float[Array, " n"]:
    return jnp.stack([jnp.asarray(x, float) for x in numbers])
