"""What `accuracy-energy` shows: tables for the terminal, one figure, and the method in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import plots
from experiments.runner import Presentation
from experiments.store import Results
from xbar.energy import engineering

_NAMES = {1.0: "1 s", 3600.0: "1 h", 86_400.0: "1 day", 2_592_000.0: "1 month", 31_536_000.0: "1 year"}
_MARKS = {"naive": "o", "hardware-aware": "s"}


def present(config: Any, results: Results) -> Presentation:
    """Tables, figure and method of a finished run."""
    text = "\n\n".join([accuracy_table(results), energy_table(results), gain_sentence(results)])
    return Presentation(text, {"accuracy-energy": figure(results)}, method(config, results), summary(results))


def _axis(results: Results, name: str) -> tuple[Any, ...]:
    return results.layout.dimensions[name].values


def _known(results: Results, device: str) -> list[float]:
    """The times for which a device has data; for one whose accuracy never changes, the first."""
    times = [t for t in _axis(results, "time") if np.isfinite(results.select("accuracy", device=device, time=t)).any()]
    return times[:1] if device == "ideal" else times


def _percent(values: np.ndarray) -> str:
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1) if values.size > 1 else 0:.1f}"


def accuracy_table(results: Results) -> str:
    """Mean and standard deviation over chips, for every device, time and training: a column for each ADC resolution."""
    bits, chips = _axis(results, "adc_bits"), len(_axis(results, "chip"))
    digital = 100 * results.select("digital_accuracy", training="naive").mean()
    lines = [
        f"Accuracy [%] on {int(results['test_images'])} test images, mean ± standard deviation over {chips} chips; "
        f"digital network {digital:.1f}",
        f"{'device':<7}{'time':<9}{'training':<16}" + "".join(f"{f'{b}-bit ADC':>13}" for b in bits),
    ]
    for device in _axis(results, "device"):
        for time in _known(results, device):
            for training in _axis(results, "training"):
                cells = (results.select("accuracy", device=device, time=time, training=training, adc_bits=b) for b in bits)
                when = "any" if device == "ideal" else _NAMES.get(time, f"{time:g} s")
                lines.append(f"{device:<7}{when:<9}{training:<16}" + "".join(f"{_percent(c):>13}" for c in cells))
    return "\n".join(lines)


def energy_table(results: Results) -> str:
    """Energy of an inference with its P10-P90, the share of its largest parts, and the GPU beside it."""
    components = _axis(results, "component")
    lines = [
        "Energy of an inference (naive mapping, first time with data), median coefficients",
        f"{'device':<7}{'ADC':<7}{'total':>9}{'P10 - P90':>22}  " + "".join(f"{c:>11}" for c in components),
    ]
    for device in _axis(results, "device"):
        for bits in _axis(results, "adc_bits"):
            at = dict(training="naive", device=device, adc_bits=bits, time=_known(results, device)[0])
            parts = results.select("energy", **at).mean(0)
            low, high = results.select("energy_quantile", **at)
            shares = "".join(f"{p / parts.sum():>11.0%}" for p in parts)
            spread = f"{engineering(low, 'J')} - {engineering(high, 'J')}"
            lines.append(f"{device:<7}{f'{bits} bit':<7}{engineering(parts.sum(), 'J'):>9}{spread:>22}  {shares}")
    lines.append("H100, INT8, roofline")
    cases = zip(_axis(results, "gpu_case"), results["gpu_energy"], strict=True)
    lines += [f"{name:<28}{engineering(joules, 'J'):>9}" for name, joules in cases]
    return "\n".join(lines)


def _gains(results: Results) -> list[tuple[float, str, float, int]]:
    """Mean gain of hardware-aware over naive [points], for each device, time and resolution."""
    return [
        (
            100 * float(np.diff(results.select("accuracy", device=d, time=t, adc_bits=b).mean(-1))[0]),
            d,
            t,
            b,
        )
        for d in _axis(results, "device")
        for t in _known(results, d)
        for b in _axis(results, "adc_bits")
    ]


def gain_sentence(results: Results) -> str:
    """Where hardware-aware training helps most, and on average over all noisy settings."""
    noisy = [g for g in _gains(results) if g[1] != "ideal"] or _gains(results)
    best, device, time, bits = max(noisy)
    pair = results.select("accuracy", device=device, time=time, adc_bits=bits)
    worse = sum(g[0] < 0 for g in noisy)
    return (
        f"Hardware-aware training gains most on {device} after {_NAMES.get(time, f'{time:g} s')} with a {bits}-bit ADC: "
        f"{_percent(pair[0])} becomes {_percent(pair[1])} %, {best:+.1f} points.\n"
        f"Over the {len(noisy)} settings with real devices it gains {np.mean([g[0] for g in noisy]):+.1f} points on average, "
        f"and loses in {worse}."
    )


def figure(results: Results) -> Any:
    """Left: accuracy against energy one day (or at the nearest time with data) after programming. Right: against time."""
    fig, (left, right) = plots.subplots(2, width=5.4, height=4.2)
    digital = 100 * results.select("digital_accuracy", training="naive").mean()
    for colour, device in zip(plots.PALETTE, _axis(results, "device"), strict=False):
        for training in _axis(results, "training"):
            _energy_curve(left, results, device, training, colour)
            _time_curve(right, results, device, training, colour)
    for axes in (left, right):
        axes.axhline(digital, color="black", linewidth=1, linestyle=":", label="digital network")
        axes.set_ylabel("accuracy [%]")
    _gpu_marks(left, results, digital)
    left.set(xscale="log", xlabel="energy of an inference [J], bars: P10 - P90", title=_left_title(results))
    right.set(xscale="log", xlabel="time since programming [s]", title=f"{max(_axis(results, 'adc_bits'))}-bit ADC")
    left.legend(fontsize=7, loc="lower right")
    return fig


def _left_title(results: Results) -> str:
    bits = _axis(results, "adc_bits")
    return f"after a day; ADC {min(bits)} to {max(bits)} bit; bars: sd over {len(_axis(results, 'chip'))} chips"


def _energy_curve(axes: Any, results: Results, device: str, training: str, colour: str) -> None:
    time = min(_known(results, device), key=lambda t: abs(np.log(t / 86_400.0)))
    at = dict(device=device, training=training, time=time)
    accuracy = 100 * results.select("accuracy", **at)
    energy = results.select("energy", **at).sum(-1).mean(-1)
    low, high = results.select("energy_quantile", **at).T
    middle = len(energy) // 2
    axes.errorbar(
        energy, accuracy.mean(-1), yerr=accuracy.std(-1, ddof=min(1, accuracy.shape[-1] - 1)), color=colour, marker=_MARKS[training],
        mfc=colour if training != "naive" else "white", markersize=5, linewidth=1, capsize=2, label=f"{device}, {training}",
    )  # fmt: skip
    if training == "naive":  # one horizontal bar a device: the uncertainty of the energy model is common to all points
        bar = [[energy[middle] - low[middle]], [high[middle] - energy[middle]]]
        axes.errorbar(energy[middle], accuracy.mean(-1)[middle], xerr=bar, color=colour, alpha=0.4, linewidth=3, zorder=0)


def _time_curve(axes: Any, results: Results, device: str, training: str, colour: str) -> None:
    times = _axis(results, "time")
    accuracy = 100 * results.select("accuracy", device=device, training=training, adc_bits=max(_axis(results, "adc_bits")))
    known = np.isfinite(accuracy).all(-1)
    nudge = 1.0 if training == "naive" else 1.12  # so that bars do not hide each other
    axes.errorbar(
        nudge * np.array(times)[known], accuracy[known].mean(-1), yerr=accuracy[known].std(-1, ddof=min(1, accuracy.shape[-1] - 1)), color=colour,
        marker=_MARKS[training], mfc=colour if training != "naive" else "white", markersize=5, linewidth=1, capsize=2,
    )  # fmt: skip


def _gpu_marks(axes: Any, results: Results, digital: float) -> None:
    """The H100 with launches free, at batch 1 and at the ridge; a launch would put it three decades further right."""
    for case, mark in (("batch 1, launches free", "*"), ("ridge batch, launches free", "P")):
        joules = results.select("gpu_energy", gpu_case=case)
        axes.plot(joules, digital, mark, color="black", markersize=9, label=f"H100, {case}")


def method(config: Any, results: Results) -> tuple[str, ...]:
    """How it was done, under which assumptions."""
    return (
        f"A {config.network.upper()} was trained digitally on {config.data} ({config.steps} Adam steps). 'Naive' maps its weights as they "
        f"are onto {config.rows} x {config.cols} tiles of differential pairs; 'hardware-aware' goes on training for "
        f"{config.hardware_steps} steps with new devices in each, read at one of the times, through the same converters, with weights clipped "
        f"at {config.clip:g} standard deviations.",
        f"Each setting is read on {config.chips} chips of which all is drawn anew: write errors, drift exponents, read noise. The naive "
        f"chips' converter ranges cover {config.percentile:g} % of 256 training images; hardware-aware networks keep the ranges they were "
        "trained with. Global drift compensation, one factor a tile, is on for all.",
        "Devices: ideal; pcm is Joshi et al. 2020 (10.1038/s41467-020-16108-9), t = 0 being 20 s after programming and a year an "
        "extrapolation; reram is Wan et al. 2022 (10.1038/s41586-022-04992-8), which knows 1 s, 1 day and 2 days only. Times at which a "
        "device has no data are left out.",
        "Energy comes from the voltages and conductances of these inferences (the array) and from published coefficients at 22 nm (the rest), "
        "see xbar.energy.Technology. P10 - P90 is the log-normal uncertainty of those coefficients; their spreads are judged. Not priced: "
        "leakage, clock and control, links between tiles, off-chip memory, programming, calibration.",
        "The H100 is a roofline in INT8: weights stream from HBM once a batch, a kernel for each product, 5 us and idle power (70 W, recalled) "
        "a launch. 'Launches free' leaves the launches out. 'Ridge batch' is the smallest batch at which reading the weights takes no longer "
        "than the arithmetic. Such a small network is far from what a GPU is made for.",
    )


def summary(results: Results) -> dict[str, Any]:
    """A few numbers for machines."""
    best, device, time, bits = max(_gains(results))
    return {
        "digital_accuracy": float(results.select("digital_accuracy", training="naive").mean()),
        "largest_gain_points": best,
        "largest_gain_at": {"device": device, "time_s": time, "adc_bits": bits},
        "energy_J": float(np.nanmean(results.select("energy", training="naive").sum(-1))),
        "gpu_energy_J": dict(zip(_axis(results, "gpu_case"), map(float, results["gpu_energy"]), strict=True)),
    }
