"""What `xbar run training-study` shows: scores by technique and time, a ranking with paired errors, and what did not help."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

import numpy as np

from experiments import chosen_devices, chosen_networks
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.hardware_training import splits
from experiments.hardware_training.paired import Summary, summary
from experiments.hardware_training.techniques import RANK, TECHNIQUES
from experiments.training_study import REPAIRS, SECONDS, V_READ, known_times

SURE = 1.96  # standard errors of a 95 % interval
BARS = {"ds-cnn": 0.90, "ds-cnn-float": 0.90, "resnet8": 0.85, "mobilenet": 0.80}
"""Quality that MLPerf Tiny asks for (MLPerfTiny_Rules.adoc, github.com/mlcommons/tiny)."""
SPOKEN = {"1s": "1 s", "1h": "1 h", "1d": "1 day", "1mo": "1 month", "1y": "1 year"}
MARKS = ("o", "D")


@dataclasses.dataclass(frozen=True)
class Unit:
    """How scores are written.

    Args:
        text: whether they are losses of text, so that less is better.
    """

    text: bool

    @property
    def factor(self) -> float:
        return 1.0 if self.text else 100.0

    @property
    def name(self) -> str:
        return "nat per character" if self.text else "%"

    @property
    def better(self) -> int:
        return -1 if self.text else 1

    def said(self, x: float) -> str:
        """A score: percent, or the perplexity of a loss."""
        return f"{np.exp(x):.2f}" if self.text else f"{100 * x:.1f}"

    def spread(self, s: Summary) -> str:
        """The spread over chips, in the unit of `said`."""
        return f"{np.exp(s.mean) * s.spread:.2f}" if self.text else f"{100 * s.spread:.1f}"

    def change(self, x: float) -> str:
        """A difference of scores."""
        return f"{x:+.3f}" if self.text else f"{100 * x:+.1f}"


@dataclasses.dataclass(frozen=True)
class Rank:
    """A line of the ranking: a technique and a repair at one time.

    Args:
        score: of its chips. gain: over the naive chips as read, paired. recovered: share of the naive loss that is
            recovered. behind: the difference to the first in the ranking, paired.
    """

    technique: str
    repair: str
    score: Summary
    gain: Summary
    recovered: float
    behind: Summary


def present(config: Any, results: Results) -> Presentation:
    """Tables, figures, and the method."""
    unit = Unit(chosen_networks.find(config).measured_on().y_test.ndim > 1)
    lines, figures, numbers = [], {}, {}
    for device in config.devices:
        lines += [*_table(config, results, device, unit), ""]
        known = known_times(config, device)
        for i in [i for i in known if config.times[i] not in ("1s", "1h")] or known[-1:]:
            order = ranking(config, results, device, i, unit)
            lines += [*_ranked(config, device, config.times[i], order, unit), ""]
            numbers[f"{device} {config.times[i]}"] = {
                f"{r.technique}, {r.repair}": round(r.score.mean, 4) for r in order
            }
        figures[f"training-{device.rsplit('/', 1)[-1].removesuffix('.toml')}"] = _figure(config, results, device, unit)
    return Presentation("\n".join(lines).rstrip(), figures, _method(config), numbers)


def ranking(config: Any, results: Results, device: str, time: int, unit: Unit) -> list[Rank]:
    """All finished techniques and repairs at one time, best first."""
    at = lambda technique, repair: results.select("score", technique=technique, device=device, repair=repair)[time]  # noqa: E731
    naive = at("naive", "none")
    digital = float(np.mean(results.select("clean", technique="naive", device=device)))
    if not np.isfinite(naive).all():
        return []
    found = {}
    for technique in config.techniques:
        for repair in REPAIRS:
            if np.isfinite(values := at(technique, repair)).all():
                found[technique, repair] = values
    order = sorted(found, key=lambda k: -unit.better * found[k].mean())
    lost = digital - naive.mean()
    recovered = lambda v: (v.mean() - naive.mean()) / lost if abs(lost) > 1e-12 else np.nan  # noqa: E731
    return [
        Rank(
            k[0],
            k[1],
            summary(found[k]),
            summary(found[k] - naive),
            float(recovered(found[k])),
            summary(found[order[0]] - found[k]),
        )
        for k in order
    ]


def _table(config: Any, results: Results, device: str, unit: Unit) -> list[str]:
    """One line per technique: without hardware, and at each time as read and with matched statistics."""
    known = known_times(config, device)
    head = f"{device:<20}{'without':>9}" + "".join(f"{SPOKEN[config.times[i]]:>26}" for i in known)
    lines = [head, f"{'':<20}{'hardware':>9}" + f"{'as read':>13}{'matched':>13}" * len(known)]
    errors = []
    for technique in config.techniques:
        clean = results.select("clean", technique=technique, device=device)
        if not np.isfinite(clean).all():
            lines.append(f"{technique:<20}{'not run':>9}")
            continue
        line = f"{technique:<20}{unit.said(float(clean.mean())):>9}"
        for i in known:
            for repair in REPAIRS:
                s = summary(results.select("score", technique=technique, device=device, repair=repair)[i])
                errors.append(s.over_inputs)
                line += f"{unit.said(s.mean) + ' +- ' + unit.spread(s):>13}"
        lines.append(line)
    beyond = [SPOKEN[t] for i, t in enumerate(config.times) if i not in known]
    if beyond:
        lines.append(f"{', '.join(beyond)}: no data for {device}.")
    what = "perplexity" if unit.text else "accuracy [%]"
    error = f"{unit.factor * max(errors):.2g} {'nat' if unit.text else 'points'}" if errors else "not known yet"
    said = (
        f"{what}, mean +- spread over {config.chips} chips (without what the finite test set adds); the choice of the "
        f"{len(results.coordinates('input'))} test inputs alone is an error of up to {error}, shared by all lines."
    )
    return lines + textwrap.wrap(said, 110)


def _ranked(config: Any, device: str, time: str, order: list[Rank], unit: Unit) -> list[str]:
    """The ranking at one time, and sentences on it."""
    if not order:
        return [f"{device} after {SPOKEN[time]}: the naive chips have not been read yet, so nothing can be ranked."]
    lines = [
        f"{device} after {SPOKEN[time]}, ranked: gain over naive chips as read, 95 % interval over chips and inputs (paired)",
        f"{'technique':<20}{'repair':<20}{'score':>8}{'gain':>9}{'95 %':>17}{'recovered':>11}",
    ]
    for r in order:
        band = SURE * r.gain.error
        interval = f"{unit.change(r.gain.mean - band)} .. {unit.change(r.gain.mean + band)}"
        tied = " =" if abs(r.behind.mean) <= SURE * r.behind.error else ""
        lines.append(
            f"{r.technique:<20}{r.repair:<20}{unit.said(r.score.mean):>8}{unit.change(r.gain.mean):>9}{interval:>17}"
            f"{100 * r.recovered:>9.0f} %{tied}"
        )
    return lines + [line for said in _verdicts(config, order, unit) for line in textwrap.wrap(said, 110)]


def _verdicts(config: Any, order: list[Rank], unit: Unit) -> list[str]:
    """What the ranking says: where nothing was gained, and whether a benchmark's target is met."""
    said = [
        "=: not distinguishable from the first. Recovered: share of what naive chips as read lose compared with the "
        "digital network."
    ]
    helps = lambda r: unit.better * r.gain.mean > SURE * r.gain.error  # noqa: E731
    lost = [
        f"{r.technique} ({r.repair})" for r in order if not helps(r) and (r.technique, r.repair) != ("naive", "none")
    ]
    if lost:
        said.append(f"Not better than naive chips as read, or not distinguishable: {'; '.join(lost)}.")
    matched = next((r for r in order if (r.technique, r.repair) == ("naive", "statistics matched")), None)
    first = order[0]
    if matched is not None and first.technique != "naive":
        apart = unit.better * (first.score.mean - matched.score.mean)
        sure = abs(matched.behind.mean) > SURE * matched.behind.error
        said.append(
            f"Training ({first.technique}) is {unit.change(apart)} {'nat' if unit.text else 'points'} better than matching "
            f"statistics without training{'' if sure else ', which is not distinguishable from 0'}."
        )
    if (bar := BARS.get(config.network)) is not None:
        low = first.score.mean - SURE * first.score.error
        word = "meets" if first.score.mean >= bar else "misses"
        said.append(
            f"The best {word} MLPerf Tiny's {100 * bar:g} % ({unit.said(first.score.mean)} %, 95 % limit {unit.said(low)} %)."
        )
    return said


