"""Templates: for a refused file, a sidecar with which that very file can be read, to be corrected and copied.

Every template was tried on the file before it is shown. Which kinds fit the columns, and which units go with the magnitudes,
is a proposal and a question, never an answer.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from devices.instruments import column_guesses, sidecar
from devices.instruments.column_guesses import Table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

Attempt = Callable[[Mapping[str, Any], File], list[Trace]]
CHASES = 6  # things that a file may be asked for, one after the other
MOST = 12  # proposals that are tried
OTHERS = 2  # kinds shown beside the first
_CORRECT = "put in your value"


@dataclasses.dataclass(frozen=True)
class _Works:
    """A sidecar with which a file is read, the resulting kind of measurement, and how often more was asked for."""

    side: Mapping[str, Any]
    kind: str
    asked: int


def proposal(
    file: File, table: Table | None, side: Mapping[str, Any], error: FileError, attempt: Attempt, wanted: str | None
) -> str:
    """The sentence with the sidecar to copy; empty if none is found with which the file can be read.

    Args:
        table: the columns of the file, as far as they can be told apart. side: what its sidecar says already. error: why the
            file was refused. attempt: reads the file with a sidecar. wanted: the kind of measurement that is asked for.
    """
    found: list[_Works] = []
    seen: list[Mapping[str, Any]] = []
    start = _start(file)
    for candidate in itertools.islice(_candidates(table, side, error), MOST):
        if candidate in seen:
            continue
        seen.append(candidate)
        works = _tried(candidate, start, attempt)
        if works and len(seen) == 1 and "v_read" in error.needs.get("protocol", {}):
            works = dataclasses.replace(works, asked=1)  # columns of another kind may do without
        if works is None or wanted not in (None, works.kind) or works.kind in [other.kind for other in found]:
            continue
        if start is not file and not found and _tried(works.side, file, attempt) is None:
            break  # something is wrong further down
        found.append(works)
        if len(found) > OTHERS:
            break
    if not found:
        return ""
    found.sort(key=lambda works: works.asked)
    body = _rendered(found[0], side, table, found[1:])
    count, first = (len(table.names), table.first) if table else (0, "")
    return sidecar.example(file.path, first, count, body)


def _start(file: File) -> File:
    """The first lines of a long text, with which proposals are tried; the file itself, if it is short or no text."""
    if not file.start or len(file.data) <= len(file.head):
        return file
    start = copy.copy(file)
    start.__dict__["text"] = "\n".join(file.start) + "\n"
    return start


def _candidates(table: Table | None, side: Mapping[str, Any], error: FileError) -> Iterator[Mapping[str, Any]]:
    """First only what was asked for; then columns, units and a kind by the table's headers and numbers."""
    if error.needs:
        yield _merged(side, error.needs)
    for guess in column_guesses.guesses(table) if table else ():
        rest = {
            key: value for key, value in side.items() if key not in ("columns", "units", "kind", "pattern", "skip_rows")
        }
        yield _merged(rest, guess)


def _merged(side: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    protocol = {**side.get("protocol", {}), **more.get("protocol", {})}
    merged = {**side, **more}
    return {**merged, "protocol": protocol} if protocol else merged


def _tried(side: Mapping[str, Any], file: File, attempt: Attempt) -> _Works | None:
    """The sidecar, with what the file asks for beyond it, if the file can be read with that."""
    for asked in range(CHASES):
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                traces = attempt(side, file)
        except FileError as error:
            merged = _merged(side, error.needs)
            if not error.needs or merged == side:
                return None
            side = merged
            continue
        except Exception:  # a proposal that does not work, however it fails, is none
            return None
        return _Works(side, traces[0].kind, asked) if traces else None
    return None


def _rendered(works: _Works, before: Mapping[str, Any], table: Table | None, others: list[_Works]) -> str:
    """The sidecar as TOML, with a question where something was proposed."""
    side = works.side
    lines = [] if "kind" in side or "columns" not in side else [f'kind = "{works.kind}"']
    for key, value in side.items():
        if key not in ("protocol", "files", "starts") and value not in ({}, []):
            lines.append(f"{key} = {_toml(value)}{_question(key, side, before, table)}")
    for other in others:
        if "columns" in other.side:
            units = f", units = {_toml(other.side['units'])}" if "units" in other.side else ""
            lines.append(f'# or kind = "{other.kind}", columns = {_toml(other.side["columns"])}{units}')
    protocol = side.get("protocol", {})
    if protocol:
        lines += ["", "[protocol]"]
    for key, value in protocol.items():
        new = key not in before.get("protocol", {})
        lines.append(f"{key} = {_toml(value)}" + (f"   # [{sidecar.PROTOCOL[key]}] {_CORRECT}" if new else ""))
    return "\n".join(lines)


def _question(key: str, side: Mapping[str, Any], before: Mapping[str, Any], table: Table | None) -> str:
    """A comment on what was proposed rather than stated."""
    if side.get(key) == before.get(key):
        return ""
    if key == "columns" and table and any(table.names):
        return f'   # of {", ".join(table.names)[:200]}; "-" leaves one out'
    if key == "columns":
        return '   # "-" leaves one out'
    if key == "units" and table and len(side["units"]) == len(table.names):
        used = [k for k, column in enumerate(side.get("columns", ())) if column != "-"] or range(len(table.names))
        reach = ", ".join(f"{table.reach(k):.2g}" for k in used)
        return f"   # is that right? The largest magnitudes of those used are {reach}"
    return f"   # {_CORRECT}"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
