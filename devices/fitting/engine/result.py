"""The result of a fit: numbers with errors, tests, figures."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from devices._show import quantity

PROFILED = "interval by profile"
UNDETERMINED = "not determined by these data"
AT_BOUND = "at its"  # upper or lower bound
_SHOWN = 12  # numbers that a printed fit names


@dataclasses.dataclass(frozen=True)
class Number:
    """An estimate.

    Args:
        stderr: standard error. low, high: 90 % interval. note: what a reader must know ("at its bound", "profiled").
    """

    name: str
    unit: str
    value: float
    stderr: float
    low: float
    high: float
    note: str = ""

    @property
    def profiled(self) -> bool:
        """Whether the interval is one of the profile likelihood, which is not parabolic there."""
        return PROFILED in self.note

    @property
    def error(self) -> str:
        """The standard error as people read it; "at bound" or "unknown" where the curvature of the likelihood gives none."""
        if UNDETERMINED in self.note:
            return "unknown"
        return "at bound" if AT_BOUND in self.note else f"{self.stderr:.2g}"


@dataclasses.dataclass(frozen=True)
class Check:
    """A test of the model against the data: `p` is the probability of a result this bad if the model were true."""

    name: str
    statistic: float
    p: float
    sentence: str

    @property
    def rejected(self) -> bool:
        return self.p < 0.01


@dataclasses.dataclass(frozen=True)
class Series:
    """Points or a line of a figure."""

    label: str
    x: np.ndarray
    y: np.ndarray
    style: Literal["points", "line", "band"] = "points"
    y2: np.ndarray | None = None  # the upper edge of a band, `y` being the lower
    error: np.ndarray | None = None  # standard errors of points


@dataclasses.dataclass(frozen=True)
class Panel:
    """One figure: axes with units, and the series on them."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    x_scale: Literal["linear", "log", "symlog"] = "linear"
    y_scale: Literal["linear", "log", "symlog"] = "linear"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """One model fitted to one measurement.

    Args:
        kind, model, law: what was fitted to what. numbers: the parameters. sigma: of the residuals, where the model has one.
        theta, covariance: estimate and covariance in the coordinates of the search. laplace: the same covariance as if the
            noise model were right. correlation: of the parameters.
        converged: whether the search ended at an optimum. code: the same in a sentence.
        nll: negative log likelihood. rows: independent readings. held_out: mean negative log likelihood per reading of
            blocks left out of the fit, and its standard error; NaN with one block.
        checks: tests of the model. measures: figures of merit. flags: sentences about the data and the fit.
        advice: which measurement would help. panels: figures. seconds: time that the fit took. others: the other
            candidates, best first.
        candidate, data, optimum: what was fitted, and where the search ended, for further questions.
    """

    kind: str
    model: str
    law: str
    numbers: tuple[Number, ...]
    sigma: float
    theta: np.ndarray
    covariance: np.ndarray
    laplace: np.ndarray
    correlation: np.ndarray
    converged: bool
    code: str
    nll: float
    rows: int
    held_out: tuple[float, float]
    checks: tuple[Check, ...]
    measures: Mapping[str, float]
    flags: tuple[str, ...]
    advice: tuple[str, ...]
    panels: tuple[Panel, ...]
    seconds: float
    trace: Any
    candidate: Any
    data: Any
    optimum: Any
    others: tuple[Fit, ...] = ()

    @property
    def estimate(self) -> dict[str, float]:
        """The parameters by name."""
        return {n.name: n.value for n in self.numbers}

    @property
    def stderr(self) -> dict[str, float]:
        """Their standard errors."""
        return {n.name: n.stderr for n in self.numbers}

    @property
    def unknowns(self) -> int:
        """How many numbers were fitted."""
        return len(self.numbers) + int(np.isfinite(self.sigma))

    @property
    def aic(self) -> float:
        """Akaike's information criterion: smaller is better."""
        return 2 * self.unknowns + 2 * self.nll

    @property
    def bic(self) -> float:
        """Bayesian information criterion: smaller is better."""
        return self.unknowns * float(np.log(self.rows)) + 2 * self.nll

    @property
    def rejected(self) -> bool:
        """Whether a test says that the model is wrong."""
        return any(c.rejected for c in self.checks)

    def __repr__(self) -> str:
        shown = [f"  {n.name:<16}{_shown(n)}" for n in self.numbers[:_SHOWN]]
        if len(self.numbers) > _SHOWN:
            shown.append(f"  and {len(self.numbers) - _SHOWN} more numbers")
        bad = ", ".join(c.name for c in self.checks if c.rejected)
        state = "converged" if self.converged else f"not converged: {self.code}"
        verdict = f"rejected by {bad}" if bad else "not rejected"
        head = f"Fit of {self.model} to {self.kind}: {self.rows} readings, AIC {self.aic:.6g}, {state}, {verdict}"
        return "\n".join([head, *shown])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _shown(n: Number) -> str:
    """A number with its error, where it has one, and its note."""
    error = f" ± {n.error}" if n.error[0] in "0123456789" else ""
    return f"{quantity(n.value, n.unit)}{error}" + (f" ({n.note})" if n.note else "")
