"""The figure of `accuracy-energy`: accuracy against energy, in comparison with a GPU, and over time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.accuracy_energy_words import measured_chips, near_a_day, shown_name, time_of
from experiments.framework import plots
from experiments.framework.store import Results


def figure(results: Results, remarks: Sequence[str]) -> Any:
    """Accuracy against energy for each device, then with the GPU and measured chips, and against time."""
    devices = results.coordinates("device")
    fig, (*own, wide, aging) = plots.subplots(*[2.7] * len(devices), 4.4, 4.4, height=4.4)
    digital = 100 * results.select("digital_accuracy", training="naive").mean()
    places = [(d, t) for d in devices for t in results.coordinates("training")]
    for i, (device, training) in enumerate(places):
        look = _look(training, plots.PALETTE[devices.index(device) % len(plots.PALETTE)])
        _energy_curve(own[devices.index(device)], results, device, training, look)
        _time_curve(aging, results, device, training, look, 1.09 ** (i - len(places) / 2))
    for colour, device, axes in zip(plots.PALETTE, devices, own, strict=False):
        _model_range(wide, results, device, colour)
        axes.set_title(f"{shown_name(device)}, {time_of(results, device)}; numbers: ADC bits", fontsize=9)
        axes.set(xlabel="energy of an inference [nJ]", ylim=_limits(results, digital))
        axes.margins(x=0.15)
        axes.legend(fontsize=7, loc="lower right")
    for axes in (*own, wide, aging):
        axes.axhline(digital, color="black", linewidth=1, linestyle=":")
    own[0].set_ylabel(f"accuracy [%], mean ± sd over {len(results.coordinates('chip'))} chips; dotted: digital")
    _others(wide, results, digital)
    wide.set(xscale="log", xlabel="energy of an inference [J]", ylim=own[0].get_ylim())
    wide.set_title(f"{max(results.coordinates('adc_bits'))} bit; bars: P10 - P90 of the energy model", fontsize=9)
    aging.set(xscale="log", xlabel="time since programming [s] (points slightly offset)")
    aging.set_title(f"{max(results.coordinates('adc_bits'))}-bit ADC, drift compensated", fontsize=9)
    if remarks := remarks:
        fig.supxlabel("\n".join(textwrap.fill(r, 200) for r in remarks), x=0.01, ha="left", fontsize=7)
    return fig


def _limits(results: Results, digital: float) -> tuple[float, float]:
    """Limits that all accuracy panels share [%]."""
    accuracy = 100 * np.asarray(results["accuracy"], float)
    known = accuracy[np.isfinite(accuracy).all(-1)]  # not those of times without data
    low = np.min(known.mean(-1) - _spread(known))
    room = max(digital - low, 1.0)
    return low - 0.25 * room, digital + 0.25 * room


def _others(axes: Any, results: Results, digital: float) -> None:
    """The GPU at the digital accuracy, and, on the axis, measured chips, whose accuracy on this network is not known."""
    for case, mark in (("ridge batch, launches free", "P"), ("batch 1, launches free", "*"), ("batch 1", "X")):
        joules = results.select("gpu_energy", gpu_case=case)
        axes.plot(joules, digital, mark, color="black", markersize=8, label=f"H100, {case}")
    for i, (name, joules) in enumerate(sorted(measured_chips(results).items(), key=lambda chip: -chip[1])):
        look = dict(color=plots.PALETTE[3], transform=axes.get_xaxis_transform())
        label = "measured chips: published J/MAC x MACs; accuracy not known" if i == 0 else None
        axes.plot(joules, 0.04 + 0.055 * i, "^", ms=6, label=label, **look)
        axes.text(1.6 * joules, 0.04 + 0.055 * i, name, fontsize=6.5, va="center", **look)
    axes.legend(fontsize=6.5, loc="center right")


def _look(training: str, colour: str) -> dict[str, Any]:
    naive = training == "naive"
    return dict(
        color=colour, marker="o" if naive else "s", mfc="white" if naive else colour, linestyle="--" if naive else "-",
        markersize=5, linewidth=1, elinewidth=0.8, capsize=2,
    )  # fmt: skip


def _spread(accuracy: np.ndarray) -> np.ndarray:
    return accuracy.std(-1, ddof=min(1, accuracy.shape[-1] - 1))


def _energy_curve(axes: Any, results: Results, device: str, training: str, look: dict[str, Any]) -> None:
    at = dict(device=device, training=training, time=near_a_day(results, device))
    accuracy = 100 * results.select("accuracy", **at)
    energy = 1e9 * results.select("energy", **at).sum(-1).mean(-1)
    energy = energy * (0.99 if training == "naive" else 1.01)  # so that bars do not hide each other
    axes.errorbar(energy, accuracy.mean(-1), yerr=_spread(accuracy), label=training, **look)
    for bits, x, y in zip(results.coordinates("adc_bits"), energy, accuracy.mean(-1), strict=True):
        if training == "naive":
            axes.annotate(f"{bits}", (x, y), (-9, -4), textcoords="offset points", fontsize=7, color=look["color"])


def _model_range(axes: Any, results: Results, device: str, colour: str) -> None:
    """The uncertainty of the energy, which all points of a device share."""
    at = dict(device=device, training=results.coordinates("training")[-1], time=near_a_day(results, device))
    at["adc_bits"] = max(results.coordinates("adc_bits"))
    low, high = results.select("energy_quantile", **at)
    energy, accuracy = (
        results.select("energy", **at).sum(-1).mean(),
        100 * results.select("accuracy", **at).mean(),
    )
    axes.errorbar(
        energy,
        accuracy,
        xerr=[[energy - low], [high - energy]],
        color=colour,
        marker="s",
        capsize=3,
        label=shown_name(device),
    )


def _time_curve(axes: Any, results: Results, device: str, training: str, look: dict[str, Any], nudge: float) -> None:
    times = np.array(results.coordinates("time"))
    accuracy = 100 * results.select(
        "accuracy", device=device, training=training, adc_bits=max(results.coordinates("adc_bits"))
    )
    known = np.isfinite(accuracy).all(-1)
    label = f"{shown_name(device)}, {training}"
    axes.errorbar(nudge * times[known], accuracy[known].mean(-1), yerr=_spread(accuracy[known]), label=label, **look)
