"""What `xbar run scale` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.memory import size
from experiments.framework.progress import duration
from experiments.framework.store import Results
from experiments.scale import QUANTITIES

NAMES = {"program": "programming", "read": "reading", "at": "drift to a time"}


def present(config: Any, results: Results) -> Presentation:
    """Tables by size, unit costs, and the cost of the large network."""
    weights = np.asarray(config.sizes, float) ** 2
    median, kept = np.median(results["seconds"], -1), results["chip_bytes"]
    lines = ["weights       chip    per weight   programming   reading a batch   compilation"]
    for i, n in enumerate(weights):
        program, _, read = median[i]
        lines.append(
            f"{n:>10.3g}  {size(kept[i]):>9}  {kept[i] / n:8.1f} B  {program * 1e3:9.1f} ms  "
            f"{read * 1e3:12.1f} ms  {results['compile_seconds'][i].sum():10.1f} s"
        )
    costs = unit_costs(config, results)
    share = config.weights / config.target_devices
    lines += [
        "",
        f"of {config.weights:.3g} weights each of {config.target_devices} devices like this one keeps {share:.3g}:",
        f"  memory        {size(costs['bytes'] * share)}, and {size(costs['peak_bytes'] * share)} at the peak of programming",
        f"  programming   {duration(costs['program'] * share)}",
        f"  a time later  {duration(costs['at'] * share)}",
        f"  a read        {duration(costs['read'] * share * config.batch)} for a batch of {config.batch}, as one layer",
        "Communication between devices comes on top; multiply the times by the numbers of chips, times and inputs.",
    ]
    answer = (
        f"Of {config.weights:.3g} weights, each of {config.target_devices} devices like this one keeps "
        f"{size(costs['bytes'] * share)}, and {size(costs['peak_bytes'] * share)} at the peak of programming."
    )
    summary = {"unit_costs": costs, "share": share}
    return Presentation("\n".join(lines), {"scale": _figure(weights, median)}, METHOD, summary, answer=answer)


def unit_costs(config: Any, results: Results) -> dict[str, float]:
    """Bytes per weight, seconds per weight, and seconds per weight and input, at the largest size."""
    i = int(np.argmax(config.sizes))
    weights = float(config.sizes[i]) ** 2
    program, at, read = np.median(results["seconds"][i], -1)
    kept, beside = float(results["chip_bytes"][i]), float(np.nan_to_num(results["temporary_bytes"][i]))
    return {
        "bytes": kept / weights,
        "peak_bytes": (kept + beside + 4 * weights) / weights,
        "program": program / weights,
        "read": read / weights / config.batch,
        "at": at / weights,
    }


METHOD = (
    "One dense layer of growing size is programmed and read. Times are medians of several calls after compilation; memory is "
    "what a chip's arrays hold, and what the compiler plans to use in addition.",
    "The large network is extrapolated from the largest size in proportion to its weights: tiles are independent.",
)


def _figure(weights: np.ndarray, median: np.ndarray) -> Any:
    figure, (axes,) = plots.subplots(5.0)
    for i, name in enumerate(QUANTITIES):
        axes.loglog(weights, median[:, i], "o-", color=plots.PALETTE[i], label=NAMES[name])
    axes.loglog(weights, median[-1, 0] * weights / weights[-1], ":", color="0.5", label="in proportion")
    axes.set(xlabel="weights", ylabel="time of a call (s)")
    axes.legend()
    return figure
