"""What `xbar run crossover` shows: crossovers with their band, energy against rate, accuracy against energy."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.break_even import break_even_rate, matched_bits
from experiments.crossover import INTEGRATORS, RATES, readouts
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering

METHOD = (
    "The frame is read with inputs of ceil(log2(T + 1)) bits, the events with at most T spikes; weights, cells, tiles, "
    "read time and prices are the same. Events cost: drivers of rows that spike, conversions of tiles with a driven row "
    "(or integrators and comparators of every column and step), digital or analog updates of all neurons in every step, "
    "an address on the mesh for each spike, leakage for as long as the steps last. Steps follow each other as fast as the "
    "arrays allow: with real-time input the circuits would leak longer.",
    "P10 to P90 are those of the ratio: both ledgers share every uncertain price. Energies are means over "
    "chips; the integrators' own errors are not modelled.",
    "The closed form holds where an event costs what an 8-bit product costs, and a product of b bits b/8 of it; here both are "
    "priced by what their circuits do.",
)


def present(config: Any, results: Results) -> Presentation:
    """Tables, sentences and figures of a finished run."""
    said = sentences(config, results)
    text = "\n".join([*table(config, results), "", *trained_table(config, results), "", *said])
    summary = {
        "crossover": {
            f"{d}, {r}, T={t}": [_plain(x) for x in _at(results, "crossover", d, r, t)]
            for d in config.devices
            for r in readouts(config)
            for t in config.spike_steps
        },
        "answer": said,
    }
    figures = {"crossover": _figure(config, results), "penalty": _penalty_figure(config, results)}
    return Presentation(text, figures, METHOD, summary)


def _plain(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def _at(results: Results, name: str, device: str, readout: str, steps: int) -> np.ndarray:
    return np.asarray(results.select(name, device=device, readout=readout, spike_steps=steps))


def table(config: Any, results: Results) -> list[str]:
    """A line for each device, readout and T."""
    lines = [
        f"{config.network}: {int(results['images'])} test inputs, digital {100 * float(results['digital_accuracy']):.1f} %; "
        f"{config.chips} chips; frames by {config.frame.replace('_', ' ')} inputs",
        "",
        f"{'device':<8}{'readout':<13}{'T':>4}{'frame':>11}{'events':>11}{'frame [%]':>13}{'events [%]':>14}"
        f"{'own rate':>10}{'crossover (P10 .. P90)':>27}",
    ]
    for device in config.devices:
        for readout in readouts(config):
            for t in config.spike_steps:
                get = lambda name, d=device, r=readout, t=t: _at(results, name, d, r, t)  # noqa: E731
                own = float(results.select("own_rate", spike_steps=t))
                lines.append(
                    f"{device:<8}{readout:<13}{t:>4}{engineering(get('frame_energy')[1], 'J'):>11}"
                    f"{engineering(get('event_energy')[1], 'J'):>11}{_spread(get('frame_accuracy')):>13}"
                    f"{_spread(get('event_accuracy')):>14}{100 * own:>8.1f} %{_band(get('crossover')):>27}"
                )
    return lines


def trained_table(config: Any, results: Results) -> list[str]:
    """What a penalty on spikes does."""
    lines = [f"{'penalty':<9}{'device':<8}{'readout':<13}{'accuracy [%]':>14}{'energy':>11}{'operations done':>17}"]
    for p in config.penalties:
        share = 100 * float(results.select("trained_share", penalty=p))
        for device in config.devices:
            for readout in readouts(config)[-2:]:
                at = dict(device=device, readout=readout, penalty=p)
                energy = float(results.select("trained_energy", **at)[1])
                accuracy = _spread(np.asarray(results.select("trained_accuracy", **at)))
                lines.append(
                    f"{p:<9g}{device:<8}{readout:<13}{accuracy:>14}{engineering(energy, 'J'):>11}{share:>15.1f} %"
                )
    return lines


def sentences(config: Any, results: Results) -> list[str]:
    """For each device and readout: where spikes win with their own rate."""
    said = []
    for device in config.devices:
        for readout in readouts(config):
            wins = [
                t
                for t in config.spike_steps
                if _at(results, "event_energy", device, readout, t)[1]
                < _at(results, "frame_energy", device, readout, t)[1]
            ]
            where = [f"{_band(_at(results, 'crossover', device, readout, t))} at T = {t}" for t in config.spike_steps]
            won = (
                f"events cost less than the frame for T = {', '.join(map(str, wins))}"
                if wins
                else "the frame costs less"
            )
            said.append(f"{device}, {readout}: {won} at the network's own rate; crossover {'; '.join(where)}.")
    closed = ", ".join(
        f"{100 * break_even_rate(t):.2f} % (T = {t}, {matched_bits(t)} bits)" for t in config.spike_steps
    )
    return [*said, f"Closed form, an event priced as an 8-bit product: {closed}."]


def _spread(values: np.ndarray) -> str:
    return "-" if np.isnan(values).all() else f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def _band(rates: np.ndarray) -> str:
    low, middle, high = rates
    if low == high == 0:
        return "never (higher at 0 spikes)"
    if np.isinf([low, middle, high]).all():
        return "always"
    shown = ["> 100" if np.isinf(r) else f"{100 * r:.1f}" for r in (middle, low, high)]
    return f"{shown[0]} % ({shown[1]} .. {shown[2]} %)"


def _figure(config: Any, results: Results) -> Any:
    """Energy against rate for each readout at the largest T, and crossovers."""
    figure, (left, right) = plots.subplots(5.2, 4.8, height=4.2)
    device, t = config.devices[0], config.spike_steps[-1]
    shown = np.maximum(RATES, 1e-3)
    for i, readout in enumerate(readouts(config)):
        colour = plots.PALETTE[i % len(plots.PALETTE)]
        energy = 1e9 * np.asarray(results.select("energy_at_rate", device=device, readout=readout, spike_steps=t))
        frame = 1e9 * _at(results, "frame_energy", device, readout, t)[1]
        left.plot(100 * shown, energy, "o-", ms=3.5, color=colour, label=f"events, {readout}")
        if readout != INTEGRATORS:
            left.axhline(frame, color=colour, ls="--", lw=1, label=f"frame, {readout}")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="spikes per neuron and step (%); leftmost: none",
        ylabel="energy of an inference (nJ)",
    )
    left.set_title(f"{device}, T = {t}", fontsize=9)
    left.legend(fontsize=7.5)
    number = 0
    for d in config.devices:
        for i, readout in enumerate(readouts(config)):
            bands = np.stack([_at(results, "crossover", d, readout, t) for t in config.spike_steps])
            middle = 100 * np.clip(bands[:, 1], 1e-3, 1.0)
            reach = np.abs(100 * np.clip(bands[:, [0, 2]], 1e-3, 1.0) - middle[:, None]).T
            at = np.arange(len(config.spike_steps)) + 0.09 * (number - 2.5)
            marker = "osD^"[config.devices.index(d) % 4]
            right.errorbar(
                at,
                middle,
                yerr=reach,
                fmt=marker,
                ms=4,
                capsize=2,
                color=plots.PALETTE[i % len(plots.PALETTE)],
                label=f"{d}, {readout}",
            )
            number += 1
    closed = [100 * break_even_rate(t) for t in config.spike_steps]
    right.plot(range(len(closed)), closed, "k_", ms=18, label="closed form")
    right.set(yscale="log", ylim=(0.08, 130), xlabel="time steps T", ylabel="crossover: spikes per neuron and step (%)")
    right.set_xticks(range(len(closed)), [str(t) for t in config.spike_steps])
    right.set_title("below the marker events cost less; 0.1 %: never, 100 %: always", fontsize=8)
    right.legend(fontsize=7, ncols=2)
    return figure


def _penalty_figure(config: Any, results: Results) -> Any:
    figure, (axes,) = plots.subplots(5.6, height=4.0)
    for d, device in enumerate(config.devices):
        for i, readout in enumerate(readouts(config)):
            x, y, e = [], [], []
            for p in config.penalties:
                at = dict(device=device, readout=readout, penalty=p)
                values = 100 * np.asarray(results.select("trained_accuracy", **at))
                x.append(1e9 * float(results.select("trained_energy", **at)[1]))
                y.append(values.mean())
                e.append(values.std(ddof=1))
            look = dict(color=plots.PALETTE[i % len(plots.PALETTE)], marker="osD^"[d % 4], ls="-", ms=4, capsize=2)
            axes.errorbar(x, y, yerr=e, label=f"{device}, {readout}", **look)
    axes.set(xlabel="energy of an inference as events (nJ)", ylabel=f"accuracy (%), n = {config.chips} chips")
    axes.set_title(
        f"penalties on hidden spikes {', '.join(f'{p:g}' for p in config.penalties)}: from right to left", fontsize=8
    )
    axes.legend(fontsize=7.5)
    return figure
