"""Several files in one call: the same content twice, and files of one kind, format and protocol as one trace."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from devices.instruments.source import File
from devices.instruments.trace import KINDS, FileError, Flag, Trace


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A trace of one file: its format's module, and what another such file is by its sidecar (`device`, `cycle`, None)."""

    trace: Trace
    form: Any
    each_file: str | None


def mark_duplicates(parts: list[Part]) -> list[Part]:
    """The parts with a flag where files have the same content, byte for byte; all but the first are excluded."""
    if len({part.trace.source for part in parts}) < 2:
        return parts
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    twice: dict[tuple[str, ...], list[str]] = {}
    keys = {
        source: tuple(File(path, np.inf).digest for path in source) for source in {part.trace.source for part in parts}
    }
    marked = []
    for part in parts:
        source = part.trace.source
        original = first.setdefault(keys[source], source)
        if original != source:
            twice.setdefault(original, []).append(part.trace.name)
            reason = f"{part.trace.name} has the same content as {', '.join(original)}, byte for byte: it adds no data."
            part = dataclasses.replace(part, trace=part.trace.flagged(Flag("duplicate file", reason, excluded=True)))
        marked.append(part)
    return [_copied(part, twice.get(part.trace.source)) for part in marked]


def _copied(part: Part, copies: list[str] | None) -> Part:
    if not copies:
        return part
    reason = (
        f"The same content is in {'; '.join(dict.fromkeys(copies))}, left out there; one of the names may be wrong."
    )
    return dataclasses.replace(part, trace=part.trace.flagged(Flag("duplicate file", reason)))


def merged(parts: list[Part]) -> list[Trace]:
    """Traces, joined where their format allows it: by the format's own `combine`, else as devices or cycles."""
    traces: list[Trace] = []
    groups: dict[Any, list[Part]] = {}
    for part in parts:
        groups.setdefault(_family(part), []).append(part)
    for group in groups.values():
        combine = getattr(group[0].form, "combine", None)
        if combine is not None:
            traces += combine([part.trace for part in group])
        elif len(group) > 1 and getattr(group[0].form, "SEVERAL_FILES", False):
            traces.append(_joined(group))
        else:
            traces += [part.trace for part in group]
    return traces


def _family(part: Part) -> Any:
    if hasattr(part.form, "combine"):
        return part.form.NAME
    trace = part.trace
    protocol = tuple(sorted((k, repr(v)) for k, v in trace.protocol.items()))
    return part.form.NAME, trace.kind, tuple(sorted(trace.columns)), trace.unit, protocol, part.each_file


def _joined(parts: list[Part]) -> Trace:
    """One trace of all; every file adds its devices, or its cycles."""
    traces, each = [part.trace for part in parts], parts[0].each_file or "device"
    must, may = KINDS[traces[0].kind]
    if each == "cycle" and "cycle" not in must + may:
        raise FileError(f'{traces[0].name}: a {traces[0].kind} has no cycles; set each_file = "device".')
    columns = {name: np.concatenate([trace[name] for trace in traces]) for name in traces[0].columns}
    lengths = [len(trace) for trace in traces]
    counts = [int(t[each].max()) + 1 if each in t and len(t) else 1 for t in traces]
    offset = np.repeat(np.cumsum([0, *counts[:-1]]), lengths)
    columns[each] = columns.get(each, np.zeros(sum(lengths))) + offset
    labels = _labels(traces) if each == "device" else traces[0].labels
    flags = _flags(traces, lengths)
    if parts[0].each_file is None:
        reason = (
            f'Each of {len(traces)} files was taken as another device; `each_file = "cycle"` in a sidecar changes that.'
        )
        flags.append(Flag("assumed devices", reason))
    sources = tuple(source for trace in traces for source in trace.source)
    return dataclasses.replace(traces[0], columns=columns, source=sources, labels=labels, flags=tuple(flags))


def _labels(traces: list[Trace]) -> tuple[str, ...]:
    labels = [label for trace in traces for label in trace.labels]
    if len(set(labels)) == len(labels):
        return tuple(labels)
    return tuple(f"{pathlib.Path(trace.source[0]).parent.name}/{label}" for trace in traces for label in trace.labels)


def _flags(traces: list[Trace], lengths: list[int]) -> list[Flag]:
    """Flags with their rows in the joined trace; a flag without rows that all have appears once."""
    starts = np.cumsum([0, *lengths[:-1]])
    flags: list[Flag] = []
    for trace, start, length in zip(traces, starts, lengths, strict=True):
        for flag in trace.flags:
            shared = len(flag.rows) == 0 and all(
                (flag.name, flag.reason) in [(f.name, f.reason) for f in t.flags] for t in traces
            )
            if shared and trace is not traces[0]:
                continue
            rows = flag.rows if shared else (flag.rows if len(flag.rows) else np.arange(length)) + start
            flags.append(dataclasses.replace(flag, rows=rows))
    return flags