def _figure(config: Any, results: Results, device: str, unit: Unit) -> Any:
    """A panel for each time: techniques from top to bottom, as read and with statistics matched."""
    known = known_times(config, device)
    widths = [3.4, *[2.4] * (len(known) - 1)] if len(known) > 1 else [5.5]  # the legend needs this much
    figure, axes = plots.subplots(*widths, height=1.5 + 0.33 * len(config.techniques))
    clean = {t: results.select("clean", technique=t, device=device) for t in config.techniques}
    for panel, (ax, i) in enumerate(zip(axes, known, strict=True)):
        for k, technique in enumerate(config.techniques):
            for j, repair in enumerate(REPAIRS):
                values = results.select("score", technique=technique, device=device, repair=repair)[i]
                if np.isfinite(values).all():
                    s = summary(values)
                    ax.errorbar(
                        unit.factor * s.mean,
                        k + 0.26 * (j - 0.5),
                        xerr=unit.factor * s.spread,
                        fmt=MARKS[j],
                        ms=4,
                        capsize=2,
                        color=plots.PALETTE[j],
                        label=("as read", "statistics matched")[j] if k == 0 else None,
                    )
            if np.isfinite(clean[technique]).all():
                label = "without hardware" if k == 0 else None
                ax.plot(unit.factor * clean[technique].mean(), k, "|", ms=11, color="0.5", label=label)
        if (bar := BARS.get(config.network)) is not None:
            ax.axvline(100 * bar, ls=":", lw=1, color="0.3", label=f"MLPerf Tiny: {100 * bar:g} %")
        ax.set_ylim(len(config.techniques) - 0.5, -0.5)
        ax.set_yticks(range(len(config.techniques)), config.techniques if panel == 0 else [""] * len(config.techniques))
        ax.set_title(f"after {SPOKEN[config.times[i]]}", fontsize=9)
        ax.set_xlabel("loss (nat per character)" if unit.text else "accuracy (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    figure.suptitle(
        f"{config.network} on {device}; bars: spread over {config.chips} chips",
        fontsize=9,
    )
    return figure


