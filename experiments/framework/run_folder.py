"""The folder of a run: its settings, versions and results, and a lock, so that only one process at a time writes there."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.files import write_text
from experiments.framework.progress import say
from experiments.framework.seal import ends_its_reader, is_whole
from experiments.framework.store import Layout, Results

LOCK, NEW = ".lock", ".new"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to these settings and versions."""

    path: pathlib.Path
    is_new: bool

    def load(self, layout: Layout) -> Results:
        """The results stored so far."""
        file = self.path / "results.h5"
        if not file.exists():
            return Results(layout)
        if is_whole(file):
            return Results.load(file, layout)
        if ends_its_reader(file):
            raise UsageError(f"{file} is damaged beyond reading. Move it away or use --fresh.")
        results = Results.load(file, layout)
        if results.damaged:
            say(f"{file}: {results.damaged} points do not match their checksum; they are computed again")
        results.save(file)
        return results

    def save(self, results: Results) -> None:
        results.save(self.path / "results.h5")

    def remove_if_empty(self) -> None:
        """Removes a new folder without a result, and the folders above it that hold nothing else."""
        if not self.is_new or (self.path / "results.h5").exists():
            return
        with contextlib.suppress(OSError):
            for name in ("config.json", "versions.json", LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()
            for folder in (self.path.parent, self.path.parent.parent):
                folder.rmdir()


@contextlib.contextmanager
def open_run(parent: pathlib.Path, config: Any, versions: dict[str, str], fresh: bool) -> Iterator[RunFolder]:
    """The newest folder of the same settings and versions, or a new one; no other process can write there meanwhile.

    Args:
        parent: folder of all runs of this experiment. fresh: always a new one.

    Raises:
        UsageError: if nothing can be written there.
    """
    with contextlib.ExitStack() as locks:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with _locked(parent):  # so that two runs started at once do not both find nothing
                found = None if fresh else _earlier(parent, config, versions)
                path = found or _new_folder(parent, config, versions)
            locks.enter_context(_locked(path, f"{path}: another process works on this run; waiting for it"))
            _try_writing(path)
        except OSError as error:
            raise UsageError(
                f"{error.filename or parent}: cannot be written ({error.strerror or error}). Choose another folder with --out."
            ) from error
        yield RunFolder(path, found is None)


@contextlib.contextmanager
def _locked(folder: pathlib.Path, waiting: str = "") -> Iterator[None]:
    """Holds the folder's lock, which the system releases when the process ends, in whatever way."""
    import filelock

    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0 if waiting else -1)
    except filelock.Timeout:
        say(waiting)
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(
            OSError
        ):  # whoever waits notices that this file is no longer the lock, and makes another
            (folder / LOCK).unlink()
        lock.release()


def _try_writing(folder: pathlib.Path) -> None:
    """Fails before hours of work if their results could not be stored; removes what a killed process left half-written."""
    for stale in folder.glob(".*.*"):
        stale.unlink(missing_ok=True)
    write_text(folder / ".trial", "x" * 4096)
    (folder / ".trial").unlink()


def _earlier(parent: pathlib.Path, config: Any, versions: dict[str, str]) -> pathlib.Path | None:
    """The newest folder of the same settings and versions."""
    wanted = (json.loads(json.dumps(dataclasses.asdict(config))), versions)
    for folder in sorted(parent.glob("[!.]*/"), reverse=True):
        try:
            found = tuple(json.loads((folder / f).read_text()) for f in ("config.json", "versions.json"))
        except (OSError, ValueError):
            say(f"{folder}: no readable config.json and versions.json, left alone")
            continue
        if found == wanted:
            return folder
    return None


def _new_folder(parent: pathlib.Path, config: Any, versions: dict[str, str]) -> pathlib.Path:
    """A folder that contains its settings from the moment it has its name."""
    unnamed = parent / NEW
    shutil.rmtree(unnamed, ignore_errors=True)  # of a process that was killed here
    unnamed.mkdir()
    write_text(unnamed / "config.json", json.dumps(dataclasses.asdict(config), indent=1))
    write_text(unnamed / "versions.json", json.dumps(versions, indent=1))
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{stamp}-{config.seed}{f'.{attempt}' if attempt else ''}" for attempt in itertools.count())
    folder = next(parent / name for name in names if not (parent / name).exists())
    unnamed.rename(folder)
    return folder
