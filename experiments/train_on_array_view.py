"""What `xbar run train-on-array` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import error_bars, plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.train_on_array import GPUS
from xbar.energy import engineering

BELOW = 0.01  # of accuracy, below floating point: the goal

METHOD = (
    "Every weight is a cell and a reference cell in the middle of the range. Inputs and errors enter and leave the arrays "
    "through converters, in either direction, with the noise of both. Pulses: coincidences of stochastic trains (at most 31 "
    "slots), or whole steps of a digital sum (mixed precision). The heat of a pulse is V^2 g t at the conductance before it; "
    "the voltage is a setting and does not change what a pulse does. Backward reads are assumed to cost as much as forward "
    "reads with as many multiply-accumulates. Digital operations of updates are counted, but their energy is not included; "
    "half-selected cells, charge pumps and the transport of training data are left out.",
    "GPU: the roofline of the same network (int8, ridge batch, launches free), three times the operations of an inference "
    "for each sample. Rounding is not modelled, and no second pass for reading out is needed.",
)


def present(config: Any, results: Results) -> Presentation:
    """The table, the curves, and the cost."""
    digital = results["digital_accuracy"][:, -1]
    samples, epochs = float(results["samples"]), config.epochs
    goal = float(digital.mean()) - BELOW
    lines = [
        f"{config.network}: {epochs} epochs of {samples:,.0f} samples, batch {config.batch}, {config.chips} chips; in "
        f"floating point {_percent(digital)} %",
        "",
        f"{'device':<26}{'algorithm':<18}{'accuracy':>14}{'to digital':>14}{'pulses':>10}{'a cell':>9}"
        f"{'pulsing':>11}{'reading':>11}{'to goal':>11}",
    ]
    summary: dict[str, Any] = {"digital": float(digital.mean())}
    for name in config.device:
        for algorithm in config.algorithm:
            at = dict(device=name, algorithm=algorithm)
            last = results.select("accuracy", **at)[:, -1]
            lost = last - digital
            pulses = results.select("pulses", **at)[:, -1].sum(-1).mean()
            writing = results.select("writing", **at)[:, -1].mean()
            reading = _reading(results, at) * samples * epochs
            busiest = results.select("busiest", **at)[:, -1].mean()
            lines.append(
                f"{_short(name):<26}{algorithm:<18}{_percent(last):>14}{_percent(lost):>14}{pulses:>10.2g}{busiest:>9.3g}"
                f"{engineering(writing, 'J'):>11}{engineering(reading, 'J'):>11}"
                f"{_joules(_to(results.select('accuracy', **at), _paid(results, at), goal)):>11}"
            )
            summary[f"{_short(name)}, {algorithm}"] = float(last.mean())
    lines += [
        "",
        "accuracy after the last epoch, mean +- standard deviation over chips; to digital: paired, with the same weights and "
        "samples",
        "a cell: average number of pulses to a cell of the busiest layer, to be compared with its endurance",
        f"to goal: energy of the array until the chips reach {100 * goal:.1f} % on average, {100 * BELOW:g} point below "
        "floating point",
    ]
    said = [_answer(config, results, goal), *_rooflines(config, results, goal)]
    lines += ["", *said]
    summary["goal"] = goal
    return Presentation("\n".join(lines), {"train-on-array": _figure(config, results)}, METHOD, summary, answer=said[0])


def _paid(results: Results, at: dict[str, str]) -> Any:
    """Energy up to every epoch, of reads and pulses [J], the mean over chips."""
    epochs = np.arange(1, len(results["digital_accuracy"][0]) + 1)
    return results.select("writing", **at).mean(0) + _reading(results, at) * float(results["samples"]) * epochs


def _to(accuracy: Any, joules: Any, goal: float) -> float | None:
    """Energy spent by the end of the first epoch after which the mean over chips is at the goal [J]; None: it never is."""
    there = np.flatnonzero(accuracy.mean(0) >= goal)
    return float(joules[there[0]]) if there.size else None


def _joules(found: float | None) -> str:
    return "never" if found is None else engineering(found, "J")


def _answer(config: Any, results: Results, goal: float) -> str:
    """Which device and algorithm reach the goal with the least energy."""
    found = []
    for name in config.device:
        for algorithm in config.algorithm:
            at = dict(device=name, algorithm=algorithm)
            joules = _to(results.select("accuracy", **at), _paid(results, at), goal)
            found += [] if joules is None else [(joules, algorithm, _short(name))]
    if not found:
        return f"No array reaches {100 * goal:.1f} % in {config.epochs} epochs."
    joules, algorithm, name = min(found)
    return f"{100 * goal:.1f} % costs least with {algorithm} on {name}: {engineering(joules, 'J')} of reads and pulses."


def _rooflines(config: Any, results: Results, goal: float) -> list[str]:
    """What the GPUs need to reach the goal."""
    curve, samples = results["digital_accuracy"], float(results["samples"])
    epochs = np.arange(1, config.epochs + 1)
    said = []
    for name, each in zip(GPUS, results["roofline"], strict=True):
        joules = _to(curve, each * samples * epochs, goal)
        whole = engineering(float(each) * samples * config.epochs, "J")
        said.append(f"The same training on an {name} at its roofline: {_joules(joules)} to the goal, {whole} in total.")
    return said


def _reading(results: Results, at: dict[str, str]) -> float:
    """Energy of forward and backward reads of a sample [J]."""
    return float((results.select("reading", **at) * (1 + results.select("backward", **at))).mean())


def _percent(values: Any) -> str:
    return error_bars.with_deviation(100 * np.asarray(values), sign="+-")


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".toml")


def _figure(config: Any, results: Results) -> Any:
    figure, axes = plots.subplots(*[4.2] * len(config.device), 4.2, height=3.8)
    epochs = np.arange(1, config.epochs + 1)
    digital = 100 * results["digital_accuracy"]
    samples, gpus = float(results["samples"]), results["roofline"]
    low = 100.0
    for panel, name in zip(axes, config.device, strict=False):
        panel.plot(epochs, digital.mean(0), "k--", lw=1, label="floating point")
        for algorithm, colour in zip(config.algorithm, plots.PALETTE, strict=False):
            found = 100 * results.select("accuracy", device=name, algorithm=algorithm)
            spread = [error_bars.deviation(column) for column in found.T]
            panel.errorbar(epochs, found.mean(0), spread, fmt="o-", ms=3, capsize=2, color=colour, label=algorithm)
            low = min(low, found.mean(0)[-1])
        panel.set_xlabel("epochs")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_title(_short(name), fontsize=9)
        panel.set_ylabel("test accuracy (%), mean ± sd over chips")
    for panel in axes[:-1]:
        panel.set_ylim(max(0, low - 15), 101)
    axes[0].legend(fontsize=8, loc="lower right")
    cost = axes[-1]
    for name, marker in zip(config.device, "os^vD<>", strict=False):
        for algorithm, colour in zip(config.algorithm, plots.PALETTE, strict=False):
            at = dict(device=name, algorithm=algorithm)
            accuracy = 100 * results.select("accuracy", **at).mean(0)
            cost.plot(_paid(results, at), accuracy, marker + "-", ms=3, lw=0.8, color=colour)
        cost.plot([], [], marker, color="0.5", ms=4, label=_short(name))
    for name, each, line in zip(GPUS, gpus, ("k--", "k:"), strict=True):
        cost.plot(each * samples * epochs, digital.mean(0), line, lw=1, label=f"{name} roofline, ridge batch")
    cost.set_xscale("log")
    cost.set_ylim(axes[0].get_ylim())
    cost.set_xlabel("energy so far: reads and pulses (J)")
    cost.set_ylabel("test accuracy (%)")
    cost.legend(fontsize=8, loc="best")
    return figure
