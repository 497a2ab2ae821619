"""How long things take, as ratios to a reference that is timed beside them in the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.benchmark_cases import CASES, available
from experiments.errors import UsageError
from experiments.store import Dimension, Layout, Results, Variable

TITLE = "Benchmark: times as ratios to a reference run beside them"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about two minutes on two cores."""

    cases: tuple[str, ...] = ()
    """Names of cases; if none is given, all that are not long and whose reference is installed."""
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
    return config.cases or tuple(name for name, case in CASES.items() if available(case.needs) and not case.long)


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
    """Nothing is shared."""


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
        _seconds(reference, keys[0])
        pairs = np.full((config.repeats, 2), np.nan)
        pairs[:repeats] = [(_seconds(ours, k), _seconds(reference, k)) for k in keys[1:]]
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
    import numpy as np

    from experiments import plots
    from experiments.runner import Presentation

    shown = {name: CASES[name] for name in names(config)}
    wide = 2 + max(len(case.what) for case in shown.values())
    lines = [f"{'case':<{wide}}{'ratio':>8}{'P10 - P90':>18}{'time':>10}{'compile':>9}  beside"]
    medians = {}
    fig, (ax,) = plots.subplots(9.0, height=0.8 + 0.4 * len(shown))
    for row, (name, case) in enumerate(shown.items()):
        seconds, beside = (results.select(v, case=name) for v in ("seconds", "reference_seconds"))
        low, middle, high = np.nanquantile(seconds / beside, (0.1, 0.5, 0.9))
        medians[name] = float(middle)
        once = float(results.select("compile_seconds", case=name))
        lines.append(
            f"{case.what:<{wide}}{middle:>8.3g}{f'{low:.3g} - {high:.3g}':>18}{f'{1e3 * np.nanmedian(seconds):.1f} ms':>10}"
            f"{f'{once:.1f} s':>9}  {case.reference}"
        )
        ax.errorbar(middle, row, xerr=[[middle - low], [high - middle]], marker="o", color=plots.PALETTE[0], capsize=3)
    ax.set(
        yticks=range(len(shown)),
        yticklabels=[f"{c.what} / {c.reference}" for c in shown.values()],
        xlabel="time / that of the reference",
    )
    ax.set_xscale("log")
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
    ax.invert_yaxis()
    method = (
        f"Medians of {config.repeats} calls after compilation, each taken in turns with its reference; bars are P10 - P90. "
        f"Device cases have {config.cells} cells in one jitted call; IR drop is in float64 to a relative residual of "
        "1e-9, 5 ohm a segment, "
        "cells log-uniform from 1 to 100 uS. Times are of this machine and not a promise; ratios "
        "travel better.",
    )
    return Presentation("\n".join(lines), {"benchmark": fig}, method, {"ratios": medians})
