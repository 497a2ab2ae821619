"""Runs an experiment: a folder, its points one by one, figures and a report.

Points are stored as they finish. The same command finds the unfinished folder of the same settings and versions and goes on
there; other settings get another folder.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable
from typing import Any

from experiments.framework import plots, report
from experiments.framework.experiment import Experiment, Presentation
from experiments.framework.files import write_text
from experiments.framework.seeds import check_seed
from experiments.framework.store import Results
from experiments.framework.versions import current_versions

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished run."""

    folder: pathlib.Path
    results: Results
    presentation: Presentation
    versions: dict[str, str]


def execute(
    name: str, module: Experiment, config: Any, *, out: pathlib.Path, fresh: bool, say: Say, track: Callable
) -> Outcome:
    """Runs what is missing of an experiment, and shows all of it.

    Args:
        out: folder of results. fresh: do not look for an earlier run. say: one line of progress.
        track: wraps the list of missing points to show progress.
    """
    check_seed(config.seed)
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
