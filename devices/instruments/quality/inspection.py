"""`inspect`: suspicious data of a trace, as flags with rows and numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from devices.instruments.quality import completeness, iv_checks, read_checks
from devices.instruments.trace import KINDS, OVERFLOW, UNITS, FileError, Flag, Trace

Check = Callable[[Trace], list[Flag]]


def measured(trace: Trace) -> Trace:
    """The trace without the numbers that instruments write for no reading (9.9e37): these are missing values.

    So are infinite ones. Numbers that are nearer to zero than any reading (below 1e-30 in SI units) are zero.
    """
    trace = dataclasses.replace(trace, columns={n: _tidy(x, UNITS[n]) for n, x in trace.columns.items()})
    odd = {}
    for name, values in trace.columns.items():
        over = np.abs(values) > OVERFLOW
        if UNITS[name] == "S" and trace.unit == "S":
            over |= (values != 0) & (np.abs(values) < 1 / OVERFLOW)  # the inverse of such a resistance
        if (over & np.isfinite(values)).any():
            odd[name] = over
    if not odd:
        return trace
    columns = {n: np.where(odd[n], np.nan, x) if n in odd else x for n, x in trace.columns.items()}
    counts = ", ".join(f"{int(rows.sum())} of {name}" for name, rows in odd.items())
    rows = np.flatnonzero(np.any(list(odd.values()), axis=0))
    reason = f"{counts} are the instrument's overflow (9.9e37 or the like), not readings: taken as missing."
    return dataclasses.replace(trace, columns=columns).flagged(Flag("overflow", reason, rows))


def _tidy(values: np.ndarray, unit: str) -> np.ndarray:
    values = np.where(np.isinf(values), np.nan, values)
    return np.where(np.abs(values) < 1 / OVERFLOW, 0.0, values) if unit != "S" else values


def missing(trace: Trace) -> list[Flag]:
    """Rows in which a needed value is missing or infinite; excluded.

    Raises:
        FileError: if that is all of them.
    """
    must, _ = KINDS[trace.kind]
    bad = ~np.all([np.isfinite(trace[name]) for name in must], axis=0)
    if bad.all():
        count = ", ".join(f"{int((~np.isfinite(trace[name])).sum())} of {name}" for name in must)
        raise FileError(
            f"{trace.name}: no row of {len(trace)} has finite values of {', '.join(must)} (missing: {count}); are the columns "
            "right, and did the instrument measure at all?"
        )
    if not bad.any():
        return []
    rows = np.flatnonzero(bad)
    return [
        Flag("missing values", f"{len(rows)} of {len(trace)} rows have no finite value (#REF, NaN, empty).", rows, True)
    ]


CHECKS: tuple[Check, ...] = (missing, *iv_checks.CHECKS, *read_checks.CHECKS, completeness.missing_reads)


def inspect(trace: Trace) -> Trace:
    """The trace with a flag for everything that looks wrong; only rows that are certainly not the device's are excluded.

    Raises:
        FileError: if no row is usable, or voltage and current are swapped.
    """
    trace = measured(trace)
    for check in CHECKS:
        if trace.good.any():  # nothing is left of the copy of another file
            trace = trace.flagged(*check(trace))
    return trace
