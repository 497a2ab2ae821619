"""What `accuracy-energy` shows: tables for the terminal, one figure, and the method in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import chosen_devices, chosen_macros
from experiments.accuracy_energy_figure import figure
from experiments.accuracy_energy_words import (
    TIME_NAMES,
    known,
    measured_chips,
    near_a_day,
    percent,
    shown_name,
    shown_time,
)
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from xbar.energy import engineering


@dataclasses.dataclass(frozen=True)
class About:
    """What must be stated about the devices of a run.

    Args:
        sources: a line for each. beyond: a sentence for each that is used beyond its data. lacks: parts without a law, for
            each that is not intentionally ideal. assumed: a sentence for each assumption about each. network: sentences on the
        network and its data, the first on its weights.
    """

    sources: tuple[str, ...]
    beyond: tuple[str, ...]
    lacks: Mapping[str, tuple[str, ...]]
    assumed: Mapping[str, tuple[str, ...]]
    network: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """What about the devices was never measured, or is assumed."""
        found = [f"{shown_name(name)}: {said}" for name, notes in self.assumed.items() for said in notes]
        for name, parts in self.lacks.items():
            if parts:
                found.append(
                    f"{shown_name(name)} has no law for {', '.join(parts)}: its cells are ideal in this respect, because "
                    "nothing was measured. --assume fills it in from another device."
                )
        return tuple(found)


ENERGY = (
    "Energy comes from the voltages and conductances of these inferences (the array) and from published coefficients at "
    "22 nm (the rest), see xbar.energy.Technology. P10 - P90 is the log-normal uncertainty of those coefficients; their "
    "spreads are our judgement. Layers work one after the other and leak for as long as that takes; the on-chip network and "
    "the clocks are included. Not included: the chip's links to the outside, programming, calibration.",
    "The H100 is a roofline in INT8: weights stream from HBM once per batch, each product is one kernel, and each launch "
    "costs 5 us at idle power (70 W, recalled, not read in a source). 'Launches free' leaves the launches out. 'Ridge "
    "batch' is the smallest batch at which reading the weights takes no longer than the arithmetic. Such a small network "
    "is far from what a GPU is made for.",
)
CAPTION = (
    "Left: accuracy against the energy of an inference, for each resolution of the ADC. Middle: the same, with a GPU; bars "
    "are the P10 - P90 of the energy model. Right: accuracy over time. Error bars: standard deviation over chips."
)


def present(config: Any, results: Results, about: About) -> Presentation:
    """Tables, figure and method of a finished run."""
    posterior = (posterior_table(results),) if config.posterior else ()
    remarks = (*about.sentences(), *about.beyond, *about.network[1:])
    text = "\n\n".join([accuracy_table(results), *posterior, energy_table(results), gain_sentence(results), *remarks])
    described = (*method(config, results, about.network[0]), *(f"Device {s}." for s in about.sources))
    numbers = {
        **summary(results),
        "unmeasured": {name: list(parts) for name, parts in about.lacks.items() if parts},
        "assumed": {name: list(notes) for name, notes in about.assumed.items() if notes},
    }
    return Presentation(
        text,
        {"accuracy-energy": figure(results, about.sentences())},
        described,
        numbers,
        answer=f"{accuracy_sentence(results)}\n{gain_sentence(results)}",
        captions={"accuracy-energy": CAPTION},
        warnings=remarks,
        energy=ENERGY,
        cite=chosen_devices.citations(config.devices),
    )


def _name_width(results: Results) -> int:
    return 2 + max(6, *(len(shown_name(d)) for d in results.coordinates("device")))


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
        for time in known(results, device):
            for training in results.coordinates("training"):
                cells = (
                    results.select("accuracy", device=device, time=time, training=training, adc_bits=b) for b in bits
                )
                when = "any" if device == "ideal" else TIME_NAMES.get(time, f"{time:g} s")
                lines.append(
                    f"{shown_name(device):<{wide}}{when:<9}{training:<16}" + "".join(f"{percent(c):>13}" for c in cells)
                )
    return "\n".join(lines)


def posterior_table(results: Results) -> str:
    """The same with the device parameters drawn from the posterior of their fit, and how much the draw moves a chip."""
    bits, chips, wide = results.coordinates("adc_bits"), len(results.coordinates("chip")), _name_width(results)
    lines = [
        f"Accuracy [%] with device parameters drawn from their posterior, one draw for each of {chips} chips: mean ± "
        "standard deviation",
        "(in brackets: root mean square change of a chip due to the draw, the part of the error bar that comes from the "
        "measurement)",
        f"{'device':<{wide}}{'time':<9}{'training':<16}" + "".join(f"{f'{b}-bit ADC':>20}" for b in bits),
    ]
    for device in results.coordinates("device"):
        for time in known(results, device):
            for training in results.coordinates("training"):
                cells = []
                for b in bits:
                    at = dict(device=device, time=time, training=training, adc_bits=b)
                    drawn, fixed = (results.select(name, **at) for name in ("accuracy_posterior", "accuracy"))
                    change = 100 * np.sqrt(np.mean((drawn - fixed) ** 2))
                    cells.append("no posterior" if np.isnan(drawn).all() else f"{percent(drawn)} ({change:.1f})")
                row = f"{shown_name(device):<{wide}}{TIME_NAMES.get(time, f'{time:g} s'):<9}{training:<16}"
                lines.append(row + "".join(f"{c:>20}" for c in cells))
    return "\n".join(lines)


def energy_table(results: Results) -> str:
    """Energy of an inference with its P10-P90, the shares of its largest parts, and the GPU for comparison."""
    wide = _name_width(results)
    components, large = _large_components(results)
    lines = [
        f"Energy of an inference (naive mapping, {shown_time(results)} after programming), median coefficients",
        f"{'device':<{wide}}{'ADC':<7}{'total':>9}{'P10 - P90':>22}  "
        + "".join(f"{c:>12}" for c in (*components, "other")),
    ]
    for device in results.coordinates("device"):
        for bits in results.coordinates("adc_bits"):
            at = dict(training="naive", device=device, adc_bits=bits, time=near_a_day(results, device))
            parts = results.select("energy", **at).mean(0)
            low, high = results.select("energy_quantile", **at)
            shown = (*parts[large], parts.sum() - parts[large].sum())
            shares = "".join(f"{p / parts.sum():>12.0%}" for p in shown)
            spread = f"{engineering(low, 'J')} - {engineering(high, 'J')}"
            lines.append(
                f"{shown_name(device):<{wide}}{f'{bits} bit':<7}{engineering(parts.sum(), 'J'):>9}{spread:>22}  {shares}"
            )
    lines.append("H100, INT8, roofline")
    cases = zip(results.coordinates("gpu_case"), results["gpu_energy"], strict=True)
    lines += [f"{name:<28}{engineering(joules, 'J'):>9}" for name, joules in cases]
    lines.append("Measured chips: their published energy of a multiply-accumulate times those of this network")
    lines += [f"{name:<28}{engineering(joules, 'J'):>9}" for name, joules in measured_chips(results).items()]
    return "\n".join(lines)


def _large_components(results: Results) -> tuple[list[str], np.ndarray]:
    """Components that are a fiftieth of the energy or more in some setting, and their indices."""
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
        for t in known(results, d)
        for b in results.coordinates("adc_bits")
    ]


def accuracy_sentence(results: Results) -> str:
    """Accuracy of each device at the finest converter, after a day or the time nearest to it."""
    bits, chips = max(results.coordinates("adc_bits")), len(results.coordinates("chip"))
    training = results.coordinates("training")[-1]
    digital = 100 * results.select("digital_accuracy", training="naive").mean()
    said = []
    for device in results.coordinates("device"):
        t = near_a_day(results, device)
        values = results.select("accuracy", device=device, time=t, training=training, adc_bits=bits)
        when = "" if device == "ideal" else f" after {TIME_NAMES.get(t, f'{t:g} s')}"
        alike = values.size > 1 and np.ptp(values) == 0
        shown = f"{100 * values.mean():.1f} %, the same on every chip," if alike else f"{percent(values)} %"
        said.append(f"{shown} on {shown_name(device)}{when}")
    return (
        f"The network classifies {digital:.1f} % of the test images digitally; with {bits}-bit ADCs ({training}, n = {chips} "
        f"chips, mean ± sd) {', '.join(said)}."
    )


def gain_sentence(results: Results) -> str:
    """Where hardware-aware training helps most, and on average over all noisy settings."""
    if len(results.coordinates("training")) < 2:
        return "The weights were mapped as they are, without hardware-aware training."
    noisy = [g for g in _gains(results) if g[1] != "ideal"]
    kind = "settings with real devices" if noisy else "settings, all with ideal devices,"
    noisy = noisy or _gains(results)
    best, device, time, bits = max(noisy)
    pair = results.select("accuracy", device=device, time=time, adc_bits=bits)
    worse = sum(g[0] < 0 for g in noisy)
    first = (
        f"Hardware-aware training gains most on {shown_name(device)} after {TIME_NAMES.get(time, f'{time:g} s')} with "
        f"{bits} bits: {percent(pair[0])} becomes {percent(pair[1])} %, {best:+.1f} points."
    )
    if len(noisy) == 1:
        return first
    return (
        f"{first}\nOver the {len(noisy)} {kind} it gains {np.mean([g[0] for g in noisy]):+.1f} points on average, "
        f"and loses in {worse or 'none'}."
    )


def method(config: Any, results: Results, weights: str) -> tuple[str, ...]:
    """How it was done, under which assumptions; `weights` says where those of the network are from."""
    aware = (
        f"; 'hardware-aware' continues training for {config.hardware_steps} steps, each with newly drawn devices read at "
        f"one of the times through the same converters, with weights clipped at {config.clip:g} standard deviations"
    )
    trained, devices = len(results.coordinates("training")) > 1, results.coordinates("device")
    return (
        f"{weights} 'Naive' maps its weights as they are{aware if trained else ''}.",
        " ".join(chosen_macros.sentences(config)),
        f"Each setting is read on {config.chips} chips, each with write errors, drift exponents and read noise of its own. "
        f"The naive chips' converter ranges cover {config.percentile:g} % of 256 training inputs"
        + ("; hardware-aware networks keep the ranges they were trained with" if trained else "")
        + ". Global drift compensation, one factor per tile, is on for all.",
        *(
            (
                "With --posterior every chip is read a second time, as a chip of a device drawn from the posterior in the "
                "device file, which holds the uncertainty of the fit; the keys, and so the chip's unit random numbers, "
                "are the same both times.",
            )
            if config.posterior
            else ()
        ),
        "Times at which a device has no data are left out."
        + (" For pcm, t = 0 is 20 s after programming and a year is an extrapolation." if "pcm" in devices else "")
        + (" reram is known at 1 s, 1 day and 2 days only." if "reram" in devices else ""),
    )


def summary(results: Results) -> dict[str, Any]:
    """A few machine-readable numbers."""
    gain: dict[str, Any] = {}
    if gains := _gains(results):
        best, device, time, bits = max(gains)
        gain = {
            "largest_gain_points": best,
            "largest_gain_at": {"device": device, "time_s": time, "adc_bits": bits},
        }
    return {
        "digital_accuracy": float(results.select("digital_accuracy", training="naive").mean()),
        "accuracy": _accuracies(results),
        **gain,
        "energy_J": float(np.nanmean(results.select("energy", training="naive").sum(-1))),
        "gpu_energy_J": dict(zip(results.coordinates("gpu_case"), map(float, results["gpu_energy"]), strict=True)),
    }


def _accuracies(results: Results) -> dict[str, float]:
    """Mean over chips at the time nearest to a day, by device, resolution and training."""
    found = {}
    for device in results.coordinates("device"):
        time = near_a_day(results, device)
        for bits in results.coordinates("adc_bits"):
            for training in results.coordinates("training"):
                mean = results.select("accuracy", device=device, adc_bits=bits, training=training, time=time).mean()
                found[f"{shown_name(device)} {bits} bit {training} {TIME_NAMES.get(time, f'{time:g} s')}"] = float(mean)
    return found
