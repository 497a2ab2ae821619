"""What `benchmark` shows: a table, ratios to the references, and cost against size."""

from __future__ import annotations

import os
import platform
from typing import Any

import jax
import numpy as np
from matplotlib.ticker import LogFormatter

from experiments.benchmark_cases import CASES, Case
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results


def present(config: Any, results: Results) -> Presentation:
    """The table, the ratios, and the cost against the size where there are sizes."""
    shown = {str(name): CASES[str(name)] for name in results.coordinates("case")}
    spreads = {name: _spread(results, name) for name, case in shown.items() if case.reference}
    exponents = _exponents(results, shown)
    lines, figures = table(results, shown, spreads), {}
    if spreads:
        figures["benchmark"] = _ratio_figure(shown, spreads)
    if exponents:
        figures["sizes"] = _size_figure(results, shown, exponents)
        lines += ["", "cost against the number of lines n:"]
        lines += [f"  {family}: n^{k:.2f} +- {error:.2f}" for family, (k, error) in exponents.items()]
    ratios = {name: float(middle) for name, (_, middle, _) in spreads.items()}
    summary = {"ratios": ratios, "exponents": {f: k for f, (k, _) in exponents.items()}}
    return Presentation("\n".join(lines), figures, method(config), summary)


def table(results: Results, shown: dict[str, Case], spreads: dict[str, Any]) -> list[str]:
    """One line per case: ratio with its spread, time, time to compile."""
    wide = 2 + max(len(case.what) for case in shown.values())
    lines = [f"{'case':<{wide}}{'ratio':>8}{'P10 - P90':>18}{'time':>11}{'compile':>9}  reference"]
    for name, case in shown.items():
        ratio = f"{'-':>8}{'-':>18}"
        if name in spreads:
            low, middle, high = spreads[name]
            ratio = f"{middle:>8.3g}{f'{low:.3g} - {high:.3g}':>18}"
        once = float(results.select("compile_seconds", case=name))
        time = f"{f'{1e3 * _median(results, name):.1f} ms':>11}{f'{once:.1f} s':>9}"
        lines.append(f"{case.what:<{wide}}{ratio}{time}  {case.reference or 'none'}")
    return lines


def _ratio_figure(shown: dict[str, Case], spreads: dict[str, Any]) -> Any:
    figure, (ax,) = plots.subplots(9.0, height=0.8 + 0.4 * len(spreads))
    for row, (low, middle, high) in enumerate(spreads.values()):
        ax.errorbar(middle, row, xerr=[[middle - low], [high - middle]], marker="o", color=plots.PALETTE[0], capsize=3)
    ax.set(
        yticks=range(len(spreads)),
        yticklabels=[f"{shown[n].what} / {shown[n].reference}" for n in spreads],
        xlabel="time / time of the reference",
    )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")  # 2 and not 2 x 10^0
    ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set_ylim(len(spreads) - 0.5, -0.5)
    return figure


def method(config: Any) -> tuple[str, ...]:
    """How it was timed, and where."""
    return (
        f"Medians of {config.repeats} calls after compilation (fewer for slow ones), each alternating with its "
        "reference (against badcrossbar, which takes seconds: the median of five calls in a row); "
        f"bars are P10 - P90. Device cases have {config.cells} cells in one call; IR drop is in float64 to a "
        "relative residual of 1e-9, 5 ohm per segment unless stated otherwise, cells log-uniform from 1 to 100 uS. Exponents "
        "are from least squares on the logarithms, with standard errors. "
        f"Measured on {_machine()}. Times hold for this machine only and are no promise; ratios carry over better.",
    )


def _spread(results: Results, name: str) -> Any:
    """P10, median and P90 of the ratios."""
    seconds, beside = (results.select(v, case=name) for v in ("seconds", "reference_seconds"))
    ratios = seconds / beside
    return np.full(3, np.nan) if np.isnan(ratios).all() else np.nanquantile(ratios, (0.1, 0.5, 0.9))


def _median(results: Results, name: str) -> float:
    return float(np.nanmedian(results.select("seconds", case=name)))


def _by_size(shown: dict[str, Case], family: str) -> list[str]:
    """The cases of a family, smallest first, whatever the order in which they were named."""
    return sorted((name for name, case in shown.items() if case.family == family), key=lambda name: shown[name].size)


def _exponents(results: Results, shown: dict[str, Case]) -> dict[str, tuple[float, float]]:
    """Exponent of the cost in the number of lines, and its standard error, for each family with three sizes or more."""
    found = {}
    for family in dict.fromkeys(case.family for case in shown.values() if case.family):
        of = _by_size(shown, family)
        if len(of) > 2:
            x, y = (np.log([f(name) for name in of]) for f in (lambda n: shown[n].size, lambda n: _median(results, n)))
            (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
            found[family] = float(slope), float(covariance[0, 0] ** 0.5)
    return found


def _size_figure(results: Results, shown: dict[str, Case], exponents: dict[str, tuple[float, float]]) -> Any:
    kinds = [k for k in ("IR drop", "product") if any(family.startswith(k) for family in exponents)]
    fig, axes = plots.subplots(*[7.0] * len(kinds), height=5.5)
    for ax, kind in zip(axes, kinds, strict=True):
        for i, family in enumerate(f for f in exponents if f.startswith(kind)):
            of = _by_size(shown, family)
            seconds = np.stack([results.select("seconds", case=name) for name in of])
            low, middle, high = 1e3 * np.nanquantile(seconds, (0.1, 0.5, 0.9), axis=1)
            label = f"{family.removeprefix(kind + ', ')}: $n^{{{exponents[family][0]:.2f}}}$"
            ax.errorbar(
                [shown[name].size for name in of], middle, [middle - low, high - middle], label=label, capsize=3,
                color=plots.PALETTE[i % 7], marker="osd^v"[i // 7], linestyle="-" if i < 7 else "--",
            )  # fmt: skip
        ax.set(title=kind, xlabel="lines of the tile n", ylabel="time of a call [ms]", xscale="log", yscale="log")
        sizes = sorted({case.size for case in shown.values() if case.family.startswith(kind)})
        ax.set_xticks(sizes, [str(n) for n in sizes])
        ax.set_xticks([], minor=True)
        ax.legend(fontsize=7)
    return fig


def _machine() -> str:
    """The kind of processor, its cores, and the version of JAX."""
    return f"{jax.devices()[0].device_kind} ({platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__})"
