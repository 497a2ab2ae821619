"""Files that are written completely or not at all, and hashes of their contents."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary file beside `path` to write to; it is on disk before it replaces `path`, and is removed if anything fails.

    Raises:
        OSError: naming `path`, if it cannot be written.
    """
    from xbar.storage import whole_files

    try:
        with whole_files.replacing(path) as temporary:
            yield temporary
    except OSError as error:
        known = error.errno is not None
        raise (OSError(error.errno, error.strerror, str(path)) if known else OSError(f"{path}: {error}")) from error


def hash_of(path: pathlib.Path) -> str:
    """A short hash of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes text in UTF-8."""
    write_bytes(path, printable(text).encode())


def printable(text: str) -> str:
    """Text with escapes for what cannot be encoded: bytes of a file name that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
