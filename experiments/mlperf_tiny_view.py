"""What `xbar run mlperf-tiny` shows: a table by network, and accuracy, energy and time against the measured boards."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from experiments import chosen_devices, chosen_macros, measured_tiny
from experiments.accuracy_energy import SECONDS
from experiments.framework import error_bars, plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.measured_tiny import BENCHMARKS, TARGETS
from experiments.mlperf_tiny import WRITES
from xbar.energy import engineering

TITLES = {
    "ds-cnn": "keywords (DS-CNN)",
    "resnet8": "images (ResNet-8)",
    "mobilenet": "wake words (MobileNet)",
    "autoencoder": "machine sounds (autoencoder)",
}
SHORT = {1.0: "1 s", 3600.0: "1 h", 86_400.0: "1 day", 2_592_000.0: "1 month", 31_536_000.0: "1 year"}
INCLUDED = (
    "Model (coloured): arrays, converters, digital layers, activation buffers, on-chip network, leakage for as long "
    "as an inference takes, clocks. Not included: front end (MFCC), host, voltage regulators, external memory and I/O, "
    "programming.",
    "Measured (black): the supply that the submitter measured (GAP9 at 1.8 V, STM32 at 1.8 to 3.3 V, NDP120 with its "
    "converter, I/O and level shifter), including memory and idle parts; for each chip the run with the least energy, "
    "MLPerf Tiny v0.5 to v1.3. None of them computes in memory.",
)
LABELLED = ("GAP9", "NDP120", "STM32U385", "STM32L4R5")


def present(config: Any, results: Results) -> Presentation:
    """The table, the figure and the method."""
    names = [n for n in results.coordinates("network") if np.isfinite(results.select("macs", network=n))]
    lines = [*_head(results), *(line for name in names for line in _lines(config, results, name))]
    lines += ["", *(_parts_line(results, name) for name in names)]
    lines += ["", *(_programming_line(config, results, name) for name in names)]
    lines += ["", *(line for name in names for line in _measured_lines(name))]
    remarks = _remarks(config)
    text = "\n".join([*lines, "", *(textwrap.fill(r, 120) for r in (*INCLUDED, *remarks))])
    return Presentation(
        text,
        {"mlperf-tiny": figure(config, results, names)},
        (*method(config), *INCLUDED, *remarks),
        _summary(results, names),
    )


def _head(results: Results) -> list[str]:
    return [
        f"Mean ± standard deviation over {len(results.coordinates('chip'))} chips; energy with its P10 - P90",
        f"{'network':<13}{'set up':<15}{'time':<9}{'accuracy [%]':>14}{'digital':>9}{'bar':>5}{'energy':>11}"
        f"{'P10 - P90':>22}{'latency':>10}",
    ]


def _lines(config: Any, results: Results, name: str) -> list[str]:
    low, _, high = results.select("energy_quantile", network=name)
    band = f"{engineering(low, 'J')} - {engineering(high, 'J')}"
    latency = engineering(float(results.select("latency", network=name)), "s")
    cost = f"{engineering(_energy(results, name), 'J'):>11}{band:>22}{latency:>10}"
    if BENCHMARKS[name] == "ad":
        error = 100 * results.select("output_error", network=name)
        said = f"{'':<15}{'':<9}{'no recordings':>14}{'-':>9}{'-':>5}{cost}"
        return [
            f"{name:<13}{said}",
            f"{'':<13}outputs differ by {error.mean(-1).min():.0f} to {error.mean(-1).max():.0f} % of their spread",
        ]
    digital, found = float(results.select("digital_accuracy", network=name)), []
    for variant in results.coordinates("variant"):
        for time in results.coordinates("time"):
            values = 100 * results.select("accuracy", network=name, variant=variant, time=time)
            shown = error_bars.with_deviation(values)
            head = f"{name if not found else '':<13}{variant:<15}{SHORT.get(time, f'{time:g} s'):<9}{shown:>14}"
            bars = f"{100 * digital:>9.1f}{100 * TARGETS[BENCHMARKS[name]]:>5.0f}"
            found.append(head + (bars + cost if not found else ""))
    if config.fixed:
        fixed = float(results.select("fixed_energy", network=name))
        found.append(
            f"{'':<13}without data: {engineering(fixed, 'J')}, {fixed / _energy(results, name):.2f} times as much"
        )
    return found


def _parts_line(results: Results, name: str) -> str:
    """The largest parts of the energy, and the area."""
    parts = results.select("energy", network=name).mean(0)
    named = sorted(zip(parts / parts.sum(), results.coordinates("component"), strict=True), reverse=True)
    shown = ", ".join(f"{part} {share:.0%}" for share, part in named[:4] if share >= 0.005)
    area = 1e6 * float(results.select("area", network=name))
    every = engineering(float(results.select("period", network=name)), "s")
    return f"{name}: {shown} of the energy; {area:.2f} mm^2; one inference every {every}"


def _programming_line(config: Any, results: Results, name: str) -> str:
    """Energy of writing the arrays, in total and per inference that shares it."""
    once = float(results.select("programming", network=name))
    each, own = once / config.inferences, _energy(results, name)
    return (
        f"{name}: writing its arrays takes {engineering(once, 'J')}; spread over {config.inferences:g} inferences, "
        f"{engineering(each, 'J')} or {100 * each / own:.2g} % of each"
    )


def _measured_lines(name: str) -> list[str]:
    systems = measured_tiny.systems(name)
    shown = (f"{s.chip} {engineering(s.joules, 'J')} in {engineering(s.seconds, 's')}" for s in systems[:6])
    return [textwrap.fill(f"{name}, boards: {', '.join(shown)}", 120, subsequent_indent="  ")]


def _energy(results: Results, name: str) -> float:
    return float(results.select("energy", network=name).sum(-1).mean())


def figure(config: Any, results: Results, names: list[str]) -> Any:
    """For each network accuracy against energy, and energy against time."""
    figure, axes = plots.grid(2, len(names), 3.9, 3.4)
    for column, name in enumerate(names):
        _accuracy_panel(axes[0, column], results, name)
        _time_panel(axes[1, column], results, name)
    axes[0, 0].set_ylabel(f"accuracy [%], mean ± sd over {len(results.coordinates('chip'))} chips")
    axes[1, 0].set_ylabel("energy of an inference [uJ]")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7.5, ncols=4, loc="outside upper center")
    wide = 66 * len(names)
    said = "\n".join(textwrap.fill(line, wide) for line in (*INCLUDED, chosen_macros.sentences(config)[0]))
    figure.supxlabel(said, x=0.01, ha="left", fontsize=7)
    return figure


def _accuracy_panel(axes: Any, results: Results, name: str) -> None:
    boards, target = measured_tiny.systems(name), TARGETS[BENCHMARKS[name]]
    axes.plot([1e6 * b.joules for b in boards], [100 * b.quality for b in boards], "kx", ms=5, label="measured boards")
    for board in (b for b in boards if b.chip in LABELLED):
        at = (1e6 * board.joules, 100 * board.quality)
        axes.annotate(
            board.chip, at, (2, -5), textcoords="offset points", rotation=60, ha="right", va="top", fontsize=6.5
        )
    axes.axhline(100 * target, color="black", lw=0.8, ls="--", label="target of the benchmark")
    low, _, high = 1e6 * results.select("energy_quantile", network=name)
    energy = 1e6 * _energy(results, name)
    axes.axvspan(low, high, color=plots.PALETTE[5], alpha=0.15, lw=0, label="P10 - P90 of the model")
    if BENCHMARKS[name] == "ad":
        axes.axvline(energy, color=plots.PALETTE[0], lw=1.5)
        axes.text(
            0.03, 0.06, "no recordings available:\nAUC of the chips is not known", transform=axes.transAxes, fontsize=7
        )
        axes.set(ylim=(80, 90), ylabel="AUC [%]")
    else:
        axes.axhline(
            100 * float(results.select("digital_accuracy", network=name)),
            color="black",
            lw=0.8,
            ls=":",
            label="digital",
        )
        _model_points(axes, results, name, energy)
    axes.set(xscale="log", xlabel="energy of an inference [uJ]")
    axes.set_title(TITLES[name], fontsize=9)


def _model_points(axes: Any, results: Results, name: str, energy: float) -> None:
    """Accuracies at their energy, those of later times slightly to the right, so that bars do not hide each other."""
    times = results.coordinates("time")
    for i, variant in enumerate(results.coordinates("variant")):
        for j, time in enumerate(times):
            values = 100 * results.select("accuracy", network=name, variant=variant, time=time)
            full = i == len(results.coordinates("variant")) - 1
            colour = plots.PALETTE[j % len(plots.PALETTE)]
            axes.errorbar(
                energy * 1.12 ** (2 * j + i - len(times) + 0.5), values.mean(), yerr=error_bars.deviation(values), fmt="os"[i],
                color=colour, mfc=colour if full else "white", ms=5, lw=1, capsize=2,
                label=f"{variant}, {SHORT.get(time, f'{time:g} s')}",
            )  # fmt: skip


def _time_panel(axes: Any, results: Results, name: str) -> None:
    boards = measured_tiny.systems(name)
    axes.plot([1e3 * b.seconds for b in boards], [1e6 * b.joules for b in boards], "kx", ms=5)
    for board in (b for b in boards if b.chip in LABELLED):
        at = (1e3 * board.seconds, 1e6 * board.joules)
        axes.annotate(board.chip, at, (-5, 4), textcoords="offset points", ha="right", fontsize=6.5)
    low, _, high = 1e6 * results.select("energy_quantile", network=name)
    energy, latency = 1e6 * _energy(results, name), 1e3 * float(results.select("latency", network=name))
    bars = [[max(energy - low, 0)], [max(high - energy, 0)]]
    axes.errorbar(latency, energy, yerr=bars, fmt="o", color=plots.PALETTE[0], ms=6, capsize=3)
    axes.annotate("model", (latency, energy), (7, -3), textcoords="offset points", fontsize=7, color=plots.PALETTE[0])
    gpu = 1e6 * float(results.select("gpu_energy", network=name))
    axes.axhline(gpu, color=plots.PALETTE[1], lw=1, ls=":")
    axes.text(
        *(0.02, gpu, "H100 roofline, batch 1, launches free"), transform=axes.get_yaxis_transform(), ha="left",
        va="bottom", fontsize=6.5, color=plots.PALETTE[1],
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="time of an inference [ms]")
    axes.margins(x=0.15)


def _remarks(config: Any) -> tuple[str, ...]:
    """What about the device was never measured, is assumed, or is used beyond its data."""
    device = chosen_devices.find(config.device, config.assume)
    latest = max(SECONDS[t] for t in config.times)
    said = [note for note in device.provenance.notes if note.startswith("ASSUMED")]
    if device.unmeasured and device.provenance.numbers != "none":
        said.append(
            f"{config.device} has no law for {', '.join(device.unmeasured)}: its cells are ideal in this respect, because "
            "nothing was measured. --assume fills it in from another device."
        )
    if beyond := device.extrapolates(latest, chosen_macros.v_read(config)):
        said.append(beyond)
    if "autoencoder" in config.networks:
        said.append(
            "autoencoder: ToyADMOS is not available with this program, so its inputs are random log-mels of -30 ± 10 "
            "dB; its energy and time are known, its AUC is not."
        )
    return tuple(said)


def method(config: Any) -> tuple[str, ...]:
    """How it was done."""
    bits = chosen_macros.own_adc_bits(config) if config.adc_bits is None else config.adc_bits
    device = chosen_devices.find(config.device, config.assume)
    return (
        "Weights are the benchmark's own (batch norm folded), mapped as they are; nothing is trained. "
        f"{' '.join(chosen_macros.sentences(config))} {bits}-bit output converters. Global drift compensation, one "
        f"factor per tile.",
        f"Converter ranges cover 99.99 % of the magnitudes for {config.calibration} unlabelled inputs. "
        "Re-calibrated: each channel of each layer is brought back to the mean and spread that it has in the digital "
        "network on the same inputs (AdaBS, Joshi et al. 2020), at each time; the energy of its digital factors and offsets "
        "is not included.",
        f"Accuracy on {config.images} test inputs that are not those of calibration: a chip of 90 % is known to within "
        f"{100 * (0.09 / config.images) ** 0.5:.1f} points (standard error from this number of inputs), an error that all "
        "chips and set-ups share; the spread over chips is shown. Energy of "
        f"{config.energy_inputs} of them, at the last time, from the voltages and conductances of these reads and published "
        "coefficients; P10 - P90 is the log-normal uncertainty of the coefficients.",
        f"Writing: {WRITES['pulses']} pulses of {WRITES['v_write']:g} V and {1e6 * WRITES['width']:g} us and as many "
        "verifying reads per cell are assumed for devices without a write-verify loop, otherwise those of the loop; each "
        "verifying read costs one conversion in and one out. Half-selected cells and charge pumps are left out.",
        f"Device {config.device}: {device.provenance.name}, {', '.join(device.provenance.dois) or 'no publication'}.",
    )


def _summary(results: Results, names: list[str]) -> dict[str, Any]:
    accuracy = {
        f"{name} {variant} {time:g} s": float(
            results.select("accuracy", network=name, variant=variant, time=time).mean()
        )
        for name in names
        if BENCHMARKS[name] != "ad"
        for variant in results.coordinates("variant")
        for time in results.coordinates("time")
    }
    return {
        "accuracy": accuracy,
        "energy_J": {name: _energy(results, name) for name in names},
        "latency_s": {name: float(results.select("latency", network=name)) for name in names},
    }
