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


def grid(rows: int, cols: int, width: float, height: float) -> tuple[Figure, Any]:
    """A figure of rows and columns of equal panels [inch each], and their axes as an array."""
    with plt.rc_context(STYLE):
        return plt.subplots(rows, cols, figsize=(cols * width, rows * height), layout="constrained", squeeze=False)


def save(figure: Figure, stem: pathlib.Path) -> None:
    """Writes `stem.png` and `stem.svg`, each complete or not at all."""
    with plt.rc_context(STYLE):
        for kind in ("png", "svg"):
            picture = io.BytesIO()
            figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else None)
            write_bytes(stem.with_suffix(f".{kind}"), picture.getvalue())
    plt.close(figure)
