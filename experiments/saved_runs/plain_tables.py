"""A summary of any results, without the experiment that made them."""

from __future__ import annotations

import numpy as np

from experiments.framework.store import Results


def text(results: Results) -> str:
    """One line for each variable: its axes, how many values are known, smallest, mean and largest value."""
    rows = [["variable", "axes", "known", "smallest", "mean", "largest", "unit"]]
    for name, variable in results.layout.variables.items():
        values = results[name]
        known = values[np.isfinite(values)]
        axes = " x ".join(f"{d} {n}" for d, n in zip(variable.dims, values.shape, strict=True)) or "one value"
        found = [f"{x:.5g}" for x in (known.min(), known.mean(), known.max())] if known.size else ["-"] * 3
        rows.append([name, axes, f"{known.size} of {values.size}", *found, variable.unit])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
