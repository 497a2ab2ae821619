"""Many runs of one experiment: every combination of settings, computed by one pool of workers, in one table."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import itertools
import json
import math
import pathlib
import re
import shlex
import statistics
import textwrap
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from experiments.framework import plain_json, report
from experiments.framework.errors import UsageError
from experiments.framework.files import write_text

if TYPE_CHECKING:
    from experiments.framework.experiment import Source
    from experiments.framework.runner import Outcome

MOST = 10_000
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
ACROSS = 5  # numbers side by side in a terminal


def expand(flags: Iterable[str]) -> list[str]:
    """Flags with `0..4` written out as `0 1 2 3 4`."""
    return [value for flag in flags for value in _expanded(flag)]


def _expanded(flag: str) -> list[str]:
    found = _RANGE.fullmatch(flag)
    if not found:
        return [flag]
    first, last = map(int, found.groups())
    if not 0 <= last - first < MOST:
        raise UsageError(f"{flag}: give a range of at most {MOST} numbers, the smaller one first.")
    return [str(i) for i in range(first, last + 1)]


def swept_config(config: type) -> type:
    """The settings of a sweep: a tuple of values for each setting that is a single value in a run."""
    hints = typing.get_type_hints(config, include_extras=True)
    said = _explanations(config)
    fields = [_swept_field(field, hints[field.name], said.get(field.name)) for field in dataclasses.fields(config)]
    return dataclasses.make_dataclass("Config", fields, frozen=True)


def _explanations(config: type) -> dict[str, str]:
    """The docstrings of the fields of a class and its base classes, by name."""
    said: dict[str, str] = {}
    for one in reversed(config.__mro__):
        said |= _explained_in(one)
    return said


def _explained_in(config: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(config)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body: list[Any] = getattr(tree.body[0], "body", [])
    return {
        field.target.id: inspect.cleandoc(str(text.value.value))
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(field.target, ast.Name)
    }


def _swept_field(field: dataclasses.Field, hint: Any, said: str | None) -> tuple[str, Any, Any]:
    import tyro

    base, *more = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
    more.append(tyro.conf.arg(help=said))
    if _holds_several(base) or field.default is dataclasses.MISSING:
        return (field.name, Annotated[base, *more], field)
    return (field.name, Annotated[tuple[base, ...], *more], dataclasses.field(default=(field.default,)))


def combinations(config: type, values: Any) -> tuple[tuple[str, ...], list[Any]]:
    """The settings that take several values, and the settings of every run.

    Raises:
        UsageError: for a setting without a value, or with the same value twice; for more than 10000 runs.
    """
    given = {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    single = [name for name in given if isinstance(given[name], tuple) and not _many(config, name)]
    for name in single:
        if not given[name] or len(set(given[name])) != len(given[name]):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} {' '.join(map(str, given[name]))}: give one or more different values.")
    count = math.prod(len(given[name]) for name in single)
    if count > MOST:
        raise UsageError(f"a sweep of {count} runs; at most {MOST} are allowed. Give fewer values.")
    grid = itertools.product(*(given[name] for name in single))
    runs = [config(**given | dict(zip(single, at, strict=True))) for at in grid]
    return tuple(name for name in single if len(given[name]) > 1), runs


def _many(config: type, name: str) -> bool:
    return _holds_several(typing.get_type_hints(config)[name])


def _holds_several(hint: Any) -> bool:
    """Whether a setting is a list of values in a single run, or None."""
    return any(typing.get_origin(h) is tuple for h in (hint, *typing.get_args(hint)))


def numbers(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a summary; those inside another mapping are called `outer.inner`."""
    found: dict[str, float] = {}
    for name, value in summary.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = float(value)
    return found


@dataclasses.dataclass(frozen=True)
class Row:
    """Runs that differ only in their seed: the numbers of each."""

    settings: dict[str, Any]
    runs: list[dict[str, float]]

    def shown(self, name: str) -> str:
        """Mean and standard deviation over the seeds for which a number is known, with how many these are unless it is all."""
        known = [run[name] for run in self.runs if math.isfinite(run.get(name, math.nan))]
        if not known:
            return "-"
        spread = f" +- {statistics.stdev(known):.2g}" if len(known) > 1 else ""
        few = f" (n={len(known)})" if len(known) < len(self.runs) else ""
        return f"{statistics.fmean(known):.4g}{spread}{few}"


def rows(swept: Sequence[str], configs: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each combination of the swept settings, seeds aside."""
    found: dict[tuple[Any, ...], Row] = {}
    for config, outcome in zip(configs, outcomes, strict=True):
        settings = {name: getattr(config, name) for name in swept if name != "seed"}
        row = found.setdefault(tuple(settings.values()), Row(settings, []))
        row.runs.append(numbers(outcome.presentation.summary))
    return list(found.values())


def text(table: Sequence[Row], seeds: int) -> str:
    """The table for a terminal: a few numbers side by side, several tables where there are more."""
    names = list(dict.fromkeys(name for row in table for run in row.runs for name in run))
    blocks = []
    for start in range(0, len(names), ACROSS):
        shown = names[start : start + ACROSS]
        head = [*table[0].settings, *shown]
        blocks.append(_aligned([head, *([*map(str, r.settings.values()), *map(r.shown, shown)] for r in table)]))
    note = f"mean +- standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    if any("(n=" in block for block in blocks):
        note += "; n: how many of them have the number"
    return "\n\n".join([*blocks, note]) if blocks else "The experiment has no numbers in its summary."


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def publish(
    source: Source,
    title: str,
    swept: Sequence[str],
    configs: Sequence[Any],
    outcomes: Sequence[Outcome],
    out: pathlib.Path,
) -> tuple[str, dict[str, Any], pathlib.Path]:
    """Writes a folder for the sweep, and returns its table, its machine-readable form, and the folder."""
    table = rows(swept, configs, outcomes)
    shown = text(table, len({c.seed for c in configs}))
    runs = [
        {
            "settings": {n: getattr(c, n) for n in swept},
            "folder": str(o.folder),
            "summary": o.presentation.summary,
        }
        for c, o in zip(configs, outcomes, strict=True)
    ]
    document = {"experiment": source.name, "swept": list(swept), "runs": runs}
    identity = json.dumps([dataclasses.asdict(c) for c in configs], default=str).encode()
    folder = out / "sweeps" / f"{source.name}-{hashlib.sha256(identity).hexdigest()[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "sweep.json", plain_json.text(document, indent=1))
    write_text(folder / "table.csv", _csv(swept, configs, outcomes))
    write_text(
        folder / "report.html",
        report.sweep_page(title, shlex.join(["xbar", "sweep", source.asked_for]), shown, runs, folder),
    )
    return shown, document, folder


def _csv(swept: Sequence[str], configs: Sequence[Any], outcomes: Sequence[Outcome]) -> str:
    """One line per run: settings, then numbers."""
    import csv
    import io

    found = [numbers(o.presentation.summary) for o in outcomes]
    names = list(dict.fromkeys(n for one in found for n in one))
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow([*swept, *names, "folder"])
    for config, one, outcome in zip(configs, found, outcomes, strict=True):
        writer.writerow([*(getattr(config, n) for n in swept), *(_cell(one.get(n)) for n in names), outcome.folder])
    return sheet.getvalue()


def _cell(value: float | None) -> float | str:
    """An unknown number is an empty cell."""
    return "" if value is None or not math.isfinite(value) else value
