"""`File`: the bytes and the text of one file, opened with care so that a bad file gives one clear sentence."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import pathlib
import zlib
from collections.abc import Iterator

from devices.instruments.column_words import EASTERN
from devices.instruments.trace import FileError

HEAD = 1 << 16
PART = 1 << 24  # bytes that are read, or unpacked, at once
LIMIT_MB = 1024.0
GZIP, HDF5 = b"\x1f\x8b", b"\x89HDF\r\n\x1a\n"
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what .xlsx and .xls are packed in
MATLAB = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")
TEXT_CONTROLS = set(b"\t\n\r\f")


class NotAMeasurement(FileError):
    """A file that does not look like a measurement; in a folder it is left out, with `why` in the note."""

    def __init__(self, message: str, why: str):
        super().__init__(message)
        self.why = why


class File:
    """One file: `head` are its first 64 kB (unpacked), `text` all of it, `raw` the bytes as they lie on disk.

    Args:
        path: where it is. limit_mb: largest size, packed or unpacked, that is read at all [MB].

    Raises:
        FileError: if it is missing, a folder, forbidden, empty, too large, a broken gzip, or of a kind that is not
            read.
    """

    def __init__(self, path: str | pathlib.Path, limit_mb: float = LIMIT_MB):
        self.path, self.limit_mb = pathlib.Path(path), limit_mb
        if self.path.is_dir():
            raise FileError(f"{self.path} is a folder, not a file; read() walks folders, a reader takes one file.")
        if self.path.exists() and not self.path.is_file():
            raise FileError(f"{self.path} is not a regular file; save its output, and give that file.")
        self.head = self._read(HEAD)
        if not self.head:
            raise NotAMeasurement(
                f"{self.path} is empty (0 bytes of data); export it again from the instrument.", "empty"
            )
        size = self.path.stat().st_size
        self._check_content()
        if size > limit_mb * 1e6:
            raise FileError(
                f"{self.path} has {size / 1e6:.0f} MB, more than the limit of {limit_mb:g} MB; split it, or "
                f"write `max_megabytes = {size / 1e6:.0f}` into its sidecar {self.path.name}.toml."
            )

    @contextlib.contextmanager
    def _open(self) -> Iterator[io.BufferedIOBase]:
        """The content, unpacked."""
        with self.path.open("rb") as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else contextlib.nullcontext(file) as content:
                yield content  # type: ignore[misc]

    def _read(self, most: int | float) -> bytes:
        parts, left = [], most
        try:
            with self._open() as file:
                while left > 0 and (part := file.read(int(min(left, PART)))):
                    parts.append(part)
                    left -= len(part)
            return b"".join(parts)
        except FileNotFoundError:
            raise FileError(f"there is no file {self.path}; check the spelling and the folder.") from None
        except PermissionError:
            raise FileError(
                f"{self.path} may not be read: you lack permission; ask its owner, or `chmod u+r` it."
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileError(f"{self.path} is a damaged gzip file ({error}); copy it again from its source.") from None
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror or error}.") from None

    def _check_content(self) -> None:
        if self.is_hdf5 or self.is_workbook or self.is_matlab or self.head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return
        controls = sum(byte < 32 and byte not in TEXT_CONTROLS for byte in self.head[:4096])
        if controls:
            nul = self.head[:4096].count(0)
            raise NotAMeasurement(
                f"{self.path} is not text: {controls} control bytes ({nul} of them zero) in its first "
                f"{len(self.head[:4096])}. "
                "Text (CSV, TSV, also .gz), Excel workbooks of Clarius, MATLAB and HDF5 can be read; "
                "export it as text.",
                "not text",
            )

    @property
    def name(self) -> str:
        """Name without folder."""
        return self.path.name

    @property
    def is_hdf5(self) -> bool:
        """Whether the content is HDF5."""
        return self.head.startswith(HDF5)

    @property
    def is_workbook(self) -> bool:
        """Whether the content is packed like Excel workbooks, new (.xlsx) or old (.xls)."""
        return self.head.startswith((ZIP, OLE))

    @property
    def is_matlab(self) -> bool:
        """Whether the content begins like MATLAB files of version 5 to 7.3."""
        return self.head.startswith(MATLAB)

    @property
    def digest(self) -> str:
        """Fingerprint of the unpacked content."""
        with self._open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

    @functools.cached_property
    def data(self) -> bytes:
        """All bytes, unpacked."""
        if len(self.head) < HEAD:
            return self.head
        most = self.limit_mb * 1e6
        data = self._read(most + 1)
        if len(data) > most:
            raise FileError(
                f"{self.path} unpacks to more than {self.limit_mb:g} MB; split it, or write `max_megabytes = ...` into "
                f"its sidecar {self.path.name}.toml."
            )
        return data

    @functools.cached_property
    def text(self) -> str:
        """All of the text, without byte-order mark, line ends as `\\n`."""
        return decoded(self.data)

    @functools.cached_property
    def start(self) -> list[str]:
        """The whole lines within the first 64 kB; the first line even if it is longer (cut short)."""
        if self.is_hdf5 or self.is_workbook or self.is_matlab:
            return []
        lines = decoded(self.head).split("\n")
        return lines if len(self.head) < HEAD or len(lines) == 1 else lines[:-1]

    def stream(self) -> Iterator[str]:
        """Lines of text, one by one."""
        return iter(io.StringIO(self.text))


def _of_old_code(data: bytes) -> str:
    for code in ("cp932", "gb18030", "big5"):
        text = data.decode(code, errors="ignore")
        if any(word in text[:HEAD] for word in EASTERN):
            return text
    return data.decode("latin-1")


def decoded(data: bytes) -> str:
    """Text of bytes: UTF-8 or UTF-16 with or without mark, else an encoding of Chinese or Japanese programs if a word
    for a column appears in it, else Latin-1 (in which old instruments write `µ`)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="ignore")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            cut = error.start >= len(data) - 3  # a character cut in two at the end of the head
            text = data.decode("utf-8-sig", errors="ignore") if cut else _of_old_code(data)
    return text.replace("\r\n", "\n").replace("\r", "\n")
