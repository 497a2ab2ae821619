"""What `wearable-ecg` and `keyword` show: accuracy and recall over time, energy per decision with its front end, battery
life."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import front_ends
from experiments.crossbar_study import SPOKEN
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.sensing import KINDS, readouts
from experiments.sensing_networks import SPIKE_STEPS, TASKS, TWIN_STEPS
from xbar.energy import engineering

METHOD = (
    "Frame networks (ANN) take a decision in one pass, with 8-bit inputs; spiking networks (SNN) in "
    f"{SPIKE_STEPS} steps, their inputs as evenly spaced spikes with one row for each sign (DS-CNN's twin: "
    f"{TWIN_STEPS} steps, analog inputs in every step). Both are trained with noise on their weights, and converter "
    "ranges are those of a calibration batch: training inputs, or, of DS-CNN's keywords, which have no training set, 32 test "
    "inputs without their labels, none of which is tested; drift is compensated by one factor per column; in the frame "
    "version of DS-CNN, each channel's mean and spread are restored at every time (AdaBS), from the same inputs. DS-CNN's "
    "twin is read by integrators alone.",
    "Energy of a decision is that of the ledger while the network works: arrays, converters or integrators, digital "
    "work, memory, network on chip, leakage. Not included: voltage supplies, radio, a waiting microcontroller, writing "
    "the weights. The front end is counted separately and always on.",
    "Gated: cells keep the weights, so that all circuits are switched off between decisions (their start-up is not "
    "counted). Not gated: the network's circuits leak all the time. Both are shown.",
    f"The coin cell: 225 mAh at 3 V, {front_ends.COIN_CELL:,.0f} J, all of it usable, without self-discharge or "
    "converter losses.",
)


def present(config: Any, results: Results, tasks: tuple[str, ...], said: tuple[str, ...]) -> Presentation:
    """Tables and figures of a finished run."""
    lines: list[str] = []
    for task in tasks:
        lines += [*table(config, results, task), "", *budget(config, results, task), ""]
    remarks = (*said, *(f"{TASKS[t].title}: {p.name}: {p.source}." for t in tasks[:1] for p in TASKS[t].front().parts))
    figures = {f"{task}": _figure(config, results, task) for task in tasks}
    text = "\n".join([*lines, *said])
    return Presentation(text, figures, (*remarks, *METHOD), {"best": [best(config, results, t) for t in tasks]})


def rows(config: Any, results: Results, task: str):
    """Every measured (kind, device, readout) of a task."""
    for kind in KINDS:
        for device in config.devices:
            for readout in readouts(config):
                at = dict(task=task, kind=kind, device=device, readout=readout)
                if np.isfinite(results.select("energy", **at)).all():
                    yield at


def table(config: Any, results: Results, task: str) -> list[str]:
    """Accuracy over time, recall at the last time with data."""
    classes = TASKS[task].classes
    unequal = len(classes) <= 3
    lines = [
        f"{TASKS[task].title}: {int(results.select('test_inputs', task=task, kind='ANN'))} test inputs, {config.chips} chips"
    ]
    for kind in KINDS:
        value = 100 * float(results.select("digital_accuracy", task=task, kind=kind))
        recall = _recall(np.asarray(results.select("digital_recall", task=task, kind=kind)), classes)
        done = float(results.select("operations", task=task, kind=kind))
        what = "multiply-accumulates" if kind == "ANN" else "synaptic operations"
        lines.append(f"digital {kind}: {value:.1f} %, recall {recall}; {done:,.0f} {what}")
    times = "".join(f"{SPOKEN[t]:>13}" for t in config.times)
    last_column = f"recall {'/'.join(classes)}, last" if unequal else "lowest recall, last"
    lines.append(f"{'':<4}{'device':<7}{'readout':<12}{times}{'energy':>10}{'P10 .. P90':>20}  {last_column}")
    for at in rows(config, results, task):
        accuracy = 100 * np.asarray(results.select("accuracy", **at))
        shown = "".join(f"{_spread(a):>13}" for a in accuracy)
        low, middle, high = (engineering(e, "J") for e in results.select("energy", **at))
        last = np.flatnonzero(np.isfinite(accuracy[:, 0]))[-1]
        recall = _recall(np.asarray(results.select("recall", **at))[last].mean(0), classes)
        lines.append(f"{_head(at)}{shown}{middle:>10}{f'{low} .. {high}':>20}  {recall.partition(' (N')[0]}")
    return lines


def _head(at: dict[str, str]) -> str:
    return f"{at['kind']:<4}{at['device']:<7}{at['readout']:<12}"


def budget(config: Any, results: Results, task: str) -> list[str]:
    """The front end, and how long a coin cell lasts."""
    front, period = np.asarray(results.select("front_end", task=task)), float(results.select("period", task=task))
    parts = ", ".join(
        f"{part.name} {engineering(j[1], 'J')}" for part, j in zip(TASKS[task].front().parts, front, strict=True)
    )
    low, likely, high = front.sum(0)
    shown = f"{engineering(likely, 'J')} ({engineering(low, 'J')} .. {engineering(high, 'J')})"
    lines = [
        f"Front end per decision, every {period:g} s: {shown}: {parts}; always on, {engineering(likely / period, 'W')}",
        f"{'':<4}{'device':<7}{'readout':<12}{'time':>9}{'gated':>11}{'not gated':>11}{'duty':>11}"
        f"{'coin cell':>11}{'network alone':>15}{'a day for a year':>18}",
    ]
    for at in rows(config, results, task):
        energy = float(results.select("energy", **at)[1])
        seconds, leak = float(results.select("seconds", **at)), float(results.select("leakage", **at))
        total = energy + likely
        idle = leak * max(period - seconds, 0.0)
        lines.append(
            f"{_head(at)}{engineering(seconds, 's'):>9}{engineering(total / period, 'W'):>11}"
            f"{engineering((total + idle) / period, 'W'):>11}{100 * seconds / period:>9.2g} %"
            f"{_life(front_ends.days(total, period)):>11}{_life(front_ends.days(energy, period)):>15}"
            f"{front_ends.decisions_per_day(total):>18,.0f}"
        )
    return lines


def _life(days: float) -> str:
    """Life of a coin cell; beyond ten years self-discharge ends it."""
    return f"{days:,.0f} d" if days < 3650 else "> 10 years"


def best(config: Any, results: Results, task: str) -> dict[str, Any]:
    """The most accurate network at the last time with data."""
    found = []
    for at in rows(config, results, task):
        accuracy = np.asarray(results.select("accuracy", **at)).mean(-1)
        found.append((float(accuracy[np.isfinite(accuracy)][-1]), at, float(results.select("energy", **at)[1])))
    accuracy, at, energy = max(found, key=lambda x: x[0])
    return {**at, "accuracy": accuracy, "energy_J": energy}


def _recall(values: np.ndarray, classes: tuple[str, ...]) -> str:
    if len(classes) <= 3:
        return "/".join(f"{100 * v:.0f}" for v in values[: len(classes)]) + f" % ({'/'.join(classes)})"
    worst = int(np.nanargmin(values[: len(classes)]))
    return f"{100 * values[worst]:.0f} % ({classes[worst]})"


def _spread(values: np.ndarray) -> str:
    return "-" if np.isnan(values).all() else f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def _figure(config: Any, results: Results, task: str) -> Any:
    """Accuracy over time (or recall of each class, if there are few), and energy per decision with its front end."""
    figure, (left, right) = plots.subplots(5.4, 5.2, height=5.0)
    places = np.arange(len(config.times))
    shown = list(rows(config, results, task))
    for i, at in enumerate(shown):
        values = 100 * np.asarray(results.select("accuracy", **at))
        style = _style(config, at)
        nudge = 0.05 * (i - len(shown) / 2)
        left.errorbar(
            places + nudge, values.mean(-1), yerr=values.std(-1, ddof=1), capsize=2, ms=4, label=_name(at), **style
        )
    for kind, ls in zip(KINDS, ("--", ":"), strict=True):
        value = 100 * float(results.select("digital_accuracy", task=task, kind=kind))
        left.axhline(value, color="0.4", lw=1, ls=ls, label=f"{kind}, digital")
    left.set_xticks(places, [SPOKEN[t] for t in config.times])
    left.set(xlabel="time after programming", ylabel=f"accuracy (%), mean and s.d. of {config.chips} chips")
    left.set_title(TASKS[task].title, fontsize=9)
    figure.legend(*left.get_legend_handles_labels(), fontsize=7, ncols=4, loc="outside lower center")
    names = [_name(at) for at in shown]
    for i, at in enumerate(shown):
        low, middle, high = (1e6 * float(e) for e in results.select("energy", **at))
        right.plot([low, high], [i, i], lw=5, alpha=0.4, color=_style(config, at)["color"], solid_capstyle="round")
        right.plot(middle, i, "o", ms=4, color=_style(config, at)["color"])
    front = 1e6 * np.asarray(results.select("front_end", task=task))
    for j, (part, (low, likely, high)) in enumerate(zip(TASKS[task].front().parts, front, strict=True), len(shown)):
        right.plot([low, high], [j, j], lw=5, alpha=0.4, color="0.5", solid_capstyle="round")
        right.plot(likely, j, "s", ms=4, color="0.3")
        names.append(f"front end: {part.name}")
    right.set_yticks(range(len(names)), names, fontsize=7.5)
    right.invert_yaxis()
    right.set(xscale="log", xlabel="energy of a decision (µJ)\nmedian, P10 to P90; front end: estimates")
    return figure


def _name(at: dict[str, str]) -> str:
    return f"{at['kind']}, {at['device']}, {at['readout']}"


def _style(config: Any, at: dict[str, str]) -> dict[str, Any]:
    colour = plots.PALETTE[
        (readouts(config).index(at["readout"]) + (3 if at["kind"] == "SNN" else 0)) % len(plots.PALETTE)
    ]
    marker = "osD^"[list(config.devices).index(at["device"]) % 4]
    return dict(color=colour, marker=marker, ls="-" if at["kind"] == "ANN" else "--")
