"""What `xbar fit` shows: tables for the terminal, and one HTML page with pictures."""

from __future__ import annotations

import dataclasses
import functools
import html
import inspect
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.framework import plots, report

if TYPE_CHECKING:
    from devices.fitting import Check, Fit, Panel

SHOWN = 20  # fits that are shown in full; the rest in one line each


def text(fits: Sequence[Fit], refusals: Sequence[str], why: str) -> str:
    """The terminal's output."""
    parts = [_fit_text(f) for f in fits[:SHOWN]]
    if len(fits) > SHOWN:
        parts.append("\n".join(f"{f.trace.title}: {f.model}, {_measures(f)}" for f in fits[SHOWN:]))
    if why:
        parts.append(why)
    return "\n\n".join(parts)


def _fit_text(fit: Fit) -> str:
    lines = [
        f"{fit.trace.title}: {fit.kind}, {_readings(fit)}",
        *models_table(fit),
        "",
        f"{fit.model}: {fit.law}",
    ]
    if not fit.converged:
        lines.append(f"  ! {fit.code}")
    lines += numbers_table(fit)
    if fit.measures:
        lines.append(_wrapped("figures of merit", ", ".join(f"{n} {value:.3g}" for n, value in fit.measures.items())))
    if np.isfinite(fit.sigma):
        lines.append(f"  residuals: standard deviation {fit.sigma:.4g}")
    lines += [_wrapped("test", f"{_verdict(c)}{' REJECTED' if c.rejected else ''}") for c in fit.checks]
    lines += [_wrapped("note", f) for f in fit.flags]
    lines += [_wrapped("next", a) for a in fit.advice]
    return "\n".join(lines)


def _wrapped(name: str, sentence: str) -> str:
    """A line of the text, continued on more lines where it does not fit a terminal."""
    return textwrap.fill(
        f"{name}: {sentence}", 118, initial_indent="  ", subsequent_indent="    ", break_long_words=False
    )


def _readings(fit: Fit) -> str:
    """How many there are, and how many values derived from them the model was fitted to."""
    fitted = "" if fit.rows == len(fit.trace) else f"; fitted to {fit.rows} values derived from them"
    return f"{len(fit.trace)} readings{fitted}"


def _verdict(check: Check) -> str:
    return check.sentence if np.isnan(check.p) else f"{check.sentence}; p = {check.p:.2g}"


def models_table(fit: Fit) -> list[str]:
    """The models tried, best first."""
    ranked = (fit, *fit.others)
    wide = max(len(f.model) for f in ranked) + 2
    lines = [f"  {'model':<{wide}}{'BIC - best':>12}{'AIC - best':>12}{'held out':>20}  {'tests':<10}figures of merit"]
    for one in ranked:
        unseen = "-" if np.isnan(one.held_out[0]) else f"{one.held_out[0]:.4g} ± {one.held_out[1]:.2g}"
        verdict = "rejected" if one.rejected else ("passed" if one.checks else "none")
        lines.append(
            f"  {one.model:<{wide}}{one.bic - fit.bic:>12.1f}{one.aic - fit.aic:>12.1f}{unseen:>20}  "
            f"{verdict:<10}{_measures(one)}"
        )
    return lines


def _measures(fit: Fit) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in list(fit.measures.items())[:3])


def numbers_table(fit: Fit) -> list[str]:
    """Parameters with their errors."""
    wide = max((len(n.name) for n in fit.numbers), default=0) + 2
    lines = [f"  {'':<{wide}}{'estimate':>12}{'error':>11}{'90 % interval':>26}  unit"]
    for n in fit.numbers:
        interval = f"{n.low:.4g} .. {n.high:.4g}"
        lines.append(f"  {n.name:<{wide}}{n.value:>12.5g}{n.error:>11}{interval:>26}  {n.unit:<6} {n.note}".rstrip())
    return lines


def page(fits: Sequence[Fit], refusals: Sequence[str], why: str, command: str, versions: dict[str, str]) -> str:
    """One self-contained page."""
    parts = [
        f'<p class="answer">{html.escape(chr(10).join(map(_answer, fits[:SHOWN])))}</p>' if fits else "",
        report.warning_box(
            "Before you use it", [*([why] if why else []), *(f"Left out: {r}" for r in refusals), *_doubts(fits)]
        ),
    ]
    parts += [_section(f) for f in fits]
    parts.append(
        "<h2>How to read it</h2><p>Errors are standard errors from the curvature of the likelihood, or from the "
        "scatter of whole blocks of data where a test rejects the noise model. Intervals are 90 % intervals. A test rejects "
        "at p &lt; 0.01. 'Held out' is the mean negative log likelihood per reading, on blocks that a fit has not seen: "
        "smaller is better.</p>"
    )
    parts.append(f'<h2>Run it again</h2><pre class="command">{html.escape(command)}</pre>')
    parts.append(report.folded("Versions", report.table(versions)))
    return report.document("Device models fitted to measurements", "".join(parts), kind="xbar: report of a fit")


def _answer(fit: Fit) -> str:
    return f"{fit.trace.title}: {fit.model}, {fit.law}; best of {1 + len(fit.others)} models."


def _doubts(fits: Sequence[Fit]) -> list[str]:
    """What weakens a fit: a test rejects its model, or the search did not converge."""
    rejected = [
        f"{f.trace.title}: a test rejects {f.model}; its errors allow for that, its law may not."
        for f in fits
        if f.rejected
    ]
    return rejected + [f"{f.trace.title}: {f.code}" for f in fits if not f.converged]


