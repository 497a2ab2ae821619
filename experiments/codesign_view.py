"""What `xbar run codesign` shows: fronts of verified designs, their hypervolumes, and whether one search dominates."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_macros, chosen_networks
from experiments.design_space import BITS, COLUMNS, COSTS, RANGE, READ_TIME
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering

UNITS = {"energy": "J", "latency": "s", "area": "m^2"}


def present(config: Any, results: Results) -> Presentation:
    """Table, figure, method."""
    digital = 100 * (1 - float(results["digital_error"]))
    nominal = float(results.select("nominal_costs", cost=config.cost))
    lines = [
        f"{config.network}, {config.device}, {config.time} after programming; digital accuracy {digital:.1f} %, "
        f"nominal "
        f"{config.cost} {engineering(nominal, UNITS[config.cost])}; {config.budget} evaluations a search",
        f"{'search':<10}{'hypervolume':>18}{'designs':>9}{f'least {config.cost} within 2 points of the best':>44}",
    ]
    for name in results.coordinates("method"):
        volume = np.asarray(results.select("hypervolume", method=name)).ravel()
        cheap = [x for r in results.coordinates("repetition") if (x := _cheapest(config, results, name, r)) is not None]
        shown = f"{np.mean(cheap) / nominal:.3f} of nominal" if cheap else "none"
        count = np.mean([len(_designs(results, name, r)) for r in results.coordinates("repetition")])
        lines.append(f"{name:<10}{f'{volume.mean():.3f} ± {_deviation(volume):.3f}':>18}{count:>9.1f}{shown:>44}")
    lines += ["", *verdict(results)]
    volumes = {m: float(np.mean(results.select("hypervolume", method=m))) for m in results.coordinates("method")}
    return Presentation(
        "\n".join(lines), {"codesign": _figure(config, results, nominal)}, method(config), {"hypervolume": volumes}
    )


def _designs(results: Results, method: str, repetition: int) -> list[int]:
    error = results.select("error", method=method, repetition=repetition)
    return [d for d in results.coordinates("design") if np.isfinite(error[d]).all()]


def _cheapest(config: Any, results: Results, method: str, repetition: int) -> float | None:
    """Least cost of the designs whose verified error is within 2 points of the least of all searches in this repetition."""
    every = np.asarray(results.select("error", repetition=repetition))
    bar = np.nanmin(every.mean(-1)) + 0.02
    error = results.select("error", method=method, repetition=repetition).mean(-1)
    costs = results.select("costs", method=method, repetition=repetition, cost=config.cost)
    good = costs[error <= bar]
    return float(good.min()) if good.size else None


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else 0.0


def verdict(results: Results) -> list[str]:
    """The gradient's hypervolume beside that of each other search: the paired difference over repetitions and chips."""
    names = results.coordinates("method")
    own, said = np.asarray(results.select("hypervolume", method="gradient")).ravel(), []
    for name in names[1:]:
        gap = own - np.asarray(results.select("hypervolume", method=name)).ravel()
        error = _deviation(gap) / np.sqrt(gap.size)
        word = (
            "larger than" if gap.mean() > 2 * error else "smaller than" if gap.mean() < -2 * error else "not told from"
        )
        said.append(
            f"The gradient's front is {word} that of {name}: {gap.mean():+.3f} ± {error:.3f} (standard error over "
            f"{gap.size} pairs)."
        )
    if "NSGA-II" not in names:
        said.append("NSGA-II was left out: pymoo is not installed (pip install 'xbar-sim[codesign]').")
    return said


def _figure(config: Any, results: Results, nominal: float) -> Any:
    figure, (front, bars, bits) = plots.subplots(5.4, 3.0, 4.2, height=4.3)
    marks = ("o", "s", "^", "D")
    for i, (colour, name) in enumerate(zip(plots.PALETTE, results.coordinates("method"), strict=False)):
        for r in results.coordinates("repetition"):
            chosen = _designs(results, name, r)
            error = results.select("error", method=name, repetition=r)[chosen]
            cost = results.select("costs", method=name, repetition=r, cost=config.cost)[chosen] / nominal
            accuracy, order = 100 * (1 - error), np.argsort(cost)
            deviation = accuracy.std(-1, ddof=min(1, accuracy.shape[-1] - 1))
            front.errorbar(
                cost[order], accuracy.mean(-1)[order], yerr=deviation[order], fmt=marks[i], ls="-" if i == 0 else "",
                lw=1, ms=4, color=colour, alpha=0.8, capsize=2, elinewidth=0.7, label=name if r == 0 else None,
            )  # fmt: skip
            shown = results.select("mean_bits", method=name, repetition=r)[chosen]
            bits.plot(shown, accuracy.mean(-1), marks[i], color=colour, ms=4, alpha=0.8)
        volume = np.asarray(results.select("hypervolume", method=name)).ravel()
        bars.bar(i, volume.mean(), yerr=_deviation(volume), color=colour, capsize=4, width=0.7)
    digital = 100 * (1 - float(results["digital_error"]))
    for axes in (front, bits):
        axes.axhline(digital, color="black", lw=1, ls=":")
    front.axvline(1, color="black", lw=0.8, ls="--")
    front.set(
        xscale="log", xlabel=f"{config.cost} of an inference, nominal = 1 ({engineering(nominal, UNITS[config.cost])})"
    )
    front.set_ylabel(f"accuracy [%], mean ± sd over {config.chips} fresh chips")
    front.set_title(f"verified fronts, {config.repetitions} repetitions; dotted: digital", fontsize=9)
    front.legend(fontsize=7, loc="lower right")
    bars.set_xticks(range(len(results.coordinates("method"))), results.coordinates("method"), fontsize=8)
    bars.set_ylabel("hypervolume [error x e-folds of cost]")
    bars.set_title("bars: sd over repetitions, chips", fontsize=9)
    bits.set(xlabel="mean ADC resolution of the layers [bit]", ylabel="accuracy [%]")
    return figure


def method(config: Any) -> tuple[str, ...]:
    """How it was done."""
    return (
        f"A design is the resolution of each layer's converters ({BITS[0]:g} to {BITS[1]:g} bits), the time of a read "
        f"({1e9 * READ_TIME[0]:g} to {1e9 * READ_TIME[1]:g} ns), the share of the conductance range that is used "
        f"({RANGE[0]:g} to "
        f"{RANGE[1]:g}) and the columns a converter serves ({COLUMNS[0]:g} to {COLUMNS[1]:g}). "
        f"{' '.join(chosen_macros.sentences(config))}",
        f"The gradient makes loss + lambda ln({config.cost}) small, lambda = "
        f"{', '.join(f'{x:g}' for x in config.lambdas)} one after the "
        f"other, {config.gradients} steps of Adam each; rounding counts as normal noise of its variance there. A "
        f"gradient is charged as 3 "
        f"evaluations, and all searches get {config.budget}. Grid, random search and NSGA-II read converters that "
        f"round, on one chip and the "
        f"same {config.batch} inputs. Everything shown was read again on {config.chips} fresh chips with "
        f"{config.images} other inputs, bits whole "
        "and columns a power of two.",
        "Hypervolume: the area between the front and the corner of 30 points more errors than digital at the nominal "
        "cost, costs "
        "as logarithms. The events of the ledger are those of the nominal chip; its prices follow the design.",
        f"Costs: {', '.join(f'{c} [{UNITS[c]}]' for c in COSTS)}. Left out: the read voltage (nothing in these "
        f"models opposes a lower one), "
        "rows of a tile (--rows), bit slices (--mapping) and the effort of writing, which a million inferences share.",
        *chosen_networks.sentences(config),
    )
