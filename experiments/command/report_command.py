"""The command `xbar report`: what runs found, without computing it again."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import tyro

from experiments.command.endings import DONE, USAGE, attempt, show
from experiments.framework import plain_json
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Presentation
from experiments.framework.progress import say
from experiments.framework.store import Results
from experiments.saved_runs import plain_tables
from experiments.saved_runs.saved_run import SavedRun, check_files, is_run, read_run, settings_of, source_of

Shown = tuple[str, Sequence[str]]  # what is printed, and what is wrong with it


@dataclasses.dataclass(frozen=True)
class Report:
    """Shows what runs found, without computing anything.

    One run: its tables again, its figures and report.html written again from results.h5. Two runs: what differs, with error
    bars over chips. A folder with runs below it: a table of all, and index.html.
    """

    paths: tyro.conf.Positional[tuple[pathlib.Path, ...]] = (pathlib.Path("results"),)
    """A run's folder, two of them, or a folder with runs below it."""
    csv: pathlib.Path | None = None
    """For one run: write every value to this file, one per row, with coordinates as columns with units."""
    overwrite: bool = False
    """Let --csv replace an existing file."""
    source: tuple[pathlib.Path, ...] = ()
    """For one run: Python files of your own that it was made with, such as ./mine.py. No others are run, and these only if
    they did not change since."""
    json: bool = False
    """Print one JSON document to standard output, and nothing else."""
    debug: bool = False
    """Show the traceback of an error."""


def carry_out(flags: Sequence[str]) -> int:
    """Carries out `xbar report ...`; the exit code: 2 also for an unfinished run or one that its experiment cannot show."""
    try:
        settings = tyro.cli(Report, prog="xbar report", args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    outcome = attempt(lambda: _report(settings), "the same command starts again", settings.debug)
    if isinstance(outcome, int):
        return outcome
    shown, problems = outcome
    show(shown)
    for problem in problems:
        say(f"xbar: {problem}")
    return USAGE if problems else DONE


def _report(settings: Report) -> Shown:
    paths = list(settings.paths)
    if len(paths) > 2:
        raise UsageError(
            f"report takes one path or two runs, not {len(paths)} paths. For many runs give the folder above them."
        )
    single = len(paths) == 1 and (is_run(paths[0]) or not paths[0].is_dir())
    if settings.csv is not None and not single:
        raise UsageError("--csv writes the values of one run; give the folder of one.")
    if settings.source and not single:
        raise UsageError("--source names the files that one run was made with; give the folder of one.")
    if single:
        return _one(read_run(paths[0]), settings)
    return _two(paths[0], paths[1], settings) if len(paths) == 2 else _many(paths[0], settings)


def _one(run: SavedRun, settings: Report) -> Shown:
    """Tables, files, and the table of values of one run."""
    problems = list(run.remarks)
    shown, files = None, []
    if settings.csv is not None:
        from experiments.saved_runs.csv_table import write_csv

        count = write_csv(run, settings.csv, settings.overwrite)
        say(f"{settings.csv}: {count} values")
        files.append(str(settings.csv))
    try:
        shown, written = _published(run, settings.source)
        files += written
        said = shown.text
    except UsageError as error:
        problems.append(f"{error} A plain summary of the results is shown instead; report.html is left as it is.")
        said = plain_tables.text(run.results)
    document = {
        "folder": str(run.folder),
        "files": files,
        "points": list(run.points),
        "config": run.config,
        "versions": run.versions,
        "summary": shown.summary if shown else run.summary,
        "results": run.results.as_json(),
    }
    return plain_json.text(document) if settings.json else "\n".join([*run.remarks, said, "", *files]), problems


def _published(run: SavedRun, trusted: Sequence[pathlib.Path]) -> tuple[Presentation, list[str]]:
    """What the experiment shows of a run, and the files that are written again.

    Raises:
        UsageError: if the experiment no longer exists, has changed, is not trusted, or fails to show these results.
    """
    from experiments.framework import runner

    source = source_of(run, trusted)
    module = source.load()
    config = settings_of(module, run)
    check_files(run, module, config)
    if not _fits(module.layout(config), run.results):
        raise UsageError(f"{run.folder} was made by another version of {run.name}, with other axes or variables.")
    results = Results(module.layout(config))  # its own coordinates: a range stays one
    results.values, results.finished, results.checksums = (
        run.results.values,
        run.results.finished,
        run.results.checksums,
    )
    try:
        with _gaps_are_no_warning(run):
            shown = module.present(config, results)
    except Exception as error:
        state = "unfinished " if run.points[0] < run.points[1] else ""
        raise UsageError(f"{run.name} cannot show this {state}run ({type(error).__name__}: {error}).") from error
    runner.write_report(run.folder, source, module.TITLE, config, run.versions, shown, run.remarks)
    files = sorted(str(p) for p in run.folder.iterdir() if p.suffix in (".png", ".svg", ".html", ".h5"))
    return shown, files


def _fits(layout: Any, results: Results) -> bool:
    same = {n: (tuple(d.values), d.unit) for n, d in layout.dimensions.items()}
    found = {n: (tuple(d.values), d.unit) for n, d in results.layout.dimensions.items()}
    dims = lambda one: ({n: v.dims for n, v in one.variables.items()}, one.point_dims)  # noqa: E731
    return same == found and dims(layout) == dims(results.layout)


@contextlib.contextmanager
def _gaps_are_no_warning(run: SavedRun) -> Iterator[None]:
    """Means over points that are missing are NaN, which is shown; NumPy's warnings add nothing."""
    with warnings.catch_warnings():
        if run.points[0] < run.points[1]:
            warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _two(first: pathlib.Path, second: pathlib.Path, settings: Report) -> Shown:
    from experiments.saved_runs import comparison

    found = comparison.compare(read_run(first), read_run(second))
    remarks = [*found.a.remarks, *found.b.remarks]
    shown = (
        plain_json.text(comparison.as_json(found)) if settings.json else "\n".join([*remarks, comparison.text(found)])
    )
    return shown, remarks


def _many(folder: pathlib.Path, settings: Report) -> Shown:
    from experiments.saved_runs import index_page

    lines = index_page.lines_below(folder)
    page = index_page.write_page(folder, lines)
    document = {"index": str(page), "runs": index_page.as_json(lines)}
    return plain_json.text(document) if settings.json else f"{index_page.text(lines)}\n\n{page}", ()
