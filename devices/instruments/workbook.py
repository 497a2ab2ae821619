"""Sheets of Excel workbooks as rows; openpyxl (.xlsx) and xlrd (.xls, of Excel 2003 and before) are loaded only here."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import Any

from devices.instruments.source import ZIP, File, NotAMeasurement
from devices.instruments.trace import FileError

_MISSING = "{} is an Excel workbook; to read it: pip install 'xbar-sim[lab]'"
_DAMAGED = "{} is a damaged Excel workbook ({}: {}); export it again."
_DAMAGE = (zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, EOFError, OSError)
_OLD_DAMAGE = (struct.error, AssertionError, LookupError, ValueError, TypeError, AttributeError, OSError, OverflowError)


def sheet_names(file: File) -> list[str]:
    """Names of the sheets of an Excel workbook (of .xlsx without openpyxl); none if the file is no workbook.

    Raises:
        NotAMeasurement: if the file is packed as .xls (and .doc) are, and xlrd is not installed or finds no workbook in it.
    """
    if not file.head.startswith(ZIP):
        return _old_book(file).sheet_names()
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            book = archive.read("xl/workbook.xml").decode("utf-8", errors="replace")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError):
        return []
    return re.findall(r'<(?:\w+:)?sheet\b[^>]*?\bname="([^"]*)"', book)


def sheets(file: File) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of all sheets; empty cells are None.

    Raises:
        FileError: if openpyxl or xlrd is not installed, or the workbook is damaged.
    """
    if not file.head.startswith(ZIP):
        book = _old_book(file)
        rows = {sheet.name: [sheet.row_values(k) for k in range(sheet.nrows)] for sheet in book.sheets()}
        return {name: [tuple(None if cell == "" else cell for cell in row) for row in rows[name]] for name in rows}
    try:
        import openpyxl
    except ImportError:
        raise FileError(_MISSING.format(file.path)) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(file.data), read_only=True, data_only=True)
        return {sheet.title: [tuple(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
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
        return xlrd.open_workbook(file_contents=file.data, logfile=io.StringIO())
    except (XLRDError, CompDocError, *_OLD_DAMAGE) as error:
        raise NotAMeasurement(
            _DAMAGED.format(file.path, type(error).__name__, error), "damaged, or no workbook"
        ) from None
