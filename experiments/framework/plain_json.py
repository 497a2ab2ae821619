"""JSON that every program reads: null for numbers that are unknown or infinite."""

from __future__ import annotations

import json
import math
from typing import Any

from experiments.framework.files import printable


def finite(value: Any) -> Any:
    """With null for what is not a number in JSON, and without bytes of file names that are not UTF-8."""
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, str):
        return printable(value)
    if hasattr(value, "tolist"):  # an array, or a number of NumPy or JAX
        return finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text(value: Any, indent: int | None = None) -> str:
    """A JSON document; what JSON does not know is its text."""
    return json.dumps(finite(value), indent=indent, default=str, allow_nan=False)
