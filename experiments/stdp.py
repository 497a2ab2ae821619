"""Learning without labels: spike-timing dependent plasticity on memory cells. Handwritten digits come as spikes; the
output neuron that fires first inhibits the others and sends pulses to its own cells, up where the input has just spiked,
down where it has not; a threshold that follows each neuron's activity gives all of them their turn. Labels are only used
afterwards, to name the neurons."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from experiments import datasets, sensing
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

NAMING = 3000  # images at the end of learning that name the neurons, at most
START = {"simplified": 0.6, "pair": 0.2}  # shares of the range: pairs lower nothing where no input spikes
TITLE = "Unsupervised learning by STDP on memory cells: accuracy against the spread of every device parameter"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores. Needs mnist below XBAR_DATA (digits is included)."""

    data: Literal["mnist", "digits", "fashion-mnist"] = "mnist"
    """Data set."""
    outputs: tuple[int, ...] = (50,)
    """Output neurons; `--outputs 50 300` takes half an hour."""
    spreads: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)
    """Relative spread over cells of every device parameter: both steps, both ends of the range, the start."""
    rule: Literal["simplified", "pair"] = "simplified"
    """STDP rule: Querlioz's with one window, or pairs with exponential windows as pulse probabilities."""
    images: int = 10_000
    """Training images to show; a data set with fewer is shown again."""
    test_images: int = 2_000
    """Maximum number of test images."""
    chips: int = 5
    """Chips for each setting."""
    seed: int = 0
    """Random seed of the cells and the spikes."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name, least in (("chips", 2), ("images", 100), ("test_images", 10)):
        if getattr(config, name) < least:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least {least}.")
    for name, least, most in (("outputs", 2, 10_000), ("spreads", 0, 2)):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values) or not all(least <= v <= most for v in values):
            raise UsageError(f"--{name} {' '.join(map(str, values))}: give different numbers from {least} to {most}.")
    sensing.needs(config.data)


def layout(config: Config) -> Layout:
    dimensions = {
        "output": Dimension(config.outputs, "output neurons"),
        "spread": Dimension(config.spreads, "relative spread of every device parameter"),
        "chip": Dimension(range(config.chips), "chip"),
        "field": Dimension(range(16), "receptive field"),
        "pixel": Dimension(range(28 * 28), "pixel"),
    }
    at = ("output", "spread")
    variables = {
        "accuracy": Variable((*at, "chip"), "share of test images classified correctly"),
        "pulses": Variable((*at, "chip"), "pulses to cells for each training image"),
        "spikes": Variable((*at, "chip"), "output spikes for each training image"),
        "fields": Variable((*at, "field", "pixel"), "conductances of some neurons of the first chip", "S"),
        "different_images": Variable((), "training images that differ"),
    }
    return Layout(dimensions, variables, at)


def prepare(config: Config) -> dict[str, Any]:
    """Images, flat, and labels."""
    import jax.numpy as jnp

    data = datasets.load(config.data)
    order = np.random.default_rng(config.seed).permutation(len(data.x_train))
    shown = np.resize(order, config.images)
    flat = lambda x: jnp.asarray(x.reshape(len(x), -1))  # noqa: E731
    x_test, y_test = data.x_test[: config.test_images], data.y_test[: config.test_images]
    return {
        "x": flat(data.x_train[shown]),
        "y": data.y_train[shown],
        "x_test": flat(x_test),
        "y_test": y_test,
        "different": min(len(order), len(shown)),
    }


def compute(config: Config, state: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """Learns, names and tests all chips of one setting."""
    import jax

    from experiments import stdp_learning

    outputs, spread = point["output"], point["spread"]
    key = jax.random.key(config.seed)
    keys = jax.random.split(jax.random.fold_in(key, 1), config.chips)
    cells = jax.vmap(lambda k: stdp_learning.made(k, outputs, state["x"].shape[1], spread, START[config.rule]))(keys)
    learn = jax.jit(lambda cells, x, key: stdp_learning.run(cells, x, key, config.rule))
    show = jax.jit(lambda cells, x, key: stdp_learning.run(cells, x, key, None))
    cells, won, pulses = learn(cells, state["x"], jax.random.fold_in(key, 2))
    naming = min(len(state["x"]), NAMING)
    named = np.asarray(show(cells, state["x"][-naming:], jax.random.fold_in(key, 3))[1])
    tested = np.asarray(show(cells, state["x_test"], jax.random.fold_in(key, 4))[1])
    classes = int(state["y"].max()) + 1
    accuracy = [
        classified(named[:, c], state["y"][-naming:], tested[:, c], state["y_test"], classes)
        for c in range(config.chips)
    ]
    fields = np.full((16, 28 * 28), np.nan)
    shown = np.asarray(cells.g[0][:16])
    fields[: len(shown), : shown.shape[1]] = shown
    spikes = np.asarray(won).sum((0, 2)) / len(state["x"])
    return {
        "accuracy": np.array(accuracy),
        "pulses": np.asarray(pulses) / len(state["x"]),
        "spikes": spikes,
        "fields": fields,
        "different_images": state["different"],
    }


def classified(named: np.ndarray, labels: np.ndarray, tested: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Accuracy, once each neuron is labelled with the class that it responds to most.

    Args:
        named, tested: spikes `(images, neurons)`. labels, truth: classes of the images.
    """
    mean = np.stack([named[labels == c].mean(0) if (labels == c).any() else 0 * named[0] for c in range(classes)])
    label = mean.argmax(0)
    votes = np.stack([tested[:, label == c].sum(1) for c in range(classes)], 1)
    return float(np.mean(np.where(votes.max(1) > 0, votes.argmax(1), -1) == truth))


def present(config: Config, results: Results) -> Any:
    from experiments import stdp_view

    return stdp_view.present(config, results)
