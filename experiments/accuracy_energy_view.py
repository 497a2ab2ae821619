"""What `accuracy-energy` shows: tables for the terminal, one figure, and the method in words."""

from __future__ import annotations

import dataclasses
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import chosen_macros
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering, measured_systems

CHIPS = ("HERMES, 1 phase", "HERMES, 4 phases", "IBM 34-tile", "NeuRRAM 8/10 b")  # read in their sources
_NAMES = {1.0: "1 s", 3600.0: "1 h", 86_400.0: "1 day", 2_592_000.0: "1 month", 31_536_000.0: "1 year"}


@dataclasses.dataclass(frozen=True)
class About:
    """What must be said of the devices of a run.

    Args:
        sources: a line for each. beyond: a sentence for each that is used beyond its data. lacks: parts without a law, of
            each that is not ideal by intention. assumed: a sentence for each assumption about each. network: sentences on the
        network and its data, the first on its weights.
    """

    sources: tuple[str, ...]
    beyond: tuple[str, ...]
    lacks: Mapping[str, tuple[str, ...]]
    assumed: Mapping[str, tuple[str, ...]]
    network: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """What of the devices is not measured, or assumed."""
        found = [f"{_shown(name)}: {said}" for name, notes in self.assumed.items() for said in notes]
        for name, parts in self.lacks.items():
            if parts:
                found.append(
                    f"{_shown(name)} has no law of {', '.join(parts)}: its cells are ideal there because nothing "
                    "was measured. --assume fills it in from another device."
                )
        return tuple(found)


def present(config: Any, results: Results, about: About) -> Presentation:
    """Tables, figure and method of a finished run."""
    posterior = (posterior_table(results),) if config.posterior else ()
    remarks = (*about.sentences(), *about.beyond, *about.network[1:])
    text = "\n\n".join([accuracy_table(results), *posterior, energy_table(results), gain_sentence(results), *remarks])
    described = (*method(config, results, about.network[0]), *(f"Device {s}." for s in about.sources), *remarks)
    numbers = {
        **summary(results),
        "unmeasured": {name: list(parts) for name, parts in about.lacks.items() if parts},
        "assumed": {name: list(notes) for name, notes in about.assumed.items() if notes},
    }
    return Presentation(text, {"accuracy-energy": figure(results, about)}, described, numbers)


def _known(results: Results, device: str) -> list[float]:
    """The times for which a device has data; for one whose accuracy never changes, the first."""
    times = [
        t for t in results.coordinates("time") if np.isfinite(results.select("accuracy", device=device, time=t)).any()
    ]
    return times[:1] if device == "ideal" else times


def _shown(device: str) -> str:
    """A device's name in tables: that of its file without the folder."""
    return pathlib.PurePath(device).stem if device.endswith(".toml") else device


def _name_width(results: Results) -> int:
    return 1 + max(6, *(len(_shown(d)) for d in results.coordinates("device")))


def _percent(values: np.ndarray) -> str:
    """Mean and standard deviation; what does not vary at all has none."""
    if values.size < 2 or np.ptp(values) == 0:
        return f"{100 * values.mean():.1f} ± none"
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def accuracy_table(results: Results) -> str:
    """Mean and standard deviation over chips, for every device, time and training: a column for each ADC resolution."""
    bits, chips = results.coordinates("adc_bits"), len(results.coordinates("chip"))
    digital, wide = 100 * results.select("digital_accuracy", training="naive").mean(), _name_width(results)
    lines = [
        f"Accuracy [%] on {int(results['test_images'])} test images, mean ± standard deviation over {chips} chips; "
        f"digital network {digital:.1f}",
        f"{'device':<{wide}}{'time':<9}{'training':<16}" + "".join(f"{f'{b}-bit ADC':>13}" for b in bits),
    ]
    for device in results.coordinates("device"):
        for time in _known(results, device):
            for training in results.coordinates("training"):
                cells = (
                    results.select("accuracy", device=device, time=time, training=training, adc_bits=b) for b in bits
                )
                when = "any" if device == "ideal" else _NAMES.get(time, f"{time:g} s")
                lines.append(
                    f"{_shown(device):<{wide}}{when:<9}{training:<16}" + "".join(f"{_percent(c):>13}" for c in cells)
                )
    return "\n".join(lines)


