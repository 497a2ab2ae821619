"""Keysight and Agilent oscilloscope csv: lines `x-axis,1,2` and `second,Volt,Volt`, then time and channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.instruments import column_headers, columns_to_trace, text_table
from devices.instruments.source import File
from devices.instruments.trace import FileError, Trace

NAME = "oscilloscope"
SEVERAL_FILES = True


def recognises(file: File) -> bool:
    """`x-axis` in the first field of the first line, and a line of units below it."""
    return (
        len(file.start) > 2
        and file.start[0].lower().startswith("x-axis")
        and file.start[1].lower().startswith("second")
    )


def read(file: File, side: Mapping[str, Any]) -> list[Trace]:
    """One trace; the sidecar says what each channel saw, and how large the shunt was.

    Raises:
        FileError: if it does not; the message shows a sidecar to copy.
    """
    channels, texts = text_table.fields(file.start[0], ","), text_table.fields(file.start[1], ",")
    count = len(channels)
    if "columns" not in side:
        names = ["t", "v_drive", "v_shunt"][:count] + ["-"] * (count - 3)
        raise FileError(
            f"{file.path} is from an oscilloscope and does not say what its channels {', '.join(channels[1:])} measured: "
            "v_shunt is a voltage between device and ground, v one across the device.",
            {"columns": names, "protocol": {"shunt": 1000.0}},
        )
    if len(side["columns"]) != count:
        raise FileError(
            f"{file.path} has {count} columns, but its sidecar names {len(side['columns'])}; name all, `-` to skip."
        )
    values = text_table.numbers(file, 2)
    if not len(texts) == values.shape[1] == count:
        raise FileError(
            f"{file.path}: {count} channels, {len(texts)} units, but {values.shape[1]} columns; correct its first two lines."
        )
    found = [column_headers.unit(text) or column_headers.unit(text.lower()) for text in texts]
    if None in found:
        raise FileError(f"{file.path}, line 2: {texts[found.index(None)]!r} is not a unit; write `second,Volt,Volt`.")
    named = [
        (name, values[:, k], unit) for k, (name, unit) in enumerate(zip(side["columns"], found, strict=True)) if unit
    ]
    return [columns_to_trace.trace(file, named, side, NAME)]
