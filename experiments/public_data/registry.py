"""`data/registry.toml`: the public data sets, where they come from, and their licences."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import pathlib
import re
import tomllib
import urllib.parse
from typing import Any

from experiments.framework.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Source:
    """One file as published.

    Args:
        name: path inside the folder of the data set; the name of the archive if it is unpacked.
        urls: its addresses; the first that answers is used.
        sha256: of the published bytes; "" where no checksum is known.
        size: [byte]; 0 where it is unknown.
        unpack: "zip", "tar", or "" for a file that stays as it is. strip: number of leading folders of members to drop.
        note: where the checksum was read, or why there is none.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str = ""
    size: int = 0
    unpack: str = ""
    strip: int = 0
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One data set.

    Args:
        name: also that of its folder. shapes: what the files hold, one line each.
        licence, citation: what its publisher asks for. also: folders where system packages put it.
    """

    name: str
    title: str
    licence: str
    citation: str
    shapes: tuple[str, ...]
    files: tuple[Source, ...]
    also: tuple[str, ...] = ()
    note: str = ""

    @property
    def size(self) -> int | None:
        """Size of the download [byte], or None where a part is unknown."""
        sizes = [source.size for source in self.files]
        return sum(sizes) if all(sizes) else None


def registry_path() -> pathlib.Path:
    """The file: in a source tree, or in an installed copy.

    Raises:
        UsageError: if it is in neither place.
    """
    here = pathlib.Path(__file__).parents[1]
    places = [here.parent / "data" / "registry.toml", here / "data" / "registry.toml"]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise UsageError(f"registry.toml is missing; it belongs at {places[0]}. Install xbar-sim again.")
    return path


@functools.cache
def entries(path: pathlib.Path | None = None) -> dict[str, Entry]:
    """All data sets by name.

    Raises:
        UsageError: if the file is damaged, or names a file outside the folder of its data set.
    """
    path = path or registry_path()
    try:
        return {name: _entry(name, table) for name, table in tomllib.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({error}). Install xbar-sim again.") from error


def entry(name: str) -> Entry:
    """The data set of this name.

    Raises:
        UsageError: if there is none.
    """
    known = entries()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Available: {', '.join(known)}."
        raise UsageError(f"there is no data set {name!r} in the registry. {hint}")
    return known[name]


def _entry(name: str, table: dict[str, Any]) -> Entry:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"{name!r} is not the name of a folder")
    bases = tuple(table.get("bases", ()))
    return Entry(
        name,
        table["title"],
        table["licence"],
        table["citation"].strip(),
        tuple(table["shapes"]),
        tuple(_source(file, bases) for file in table["files"]),
        tuple(table.get("also", ())),
        table.get("note", ""),
    )


def _source(file: dict[str, Any], bases: tuple[str, ...]) -> Source:
    """A file; without `urls` of its own it is found under each of `bases`, at `path` or at its name."""
    name, relative = file["name"], urllib.parse.quote(file.get("path", file["name"]))
    parts = pathlib.PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0] == "/" or any(p.startswith(".") for p in parts) or "\\" in name:
        raise ValueError(f"{name!r} is not inside the folder of its data set")
    urls = tuple(file.get("urls", ())) or tuple(base + relative for base in bases)
    if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
        raise ValueError(f"{name!r} has no http address")
    sha256 = file.get("sha256", "")
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256 of {name!r} does not have 64 hexadecimal digits")
    if not sha256 and not file.get("note"):
        raise ValueError(f"{name!r} has neither a checksum nor a note saying why")
    if file.get("unpack", "") not in ("", "zip", "tar"):
        raise ValueError(f"{name!r} cannot be unpacked as {file['unpack']!r}")
    options = {k: file[k] for k in ("size", "unpack", "strip", "note") if k in file}
    return Source(name, urls, sha256, **options)
