"""One look for all figures: colours that colour-blind readers can tell apart, units on axes, PNG and SVG."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.framework.files import write_bytes

# Okabe & Ito, "Color Universal Design" (2008)
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "axes.grid": True,
    "figure.max_open_warning": 0,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "svg.hashsalt": "xbar",
}


def subplots(*widths: float, height: float = 4.0) -> tuple[Figure, list]:
    """A figure with a panel of each width [inch] side by side."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(widths),
            figsize=(sum(widths), height),
            width_ratios=widths,
            layout="constrained",
            squeeze=False,
        )
    return figure, list(axes[0])


def save(figure: Figure, stem: pathlib.Path) -> None:
    """Writes `stem.png` and `stem.svg`, each complete or not at all."""
    with plt.rc_context(STYLE):
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        write_bytes(stem.with_suffix(".png"), picture.getvalue())
        write_bytes(stem.with_suffix(".svg"), svg(figure))
    plt.close(figure)


def svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes for the same figure; its text stays text."""
    picture = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()
