"""What `xbar run reproduce` shows: the table of claims, and a picture of them."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results
from experiments.published import CASES, Case, Claim

COLOURS = {
    "reproduces": plots.PALETTE[2],
    "as expected": plots.PALETTE[0],
    "differs": plots.PALETTE[1],
    "not run": "0.7",
}
VERDICTS = (
    "reproduces: the mean lies within the tolerance about a published figure that was read. as expected: the same for a "
    "figure that was recalled or measured elsewhere. differs: the mean lies outside the tolerance."
)


def present(config: Any, results: Results) -> Presentation:
    """The table, its picture, and the method."""
    case = CASES[config.case]
    found = quantities(results)
    lines = [f"{config.case}: {case.title}", "", *table(case, found, config.draws)]
    summary = {c.what: {"ours": _mean(c, found), "verdict": c.verdict(found)} for c in case.claims}
    return Presentation(
        "\n".join(lines),
        {config.case: figure(case, found)},
        (*case.method, VERDICTS),
        summary,
        answer=_answer(case, found),
    )


def _answer(case: Any, found: dict[str, np.ndarray]) -> str:
    verdicts = [c.verdict(found) for c in case.claims]
    counted = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    return f"{case.title}: of {len(verdicts)} claims, {counted}."


def quantities(results: Results) -> dict[str, np.ndarray]:
    """Every quantity by draw, from the part that measures it."""
    value = results["value"]
    merged = np.full(value.shape[1:], np.nan)
    for part in value:
        merged = np.where(np.isfinite(part), part, merged)
    return dict(zip(results.coordinates("quantity"), merged, strict=True))


def table(case: Case, found: dict[str, np.ndarray], draws: int) -> list[str]:
    """One line per claim, 100 columns wide."""
    lines = [f"{'claim':<38}{'published':>16}{'here':>16}{'tolerance':>15}  verdict"]
    for claim in case.claims:
        values = np.asarray(claim.ours(found), float)
        first, *rest = textwrap.wrap(claim.what, 37)
        shown = _shown(claim, values)
        lines.append(f"{first:<38}{claim.published or '-':>16}{shown:>16}{claim.tolerance:>15}  {claim.verdict(found)}")
        lines += rest
    lines += ["", f"mean +- standard deviation over {draws} draws"]
    return lines + textwrap.wrap("sources: " + "; ".join(dict.fromkeys(c.source for c in case.claims)), 100)


def _shown(claim: Claim, values: np.ndarray) -> str:
    values = values[np.isfinite(values)] * claim.scale
    if not values.size:
        return "-"
    mean = f"{values.mean():.3g}" if abs(values.mean()) < 10 else f"{values.mean():.1f}"
    return mean if values.size == 1 else f"{mean} +- {values.std(ddof=1):.2g}"


def _mean(claim: Claim, found: dict[str, np.ndarray]) -> float | None:
    values = np.asarray(claim.ours(found), float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def figure(case: Case, found: dict[str, np.ndarray]) -> Any:
    """Every claim with its tolerance as a band, and our draws in it; each line scaled to its own band."""
    fig, (axes,) = plots.subplots(7.5, height=0.8 + 0.42 * len(case.claims))
    for i, claim in enumerate(case.claims):
        values = np.asarray(claim.ours(found), float)
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        low, high = claim.low, claim.high
        width = (high - low) if np.isfinite(high - low) else max(abs(low if np.isfinite(low) else high), 1e-9)
        middle = (low + high) / 2 if np.isfinite(high - low) else (low if np.isfinite(low) else high)
        at = lambda v, middle=middle, width=width: (v - middle) / width  # noqa: E731
        ends = [at(b) if np.isfinite(b) else s * 1.5 for b, s in ((low, -1), (high, 1))]
        axes.barh(i, ends[1] - ends[0], left=ends[0], height=0.6, color="0.9", zorder=1)
        clipped = np.clip(at(values), -1.5, 1.5)
        axes.plot(clipped, np.full(values.size, i), "o", ms=3, alpha=0.5, color=COLOURS[claim.verdict(found)])
        axes.plot(np.clip(at(values.mean()), -1.5, 1.5), i, "|", ms=14, mew=2, color=COLOURS[claim.verdict(found)])
        axes.annotate(
            f"{_shown(claim, values)} {claim.unit}", (1.55, i), va="center", fontsize=8, annotation_clip=False
        )
    axes.set_yticks(range(len(case.claims)), [textwrap.fill(c.what, 40) for c in case.claims], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-1.5, 1.5)
    axes.set_xticks([])
    axes.set_xlabel("grey: tolerance; dots: draws; bar: their mean; points at the edge lie beyond it")
    fig.suptitle(textwrap.fill(case.title, 88), fontsize=9)
    return fig