def meanings(candidate: Any) -> list[str]:
    """What the parameters of a model are, from the docstrings of its class and of its base classes."""
    found = []
    for one in type(candidate).__mro__:
        paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(one.__doc__ or ""))
        found += [" ".join(p.removeprefix("Parameters:").split()) for p in paragraphs if p.startswith("Parameters:")]
    return [said.replace("`", "") for said in dict.fromkeys(found)]


def _models(fit: Fit) -> report.Table:
    rows = []
    for one in (fit, *fit.others):
        unseen = (
            "-" if np.isnan(one.held_out[0]) else (one.held_out[0], f"{one.held_out[0]:.4g} ± {one.held_out[1]:.2g}")
        )
        verdict = "rejected" if one.rejected else ("passed" if one.checks else "none")
        better = [(b, f"{b:.1f}") for b in (one.bic - fit.bic, one.aic - fit.aic)]
        rows.append((one.model, *better, unseen, verdict, _measures(one)))
    heads = ("model", "BIC - best", "AIC - best", "held out [nat per reading]", "tests", "figures of merit")
    return report.Table("Models, best first", heads, tuple(rows))


def _numbers(fit: Fit) -> report.Table:
    rows = [
        (n.name, (n.value, f"{n.value:.5g}"), n.error, f"{n.low:.4g} .. {n.high:.4g}", n.unit, n.note)
        for n in fit.numbers
    ]
    heads = ("parameter", "estimate", "standard error", "90 % interval", "unit", "note")
    return report.Table(f"Parameters of {fit.model}", heads, tuple(rows))


def _section(fit: Fit) -> str:
    parts = [
        f"<h2>{html.escape(fit.trace.title)}: {html.escape(fit.kind)}</h2>",
        f"<p>{len(fit.trace)} readings of {len(np.unique(fit.trace['device']))} cells, read as "
        f"{html.escape(fit.trace.format or 'a table')}. "
        f"Best of {1 + len(fit.others)} models: <b>{html.escape(fit.model)}</b>, {html.escape(fit.law)} "
        f"({html.escape(fit.code)}).</p>",
    ]
    for k in range(0, len(fit.panels), 2):
        parts.append(report.image(f"{fit.model} on {fit.trace.title}", figure(fit.panels[k : k + 2])))
    parts += [report.sortable(_numbers(fit)), *(f"<p>{html.escape(said)}</p>" for said in meanings(fit.candidate))]
    parts.append(report.sortable(_models(fit)))
    if fit.checks:
        parts.append("<h3>Tests</h3>" + report.listed([_verdict(c) for c in fit.checks]))
    if fit.flags:
        parts.append("<h3>Flags</h3>" + report.listed(fit.flags))
    if fit.advice:
        parts.append("<h3>What to measure next</h3>" + report.listed(fit.advice))
    return "".join(parts)


def figure(panels: Sequence[Panel]) -> Any:
    """Panels side by side."""
    fig, axes = plots.subplots(*[5.5] * len(panels), height=3.8)
    for panel, axis in zip(panels, axes, strict=True):
        draw(panel, axis)
    return fig


def draw(panel: Panel, axis: Any) -> None:
    """One panel; a model's curve for a group of points has their colour, and is drawn below them."""
    colours: dict[str, str] = {}
    across, x_label = _unit(panel.x, panel.x_scale, [s.x for s in panel.series])
    up, y_label = _unit(panel.y, panel.y_scale, [s.y for s in panel.series])
    for s in map(functools.partial(_scaled, across=across, up=up), panel.series):
        colour = colours.setdefault(s.label.removesuffix(", model"), plots.PALETTE[len(colours) % len(plots.PALETTE)])
        if s.error is not None:
            axis.errorbar(
                s.x, s.y, s.error, fmt=".", color=colour, markersize=4, linewidth=0.8, label=s.label, alpha=0.8,
                zorder=3,
            )  # fmt: skip
        elif s.style == "points":
            axis.plot(s.x, s.y, ".", color=colour, markersize=3, label=s.label, alpha=0.6, zorder=3)
        elif s.style == "line":
            shown = "" if s.label.endswith(", model") else s.label
            axis.plot(s.x, s.y, "-", color=colour, linewidth=1.2, label=shown or None, zorder=2.5)
        else:
            axis.fill_between(s.x, s.y, s.y2, color=colour, alpha=0.25, linewidth=0, label=s.label)
    axis.set(xlabel=x_label, ylabel=y_label, xscale=panel.x_scale)
    if panel.y_scale == "symlog":
        largest = max((up * np.nanmax(np.abs(s.y)) for s in panel.series if len(s.y)), default=1.0)
        axis.set_yscale("symlog", linthresh=largest * 1e-3 or 1.0)
    else:
        axis.set_yscale(panel.y_scale)
    axis.set_title(panel.title, fontsize=9)
    handles, labels = axis.get_legend_handles_labels()
    if distinct := dict(zip(labels, handles, strict=True)):  # one entry for all series of a label
        axis.legend(distinct.values(), distinct.keys(), fontsize=7, frameon=False)


def _unit(label: str, scale: str, values: Sequence[Any]) -> tuple[float, str]:
    """Readable units for a linear axis; logarithmic ones are readable as they are."""
    found = [np.nanmax(np.abs(v)) for v in values if np.size(v) and np.isfinite(v).any()]
    return plots.prefixed(label, float(max(found, default=0.0))) if scale == "linear" else (1.0, label)


def _scaled(series: Any, across: float, up: float) -> Any:
    """A series in the units of its panel."""
    times = lambda v: None if v is None else up * np.asarray(v)  # noqa: E731
    x = across * np.asarray(series.x)
    return dataclasses.replace(series, x=x, y=times(series.y), y2=times(series.y2), error=times(series.error))
