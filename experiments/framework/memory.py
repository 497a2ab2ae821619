"""Memory is planned before it is used: a message with numbers, instead of a program that the system kills."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

from experiments.framework.errors import UsageError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_memory() -> int | None:
    """Bytes that this program may still use [B]: free memory, or the limit of a container or of `ulimit -v` if that is
    less; None if unknown."""
    found = [b for b in (_free(), _container(), _limit()) if b is not None]
    return min(found) if found else None


def check_memory(needs: Mapping[str, float], hint: str) -> None:
    """Refuses a run that does not fit into memory.

    Args:
        needs: bytes by what they are for [B]. hint: which settings reduce it.

    Raises:
        UsageError: if the sum is more than what is available.
    """
    free, wanted = available_memory(), sum(needs.values())
    if free is None or wanted <= free:
        return
    listed = ", ".join(f"{what} {size(b)}" for what, b in sorted(needs.items(), key=lambda n: -n[1])[:3])
    raise UsageError(f"this run needs about {size(wanted)} of memory ({listed}); {size(free)} are available. {hint}")


class Programs:
    """Compiled programs of a process that goes through many runs: JAX keeps thousands of them, from runs long finished.

    Args:
        growth: bytes by which the process may grow before they are dropped [B].
    """

    def __init__(self, growth: float = 1e9):
        self.growth, self._least = growth, None

    def tidy(self) -> bool:
        """Drops compiled programs if the process has grown this much since the first call or the last drop; True if it did."""
        now = resident_memory()
        if now is None or self._least is None or now < self._least:
            self._least = now
            return False
        if now - self._least <= self.growth:
            return False
        import gc

        import jax

        jax.clear_caches()
        gc.collect()
        self._least = resident_memory()
        return True


def resident_memory() -> int | None:
    """Bytes of memory that this process uses [B]; None if unknown."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError, IndexError):
        return None


def size(count: float) -> str:
    """Bytes with a prefix."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000 or unit == "PB":
            return f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError


def _free() -> int | None:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> int | None:
    for path in _LIMITS:
        with_limit = pathlib.Path(path)
        try:
            return int(with_limit.read_text())
        except (OSError, ValueError):
            continue
    return None


def _limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
