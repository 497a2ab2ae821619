"""Laws of conduction fitted to the read currents of many cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from devices._numerics import safe_sqrt
from devices.conduction import Cubic, PooleFrenkel, Sinh, StateDependent, WithSeriesResistance
from devices.fitting.engine.parameters import Parameter
from devices.fitting.reads.moving_voltage_models import MovingPooleFrenkelRead, MovingSchottkyRead, MovingSinhRead
from devices.fitting.reads.read_iv_base import OhmicRead
from devices.fitting.reads.read_iv_data import linear, own_shape


class CubicRead(OhmicRead):
    """`OhmicRead` with `f = v + curvature v^3`, as `Cubic`."""

    name: ClassVar[str] = "cubic"
    law: ClassVar[str] = "i = g (v + c v^3) + offset"

    def parameters(self) -> tuple[Parameter, ...]:
        return (*super().parameters(), Parameter("curvature", "1/V^2", -np.inf, np.inf, (-2.0, 4.0)))

    def shapes(self, data: Any) -> list[dict[str, float]]:
        return [{"curvature": c} for c in (0.0, 0.5, 2.0)]

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        return v + values["curvature"] * v**3

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        v = data["v"]
        return {"no offset": linear([v, v**3], data), "own shape": linear([v, v**3, np.ones_like(v)], data)}

    def conduction(self, values: Mapping[str, Any]) -> Any:
        return Cubic(values["curvature"])


class SinhRead(OhmicRead):
    """`OhmicRead` with `f = v_0 sinh(v / v_0)`, as `Sinh`."""

    name: ClassVar[str] = "sinh"
    law: ClassVar[str] = "i = g v0 sinh(v/v0) + offset"
    low: ClassVar[float] = 0.02

    def parameters(self) -> tuple[Parameter, ...]:
        return (*super().parameters(), Parameter("v0", "V", self.low, 100.0, (0.2, 5.0), log=True))

    def shapes(self, data: Any) -> list[dict[str, float]]:
        return [{"v0": v} for v in (0.2, 0.6, 2.0)]

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        return values["v0"] * jnp.sinh(v / values["v0"])

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        low = max(self.low, float(np.max(np.abs(data["v"]))) / 20)
        with jax.enable_x64(True):
            shape = lambda v, v0: np.asarray(self.shape({"v0": v0}, v, None))  # noqa: E731
            return {"own shape": own_shape(shape, np.geomspace(low, 100.0, 120), data)}

    def conduction(self, values: Mapping[str, Any]) -> Any:
        return Sinh(values["v0"])


class PooleFrenkelRead(SinhRead):
    """`OhmicRead` with `f = v exp(sqrt(|v| / v_0))`, as `PooleFrenkel`."""

    name: ClassVar[str] = "poole-frenkel"
    law: ClassVar[str] = "i = g v exp(sqrt(|v|/v0)) + offset"

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        return v * jnp.exp(safe_sqrt(jnp.abs(v) / values["v0"]))

    def conduction(self, values: Mapping[str, Any]) -> Any:
        return PooleFrenkel(values["v0"])


class SeriesSinhRead(SinhRead):
    """`SinhRead` behind a resistance that all cells share, as `WithSeriesResistance` around `Sinh`.

    $$ i = g v_0 \\sinh\\frac{v - r i}{v_0} + o $$

    It bends the currents of the best conducting cells most, which tells it from the cells' own law: with cells of
    similar conductance the two cannot be told apart, and the fit says so.
    """

    name: ClassVar[str] = "sinh + series resistance"
    law: ClassVar[str] = "i = g v0 sinh((v - r i)/v0) + offset"
    bends_with_g: ClassVar[bool] = True
    newton: ClassVar[int] = 4  # and two more, from above a convex root: 2e-12 of v to r g = 1e4, v = 150 v0

    def parameters(self) -> tuple[Parameter, ...]:
        return (*super().parameters(), Parameter("r", "ohm", 1e-3, 1e7, (10.0, 1e4), log=True))

    def shapes(self, data: Any) -> list[dict[str, float]]:
        return [{**own, "r": r} for own in super().shapes(data) for r in (100.0, 2e3)]

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        v0, drop = values["v0"], values["r"] * jnp.maximum(g, 0)  # as a share of the small-signal voltage of the cell
        most = v0 * jnp.arcsinh(
            jnp.abs(v) / (jnp.maximum(drop, 1e-9) * v0)
        )  # of what is left to the cell: the resistor alone would take v

        def step(_, own):
            rest = own + drop * v0 * jnp.sinh(own / v0) - v
            return own - rest / (1 + drop * jnp.cosh(own / v0))

        start = jnp.sign(v) * jnp.minimum(jnp.abs(v), most)
        near = lax.stop_gradient(lax.fori_loop(0, self.newton, step, start))
        return v0 * jnp.sinh(lax.fori_loop(0, 2, step, near) / v0)  # the last two carry derivatives up to the third

    def seen(self, values: Mapping[str, Any], g: Any) -> Any:
        return g / (1 + values["r"] * jnp.maximum(g, 0))

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        return {}

    def conduction(self, values: Mapping[str, Any]) -> Any:
        return WithSeriesResistance(Sinh(values["v0"]), values["r"])


class StateCubicRead(OhmicRead):
    """`OhmicRead` with a cubic term that depends on the state, as `StateDependent`.

    $$ g f = g v + (c_0 + c_1 u + c_2 u^2)\\,v^3, \\qquad u = \\log_{10}(g / 50\\,\\mu S) $$

    Since u needs g and g needs the cubic term, the two are found by iteration.
    """

    name: ClassVar[str] = "state-dependent cubic"
    law: ClassVar[str] = "i = g v + c(log10 g) v^3 + offset"
    bends_with_g: ClassVar[bool] = True
    reference: ClassVar[float] = 50e-6  # [S], where c0 is the cubic term

    def parameters(self) -> tuple[Parameter, ...]:
        own = [Parameter(f"c{k}", "A/V^3", -np.inf, np.inf, (-1e-4, 1e-4)) for k in range(3)]
        return (*super().parameters(), *own)

    def shapes(self, data: Any) -> list[dict[str, float]]:
        return [{"c0": c, "c1": 0.0, "c2": 0.0} for c in (0.0, 4e-5)]

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        g = jnp.maximum(g, 1e-7)
        u = jnp.log10(g / self.reference)
        return v + (values["c0"] + values["c1"] * u + values["c2"] * u**2) / g * v**3

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        return CubicRead.squares(self, data)  # type: ignore[arg-type]  # needs only the data

    def conduction(self, values: Mapping[str, Any]) -> Any:
        m, (a, b, c) = np.log10(self.reference), (values[f"c{k}"] for k in range(3))
        cubic = jnp.stack([a - b * m + c * m**2, b - 2 * c * m, c])
        return StateDependent(jnp.zeros(1), cubic)


CANDIDATES = (
    OhmicRead,
    CubicRead,
    SinhRead,
    SeriesSinhRead,
    PooleFrenkelRead,
    StateCubicRead,
    MovingSinhRead,
    MovingPooleFrenkelRead,
    MovingSchottkyRead,
)
