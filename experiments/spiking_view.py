"""What `xbar run spiking` shows: accuracy over time, events, and energy on crossbars and event-driven chips."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.crossbar_study import SPOKEN
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.spiking import EVENTS, READOUTS, STEPS
from xbar.energy import engineering, event_chips

REFERENCE = (
    "Reference on MNIST, from another program: 784-256-10, 20 steps, Poisson inputs times 0.5: 97.1 %, 277,000 synaptic "
    "operations per image against 4.07 million of a dense network in every step."
)
METHOD = (
    f"Pixels times 0.5 are the probability of a spike in each of {STEPS} steps of 1 ms; LIF neurons (10 ms), trained with "
    "a surrogate gradient; the logits are the mean membranes of output neurons that do not spike. On arrays, spikes "
    "drive word lines through 1-bit drivers.",
    "The energy of event-driven chips is computed from the events of the same digital run: lowest and highest published "
    "value, static power and time included where they are known. What each value counts differs, and is listed below; "
    "weights of lower precision than here (TrueNorth, Xylo, Akida) would need training for them.",
)


def present(config: Any, results: Results) -> Presentation:
    """Tables and figures of a finished run."""
    events: dict[str, float] = dict(zip(EVENTS, map(float, results["events"]), strict=True))
    chips = chip_bands(events)
    lines = [
        *_accuracy(config, results),
        "",
        *_events(events),
        "",
        *_energies(config, results, chips),
        "",
        *notes(),
        REFERENCE,
    ]
    summary = {
        "digital_accuracy": float(results["digital_accuracy"]),
        "events": events,
        "chips_J": {name: list(band) for name, band in chips.items()},
    }
    return Presentation(
        "\n".join(lines), {"spiking": _figure(config, results, chips)}, (*METHOD, *notes(), REFERENCE), summary
    )


def chip_bands(events: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Lowest and highest energy of an inference on each event-driven system [J]."""
    how = dict(
        synaptic=events["synaptic operations"],
        updates=events["updates"],
        spikes=events["hidden spikes"],
        hops=events["hops"],
        steps=STEPS,
    )
    return {chip.name: chip.joules(**how) for chip in event_chips()}  # pyright: ignore[reportArgumentType]


def notes() -> list[str]:
    """What each chip's number counts, and what it leaves out."""
    return [f"{c.name}: counts {c.counts}; leaves out {c.leaves_out}." for c in event_chips()]


def _accuracy(config: Any, results: Results) -> list[str]:
    lines = [f"{config.data}: digital {100 * float(results['digital_accuracy']):.2f} % of all test images"]
    lines.append(f"{'device':<8}" + "".join(f"{SPOKEN[t]:>15}" for t in config.times))
    for device in config.devices:
        values = 100 * np.asarray(results.select("accuracy", device=device))
        shown = ("-" if np.isnan(v).all() else f"{v.mean():.2f} ± {v.std(ddof=1):.2f}" for v in values)
        lines.append(f"{device:<8}" + "".join(f"{s:>15}" for s in shown))
    return [*lines, f"mean ± standard deviation over {config.chips} chips, at most {config.images} test images [%]"]


def _events(events: dict[str, float]) -> list[str]:
    share = events["synaptic operations"] / events["dense operations"]
    lines = [f"{name:<22}{value:>14,.0f}" for name, value in events.items()]
    return ["Events of an inference", *lines, f"{'operations done':<22}{100 * share:>12.1f} %"]


def _energies(config: Any, results: Results, chips: dict[str, tuple[float, float]]) -> list[str]:
    lines = [f"{'energy of an inference':<34}{'median':>11}{'band':>24}"]
    for device in config.devices:
        for readout in READOUTS:
            low, middle, high = results.select("energy", device=device, readout=readout)
            band = f"{engineering(low, 'J')} .. {engineering(high, 'J')}"
            lines.append(f"{f'{device}, {readout}':<34}{engineering(middle, 'J'):>11}{band:>24}")
    low, high = map(float, results["gpu_energy"])
    band = f"{engineering(low, 'J')} .. {engineering(high, 'J')}"
    lines.append(f"{'H100, INT8, ridge batch .. batch 1':<45}{band:>24}")
    for name, (low, high) in chips.items():
        band = f"{engineering(low, 'J')} .. {engineering(high, 'J')}"
        lines.append(f"{name:<45}{band:>24}")
    return lines


def _figure(config: Any, results: Results, chips: dict[str, tuple[float, float]]) -> Any:
    figure, (left, right) = plots.subplots(4.4, 5.8, height=4.4)
    places = np.arange(len(config.times))
    for i, device in enumerate(config.devices):
        values = 100 * np.asarray(results.select("accuracy", device=device))
        nudge = 0.05 * (i - 1)
        look = dict(color=plots.PALETTE[i % 7], marker="o", ms=4, capsize=2)
        left.errorbar(places + nudge, values.mean(-1), yerr=values.std(-1, ddof=1), label=device, **look)
    left.axhline(100 * float(results["digital_accuracy"]), color="0.4", ls="--", lw=1, label="digital")
    left.set_xticks(places, [SPOKEN[t] for t in config.times])
    left.set(xlabel="time after programming", ylabel=f"accuracy (%), mean and s.d. of {config.chips} chips")
    left.legend(fontsize=8)
    names = []
    for device in config.devices:
        for readout in READOUTS:
            low, middle, high = results.select("energy", device=device, readout=readout)
            right.plot([low, high], [len(names)] * 2, lw=5, alpha=0.4, color=plots.PALETTE[0], solid_capstyle="round")
            right.plot(middle, len(names), "o", ms=4, color=plots.PALETTE[0])
            names.append(f"crossbar, {device}: {readout}")
    bands = {"H100, INT8, ridge batch to batch 1": tuple(map(float, results["gpu_energy"])), **chips}
    for name, (low, high) in bands.items():
        colour = plots.PALETTE[1 if name in chips else 2]
        right.plot([low, high], [len(names)] * 2, lw=5, alpha=0.5, color=colour, solid_capstyle="round")
        right.plot((low * high) ** 0.5, len(names), "o", ms=4, color=colour)
        names.append(name)
    right.set_yticks(range(len(names)), names, fontsize=7.5)
    right.invert_yaxis()
    right.set(
        xscale="log",
        xlabel="energy of an inference (J); crossbars: median, P10 to P90\nothers: lowest to highest published or derived",
    )
    right.xaxis.label.set_size(8)
    return figure
