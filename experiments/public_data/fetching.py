"""From the registry to a folder in the cache: downloaded, checked, unpacked, and in place only when complete."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.files import write_text
from experiments.public_data.conversions import CONVERSIONS
from experiments.public_data.places import RECORD, cache, located, searched
from experiments.public_data.registry import Entry, Source
from experiments.public_data.transfer import DownloadError, Progress, download
from experiments.public_data.unpacking import ArchiveError, unpack

Say = Callable[[str], None]
Meter = Callable[[str], "contextlib.AbstractContextManager[Progress]"]


class FetchError(Exception):
    """A data set that could not be fetched; the message says why and what to do."""


def fetch(
    entry: Entry, *, offline: bool = False, again: bool = False, timeout: float = 30.0, say: Say, meter: Meter
) -> pathlib.Path:
    """The folder of a data set, fetched into the cache unless it is on this machine already.

    Args:
        offline: use no network. again: fetch again even if it is there. timeout: how long to wait for a silent server [s].
        say: shows one line of progress. meter: shows the bytes of one file.

    Raises:
        UsageError: if offline without a copy, or without the package pooch.
        FetchError: if a server does not answer, a checksum is wrong, or the disk is full. Nothing incomplete is left in
            place; what was downloaded is kept, and another call resumes from there.
    """
    found = located(entry.name)
    if found is not None and not again:
        say(f"{entry.name} is here already: {found}")
        return found
    if offline:
        looked = ", ".join(map(str, searched(entry.name)))
        raise UsageError(
            f"data set {entry.name!r} is not here (looked in {looked}), and the network is not used. Leave out --offline and "
            f"XBAR_OFFLINE, or copy the folder from another machine into {cache()}, or set XBAR_DATA to a folder that "
            "holds it."
        )
    pooch = _pooch()
    staging, home = cache() / f".{entry.name}.partial", cache() / entry.name
    try:
        staging.mkdir(parents=True, exist_ok=True)
        with _locked(cache() / f".{entry.name}.lock", entry.name, say):
            if not again and (found := located(entry.name)) is not None:  # another process was faster
                return found
            staging.mkdir(exist_ok=True)
            _room(entry, staging)
            for source in entry.files:
                _load(pooch, entry, source, staging, timeout, say, meter)
            _finish(entry, staging, home, say)
    except OSError as error:
        raise FetchError(_disk(error, entry)) from error
    if (found := located(entry.name)) != home:
        say(f"{found} is a copy of your own and is used before what was fetched")
    return home


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise UsageError(
            "fetching needs the package pooch, which is not installed. Run: pip install 'xbar-sim[data]'"
        ) from error
    pooch.get_logger().setLevel("WARNING")
    return pooch


def _load(
    pooch: Any, entry: Entry, source: Source, staging: pathlib.Path, timeout: float, say: Say, meter: Meter
) -> None:
    """One file into `staging`, from the first address that has it."""
    target = staging / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    known = f"sha256:{source.sha256}" if source.sha256 else None
    if (
        known is None and target.is_file()
    ):  # complete, as pooch renames it; no checksum says whether it is the right one
        return
    failures: list[str] = []
    for url in source.urls:
        if failures:
            say(f"{failures[-1]}; trying another address")

        def loader(url: str, output: Any, _: Any) -> None:
            part = target.with_name(f".{target.name}.part")
            with meter(f"{entry.name}/{source.name}") as progress:
                download(url, part, progress, timeout=timeout, size=source.size)
            os.replace(part, output)

        try:
            pooch.retrieve(url, known, fname=target.name, path=target.parent, downloader=loader)
            return
        except DownloadError as error:
            failures.append(str(error))
        except ValueError as error:  # what pooch raises for a wrong checksum; the file is gone
            failures.append(f"{url}: its SHA-256 is not {source.sha256}; it was deleted ({_first_line(error)})")
    raise FetchError(
        f"{entry.name}/{source.name} could not be fetched: {'; '.join(failures)}. Check the network (a proxy is set with "
        "HTTPS_PROXY) and run the same command again, which resumes the download; or put the files of the data "
        f"set into a folder {entry.name}/ by hand and set XBAR_DATA to the folder that contains it."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _finish(entry: Entry, staging: pathlib.Path, home: pathlib.Path, say: Say) -> None:
    """Unpacks, converts, writes the record, and moves the folder into place."""
    files = {source.name: _described(source, staging / source.name, say) for source in entry.files}
    final = staging.with_name(f".{entry.name}.whole")
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir()
    try:
        made = _contents(entry, staging, final)
    except ArchiveError as error:
        shutil.rmtree(final, ignore_errors=True)
        shutil.rmtree(staging, ignore_errors=True)
        raise FetchError(
            f"{entry.name}: {error}. What was downloaded was deleted; run the same command again."
        ) from error
    record = {
        "name": entry.name,
        "title": entry.title,
        "licence": entry.licence,
        "citation": entry.citation,
        "fetched": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "files": files,
        "made_here": list(made),
    }
    write_text(final / RECORD, json.dumps(record, indent=1))
    old = staging.with_name(f".{entry.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        os.replace(home, old)
    os.replace(final, home)
    for rest in (old, staging):
        shutil.rmtree(rest, ignore_errors=True)


def _contents(entry: Entry, staging: pathlib.Path, final: pathlib.Path) -> tuple[str, ...]:
    """Puts the files of a data set into `final`; returns the names of those that are made here."""
    for source in entry.files:
        if source.unpack:
            unpack(staging / source.name, final, source.unpack, source.strip)
        else:
            (final / source.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(staging / source.name, final / source.name)
    return CONVERSIONS[entry.name](final) if entry.name in CONVERSIONS else ()


def _described(source: Source, path: pathlib.Path, say: Say) -> dict[str, Any]:
    """What is recorded about a published file; a checksum that was unknown is recorded now, and reported."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not source.sha256:
        say(f"{source.name}: no checksum was known; recorded SHA-256 {digest}")
    return {
        "urls": list(source.urls),
        "sha256": digest,
        "size": path.stat().st_size,
        "checksum_was_known": bool(source.sha256),
    }


def _room(entry: Entry, folder: pathlib.Path) -> None:
    need, free = 2 * (entry.size or 0), shutil.disk_usage(folder).free
    if need > free:
        raise OSError(errno.ENOSPC, f"it needs about {need / 1e6:.0f} MB, {free / 1e6:.0f} MB are free", str(folder))


def _disk(error: OSError, entry: Entry) -> str:
    where = error.filename or cache()
    return (
        f"{entry.name} could not be written: {where}: {error.strerror or error}. Free some space there, allow writing, or set "
        "XDG_CACHE_HOME to another folder; what was downloaded is kept."
    )


@contextlib.contextmanager
def _locked(path: pathlib.Path, name: str, say: Say) -> Iterator[None]:
    """Only one process at a time fetches a data set."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(f"{name} is being fetched by another process; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
