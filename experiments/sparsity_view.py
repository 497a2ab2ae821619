"""What `xbar run sparsity` shows: which hardware profits from zeros in inputs, and which from zeros in weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_macros
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.sparsity import SYSTEMS
from xbar.energy import engineering


def present(config: Any, results: Results) -> Presentation:
    """Table, figure, method."""
    inputs, weights = results.coordinates("activation_zeros"), results.coordinates("weight_zeros")
    some, most = (min(inputs), max(inputs)), (min(weights), max(weights))
    corners = [(w, a) for w in most for a in some]
    lines = [
        f"Energy of a multiply-accumulate of the dense layer, {config.inputs} x {config.outputs}; zeros in (weights, "
        f"inputs)",
        f"{'system':<24}"
        + "".join(f"{f'({100 * w:.0f} %, {100 * a:.0f} %)':>15}" for w, a in corners)
        + f"{'saved by both':>15}",
    ]
    for system in SYSTEMS:
        at = [_mean(results, system, w, a) for w, a in corners]
        lines.append(
            f"{system:<24}" + "".join(f"{engineering(e, 'J'):>15}" for e in at) + f"{1 - at[-1] / at[0]:>15.0%}"
        )
    crossing = crossover(results)
    densest = _densest(results).capitalize()
    said = (
        f"{densest}: events cost less than frames at {100 * crossing:.0f} % zeros in the inputs and more."
        if np.isfinite(crossing)
        else f"{densest}: at none of these shares of zeros do events start to cost less than frames."
    )
    text = "\n".join([*lines, "", said])
    return Presentation(
        text, {"sparsity": _figure(results)}, (*method(config), said), {"crossover": crossing, "saved": _saved(results)}
    )


def _densest(results: Results) -> str:
    """The weights with the fewest zeros, in words."""
    zeros = min(results.coordinates("weight_zeros"))
    return f"weights with {100 * zeros:g} % zeros" if zeros else "dense weights"


def _mean(results: Results, system: str, weights: float, inputs: float) -> float:
    return float(results.select("energy", system=system, weight_zeros=weights, activation_zeros=inputs).mean())


def _saved(results: Results) -> dict[str, dict[str, float]]:
    """Share of the energy that the most zeros of each kind save."""
    inputs, weights = results.coordinates("activation_zeros"), results.coordinates("weight_zeros")
    first, found = (min(weights), min(inputs)), {}
    for system in SYSTEMS:
        start = _mean(results, system, *first)
        found[system] = {
            "by_inputs": 1 - _mean(results, system, min(weights), max(inputs)) / start,
            "by_weights": 1 - _mean(results, system, max(weights), min(inputs)) / start,
        }
    return found


def crossover(results: Results) -> float:
    """The share of zeros in the inputs above which, with the densest weights, events cost less than frames; NaN if there is
    none. Linear in between."""
    zeros = np.sort(results.coordinates("activation_zeros"))
    dense = min(results.coordinates("weight_zeros"))
    of = lambda system: np.array([_mean(results, system, dense, a) for a in zeros])  # noqa: E731
    gap = np.log(of("event-driven crossbar") / of("frame-based crossbar"))
    below = np.flatnonzero(gap < 0)
    if not below.size:
        return float("nan")
    i = int(below[0])
    return float(zeros[i]) if i == 0 else float(np.interp(0, [gap[i], gap[i - 1]], [zeros[i], zeros[i - 1]]))


def _figure(results: Results) -> Any:
    figure, (by_inputs, by_weights, parts) = plots.subplots(4.6, 4.6, 3.8, height=4.2)
    inputs, weights = results.coordinates("activation_zeros"), results.coordinates("weight_zeros")
    half = min(inputs, key=lambda a: abs(a - 0.5))
    for colour, system in zip(plots.PALETTE, SYSTEMS, strict=False):
        look = dict(color=colour, marker="o", ms=4, lw=1.2, capsize=2, label=system)
        kept = [1 - a for a in inputs]
        _curve(
            by_inputs,
            kept,
            [results.select("energy", system=system, weight_zeros=min(weights), activation_zeros=a) for a in inputs],
            look,
        )
        kept = [1 - w for w in weights]
        _curve(
            by_weights,
            kept,
            [results.select("energy", system=system, weight_zeros=w, activation_zeros=half) for w in weights],
            look,
        )
    shown = [results.select("parts", weight_zeros=min(weights), activation_zeros=a).mean(-1) for a in inputs]
    for i, (name, colour) in enumerate(zip(results.coordinates("part"), plots.PALETTE, strict=False)):
        parts.plot([1 - a for a in inputs], [1e15 * s[i] for s in shown], "o-", ms=4, lw=1.2, color=colour, label=name)
    by_inputs.set(xlabel="share of inputs that are not 0", ylabel="energy of a MAC of the dense layer [fJ]")
    by_inputs.set_title(f"zeros in inputs, {_densest(results)}", fontsize=9)
    by_weights.set(xlabel="share of weights that are not 0")
    by_weights.set_title(f"zeros in weights, {100 * half:.0f} % zeros in inputs", fontsize=9)
    parts.set(xlabel="share of inputs that are not 0", ylabel="[fJ]", yscale="log", xscale="log")
    parts.set_title("the frame-based crossbar by part", fontsize=9)
    for axes in (by_inputs, by_weights):
        axes.set(xscale="log", yscale="log")
    low = min(by_inputs.get_ylim()[0], by_weights.get_ylim()[0])
    high = max(by_inputs.get_ylim()[1], by_weights.get_ylim()[1])
    for axes in (by_inputs, by_weights):
        axes.set_ylim(low, high)
    for axes in (by_inputs, by_weights, parts):
        axes.invert_xaxis()  # more zeros to the right
    by_weights.legend(fontsize=7, loc="center")  # between the decades of chips and crossbars
    parts.legend(fontsize=7)
    return figure


def _curve(axes: Any, x: Any, values: Any, look: dict[str, Any]) -> None:
    values = 1e15 * np.asarray(values)
    deviation = values.std(-1, ddof=min(1, values.shape[-1] - 1))
    axes.errorbar(x, values.mean(-1), yerr=deviation, **look)


def method(config: Any) -> tuple[str, ...]:
    """How it was done."""
    return (
        *(f"{name}: {what}." for name, what in SYSTEMS.items()),
        " ".join(chosen_macros.sentences(config)),
        f"Weights are normal, inputs half-normal, zeros at random places; {config.vectors} vectors on each of "
        f"{config.chips} chips with weights of their own (error bars: standard deviation). Converter ranges are those of "
        "dense inputs. A non-zero input is one event. Unstructured zeros do not empty whole rows, columns or tiles; where "
        "zeros do, whole reads could be left out.",
        "The power of a GPU depends a little on the bits that toggle, which the roofline leaves out. Host, off-chip memory "
        "and the work of finding zeros are left out everywhere.",
    )
