"""What `xbar run asymmetry-map` shows: points below floating point, by algorithm, number of states and asymmetry."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.asymmetry_map import has_references
from experiments.framework import error_bars, plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results

METHOD = (
    "A weight is a cell and a reference cell in the middle of the range; steps are s (1 -+ asymmetry w), with a spread from "
    "pulse to pulse. Inputs and errors enter and leave the arrays through converters, in both directions. Chips of the same "
    "number start from the same weights and see the same samples in floating point and on every device: differences are "
    "paired. Each algorithm has one setting for all devices; none is tuned to a device.",
)
WORST = 30.0  # points, at the dark end of the colours


def present(config: Any, results: Results) -> Presentation:
    """A table for each algorithm, and the map."""
    digital = results["digital_accuracy"]
    lines = [
        f"{config.network}: {config.epochs} epochs, batch {config.batch}, {config.chips} chips; in floating point "
        f"{_said(100 * digital)} %",
        "",
        f"{'algorithm':<18}{'reference':>10}{'states':>8}"
        + "".join(f"{f'asymmetry {a:g}':>18}" for a in config.asymmetry),
    ]
    summary: dict[str, Any] = {"digital": float(digital.mean())}
    for name in config.algorithm:
        for reference in config.reference:
            for states in config.states:
                lost = _lost(results, name, reference, states)
                cells = [f"{_said(row):>18}" for row in lost]
                lines.append(f"{name:<18}{reference:>10g}{states:>8}" + "".join(cells))
                summary[f"{name}, {reference:g}, {states}"] = lost.mean(-1).tolist()
    lines += [
        "",
        "points below floating point, mean +- standard deviation over chips (paired)",
        "",
        _answer(config, results),
    ]
    return Presentation(
        "\n".join(lines), {"asymmetry-map": _figure(config, results)}, METHOD, summary, answer=_answer(config, results)
    )


def _lost(results: Results, algorithm: str, reference: float, states: int) -> Any:
    """Points lost, [asymmetry, chip]."""
    found = results.select("accuracy", algorithm=algorithm, reference=reference, states=states)
    return 100 * (results["digital_accuracy"] - found)


def _answer(config: Any, results: Results) -> str:
    """Which algorithms tolerate the worst device of the map."""
    states, reference = min(config.states), min(config.reference)
    each = {name: _lost(results, name, reference, states)[-1] for name in config.algorithm}
    said = ", ".join(f"{name} {_said(lost)}" for name, lost in each.items())
    return f"With {states} states and an asymmetry of {config.asymmetry[-1]:g}, the points below floating point are: {said}."


def _said(values: Any) -> str:
    return error_bars.with_deviation(values, sign="+-")


def _figure(config: Any, results: Results) -> Any:
    rows, cols = len(config.reference), len(config.algorithm)
    width = max(2.6, 0.9 * len(config.asymmetry) + 1)
    figure, axes = plots.grid(rows, cols, width, max(2.4, 0.55 * len(config.states) + 1.3))
    picture: Any = None
    for panels, reference in zip(axes, config.reference, strict=True):
        for panel, name in zip(panels, config.algorithm, strict=True):
            lost = np.array([_lost(results, name, reference, states) for states in config.states])
            picture = panel.imshow(lost.mean(-1), cmap="cividis_r", vmin=0, vmax=WORST, origin="lower", aspect="auto")
            for i, j in np.ndindex(lost.shape[:2]):
                text, dark = error_bars.with_deviation(lost[i, j]).replace(" ", "\n", 1), lost[i, j].mean() > WORST / 2
                panel.text(j, i, text, ha="center", va="center", fontsize=8, color="w" if dark else "k")
            panel.grid(False)
            panel.set_xticks(range(len(config.asymmetry)), [f"{a:g}" for a in config.asymmetry])
            panel.set_yticks(range(len(config.states)), [f"{s:g}" for s in config.states])
            panel.set_xlabel("asymmetry of steps")
            told = has_references(name) and (rows > 1 or reference)
            more = f", references ± {reference:g}" if told else ""
            panel.set_title(name + more, fontsize=9)
        panels[0].set_ylabel("states")
    bar = figure.colorbar(picture, ax=axes, shrink=0.9, extend="max")
    bar.set_label(f"points below floating point,\nmean ± sd over {config.chips} chips")
    return figure
