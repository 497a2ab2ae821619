"""File formats, one per module: how the content is recognised, and how it becomes traces. See `devices.instruments`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from devices.instruments.formats import (
    arc_one,
    arc_two,
    clarius,
    easyexpert,
    endurance_log,
    excel_table,
    hdf5,
    keithley2600,
    knowm,
    matlab,
    oscilloscope,
    pulse_reads,
    pulse_rows,
    read_iv_log,
    read_noise_log,
    relaxation_log,
    single_pulse_log,
    table_with_headers,
    table_without_headers,
    write_verify_log,
)
from devices.instruments.source import File
from devices.instruments.trace import Trace


@runtime_checkable
class Format(Protocol):
    """What a format's module must define; `SEVERAL_FILES` and `combine` are optional."""

    @property
    def NAME(self) -> str:
        """The name of the format for users."""
        ...

    @property
    def recognises(self) -> Callable[[File], bool]:
        """Whether the content is of this format."""
        ...

    @property
    def read(self) -> Callable[[File, Mapping[str, Any]], list[Trace]]:
        """Traces of a file, with what its sidecar says."""
        ...


# The first that recognises a file reads it: instruments, then logs of rigs, then tables of any kind.
FORMATS: tuple[Format, ...] = (
    clarius, knowm, arc_two, arc_one, easyexpert, keithley2600, oscilloscope,
    pulse_reads, write_verify_log, pulse_rows, read_noise_log, relaxation_log, single_pulse_log, read_iv_log, endurance_log,
    matlab, hdf5, excel_table, table_with_headers, table_without_headers,
)  # fmt: skip
# Those that read the columns that a sidecar names, whatever else a text holds.
NAMED_BY_SIDECAR: tuple[Format, ...] = (oscilloscope, easyexpert, table_with_headers, table_without_headers)
