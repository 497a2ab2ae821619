"""One look for all figures: colours that colour-blind readers can tell apart, units on axes, PNG and SVG."""

from __future__ import annotations

import io
import math
import pathlib
import re
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.framework.files import write_bytes

# Okabe & Ito, "Color Universal Design" (2008)
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
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


def prefixed(label: str, largest: float) -> tuple[float, str]:
    """The factor for values on a linear axis, and its label, so that they read as 12 uA, not 1.2 with 1e-5 in the corner.

    Args:
        label: ends with its unit in brackets, such as "current [A]"; any other label stays as it is.
        largest: largest magnitude of the values.
    """
    found = re.fullmatch(r"(.*)([\[(])(A|S|V|s|Hz|J|ohm)([\])])", label)
    if found is None or not 0 < largest < float("inf") or 0.05 <= largest < 1e4:
        return 1.0, label
    power = min(max(3 * math.floor(math.log10(largest) / 3), -18), 12)
    if found[3] == "s" and power > 0:
        return 1.0, label
    return 10.0**-power, f"{found[1]}{found[2]}{_PREFIXES[power]}{found[3]}{found[4]}"


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
    """Writes `stem.png` and `stem.svg`, each completely or not at all."""
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
