"""Runs experiments: a folder for each, points one by one or by several workers, figures and a report.

Points are stored as they finish. The same command finds the unfinished folder of the same settings and versions and resumes
there; other settings get another folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from experiments.framework import plain_json, plots, report
from experiments.framework.experiment import Presentation, Source, identity
from experiments.framework.files import write_text
from experiments.framework.memory import check_memory
from experiments.framework.progress import Progress, say
from experiments.framework.run_folder import RunFolder, open_run
from experiments.framework.seeds import check_seed
from experiments.framework.store import Layout, Results
from experiments.framework.versions import current_versions
from experiments.framework.workers import Task, Workers, forget_states


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished run."""

    folder: pathlib.Path
    results: Results
    presentation: Presentation
    versions: dict[str, str]


@dataclasses.dataclass
class _Run:
    """A run in progress."""

    module: Any
    config: Any
    layout: Layout
    versions: dict[str, str]
    files: dict[str, str]
    folder: RunFolder
    results: Results

    def missing(self) -> list[dict[str, Any]]:
        return [p for p in self.layout.points() if not self.results.is_finished(p)]


def execute(
    source: Source, configs: Sequence[Any], *, out: pathlib.Path, fresh: bool = False, workers: Workers | None = None
) -> list[Outcome]:
    """Computes the missing points of an experiment with each of these settings, and shows all results.

    Args:
        configs: settings of each run. out: folder of results. fresh: do not look for earlier runs.

    Raises:
        UsageError: for settings or folders that cannot be used, before anything is computed.
    """
    module = source.load()
    layouts = [_check(module, config) for config in configs]
    with contextlib.ExitStack() as folders:
        runs: dict[int, _Run] = {}
        for i in sorted(range(len(configs)), key=lambda i: repr(configs[i])):  # every process locks them in this order
            config, layout = configs[i], layouts[i]
            files = identity(source, module, config)
            versions = current_versions() | files
            folder = folders.enter_context(open_run(out / source.name, config, versions, fresh))
            folders.callback(folder.remove_if_empty)
            runs[i] = _Run(module, config, layout, versions, files, folder, folder.load(layout))
            _say_what_is_there(runs[i])
        in_order = [runs[i] for i in range(len(configs))]
        try:
            _compute(source, in_order, workers or Workers())
        finally:
            forget_states()
        return [_publish(source, run) for run in in_order]


def _check(module: Any, config: Any) -> Layout:
    """The layout of a run, after checking its settings."""
    check_seed(config.seed)
    getattr(module, "check", lambda config: None)(config)
    layout = module.layout(config)
    copies = 3  # the values, the file in memory, and what is shown
    needs = {f"{name} {_shape(layout, name)}": copies * layout.size(name) for name in layout.variables}
    points = {"points": 500 * math.prod(layout.shape(layout.point_dims))}
    check_memory(needs | points | getattr(module, "memory", lambda config: {})(config), "Choose smaller settings.")
    return layout


def _shape(layout: Layout, name: str) -> str:
    dims = layout.variables[name].dims
    return "(" + " x ".join(f"{n} {d}" for d, n in zip(dims, layout.shape(dims), strict=True)) + ")"


def _say_what_is_there(run: _Run) -> None:
    total, missing = len(run.layout.points()), len(run.missing())
    if not run.folder.is_new and missing < total:
        said = f"{run.folder.path}: {total - missing} of {total} points are there already"
        say(said + (", resuming" if missing else ""))


def _compute(source: Source, runs: Sequence[_Run], workers: Workers) -> None:
    """Computes the missing points of all runs with one pool of workers, and stores each point as it is done."""
    owners: dict[int, _Run] = {}
    tasks: list[Task] = []
    for run in runs:
        settings = {field.name: getattr(run.config, field.name) for field in dataclasses.fields(run.config)}
        for point in run.missing():
            tasks.append(Task(source, settings, point, run.files))
            owners[id(tasks[-1])] = run
    if not tasks:
        return
    say(f"{source.name}: preparing")
    alone = workers.alone(tasks)
    with Progress(source.name, len(tasks)) as progress:
        for task, found in workers.results(tasks, progress.starting):
            run = owners[id(task)]
            run.results.put(task.point, found)
            run.folder.save(run.results)
            progress.finished(task.point, among_others=not alone)


def _publish(source: Source, run: _Run) -> Outcome:
    shown: Presentation = run.module.present(run.config, run.results)
    folder = run.folder.path
    write_report(folder, source, run.module.TITLE, run.config, run.versions, shown)
    return Outcome(folder, run.results, shown, run.versions)


def write_report(
    folder: pathlib.Path,
    source: Source,
    title: str,
    config: Any,
    versions: dict[str, str],
    shown: Presentation,
    remarks: Sequence[str] = (),
) -> None:
    """Writes figures, report.html and summary.json of a run. `remarks`: sentences at the top of the page."""
    for stem, figure in shown.figures.items():
        plots.save(figure, folder / stem)
    command = report.command_line(["xbar", "run", source.asked_for], config)
    page = report.page(title, command, shown, dataclasses.asdict(config), versions, remarks)
    write_text(folder / "report.html", page)
    write_text(folder / "summary.json", plain_json.text(shown.summary, indent=1))
