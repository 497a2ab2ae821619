"""Read currents of many cells: the law of conduction, with an offset of the instrument for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices._numerics import safe_sqrt
from devices.conduction import Cubic, Ohmic, PooleFrenkel, Sinh, StateDependent, WithSeriesResistance
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.reads.read_iv_data import cells, lag_one, linear, median_error, own_shape, project
from devices.instruments.trace import Trace

GROUPS = 4  # of conductance, in which the shape is tested


class OhmicRead(AbstractCandidate):
    """A law of conduction common to all cells, each with its own conductance, offset and noise.

    $$ i_{ck} = g_c\\,f(v_{ck}; \\theta) + o_c + \\sigma_c \\varepsilon_{ck}, \\quad f(v) \\to v \\text{ for small } v,
       \\quad 1/\\sigma_c^2 \\sim \\Gamma(\\nu/2,\\; 2/(\\nu s^2)) $$

    `g_c`, `o_c` (flat) and `sigma_c` are integrated out in closed form, so that two thousand of them cost no degrees
    of freedom twice (restricted likelihood); with R_c the sum of squares that least squares leaves, X_c the columns
    (f, 1) and m_c = n_c - 2,

    $$ -\\ln L_c = -\\ln\\frac{\\Gamma((\\nu + m_c)/2)}{\\Gamma(\\nu/2)} + \\frac{m_c}{2} \\ln(\\pi\\nu s^2)
       + \\frac{\\nu + m_c}{2} \\ln\\Bigl(1 + \\frac{R_c}{\\nu s^2}\\Bigr) + \\frac12 \\ln|X_c^T X_c| $$

    Where f depends on g_c, the first column is the change of the current at its least squares with the conductance that is
    seen at small voltage.

    s: typical noise; nu: how alike the cells' noise is (large: the same). `v` is the voltage across the cell: a
    resistance in series, where the protocol names one, has had its drop taken off with the measured current; the
    offset found is then `1 + R g` times the instrument's.

    Breaks when: the offset moves during a sweep; or the noise of a cell is correlated (a check says so; the errors
    of blocks stand).
    """

    kind: ClassVar[str] = "read-iv"
    name: ClassVar[str] = "ohmic"
    law: ClassVar[str] = "i = g v + offset"

    @classmethod
    def of(cls, trace: Trace) -> tuple[OhmicRead, dict[str, Any]]:
        return cls(), cells(trace)

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("s", "A", 1e-18, 1.0, (1e-9, 1e-6), log=True),
            Parameter("nu", "", 0.5, 1e4, (2.0, 30.0), log=True),
        )

    def guesses(self, data: Any) -> list[dict[str, float]]:
        *_, residual, _ = project(data["v"], data["i"], data["used"], np)
        sigma = float(np.median(np.sqrt(np.sum(residual**2, 1) / (np.sum(data["used"], 1) - 2))))
        return [{"s": sigma, "nu": 8.0, **own} for own in self.shapes(data)]

    def shapes(self, data: Any) -> list[dict[str, float]]:
        """Starts for the parameters of the shape."""
        return [{}]

    def shape(self, values: Mapping[str, Any], v: Any, g: Any) -> Any:
        """f(v), for cells of about conductance g."""
        return v

    def seen(self, values: Mapping[str, Any], g: Any) -> Any:
        """Conductance at small voltage from outside, over which a cell's own is integrated out."""
        return g

    def fitted(self, values: Mapping[str, Any], data: Any) -> tuple[Any, ...]:
        """g, offset, residuals of each cell, ln determinant, f(v), and the change of the current with g."""

        def current(g):
            f = self.shape(values, data["v"], g[:, None])
            return g[:, None] * f, f

        def linear(g):  # least squares where the current is linear around g
            there, slope, f = jax.jvp(current, (g,), (jnp.ones_like(g),), has_aux=True)
            return *project(slope, data["i"] - there + g[:, None] * slope, data["used"]), f, slope

        g = jnp.asarray(project(data["v"], data["i"], data["used"])[0])
        if self.bends_with_g:  # first each in turn, which is slow but sure, then both at once
            g = lax.fori_loop(0, 5, lambda _, g: project(current(g)[1], data["i"], data["used"])[0], g)
            both = lambda _, g: g + jnp.clip(linear(g)[0] - g, -jnp.abs(g) / 2, jnp.abs(g))  # noqa: E731
            g = lax.stop_gradient(lax.fori_loop(0, 8, both, g))
            g = lax.fori_loop(0, 2, both, g)  # these carry the derivatives
        return linear(g)

    bends_with_g: ClassVar[bool] = False  # whether the shape depends on g

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        g, _, residual, determinant, *_ = self.fitted(values, data)
        _, seen = jax.jvp(lambda g: self.seen(values, g), (g,), (jnp.ones_like(g),))
        nu, scale = values["nu"], values["nu"] * values["s"] ** 2
        m = jnp.sum(data["used"], 1) - 2
        gammas = gammaln(nu / 2) - gammaln((nu + m) / 2)
        squares = jnp.sum(residual**2, 1)
        spread = (nu + m) / 2 * jnp.log1p(squares / scale) + determinant / 2 - jnp.log(seen)
        return gammas + m / 2 * jnp.log(jnp.pi * scale) + spread

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        g, offset, _, _, f, _ = self.fitted(values, data)
        spread, noise = jax.random.split(key)
        half = values["nu"] / 2
        sigma = values["s"] * jnp.sqrt(half / jax.random.gamma(spread, half, g.shape, jnp.float64))
        noise = sigma[:, None] * jax.random.normal(noise, f.shape, jnp.float64)
        return {**data, "i": data["used"] * (g[:, None] * f + offset[:, None] + noise)}

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]) - 2 * len(data["used"]))

    def fitted_arrays(self, values: Mapping[str, float], data: Any) -> list[np.ndarray]:
        with jax.enable_x64(True):
            return [np.asarray(x) for x in self.fitted({k: jnp.asarray(v) for k, v in values.items()}, data)]

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        g, _, residual, _, _, slope = self.fitted_arrays(values, data)
        m = np.sum(data["used"], 1) - 2
        squares = np.sum(residual**2, 1)
        own = residual / np.sqrt(squares / m)[:, None]
        rho, error = lag_one(own, [slope, np.ones_like(slope)], data["used"])
        p = float(2 * stats.norm.sf(abs(rho) / error))
        says = "is correlated along the sweep" if p < 0.01 else "shows no correlation along the sweep"
        f_cdf = stats.f.cdf(squares / m / values["s"] ** 2, m, values["nu"])
        return (
            self._shape_check(g, own, data),
            Check("residual correlation", rho, p, f"the noise of a cell {says} (lag-1 correlation {rho:+.2f})"),
            checks.uniform(f_cdf, "the cells' noise"),
        )

    def _shape_check(self, g: np.ndarray, own: np.ndarray, data: Any) -> Check:
        """Whether standardised residuals, averaged over the cells of a group of conductance, stay around 0 at every
        voltage."""
        total, freedom = 0.0, -(len(self.parameters()) - 2)
        for group in np.array_split(np.argsort(g), min(GROUPS, len(g))):
            seen = data["used"][group].sum(0)
            total += float(np.sum(own[group].sum(0) ** 2 / np.maximum(seen, 1)))
            freedom += int((seen > 0).sum()) - 2
        return checks.scatter(total, float(max(freedom, 1)), "the mean over cells at each voltage")

    def squares(self, data: Any) -> dict[str, np.ndarray]:
        """Sums of squares of each cell with a shape of its own, without and with an offset where least squares gives
        them."""
        return {"no offset": linear([data["v"]], data), "own shape": linear([data["v"], np.ones_like(data["v"])], data)}

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        _, offset, residual, *_ = self.fitted_arrays(values, data)
        found = {"nRMSE": median_error(np.sum(residual**2, 1), data)}
        found |= {f"nRMSE, {name}": median_error(squares, data) for name, squares in self.squares(data).items()}
        low, high = np.percentile(offset, [5, 95])
        return {
            **found,
            "median offset [A]": float(np.median(offset)),
            "offset 5 % [A]": float(low),
            "offset 95 % [A]": float(high),
        }

    def experiments(self, data: Any) -> tuple[tuple[str, Any], ...]:
        return (
            ("read up to twice the voltage", {**data, "v": 2 * data["v"], "i": 2 * data["i"]}),
            ("read both polarities", {**data, "v": data["v"] * np.where(np.arange(data["v"].shape[1]) % 2, 1, -1)}),
        )

    def conduction(self, values: Mapping[str, Any]) -> Any:
        """The law of devices."""
        return Ohmic()

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Conduction, and the range of the cells' conductances; the offset belongs to the instrument."""
        g, *_ = self.fitted(values, data)
        g_max = jnp.max(g)
        return {"conduction": self.conduction(values), "g_min": jnp.clip(jnp.min(g), 0, 0.99 * g_max), "g_max": g_max}


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

    It bends the currents of the best conducting cells most, which tells it from the cells' own law: with cells that
    conduct alike the two cannot be told apart, and the fit says so.
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
    """`OhmicRead` with a cubic term of its own for every state, as `StateDependent`.

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


CANDIDATES = (OhmicRead, CubicRead, SinhRead, SeriesSinhRead, PooleFrenkelRead, StateCubicRead)
