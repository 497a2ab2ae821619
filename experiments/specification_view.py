"""What `xbar run specification` shows: tolerances beside today's values, exchange rates, the next measurement, and the
answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_devices, crossbar_study
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.next_measurement import MEASUREMENTS
from experiments.specification import LEAST, LOOSEST, MEASURE, known
from experiments.tolerances import exchange_rates

SHORT = {
    "write": "write error",
    "drift_spread": "drift spread",
    "read_noise": "read noise",
    "on_off": "g_min/g_max",
    "stuck": "stuck cells",
    "nonlinearity": "nonlinearity",
}
BALANCED = 0.3  # relative departure of slopes from each other that is not remarked on
ALMOST = 1.02  # factor below which an improvement does not count


def present(config: Any, results: Results) -> Presentation:
    """Tables, the answer and figures of a finished run."""
    measured = MEASURE in results.coordinates("question")
    parts = [
        "\n".join(_head(config, results)),
        "\n".join(_tolerances(config, results)),
        "\n".join(_rates(config, results)),
    ]
    parts += ["\n".join(_measurement(config, results))] if measured else []
    said = answer(config, results)
    remarks = (*cautions(config, results), *crossbar_study.sentences(config))
    figures = {"specification": _figure(config, results), "exchange": _exchange_figure(config, results)}
    values = {t.name: float(v) for t, v in zip(known(config), results.select("value", question=LOOSEST), strict=True)}
    least = {t.name: float(v) for t, v in zip(known(config), results.select("value", question=LEAST), strict=True)}
    summary = {"tolerances": values, "least_improvement": least, "answer": said}
    text = "\n\n".join([*parts, *said, *remarks])
    return Presentation(
        text,
        figures,
        (*METHOD, crossbar_study.conditions(config), *crossbar_study.sentences(config)),
        summary,
        answer="\n".join(said),
        warnings=(*cautions(config, results), *crossbar_study.doubts(config)),
        cite=chosen_devices.citations([config.device]),
    )


def _mean(values: np.ndarray) -> str:
    return f"{100 * values.mean():.2f} ± {100 * _error(values):.2f} %"


def _error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _floor(results: Results) -> float:
    return float(results.select("floor", question=LOOSEST))


def _head(config: Any, results: Results) -> list[str]:
    lines = [
        f"{config.network} on {config.device}, {crossbar_study.SPOKEN[config.time]} after programming: mean accuracy to keep "
        f"{100 * _floor(results):.2f} %; digital {100 * float(results.select('digital_accuracy', question=LOOSEST)):.2f} %",
        f"  as the device is    {_mean(results.select('accuracy_today', question=LOOSEST))}",
    ]
    for question in (LEAST, LOOSEST):
        lines.append(f"  {question:<19} {_mean(results.select('accuracy', question=question))}")
    return [
        *lines,
        f"  mean ± standard error over {config.fresh_chips} fresh chips, with fully stuck cells and hard decisions",
    ]


def _tolerances(config: Any, results: Results) -> list[str]:
    loose, least = (results.select("value", question=q) for q in (LOOSEST, LEAST))
    room, slope = results.select("room", question=LOOSEST), 100 * results.select("slope_today", question=LOOSEST)
    lines = [
        f"{'tolerance':<34}{'today':>12}{LEAST:>19}{LOOSEST:>18}{'if halved, others':>19}{'d accuracy/d ln, today':>24}",
    ]
    for i, t in enumerate(known(config)):
        today = t.shown(t.today) if t.today else ("none" if t.name == "on_off" else "not known")
        now = t.shown(least[i]) if t.today else "-"
        grows = f"x {room[i]:.2f}" if np.isfinite(room[i]) else "-"
        effect = f"{slope[i].mean():+.3f} ± {_error(slope[i]):.3f}" if t.today else "-"
        lines.append(f"{t.heading:<34}{today:>12}{now:>19}{t.shown(loose[i]):>18}{grows:>19}{effect:>24}")
    return [
        *lines,
        "d accuracy/d ln: points for each 1 = +100 % of the imperfection, mean ± standard error over the chips of the search",
    ]


def _rates(config: Any, results: Results) -> list[str]:
    """Exchange rates of the device as it is; at the loosest tolerances they are all -1."""
    own = [i for i, t in enumerate(known(config)) if t.today]
    names = [SHORT[known(config)[i].name] for i in own]
    if len(own) < 2:
        return ["Exchange rates: the device has at most one imperfection; there is nothing to exchange."]
    rates = exchange_rates(results.select("slope_today", question=LOOSEST).mean(-1)[own])
    lines = [
        "Exchange rates of the device as it is, d ln(row) / d ln(column) at constant accuracy",
        f"{'':<16}" + "".join(f"{n:>16}" for n in names),
    ]
    for name, row in zip(names, rates, strict=True):
        lines.append(f"{name:<16}" + "".join(f"{'' if np.isnan(r) else f'{r:+.2f}':>16}" for r in row))
    return lines


def _measurement(config: Any, results: Results) -> list[str]:
    alone, left, read = (
        100 * results.select(n, question=MEASURE) for n in ("deviation", "deviation_left", "deviation_read")
    )
    parts = results.coordinates("part")
    lines = [
        "Uncertainty of the accuracy due to the posterior of the device file, standard deviation [points]",
        f"{'part':<14}{'alone':>9}{'left once known':>18}{'alone, chips read':>20}  measurement",
    ]
    for i, part in enumerate(parts):
        if np.isfinite(alone[i]):
            rest = f"{left[i]:.3f}" if np.isfinite(left[i]) else "-"
            lines.append(f"{part:<14}{alone[i]:>9.3f}{rest:>18}{read[i]:>20.3f}  {MEASUREMENTS.get(part, '')}".rstrip())
    return [*lines, f"alone: linearised about the fit; chips read: {config.draws} draws, the same chips"]


def answer(config: Any, results: Results) -> list[str]:
    """What to improve, and what to measure next."""
    floor, said = _floor(results), []
    today = results.select("accuracy_today", question=LEAST)
    least = results.select("value", question=LEAST)
    better = [(t.today / least[i], t, least[i]) for i, t in enumerate(known(config)) if t.today]
    better = sorted((b for b in better if b[0] > ALMOST), key=lambda b: -b[0])
    missing = _missing(results, LEAST)
    if missing and not better:
        said.append(
            f"The device has {_mean(today)}: {100 * missing:.2f} points are missing to {100 * floor:.2f} %, and no "
            "improvement of its cells was found. The converters, the mapping or the training must change."
        )
    elif not better:
        said.append(
            f"As it is, the device keeps {100 * floor:.2f} % (it has {_mean(today)}): nothing needs to improve."
        )
    elif missing:
        said.append(
            f"No improvement of {', '.join(SHORT[b[1].name] for b in better)} that was tried keeps {100 * floor:.2f} "
            f"%: {100 * missing:.2f} points are missing. The converters, the mapping or the training must change."
        )
    else:
        steps = "; ".join(f"{SHORT[t.name]} to {t.shown(v)} ({r:.2f} times less)" for r, t, v in better)
        said.append(
            f"To keep {100 * floor:.2f} %, improve {steps}: the smallest improvements in total, on a logarithmic scale."
        )
    return [*said, *_loosest(config, results)] + (
        _measure_next(config, results) if MEASURE in results.coordinates("question") else []
    )


def _missing(results: Results, question: str) -> float:
    """Accuracy by which a search ended below what has to be kept, or 0 if within two standard errors."""
    missing = float(results.select("shortfall", question=question))
    return missing if missing > 2 * _error(results.select("accuracy", question=question)) else 0.0


def _loosest(config: Any, results: Results) -> list[str]:
    """The loosest tolerances, and the one that buys most, if there are tolerances that keep the accuracy."""
    if _missing(results, LOOSEST):
        return [f"No tolerances that were tried keep {100 * _floor(results):.2f} %."]
    loose = results.select("value", question=LOOSEST)
    everything = "; ".join(f"{t.heading} {t.shown(v)}" for t, v in zip(known(config), loose, strict=True))
    room = np.nan_to_num(results.select("room", question=LOOSEST), nan=1.0)
    best = int(np.argmax(room))
    return [
        f"The loosest tolerances that together keep this accuracy: {everything}.",
        f"From there, {SHORT[known(config)[best].name]} buys most: if it is halved, all others may grow by "
        f"{100 * (room[best] - 1):.0f} %.",
    ]


def _measure_next(config: Any, results: Results) -> list[str]:
    left, total = (results.select(n, question=MEASURE) for n in ("deviation_left", "deviation"))
    if not np.isfinite(left).any():
        return ["The accuracy does not depend on anything that the posterior leaves open."]
    best = results.coordinates("part")[int(np.nanargmin(left))]
    said = (
        f"Measure next: {MEASUREMENTS[best]}. Knowing the {best.replace('_', ' ')} exactly would reduce the "
        f"uncertainty of the accuracy from {100 * total[-1]:.2f} to {100 * np.nanmin(left):.2f} points."
    )
    lacks = chosen_devices.find(config.device, config.assume).unmeasured
    return [said] + ([f"Never measured, and so in no posterior: {', '.join(lacks)}."] if lacks else [])


def cautions(config: Any, results: Results) -> tuple[str, ...]:
    """Signs that the search did not end as it should."""
    said, floor = [], _floor(results)
    for question in (LOOSEST, LEAST):
        got = results.select("accuracy", question=question)
        if missing := _missing(results, question):
            said.append(f"{question}: the search ended {100 * missing:.2f} points below the accuracy to keep.")
        elif floor - got.mean() > 3 * _error(got):
            said.append(
                f"{question}: fresh chips have {_mean(got)}, below the accuracy to keep: the chips of the search were "
                "better than most. More chips (--chips, --fresh-chips) give a better estimate."
            )
    if (off := float(results.select("imbalance", question=LOOSEST))) > BALANCED:
        said.append(
            f"{LOOSEST}: slopes differ by {100 * off:.0f} % where they should be equal; more --rounds or --chips help."
        )
    bound = [
        SHORT[t.name] for t, f in zip(known(config), results.select("free", question=LOOSEST), strict=True) if not f
    ]
    if bound:
        said.append(f"{LOOSEST}: {', '.join(bound)} ended at a bound of the search.")
    return tuple(said)


def _linearisation(results: Results) -> list[str]:
    """Where chips that were read with draws disagree with the slopes."""
    alone, read = (results.select(n, question=MEASURE) for n in ("deviation", "deviation_read"))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(np.log(alone / read))
    wrong = [p for p, a in zip(results.coordinates("part"), apart, strict=True) if a > np.log(2)]
    if not wrong:
        return []
    return [
        f"The accuracy is not linear over the posterior of {', '.join(wrong)}: chips that were read with draws differ from "
        "the linearisation by more than a factor of two; trust the column 'alone, chips read'."
    ]


METHOD = (
    "Write error, drift spread and read noise follow the device's own laws, multiplied; they are given by their size in "
    "cells in the middle of the range, divided by the range. g_min is a share of g_max; stuck cells are independent of each "
    "other; departure from Ohm's law is i(v)/(g v) - 1 at the read voltage, by the device's own law, or v + k v^3 for an "
    "ohmic one. Mean drift is left as it is, and compensated for globally.",
    "'loosest together' maximises the sum of the logarithms of all tolerances, with equal weights, so that the mean "
    "accuracy of chips is kept: augmented Lagrangian, inner minimisations by L-BFGS-B, chips with the same random numbers "
    "in all trials. Decisions are smoothed over a quarter of the median margin, stuck cells near the threshold are partly "
    "stuck; the resulting error is measured on other chips before each round, and added. 'least improvement' maximises the "
    "same sum over the imperfections that the device has, with nothing worse than today and nothing added.",
    "Verification uses hard decisions and fully stuck cells, on chips that the search has not seen, each calibrated on its "
    "own. Test inputs are the same everywhere; the uncertainty from their choice is not included in the errors.",
    "At the loosest tolerances an increase of one by 1 % costs a decrease of any other by 1 %, by construction; for "
    "larger exchanges, 'if halved, others' is the factor by which all others may grow together. Exchange rates of the device "
    "as it is are ratios of its slopes.",
)


def _figure(config: Any, results: Results) -> Any:
    """Today's values, the smallest improvements and the loosest tolerances, on logarithmic axes."""
    fig, (axes,) = plots.subplots(7.2, height=1.2 + 0.5 * len(known(config)))
    loose, least = (results.select("value", question=q) for q in (LOOSEST, LEAST))
    for i, t in enumerate(known(config)):
        if t.today:
            axes.plot([100 * t.today, 100 * least[i]], [i, i], color="0.6", lw=1.5, zorder=1)
            axes.plot(100 * t.today, i, "o", color="0.35", ms=6, label="today")
            axes.plot(100 * least[i], i, "s", color=plots.PALETTE[0], ms=5, label=LEAST)
        axes.plot(100 * loose[i], i, "|", color=plots.PALETTE[1], ms=16, mew=3, label=LOOSEST)
        axes.annotate(
            t.shown(loose[i]), (100 * loose[i], i), (0, 11), textcoords="offset points", ha="center", fontsize=7
        )
    axes.set_yticks(range(len(loose)), [t.what for t in known(config)], fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="size of the imperfection (%)", ylim=(len(loose) - 0.4, -0.8))
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), fontsize=7)
    got = results.select("accuracy", question=LOOSEST)
    axes.set_title(
        f"{config.network} on {config.device}, {crossbar_study.SPOKEN[config.time]}: keep {100 * _floor(results):.2f} "
        f"%; verified {_mean(got)} (n = {config.fresh_chips} chips)",
        fontsize=8,
    )
    return fig


def _exchange_figure(config: Any, results: Results) -> Any:
    """Slopes of the device as it is, and at the loosest tolerances, where they should be equal."""
    fig, panels = plots.subplots(4.0, 4.0, height=3.2)
    names = [SHORT[t.name] for t in known(config)]
    for axes, name, title in zip(panels, ("slope_today", "slope"), ("the device as it is", LOOSEST), strict=True):
        slope = -100 * results.select(name, question=LOOSEST)
        bars = [_error(s) for s in slope]
        axes.bar(range(len(names)), slope.mean(-1), yerr=bars, color=plots.PALETTE[0], capsize=3, width=0.65)
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=7)
        axes.set_title(f"{title}, n = {config.chips} chips", fontsize=8)
        axes.set_ylabel("accuracy lost for each +100 % (points)")
    return fig
