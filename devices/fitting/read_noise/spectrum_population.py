"""Noise of many cells: how amplitude, exponent and floor depend on the conductance, and how they scatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.curves import ClippedPower
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import AbstractCandidate
from devices.fitting.engine.parameters import Parameter, Space
from devices.fitting.engine.result import Check
from devices.fitting.read_noise.spectrum_data import SHARE, spectra
from devices.fitting.read_noise.spectrum_models import PowerSpectrum, fit_each_cell, normal_scores, spectrum_notes
from devices.instruments.trace import FileError, Trace
from devices.noise import OneOverFNoise, SumOfNoises, WhiteReadNoise

FEWEST = 4  # cells
NAMES = ("w", "K", "b")  # in the order in which a cell's own fit has them


class PopulationSpectrum(AbstractCandidate):
    """Power law and white floor whose parameters follow the conductance, with scatter from cell to cell.

    $$ \\frac{S_c(f)}{G_c^2} = \\frac{K_c}{f^{b_c}} + w_c, \\quad \\ln K_c = \\ln K - p\\,x_c + s_K z, \\; b_c = b + s_b z',
       \\; \\ln w_c = \\ln w - q\\,x_c + s_w z'', \\quad x_c = \\ln(G_c / \\bar G) $$

    Each cell's likelihood (see `WhiteSpectrum`) is normal near its maximum at `m_c` with covariance `C_c`; with it
    the integral over z, z', z'' is in closed form, and differs from the likelihood of the cells with individual
    parameters only by what the scatter costs:

    $$ -\\ln L_c = -\\ln L_c(m_c) + \\tfrac12 \\ln\\frac{|C_c + \\Sigma|}{|C_c|} + \\tfrac12 d_c^T (C_c + \\Sigma)^{-1} d_c $$

    plus the correction of restricted likelihood for the five numbers of the mean, shared among the cells. K, w are
    at the geometric mean of the conductances.

    Breaks when: a cell's own parameter lies at a bound; or the spectra are not power laws, which shows in the lack of
    fit.
    """

    kind: ClassVar[str] = "noise"
    name: ClassVar[str] = "population"
    law: ClassVar[str] = "S/G^2 = K_c/f^b_c + w_c, K_c ~ G^-p and w_c ~ G^-q with scatter"

    @classmethod
    def of(cls, trace: Trace) -> tuple[PopulationSpectrum, dict[str, Any]]:
        data = spectra(trace)
        cells = data["power"].shape[1]
        if cells < FEWEST:
            raise FileError(
                f"{trace.name}: {cells} cells; a law of many cells needs {FEWEST} or more. Use a model of single cells."
            )
        single = PowerSpectrum(1)
        ends = fit_each_cell(single, data)
        used = data["count"] > 0
        f, m = data["f"][used, None], data["count"][used, None]
        model = single.density({n: ends[n] for n in NAMES}, f, float(data["rate"]), np)
        mean, spread = _summaries(single, ends)
        return cls(), {
            "x": np.log(data["g"]) - np.mean(np.log(data["g"])),
            "g": data["g"],
            "mean": mean,
            "spread": spread,
            "nll": ends["_nll"],
            "score": normal_scores(data["power"][used] / model, SHARE * m),
            "reads": data["reads"],
            "rate": data["rate"],
            "lines": data["lines"],
            "drift": data["drift"],
        }

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("K", "1/Hz", 1e-16, 1e2, (1e-9, 1e-2), log=True),
            Parameter("p", "", -np.inf, np.inf, (-1.0, 3.0)),
            Parameter("s_K", "", 1e-4, 10.0, (0.1, 2.0), log=True),
            Parameter("b", "", 0.2, 2.5, (0.8, 1.6)),
            Parameter("s_b", "", 1e-4, 2.0, (0.02, 0.5), log=True),
            Parameter("w", "1/Hz", 1e-16, 1e2, (1e-10, 1e-3), log=True),
            Parameter("q", "", -np.inf, np.inf, (-1.0, 3.0)),
            Parameter("s_w", "", 1e-4, 10.0, (0.1, 2.0), log=True),
        )

    def guesses(self, data: Any) -> list[dict[str, float]]:
        (q, w), (p, k) = np.polyfit(data["x"], data["mean"][:, :2], 1).T
        s_w, s_k = np.std(data["mean"][:, :2] - np.outer(data["x"], [q, p]), axis=0)
        s_b = np.std(data["mean"][:, 2])
        b = np.mean(data["mean"][:, 2])
        guess = {"K": np.exp(k), "p": -p, "s_K": s_k, "b": b, "s_b": s_b, "w": np.exp(w), "q": -q, "s_w": s_w}
        return [{name: float(value) for name, value in guess.items()}]

    def _deviations(self, values: Mapping[str, Any], data: Any) -> tuple[Any, Any]:
        """Of each cell's `ln w, ln K, b` from the law, and their covariance."""
        x = data["x"]
        law = [jnp.log(values["w"]) - values["q"] * x, jnp.log(values["K"]) - values["p"] * x, values["b"] + 0 * x]
        scatter = jnp.diag(jnp.stack([values["s_w"], values["s_K"], values["s_b"]]) ** 2)
        return data["mean"] - jnp.stack(law, 1), data["spread"] + scatter

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        off, spread = self._deviations(values, data)
        inverse, determinant = _inverse(spread)
        cost = jnp.einsum("ci,cij,cj->c", off, inverse, off) + jnp.log(determinant / _inverse(data["spread"])[1])
        one, x = jnp.ones_like(data["x"]), data["x"]
        rows = (
            jnp.zeros((len(x), 3, 5))
            .at[:, [0, 1, 2], [0, 2, 4]]
            .set(one[:, None])
            .at[:, [0, 1], [1, 3]]
            .set(x[:, None])
        )
        restricted = jnp.linalg.slogdet(jnp.einsum("cip,cij,cjq->pq", rows, inverse, rows))[1]
        return data["nll"] + (cost + restricted / len(x)) / 2

    def notes(self, data: Any) -> tuple[str, ...]:
        return spectrum_notes(data)

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        off, spread = self._deviations(values, data)
        drawn = jnp.einsum("cij,cj->ci", jnp.linalg.cholesky(spread), jax.random.normal(key, off.shape, jnp.float64))
        return {**data, "mean": data["mean"] - off + drawn}

    def count(self, data: Any) -> int:
        return int(data["reads"]) * len(data["g"])

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        z = data["score"]
        return (
            checks.uniform(stats.norm.cdf(z).ravel(), "ordinates of the periodograms"),
            checks.scatter(float(np.sum(z**2)), float(z.size - 3 * z.shape[1]), "ordinates of the periodograms"),
        )

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        return {"cells": float(len(data["g"]))}

    def experiments(self, data: Any) -> tuple[tuple[str, Any], ...]:
        twice = {k: np.concatenate([v, v]) for k, v in data.items() if k in ("x", "g", "mean", "spread", "nll")}
        return (("measure as many cells again", {**data, **twice}),)

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Curves in g/g_max. The scatter of cells enters as the mean of the variance over cells, `exp(s^2 / 2)`
        times the median: the laws of noise have no amplitude for each cell."""
        g, rate = data["g"], data["rate"]
        top, end = g.max(), jnp.log(g.max()) - jnp.mean(jnp.log(g))
        k = jnp.exp(jnp.log(values["K"]) - values["p"] * end + values["s_K"] ** 2 / 2)
        w = jnp.exp(jnp.log(values["w"]) - values["q"] * end + values["s_w"] ** 2 / 2)
        # beyond the smallest cell measured the relative amplitude stays; the floor's variance is w G^2 B
        most = jnp.sqrt(k) * (g.min() / top) ** (-jnp.abs(values["p"]) / 2)
        white = ClippedPower(w * top**2 * rate / 2, values["q"] - 2, jnp.inf)
        q = ClippedPower(jnp.sqrt(k), values["p"] / 2, most)
        noise = SumOfNoises((WhiteReadNoise(white, top, rate / 2), OneOverFNoise(q, top, 1 / rate, values["b"])))
        return {"read_noise": noise, "g_min": g.min(), "g_max": top}


def _inverse(m: Any) -> tuple[Any, Any]:
    """Inverses and determinants of symmetric 3 x 3 matrices; written out, which is faster than a solver for many of them."""
    a, b, c = m[..., 0, :], m[..., 1, :], m[..., 2, :]
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], -2)
    determinant = jnp.sum(a * adjugate[..., 0, :], -1)
    return adjugate / determinant[..., None, None], determinant


def _summaries(single: PowerSpectrum, ends: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of each cell as `ln w, ln K, b`, and their covariance, from the optimum in coordinates of the
    search."""
    space = Space(single.parameters())
    frame = space.frame()

    def natural(theta):
        p = frame.values(theta)
        return jnp.stack([jnp.log(p["w"]), jnp.log(p["K"]), p["b"]])

    with jax.enable_x64(True):
        theta = jnp.asarray(ends["_theta"])
        slopes = np.asarray(jax.vmap(jax.jacfwd(natural))(theta))
        mean = np.asarray(jax.vmap(natural)(theta))
    inverse = np.linalg.inv(ends["_information"] + 1e-4 * np.eye(3))
    return mean, np.einsum("cij,cjk,clk->cil", slopes, inverse, slopes)
