"""What `xbar run refresh` shows: accuracy over time of chips left alone, compensated and refreshed, and the cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import chosen_devices
from experiments.framework import error_bars, plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.refreshing import ARMS
from xbar.energy import engineering

METHOD = (
    "Weights are trained in floating point, written to pairs of cells, and drift. Refreshing: updates of mixed precision "
    "(whole steps of a digital sum of gradients, pulses up only, to either cell of a pair) on the chip's own reads, forward "
    "and backward, of labelled training samples. Cells that got a pulse start to drift again from then on. Compensated: one "
    "digital factor per tile, from its own read-out. The heat of a pulse is V^2 g t; the voltage is a setting. The energy "
    "of digital operations is not included.",
)


def present(config: Any, results: Results) -> Presentation:
    """The table, the curves, and what refreshing costs."""
    digital = 100 * results["digital_accuracy"]
    lines = [
        f"{config.network} on {config.device}, {config.chips} chips; in floating point {_said(digital)} %",
        "",
        f"{'time':<10}"
        + "".join(f"{name:>16}" for name in (*ARMS[:2], "to be refreshed", "refreshed"))
        + f"{'pulses a cell':>15}{'heat':>11}",
    ]
    for i, t in enumerate(config.times):
        at = {arm: [100 * results.select(n, arm=arm)[:, i] for n in ("before", "after")] for arm in ARMS}
        columns = [at[ARMS[0]][0], at[ARMS[1]][0], *at[ARMS[2]]]
        busiest, joules = (results.select(n, arm=ARMS[2])[:, i].mean() for n in ("busiest", "joules"))
        lines.append(
            f"{_clock(t):<10}"
            + "".join(f"{_said(c):>16}" for c in columns)
            + f"{busiest:>15.3g}{engineering(joules, 'J'):>11}"
        )
    answer = _answer(config, results)
    lines += ["", "test accuracy in %, mean +- standard deviation over chips; pulses and heat so far", "", answer]
    summary = {arm: (100 * results.select("after", arm=arm).mean(0)).tolist() for arm in ARMS} | {
        "digital": float(digital.mean())
    }
    cite = chosen_devices.citations([config.device])
    return Presentation(
        "\n".join(lines), {"refresh": _figure(config, results)}, METHOD, summary, answer=answer, cite=cite
    )


def _answer(config: Any, results: Results) -> str:
    lost = {arm: 100 * (results["digital_accuracy"] - results.select("after", arm=arm)[:, -1]) for arm in ARMS}
    n = len(config.times)
    pulses, joules = (results.select(name, arm=ARMS[2])[:, -1].mean() / n for name in ("busiest", "joules"))
    said = ", ".join(f"{arm} {_said(values)}" for arm, values in lost.items())
    return (
        f"After {_clock(config.times[-1])}, the points below floating point are: {said}. One refresh of {config.updates} "
        f"updates takes {pulses:.3g} pulses per cell, {engineering(joules, 'J')} of heat and "
        f"{engineering(float(results['reading']), 'J')} of reads."
    )


def _clock(t: float) -> str:
    for unit, seconds in (("a", 31_536_000.0), ("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if t >= seconds:
            return f"{t / seconds:.3g} {unit}"
    return f"{t:g} s"


def _said(values: Any) -> str:
    return error_bars.with_deviation(values, sign="+-")


def _figure(config: Any, results: Results) -> Any:
    figure, (left, right) = plots.subplots(5.0, 4.0, height=3.6)
    times = np.asarray(config.times)
    left.axhline(100 * results["digital_accuracy"].mean(), color="k", ls="--", lw=1, label="floating point")
    for arm, colour in zip(ARMS, plots.PALETTE, strict=False):
        for name in ("before", "after")[: 2 if arm == ARMS[2] else 1]:
            found = 100 * results.select(name, arm=arm)
            look = "o-" if arm != ARMS[2] or name == "after" else "o:"
            label = {"before": "before it is refreshed", "after": "refreshed"}[name] if arm == ARMS[2] else arm
            spread = [error_bars.deviation(column) for column in found.T]
            face = "w" if look.endswith(":") else colour
            left.errorbar(times, found.mean(0), spread, fmt=look, ms=4, capsize=2, color=colour, mfc=face, label=label)
    left.set_xscale("log")
    left.set_xlabel("time after programming (s)")
    left.set_ylabel(f"test accuracy (%), mean ± sd over {config.chips} chips")
    left.legend(fontsize=8)
    pulses = results.select("busiest", arm=ARMS[2])
    spread = [error_bars.deviation(column) for column in pulses.T]
    right.errorbar(times, pulses.mean(0), spread, fmt="s-", ms=4, capsize=2, color=plots.PALETTE[2])
    right.set_xscale("log")
    right.set_ylim(0)
    right.set_xlabel("time after programming (s)")
    right.set_ylabel("pulses so far per cell of the busiest layer")
    return figure
