"""How long common tasks take, as ratios to a reference that is timed alongside in the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.benchmark_cases import CASES
from experiments.benchmark_peers import available
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Benchmark: times as ratios to a reference timed in the same run"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores."""

    cases: tuple[str, ...] = ()
    """Names of cases; if none is given, all that are not long and whose reference is installed."""
    grid: bool = False
    """Also IR drop and products of every size, with the exponents of their cost; takes 15 minutes and 4 GB of memory."""
    cells: int = 1_000_000
    """Number of cells in the device cases."""
    repeats: int = 11
    """Timed calls of each case, alternating with the reference."""
    seed: int = 0
    """Random seed."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name in config.cases:
        if name not in CASES:
            raise UsageError(f"--cases {name}: unknown; choose from {', '.join(CASES)}.")
        if not available(CASES[name].needs):
            raise UsageError(f"--cases {name}: needs {CASES[name].needs}, which is not installed.")
    for name in ("cells", "repeats"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")


def memory(config: Config) -> dict[str, float]:
    """Bytes of the device cases [B]: cells, their latents, and what a law makes of them."""
    return {f"{config.cells} cells": 64.0 * config.cells}


def names(config: Config) -> tuple[str, ...]:
    """The cases to time."""
    chosen = lambda case: available(case.needs) and (not case.long or (config.grid and bool(case.family)))  # noqa: E731
    return config.cases or tuple(name for name, case in CASES.items() if chosen(case))


def layout(config: Config) -> Layout:
    dimensions = {
        "case": Dimension(names(config), "what is timed"),
        "repeat": Dimension(range(config.repeats), "call"),
    }
    variables = {
        "seconds": Variable(("case", "repeat"), "time of a call after compilation", "s"),
        "reference_seconds": Variable(("case", "repeat"), "time of the reference, called in turns", "s"),
        "compile_seconds": Variable(("case",), "time of the first call less that of a later one", "s"),
    }
    return Layout(dimensions, variables, ("case",))


def prepare(config: Config) -> None:
    """Nothing is shared, and in particular no compiled programs of earlier runs."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """Times one case and its reference alternately."""
    import jax
    import numpy as np

    case = CASES[point["case"]]
    repeats = min(config.repeats, case.repeats)
    with jax.enable_x64(case.double):
        ours, reference = case.make(config.cells, config.seed)
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
    from experiments import benchmark_view

    return benchmark_view.present(config, results)
