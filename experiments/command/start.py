"""Entry point of the command `xbar`: listens for Ctrl-C before anything else is imported."""

from __future__ import annotations

from experiments.framework.signals import INTERRUPTION


def main() -> None:
    """Runs the command of `sys.argv`; leaves with its exit code."""
    INTERRUPTION.listen()
    from experiments.command.cli import main as command

    command()


if __name__ == "__main__":
    main()
