"""Noise of reads: spectra by Whittle's likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import optimize, special, stats

from devices.curves import Constant, Table
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import CONTINUED, AbstractCandidate, Proposals
from devices.fitting.engine.optimum import search_data
from devices.fitting.engine.parameters import Parameter, Space
from devices.fitting.engine.result import Check
from devices.fitting.read_noise import lines
from devices.fitting.read_noise.spectrum_data import COMBS, SHARE, drift_error, protocol, spectra
from devices.instruments.trace import FileError, Trace
from devices.noise import OneOverFNoise, SumOfNoises, TelegraphNoise, WhiteReadNoise

MOST = 16  # cells with individual parameters


class WhiteSpectrum(AbstractCandidate):
    """Power law, white floor and Lorentzians, each cell with individual parameters.

    $$ \\frac{S(f)}{G^2} = \\frac{K}{f^b} + w
       + \\sum_j \\frac{2 s_j^2}{r}\\,\\frac{1 - \\phi_j^2}{1 + \\phi_j^2 - 2\\phi_j\\cos(2\\pi f/r)},
       \\quad \\phi_j = e^{-2\\pi f_j/r} $$

    with r the rate of reads: a Lorentzian is given as reads at instants see it, aliases included. Ordinates of the
    periodogram are exponential with mean S, so their mean over the m ordinates of a bin follows a gamma law (Whittle
    1953, recalled, not read), of shape 0.95 m since the taper slightly correlates neighbours:

    $$ -\\ln L = \\sum_{bins} m\\,(\\ln(I r/2) + 1) + 0.95\\,m\\,(I/S - 1 - \\ln(I/S)) + \\frac N2 \\ln 2\\pi $$

    which is the density of the relative fluctuations themselves as far as they are normal, so that it compares with
    other models of the series. The mean and the straight line in time are taken out first, and the taper (cosine
    over 10 % of the record) keeps what is slower than the record from leaking.

    Parameters of cells carry the number of the cell where there are several. K: S/G^2 at 1 Hz. b: exponent. w: white
    floor. s1, s2: relative rms of the processes with corners f1, f2.

    Breaks when: the noise is not stationary over the record; or aliased power laws lift the floor near half the
    rate, which w takes up.
    """

    kind: ClassVar[str] = "noise"
    name: ClassVar[str] = "white"
    law: ClassVar[str] = "S/G^2 = w"
    power: ClassVar[bool] = False
    lorentzians: ClassVar[int] = 0
    cells: int = eqx.field(static=True)

    @classmethod
    def of(cls, trace: Trace) -> tuple[WhiteSpectrum, dict[str, Any]]:
        data = spectra(trace)
        cells = data["power"].shape[1]
        if cells > MOST:
            raise FileError(
                f"{trace.name}: {cells} cells; parameters for each cell are fitted for {MOST} at most. Use the model "
                "'population'."
            )
        return cls(cells), data

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(p for k in range(self.cells) for p in self._of_cell("" if self.cells == 1 else f"_{k}"))

    def _of_cell(self, tag: str) -> list[Parameter]:
        found = [Parameter(f"w{tag}", "1/Hz", 1e-16, 1e2, (1e-10, 1e-3), log=True)]
        if self.power:
            found += [
                Parameter(f"K{tag}", "1/Hz", 1e-16, 1e2, (1e-9, 1e-2), log=True),
                Parameter(f"b{tag}", "", 0.2, 2.5, (0.6, 1.8)),
            ]
        if self.lorentzians:
            found += [
                Parameter(f"s1{tag}", "", 1e-7, 10.0, (1e-4, 0.1), log=True),
                Parameter(f"f1{tag}", "Hz", 1e-4, 1e6, (0.05, 100.0), log=True),
            ]
        if self.lorentzians > 1:
            found += [
                Parameter(f"s2{tag}", "", 1e-7, 10.0, (1e-4, 0.1), log=True),
                Parameter(f"f2/f1{tag}", "", 1.5, 1e6, (3.0, 300.0), log=True),
            ]
        return found

    def of_cells(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by name, one entry per cell."""
        names = [p.name for p in self._of_cell("")]
        tags = [""] if self.cells == 1 else [f"_{k}" for k in range(self.cells)]
        return {n: jnp.stack([jnp.asarray(values[n + tag]) for tag in tags]) for n in names}

    def density(self, p: Mapping[str, Any], f: Any, rate: Any, xp: Any = jnp) -> Any:
        """S/G^2 [1/Hz] at frequencies f [Hz] for parameters without the number of a cell; `xp` is NumPy or JAX's."""
        total = p["w"] + 0 * f
        if self.power:
            total = total + p["K"] * f ** -p["b"]
        for size, corner in self.processes(p):
            total = total + size**2 * lorentzian(f, corner, rate, xp)
        return total

    def processes(self, p: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        """Relative rms and corner [Hz] of each Lorentzian."""
        return (
            [(p["s1"], p["f1"]), (p.get("s2"), p["f1"] * p.get("f2/f1", 1.0))][: self.lorentzians]
            if self.lorentzians
            else []
        )

    def spectrum(self, values: Mapping[str, Any], f: Any, rate: Any) -> Float[Array, "bins cells"]:
        """S/G^2 [1/Hz] of each cell at frequencies f [Hz]."""
        return self.density(self.of_cells(values), jnp.asarray(f)[:, None], rate)

    def guesses(self, data: Any) -> list[dict[str, float]]:
        if self.cells > 1:
            ends = fit_each_cell(type(self)(1), data)
            names = [p.name for p in self._of_cell("")]
            return [{f"{n}_{k}": float(ends[n][k]) for n in names for k in range(self.cells)}]
        used = data["count"] > 0
        f, p = data["f"][used], data["power"][used, 0]
        slope, level = np.polyfit(np.log(f), np.log(p), 1)
        floor, total = float(np.min(p)), float(np.sum(p * np.gradient(f)))
        base = {
            "w": floor,
            "K": float(np.exp(level)),
            "b": float(np.clip(-slope, 0.5, 2.0)),
            "s1": total**0.5 / 2,
            "s2": total**0.5 / 4,
        }
        corners = np.geomspace(f[0], f[-1], 6)[1:-1]
        return [{**base, "b": b, "f1": float(c), "f2/f1": 20.0} for c in corners for b in (base["b"], 1.0)]

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        model = self.spectrum(values, data["f"], data["rate"])
        m = data["count"][:, None]
        ratio = data["power"] / model
        bins = m * (jnp.log(data["power"] * data["rate"] / 2) + 1) + SHARE * m * (ratio - 1 - jnp.log(ratio))
        blocks = jnp.sum(bins.reshape(-1, COMBS, self.cells), 0)
        blocks = blocks + data["masked"] / COMBS
        return (blocks + data["reads"] / 2 * jnp.log(2 * jnp.pi) / COMBS).ravel()

    def notes(self, data: Any) -> tuple[str, ...]:
        return spectrum_notes(data)

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        shape = jnp.maximum(SHARE * data["count"][:, None], 1e-3)
        model = self.spectrum(values, data["f"], data["rate"])
        drawn = jax.random.gamma(key, jnp.broadcast_to(shape, model.shape), dtype=jnp.float64) / shape
        return {**data, "power": jnp.where(data["count"][:, None] > 0, model * drawn, data["power"])}

    def count(self, data: Any) -> int:
        return int(data["reads"]) * self.cells

    def scores(self, values: Mapping[str, float], data: Any) -> np.ndarray:
        """Bins (x cells) as normal scores: unit normals if the model is right."""
        used = data["count"] > 0
        with jax.enable_x64(True):
            model = np.asarray(self.spectrum(values, data["f"][used], data["rate"]))
        return normal_scores(data["power"][used] / model, SHARE * data["count"][used, None])

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        return spectrum_checks(self.scores(values, data), len(self.parameters()))

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        with jax.enable_x64(True):
            model = np.asarray(self.spectrum(values, data["welch_f"], data["rate"]))
        seen = data["welch"][:, 0] > 0
        error = np.sqrt(np.mean(np.log(data["welch"][seen] / model[seen]) ** 2, 0))
        least = [self._least(values, data, k) for k in range(self.cells)]
        tags = [""] if self.cells == 1 else [f" {k}" for k in range(self.cells)]
        drift = np.asarray(data["drift"])
        with jax.enable_x64(True):
            density = lambda f: np.asarray(self.spectrum(values, f, data["rate"]))  # noqa: E731
            noise = drift_error(density, int(data["reads"]), float(data["rate"]))
        both = [("RMS ln", error.tolist()), ("RMS ln, least squares", least)]
        both += [("drift over the record", drift.tolist()), ("drift, standard error", noise.tolist())]
        return {name + tag: x for name, column in both for tag, x in zip(tags, column, strict=True)}

    def _least(self, values: Mapping[str, float], data: Any, cell: int) -> float:
        """RMS of ln(Welch's spectrum / model) that this model can reach for a cell when fitted to just that."""
        alone, tag = type(self)(1), "" if self.cells == 1 else f"_{cell}"
        names = [p.name for p in alone.parameters()]
        seen = data["welch"][:, cell] > 0
        f, wanted = data["welch_f"][seen], np.log(data["welch"][seen, cell])

        def error(logs):
            p = dict(zip(names, np.exp(logs), strict=True))
            return np.log(alone.density(p, f[:, None], float(data["rate"]), np)[:, 0]) - wanted

        ends = np.log([(p.low, p.high) for p in alone.parameters()]).T
        first = np.clip(np.log([float(values[n + tag]) for n in names]), ends[0] + 1e-6, ends[1] - 1e-6)
        return float(np.sqrt(np.mean(optimize.least_squares(error, first, bounds=ends, max_nfev=200).fun ** 2)))

    def experiments(self, data: Any) -> Proposals:
        reads, rate = int(data["reads"]), float(data["rate"])
        return (
            ("record four times as long at the same rate", protocol(4 * reads, rate, self.cells), CONTINUED),
            ("read four times as fast for the same time", protocol(4 * reads, 4 * rate, self.cells), CONTINUED),
        )

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """White, power-law and telegraph noise (a Lorentzian as a trap that is full half of the time); curves in
        g/g_max through the cells where there are several. The white part is that of a bandwidth of half the rate;
        the power law starts one read after programming, and has the mean exponent of the cells."""
        p, g, rate = self.of_cells(values), data["g"], data["rate"]
        g_max = g.max()
        parts: list[Any] = [WhiteReadNoise(_curve(g, p["w"] * g**2 * rate / 2), g_max, rate / 2)]
        if self.power:
            parts.append(OneOverFNoise(_curve(g, jnp.sqrt(p["K"])), g_max, 1 / rate, jnp.mean(p["b"])))
        for size, corner in self.processes(p):
            dwell = 1 / (jnp.pi * corner)  # 2 tau: as long empty as full
            parts.append(TelegraphNoise(_curve(g, 2 * size), g_max, 0.0, jnp.min(dwell), jnp.max(dwell)))
        laws: dict[str, Any] = {"read_noise": SumOfNoises(tuple(parts))}
        return laws if self.cells == 1 else {**laws, "g_min": g.min(), "g_max": g_max}


class PowerSpectrum(WhiteSpectrum):
    """`WhiteSpectrum` with a power law."""

    name: ClassVar[str] = "1/f"
    law: ClassVar[str] = "S/G^2 = K/f^b + w"
    power: ClassVar[bool] = True


class LorentzianSpectrum(WhiteSpectrum):
    """`WhiteSpectrum` with one Lorentzian: noise with one memory time, normal or telegraph."""

    name: ClassVar[str] = "lorentzian"
    law: ClassVar[str] = "S/G^2 = w + Lorentzian(s1, f1)"
    lorentzians: ClassVar[int] = 1


class PowerAndLorentzian(PowerSpectrum):
    """`WhiteSpectrum` with a power law and one Lorentzian."""

    name: ClassVar[str] = "1/f + lorentzian"
    law: ClassVar[str] = "S/G^2 = K/f^b + w + Lorentzian(s1, f1)"
    lorentzians: ClassVar[int] = 1


class PowerAndTwoLorentzians(PowerSpectrum):
    """`WhiteSpectrum` with a power law and two Lorentzians."""

    name: ClassVar[str] = "1/f + 2 lorentzians"
    law: ClassVar[str] = "S/G^2 = K/f^b + w + Lorentzian(s1, f1) + Lorentzian(s2, f2)"
    lorentzians: ClassVar[int] = 2


def lorentzian(f: Any, corner: Any, rate: Any, xp: Any = jnp) -> Any:
    """Density [1/Hz] of a process of unit variance with memory `exp(-2 pi corner t)`, read at instants."""
    phi = xp.exp(-2 * np.pi * corner / rate)
    return 2 / rate * (1 - phi**2) / ((1 - phi) ** 2 + 4 * phi * xp.sin(np.pi * f / rate) ** 2)


def _curve(g: Any, y: Any) -> Any:
    """A number for one cell, a table in g/g_max for several."""
    order = np.argsort(np.asarray(g))
    return Constant(y[0]) if len(g) == 1 else Table(jnp.asarray(g[order] / g.max()), y[order])


def fit_each_cell(candidate: WhiteSpectrum, data: Any) -> dict[str, np.ndarray]:
    """The cells, each fitted separately: numbers by name, and the optimum's arrays under `_theta`, `_nll`,
    `_information`."""
    space = Space(candidate.parameters())
    cells = data["power"].shape[1]
    alone = [
        {**data, **{k: data[k][..., [c]] for k in ("power", "g", "welch", "masked", "drift")}} for c in range(cells)
    ]
    starts = np.stack([space.starts(candidate.guesses(one), 24) for one in alone])
    many = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    with jax.enable_x64(True):
        ends = search_data(candidate, space.frame(), many, starts, np.ones(COMBS), np.ones(len(space)))
    return {
        **space.values(ends.theta),
        "_theta": np.asarray(ends.theta),
        "_nll": np.asarray(ends.nll),
        "_information": np.asarray(ends.information),
    }


def spectrum_notes(data: Any) -> tuple[str, ...]:
    """Lines that were masked, and the drift that was taken out."""
    drift = np.asarray(data["drift"])
    seconds = float(data["reads"]) / float(data["rate"])
    low, high = (f"{x:+.2g} %" for x in 100 * np.quantile(drift, [0.0, 1.0]))
    size = low if len(drift) == 1 else f"{low} to {high}, by cell"
    taken = f"a straight line in time was taken out: a drift of {size} over the {seconds:.3g} s of the record."
    return (*(lines.sentence(lines.Line(*row)) for row in np.asarray(data["lines"])), taken)


def normal_scores(ratio: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Normal scores of gamma variables of mean 1, accurate in both tails."""
    low, high = special.gammainc(shape, shape * ratio), special.gammaincc(shape, shape * ratio)
    return np.where(low < 0.5, stats.norm.ppf(np.maximum(low, 1e-300)), -stats.norm.ppf(np.maximum(high, 1e-300)))


def spectrum_checks(z: np.ndarray, unknowns: int) -> tuple[Check, ...]:
    """Whether bins scatter as exponential ordinates do: their distribution, their spread, and their order along f."""
    return (
        checks.uniform(stats.norm.cdf(z).ravel(), "ordinates of the periodogram"),
        checks.scatter(float(np.sum(z**2)), float(z.size - unknowns), "ordinates of the periodogram"),
        checks.uncorrelated(z.T, "bins of the spectrum"),
    )
