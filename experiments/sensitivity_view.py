"""What `xbar run sensitivity` shows: numbers and layers ranked by what they cost, and the split that keeps the floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments import chosen_devices, chosen_macros, crossbar_study, layer_split
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.sensitivity import effects, numbers, quantities

WORDS = {
    "write": "write error",
    "drift_mean": "mean drift",
    "drift_spread": "drift spread",
    "read_noise": "read noise",
    "nonlinearity": "nonlinearity",
    "adc_range": "ADC range",
    "dac_range": "DAC range",
    "wires": "wire resistance",
}
SHOWN = 14  # numbers in the figure
STEP_TOLERANCE = 0.25  # relative difference of slope and finite difference that is not remarked on
NOTHING = 1e-5  # nat


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: in plain words. value: with its unit. slope, difference: of every chip [nat]. own: whether it is one of the
            device's numbers, and not a sum over them. note: what must be stated about it.
    """

    name: str
    value: str
    slope: np.ndarray
    difference: np.ndarray
    own: bool

    @property
    def agrees(self) -> bool | None:
        """Whether the finite difference confirms the slope, within its error; None if it was not taken."""
        if np.isnan(self.difference).any():
            return None
        apart = self.slope - self.difference
        bound = max(3 * _error(apart), STEP_TOLERANCE * abs(self.difference.mean()), NOTHING)
        return bool(abs(apart.mean()) <= bound)

    @property
    def trusted(self) -> np.ndarray:
        """The slope; or the finite difference where the two disagree (a step that a derivative does not see)."""
        return self.difference if self.agrees is False else self.slope

    @property
    def note(self) -> str:
        return {True: "", False: "differs: ranked by the difference", None: "not checked"}[self.agrees]


def present(config: Any, results: Results) -> Presentation:
    """Tables, the answer, and figures of a finished run."""
    table = rows(config, results)
    said = answer(config, results, table)
    remarks = (*disagreements(table), *crossbar_study.sentences(config))
    text = "\n\n".join(
        [
            "\n".join(_head(config, results)),
            "\n".join(_table(table)),
            "\n".join(_layers(config, results)),
            *said,
            *remarks,
        ]
    )
    figures = {"sensitivity": _figure(config, results, table), "layers": _layer_figure(config, results)}
    summary = {
        "elasticity": {r.name: float(r.trusted.mean()) for r in table},
        "agree": {r.name: r.agrees for r in table},
        "answer": said,
    }
    return Presentation(
        text,
        figures,
        (*METHOD, crossbar_study.conditions(config), *crossbar_study.sentences(config)),
        summary,
        answer="\n".join(said),
        warnings=(*disagreements(table), *crossbar_study.doubts(config)),
        cite=chosen_devices.citations([config.device]),
    )


def rows(config: Any, results: Results) -> list[Row]:
    """All quantities, the one that matters most first."""
    slope, difference, own = results["elasticity"][0], results["difference"][0], len(numbers(config))
    names, values = quantities(config), _values(config)
    found = [
        Row(WORDS.get(n, n), values[n], slope[i], difference[i], i >= len(names) - own) for i, n in enumerate(names)
    ]
    return sorted(found, key=lambda r: -abs(r.trusted.mean()))


def _values(config: Any) -> dict[str, str]:
    """What each quantity is today, with its unit."""
    import jax

    from devices._show import quantity
    from devices.physical_numbers import departure_from_ohm, typical_cell

    device = chosen_devices.find(config.device, config.assume)
    t, volts = crossbar_study.SECONDS[config.time], chosen_macros.v_read(config)
    typical = typical_cell(device, t, 5e6, key=jax.random.key(config.seed))
    typical["nonlinearity"] = departure_from_ohm(device, volts)
    found = {name: f"{100 * typical[name]:.2g} % of the range" for name in effects(config)}
    if "nonlinearity" in found:
        found["nonlinearity"] = f"{100 * typical['nonlinearity']:.2g} % at {volts:g} V"
    found |= {"adc_range": "calibrated", "dac_range": "calibrated", "wires": f"{config.ohm:g} ohm per cell"}
    for n in numbers(config):
        found[n.path] = quantity(n.value, n.unit) if n.value else f"0 {n.unit}; per 1 % of g_max".replace("  ", " ")
    return found


def _head(config: Any, results: Results) -> list[str]:
    accuracy, loss = 100 * results["accuracy"][0], results["loss"][0]
    return [
        f"{config.network} on {config.device}, {crossbar_study.SPOKEN[config.time]} after programming: accuracy "
        f"{accuracy.mean():.2f} ± "
        f"{accuracy.std(ddof=1):.2f} % (digital {100 * float(results['digital_accuracy'][0]):.2f} %), loss "
        f"{loss.mean():.4f} ± "
        f"{loss.std(ddof=1):.4f} nat; mean ± standard deviation over {config.chips} chips"
    ]


