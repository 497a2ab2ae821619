"""An experiment of a user: how a mean of noisy readings depends on how many there are."""

import dataclasses
import time

import numpy as np

from experiments.framework import plots
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Presentation
from experiments.framework.store import Dimension, Layout, Variable

TITLE = "A mean of noisy readings"


@dataclasses.dataclass(frozen=True)
class Config:
    readings: tuple[int, ...] = (1, 10, 100, 1000)
    """Readings of one mean."""
    noise: float = 0.1
    """Standard deviation of a reading [V]."""
    seconds: float = 0.0
    """Pretended time of a point [s]."""
    seed: int = 0
    """Decides the noise."""


def check(config):
    if config.noise < 0:
        raise UsageError(f"--noise {config.noise}: give 0 V or more.")


def layout(config):
    dims = {"readings": Dimension(config.readings, "readings of one mean"), "trial": Dimension(range(50), "trial")}
    return Layout(dims, {"error": Variable(("readings", "trial"), "error of the mean", "V")}, ("readings",))


def compute(config, state, point):
    time.sleep(config.seconds)
    rng = np.random.default_rng([config.seed, point["readings"]])
    return {"error": rng.normal(0, config.noise, (50, point["readings"])).mean(1)}


def present(config, results):
    figure, (axes,) = plots.subplots(4.0)
    spread = results["error"].std(1)
    axes.loglog(config.readings, spread, "o-")
    axes.set(xlabel="readings", ylabel="spread of the mean (V)")
    text = "\n".join(f"{n:6d} readings: {s:.2e} V" for n, s in zip(config.readings, spread, strict=True))
    return Presentation(text, {"spread": figure}, ("50 means each.",), {"last_V": float(spread[-1])})