def posterior_table(results: Results) -> str:
    """The same with the devices' numbers drawn from the posterior of their fit, and how much the draw moves a chip."""
    bits, chips, wide = results.coordinates("adc_bits"), len(results.coordinates("chip")), _name_width(results)
    lines = [
        f"Accuracy [%] with device numbers drawn from their posterior, one draw for each of {chips} chips: mean ± "
        f"standard "
        "deviation",
        "(in brackets: root mean square change of a chip by the draw, the part of the error bar that the measurement "
        "leaves)",
        f"{'device':<{wide}}{'time':<9}{'training':<16}" + "".join(f"{f'{b}-bit ADC':>20}" for b in bits),
    ]
    for device in results.coordinates("device"):
        for time in _known(results, device):
            for training in results.coordinates("training"):
                cells = []
                for b in bits:
                    at = dict(device=device, time=time, training=training, adc_bits=b)
                    drawn, fixed = (results.select(name, **at) for name in ("accuracy_posterior", "accuracy"))
                    change = 100 * np.sqrt(np.mean((drawn - fixed) ** 2))
                    cells.append("no posterior" if np.isnan(drawn).all() else f"{_percent(drawn)} ({change:.1f})")
                row = f"{_shown(device):<{wide}}{_NAMES.get(time, f'{time:g} s'):<9}{training:<16}"
                lines.append(row + "".join(f"{c:>20}" for c in cells))
    return "\n".join(lines)


def energy_table(results: Results) -> str:
    """Energy of an inference with its P10-P90, the share of its largest parts, and the GPU beside it."""
    wide = _name_width(results)
    components, large = _large_components(results)
    lines = [
        f"Energy of an inference (naive mapping, {_shown_time(results)} after programming), median coefficients",
        f"{'device':<{wide}}{'ADC':<7}{'total':>9}{'P10 - P90':>22}  "
        + "".join(f"{c:>11}" for c in (*components, "other")),
    ]
    for device in results.coordinates("device"):
        for bits in results.coordinates("adc_bits"):
            at = dict(training="naive", device=device, adc_bits=bits, time=_near_a_day(results, device))
            parts = results.select("energy", **at).mean(0)
            low, high = results.select("energy_quantile", **at)
            shown = (*parts[large], parts.sum() - parts[large].sum())
            shares = "".join(f"{p / parts.sum():>11.0%}" for p in shown)
            spread = f"{engineering(low, 'J')} - {engineering(high, 'J')}"
            lines.append(
                f"{_shown(device):<{wide}}{f'{bits} bit':<7}{engineering(parts.sum(), 'J'):>9}{spread:>22}  {shares}"
            )
    lines.append("H100, INT8, roofline")
    cases = zip(results.coordinates("gpu_case"), results["gpu_energy"], strict=True)
    lines += [f"{name:<28}{engineering(joules, 'J'):>9}" for name, joules in cases]
    lines.append("Measured chips: their published energy of a multiply-accumulate times those of this network")
    lines += [f"{name:<28}{engineering(joules, 'J'):>9}" for name, joules in measured_chips(results).items()]
    return "\n".join(lines)


def measured_chips(results: Results) -> dict[str, float]:
    """Energy of this network's multiply-accumulates at the published efficiency of measured analog chips [J]."""
    known = {s.name: s.joules_per_mac for s in measured_systems()}
    return {name: known[name] * float(results["macs"]) for name in CHIPS}


def _large_components(results: Results) -> tuple[list[str], np.ndarray]:
    """Components that are a fiftieth of the energy or more somewhere, and their places."""
    energy = np.asarray(results["energy"], float)
    share = energy / energy.sum(-1, keepdims=True)
    large = np.flatnonzero(np.nanmax(share.reshape(-1, share.shape[-1]), 0) >= 0.02)
    return [results.coordinates("component")[i] for i in large], large


def _gains(results: Results) -> list[tuple[float, str, float, int]]:
    """Mean gain of hardware-aware over naive [points], for each device, time and resolution; none without such training."""
    if len(results.coordinates("training")) < 2:
        return []
    return [
        (
            100 * float(np.diff(results.select("accuracy", device=d, time=t, adc_bits=b).mean(-1))[0]),
            d,
            t,
            b,
        )
        for d in results.coordinates("device")
        for t in _known(results, d)
        for b in results.coordinates("adc_bits")
    ]