def _table(table: list[Row]) -> list[str]:
    lines = [
        "Elasticities d loss / d ln(value) [mnat for each 1 = +100 %], mean ± standard error over chips",
        f"{'':<36}{'value':>24}{'backward pass':>18}{'finite difference':>20}",
    ]
    for own, title in ((False, "imperfections, all layers together"), (True, "numbers of the device")):
        lines.append(title)
        for r in table:
            if r.own == own:
                checked = "-" if r.agrees is None else _shown(r.difference)
                lines.append(f"  {r.name:<34}{r.value:>24}{_shown(r.slope):>18}{checked:>20}  {r.note}".rstrip())
    return lines


def _layers(config: Any, results: Results) -> list[str]:
    """Every layer: its share of the work, what its imperfections cost, and where it goes in both splits."""
    names, work = results.coordinates("layer"), results["layer_macs"][0]
    slope, check = results["layer_elasticity"][0][:, :-1], results["layer_difference"][0]
    wide = max(12, *(len(n) + 2 for n in names))
    head = "".join(f"{WORDS[e]:>16}" for e in effects(config))
    lines = [
        "Layers: d loss / d ln(size of all imperfections) [mnat]; by imperfection; share of the multiply-accumulates",
        f"{'layer':<{wide}}{'work':>8}{'backward pass':>18}{'finite difference':>20}{head}",
    ]
    for i in np.argsort(-slope.sum(1).mean(-1)):
        own = "".join(f"{_shown(slope[i, j]):>16}" for j in range(slope.shape[1]))
        lines.append(
            f"{names[i]:<{wide}}{100 * work[i] / work.sum():>6.1f} %{_shown(slope[i].sum(0)):>18}{_shown(check[i]):>20}{own}"
        )
    return lines


def answer(config: Any, results: Results, table: list[Row]) -> list[str]:
    """What matters most, which layer to write more carefully, and which to keep digital."""
    effect = [r for r in table if not r.own and r.name in {WORDS[e] for e in effects(config)}]
    said = []
    if effect:
        first = effect[0]
        said.append(
            f"{first.name[0].upper()}{first.name[1:]} matters most: 10 % less of it changes the loss by "
            f"{-100 * first.trusted.mean():+.2g} mnat "
            f"(± {100 * _error(first.trusted):.1g})."
        )
    names, by_layer = results.coordinates("layer"), results["layer_elasticity"][0][:, :-1]
    if "write" in effects(config):
        said.append(_write_sentence(names, by_layer[:, effects(config).index("write")].mean(-1)))
    return [*said, *(_split_sentence(config, results, m) for m in layer_split.METHODS)]


def _write_sentence(names: Sequence[Any], slope: np.ndarray) -> str:
    """Which layer to write most carefully, by d loss / d ln(write error) of each [nat]: with its share of the sum, unless
    slopes of other layers cancel it in part."""
    most, total = int(np.argmax(slope)), float(slope.sum())
    if slope[most] <= 0:
        return "No layer's write errors raise the loss."
    said = f"Write {names[most]} most carefully: its write errors make"
    if slope[most] <= total:
        return f"{said} {100 * slope[most] / total:.0f} % of what all write errors cost together."
    return (
        f"{said} {1e3 * slope[most]:+.2g} mnat for each +100 %, which those of other layers cancel in part: "
        f"{1e3 * total:+.2g} mnat together."
    )


def _split_sentence(config: Any, results: Results, method: str) -> str:
    names, floor = results.coordinates("layer"), layer_split.floor(config.floor, float(results["digital_accuracy"][0]))
    found = layer_split.Split(*(results[f"split_{n}"][0] for n in ("layer", "share", "accuracy")))
    m, count = layer_split.METHODS.index(method), found.chosen(method, floor)
    verified = 100 * results["verified_accuracy"][0][m]
    moved = [names[int(i)] for i in found.layer[m, 1 : count + 1]]
    how = "By gradient" if method == "gradient" else "Greedily"
    what = f"with {', '.join(moved)} digital" if moved else "with every layer on arrays"
    holds = "keeps" if found.accuracy[m, count].mean() >= floor else "misses"
    return (
        f"{how}: {what}, {100 * found.share[m, count]:.1f} % of the work stays on arrays, and the network {holds} "
        f"{100 * floor:.2f} %: "
        f"{100 * found.accuracy[m, count].mean():.2f} % in the search, {verified.mean():.2f} ± "
        f"{verified.std(ddof=1) / len(verified) ** 0.5:.2f} % "
        f"(mean ± standard error) with these layers truly digital."
    )


def disagreements(table: list[Row]) -> tuple[str, ...]:
    """What must be stated about finite differences that do not confirm a slope."""
    wrong = [r.name for r in table if r.agrees is False]
    if not wrong:
        return ()
    return (
        f"The backward pass differs from finite differences for {', '.join(wrong)}: steps, which derivatives do not "
        f"see (probabilities, "
        "levels), or strong curvature over the step. These are ranked by the difference.",
    )


