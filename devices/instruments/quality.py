"""`inspect`: what is wrong with the data of a trace, as flags with rows and numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from devices.instruments import quality_iv, quality_reads
from devices.instruments.trace import KINDS, FileError, Flag, Trace

Check = Callable[[Trace], list[Flag]]


def missing(trace: Trace) -> list[Flag]:
    """Rows in which a needed value is missing or infinite; excluded.

    Raises:
        FileError: if that is all of them.
    """
    must, _ = KINDS[trace.kind]
    bad = ~np.all([np.isfinite(trace[name]) for name in must], axis=0)
    if bad.all():
        count = {name: int((~np.isfinite(trace[name])).sum()) for name in must}
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


CHECKS: tuple[Check, ...] = (missing, *quality_iv.CHECKS, *quality_reads.CHECKS)


def inspect(trace: Trace) -> Trace:
    """The trace with a flag for everything that looks wrong; only rows that are certainly not the device's are excluded.

    Raises:
        FileError: if no row is usable, or voltage and current are swapped.
    """
    for check in CHECKS:
        if trace.good.any():  # nothing is left of the copy of another file
            trace = trace.flagged(*check(trace))
    return trace
