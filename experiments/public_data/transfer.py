"""One file over HTTP: resumes where an earlier attempt stopped, and says in a sentence why it failed."""

from __future__ import annotations

import http.client
import os
import pathlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

BLOCK = 1 << 16
MOST = 8 << 30  # [byte]; nothing in the registry comes near
TRIES = 3  # of a transfer that is interrupted, each from where the last one stopped

Progress = Callable[[int, "int | None"], None]  # bytes that are there, bytes in all


class DownloadError(Exception):
    """A file that could not be downloaded from its address; the message says why."""


class _BrokenOff(Exception):
    """A transfer that stopped early: it may be resumed."""


def download(url: str, part: pathlib.Path, progress: Progress, *, timeout: float = 30.0, size: int = 0) -> None:
    """Downloads `url` into `part`, from where an earlier attempt stopped if the server allows it (HTTP Range).

    Args:
        part: the file; what it holds from an earlier attempt is kept if the server confirms that it is the same (`If-Range`).
        progress: called with the bytes received and the total, or None where the server does not say.
        timeout: how long to wait for a silent server [s]. size: expected [byte]; 0 for any.

    Raises:
        DownloadError: if it cannot be downloaded. What was received is kept in `part` for the next attempt.
    """
    for attempt in range(TRIES):
        try:
            return _transfer(url, part, progress, timeout, size)
        except _BrokenOff as error:
            if attempt + 1 == TRIES:
                raise DownloadError(f"{url}: {error}") from error
            time.sleep(0.2 * attempt)


def _transfer(url: str, part: pathlib.Path, progress: Progress, timeout: float, size: int) -> None:
    have, tag = _kept(part, url)
    try:
        with _open(url, have, tag, timeout) as response:
            start = _start(response, have)
            whole = _whole(response, start)
            if whole is not None and size and whole != size:
                raise DownloadError(f"{url}: it has {whole} bytes, not the {size} of the registry")
            if not start:
                forget(part)
            _remember(part, url, response)
            _receive(url, response, part, progress, start, whole, size)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is kept is not the beginning of this file
            forget(part)
            raise _BrokenOff("the server refuses to resume where the last attempt stopped") from error
        if error.code in (429, 500, 502, 503, 504):
            raise _BrokenOff(f"the server answers {error.code} ({error.reason})") from error
        raise DownloadError(f"{url}: the server answers {error.code} ({error.reason})") from error
    except TimeoutError as error:
        raise _BrokenOff(f"the server was silent for {timeout:g} s") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _BrokenOff(f"the server was silent for {timeout:g} s") from error
        raise DownloadError(f"{url}: no connection ({error.reason})") from error
    except (http.client.HTTPException, ConnectionError) as error:
        raise _BrokenOff(f"the connection broke ({error or type(error).__name__})") from error
    forget(part, keep_bytes=True)


def _open(url: str, have: int, tag: str, timeout: float) -> Any:
    headers = {"User-Agent": "xbar-sim", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)


def _receive(
    url: str, response: Any, part: pathlib.Path, progress: Progress, start: int, whole: int | None, size: int
) -> None:
    """Appends what is received, until the end or until the connection breaks."""
    have, most = start, whole or size or MOST
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        progress(have, whole)
        while block := response.read1(BLOCK):
            have += len(block)
            if have > most:
                raise DownloadError(f"{url}: it sends more than the {most} bytes announced")
            file.write(block)
            progress(have, whole)
        file.flush()
        os.fsync(file.fileno())
    if have < (whole or size):
        raise _BrokenOff(f"the transfer stopped after {have} of {whole or size} bytes")


def _start(response: Any, have: int) -> int:
    """Where the server resumes: 0 where it sends the whole file again."""
    if response.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != have:
        raise DownloadError(f"{response.url}: the server sends a different part from the one requested")
    return have


def _whole(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _kept(part: pathlib.Path, url: str) -> tuple[int, str]:
    """How many bytes an earlier attempt left, and the server's tag for that version of the file."""
    note = _note(part)
    try:
        found, tag = note.read_text("utf-8").split("\n", 1)
        return (part.stat().st_size, tag) if found == url and tag else (0, "")
    except (OSError, ValueError):
        return 0, ""


def _remember(part: pathlib.Path, url: str, response: Any) -> None:
    """Keeps the tag of this version: only with a strong one may a later attempt resume."""
    tag = response.headers.get("ETag", "")
    tag = "" if tag.startswith("W/") else tag or response.headers.get("Last-Modified", "")
    _note(part).write_text(f"{url}\n{tag}", "utf-8")


def forget(part: pathlib.Path, keep_bytes: bool = False) -> None:
    """Deletes what an earlier attempt left."""
    _note(part).unlink(missing_ok=True)
    if not keep_bytes:
        part.unlink(missing_ok=True)


def _note(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(part.name + ".version")
