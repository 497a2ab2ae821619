"""Excel workbooks not written by an instrument's program: each sheet with a table is read like a table in text."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from typing import Any

from devices.instruments import excerpt, workbook
from devices.instruments.column_guesses import Table
from devices.instruments.formats import table_with_headers, table_without_headers
from devices.instruments.source import HEAD, File, NotAMeasurement
from devices.instruments.trace import Trace

NAME = "Excel table"
SEVERAL_FILES = True


def recognises(file: File) -> bool:
    """Any Excel workbook whose sheets can be listed."""
    return file.is_workbook and bool(workbook.sheet_names(file))


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """A trace of every sheet with headers of known columns; else of the first with rows of numbers, whose columns a sidecar
    names.

    Raises:
        FileError: as for such a table of text; NotAMeasurement if no sheet holds one.
    """
    texts = _texts(file)
    headed = [text for text in texts if table_with_headers.recognises(text)]
    if headed:
        return [trace for text in headed for trace in table_with_headers.read(text, side)]
    bare = [text for text in texts if excerpt.table(text) is not None]
    if not bare:
        raise NotAMeasurement(
            f"{file.path} is a workbook that Clarius did not write, and no sheet holds a table of numbers.",
            "no known layout",
        )
    return table_without_headers.read(bare[0], side)


def table(file: File) -> Table | None:
    """First rows of the first sheet with numbers."""
    return next((found for found in map(excerpt.table, _texts(file)) if found is not None), None)


def _texts(file: File) -> list[File]:
    """Sheets as files of text, with columns separated by tabs."""
    texts = []
    for rows in workbook.sheets(file).values():
        lines = ["\t".join(map(_cell, row)).rstrip("\t") for row in rows]
        text = copy.copy(file)
        data = ("\n".join(lines) + "\n").encode()
        text.__dict__.update(head=data[:HEAD], data=data)
        for name in ("text", "start"):
            text.__dict__.pop(name, None)
        if any(lines):
            texts.append(text)
    return texts


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return str(value).replace("\t", " ").replace("\n", " ")
