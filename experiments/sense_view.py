"""The page of `xbar run sense`: the answer, every candidate, and measured boards."""

from __future__ import annotations

from typing import Any

from experiments import sensing_view
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.sense import Candidate, boards, candidates, chosen
from experiments.sensing_networks import TASKS
from xbar.energy import engineering

MODEL = (
    "Numbers for crossbars come from a model, boards were measured at their supply: a board's energy includes its regulators, "
    "memories and idle circuits, which the model leaves out. Boards of MLPerf Tiny classify its 1,000 keywords from "
    "given MFCCs, without microphone and features; no in-memory computing chip is among them."
)


def present(config: Any, results: Results) -> Presentation:
    """Answer, tables and figure of a finished run."""
    found, measured = candidates(config, results), boards()
    best, met = chosen(config, found)
    said = [answer(config, best, met, found)]
    if config.task == "keywords" and measured:
        said.append(_against_boards(best, measured))
    elif measured:
        said.append(
            "The boards in the figure classified MLPerf Tiny's keywords, another task: they only show "
            "the order of magnitude of energies."
        )
    lines = [*said, "", *_table(config, found, best), "", *sensing_view.budget(config, results, config.task), ""]
    lines += _boards(measured)
    summary = {
        "answer": said[0],
        "met": met,
        "best": {**best.at, "accuracy": best.accuracy, "energy_J": best.joules[1]},
    }
    return Presentation(
        "\n".join(lines),
        {"sense": _figure(config, found, best, measured)},
        (*said, MODEL, *sensing_view.METHOD),
        summary,
    )


def answer(config: Any, best: Candidate, met: bool, found: list[Candidate]) -> str:
    """The answer in a sentence; where nothing meets the target, what is missing and why."""
    wish = f"at most {config.max_uj:g} µJ per decision and at least {config.min_accuracy:g} %"
    counted = "the network alone" if config.count == "network" else "the front end included"
    name = f"{best.at['kind']} on {best.at['device']} with {best.at['readout']}"
    values = (
        f"{engineering(best.joules[1], 'J')} ({engineering(best.joules[0], 'J')} .. {engineering(best.joules[2], 'J')})"
    )
    values += f" and {best.accuracy:.1f} ± {best.spread:.1f} %"
    if met:
        return f"{TASKS[config.task].title}: use the {name}: {values} ({wish}; {counted})."
    points, factor = best.lacks(config)
    why = []
    if points:
        top = max(found, key=lambda c: c.accuracy)
        why.append(f"{points:.1f} points of accuracy are missing, and no candidate has more than {top.accuracy:.1f} %")
    if factor > 1:
        least = min(found, key=lambda c: c.joules[1])
        why.append(
            f"the energy is {factor:.3g} times too large, and the lowest of all is {engineering(least.joules[1], 'J')}"
        )
    return f"{TASKS[config.task].title}: nothing meets {wish} ({counted}). Nearest: {name}, {values}: {'; '.join(why)}."


def _against_boards(best: Candidate, measured: list[dict[str, Any]]) -> str:
    least = measured[0]
    factor = least["energy"] / best.joules[1]
    return (
        f"The board with the least energy, {least['name']}, was measured at {engineering(least['energy'], 'J')} and "
        f"{least['accuracy']:.1f} %: {factor:.3g} times the model's figure for the network above, which includes less (see "
        "below)."
    )


def _table(config: Any, found: list[Candidate], best: Candidate) -> list[str]:
    lines = [f"{'':<5}{'device':<8}{'readout':<13}{'accuracy [%]':>14}{'energy':>11}{'P10 .. P90':>22}  target"]
    for c in sorted(found, key=lambda c: c.joules[1]):
        points, factor = c.lacks(config)
        low, middle, high = (engineering(e, "J") for e in c.joules)
        lacks = [f"{points:.1f} points short"] * bool(points) + [f"{factor:.2g} x the energy"] * (factor > 1)
        mark = "*" if c is best else " "
        lines.append(
            f"{mark}{c.at['kind']:<4}{c.at['device']:<8}{c.at['readout']:<13}{f'{c.accuracy:.1f} ± {c.spread:.1f}':>14}"
            f"{middle:>11}{f'{low} .. {high}':>22}"
            f"  {'; '.join(lacks) or 'met'}"
        )
    return lines


def _boards(measured: list[dict[str, Any]]) -> list[str]:
    if not measured:
        return [
            "Boards: results.csv of the data set mlperf-tiny is not available (`xbar data fetch mlperf-tiny` gets it)."
        ]
    return ["Measured boards (MLPerf Tiny, keywords):"] + [
        f"  {b['name'][:60]:<62}{engineering(b['energy'], 'J'):>11}{b['accuracy']:>8.1f} %" for b in measured
    ]


def _figure(config: Any, found: list[Candidate], best: Candidate, measured: list[dict[str, Any]]) -> Any:
    figure, (axes,) = plots.subplots(7.6, height=4.8)
    kinds = [(k, d) for k in ("ANN", "SNN") for d in config.devices]
    for i, (kind, device) in enumerate(kinds):
        own = [c for c in found if (c.at["kind"], c.at["device"]) == (kind, device)]
        x = [1e6 * c.joules[1] for c in own]
        reach = [[1e6 * (c.joules[1] - c.joules[0]) for c in own], [1e6 * (c.joules[2] - c.joules[1]) for c in own]]
        y, e = [c.accuracy for c in own], [c.spread for c in own]
        look = dict(
            color=plots.PALETTE[i % len(plots.PALETTE)], fmt="o" if kind == "ANN" else "s", ms=5, capsize=2, lw=1
        )
        axes.errorbar(x, y, xerr=reach, yerr=e, label=f"{kind} on {device}: model", **look)
    if measured:
        x, y = [1e6 * b["energy"] for b in measured], [b["accuracy"] for b in measured]
        other = "" if config.task == "keywords" else " (keywords: another task)"
        axes.plot(x, y, "^", color="0.35", ms=5, label=f"measured boards: MLPerf Tiny{other}")
    axes.plot(1e6 * best.joules[1], best.accuracy, "o", ms=13, mfc="none", mec="k", label="answer")
    axes.axvline(config.max_uj, color="0.4", lw=1, ls="--")
    axes.axhline(config.min_accuracy, color="0.4", lw=1, ls="--")
    axes.set(
        xscale="log", xlabel="energy of a decision (µJ); bars: P10 to P90", ylabel="accuracy (%); bars: s.d. over chips"
    )
    axes.set_title(f"{TASKS[config.task].title}; target: upper left of the dashed lines", fontsize=9)
    axes.legend(fontsize=7.5)
    return figure