def gain_sentence(results: Results) -> str:
    """Where hardware-aware training helps most, and on average over all noisy settings."""
    if len(results.coordinates("training")) < 2:
        return "The weights were mapped as they are; there was no hardware-aware training."
    noisy = [g for g in _gains(results) if g[1] != "ideal"]
    kind = "settings with real devices" if noisy else "settings, all with ideal devices,"
    noisy = noisy or _gains(results)
    best, device, time, bits = max(noisy)
    pair = results.select("accuracy", device=device, time=time, adc_bits=bits)
    worse = sum(g[0] < 0 for g in noisy)
    return (
        f"Hardware-aware training gains most on {_shown(device)} after {_NAMES.get(time, f'{time:g} s')} with a "
        f"{bits}-bit ADC: "
        f"{_percent(pair[0])} becomes {_percent(pair[1])} %, {best:+.1f} points.\n"
        f"Over the {len(noisy)} {kind} it gains {np.mean([g[0] for g in noisy]):+.1f} points on average, "
        f"and loses in {worse}."
    )


def figure(results: Results, about: About) -> Any:
    """Accuracy against energy for each device, then beside GPU and measured chips, and against time."""
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
        axes.set_title(f"{_shown(device)}, {_time_of(results, device)}; numbers: ADC bits", fontsize=9)
        axes.set(xlabel="energy of an inference [nJ]", ylim=_limits(results, digital))
        axes.margins(x=0.15)
        axes.legend(fontsize=7, loc="lower right")
    for axes in (*own, wide, aging):
        axes.axhline(digital, color="black", linewidth=1, linestyle=":")
    own[0].set_ylabel(f"accuracy [%], mean ± sd over {len(results.coordinates('chip'))} chips; dotted: digital")
    _others(wide, results, digital)
    wide.set(xscale="log", xlabel="energy of an inference [J]", ylim=own[0].get_ylim())
    wide.set_title(f"{max(results.coordinates('adc_bits'))} bit; bars: P10 - P90 of the energy model", fontsize=9)
    aging.set(xscale="log", xlabel="time since programming [s] (set apart a little)")
    aging.set_title(f"{max(results.coordinates('adc_bits'))}-bit ADC, drift compensated", fontsize=9)
    if remarks := about.sentences():
        fig.supxlabel("\n".join(textwrap.fill(r, 200) for r in remarks), x=0.01, ha="left", fontsize=7)
    return fig


def _limits(results: Results, digital: float) -> tuple[float, float]:
    """Limits that all accuracy panels share [%]."""
    accuracy = 100 * np.asarray(results["accuracy"], float)
    low = np.nanmin(np.nanmean(accuracy, -1) - _spread(accuracy))
    room = max(digital - low, 1.0)
    return low - 0.25 * room, digital + 0.25 * room


def _others(axes: Any, results: Results, digital: float) -> None:
    """The GPU at the digital accuracy, and measured chips, of whose accuracy on this network nothing is known, on the axis."""
    for case, mark in (("ridge batch, launches free", "P"), ("batch 1, launches free", "*"), ("batch 1", "X")):
        joules = results.select("gpu_energy", gpu_case=case)
        axes.plot(joules, digital, mark, color="black", markersize=8, label=f"H100, {case}")
    for i, (name, joules) in enumerate(sorted(measured_chips(results).items(), key=lambda chip: -chip[1])):
        look = dict(color=plots.PALETTE[3], transform=axes.get_xaxis_transform())
        label = "measured chips: published J/MAC x MACs" if i == 0 else None
        axes.plot(joules, 0.04 + 0.055 * i, "^", ms=6, label=label, **look)
        axes.text(1.6 * joules, 0.04 + 0.055 * i, name, fontsize=6.5, va="center", **look)
    axes.legend(fontsize=6.5, loc="center right")


def _look(training: str, colour: str) -> dict[str, Any]:
    naive = training == "naive"
    return dict(
        color=colour, marker="o" if naive else "s", mfc="white" if naive else colour, linestyle="--" if naive else "-",
        markersize=5, linewidth=1, elinewidth=0.8, capsize=2,
    )  # fmt: skip


def _shown_time(results: Results) -> str:
    """The time of the left panels in words, for the devices that change with time."""
    devices = [d for d in results.coordinates("device") if d != "ideal"]
    times = sorted({_near_a_day(results, d) for d in devices})
    return " or ".join(_NAMES.get(t, f"{t:g} s") for t in times) or "any time"


def _time_of(results: Results, device: str) -> str:
    """The time of a device's energy panel in words."""
    time = _near_a_day(results, device)
    return "any time" if device == "ideal" else _NAMES.get(time, f"{time:g} s")


def _near_a_day(results: Results, device: str) -> float:
    return min(_known(results, device), key=lambda t: abs(np.log(t / 86_400.0)))


