"""Figures of read noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from devices.fitting.engine.result import Panel, Series
from devices.fitting.read_noise.spectrum_models import WhiteSpectrum
from devices.fitting.read_noise.spectrum_population import PopulationSpectrum
from devices.fitting.read_noise.telegraph_models import OneTrap


def spectrum_panels(candidate: WhiteSpectrum, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Spectrum under the model, and residuals."""
    used = data["count"] > 0
    f = data["f"][used]
    with jax.enable_x64(True):
        model = np.asarray(candidate.spectrum(values, f, data["rate"]))
    z = candidate.scores(values, data)
    tags = [""] if candidate.cells == 1 else [f" cell {k}" for k in range(candidate.cells)]
    lines = [Series("data" + t, f, data["power"][used, k]) for k, t in enumerate(tags)]
    lines += [Series("model" + t, f, model[:, k], "line") for k, t in enumerate(tags)]
    return (
        Panel("Spectrum of the fluctuation", "frequency [Hz]", "S/G^2 [1/Hz]", tuple(lines), "log", "log"),
        Panel(
            "Residuals",
            "frequency [Hz]",
            "normal score",
            tuple(Series(f"data{t}", f, z[:, k]) for k, t in enumerate(tags)),
            "log",
        ),
    )


def population_panels(candidate: PopulationSpectrum, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Amplitude against conductance with the band of 90 % of cells, residuals, and exponents."""
    g = data["g"]
    line = np.geomspace(g.min(), g.max(), 50)
    x = np.log(line) - np.mean(np.log(g))
    law = np.exp(np.log(values["K"]) - values["p"] * x)
    wide = np.exp(1.645 * values["s_K"])
    off = data["mean"][:, 1] - np.log(values["K"]) + values["p"] * data["x"]
    band = Series("90 % of cells", line, law / wide, "band", law * wide)
    data_k, model = Series("cells", g, np.exp(data["mean"][:, 1])), Series("law", line, law, "line")
    return (
        Panel("Amplitude of 1/f noise", "conductance [S]", "S/G^2 at 1 Hz [1/Hz]", (data_k, model, band), "log", "log"),
        Panel("Residuals", "conductance [S]", "ln K - law", (Series("cells", g, off),), "log"),
        Panel("Exponent", "conductance [S]", "b", (Series("cells", g, data["mean"][:, 2]),), "log"),
    )


def telegraph_panels(candidate: OneTrap, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Reads under the level that is likeliest, residuals, and the density of reads."""
    now, _ = candidate.level_probabilities(values, data)
    with jax.enable_x64(True):
        levels = np.asarray(candidate.chain({n: jnp.asarray(v) for n, v in values.items()})[0])
    x = candidate.detrended(values, data)[data["used"] > 0]
    shown = slice(0, 2000)
    t = np.arange(len(x))[shown] / float(data["rate"])
    edges = np.linspace(x.min(), x.max(), 80)
    weight = now.mean(0)
    density = np.sum(weight * stats.norm.pdf(edges[:, None], levels, values["s"]), 1)
    height, _ = np.histogram(x, edges, density=True)
    return (
        Panel(
            "Series",
            "time [s]",
            "g/mean - 1",
            (Series("data", t, x[shown]), Series("level", t, (now @ levels)[shown], "line")),
        ),
        Panel("Residuals", "time [s]", "g/mean - 1 less level", (Series("data", t, (x - now @ levels)[shown]),)),
        Panel(
            "Levels",
            "g/mean - 1",
            "density",
            (Series("data", (edges[1:] + edges[:-1]) / 2, height), Series("model", edges, density, "line")),
        ),
    )
