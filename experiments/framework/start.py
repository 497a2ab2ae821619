"""Entry point of the command `xbar`: listens for Ctrl-C before anything else is imported."""

from __future__ import annotations

import sys

from experiments.framework.signals import INTERRUPTION


def main() -> None:
    """Runs the command of `sys.argv`; leaves with its exit code."""
    INTERRUPTION.listen()
    try:
        from experiments.framework.cli import main as command

        command()
    except SystemExit:
        if INTERRUPTION.number is None:
            raise
        sys.exit(INTERRUPTION.code)
    except BaseException:
        if INTERRUPTION.number is None:
            raise
        print(INTERRUPTION.sentence, file=sys.stderr)
        sys.exit(INTERRUPTION.code)


if __name__ == "__main__":
    main()