def _spread(accuracy: np.ndarray) -> np.ndarray:
    return accuracy.std(-1, ddof=min(1, accuracy.shape[-1] - 1))


def _energy_curve(axes: Any, results: Results, device: str, training: str, look: dict[str, Any]) -> None:
    at = dict(device=device, training=training, time=_near_a_day(results, device))
    accuracy = 100 * results.select("accuracy", **at)
    energy = 1e9 * results.select("energy", **at).sum(-1).mean(-1)
    energy = energy * (0.99 if training == "naive" else 1.01)  # so that bars do not hide each other
    axes.errorbar(energy, accuracy.mean(-1), yerr=_spread(accuracy), label=training, **look)
    for bits, x, y in zip(results.coordinates("adc_bits"), energy, accuracy.mean(-1), strict=True):
        if training == "naive":
            axes.annotate(f"{bits}", (x, y), (-9, -4), textcoords="offset points", fontsize=7, color=look["color"])


def _model_range(axes: Any, results: Results, device: str, colour: str) -> None:
    """The uncertainty of the energy, which all points of a device share."""
    at = dict(device=device, training=results.coordinates("training")[-1], time=_near_a_day(results, device))
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
        label=_shown(device),
    )


def _time_curve(axes: Any, results: Results, device: str, training: str, look: dict[str, Any], nudge: float) -> None:
    times = np.array(results.coordinates("time"))
    accuracy = 100 * results.select(
        "accuracy", device=device, training=training, adc_bits=max(results.coordinates("adc_bits"))
    )
    known = np.isfinite(accuracy).all(-1)
    label = f"{_shown(device)}, {training}"
    axes.errorbar(nudge * times[known], accuracy[known].mean(-1), yerr=_spread(accuracy[known]), label=label, **look)


def method(config: Any, results: Results, weights: str) -> tuple[str, ...]:
    """How it was done, under which assumptions; `weights` says where those of the network are from."""
    aware = (
        f"; 'hardware-aware' goes on training for {config.hardware_steps} steps with new devices in each, read at "
        f"one of the "
        f"times, through the same converters, with weights clipped at {config.clip:g} standard deviations"
    )
    return (
        f"{weights} 'Naive' maps its weights as they are{aware if len(results.coordinates('training')) > 1 else ''}.",
        " ".join(chosen_macros.sentences(config)),
        f"Each setting is read on {config.chips} chips of which all is drawn anew: write errors, drift exponents, read "
        f"noise. The naive chips' converter ranges cover {config.percentile:g} % of 256 training inputs; "
        f"hardware-aware "
        "networks keep the ranges they were trained with. Global drift compensation, one factor a tile, is on for all.",
        *(
            (
                "With --posterior every chip is read a second time as a chip of a device drawn from what the "
                "measurements leave "
                "open (the posterior in the device file); keys, and so the chip's unit random numbers, are the same "
                "both times.",
            )
            if config.posterior
            else ()
        ),
        "Times at which a device has no data are left out. For pcm, t = 0 is 20 s after programming and a year an "
        "extrapolation; reram is known at 1 s, 1 day and 2 days only.",
        "Energy comes from the voltages and conductances of these inferences (the array) and from published "
        "coefficients at "
        "22 nm (the rest), see xbar.energy.Technology. P10 - P90 is the log-normal uncertainty of those "
        "coefficients; their "
        "spreads are judged. Layers work one after the other and leak as long as that takes; the network on chip and "
        "clocks "
        "are priced. Not priced: the chip's links to the outside, programming, calibration.",
        "The H100 is a roofline in INT8: weights stream from HBM once a batch, a kernel for each product, 5 us and "
        "idle "
        "power (70 W, recalled) a launch. 'Launches free' leaves the launches out. 'Ridge batch' is the smallest "
        "batch at "
        "which reading the weights takes no longer than the arithmetic. Such a small network is far from what a GPU "
        "is made "
        "for.",
    )


def summary(results: Results) -> dict[str, Any]:
    """A few numbers for machines."""
    gain: dict[str, Any] = {}
    if gains := _gains(results):
        best, device, time, bits = max(gains)
        gain = {
            "largest_gain_points": best,
            "largest_gain_at": {"device": device, "time_s": time, "adc_bits": bits},
        }
    return {
        "digital_accuracy": float(results.select("digital_accuracy", training="naive").mean()),
        **gain,
        "energy_J": float(np.nanmean(results.select("energy", training="naive").sum(-1))),
        "gpu_energy_J": dict(zip(results.coordinates("gpu_case"), map(float, results["gpu_energy"]), strict=True)),
    }
