"""What `xbar run train-on-array` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering

METHOD = (
    "Every weight is a cell and a reference cell in the middle of the range. Inputs and errors pass the arrays through "
    "converters in either direction, with the noise of both. Pulses: coincidences of stochastic trains (31 slots at most), or "
    "whole steps of a digital sum (mixed precision). The heat of a pulse is V^2 g t at the conductance before it; the voltage "
    "is a setting and does not change what a pulse does. Backward reads are taken to cost what forward ones of as many "
    "multiply-accumulates do. Digital operations of updates are counted and not priced; half-selected cells, charge pumps and "
    "the transport of training data are left out.",
    "GPU: the roofline of the same network (int8, ridge batch, launches free), three times the operations of an inference for "
    "a sample. It rounds to nothing, and needs no second pass for reading out.",
)


def present(config: Any, results: Results) -> Presentation:
    """The table, the curves, and what was paid."""
    digital = results["digital_accuracy"][:, -1]
    samples, gpu = float(results["samples"]), float(results["gpu"])
    epochs = config.epochs
    lines = [
        f"{config.network}: {epochs} epochs of {samples:,.0f} samples, batch {config.batch}, {config.chips} chips; in "
        f"floating point {100 * digital.mean():.1f} +- {100 * _deviation(digital):.1f} %",
        "",
        f"{'device':<26}{'algorithm':<18}{'accuracy':>14}{'to digital':>14}{'pulses':>10}{'a cell':>9}"
        f"{'pulsing':>11}{'reading':>11}",
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
            )
            summary[f"{_short(name)}, {algorithm}"] = float(last.mean())
    lines += [
        "",
        "accuracy after the last epoch, mean +- standard deviation over chips; to digital: paired, of the same weights and "
        "samples",
        "a cell: pulses to a cell of the busiest layer, on average: what of its endurance is used up",
        f"a GPU at its roofline: {engineering(gpu * samples * epochs, 'J')} for as many samples",
    ]
    return Presentation("\n".join(lines), {"train-on-array": _figure(config, results)}, METHOD, summary)


def _reading(results: Results, at: dict[str, str]) -> float:
    """Energy of forward and backward reads of a sample [J]."""
    return float((results.select("reading", **at) * (1 + results.select("backward", **at))).mean())


def _deviation(values: Any) -> float:
    return float(np.std(values, ddof=1)) if np.size(values) > 1 else 0.0


def _percent(values: Any) -> str:
    return f"{100 * np.mean(values):.1f} +- {100 * _deviation(values):.1f}"


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".toml")


def _figure(config: Any, results: Results) -> Any:
    figure, axes = plots.subplots(*[4.2] * len(config.device), 4.2, height=3.8)
    epochs = np.arange(1, config.epochs + 1)
    digital = 100 * results["digital_accuracy"]
    samples, gpu = float(results["samples"]), float(results["gpu"])
    low = 100.0
    for panel, name in zip(axes, config.device, strict=False):
        panel.plot(epochs, digital.mean(0), "k--", lw=1, label="floating point")
        for algorithm, colour in zip(config.algorithm, plots.PALETTE, strict=False):
            found = 100 * results.select("accuracy", device=name, algorithm=algorithm)
            spread = [_deviation(column) for column in found.T]
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
            joules = results.select("writing", **at).mean(0) + _reading(results, at) * samples * epochs
            accuracy = 100 * results.select("accuracy", **at).mean(0)
            cost.plot(joules, accuracy, marker + "-", ms=3, lw=0.8, color=colour)
        cost.plot([], [], marker, color="0.5", ms=4, label=_short(name))
    cost.plot(gpu * samples * epochs, digital.mean(0), "k--", lw=1, label="GPU roofline, ridge batch")
    cost.set_xscale("log")
    cost.set_ylim(axes[0].get_ylim())
    cost.set_xlabel("energy so far: reads and pulses (J)")
    cost.set_ylabel("test accuracy (%)")
    cost.legend(fontsize=8, loc="lower left")
    return figure
