"""What `xbar run platforms` shows: a table, bands on a logarithmic axis, and how to read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_macros
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.platforms import CHOSEN, KINDS, how_each_is_known
from xbar.energy import engineering, event_chips, footnotes, measured_systems

READING = (
    "Measured 8-bit analog silicon is within a small factor of a GPU that is kept busy; large ratios come from a GPU "
    "at batch 1, where weights stream and launches wait. Published efficiencies are peaks without the work around the "
    "arrays; simulated ones include conversions, buffers, links, leakage and digital layers of this network. "
    "Event-driven rows are bands from the lowest to the highest published price, dots their geometric mean; they include "
    "static power, where it is known, for the time that the steps take.",
)


def present(config: Any, results: Results) -> Presentation:
    """The table, the figure, and what to make of it."""
    kinds = how_each_is_known()
    order = sorted(
        results.coordinates("platform"),
        key=lambda p: np.nan_to_num(results.select("energy", platform=p, quantile="median"), nan=np.inf),
    )
    lines = [
        f"{config.network}: {2 * float(results['macs']):,.0f} operations per inference, two for each multiply-accumulate",
        "",
        f"{'platform':<40}{'energy':>12}{'P10 .. P90':>24}{'time':>11}  how it is known",
    ]
    for name in order:
        low, middle, high = results.select("energy", platform=name)
        if np.isnan(middle):
            lines.append(
                f"{name:<40}{'-':>12}{'':>24}{'-':>11}  events: not a chain of layers with ReLU, so not made to spike"
            )
            continue
        seconds = float(results.select("seconds", platform=name))
        band = "" if low == high else f"{engineering(low, 'J')} .. {engineering(high, 'J')}"
        time = "-" if np.isnan(seconds) else engineering(seconds, "s")
        lines.append(f"{name:<40}{engineering(middle, 'J'):>12}{band:>24}{time:>11}  {kinds[name]}")
    lines += ["", *(f"{kind}: {what}" for kind, what in KINDS.items())]
    lines += [
        "",
        *_twin(config, results),
        *(f"{c.name}: counts {c.counts}; leaves out {c.leaves_out}." for c in event_chips()),
    ]
    macro = f"{CHOSEN}, {config.device}: {' '.join(chosen_macros.sentences(config))}"
    shown = [p for p in order if np.isfinite(results.select("energy", platform=p, quantile="median"))]
    notes = footnotes([s for s in measured_systems() if s.name in kinds])
    median = {p: float(results.select("energy", platform=p, quantile="median")) for p in order}
    return Presentation(
        "\n".join(lines),
        {"platforms": _figure(config, results, shown)},
        (*READING, macro),
        {"energy_J": median},
        answer=_answer(config, shown, median),
        energy=notes,
    )


def _answer(config: Any, order: list[str], median: dict[str, float]) -> str:
    first, last = order[0], order[-1]
    return (
        f"An inference of {config.network} costs from {engineering(median[first], 'J')} ({first}) to "
        f"{engineering(median[last], 'J')} ({last}); the table says how each is known, and the bands overlap."
    )


def _twin(config: Any, results: Results) -> list[str]:
    """What the event-driven rows are based on."""
    synaptic = float(results["synaptic"])
    if np.isnan(synaptic):
        return [f"{config.network} is not a chain of layers with ReLU: event-driven rows are empty."]
    share = 100 * synaptic / float(results["macs"]) / config.spike_steps
    return [
        f"Spiking twin: {config.spike_steps} steps, {synaptic:,.0f} synaptic operations ({share:.1f} % of a dense network "
        f"in every step); the same class for {100 * float(results['twin_agrees']):.0f} % of {config.inputs} inputs."
    ]


def _figure(config: Any, results: Results, order: list[str]) -> Any:
    kinds = how_each_is_known()
    colours = dict(zip(KINDS, plots.PALETTE, strict=False))
    figure, (axes,) = plots.subplots(7.5, height=0.9 + 0.27 * len(order))
    for i, name in enumerate(order):
        low, middle, high = results.select("energy", platform=name)
        axes.plot([low, high], [i, i], "-", lw=5, alpha=0.4, color=colours[kinds[name]], solid_capstyle="round")
        axes.plot(middle, i, "o", ms=4, color=colours[kinds[name]])
        axes.annotate(engineering(middle, "J"), (high, i), (8, 0), textcoords="offset points", va="center", fontsize=8)
    for kind, colour in colours.items():
        axes.plot([], [], "o-", color=colour, label=kind)
    axes.set_xscale("log")
    axes.set_yticks(range(len(order)), order, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.legend(loc="lower left", fontsize=8)
    axes.set_xlabel(
        "energy of an inference [J]; dots: median, bands: P10 to P90\nor published range; the report names recalled constants"
    )
    axes.set_title(f"{config.network}, {2 * float(results['macs']):,.0f} operations", fontsize=9)
    return figure
