"""Validation of wires: possible resistances and cells, with sentences for impossible ones."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

IMPLAUSIBLE = 1e6  # ohm per segment: a micrometre of the thinnest wires has about a hundred


def real_number(value: Any) -> bool:
    """Whether `value` is one real number, of Python or NumPy; booleans do not count."""
    return isinstance(value, numbers.Real | np.integer | np.floating) and not isinstance(value, bool | np.bool_)


def ohms(name: str, value: Any) -> Array:
    """The resistance `name` of `ResistiveWires` as floating-point numbers, so that it has a derivative.

    Raises:
        TypeError: unless it is a real number, or an array of them.
    """
    if real_number(value):
        return jnp.asarray(value if isinstance(value, np.floating) else float(value))
    if isinstance(value, jax.Array | np.ndarray):
        if jnp.issubdtype(value.dtype, jnp.floating):
            return jnp.asarray(value)
        if jnp.issubdtype(value.dtype, jnp.integer):
            return jnp.asarray(value, float)
    elif not isinstance(value, str | bytes | bool | np.bool_ | complex | list | tuple | dict) and value is not None:
        return value  # what transformations put in the place of numbers
    raise TypeError(
        f"ResistiveWires: {name}={value!r} is a {type(value).__name__}; give a resistance in ohms as a number, such as "
        f"{name}=2.5."
    )


def check_resistances(**values: Any) -> None:
    """Raises ValueError for negative or infinite resistances, and warns of those that no segment has."""
    for name, value in values.items():
        if not isinstance(value, jax.Array) or isinstance(value, Tracer):
            continue
        if not np.all(np.isfinite(value)) or np.any(np.less(value, 0)):
            raise ValueError(f"ResistiveWires: {name}={value} ohm; give a finite number of 0 ohm or more.")
        if name in ("r_row", "r_col") and np.any(np.greater(value, IMPLAUSIBLE)):
            warnings.warn(
                f"ResistiveWires: {name}={value} ohm is the resistance of one segment, a cell long; segments of metal have "
                "0.1 to 1000 ohm. Is the unit right? ohm_per_cell gives values for technology nodes.",
                stacklevel=6,
            )


def checked_cells(g: Float[Array, "rows cols"], *resistances: Float[Array, ""]) -> Float[Array, "rows cols"]:
    """`g`, if all cells are finite numbers of 0 S or more and all resistances of 0 ohm or more: where they are traced, the
    computation fails otherwise.

    Raises:
        ValueError: for concrete cells that are not.
    """
    if isinstance(g, Tracer) or any(isinstance(r, Tracer) for r in resistances):
        wrong = ~jnp.all(jnp.isfinite(g) & (g >= 0))
        for r in resistances:
            wrong |= ~jnp.all(jnp.isfinite(r) & (r >= 0))
        return eqx.error_if(
            g,
            wrong,
            "ResistiveWires: a conductance of a cell, or a resistance of the wires, is negative, infinite or not a number. "
            "Give finite conductances of 0 S or more and finite resistances of 0 ohm or more.",
        )
    cells = np.asarray(g)
    wrong = ~(np.isfinite(cells) & (cells >= 0))
    if wrong.any():
        row, col = np.argwhere(wrong)[0]
        raise ValueError(
            f"ResistiveWires: the conductance g[{row}, {col}]={cells[row, col]} S; cells are finite numbers of 0 S or more "
            f"({wrong.sum()} of {cells.size} are not). Clip them, or give an open cell as 0 S."
        )
    return g
