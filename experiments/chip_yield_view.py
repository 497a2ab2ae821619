"""What `xbar run yield` shows: the share of good chips with its interval, and how accuracy is spread over chips."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_devices, crossbar_study
from experiments.chip_yield import DROP, good, intervals, needed_yield
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results

WANTED = 0.9  # share of good chips that the sentence asks about


def present(config: Any, results: Results) -> Presentation:
    """Table, sentence and figure of a finished run."""
    bar = float(results["digital_accuracy"]) - DROP if config.bar is None else config.bar
    counts = good(results["accuracy"], bar).sum(-1)
    said = sentences(config, results, counts, bar)
    remarks = crossbar_study.sentences(config)
    summary = {
        "bar": bar,
        "share": (counts / config.chips).tolist(),
        "clopper_pearson": [[intervals(int(n), config.chips)["Clopper-Pearson"] for n in row] for row in counts],
        "answer": said,
    }
    text = "\n\n".join(["\n".join(table(config, results, counts, bar)), *said, *remarks])
    return Presentation(
        text,
        {"yield": _figure(config, results, counts, bar)},
        (*METHOD, crossbar_study.conditions(config), *remarks),
        summary,
        answer="\n".join(said),
        warnings=crossbar_study.doubts(config),
        cite=chosen_devices.citations([config.device]),
    )


def table(config: Any, results: Results, counts: np.ndarray, bar: float) -> list[str]:
    """A line for each spread and yield of cells."""
    digital, n = 100 * float(results["digital_accuracy"]), config.chips
    lines = [
        f"Chips with an accuracy of {100 * bar:.2f} % or more, out of {n}; {int(results['images'])} test inputs; digital "
        f"{digital:.2f} %",
        f"{'spread':<8}{'cell yield':>11}{'accuracy [%]':>16}{'lowest 5 %':>12}{'good chips':>12}"
        f"{'95 % Clopper-Pearson':>23}{'Wilson':>17}",
    ]
    for i, spread in enumerate(config.spreads):
        for j, cells in enumerate(config.cell_yields):
            values = 100 * results["accuracy"][i, j]
            ci = {k: f"{100 * a:.1f} .. {100 * b:.1f}" for k, (a, b) in intervals(int(counts[i, j]), n).items()}
            lines.append(
                f"x {spread:<6g}{_percent(cells):>11}{f'{values.mean():.2f} ± {values.std(ddof=1):.2f}':>16}"
                f"{np.quantile(values, 0.05):>12.2f}{f'{100 * counts[i, j] / n:.1f} %':>12}"
                f"{ci['Clopper-Pearson']:>23}{ci['Wilson']:>17}"
            )
    return [*lines, "accuracy: mean ± standard deviation over chips"]


def sentences(config: Any, results: Results, counts: np.ndarray, bar: float) -> list[str]:
    """For each spread, the yield of cells that good chips need."""
    said = []
    for i, spread in enumerate(config.spreads):
        needed = needed_yield(np.asarray(config.cell_yields), counts[i] / config.chips, WANTED)
        who = "With the device's own spread" if spread == 1 else f"With {spread:g} times the spread"
        best = int(counts[i].max())
        low, high = intervals(best, config.chips)["Clopper-Pearson"]
        said.append(
            f"{who}, {100 * WANTED:g} % of the chips reach {100 * bar:.2f} % at a cell yield of {_percent(needed)} "
            f"or more, among those tried."
            if needed is not None
            else f"{who}, none of the cell yields tried makes {100 * WANTED:g} % of the chips reach {100 * bar:.2f} %: "
            f"at best, {100 * best / config.chips:.1f} % do ({100 * low:.1f} to {100 * high:.1f} %)."
        )
    return said


METHOD = (
    "Every chip has cells of its own; chips of the same number have the same keys, and so the same unit random numbers, "
    "at all yields and spreads. Stuck cells are independent of each other, at the lowest or the highest conductance; "
    "nothing is remapped or trained for them. The spread multiplies write errors and the deviation of each cell's drift "
    "from the typical one; mean drift and read noise are left as they are.",
    "The intervals are 95 % intervals of a binomial share: Clopper-Pearson covers at least 95 %, Wilson about 95 %. They "
    "are over chips; all chips are measured on the same test inputs, and the uncertainty from that choice of inputs is not "
    "included.",
)


def _percent(share: float) -> str:
    return f"{100 * share:.6g} %"


def _figure(config: Any, results: Results, counts: np.ndarray, bar: float) -> Any:
    figure, (left, right) = plots.subplots(4.6, 4.6, height=3.8)
    order = np.argsort(-np.asarray(config.cell_yields))
    names = [_percent(config.cell_yields[j]) for j in order]
    for i, spread in enumerate(config.spreads):
        share = counts[i] / config.chips
        ends = np.array([intervals(int(n), config.chips)["Clopper-Pearson"] for n in counts[i]])
        bars = np.abs(ends.T - share)
        nudge = 0.06 * (i - (len(config.spreads) - 1) / 2)
        look = dict(color=plots.PALETTE[i % len(plots.PALETTE)], capsize=3, marker="o", ms=4)
        left.errorbar(
            np.arange(len(order)) + nudge, 100 * share[order], yerr=100 * bars[:, order], label=f"x {spread:g}", **look
        )
    left.set(xlabel="cells that work", ylabel=f"chips of {100 * bar:.2f} % or more (%), 95 % intervals", ylim=(-3, 103))
    left.set_xticks(range(len(order)), names, rotation=30)
    left.legend(title="spread over cells")
    at = int(np.argmin(np.abs(np.asarray(config.spreads) - 1)))
    for place, j in enumerate(order):
        values = np.sort(100 * results["accuracy"][at, j])
        grade = (place + 0.5) / len(order)
        right.plot(values, 100 * (np.arange(len(values)) + 1) / len(values), color=_shade(grade), label=names[place])
    right.axvline(100 * bar, color="0.4", ls="--", lw=1)
    right.set(
        xlabel="accuracy of a chip (%)", ylabel=f"chips below (%), spread x {config.spreads[at]:g}, n = {config.chips}"
    )
    right.legend(title="cells that work")
    return figure


def _shade(grade: float) -> Any:
    import matplotlib

    return matplotlib.colormaps["viridis"](0.9 * grade)
