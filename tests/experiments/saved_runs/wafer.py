"""An experiment with chips: accuracies with a spread, an energy, a number that all points share, an axis with a unit."""

import dataclasses

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Dimension, Layout, Variable

TITLE = "Chips on a wafer"
computed = []
figures = False  # drawing takes most of the time of a test


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    devices: tuple[str, ...] = ("pcm", "reram")
    times: tuple[float, ...] = (1.0, 3600.0)
    chips: int = 6
    gain: float = 0.0
    seed: int = 0


def layout(config):
    dims = {
        "time": Dimension(config.times, "time since programming", "s"),
        "device": Dimension(config.devices, "memory cell"),
        "chip": Dimension(range(config.chips), "chip"),
    }
    variables = {
        "accuracy": Variable(("time", "device", "chip"), "share classified correctly"),
        "energy": Variable(("device",), "energy of an inference", "J"),
        "images": Variable((), "test images"),
    }
    return Layout(dims, variables, ("device",))


def compute(config, state, point):
    computed.append(point["device"])
    draws = np.random.default_rng([config.seed, len(point["device"])])
    chips = 0.9 + 0.02 * draws.standard_normal(config.chips)
    drift = np.array([0.01 * np.log10(t) for t in config.times])
    tiny = 1e-4 * np.random.default_rng([7, config.chips]).standard_normal(config.chips) * (config.gain != 0)
    return {"accuracy": chips + config.gain + tiny - drift[:, None], "energy": 1e-9, "images": 445}


def present(config, results):
    drawn = {}
    if figures:
        drawn["wafer"], (axes,) = plots.subplots(3.0)
        axes.plot(np.nanmean(results["accuracy"], axis=-1))
    mean = float(np.mean(results["accuracy"]))
    return Presentation(
        f"mean accuracy {mean:.3f}", drawn, ("Chips were drawn.",), {"accuracy": mean, "best": {"J": 1e-9}}
    )
