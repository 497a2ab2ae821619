"""What an experiment is: a module, one of ours or a file of your own (`xbar run ./mine.py`).

@dataclasses.dataclass(frozen=True)
class Config:                     # every field becomes a typed flag of `xbar run NAME`; `seed` is one of them
    seed: int = 0
    noise: tuple[float, ...] = (0.0, 0.1)

TITLE = "What it shows"
def layout(config): ...           # -> store.Layout: axes, variables, which axes make a point
def compute(config, state, point): ...   # -> {variable: values without the point's axes}; may fill others too
def present(config, results): ... # -> Presentation

Optional:
def check(config): ...            # raises UsageError if a setting is invalid
def inputs(config): ...           # -> {file: hash}: what identifies a run besides settings and the device files they name
def memory(config): ...           # -> {what for: bytes}: memory of a point, besides its results
def prepare(config): ...          # -> anything: data, trained networks; called only if a point is missing, once per worker
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from experiments.framework import own_code
from experiments.framework.errors import UsageError
from experiments.framework.files import hash_of
from experiments.framework.store import Layout, Results

REQUIRED = ("Config", "TITLE", "layout", "compute", "present")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the report, which a click on a heading sorts.

    Args:
        title: what it shows, with units. heads: of the columns. rows: of cells; each is a text, a number, or `(number, text)`,
            which is sorted by the number and shown as the text.
        note: a sentence below it.

    Raises:
        ValueError: for a row whose number of cells is not the number of heads.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def __post_init__(self):
        for row in self.rows:
            if len(row) != len(self.heads):
                raise ValueError(
                    f"Table {self.title!r}: a row of {len(row)} cells under {len(self.heads)} heads: {row}"
                )


@dataclasses.dataclass(frozen=True)
class Presentation:
    """What the user sees of a run.

    Args:
        text: the terminal's tables and sentences. figures: matplotlib figures by file name.
        method: paragraphs for the report: what was done, under which assumptions.
        summary: a few numbers for `--json`, and the columns of a sweep's table.
        answer: what the run found, in a sentence or two. captions: of the figures, by name.
        tables: of the report, instead of `text`.
        warnings: what weakens the result: parts that were never measured, extrapolation, searches that did not converge.
        energy: assumptions of the energy model. cite: BibTeX of what was used.
    """

    text: str
    figures: dict[str, Any]
    method: tuple[str, ...]
    summary: dict[str, Any]
    answer: str = ""
    captions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    energy: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()


class Experiment(Protocol):
    """What a module must have; see above."""

    Config: type
    TITLE: str
    layout: Callable[[Any], Layout]
    compute: Callable[[Any, Any, dict], dict[str, Any]]
    present: Callable[[Any, Results], Presentation]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an experiment comes from; it can be sent to another machine.

    Args:
        name: what its folder is called. module: its name, for one that is installed. path, text: of a user's own file.
            beside: names and hashes of the files that it imports from its folder.
    """

    name: str
    module: str = ""
    path: str = ""
    text: str = ""
    beside: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_file(cls, path: str) -> Source:
        """A user's file.

        Raises:
            UsageError: if it cannot be read.
        """
        file = pathlib.Path(path)
        try:
            text = file.read_text(encoding="utf-8")
            beside = own_code.neighbours(file, text)
            return cls(file.stem, path=str(file.resolve()), text=text, beside=tuple(beside.items()))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read ({error}).") from error

    @property
    def asked_for(self) -> str:
        """What `xbar run` is given: the path of a user's file, or a name."""
        return self.path or self.name

    @property
    def inputs(self) -> dict[str, str]:
        """What identifies a run of a user's file: hashes of its content, and of the files that it imports from its folder."""
        return (
            {self.path: hashlib.sha256(self.text.encode()).hexdigest()[:12], **dict(self.beside)} if self.path else {}
        )

    def load(self) -> Any:
        """The module.

        Raises:
            UsageError: if a user's file fails, or lacks what an experiment has.
        """
        found = self._run_file() if self.path else importlib.import_module(self.module)
        missing = [name for name in REQUIRED if not hasattr(found, name)]
        if missing:
            raise UsageError(f"{self.path or self.module}: has no {', '.join(missing)}; {_HINT}")
        fields = dataclasses.fields(found.Config) if dataclasses.is_dataclass(found.Config) else ()
        if not any(field.name == "seed" for field in fields):
            raise UsageError(
                f"{self.path or self.module}: Config is not a dataclass with a field `seed: int = 0`; {_HINT}"
            )
        return found

    def _run_file(self) -> types.ModuleType:
        known = f"xbar_experiment_{hashlib.sha256(repr(self.inputs).encode()).hexdigest()[:12]}"
        if known in sys.modules:
            return sys.modules[known]
        file = pathlib.Path(self.path)
        if (found := own_code.neighbours(file, self.text)) != dict(self.beside):
            changed = ", ".join(sorted({name for name, _ in found.items() ^ set(self.beside)}))
            raise UsageError(f"{self.path}: {changed} beside it changed since the run began. Run it again.")
        module = types.ModuleType(known)
        module.__file__ = self.path
        sys.modules[known] = module  # dataclasses look their module up
        own_code.let_import(file, self.text)
        try:
            exec(compile(self.text, self.path, "exec"), module.__dict__)
        except Exception as error:
            del sys.modules[known]
            line = _line(error, self.path)
            raise UsageError(f"{self.path}{line}: {type(error).__name__}: {error}") from error
        return module


def identity(source: Source, module: Any, config: Any) -> dict[str, str]:
    """Hashes of all files that a run depends on: the user's own experiment, device files that its settings name, and what
    the experiment itself lists as `inputs`."""
    return source.inputs | _device_files(config) | getattr(module, "inputs", lambda config: {})(config)


def _device_files(config: Any) -> dict[str, str]:
    values = (getattr(config, field.name) for field in dataclasses.fields(config))
    named = (v for value in values for v in (value if isinstance(value, tuple) else (value,)))
    files = [pathlib.Path(v) for v in named if isinstance(v, str) and v.endswith(".toml")]
    return {str(file): hash_of(file) for file in files if file.is_file()}


_HINT = "see experiments/framework/experiment.py, or `xbar run --help`."


def _line(error: Exception, path: str) -> str:
    """Where in a file an error came from, as ", line N"."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f", line {error.lineno}"
    at, line = error.__traceback__, None
    while at:
        line = at.tb_lineno if at.tb_frame.f_code.co_filename == path else line
        at = at.tb_next
    return f", line {line}" if line else ""
