"""Runs an experiment: a folder, its points one by one, figures and a report.

An experiment is a module:

    @dataclasses.dataclass(frozen=True)
    class Config:                     # every field becomes a typed flag of `xbar run NAME`; `seed` is one of them
        seed: int = 0
        noise: tuple[float, ...] = (0.0, 0.1)

    TITLE = "What it shows"
    def check(config): ...            # raises UsageError for settings that cannot be
    def layout(config): ...           # -> store.Layout: axes, variables, which axes make a point
    def inputs(config): ...           # optional -> {file: hash}: what else a run belongs to, beside its settings
    def prepare(config): ...          # -> anything: data, trained networks; called only if a point is missing
    def compute(config, state, point): ...   # -> {variable: values without the point's axes}; may fill others too
    def present(config, results): ... # -> Presentation

Points are stored as they finish. The same command finds the unfinished folder of the same settings and versions and goes on
there; other settings get another folder.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Protocol

from experiments.framework.store import Layout, Results


@dataclasses.dataclass(frozen=True)
class Presentation:
    """What people look at.

    Args:
        text: the terminal's tables and sentences. figures: matplotlib figures by file name.
        method: paragraphs for the report: what was done, under which assumptions.
        summary: a few numbers for `--json`.
    """

    text: str
    figures: dict[str, Any]
    method: tuple[str, ...]
    summary: dict[str, Any]


class Experiment(Protocol):
    """What a module must have; see above."""

    Config: type
    TITLE: str
    check: Callable[[Any], None]
    layout: Callable[[Any], Layout]
    prepare: Callable[[Any], Any]
    compute: Callable[[Any, Any, dict], dict[str, Any]]
    present: Callable[[Any, Results], Presentation]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished run."""

    folder: pathlib.Path
    results: Results
    presentation: Presentation
    versions: dict[str, str]


ROOT = pathlib.Path(__file__).parents[2]
Say = Callable[[str], None]


def execute(
    name: str, module: Experiment, config: Any, *, out: pathlib.Path, fresh: bool, say: Say, track: Callable
) -> Outcome:
    """Runs what is missing of an experiment, and shows all of it.

    Args:
        out: folder of results. fresh: do not look for an earlier run. say: one line of progress.
        track: wraps the list of missing points to show progress.
    """
    module.check(config)
    layout, versions = module.layout(config), current_versions()
    versions |= getattr(module, "inputs", lambda config: {})(config)
    folder = None if fresh else _earlier(out / name, config, versions, say)
    found = folder is not None and (folder / "results.h5").exists()
    results = Results.load(folder / "results.h5", layout) if folder and found else Results(layout)
    missing = [p for p in layout.points() if not results.is_finished(p)]
    if folder and found:
        done = len(layout.points()) - len(missing)
        say(f"{folder}: {done} of {len(layout.points())} points are there already" + (", going on" if missing else ""))
    if missing:
        say(f"{name}: preparing")
        state = module.prepare(config)
    if folder is None:  # only now: input that cannot be used leaves nothing behind
        folder = _new_folder(out / name, config)
        write_text(folder / "config.json", json.dumps(dataclasses.asdict(config), indent=1))
        write_text(folder / "versions.json", json.dumps(versions, indent=1))
    for point in track(missing) if missing else ():
        results.put(point, module.compute(config, state, point))
        results.save(folder / "results.h5")
    presentation = module.present(config, results)
    _publish(folder, name, module, config, versions, presentation)
    return Outcome(folder, results, presentation, versions)


def _publish(
    folder: pathlib.Path, name: str, module: Experiment, config: Any, versions: dict, shown: Presentation
) -> None:
    from experiments.framework import plots, report

    for stem, figure in shown.figures.items():
        plots.save(figure, folder / stem)
    page = report.page(module.TITLE, f"xbar run {name}", shown, dataclasses.asdict(config), versions)
    write_text(folder / "report.html", page)


def _earlier(parent: pathlib.Path, config: Any, versions: dict[str, str], say: Say) -> pathlib.Path | None:
    """The newest folder of the same settings and versions."""
    wanted = (json.loads(json.dumps(dataclasses.asdict(config))), versions)
    for folder in sorted(parent.glob("*/"), reverse=True):
        try:
            found = tuple(json.loads((folder / f).read_text()) for f in ("config.json", "versions.json"))
        except (OSError, ValueError):
            say(f"{folder}: no readable config.json and versions.json, left alone")
            continue
        if found == wanted:
            return folder
    return None


def _new_folder(parent: pathlib.Path, config: Any) -> pathlib.Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(100):
        folder = parent / f"{stamp}-{config.seed}{f'.{attempt}' if attempt else ''}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent}: no free folder name for {stamp}")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes to a temporary file beside `path` and moves it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def current_versions() -> dict[str, str]:
    """Everything whose change could change a number."""
    import jax

    packages = {p: installed(p) for p in ("xbar-sim", "jax", "jaxlib", "numpy", "equinox", "optax")}
    return {
        **packages,
        "commit": _commit(),
        "source": _source(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "device": jax.devices()[0].device_kind,
    }


def installed(package: str) -> str:
    """Version of a package; a source tree that was not installed has none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    if not (ROOT / ".git").exists():  # an installed copy; a repository around it is somebody else's
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def _source() -> str:
    """Hash of the code that computes: a working tree can change between two runs of one commit."""
    files = sorted(f for package in ("devices", "xbar", "experiments") for f in (ROOT / package).rglob("*.py"))
    return hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files)).hexdigest()[:12]
