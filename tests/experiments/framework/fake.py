"""The smallest experiment there can be: a noisy line. The runner's tests run it, interrupt it and break it."""

import dataclasses

import numpy as np

from experiments.framework import plots
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Presentation
from experiments.framework.store import Dimension, Layout, Variable

TITLE = "A noisy line"
computed = []
stop_at = None  # a point at which to pretend that somebody pressed Ctrl-C


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    slopes: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Slopes of the lines."""
    kind: str = "line"
    """A name."""
    seed: int = 0
    """Seed."""


def check(config):
    if not config.slopes:
        raise UsageError("--slopes: give at least one.")


def layout(config):
    dims = {"slope": Dimension(config.slopes, "slope"), "x": Dimension(("a", "b"), "place")}
    return Layout(
        dims,
        {"y": Variable(("slope", "x"), "height", "m"), "total": Variable((), "a constant", "m")},
        ("slope",),
    )


def prepare(config):
    computed.append("prepare")


def compute(config, state, point):
    if point["slope"] == stop_at:
        raise KeyboardInterrupt
    computed.append(point["slope"])
    return {"y": point["slope"] * np.arange(1, 3), "total": 7.0}


def present(config, results):
    fig, (axes,) = plots.subplots(3.0)
    axes.plot(results["y"].T)
    return Presentation(
        f"sum {np.nansum(results['y']):g}",
        {"line": fig},
        ("A line <was> drawn.",),
        {"sum": float(results["y"].sum())},
    )
