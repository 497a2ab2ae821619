"""What `xbar run training-energy` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.training_energy import BRAIN_WATTS, platforms

MWH = 3.6e9  # J


def present(config: Any, results: Results) -> Presentation:
    """The restatements, a table of platforms, and how to read them."""
    operations, hours = float(results["operations"]), float(results["gpu_hours"])
    gpu = float(results["gpu_energy"])
    brain_years = gpu / BRAIN_WATTS / (365.25 * 86_400)
    lines = [
        f"{config.energy_mwh:,.0f} MWh, of which {gpu / MWH:,.0f} MWh in GPUs, correspond to",
        f"  {config.energy_mwh / config.home_mwh:,.0f} homes for a year ({config.home_mwh:g} MWh each)",
        f"  {hours:.3g} hours of a GPU of {config.gpu_watts:g} W, as much as {config.gpu_watts / BRAIN_WATTS:.0f} brains",
        f"  {brain_years:,.0f} years of a brain of {BRAIN_WATTS:g} W",
        f"  {operations:.3g} operations at {100 * config.utilisation:g} % of {config.gpu_tflops:g} TFLOP/s",
        "",
        f"{'same multiply-accumulates on':<28}{'MWh':>20}{'of the GPUs':>16}  counted",
    ]
    made = platforms()
    for name in results.coordinates("platform"):
        low, high = results.select("energy", platform=name) / MWH
        band = _band(low * MWH, high * MWH).removesuffix(" MWh")
        share = f"{100 * low * MWH / gpu:.3g}" + ("" if low == high else f" .. {100 * high * MWH / gpu:.3g}") + " %"
        lines.append(f"{name:<28}{band:>20}{share:>16}  {made[name][2]}")
    lines += ["", *READING]
    answer = (
        f"{config.energy_mwh:,.0f} MWh is what {config.energy_mwh / config.home_mwh:,.0f} homes use in a year; it corresponds "
        f"to {hours:.3g} hours of a GPU, or {brain_years:,.0f} years of a brain."
    )
    summary = {"operations": operations, "gpu_hours": hours, "brain_years": brain_years}
    return Presentation(
        "\n".join(lines),
        {"training-energy": _figure(results, gpu)},
        _method(made),
        summary,
        answer=answer,
        warnings=(" ".join(READING),),
    )


READING = (
    "Read it with care: the analog chips were measured at inference, with weights that stay where they are; training "
    "rewrites every",
    "weight in every step, which none of these figures includes. Events are not multiply-accumulates: a brain or a "
    "spiking chip",
    "would not do these operations at all. Memory beyond the arrays, links between chips and cooling are not counted"
    " for them.",
)


def _method(made: dict[str, tuple[float, float, str, str]]) -> tuple[str, ...]:
    sources = "; ".join(f"{name}: {source}" for name, (*_, source) in made.items())
    return (
        "Energy of the GPUs = claimed energy / PUE; hours = that / power of a GPU; operations = hours x peak x "
        "utilisation; on a platform: half as many multiply-accumulates (or events), each at the platform's energy.",
        f"Sources: {sources}.",
        "The claim of 41,000 MWh for GPT-4 is often repeated and was never confirmed; one public estimate is 48.8 GWh "
        "for the computers alone (25,000 A100 for 100 days).",
    )


def _band(low: float, high: float) -> str:
    shown = [f"{float(f'{x / MWH:.3g}'):,.0f}" for x in (low, high)]
    return f"{shown[0]} MWh" if low == high else f"{shown[0]} to {shown[1]} MWh"


def _figure(results: Results, gpu: float) -> Any:
    figure, (axes,) = plots.subplots(7.0, height=3.6)
    names = ["GPUs (as claimed)", *results.coordinates("platform")]
    for i, name in enumerate(names):
        low, high = (gpu, gpu) if i == 0 else results.select("energy", platform=name)
        colour = plots.PALETTE[0 if i else 1]
        axes.plot(np.array([low, high]) / MWH, [i, i], "o-", ms=5, lw=5, color=colour, solid_capstyle="round")
        axes.annotate(_band(low, high), (high / MWH, i), (9, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xscale("log")
    energies = np.append(results["energy"], gpu) / MWH
    axes.set_xlim(energies.min() / 2, energies.max() * 20)  # room for the labels
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("energy of the same number of operations (MWh); bands as published")
    return figure
