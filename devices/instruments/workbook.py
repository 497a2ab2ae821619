"""Sheets of Excel workbooks as rows; openpyxl (.xlsx) and xlrd (.xls, of Excel 2003 and before) are loaded only here."""

from __future__ import annotations

import io
import lzma
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devices.instruments.source import ZIP, File, NotAMeasurement
from devices.instruments.trace import FileError

_MISSING = "{} is an Excel workbook; to read it: pip install 'xbar-sim[lab]'"
_DAMAGED = "{} is a damaged Excel workbook ({}: {}); export it again."
_DAMAGE = (  # whatever openpyxl makes of wrong bytes
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, SyntaxError, LookupError, ValueError, TypeError, AttributeError, EOFError,
    OSError, RuntimeError, ArithmeticError, AssertionError,
)  # fmt: skip
_OLD_DAMAGE = (struct.error, AssertionError, LookupError, ValueError, TypeError, AttributeError, OSError, OverflowError)
CELL = 32  # bytes of a cell in memory, about


def sheet_names(file: File) -> list[str]:
    """Names of the sheets of an Excel workbook (of .xlsx without openpyxl); none if the file is not a workbook.

    Raises:
        NotAMeasurement: if the file is packed as .xls (and .doc) are, and xlrd is not installed or finds no workbook in it.
    """
    if not file.head.startswith(ZIP):
        return _old_book(file).sheet_names()
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            _check_unpacked(file, archive)
            book = archive.read("xl/workbook.xml").decode("utf-8", errors="replace")
    except FileError:
        raise
    except _DAMAGE:
        return []
    return re.findall(r'<(?:\w+:)?sheet\b[^<>]*?\bname="([^"]*)"', book)


def _check_unpacked(file: File, archive: zipfile.ZipFile) -> None:
    """Raises FileError for what unpacks to too much; no more is unpacked than the archive declares."""
    _check_size(file, sum(part.file_size for part in archive.infolist()))


def _check_size(file: File, size: int) -> None:
    """Raises FileError where a workbook takes more bytes than the file may have."""
    if size > file.limit_mb * 1e6:
        raise FileError(
            f"{file.path} unpacks to more than {file.limit_mb:g} MB; export its sheets as text, or write "
            f"`max_megabytes = ...` into its sidecar {file.path.name}.toml."
        )


def _rows(file: File, book: Mapping[str, Iterable[Sequence[Any]]]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all sheets; a cell far out makes many empty ones, which count as well."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    size = 0
    for name, rows in book.items():
        kept = found.setdefault(name, [])
        for row in rows:
            size += CELL * (1 + len(row))
            _check_size(file, size)
            kept.append(tuple(None if cell == "" else cell for cell in row))
    return found


def sheets(file: File) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of all sheets; empty cells are None.

    Raises:
        FileError: if openpyxl or xlrd is not installed, or the workbook is damaged or unpacks to too much.
    """
    if not file.head.startswith(ZIP):
        book = _old_book(file)
        return _rows(file, {sheet.name: map(sheet.row_values, range(sheet.nrows)) for sheet in book.sheets()})
    try:
        import openpyxl
    except ImportError:
        raise FileError(_MISSING.format(file.path)) from None
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like, which are not read
            _check_unpacked(file, archive)
            book = openpyxl.load_workbook(io.BytesIO(file.data), read_only=True, data_only=True)
            return _rows(file, {sheet.title: sheet.iter_rows(values_only=True) for sheet in book.worksheets})
    except FileError:
        raise
    except _DAMAGE as error:
        raise FileError(_DAMAGED.format(file.path, type(error).__name__, error)) from None


def _old_book(file: File) -> Any:
    try:
        import xlrd
        from xlrd.biffh import XLRDError
        from xlrd.compdoc import CompDocError
    except ImportError:
        raise NotAMeasurement(_MISSING.format(file.path), "xlrd is not installed") from None
    try:
        return xlrd.open_workbook(file_contents=file.data, logfile=io.StringIO(), ragged_rows=True)
    except (XLRDError, CompDocError, *_OLD_DAMAGE) as error:
        raise NotAMeasurement(
            _DAMAGED.format(file.path, type(error).__name__, error), "damaged, or not a workbook"
        ) from None
