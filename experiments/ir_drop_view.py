"""What `ir-drop` shows: tables, curves against size, and a picture of the voltages over an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results


def present(config: Any, results: Results) -> Presentation:
    """Tables, figures and method of a finished run."""
    text = "\n\n".join([accuracy_table(results), error_table(results)])
    figures = {"ir-drop": curves(config, results), "ir-drop-map": maps(results)}
    return Presentation(text, figures, method(config), summary(results), answer=answer(results))


def answer(results: Results) -> str:
    """What the most resistive wires cost on the largest tile, and what helps most."""
    size, ohm = max(results.coordinates("size")), max(results.coordinates("ohm"))
    found = 100 * np.asarray(results.select("accuracy", size=size, ohm=ohm), float)
    remedies, digital = results.coordinates("remedy"), 100 * float(results["digital_accuracy"])
    if not np.isfinite(found).any():
        return ""
    best = int(np.nanargmax(found))
    return (
        f"On {size} x {size} tiles with {ohm:g} ohm per cell the network reaches {found[0]:.1f} % ({remedies[0]}; digital "
        f"{digital:.1f} %). The best remedy is {remedies[best]}, with {found[best]:.1f} %."
    )


def accuracy_table(results: Results) -> str:
    """Accuracy for every size, resistance and remedy."""
    remedies = results.coordinates("remedy")
    lines = [
        f"Accuracy [%] behind resistive wires; digital network {100 * float(results['digital_accuracy']):.1f}",
        f"{'tile':<11}{'ohm/cell':>9}" + "".join(f"{r:>16}" for r in remedies),
    ]
    for size in results.coordinates("size"):
        for ohm in results.coordinates("ohm"):
            found = results.select("accuracy", size=size, ohm=ohm)
            cells = "".join(f"{'-' if np.isnan(a) else f'{100 * a:.1f}':>16}" for a in found)
            lines.append(f"{f'{size} x {size}':<11}{ohm:>9g}{cells}")
    return "\n".join(lines)


def error_table(results: Results) -> str:
    """Relative error of the network's outputs, and the voltage that is left across the worst-placed cell."""
    ohms = results.coordinates("ohm")
    lines = [
        "Error of the network's outputs [% of their RMS], and smallest voltage across a cell [% of the input] "
        "in a full tile",
        f"{'tile':<11}" + "".join(f"{f'{o:g} ohm':>18}" for o in ohms),
    ]
    for size in results.coordinates("size"):
        row = ""
        for ohm in ohms:
            error = 100 * float(results.select("output_error", size=size, ohm=ohm))
            left = 100 * float(np.nanmin(results.select("drop", size=size, ohm=ohm)))
            row += f"{f'{error:.2f} ({left:.1f})':>18}"
        lines.append(f"{f'{size} x {size}':<11}{row}")
    return "\n".join(lines)


def curves(config: Any, results: Results) -> Any:
    """Change of the weights on one curve of N^2 R G; accuracy with each remedy against size, with the test set's error."""
    fig, (left, right) = plots.subplots(4.2, 5.2, height=3.8)
    images = float(results["test_images"])
    sizes, ohms = np.array(results.coordinates("size")), results.coordinates("ohm")
    for colour, ohm in zip(plots.PALETTE, ohms, strict=False):
        load = sizes**2 * ohm * config.g_max
        left.plot(load, 100 * results.select("weight_error", ohm=ohm), "o", color=colour, label=f"{ohm:g} ohm per cell")
    worst = max(ohms)
    scale = "log" if worst > 0 else "linear"  # ideal wires alone have nothing to show on logarithmic axes
    left.set(xscale=scale, yscale=scale, xlabel="N² R G of a tile (G: highest conductance)")
    left.set_ylabel("change of the weights [% of their RMS]")
    for colour, remedy in zip(plots.PALETTE, results.coordinates("remedy"), strict=False):
        found = np.asarray(results.select("accuracy", ohm=worst, remedy=remedy))
        bars = 100 * np.sqrt(found * (1 - found) / images)
        right.errorbar(sizes, 100 * found, bars, fmt="o-", capsize=2, color=colour, label=remedy)
    right.axhline(
        100 * float(results["digital_accuracy"]), color="black", linewidth=1, linestyle=":", label="digital network"
    )
    right.set(xscale="log", xlabel="rows and columns of a tile", ylabel="accuracy [%]")
    right.set_title(f"{worst:g} ohm per cell", fontsize=9)
    right.set_xticks(sizes, [str(s) for s in sizes])
    right.minorticks_off()
    for axes in (left, right):
        axes.legend(fontsize=7, frameon=False)
    return fig


def maps(results: Results) -> Any:
    """Voltage across the cells of the largest tile, for every resistance."""
    size, ohms = max(results.coordinates("size")), results.coordinates("ohm")[-3:]
    fig, panels = plots.subplots(*[3.6] * len(ohms), height=3.4)
    for axes, ohm in zip(panels, ohms, strict=True):
        left = 100 * results.select("drop", size=size, ohm=ohm)
        shown = axes.imshow(left, origin="upper", cmap="viridis", vmax=100)
        axes.set(xlabel="bit line (drivers at the left)", ylabel="word line (ground at the bottom)")
        axes.set_title(f"{size} x {size}, {ohm:g} ohm per cell", fontsize=9)
        axes.grid(False)
        fig.colorbar(shown, ax=axes, label="voltage across the cell [% of the input]")
    return fig


def method(config: Any) -> tuple[str, ...]:
    """How it was done, under which assumptions."""
    return (
        f"{config.network or 'A perceptron 64-256-10 on digits'}, trained digitally ({config.steps} Adam steps, unless its "
        "weights are given), is mapped to tiles of differential pairs, kernels as matrices of patches x outputs, without "
        f"converters, noise or write errors; cells are between {config.g_min:g} and {config.g_max:g} S. Word lines are driven "
        "at the left, bit lines end at ground at the bottom. The effective conductances are exact (xbar.ResistiveWires).",
        "Column gain: one digital factor for every bit-line pair of every tile, by least squares on the weights. Remapped: "
        "within each tile heavy rows go to the bottom and heavy columns to the left, undone in the routing of inputs and "
        f"outputs. Trained: {config.wire_steps} further steps with the wires in the forward pass and exact gradients through "
        "them; ideal backward: the same with gradients of ideal arrays. Both for tiles up to "
        f"{config.largest_trained} x {config.largest_trained}; larger ones are left out for time ('-').",
        "The map shows a full tile of cells of mid-range conductance with all inputs at full scale: the worst case.",
    )


def summary(results: Results) -> dict[str, Any]:
    """A few machine-readable numbers."""
    at = dict(size=max(results.coordinates("size")), ohm=max(results.coordinates("ohm")))
    return {
        "digital_accuracy": float(results["digital_accuracy"]),
        "worst": {
            **at,
            **dict(zip(results.coordinates("remedy"), map(float, results.select("accuracy", **at)), strict=True)),
        },
    }
