"""What `xbar run codesign` shows: fronts of verified designs, their hypervolumes, and whether one search dominates."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_macros, chosen_networks
from experiments.codesign import FRONT, ROOM
from experiments.design_space import BITS, COLUMNS, COSTS, NOMINAL, PULSES, QUANTITIES, RANGE, READ_TIME, VOLTS
from experiments.framework import error_bars, plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering

UNITS = {"energy": "J", "latency": "s", "area": "m^2"}


def present(config: Any, results: Results) -> Presentation:
    """Table, figure, method."""
    digital = 100 * (1 - float(results["digital_error"]))
    nominal = float(results.select("nominal_costs", cost=config.cost))
    names = results.coordinates("method")
    lines = [
        f"{config.network}, {config.device}, {config.time} after programming; digital accuracy {digital:.1f} %, nominal "
        f"{config.cost} {engineering(nominal, UNITS[config.cost])}",
        f"{int(results['variables'])} numbers to choose; {config.budget * len(config.slices)} evaluations per search",
        f"{'search':<10}{'hypervolume':>18}{'designs':>9}{f'least {config.cost} within 2 points of the best':>44}",
    ]
    for name in names:
        volume = np.asarray(results.select("hypervolume", method=name)).ravel()
        found = [_cheapest(config, results, name, r) for r in results.coordinates("repetition")]
        cheap = [at[1] for at in found if at is not None]
        shown = f"{np.mean(cheap) / nominal:.3f} of nominal" if cheap else "none"
        count = np.mean([len(_designs(results, name, r)) for r in results.coordinates("repetition")])
        lines.append(f"{name:<10}{error_bars.with_deviation(volume, 3):>18}{count:>9.1f}{shown:>44}")
    lines += ["", *described(config, results), "", *verdict(results)]
    volumes = {m: float(np.mean(results.select("hypervolume", method=m))) for m in names}
    return Presentation(
        "\n".join(lines), {"codesign": _figure(config, results, nominal)}, method(config), {"hypervolume": volumes}
    )


def described(config: Any, results: Results) -> list[str]:
    """What the cheapest design of each search within 2 points of the best is made of, in the first repetition."""
    lines = [
        f"Cheapest design within 2 points of the best, repetition {results.coordinates('repetition')[0]} (means over layers)",
        f"{'search':<10}{'bits':>7}{'pulses':>8}{'read':>9}{'voltage':>10}{'range':>8}{'columns':>9}{'rows':>6}{'slices':>8}",
    ]
    for name in results.coordinates("method"):
        at = _cheapest(config, results, name, results.coordinates("repetition")[0])
        if at is None:
            continue
        chosen = results.select("values", method=name, repetition=results.coordinates("repetition")[0])[at[0]]
        v = dict(zip(QUANTITIES, chosen, strict=True))
        pulses = "-" if np.isnan(v["pulses"]) else f"{v['pulses']:.1f}"
        time, volts = engineering(v["read_time"], "s"), engineering(v["volts"], "V")
        lines.append(
            f"{name:<10}{v['bits']:>7.2f}{pulses:>8}{time:>9}{volts:>10}{v['range']:>7.0%} {v['columns']:>8.0f}"
            f"{v['rows']:>6.0f}{v['slices']:>8.0f}"
        )
    return lines


def _designs(results: Results, method: str, repetition: int) -> list[int]:
    error = results.select("error", method=method, repetition=repetition)
    return [d for d in results.coordinates("design") if np.isfinite(error[d]).all()]


def _cheapest(config: Any, results: Results, method: str, repetition: int) -> tuple[int, float] | None:
    """Number and cost of the cheapest design whose verified error is within 2 points of the least of all searches in this
    repetition."""
    every = np.asarray(results.select("error", repetition=repetition))
    bar = np.nanmin(every.mean(-1)) + 0.02
    error = results.select("error", method=method, repetition=repetition).mean(-1)
    costs = results.select("costs", method=method, repetition=repetition, cost=config.cost)
    good = np.flatnonzero(error <= bar)
    return min(((int(d), float(costs[d])) for d in good), key=lambda x: x[1], default=None)


def verdict(results: Results) -> list[str]:
    """The gradient's hypervolume against that of each other search: the paired difference over repetitions, with the 95 %
    interval of Student's t. Chips of one repetition verify the same designs, and are averaged first."""
    names = results.coordinates("method")
    mean = {name: np.asarray(results.select("hypervolume", method=name)).mean(-1) for name in names}
    said = []
    for name in names[1:]:
        gap = mean["gradient"] - mean[name]
        if gap.size < 2:
            said.append(
                f"The gradient's front differs from that of {name} by {gap.mean():+.3f} in one repetition: two or more "
                "(--repetitions) would tell whether that is chance."
            )
            continue
        half = error_bars.students_t(gap.size - 1) * error_bars.deviation(gap) / np.sqrt(gap.size)
        word = (
            "larger than" if gap.mean() > half else "smaller than" if gap.mean() < -half else "not distinguishable from"
        )
        said.append(
            f"The gradient's front is {word} that of {name}: {gap.mean():+.3f} ± {half:.3f} (95 % interval over "
            f"{gap.size} repetitions)."
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
            accuracy, deviation = 100 * (1 - error), 100 * error.std(-1, ddof=min(1, error.shape[-1] - 1))
            front.errorbar(
                cost, accuracy.mean(-1), yerr=deviation, fmt=marks[i], ms=4, color=colour, alpha=0.7, capsize=2,
                elinewidth=0.7, label=name if r == 0 else None,
            )  # fmt: skip
            values = results.select("values", method=name, repetition=r)[chosen]
            bits.plot(values[:, QUANTITIES.index("bits")], 1e3 * values[:, QUANTITIES.index("volts")], marks[i],
                      color=colour, ms=4, alpha=0.7)  # fmt: skip
        front.step(*_staircase(config, results, name, nominal), where="post", color=colour, lw=1)
        volume = np.asarray(results.select("hypervolume", method=name)).ravel()
        bars.bar(i, volume.mean(), yerr=error_bars.deviation(volume), color=colour, capsize=4, width=0.7)
    front.axhline(100 * (1 - float(results["digital_error"])), color="black", lw=1, ls=":")
    front.axvline(1, color="black", lw=0.8, ls="--")
    front.set(
        xscale="log", xlabel=f"{config.cost} of an inference, nominal = 1 ({engineering(nominal, UNITS[config.cost])})"
    )
    least = max(100 * (1 - float(results["digital_error"]) - ROOM) - 5, 0)
    front.set_ylim(bottom=least)  # what lies lower counts as useless
    front.set_ylabel(f"accuracy [%], mean ± sd over {config.chips} fresh chips")
    front.set_title(
        f"{config.network}: verified designs of {config.repetitions} repetitions; dotted: digital", fontsize=9
    )
    front.legend(fontsize=7, loc="lower right")
    bars.set_xticks(range(len(results.coordinates("method"))), results.coordinates("method"), fontsize=8)
    bars.set_ylabel("hypervolume [error x e-folds of cost]")
    bars.set_title("bars: sd over repetitions, chips", fontsize=9)
    bits.set(xlabel="mean ADC resolution of the layers [bit]", ylabel="read voltage [mV]", yscale="log")
    bits.set_title("where these designs lie", fontsize=9)
    bits.set_yticks([50, 100, 200, 400], ["50", "100", "200", "400"])
    for axis in (front.xaxis, bits.yaxis):
        axis.set_minor_formatter("{x:g}" if axis is front.xaxis else "")
    front.xaxis.set_major_formatter("{x:g}")
    return figure


def _staircase(config: Any, results: Results, name: str, nominal: float) -> tuple[np.ndarray, np.ndarray]:
    """The front over all repetitions: the best mean accuracy [%] at each cost or less."""
    found = []
    for r in results.coordinates("repetition"):
        chosen = _designs(results, name, r)
        cost = results.select("costs", method=name, repetition=r, cost=config.cost)[chosen] / nominal
        accuracy = 100 * (1 - results.select("error", method=name, repetition=r)[chosen].mean(-1))
        found += zip(cost, accuracy, strict=True)
    x, y = (np.array(v) for v in zip(*sorted(found), strict=True))
    return x, np.maximum.accumulate(y)


def method(config: Any) -> tuple[str, ...]:
    """How it was done."""
    rows = (
        f"{', '.join(map(str, config.tile_rows))} word lines"
        if config.rows is None
        else f"{config.rows} word lines (given)"
    )
    return (
        f"A design is the resolution of each layer's converters ({BITS[0]:g} to {BITS[1]:g} bits) and the pulses that each "
        f"layer's cells are written with ({PULSES[0]:g} to {PULSES[1]:g}; of devices with a write error), the time of a read "
        f"({1e9 * READ_TIME[0]:g} to {1e9 * READ_TIME[1]:g} ns), its voltage ({1e3 * VOLTS[0]:g} to {1e3 * VOLTS[1]:g} mV, "
        f"or what the device's data reach), the share of the conductance range that is used ({RANGE[0]:g} to {RANGE[1]:g}), "
        f"the columns a converter serves ({COLUMNS[0]:g} to {COLUMNS[1]:g}), and tiles of {rows}. "
        f"{' '.join(chosen_macros.sentences(config))}",
        f"What limits a low read voltage: an amplifier holds each column of conductance G at 0 V with a noise of "
        f"{config.amplifier_noise:g} V/sqrt(Hz) (a differential pair of 0.33 mS, 10 uA in weak "
        "inversion: derived), and the column adds its thermal noise: "
        "i^2 = (e^2 G^2 + 4 k T G) / (2 t_read). Non-ohmic cells conduct, and dissipate, by their own law; amplifier "
        "offsets are assumed to be calibrated away, and input converters to cost the same at any voltage.",
        f"Writing: the device's error is taken to be that of {NOMINAL['pulses']:g} pulses per cell, and to change with their "
        "number as in a write-verify loop in which every pulse redraws the error, and which stops inside a window; the "
        f"energy of these pulses and reads (assumed: 1.75 V, 8.52 us) is spread over {config.inferences:g} inferences. On the "
        "grid and at the start of the gradient search, pulses are shared among layers in proportion to the cube root of each "
        "layer's Fisher information per cell.",
        f"The gradient search minimises loss + lambda ln({config.cost}), lambda = "
        f"{', '.join(f'{x:g}' for x in config.lambdas)} one after another, with {config.gradients} Adam steps each; its "
        f"designs are points on its path, at most {FRONT}. In this search rounding is modelled as normal noise of the same "
        "variance; word lines are relaxed in the cost alone, by logarithms between the available numbers, and every read is "
        "done with the nearest one. A gradient counts as 3 evaluations, and all searches get "
        f"{config.budget} for each way of slicing weights ({', '.join(map(str, config.slices))}), between which there is "
        f"no gradient. The other searches read converters that round, on one chip and the same {config.batch} "
        f"inputs. Everything shown was read again on {config.chips} fresh chips with {config.images} other inputs, rounded.",
        "Hypervolume: the area between the front and the corner at 30 points more error than digital and the nominal cost, "
        "costs as logarithms. The events of the ledger are those of the nominal chip; its prices follow the design. "
        f"Costs: {', '.join(f'{c} [{UNITS[c]}]' for c in COSTS)}.",
        *chosen_networks.sentences(config),
    )
