"""A run as stored in its folder: settings, versions, results with their checksums, how far it has progressed."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
import shlex
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source, identity
from experiments.framework.known_experiments import EXPERIMENTS
from experiments.framework.memory import check_memory
from experiments.framework.seal import is_whole
from experiments.framework.store import Dimension, Layout, Results, Variable, own

_BOOKKEEPING = ("finished", "sha256")  # what a file holds besides the experiment's variables


@dataclasses.dataclass(frozen=True)
class SavedRun:
    """What is known about a run without its experiment. `summary`: its key numbers, None if it never finished."""

    folder: pathlib.Path
    config: dict[str, Any]
    versions: dict[str, str]
    results: Results
    summary: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Name of the experiment: its runs are in a folder of that name."""
        return self.folder.resolve().parent.name

    @property
    def date(self) -> str:
        """When it began, as the folder says (UTC)."""
        return began(self.folder)

    @property
    def points(self) -> tuple[int, int]:
        """How many points are computed, and how many there are."""
        return int(self.results.finished.sum()), self.results.finished.size

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be stated wherever its numbers are shown."""
        done, total = self.points
        if done == total:
            return ()
        return (f"{self.folder} is unfinished: {done} of {total} points. The command that made it resumes from there.",)


def began(folder: pathlib.Path) -> str:
    """The time in the name of a run's folder (UTC), or ""."""
    found = re.match(r"\d{8}T\d{6}Z", folder.resolve().name)
    return f"{datetime.datetime.strptime(found[0], '%Y%m%dT%H%M%SZ'):%Y-%m-%d %H:%M:%S}" if found else ""


def is_run(path: pathlib.Path) -> bool:
    """Whether a path is a run's folder, or the file of its results."""
    return (path.is_dir() and (path / "config.json").is_file()) or (path.is_file() and path.suffix == ".h5")


def read_run(path: pathlib.Path) -> SavedRun:
    """The run in a folder, or in the folder of a `results.h5`.

    Raises:
        UsageError: if there is none, if it has not finished a point, or if one of its files is damaged.
    """
    if not path.exists():
        raise UsageError(
            f"{path} does not exist. Give the folder of a run, such as results/ir-drop/20260101T120000Z-0."
        )
    if not is_run(path):
        raise UsageError(
            f"{path} is not a run: it has no config.json. Give the folder of a run, as `xbar run` prints it."
        )
    folder = path if path.is_dir() else path.parent
    file = folder / "results.h5" if path.is_dir() else path
    config, versions = (read_json(folder / name) for name in ("config.json", "versions.json"))
    if not file.exists():
        raise UsageError(
            f"{folder} is unfinished: no point of it is computed yet. The command that made it resumes there."
        )
    summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else None
    return SavedRun(folder, config, versions, Results.load(file, layout_of(file)), summary)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UsageError: if it cannot be read or is something else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}). Move its folder away, or run the experiment again."
        ) from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} does not hold a JSON object. Move its folder away, or run the experiment again.")
    return found


def layout_of(path: pathlib.Path) -> Layout:
    """The axes and variables that a file of results describes, as dimension scales and attributes.

    Raises:
        UsageError: if it is not as it was written, not a results file, or too large for the memory.
    """
    check_whole(path)
    try:
        with h5py.File(path) as file:
            names = [str(n) for n in file if isinstance(file.get(n, getlink=True), h5py.HardLink)]
            sets = {n: own(file, n) for n in names}
            axes = {n: _dimension(s) for n, s in sets.items() if s.is_scale}
            variables = {
                n: Variable(_dims(s), _text(s, "long_name"), _text(s, "units"))
                for n, s in sets.items()
                if not s.is_scale and n not in _BOOKKEEPING
            }
            order = dict.fromkeys(d for v in variables.values() for d in v.dims)  # in the order of the experiment
            layout = Layout(
                {d: axes[d] for d in (*order, *(axes.keys() - order))}, variables, _dims(own(file, "finished"))
            )
            needs = {name: 2.0 * layout.size(name) for name in variables}
    except Exception as error:  # h5py raises whatever HDF5 makes of damaged bytes
        raise UsageError(f"{path} is damaged or not a results file ({error}). Run the experiment again.") from error
    check_memory(needs, f"{path} is larger than any run here could write.")
    return layout


