"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary file beside `path` to write to, moved into its place if nothing fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes text in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def printable(text: str) -> str:
    """Text with an escape for what no encoding has: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
