"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

from xbar.storage.chip_file_error import ChipFileError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A name beside `path` to write to; what was written takes its place once it is on the disk, if nothing fails."""
    target = pathlib.Path(os.path.realpath(path))  # a link stays one, and what it leads to is replaced
    if not target.parent.is_dir():
        raise ChipFileError(f"{path} cannot be written: there is no folder {target.parent}. Make it first.")
    if target.is_dir():
        raise ChipFileError(f"{path} is a folder. Give the name of a file in it.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # systems that cannot open a folder keep its entries in their own time
        _to_disk(target.parent)


def _to_disk(path: pathlib.Path) -> None:
    flags = os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
