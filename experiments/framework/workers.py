"""Where points are computed: in this process, in several on this machine, or on a Dask cluster.

Engines are `concurrent.futures` executors. A worker loads the experiment, prepares it once, and computes points; results are
written only by the process that asked for them. Seeds are settings, so it does not matter who computes a point.
"""

from __future__ import annotations

import collections
import concurrent.futures as futures
import contextlib
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source, identity
from experiments.framework.memory import Programs
from experiments.framework.versions import current_versions

LOST = 3
"""How often in a row workers may be lost before another point is finished."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One point of one run, in a form that can be sent to another machine. `files`: hashes of what it depends on."""

    source: Source
    settings: dict[str, Any]
    point: dict[str, Any]
    files: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def job(self) -> str:
        """What tasks that are prepared together share."""
        return f"{self.source.name}\n{self.source.text}\n{self.settings!r}\n{self.files!r}"


@dataclasses.dataclass(frozen=True)
class Workers:
    """How many processes, or which cluster.

    Args:
        count: processes on this machine; 1: this process itself. scheduler: address of a Dask scheduler, such as
            tcp://host:8786; its workers need the same versions of everything.
    """

    count: int = 1
    scheduler: str = ""

    def alone(self, tasks: Sequence[Task]) -> bool:
        """Whether this process computes all points itself, one after another."""
        return not self.scheduler and min(self.count, len(tasks)) <= 1

    def results(self, tasks: Sequence[Task], starting: Callable[[Any], None]) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Tasks with their results, as they finish.

        Args:
            starting: called with each point before it is computed, where this process does so itself.
        """
        if self.scheduler:
            yield from _on_cluster(tasks, self.scheduler)
        elif not self.alone(tasks):
            yield from _in_processes(tasks, min(self.count, len(tasks)))
        else:
            for task in tasks:
                starting(task.point)
                yield task, compute(task)


# -- in a worker ----------------------------------------------------------------------------------------------------------


def compute(task: Task) -> dict[str, Any]:
    """Computes one point; prepares the experiment if this process has not yet.

    Raises:
        UsageError: if a file that it depends on is not as it was when the run began.
    """
    module = task.source.load()
    config = module.Config(**task.settings)
    found = module.compute(config, _prepared(task, module, config), task.point)
    files = identity(task.source, module, config)
    if files != task.files:
        changed = sorted(name for name in files.keys() | task.files if files.get(name) != task.files.get(name))
        raise UsageError(
            f"{', '.join(changed)}: not as it was when this run began. Finished points are kept; run it again. Leave files "
            "as they are meanwhile; workers of a cluster need the same files, and a new start after an edit."
        )
    return found


_STATES: collections.OrderedDict[str, Any] = collections.OrderedDict()
_PROGRAMS = Programs()
_PREPARING = threading.Lock()  # a Dask worker has several threads


def _prepared(task: Task, module: Any, config: Any) -> Any:
    """The state of this task's run; the last two are kept."""
    with _PREPARING:
        if task.job not in _STATES:
            _PROGRAMS.tidy()
            _STATES[task.job] = module.prepare(config) if hasattr(module, "prepare") else None
        _STATES.move_to_end(task.job)
        while len(_STATES) > 2:
            _STATES.popitem(last=False)
        return _STATES[task.job]


def forget_states() -> None:
    """Releases what was prepared."""
    _STATES.clear()


def _compute_elsewhere(task: Task) -> tuple[dict[str, str], dict[str, Any]]:
    return _versions(), compute(task)


_versions = functools.cache(current_versions)


def _start_worker() -> None:
    """A worker leaves Ctrl-C to the process that started it, and ends when that process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: Any) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


# -- engines --------------------------------------------------------------------------------------------------------------


def _in_processes(tasks: Sequence[Task], count: int) -> Iterator[tuple[Task, dict[str, Any]]]:
    left, lost = list(tasks), 0
    while left:
        pool = futures.ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_start_worker)
        try:
            for task, found in _finished(pool, left):
                left, lost = [t for t in left if t is not task], 0
                yield task, found
        except BrokenProcessPool as error:
            lost += 1
            if lost == LOST:
                raise RuntimeError(
                    f"workers died {LOST} times before they finished a point, perhaps for lack of memory. Finished points "
                    "are kept; try fewer --workers."
                ) from error
        finally:
            _end(pool)


def _end(pool: futures.ProcessPoolExecutor) -> None:
    """Ends a pool without waiting for points that nobody wants any more."""
    processes = list((getattr(pool, "_processes", None) or {}).values())  # pool.kill_workers() from Python 3.14 on
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(Exception):
            process.kill()


def _on_cluster(tasks: Sequence[Task], address: str) -> Iterator[tuple[Task, dict[str, Any]]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("--scheduler needs Dask: pip install 'xbar-sim[distributed]'.") from error
    _check_address(address)
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers there ({error}).") from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise UsageError(f"--scheduler {address}: it has no workers. Start one: dask worker {address}")
        yield from _finished(client.get_executor(pure=False), tasks)


def _check_address(address: str) -> None:
    """Refuses an address where nothing listens, before Dask waits for it."""
    found = re.fullmatch(r"(\w+)://(.+):(\d+)", address)
    if not found:
        raise UsageError(f"--scheduler {address}: give an address such as tcp://host:8786.")
    if found[1] in ("tcp", "tls"):
        try:
            socket.create_connection((found[2].strip("[]"), int(found[3])), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--scheduler {address}: nothing answers there ({error}). Is `dask scheduler` running?"
            ) from error


def _finished(pool: Any, tasks: Iterable[Task]) -> Iterator[tuple[Task, dict[str, Any]]]:
    waiting = {pool.submit(_compute_elsewhere, task): task for task in tasks}
    here = _versions()
    try:
        for done in futures.as_completed(list(waiting)):
            there, found = done.result()
            if there != here:
                unequal = [f"{k} {there.get(k)}, here {v}" for k, v in here.items() if there.get(k) != v]
                raise UsageError(f"a worker has {'; '.join(unequal)}. Install the same versions on all workers.")
            yield waiting[done], found
    finally:
        for future in waiting:
            future.cancel()
