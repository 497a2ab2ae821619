"""What `xbar run stdp` shows: accuracy against spread, and what neurons have learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.stdp import NAMING
from experiments.stdp_learning import SCATTER

REFERENCE = (
    "Querlioz et al. 2013 (10.1109/TNANO.2013.2250995): tolerance of more than 50 % spread on every device parameter "
    "(abstract); 93.5 % of MNIST with 300 outputs and three passes over 60,000 images (recalled, not read)."
)


def method(config: Any) -> tuple[str, ...]:
    """How it was done."""
    naming = min(config.images, NAMING)
    return (
        "Images are shown one after another as random spikes, 15 steps of 20 ms each, 20 Hz for white. The output neuron "
        "that passes its threshold first resets all others, and its own cells get a pulse each: up where the input spiked "
        "within 50 ms, down elsewhere (rule 'pair': with the probability of an exponential window). A pulse moves a cell by "
        "its device's law (soft bounds); thresholds follow activity. No label is used in learning; the last "
        f"{naming:,} images shown then name each neuron by the class that it responds to most.",
        "Spread: every cell has both steps, both ends of its range and its start drawn independently, normal with this "
        "relative standard deviation, cut off at a twentieth of the mean. Starts also scatter at random, on every device, "
        f"with a standard deviation of {100 * SCATTER:.0f} % of the mean range.",
    )


def present(config: Any, results: Results) -> Presentation:
    """Table, sentence and figures of a finished run."""
    different = int(results["different_images"])
    times = (
        "once"
        if different == config.images
        else f"{config.images / different:.1f} times each ({config.images:,} in all)"
    )
    least = int(np.argmin(config.spreads))
    against = f"against {100 * config.spreads[least]:g} %" if config.spreads[least] else "against none"
    lines = [f"{config.data}, rule {config.rule}, {different:,} training images shown {times}, {config.chips} chips"]
    lines.append(f"{'outputs':<9}{'spread':>8}{'accuracy [%]':>16}{against:>16}{'pulses an image':>17}{'spikes':>8}")
    accuracy = 100 * np.asarray(results["accuracy"])
    for i, outputs in enumerate(config.outputs):
        for j, spread in enumerate(config.spreads):
            values, lost = accuracy[i, j], accuracy[i, j] - accuracy[i, least]
            pulses, spikes = results["pulses"][i, j].mean(), results["spikes"][i, j].mean()
            lines.append(
                f"{outputs:<9}{100 * spread:>6.0f} %{_spread(values):>16}{_spread(lost) if j != least else '-':>16}"
                f"{pulses:>17,.0f}{spikes:>8.1f}"
            )
    summary = {"accuracy": accuracy.mean(-1).tolist(), "spread_over_chips": accuracy.std(-1, ddof=1).tolist()}
    text = "\n".join([*lines, "", REFERENCE])
    figures = {"stdp": _figure(config, accuracy), "fields": _fields(config, results)}
    return Presentation(text, figures, (*method(config), REFERENCE), summary)


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def _figure(config: Any, accuracy: np.ndarray) -> Any:
    figure, (axes,) = plots.subplots(5.0, height=3.8)
    for i, outputs in enumerate(config.outputs):
        values = accuracy[i]
        look = dict(color=plots.PALETTE[i % len(plots.PALETTE)], marker="o", ms=4, capsize=3)
        x = 100 * np.asarray(config.spreads)
        axes.errorbar(x, values.mean(-1), yerr=values.std(-1, ddof=1), label=f"{outputs} outputs", **look)
    axes.set(
        xlabel="spread of every device parameter (%)", ylabel=f"accuracy (%), mean and s.d. of {config.chips} chips"
    )
    axes.legend()
    return figure


def _fields(config: Any, results: Results) -> Any:
    """Conductances of sixteen neurons of the first chip, with the smallest spread and with the largest."""
    shown = [int(np.argmin(config.spreads)), int(np.argmax(config.spreads))][: len(config.spreads)]
    figure, panels = plots.subplots(*[3.6] * len(shown), height=3.8)
    for axes, j in zip(panels, shown, strict=True):
        fields = 1e6 * np.asarray(results["fields"])[0, j]
        side = int(np.sqrt(np.isfinite(fields[0]).sum()))
        tiles = [f[: side * side].reshape(side, side) for f in fields]
        picture = np.block([tiles[4 * r : 4 * r + 4] for r in range(4)])
        image = axes.imshow(picture, cmap="viridis")
        axes.set_title(f"spread {100 * config.spreads[j]:.0f} %", fontsize=9)
        axes.set_axis_off()
        figure.colorbar(image, ax=axes, label="conductance (µS)", shrink=0.8)
    return figure
