"""How commands end: exit codes, and the one sentence that goes with each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from experiments.framework.errors import UsageError
from experiments.framework.progress import say
from experiments.framework.signals import INTERRUPTION

Outcome = TypeVar("Outcome")
DONE, FAILED, USAGE = 0, 1, 2  # an interrupted command leaves with `INTERRUPTION.code`


def attempt(work: Callable[[], Outcome], interrupted: str, debug: bool) -> Outcome | int:
    """What `work` returns, or the exit code of any other ending, after reporting it in a sentence."""
    INTERRUPTION.outcome = interrupted
    try:
        return work()
    except UsageError as error:
        return complain(str(error))
    except KeyboardInterrupt:
        say(INTERRUPTION.sentence)
        return INTERRUPTION.code
    except Exception as error:
        if INTERRUPTION.received:  # a library turned it into another error
            say(INTERRUPTION.sentence)
            return INTERRUPTION.code
        if debug:
            raise
        say(f"xbar: {_said(error)}  (--debug shows where)")
        return FAILED


def complain(message: str) -> int:
    """Says what was wrong with the command; returns the exit code for it."""
    say(f"xbar: {message}")
    return USAGE


def show(text: str) -> None:
    """Prints results, in characters that the terminal has."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    print(_spelt(text, encoding), flush=True)


def finish_output(code: int, failure: OSError | None = None) -> int:
    """Closes standard output; the exit code, which is 1 if results of a finished command could not be shown.

    Args:
        failure: of printing, if it failed already.
    """
    try:
        if failure is not None:
            raise failure
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read it, such as `head`, has seen enough
        failed = code
    except OSError as error:
        say(f"xbar: results could not be printed ({error.strerror}). Files that were written are complete.")
        failed = code or FAILED
    with contextlib.suppress(OSError):
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # so that what is left does not fail again at exit
    return failed


_ASCII = str.maketrans(
    {"±": "+-", "µ": "u", "μ": "u", "Ω": "ohm", "×": "x", "–": "-", "—": "-", "°": " deg", "²": "^2"}
)


def _spelt(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
        return text
    except (UnicodeEncodeError, LookupError):
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}. What was stored before is kept, and the same command resumes from there."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
