"""What means over chips are shown with: their spread, or the interval of a mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

CONFIDENCE = 0.95


def deviation(values: Any) -> float:
    """Sample standard deviation; NaN, for which figures draw no bar, of a single value."""
    return float(np.std(values, ddof=1)) if np.size(values) > 1 else float("nan")


def with_deviation(values: Any, digits: int = 1, sign: str = "±") -> str:
    """The mean and the sample standard deviation; `none` of a single value, whose spread is not known."""
    spread = f"{deviation(values):.{digits}f}" if np.size(values) > 1 else "none"
    return f"{np.mean(values):.{digits}f} {sign} {spread}"


def students_t(freedom: Any) -> Any:
    """Half width of the 95 % interval of a mean, in standard errors.

    Args:
        freedom: degrees of freedom, one less than values.
    """
    return special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)