def _method(config: Any) -> tuple[str, ...]:
    network = chosen_networks.find(config)
    said = [f"{name}: {TECHNIQUES[name].what}." for name in config.techniques]
    said += [
        splits.sentence(network, config.folds),
        f"Each technique starts from the digital network: {config.training_steps} Adam steps of {config.batch} inputs at "
        f"{config.rate:g}, cosine schedule; noise {100 * config.noise:g} % of a channel's largest weight; clipping at "
        f"{config.clip:g} standard deviations of a {config.clip_per}; distillation at temperature {config.temperature:g}; "
        f"adapters of rank {RANK}. Converters are ideal in training. The default settings were not tuned on test inputs.",
        f"Chips: differential pairs in tiles of {config.rows} x {config.cols}, {config.dac_bits}-bit input and "
        f"{config.adc_bits}-bit output converters whose ranges cover {config.percentile:g} % of at most {splits.CALIBRATION} "
        f"unlabelled inputs just after programming, {V_READ:g} V, drift compensated by one factor per tile. "
        "Statistics matched: a gain and an offset of each output channel, from the same inputs, at the time of reading.",
    ]
    for name in config.devices:
        device = chosen_devices.find(name)
        about = device.provenance
        said.append(f"Device {name}: {about.name}, {', '.join(about.dois) or 'no publication'}.")
        latest = SECONDS[config.times[max(known_times(config, name))]]
        if beyond := device.extrapolates(latest, V_READ):
            said.append(beyond)
    return (*said, *chosen_networks.sentences(config)[:1])
