"""Untrusted archives, unpacked safely: plain files inside one folder, up to a size limit."""

from __future__ import annotations

import pathlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

MOST_FILES = 200_000
MOST_TIMES = 50  # an archive may become this many times its own size, and at least
LEAST = 1 << 24  # [byte]
BLOCK = 1 << 20


class ArchiveError(Exception):
    """An archive that is damaged or holds something it must not hold."""


def unpack(archive: pathlib.Path, folder: pathlib.Path, kind: str, strip: int = 0) -> list[str]:
    """Writes the plain files of an archive into `folder` and returns their names.

    Args:
        kind: "zip" or "tar" (of any compression). strip: number of leading folders of each member to drop.

    Raises:
        ArchiveError: if it is damaged, holds links or devices, or paths that lead outside or exist already, or becomes larger
            than 50 times its own size. What was written by then stays in `folder`.
    """
    left = max(MOST_TIMES * archive.stat().st_size, LEAST)
    members = {"zip": _zip_members, "tar": _tar_members}[kind]
    written: list[str] = []
    try:
        for name, stream in members(archive):
            target = _inside(folder, name, strip)
            if target is None:
                continue
            if len(written) == MOST_FILES:
                raise ArchiveError(f"{archive.name} holds more than {MOST_FILES} files")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:  # a name that occurs twice is refused
                while block := stream.read(BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise ArchiveError(f"{archive.name} becomes larger than {MOST_TIMES} times its own size")
                    file.write(block)
            written.append(target.relative_to(folder).as_posix())
    except FileExistsError as error:
        raise ArchiveError(f"{archive.name} holds {error.filename} twice") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ArchiveError(f"{archive.name} is damaged ({error})") from error
    if not written:
        raise ArchiveError(f"{archive.name} holds no files")
    return written


def _inside(folder: pathlib.Path, name: str, strip: int) -> pathlib.Path | None:
    """The path of a member, or None for one that `strip` leaves nothing of."""
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or any(":" in part or "\0" in part for part in path.parts):
        raise ArchiveError(f"a member of the archive leads outside its folder: {name!r}")
    parts = path.parts[strip:]
    return folder.joinpath(*parts) if parts else None


def _zip_members(archive: pathlib.Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise ArchiveError(f"{archive.name} holds {info.filename!r}, which is not a regular file")
            with file.open(info) as stream:
                yield info.filename, stream


def _tar_members(archive: pathlib.Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as file:  # a stream: no seeking, nothing kept
        for info in file:
            if info.isdir() or info.type == tarfile.XGLTYPE:
                continue
            stream = file.extractfile(info) if info.isreg() else None
            if stream is None:
                raise ArchiveError(f"{archive.name} holds {info.name!r}, which is not a regular file")
            yield info.name, stream
