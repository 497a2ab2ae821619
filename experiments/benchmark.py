"""How long things take, as ratios to a reference that is timed beside them in the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.benchmark_cases import CASES, available
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Benchmark: times as ratios to a reference run beside them"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores."""

    cases: tuple[str, ...] = ()
    """Names of cases; if none is given, all that are not long and whose reference is installed."""
    grid: bool = False
    """Also IR drop and products of every size, with the exponents of their cost: a quarter of an hour, and 4 GB of memory."""
    cells: int = 1_000_000
    """Cells of the device cases."""
    repeats: int = 11
    """Timed calls of each, taken in turns with the reference."""
    seed: int = 0
    """Decides the draws."""


def check(config: Config) -> None:
    """Raises UsageError for settings that cannot be."""
    for name in config.cases:
        if name not in CASES:
            raise UsageError(f"--cases {name}: there are {', '.join(CASES)}.")
        if not available(CASES[name].needs):
            raise UsageError(f"--cases {name}: needs {CASES[name].needs}, which is not installed.")
    for name in ("cells", "repeats"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")


def names(config: Config) -> tuple[str, ...]:
    """The cases to time."""
    chosen = lambda case: available(case.needs) and (not case.long or (config.grid and bool(case.family)))  # noqa: E731
    return config.cases or tuple(name for name, case in CASES.items() if chosen(case))


def layout(config: Config) -> Layout:
    dimensions = {
        "case": Dimension(names(config), "what is timed"),
        "repeat": Dimension(tuple(range(config.repeats)), "call"),
    }
    variables = {
        "seconds": Variable(("case", "repeat"), "time of a call after compilation", "s"),
        "reference_seconds": Variable(("case", "repeat"), "time of the reference, called in turns", "s"),
        "compile_seconds": Variable(("case",), "time of the first call less that of a later one", "s"),
    }
    return Layout(dimensions, variables, ("case",))


def prepare(config: Config) -> None:
    """Nothing is shared, compiled programs of earlier runs least of all."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """Times one case and its reference in turns."""
    import jax
    import numpy as np

    case = CASES[point["case"]]
    repeats = min(config.repeats, case.repeats)
    with jax.enable_x64(case.double):
        ours, reference = case.make(config)
        keys = jax.random.split(jax.random.key(config.seed), repeats + 1)
        first = _seconds(ours, keys[0])
        beside = (lambda key: np.nan) if reference is None else lambda key: _seconds(reference, key)
        beside(keys[0])
        pairs = np.full((config.repeats, 2), np.nan)
        own = lambda key: np.median([_seconds(ours, key) for _ in range(case.calls)])  # noqa: E731
        pairs[:repeats] = [(own(k), beside(k)) for k in keys[1:]]
    return {
        "seconds": pairs[:, 0],
        "reference_seconds": pairs[:, 1],
        "compile_seconds": max(first - float(np.nanmedian(pairs[:, 0])), 0.0),
    }


def _seconds(f: Callable[[Any], Any], key: Any) -> float:
    import time

    import jax

    start = time.perf_counter()
    jax.block_until_ready(f(key))
    return time.perf_counter() - start


def present(config: Config, results: Results) -> Any:
    from matplotlib.ticker import LogFormatter

    from experiments.framework import plots
    from experiments.framework.experiment import Presentation

    shown = {name: CASES[name] for name in names(config)}
    wide = 2 + max(len(case.what) for case in shown.values())
    lines = [f"{'case':<{wide}}{'ratio':>8}{'P10 - P90':>18}{'time':>11}{'compile':>9}  beside"]
    spreads = {name: _spread(results, name) for name in shown}
    for name, case in shown.items():
        low, middle, high = spreads[name]
        ratio = f"{middle:>8.3g}{f'{low:.3g} - {high:.3g}':>18}" if case.reference else f"{'-':>8}{'-':>18}"
        once = float(results.select("compile_seconds", case=name))
        time = f"{f'{1e3 * _median(results, name):.1f} ms':>11}{f'{once:.1f} s':>9}"
        lines.append(f"{case.what:<{wide}}{ratio}{time}  {case.reference or 'nothing'}")
    compared = [name for name, case in shown.items() if case.reference]
    figures = {}
    if compared:
        figures["benchmark"], (ax,) = plots.subplots(9.0, height=0.8 + 0.4 * len(compared))
        for row, name in enumerate(compared):
            low, middle, high = spreads[name]
            ax.errorbar(
                middle, row, xerr=[[middle - low], [high - middle]], marker="o", color=plots.PALETTE[0], capsize=3
            )
        ax.set(
            yticks=range(len(compared)),
            yticklabels=[f"{shown[n].what} / {shown[n].reference}" for n in compared],
            xlabel="time / that of the reference",
        )
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")  # 2 and not 2 x 10^0
        ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
        ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
        ax.set_ylim(len(compared) - 0.5, -0.5)
    exponents = _exponents(results, shown)
    if exponents:
        figures["sizes"] = _size_figure(results, shown, exponents)
        lines += ["", "cost against the number of lines n:"]
        lines += [f"  {family}: n^{k:.2f} +- {error:.2f}" for family, (k, error) in exponents.items()]
    method = (
        f"Medians of {config.repeats} calls after compilation (fewer of slow ones), each taken in turns with its "
        "reference (beside badcrossbar, which takes seconds: five calls in a row, whose median counts); "
        f"bars are P10 - P90. Device cases have {config.cells} cells in one call; IR drop is in float64 to a "
        "relative residual of 1e-9, 5 ohm a segment unless it says otherwise, cells log-uniform from 1 to 100 uS. Exponents "
        "are least squares on the logarithms, with standard errors. "
        f"Measured on {_machine()}. Times are of this machine and not a promise; ratios travel better.",
    )
    ratios = {name: float(spreads[name][1]) for name in compared}
    return Presentation(
        "\n".join(lines), figures, method, {"ratios": ratios, "exponents": {f: k for f, (k, _) in exponents.items()}}
    )


def _spread(results: Results, name: str) -> Any:
    """P10, median and P90 of the ratios."""
    import numpy as np

    seconds, beside = (results.select(v, case=name) for v in ("seconds", "reference_seconds"))
    ratios = seconds / beside
    return np.full(3, np.nan) if np.isnan(ratios).all() else np.nanquantile(ratios, (0.1, 0.5, 0.9))


def _median(results: Results, name: str) -> float:
    import numpy as np

    return float(np.nanmedian(results.select("seconds", case=name)))


def _by_size(shown: dict[str, Any], family: str) -> list[str]:
    """The cases of a family, the smallest first, in whatever order they were named."""
    return sorted((name for name, case in shown.items() if case.family == family), key=lambda name: shown[name].size)


def _exponents(results: Results, shown: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Exponent of the cost in the number of lines, and its standard error, of each family with three sizes or more."""
    import numpy as np

    found = {}
    for family in dict.fromkeys(case.family for case in shown.values() if case.family):
        of = _by_size(shown, family)
        if len(of) > 2:
            x, y = (np.log([f(name) for name in of]) for f in (lambda n: shown[n].size, lambda n: _median(results, n)))
            (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
            found[family] = float(slope), float(covariance[0, 0] ** 0.5)
    return found


def _size_figure(results: Results, shown: dict[str, Any], exponents: dict[str, tuple[float, float]]) -> Any:
    import numpy as np

    from experiments.framework import plots

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
    import os
    import platform

    import jax

    return f"{jax.devices()[0].device_kind} ({platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__})"
