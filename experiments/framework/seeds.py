"""Seeds: whole numbers that every generator accepts."""

from __future__ import annotations

from experiments.framework.errors import UsageError

MOST = 2**32 - 1


def check_seed(seed: int) -> None:
    """Refuses a seed before any work is done with it.

    Raises:
        UsageError: unless it is a whole number from 0 to 2^32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MOST:
        raise UsageError(f"--seed {seed}: give a whole number from 0 to {MOST}.")
