"""E7: how errors of products grow with the size of an array with resistive wires, and what they depend on."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.published.case import Case, Claim, Found

SIZES = (16, 32, 64, 128, 256)
OHMS = (1.0, 2.5, 5.0)
SIEMENS = (10e-6, 30e-6, 100e-6)
SLOPE = "no figure to compare with: super-linear growth with N is expected"
BATCH = 32


def quantities() -> tuple[str, ...]:
    return tuple(f"{n}|{r:g}|{g:g}" for n in SIZES for r in OHMS for g in SIEMENS)


class State:
    """One compiled program for each size."""

    def __init__(self, config: Any):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        @eqx.filter_jit
        def error(wires, n, siemens, key):
            cells, inputs = jax.random.split(key)
            g = siemens * jax.random.uniform(cells, (n, n), minval=0.1, maxval=1.0)
            v = 0.2 * jax.random.uniform(inputs, (BATCH, n))
            ideal = v @ g
            return jnp.sqrt(jnp.mean((v @ wires.effective(g) - ideal) ** 2) / jnp.mean(ideal**2))

        self.error = error


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """RMS errors of products of random cells and inputs, relative to the RMS of the products, of one size."""
    import jax.numpy as jnp

    import xbar

    found = {}
    for ohm in OHMS:
        wires = xbar.ResistiveWires(r_row=ohm, r_col=ohm)
        for siemens in SIEMENS:
            error = state.error(wires, int(part), jnp.asarray(siemens), key)
            found[f"{part}|{ohm:g}|{siemens:g}"] = float(error)
    return found


def errors(found: Found) -> np.ndarray:
    """Mean error `[size, ohm, siemens]`."""
    table = np.array([np.mean(found[name]) for name in quantities()])
    return table.reshape(len(SIZES), len(OHMS), len(SIEMENS))


def slopes(found: Found) -> np.ndarray:
    """d ln(error) / d ln(N) where the error is below 10 %, for each resistance and conductance."""
    e = errors(found)
    fits = []
    for i in range(len(OHMS)):
        for j in range(len(SIEMENS)):
            small = e[:, i, j] < 0.1
            if small.sum() > 1:
                fits.append(np.polyfit(np.log(np.array(SIZES)[small]), np.log(e[small, i, j]), 1)[0])
    return np.array(fits or [np.nan])


def collapse(found: Found) -> np.ndarray:
    """Spread of ln(error) about one curve of N^2 R G, in which all small errors should lie."""
    e = errors(found)
    x = np.log(np.array(SIZES)[:, None, None] ** 2 * np.array(OHMS)[:, None] * np.array(SIEMENS))
    small = e < 0.1
    if small.sum() < 4:
        return np.array([np.nan])
    curve = np.polyfit(x[small], np.log(e[small]), 2)
    return np.array([np.std(np.log(e[small]) - np.polyval(curve, x[small]))])


CASE = Case(
    title="resistive wires: error against size, resistance and conductance, exact solution",
    parts=tuple(map(str, SIZES)),
    quantities=quantities(),
    prepare=State,
    measure=measure,
    claims=(
        Claim("slope of ln(error) over ln(N)", "", SLOPE, slopes, 1.0, read=False, scale=1, unit=""),
        Claim(
            "spread of ln(error) about one curve of N^2 R G",
            "",
            SLOPE,
            collapse,
            high=0.2,
            read=False,
            scale=1,
            unit="",
        ),
    ),
    method=(
        "Cells uniform between a tenth and all of the on conductance, inputs uniform between 0 and 0.2 V; drivers at "
        "one end of the word lines, grounds at one end of the bit lines; the circuit is solved exactly. Errors are "
        "relative to the root mean square of the products.",
    ),
    minutes=2,
)
