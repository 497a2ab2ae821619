"""The command `xbar`. Nothing heavy is imported until an experiment runs."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.metadata
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from experiments.framework.compiled_programs import keep_compiled_programs
from experiments.framework.errors import UsageError
from experiments.framework.files import printable
from experiments.framework.progress import say, track

Outcome = TypeVar("Outcome")
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

EXPERIMENTS = {
    "accuracy-energy": (
        "experiments.accuracy_energy",
        "accuracy of a network on crossbars over time, against the energy of an inference",
        "2 min",
    ),
    "benchmark": (
        "experiments.benchmark",
        "how long things take, beside a reference timed in the same run",
        "1 min",
    ),
    "device-zoo": (
        "experiments.device_zoo",
        "every published device: loops, pulses, drift, noise, programming error",
        "2 min",
    ),
    "ir-drop": (
        "experiments.ir_drop",
        "wire resistance: error and accuracy against array size, and what helps",
        "4 min",
    ),
}

HELP = """usage: xbar COMMAND ...

Analog memristor crossbars: how accurate is a network on this device, and what does it cost in energy?

commands:
  list             the experiments
  run NAME [...]   run one; `xbar run NAME --help` shows its settings
  fit FILES [...]  fit device models to measurements; `xbar fit --help` shows the settings
  data ...         public data sets: list, fetch, path; `xbar data --help`
  cite [NAME ...]  what to cite for a device, as BibTeX; without a name, the devices there are

options:
  --version        print the version
  --help           print this
"""


@dataclasses.dataclass(frozen=True)
class Output:
    """Where results go and how they are shown."""

    out: pathlib.Path = pathlib.Path("results")
    """Folder of results."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""
    fresh: bool = False
    """Start anew even if the same run is there already."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script; leaves with the exit code."""
    keep_compiled_programs()
    sys.exit(command(list(sys.argv[1:] if arguments is None else arguments)))


def command(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    match arguments:
        case ["--version"]:
            print(f"xbar {importlib.metadata.version('xbar-sim')}")
        case ["cite", *names] if not any(n.startswith("-") for n in names):
            return cite(names)
        case ["list"]:
            width = max(map(len, EXPERIMENTS))
            for name, (_, what, time) in EXPERIMENTS.items():
                print(f"{name.ljust(width)}  {what} ({time})")
        case ["fit", *flags]:
            return fit(flags)
        case ["data", *rest]:
            from experiments.public_data import command as data

            return data.run(rest)
        case ["run", name, *flags] if not name.startswith("-"):
            return run(name, flags)
        case [] | ["--help"] | ["-h"] | ["run" | "list" | "cite", "--help"]:
            print(HELP, end="")
        case ["run", *_]:
            return complain(f"run needs the name of an experiment: {', '.join(EXPERIMENTS)}.")
        case ["list" | "--version" | "cite", *rest]:
            return complain(f"{arguments[0]} takes no arguments, not {' '.join(rest)!r}.")
        case [other, *_]:
            close = difflib.get_close_matches(other, ["list", "run", "fit", "data", "cite"], 1)
            return complain(
                f"there is no command {other!r}." + (f" Did you mean {close[0]!r}?" if close else " See xbar --help.")
            )
    return DONE


def cite(names: list[str]) -> int:
    """`xbar cite`: BibTeX of devices, or their names."""
    import devices

    if not names:
        width = max(map(len, devices.names()))
        for name in devices.names():
            print(f"{name.ljust(width)}  {devices.find(name).provenance.technology}")  # pyright: ignore[reportFunctionMemberAccess]
        return DONE
    try:
        print("\n\n".join(dict.fromkeys(devices.bibtex(name) for name in names)))
    except ValueError as error:
        return complain(str(error))
    return DONE


def run(name: str, flags: list[str]) -> int:
    """`xbar run NAME`: parses the settings, runs the experiment, prints what it found."""
    if name not in EXPERIMENTS:
        close = difflib.get_close_matches(name, EXPERIMENTS, 1, 0.3)
        hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(EXPERIMENTS)}."
        return complain(f"there is no experiment {name!r}.{hint}")
    module: Any = importlib.import_module(EXPERIMENTS[name][0])
    try:
        output, config = parse(f"xbar run {name}", module, flags)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    return carry_out(name, module, output, config)


def fit(flags: list[str]) -> int:
    """`xbar fit FILES`: fits device models to laboratory files."""
    import tyro

    from experiments import fit_files

    try:
        arguments = tyro.cli(fit_files.Arguments, prog="xbar fit", args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    outcome = attempt(
        lambda: fit_files.carry_out(arguments, say, lambda points: track("fit", points)),
        "interrupted; nothing was written",
        arguments.debug,
    )
    if isinstance(outcome, int):
        return outcome
    print(json.dumps(fit_files.as_json(outcome)) if arguments.json else printable(outcome.text))
    if not arguments.json:
        print()
        for path in outcome.files:
            print(printable(str(path)))
    if outcome.interrupted:
        return INTERRUPTED
    return DONE if outcome.device is not None or arguments.out is None else USAGE


def parse(program: str, module: Any, flags: list[str]) -> tuple[Output, Any]:
    """Typed flags for every setting of an experiment, and for the output."""
    import tyro

    flat = tyro.conf.arg(name="")
    both = dataclasses.make_dataclass(
        "Arguments", [("config", Annotated[module.Config, flat]), ("output", Annotated[Output, flat])]
    )
    both.__doc__ = module.TITLE
    parsed = tyro.cli(both, prog=program, args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    return parsed.output, parsed.config


def carry_out(name: str, module: Any, output: Output, config: Any) -> int:
    """Runs the experiment and prints what it found."""
    from experiments.framework import runner

    outcome = attempt(
        lambda: runner.execute(
            name,
            module,
            config,
            out=output.out,
            fresh=output.fresh,
            say=say,
            track=lambda points: track(name, points),
        ),
        "interrupted; finished points are kept, and the same command goes on from there",
        output.debug,
    )
    if isinstance(outcome, int):
        return outcome
    show(outcome, config, output.json)
    return DONE


def attempt(work: Callable[[], Outcome], interrupted: str, debug: bool) -> Outcome | int:
    """What `work` returns, or the exit code of how else it ended, which was said in a sentence."""
    try:
        return work()
    except UsageError as error:
        return complain(str(error))
    except KeyboardInterrupt:
        say(interrupted)
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        say(f"xbar: {type(error).__name__}: {error}  (--debug shows where)")
        return FAILED


def show(outcome: Any, config: Any, as_json: bool) -> None:
    """Prints the results."""
    files = sorted(str(p) for p in outcome.folder.iterdir() if p.suffix in (".png", ".svg", ".html", ".h5"))
    if as_json:
        document = {
            "folder": str(outcome.folder),
            "files": files,
            "config": dataclasses.asdict(config),
            "versions": outcome.versions,
            "summary": outcome.presentation.summary,
            "results": outcome.results.as_json(),
        }
        print(json.dumps(document))
        return
    print(outcome.presentation.text)
    print()
    for path in files:
        print(path)


def complain(message: str) -> int:
    """Says what was wrong with the command; the exit code for it."""
    say(f"xbar: {message}")
    return USAGE


if __name__ == "__main__":
    main()
