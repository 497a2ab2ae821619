"""Readers of laboratory files: from an instrument's own file to a `Trace` in SI units.

`read(path)` finds the format by the content. What the content does not say (which column is which, units, a shunt, the
frequency) is never guessed: it is asked for in a sidecar (`sidecar.py`), a small TOML file beside the data, and the message
shows one to copy. What a headerless layout or an unusual header was taken for is recorded in a flag of the trace, as is
everything that looks wrong with the data (`quality/`).

To add a format, write a module in `formats/` and add it to `FORMATS` in its `__init__.py`, before the general tables:

    NAME = "my tester"

    def recognises(file: File) -> bool:      # by content; `file.start` are the lines of the first 64 kB
        return bool(file.start) and file.start[0].startswith("MyTester v")

    def read(file: File, side: Mapping[str, Any]) -> list[Trace]:  # columns the sidecar names, if the format has headers
        values = text_table.numbers(file, skip=2)  # missing numbers are NaN
        columns = {"v": values[:, 0], "i": values[:, 1] * 1e-6}
        return [Trace("loop", columns, (str(file.path),), NAME, (file.path.stem,), {"compliance": 1e-4})]

`recognises` must be true for no other format's files. `read` gives SI units and says in a `Flag` what it assumed;
`side` is what the sidecar says (its protocol and signs are applied later, to all formats). With `SEVERAL_FILES = True`
further files of the format are other devices or cycles of one trace; a function `combine(traces)` joins them
differently. What only the user knows is asked for by `FileError(message, needs)`: `needs` is what the sidecar must say,
with values to be corrected; `read` shows it as a tested template. A function `table(file)` gives the columns where text
alone does not. Add a small made-up file to the tests: values in, values out.
"""

from devices.instruments.formats import FORMATS
from devices.instruments.quality.inspection import inspect
from devices.instruments.reading import read
from devices.instruments.trace import KINDS, UNITS, FileError, Flag, Trace

__all__ = ["FORMATS", "KINDS", "UNITS", "FileError", "Flag", "Trace", "inspect", "read"]
