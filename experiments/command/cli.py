"""The command `xbar`. Nothing heavy is imported until an experiment runs."""

from __future__ import annotations

import difflib
import errno
import importlib.metadata
import sys
from collections.abc import Sequence

from experiments.command.compiled_programs import keep_compiled_programs
from experiments.command.endings import DONE, USAGE, attempt, complain, finish_output
from experiments.framework import plain_json
from experiments.framework.files import printable
from experiments.framework.known_experiments import EXPERIMENTS
from experiments.framework.progress import say, track
from experiments.framework.signals import INTERRUPTION

COMMANDS = ("list", "show", "run", "sweep", "fit", "report", "data", "doctor", "cite")
HELP = """usage: xbar COMMAND ...

Analog memristor crossbars: how accurate is a network on this device, and what does it cost in energy?

commands:
  list               the experiments
  show NAME          what an experiment does, or what is known about a device
  run NAME [...]     run one, or your own file (./mine.py); `xbar run NAME --help` shows its settings
  sweep NAME [...]   run it with every combination of settings: --adc-bits 4 6 8 --seed 0..4 --workers 4
  fit FILES [...]    fit device models to measurements; `xbar fit --help` shows the settings
  report PATH [...]  print a run again, compare two, list many, or write a table; `xbar report --help`
  data ...           public data sets: list, fetch, path; `xbar data --help`
  doctor             what is installed, found and writable
  cite [NAME ...]    what to cite for a device, as BibTeX; without a name, all devices

options:
  --version          print the version
  --help             print this
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script; leaves with the exit code."""
    keep_compiled_programs()
    failure = None
    try:
        code = command(list(sys.argv[1:] if arguments is None else arguments))
    except OSError as error:  # of printing; all else was caught where it happened
        if not isinstance(error, BrokenPipeError) and error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        code, failure = DONE, error
    code = finish_output(code, failure)
    INTERRUPTION.over()
    sys.exit(code)


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
        case ["run" | "sweep" as verb, name, *flags] if not name.startswith("-"):
            from experiments.command import run_command

            return run_command.carry_out(verb, name, flags)
        case ["data", *rest]:
            from experiments.public_data import command as data

            return data.run(rest)
        case ["report", *rest]:
            from experiments.command import report_command

            return report_command.carry_out(rest)
        case ["doctor", *rest]:
            from experiments.command import doctor_command

            return doctor_command.carry_out(rest)
        case ["show", name] if not name.startswith("-"):
            from experiments.command import show_command

            return show_command.carry_out(name)
        case [] | ["--help"] | ["-h"] | ["run" | "sweep" | "list" | "cite" | "show", "--help"]:
            print(HELP, end="")
        case ["run" | "sweep" as verb, *_]:
            return complain(
                f"{verb} needs the name of an experiment: {', '.join(EXPERIMENTS)}, or a file such as ./mine.py."
            )
        case ["show", *_]:
            return complain("show needs one name, of an experiment or a device.")
        case ["list" | "--version" | "cite", *rest]:
            return complain(f"{arguments[0]} takes no arguments, not {' '.join(rest)!r}.")
        case [other, *_]:
            close = difflib.get_close_matches(other, COMMANDS, 1)
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
    print(plain_json.text(fit_files.as_json(outcome)) if arguments.json else printable(outcome.text))
    if not arguments.json:
        print()
        for path in outcome.files:
            print(printable(str(path)))
    if outcome.interrupted:
        return INTERRUPTION.code
    return DONE if outcome.device is not None or arguments.out is None else USAGE


if __name__ == "__main__":
    main()