def check_whole(path: pathlib.Path) -> None:
    """Refuses a file of results that is not as it was written.

    Raises:
        UsageError: if it cannot be read, or does not match its checksum.
    """
    try:
        whole = is_whole(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    if not whole:
        raise UsageError(
            f"{path} is damaged, or of an earlier version: it does not end with its checksum. The command "
            "that made the run keeps the points that are intact and computes the others again."
        )


def _dimension(scale: h5py.Dataset) -> Dimension:
    values = scale.asstr()[()] if h5py.check_string_dtype(scale.dtype) else scale[()]
    return Dimension(tuple(np.ravel(values).tolist()), _text(scale, "long_name"), _text(scale, "units"))


def _dims(dataset: h5py.Dataset) -> tuple[str, ...]:
    return tuple(str(axis[0].name).lstrip("/") for axis in dataset.dims)


def _text(dataset: h5py.Dataset, name: str) -> str:
    found = dataset.attrs[name]
    return found.decode() if isinstance(found, bytes) else str(found)


def source_of(run: SavedRun, trusted: Sequence[pathlib.Path]) -> Source:
    """The experiment that made a run, and nothing else that its folder names: a folder may come from anybody.

    Args:
        trusted: Python files that the user has named, which may be run.

    Raises:
        UsageError: if it is not one of ours, and not a trusted file that is as it was; if a setting names another Python file.
    """
    named = [text for text in _texts(run.config) if text.endswith(".py")]  # a network
    for name in named:
        if pathlib.Path(name).resolve() not in [file.resolve() for file in trusted]:
            raise UsageError(_untrusted(run, name))
    if run.name in EXPERIMENTS:
        return Source(run.name, module=EXPERIMENTS[run.name][0])
    recorded = [key for key in run.versions if key.endswith(".py") and pathlib.Path(key).stem == run.name]
    if not recorded:
        raise UsageError(
            f"{run.folder}: there is no experiment {run.name!r}, and the run does not name a file of your own."
        )
    given = [file for file in trusted if file.stem == run.name]
    if not given:
        raise UsageError(_untrusted(run, recorded[0]))
    source = Source.of_file(str(given[0]))
    text, *_ = source.inputs.values()
    changed = [] if text in [run.versions[key] for key in recorded] else [str(given[0])]
    changed += [name for name, found in source.beside if run.versions.get(name) != found]
    if changed:
        raise UsageError(f"{run.folder}: {', '.join(changed)} changed since the run. Run the experiment again.")
    return source


def _untrusted(run: SavedRun, name: str) -> str:
    return (
        f"{run.folder} was made with the Python file {name}, which is not run unless you name it, as a folder may come from "
        f"anybody. If the file is yours, add --source {shlex.quote(name)}."
    )


def _texts(value: Any) -> Iterator[str]:
    """All texts in the settings of a run."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def check_files(run: SavedRun, module: Any, config: Any) -> None:
    """Refuses to show a run by files that are not those that it was made with: its numbers are those of the old ones.

    Raises:
        UsageError: naming a file whose hash is not that of the run.
    """
    try:
        files = identity(Source(run.name), module, config)
    except (UsageError, OSError):
        return  # a file is not here any more
    if changed := [name for name, found in files.items() if run.versions.get(name, found) != found]:
        raise UsageError(f"{run.folder}: {', '.join(changed)} changed since the run. Run the experiment again.")


def settings_of(module: Any, run: SavedRun) -> Any:
    """The settings of a run, as its experiment takes them.

    Raises:
        UsageError: if the experiment has different settings by now.
    """
    known = {field.name for field in dataclasses.fields(module.Config)}
    if known != run.config.keys():
        changed = ", ".join(sorted(known ^ run.config.keys()))
        raise UsageError(f"{run.folder} was made by another version of {run.name}, whose settings differ in {changed}.")
    hints = typing.get_type_hints(module.Config)
    return module.Config(**{name: _typed(value, hints[name]) for name, value in run.config.items()})


def _typed(value: Any, hint: Any) -> Any:
    """A value from JSON, with tuples where they belong."""
    if isinstance(value, list):
        return tuple(_typed(item, None) for item in value)
    if isinstance(value, dict) and dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{name: _typed(item, hints.get(name)) for name, item in value.items()})
    return value
