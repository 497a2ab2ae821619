"""Sheets of Excel workbooks as rows; openpyxl is loaded only here."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from devices.instruments.source import File
from devices.instruments.trace import FileError


def sheet_names(file: File) -> list[str]:
    """Names of the sheets of an Excel workbook, without openpyxl; none if the file is no workbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            book = archive.read("xl/workbook.xml").decode("utf-8", errors="replace")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError):
        return []
    return re.findall(r'<(?:\w+:)?sheet\b[^>]*?\bname="([^"]*)"', book)


def sheets(file: File) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of all sheets.

    Raises:
        FileError: if openpyxl is not installed, or the workbook is damaged.
    """
    try:
        import openpyxl
    except ImportError:
        raise FileError(f"{file.path} is an Excel workbook; to read it: pip install 'xbar-sim[lab]'") from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(file.data), read_only=True, data_only=True)
        return {sheet.title: [tuple(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
    except (zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, EOFError, OSError) as error:
        raise FileError(f"{file.path} is a damaged Excel workbook ({error}); export it again.") from None
