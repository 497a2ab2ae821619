"""Laws of conduction whose voltage moves with the conductance: cells that lie decades apart and conduct differently."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from devices.base import AbstractConduction
from devices.conduction import MovingVoltage, PooleFrenkel, Schottky, Sinh
from devices.constants import BOLTZMANN_EV
from devices.fitting.engine.parameters import Parameter
from devices.fitting.reads.read_iv_base import OhmicRead
from devices.fitting.reads.read_iv_data import project
from devices.instruments.trace import FileError, Trace

DECADE = 10.0  # largest over smallest current at the largest voltage, from which a state can be told by its curve
_FACTORS = np.geomspace(0.04, 1.4, 12)  # of a cell's chord, where its conductance at small voltage is looked for
_VOLTAGES = np.geomspace(0.03, 300.0, 80)  # [V]
KELVIN = 300.0  # of the contact, where the ideality is derived from its voltage


class MovingRead(OhmicRead):
    """`OhmicRead` with a law of one voltage, which moves with the conductance, as `MovingVoltage`.

    $$ f = v_s\\,h(v / v_s), \\qquad \\ln v_s(g) = \\ln v_0 + \\frac{\\ln (v_{high}/v_0)}{1 + (g_s/g)^p} $$

    h is sinh(x), x exp(sqrt|x|), or exp(x) - 1. As cells on both sides of the step may have the same chord, each cell's
    conductance is searched for from several values.
    """

    bends_with_g: ClassVar[bool] = True

    @classmethod
    def of(cls, trace: Trace) -> tuple[OhmicRead, dict[str, Any]]:
        model, data = super().of(trace)
        chord = _chords(data)
        if np.min(chord) * DECADE > np.max(chord):
            raise FileError(
                f"needs cells whose conductances are a decade or more apart; those of {trace.name} reach from "
                f"{np.min(chord):.3g} to {np.max(chord):.3g} S."
            )
        return model, data

    @abc.abstractmethod
    def unit(self, x: Any) -> Any:
        """h(x)."""

    @abc.abstractmethod
    def law_at(self, v0: Any) -> AbstractConduction:
        """The law of devices with this voltage."""

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            *super().parameters(),
            Parameter("v0", "V", 0.02, 1e3, (0.1, 5.0), log=True),
            Parameter("v0_high", "V", 0.02, 1e3, (0.3, 50.0), log=True),
            Parameter("g_step", "S", 1e-11, 1.0, (1e-6, 1e-3), log=True),
            Parameter("sharpness", "", 0.2, 40.0, (0.5, 10.0), log=True),
        )

    def shapes(self, data: Any) -> list[dict[str, float]]:
        """Each cell's own conductance and voltage, and steps between them that leave the least scatter of ln v."""
        g, own = self._each(data)
        order = np.argsort(g)
        g, own = g[order], np.log(own[order])
        cost = [np.var(own[:k]) * k + np.var(own[k:]) * (len(own) - k) for k in range(2, len(own) - 1)]
        best = 2 + int(np.argmin(cost)) if cost else len(own) // 2
        found = []
        for k, sharpness in ((best, 25.0), (best, 3.0), (len(own) // 2, 0.7)):
            low, high = np.exp(np.median(own[:k])), np.exp(np.median(own[k:]))
            step = float(np.sqrt(g[k - 1] * g[k]))
            found.append({"v0": float(low), "v0_high": float(high), "g_step": step, "sharpness": sharpness})
        return found

    def _each(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Conductance [S] and voltage [V] of each cell separately, errors weighted as if noise were relative."""
        size = data["size"] + 1e-3 * np.max(data["size"], 1, keepdims=True)
        weight = data["used"] / size**2
        found_g, best, least = (np.full(len(size), x) for x in (np.nan, np.nan, np.inf))
        with jax.enable_x64(True):
            for v0 in _VOLTAGES:
                shape = np.asarray(v0 * self.unit(jnp.asarray(np.clip(data["v"] / v0, -60.0, 60.0))))
                g, _, residual, _ = project(shape, data["i"], weight, np, data["most"])
                cost = np.where(g > 0, np.sum(residual**2, 1), np.inf)
                better = cost < least
                found_g, best, least = (
                    np.where(better, new, old) for new, old in ((g, found_g), (v0, best), (cost, least))
                )
        chord = np.maximum(_chords(data), 1e-12)
        return np.where(np.isfinite(found_g), found_g, chord), np.where(np.isfinite(best), best, 1.0)

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        folds = jnp.log(jnp.maximum(g, 1e-13) / values["g_step"])
        ratio = jnp.log(values["v0_high"] / values["v0"]) * jax.nn.sigmoid(values["sharpness"] * folds)
        scale = values["v0"] * jnp.exp(ratio)
        return scale * self.unit(v / scale)

    def begin(self, values: Mapping[str, Any], data: Any, weight: Any) -> Any:
        chord = jnp.asarray(project(data["v"], data["i"], weight, most=data["most"])[0])

        def turn(g):
            f = self.shape(values, data["v"], g[:, None])
            g, _, residual, _ = project(f, data["i"], weight, most=data["most"])
            return g, jnp.sum(residual**2, 1)

        def end(first):
            g = lax.fori_loop(0, 3, lambda _, g: turn(g)[0], first)
            f = self.shape(values, data["v"], g[:, None])
            rest = data["i"] - g[:, None] * f
            offset = jnp.clip(jnp.sum(weight * rest, 1) / jnp.sum(weight, 1), -data["most"], data["most"])
            return g, jnp.sum(weight * (rest - offset[:, None]) ** 2, 1)

        ends, costs = jax.vmap(end)(chord * _FACTORS[:, None])
        best = jnp.argmin(jnp.where(jnp.isfinite(costs), costs, jnp.inf), 0)
        return lax.stop_gradient(jnp.take_along_axis(ends, best[None], 0)[0])

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        return {}

    def conduction(self, values: Mapping[str, Any]) -> AbstractConduction:
        ratio = values["v0_high"] / values["v0"]
        return MovingVoltage(self.law_at(values["v0"]), ratio, values["g_step"], values["sharpness"])


def _chords(data: Any) -> np.ndarray:
    """|i / v| of each cell at its largest voltage [S]."""
    last = np.argmax(np.abs(data["v"]) * data["used"], 1)[:, None]
    v, i = (np.take_along_axis(data[n], last, 1)[:, 0] for n in ("v", "i"))
    return np.abs(i / v)


class MovingSinhRead(MovingRead):
    __doc__ = MovingRead.__doc__
    name: ClassVar[str] = "state-dependent sinh"
    law: ClassVar[str] = "i = g v0 sinh(v/v0) + offset, v0 -> v0_high beyond g_step"

    def unit(self, x: Any) -> Any:
        return jnp.sinh(x)

    def law_at(self, v0: Any) -> AbstractConduction:
        return Sinh(v0)


class MovingPooleFrenkelRead(MovingRead):
    __doc__ = MovingRead.__doc__
    name: ClassVar[str] = "state-dependent poole-frenkel"
    law: ClassVar[str] = "i = g v exp(sqrt(|v|/v0)) + offset, v0 -> v0_high beyond g_step"

    def unit(self, x: Any) -> Any:
        size = jnp.where(x == 0, 1.0, jnp.abs(x))
        return x * jnp.exp(jnp.where(x == 0, 0.0, jnp.sqrt(size)))

    def law_at(self, v0: Any) -> AbstractConduction:
        return PooleFrenkel(v0)


class MovingSchottkyRead(MovingRead):
    __doc__ = MovingRead.__doc__
    name: ClassVar[str] = "state-dependent schottky"
    law: ClassVar[str] = "i = g v0 (exp(v/v0) - 1) + offset, v0 -> v0_high beyond g_step, v0 = n kT/q"

    def unit(self, x: Any) -> Any:
        return jnp.expm1(x)

    def law_at(self, v0: Any) -> AbstractConduction:
        """A contact at 300 K, its ideality being v0 over kT/q."""
        return Schottky(ideality=v0 / (BOLTZMANN_EV * KELVIN), temperature=KELVIN)
