"""How many ohms a cell's length of wire has, from the process."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xbar.macro.wires.wire_checks import real_number

# NeuroSim's table of wires (DNN_NeuroSim V1.4, Param.cpp): half pitch [nm], effective resistivity [nohm m], height over width
WIRES = np.array(
    [
        (15, 49.8, 2.0), (20, 41.7, 2.0), (22, 39.5, 2.0), (32, 32.5, 2.0), (40, 29.7, 1.9), (56, 26.3, 1.8), (80, 23.7, 1.7),
        (105, 22.1, 1.7), (110, 22.0, 1.6), (175, 20.1, 1.6),
    ]
)  # fmt: skip
# the same: the wires' half pitch at a node, both [nm]
HALF_PITCH = {130: 175, 90: 110, 65: 105, 45: 80, 32: 56, 22: 40, 14: 32, 10: 22, 7: 20, 5: 15}
# the same: cell lengths along the word line and along the bit line, in half pitches
CELLS = {"1T1R": (12.0, 4.0), "crosspoint": (2.0, 2.0)}


def ohm_per_cell(node: Any = None, *, half_pitch: Any = None, cell: Any = "1T1R") -> tuple[float, float]:
    """Resistance of a word-line and of a bit-line segment, one cell long [ohm]: `r_row` and `r_col` of `ResistiveWires`.

    $$ r = \\frac{\\rho\\, l}{w^2 a}, \\qquad l = n w $$

    with w the half pitch, rho the effective resistivity of a wire of that width (surface and grain-boundary scattering
    included), a its height over its width, and n the cell's length in half pitches. Between the half pitches of the
    table rho and a are interpolated in the logarithm of w.

    Args:
        node: technology node [m], one of 5, 7, 10, 14, 22, 32, 45, 65, 90 and 130 nm (22e-9).
        half_pitch: w [m] instead, from 15e-9 to 175e-9.
        cell: "1T1R" (12 x 4 half pitches), "crosspoint" (2 x 2), or lengths along word line and bit line in half pitches.

    Raises:
        ValueError: unless one of node and half_pitch is given, within the table; for an unknown cell. TypeError: for lengths
            that are not numbers.

    Reference: tables of DNN_NeuroSim V1.4 (Param.cpp). At 22 nm: 9.8 ohm/um, 1T1R 4.7 and 1.6 ohm, crosspoint 0.8 ohm.

    Breaks when: the liner matters (NeuroSim means to subtract it from the width, which at 22 nm adds 19 %, but an error
    in its units leaves it out); the lines are of another metal, or strapped in an upper layer.
    """
    if (node is None) == (half_pitch is None):
        raise ValueError("ohm_per_cell: give either node= or half_pitch=, in metres (22 nm is 22e-9).")
    for name, value in (("node", node), ("half_pitch", half_pitch)):
        if value is not None and not real_number(value):
            raise TypeError(
                f"ohm_per_cell: {name}={value!r} is a {type(value).__name__}; give one number in metres, "
                f"for example {name}=22e-9."
            )
    width = _half_pitch_of(node) if node is not None else float(half_pitch or 0) * 1e9
    if not 15 - 1e-6 <= width <= 175 + 1e-6:
        raise ValueError(
            f"ohm_per_cell: half_pitch={half_pitch} m is outside the table, 15e-9 .. 175e-9 m{_in_metres(half_pitch)}."
        )
    along, across = _lengths(cell)
    resistivity, aspect = (np.interp(np.log(width), np.log(WIRES[:, 0]), WIRES[:, k]) for k in (1, 2))
    square = float(resistivity / (width * aspect))  # nohm m / nm = ohm: of a wire as long as it is wide
    return along * square, across * square


def _half_pitch_of(node: Any) -> float:
    """Half pitch at a technology node [m], in nm."""
    nanometres = round(node * 1e9) if math.isfinite(node) else 0
    if nanometres not in HALF_PITCH or abs(node * 1e9 - nanometres) > 1e-3:
        raise ValueError(
            f"ohm_per_cell: node={node} m is not in the table (5, 7, 10, 14, 22, 32, 45, 65, 90, 130 nm; 22 nm is "
            f"22e-9){_in_metres(node)}. Give half_pitch= of the wires instead."
        )
    return float(HALF_PITCH[nanometres])


def _in_metres(value: Any) -> str:
    """What to say of a length that looks like nanometres."""
    return f"; for {value} nm write {value}e-9" if value is not None and 1 <= value <= 1000 else ""


def _lengths(cell: Any) -> tuple[float, float]:
    """Lengths of a cell along word line and bit line, in half pitches."""
    if isinstance(cell, str) and cell in CELLS:
        return CELLS[cell]
    if (
        not isinstance(cell, tuple | list)
        or len(cell) != 2
        or not all(real_number(x) and 0 < x < math.inf for x in cell)
    ):
        raise ValueError(
            f"ohm_per_cell: cell={cell!r} must be {', '.join(map(repr, CELLS))}, or two lengths in half pitches above "
            "0, such as (12, 4)."
        )
    return float(cell[0]), float(cell[1])