METHOD = (
    "The chips, their keys and their converter ranges are the same in all readings. An elasticity is the change of the loss "
    "per relative change of a number; for a number that is 0, per percent of g_max. Imperfections are multiplied in all "
    "layers (write error: what was written minus the target; mean drift: that of a typical cell; drift spread: the "
    "deviations of cells from it; rms read noise). ADC ranges follow g_max - g_min. Rounding counts as the identity in the "
    "backward pass; finite differences include the rounding itself, which makes them scatter.",
    "For the split, a layer that becomes digital has exact cells behind 16-bit output converters that hardly clip, and the "
    "input converters of the settings. By gradient, layers are moved in the order of their slope divided by their work; "
    "greedily, every move tries all remaining layers, and takes the one that gains most for its work, until the floor is "
    "kept. The chosen splits are read again with these layers left out of the transformation, on chips with the same keys. "
    "The idea is that of LionHeart (Lammie et al., 2024, recalled).",
)


def _error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _shown(values: np.ndarray) -> str:
    return f"{1e3 * values.mean():+.2f} ± {1e3 * _error(values):.2f}"


def _figure(config: Any, results: Results, table: list[Row]) -> Any:
    """Ranked bars: imperfections, and the numbers of the device."""
    groups = [[r for r in table if not r.own], [r for r in table if r.own][:SHOWN]]
    figure, panels = plots.subplots(4.2, 5.6, height=max(2.5, 0.9 + 0.3 * max(map(len, groups))))
    titles = ("imperfections, all layers", "numbers of the device")
    for axes, group, title in zip(panels, groups, titles, strict=True):
        for i, r in enumerate(group):
            mean, bar = 1e3 * r.trusted.mean(), 1e3 * _error(r.trusted)
            axes.barh(i, mean, xerr=bar, color=plots.PALETTE[0 if mean <= 0 else 1], capsize=2, height=0.65)
            if r.agrees is not None:
                look = dict(fmt="D", ms=4, mfc="none", color="k", elinewidth=0.6)
                axes.errorbar(1e3 * r.difference.mean(), i, xerr=1e3 * _error(r.difference), **look)
        axes.set_yticks(range(len(group)), [f"{r.name}\n{r.value}" for r in group], fontsize=6.5)
        axes.invert_yaxis()
        axes.axvline(0, color="0.3", lw=0.8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("d loss / d ln(value) (mnat)")
    n = config.chips
    figure.suptitle(
        f"{config.network} on {config.device}, {crossbar_study.SPOKEN[config.time]}: backward pass, mean ± standard "
        f"error, n = {n} chips; diamonds: finite differences",
        fontsize=8,
    )
    return figure


def _layer_figure(config: Any, results: Results) -> Any:
    """Bars by layer, stacked by imperfection, and accuracy against the share of work on arrays."""
    names, slope = results.coordinates("layer"), 1e3 * results["layer_elasticity"][0][:, :-1]
    figure, (left, right) = plots.subplots(5.0, 4.2, height=max(3.2, 1 + 0.22 * len(names)))
    order = np.argsort(-slope.sum(1).mean(-1))
    before = np.zeros(len(names))
    for j, effect in enumerate(effects(config)):
        mean = slope[order, j].mean(-1)
        left.barh(range(len(names)), mean, left=before, color=plots.PALETTE[j], label=WORDS[effect], height=0.65)
        before = before + mean
    total = slope[order].sum(1)
    left.errorbar(total.mean(-1), range(len(names)), xerr=[_error(v) for v in total], fmt="none", ecolor="k", capsize=2)
    left.plot(1e3 * results["layer_difference"][0][order].mean(-1), range(len(names)), "D", ms=4, mfc="none", color="k")
    left.set_yticks(range(len(names)), [names[i] for i in order], fontsize=7)
    left.invert_yaxis()
    left.set_xlabel("d loss / d ln(imperfections of a layer) (mnat)")
    left.legend(fontsize=7)
    floor = layer_split.floor(config.floor, float(results["digital_accuracy"][0]))
    for m, method in enumerate(layer_split.METHODS):
        share, accuracy = 100 * results["split_share"][0, m], 100 * results["split_accuracy"][0, m]
        known = np.isfinite(share)
        look = dict(color=plots.PALETTE[m], capsize=3, marker="os"[m], ms=4, ls=("-", "--")[m])
        bars = [_error(v) for v in accuracy[known]]
        right.errorbar(share[known], accuracy[known].mean(-1), yerr=bars, label=method, **look)
    right.axhline(100 * floor, color="0.4", ls=":", lw=1, label="floor")
    right.axhline(100 * float(results["digital_accuracy"][0]), color="0.4", lw=0.8, label="digital")
    right.set(xlabel="multiply-accumulates on arrays (%)", ylabel=f"accuracy (%), n = {config.chips} chips")
    right.legend(fontsize=7)
    return figure
