"""Two files of one experiment: the cells before a bake (or a wait), and the same cells after it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np

from devices.instruments.trace import FileError, Flag, Trace

BEFORE = "before|pre|prior|initial|fresh|start|vor|vorher|avant|antes|前"
AFTER = "after|post|final|baked|bake|aged|end|nach|nachher|apres|despues|后|後"


@dataclasses.dataclass(frozen=True)
class Pair:
    """Which of two files are the starts, and why."""

    before: pathlib.Path
    after: pathlib.Path
    flag: Flag


def pair(traces: Sequence[Trace], by_name_only: bool) -> Pair | None:
    """The pair that two traces form, if they do: reads of the same cells, once each in one of the files; which of them
    came first is decided by their names, else by the order in which they were given.

    Args:
        by_name_only: whether their order means nothing, because they come from a folder.
    """
    if len(traces) != 2 or any(t.kind not in ("noise", "retention") or len(t.source) != 1 for t in traces):
        return None
    if len(traces[0].labels) < 2 or not _shared(traces[0].labels, traces[1].labels):
        return None
    order, why = list(traces), "they were given in this order"
    ways = [_way(trace) for trace in traces]
    if ways[0] != ways[1] and 0 not in ways:
        why = "their names say so"
        order.sort(key=lambda trace: _way(trace))
    elif by_name_only:
        return None
    first = order[0]
    if len(np.unique(first["device"])) != len(first):
        return None
    before, after = (pathlib.Path(trace.source[0]) for trace in order)
    reason = (
        f"{before.name} holds one read of each cell, {after.name} reads of the same cells: "
        "taken as before and after, because "
        f"{why}; "
        f'`start = "{before.name}"` in {after.name}.toml makes this explicit.'
    )
    return Pair(before, after, Flag("assumed start", reason))


def _shared(one: Sequence[str], other: Sequence[str]) -> bool:
    return len(set(one) & set(other)) > 0.5 * min(len(one), len(other))


def _way(trace: Trace) -> int:
    """-1 if the name of a file says before, 1 if it says after, else 0."""
    words = re.findall(r"[^\W\d_]+", pathlib.Path(trace.source[0]).name.split(".")[0].lower())
    said = {way for way, pattern in ((-1, BEFORE), (1, AFTER)) for word in words if re.fullmatch(pattern, word)}
    return {frozenset({-1}): -1, frozenset({1}): 1, frozenset({-1, 1}): -1}.get(frozenset(said), 0)


def starts(traces: Sequence[Trace], path: pathlib.Path) -> Mapping[str, float]:
    """Conductance [S] of each cell of a file of starts, by its label.

    Raises:
        FileError: if the file has no conductances, or several reads of a cell.
    """
    trace = traces[0]
    if len(traces) != 1 or "g" not in trace:
        raise FileError(
            f"{path} should hold the initial states of cells, but is a {trace.kind}: it needs a read of each cell."
        )
    device = trace["device"].astype(int)
    if len(np.unique(device)) != len(device):
        raise FileError(
            f"{path} should hold the initial states of cells, but {len(device) - len(np.unique(device))} of its {len(device)} "
            "reads are further reads of the same cells; keep one of each."
        )
    return {trace.labels[d]: float(g) for d, g in zip(device, trace["g"], strict=True)}
