"""What the models of read currents share: an offset of the instrument and noise for each cell, integrated out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.conduction import Ohmic
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.fitting.reads.read_iv_data import (
    cells,
    floor_and_slope,
    lag_one,
    linear,
    log_error,
    median_error,
    noise_grows,
    project,
    relative_errors,
)
from devices.instruments.trace import Trace

GROUPS = 4  # of conductance, in which the shape is tested


class OhmicRead(AbstractCandidate):
    """A law of conduction common to all cells, each with its own conductance, offset and noise.

    $$ i_{ck} = g_c\\,f(v_{ck}; \\theta) + o_c + \\sigma_c \\sqrt{1 + (\\rho |i_{ck}| / s)^2}\\,\\varepsilon_{ck},
       \\quad f(v) \\to v \\text{ for small } v, \\quad 1/\\sigma_c^2 \\sim \\Gamma(\\nu/2,\\; 2/(\\nu s^2)) $$

    `g_c`, `o_c` (flat, but no larger than the current at 0 V and its noise) and `sigma_c` are integrated out in closed form,
    so that two thousand of them do not cost degrees of freedom twice (restricted likelihood); with R_c the weighted sum
    of squares that least squares leaves, X_c the columns (f, 1) and m_c = n_c - 2,

    $$ -\\ln L_c = -\\ln\\frac{\\Gamma((\\nu + m_c)/2)}{\\Gamma(\\nu/2)} + \\frac{m_c}{2} \\ln(\\pi\\nu s^2)
       + \\frac{\\nu + m_c}{2} \\ln\\Bigl(1 + \\frac{R_c}{\\nu s^2}\\Bigr) + \\frac12 \\ln|X_c^T X_c| $$

    Where f depends on g_c, the first column is the change of the current at its least squares with the conductance that is
    seen at small voltage.

    s: typical noise; relative: rho, the part that grows with the current, where noise does (`graded`; |i| is a mean over
    neighbours there); nu: how similar the cells' noise is (large: the same). `v` is the voltage across the cell: the
    drop across a series resistance, where the protocol gives one, is subtracted with the measured current; the
    offset found is then `1 + R g` times the instrument's.

    Breaks when: the offset moves during a sweep; or the noise of a cell is correlated (a check says so; the errors
    of blocks stand).
    """

    kind: ClassVar[str] = "read-iv"
    name: ClassVar[str] = "ohmic"
    law: ClassVar[str] = "i = g v + offset"
    nuisances: ClassVar[tuple[str, ...]] = ("s", "nu", "relative")
    starts: ClassVar[int] = 8  # the guesses are taken from the data, and a likelihood of many cells costs time
    graded: bool = eqx.field(static=True, default=False)  # whether noise grows with the current

    @classmethod
    def of(cls, trace: Trace) -> tuple[OhmicRead, dict[str, Any]]:
        data = cells(trace)
        return cls(noise_grows(data)), data

    def parameters(self) -> tuple[Parameter, ...]:
        relative = Parameter("relative", "", 1e-7, 10.0, (1e-4, 0.1), log=True)
        return (
            Parameter("s", "A", 1e-18, 1.0, (1e-9, 1e-6), log=True),
            Parameter("nu", "", 0.5, 1e4, (2.0, 30.0), log=True),
            *([relative] if self.graded else []),
        )

    def guesses(self, data: Any) -> list[dict[str, float]]:
        if self.graded:
            return [{**floor_and_slope(data), "nu": 8.0, **own} for own in self.shapes(data)]
        *_, residual, _ = project(data["v"], data["i"], data["used"], np)
        sigma = float(np.median(np.sqrt(np.sum(residual**2, 1) / (np.sum(data["used"], 1) - 2))))
        return [{"s": sigma, "nu": 8.0, **own} for own in self.shapes(data)]

    def weight(self, values: Mapping[str, Any], data: Any) -> Any:
        """Of each square: the variance at 0 A over that of the reading; 0 where there is none."""
        if not self.graded:
            return data["used"]
        return data["used"] / (1 + (values["relative"] * data["size"] / values["s"]) ** 2)

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
        """g, offset, residuals of each cell as at 0 A, ln determinant, f(v), and the change of the current with g."""
        weight = self.weight(values, data)

        def linear(g, values=values, weight=weight):  # least squares where the current is linear around g
            def current(g):
                f = self.shape(values, data["v"], g[:, None])
                return g[:, None] * f, f

            there, slope, f = jax.jvp(current, (g,), (jnp.ones_like(g),), has_aux=True)
            return *project(slope, data["i"] - there + g[:, None] * slope, weight, most=data["most"]), f, slope

        if not self.bends_with_g:
            return linear(jnp.zeros(len(data["v"])) + 1.0)
        still = lax.stop_gradient((dict(values), weight))  # nothing is differentiated along the way

        def turn(_, g):
            return project(self.shape(still[0], data["v"], g[:, None]), data["i"], still[1], most=data["most"])[0]

        g = lax.fori_loop(0, 5, turn, self.begin(still[0], data, still[1]))  # first each in turn: slow but sure
        both = lambda g, *at: g + jnp.clip(linear(g, *at)[0] - g, -jnp.abs(g) / 2, jnp.abs(g))  # noqa: E731
        g = lax.stop_gradient(lax.fori_loop(0, 8, lambda _, g: both(g, *still), g))
        g = both(g)  # carries derivatives; the squares are least in g, so that its second ones hardly count
        return linear(g)

    def begin(self, values: Mapping[str, Any], data: Any, weight: Any) -> Any:
        """Conductances to start from."""
        return jnp.asarray(project(data["v"], data["i"], weight, most=data["most"])[0])

    bends_with_g: ClassVar[bool] = False  # whether the shape depends on g

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        g, _, residual, determinant, *_ = self.fitted(values, data)
        _, seen = jax.jvp(lambda g: self.seen(values, g), (g,), (jnp.ones_like(g),))
        nu, scale = values["nu"], values["nu"] * values["s"] ** 2
        m = jnp.sum(data["used"], 1) - 2
        gammas = gammaln(nu / 2) - gammaln((nu + m) / 2)
        squares = jnp.sum(residual**2, 1)
        spread = (nu + m) / 2 * jnp.log1p(squares / scale) + determinant / 2 - jnp.log(seen)
        wider = 0.0
        if self.graded:
            wider = jnp.sum(
                jnp.where(data["used"] > 0, jnp.log(jnp.maximum(self.weight(values, data), 1e-300)), 0.0), 1
            )
        return gammas + m / 2 * jnp.log(jnp.pi * scale) + spread - wider / 2

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        g, offset, _, _, f, _ = self.fitted(values, data)
        spread, noise = jax.random.split(key)
        half = values["nu"] / 2
        sigma = values["s"] * jnp.sqrt(half / jax.random.gamma(spread, half, g.shape, jnp.float64))
        noise = sigma[:, None] * jax.random.normal(noise, f.shape, jnp.float64)
        noise = noise / jnp.sqrt(jnp.maximum(self.weight(values, data), 1e-30))
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
        root = np.sqrt(np.asarray(self.weight(values, data)))
        rho, error = lag_one(own, [slope * root, root], data["used"])
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

    def notes(self, data: Any) -> tuple[str, ...]:
        least = np.min(np.abs(np.where(data["used"] > 0, data["v"], np.inf)), 1)
        where = (
            "at 0 V"
            if np.all(least < 1e-6)
            else f"at the smallest voltage ({np.max(least):.3g} V), as 0 V was not read"
        )
        found = [
            f"each cell's offset is held within the current measured {where} and its noise: "
            f"{np.min(data['most']):.2g} to {np.max(data['most']):.2g} A."
        ]
        if self.graded:
            found.append("noise grows with the current here: a part relative to it is fitted beside the constant one.")
        return tuple(found)

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        g, offset, _, _, f, _ = self.fitted_arrays(values, data)
        model = g[:, None] * f + offset[:, None]
        error = relative_errors(np.sum(data["used"] * (model - data["i"]) ** 2, 1), data)
        found = {
            "nRMSE": float(np.median(error)),
            "nRMSE of the worst cell": float(np.max(error)),
            "log RMSE [dec]": log_error(model, data, 10 * values["s"]),
        }
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
            ("read up to twice the voltage", {**data, **{n: 2 * data[n] for n in ("v", "i", "size")}}),
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
