"""The commands `xbar run` and `xbar sweep`."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import pathlib
import re
from typing import Annotated, Any

from experiments.command.endings import DONE, USAGE, attempt, complain, show
from experiments.framework import plain_json, sweep
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source
from experiments.framework.known_experiments import EXPERIMENTS

_KEPT = "finished points are kept, and the same command resumes from there"


@dataclasses.dataclass(frozen=True)
class Output:
    """Where results go, how they are shown, and who computes them."""

    out: pathlib.Path = pathlib.Path("results")
    """Folder of results."""
    json: bool = False
    """Print one JSON document to standard output, and nothing else."""
    fresh: bool = False
    """Start a new run even if the same one exists already."""
    debug: bool = False
    """Show the traceback of an error."""
    workers: int = 1
    """Processes on this machine that compute points; each needs the memory of a whole run. 1: this process itself."""
    scheduler: str = ""
    """Address of a Dask scheduler whose workers compute the points, such as tcp://host:8786."""


def carry_out(verb: str, name: str, flags: list[str]) -> int:
    """Runs `xbar run NAME` or `xbar sweep NAME`; the exit code."""
    try:
        source = find(name)
        module = source.load()
        single = verb == "run"
        config = module.Config if single else sweep.swept_config(module.Config)
        parsed = _parse(f"xbar {verb} {name}", module.TITLE, config, flags if single else sweep.expand(flags))
    except UsageError as error:
        return complain(str(error))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    work = _run if single else _sweep
    outcome = attempt(lambda: work(source, module, *parsed), _KEPT, parsed[0].debug)
    if isinstance(outcome, int):
        return outcome
    show(outcome)
    return DONE


def find(name: str) -> Source:
    """An experiment by name, or a user's own file.

    Raises:
        UsageError: if there is none.
    """
    if name in EXPERIMENTS:
        return Source(name, module=EXPERIMENTS[name][0])
    if name.endswith(".py") or "/" in name:
        return Source.of_file(name)
    close = difflib.get_close_matches(name, EXPERIMENTS, 1, 0.6)
    hint = f" Did you mean {close[0]!r}?" if close else f" Available: {', '.join(EXPERIMENTS)}."
    raise UsageError(f"there is no experiment {name!r}.{hint} The name of a file of your own must end with .py.")


def _parse(program: str, title: str, config: type, flags: list[str]) -> tuple[Output, Any]:
    """Typed flags for every setting of an experiment, and for the output."""
    import tyro

    _check_separators(flags)
    flat = tyro.conf.arg(name="")
    both = dataclasses.make_dataclass(
        "Arguments", [("config", Annotated[config, flat]), ("output", Annotated[Output, flat])]
    )
    both.__doc__ = title
    parsed: Any = tyro.cli(both, prog=program, args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    return parsed.output, parsed.config


def _check_separators(flags: list[str]) -> None:
    for name, value in itertools.pairwise(["", *flags]):
        if re.fullmatch(r"-?[\d.e-]+(,-?[\d.e-]+)+,?", value):
            raise UsageError(f"{name} {value}: separate values with spaces: {value.replace(',', ' ').strip()}.")


def _execute(source: Source, output: Output, configs: list[Any]) -> list[Any]:
    from experiments.framework import runner
    from experiments.framework.workers import Workers

    if output.workers < 1:
        raise UsageError(f"--workers {output.workers}: give at least 1.")
    if output.workers > 1 and output.scheduler:
        raise UsageError("--workers and --scheduler: give only one of the two; a cluster brings its own workers.")
    workers = Workers(output.workers, output.scheduler)
    return runner.execute(source, configs, out=output.out, fresh=output.fresh, workers=workers)


def _run(source: Source, module: Any, output: Output, config: Any) -> str:
    (outcome,) = _execute(source, output, [config])
    files = sorted(str(p) for p in outcome.folder.iterdir() if p.suffix in (".png", ".svg", ".html", ".h5"))
    if output.json:
        document = {
            "folder": str(outcome.folder),
            "files": files,
            "config": dataclasses.asdict(config),
            "versions": outcome.versions,
            "summary": outcome.presentation.summary,
            "results": outcome.results.as_json(),
        }
        return plain_json.text(document)
    return "\n".join([outcome.presentation.text, "", *files])


def _sweep(source: Source, module: Any, output: Output, values: Any) -> str:
    swept, configs = sweep.combinations(module.Config, values)
    outcomes = _execute(source, output, configs)
    text, document, folder = sweep.publish(source, module.TITLE, swept, configs, outcomes, output.out)
    files = sorted(str(p) for p in folder.iterdir())
    return plain_json.text(document | {"files": files}) if output.json else "\n".join([text, "", *files])
