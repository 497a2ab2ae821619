"""Files that cannot be used: each gives one clear sentence, at once, and nothing is written."""

import gzip
import os
import pathlib
import sys
import time

import numpy as np
import pytest

from devices.instruments import FileError, read

GOOD = "Voltage (V),Current (uA)\n" + "".join(f"{v},{10 * v + 1}\n" for v in (0, 0.5, 1, 0.5, 0, -0.5, -1, -0.5, 0))


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def truncated(text):
    packed = gzip.compress(text.encode() + os.urandom(100_000))
    return packed[: len(packed) // 2]


BAD = {
    "wrong columns": (GOOD.replace("Voltage (V),Current (uA)", "Foo,Bar"), "nothing says their columns and units"),
    "only voltage known": (GOOD.replace("Current (uA)", "Bar"), "has columns v, which no kind of measurement has"),
    "ragged rows": (GOOD + "1,2,3\n", "line 11: 3 columns, but 2 in the rows before"),
    "word among numbers": (GOOD + "1,oops\n", "line 11: 'oops' is not a number"),
    "mixed units": (GOOD.replace("(uA)", "(V)"), "column i is in V, but it is measured in A"),
    "unit of no current": (GOOD.replace("(uA)", "(lumen)"), "which no kind|units are not guessed"),
    "mixed siemens and normalised": ("g (S),g0 (1),t (s)\n1e-6,0.5,1\n1e-6,0.5,2\n", "mixes siemens and normalised"),
    "empty": ("", "is empty .0 bytes"),
    "header alone": ("Voltage (V),Current (uA)\n", "headers but no row of numbers"),
    "truncated gz": (truncated(GOOD * 500), "damaged gzip"),
    "damaged gz": (gzip.compress(GOOD.encode())[:40] + b"abc", "damaged gzip"),
    "all NaN": (GOOD.split("\n")[0] + "\n" + "nan,1\n#REF,2\n,3\n", "no row of 3 has finite values of v, i"),
    "binary junk": (bytes(range(256)) * 40, "is not text: .* control bytes"),
    "damaged Excel": (b"PK\x03\x04" + bytes(range(200)), "no known layout .a workbook"),
    "damaged HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(300), "damaged HDF5"),
    "swapped columns": ("Voltage (V),Current (A)\n" + "".join(f"{k * 1e-6},{k * 0.1}\n" for k in range(9)), "are swapped"),
    "decimal commas between commas": ("Voltage (V),Current (uA)\n0,0,0,0\n0,5,1,25\n1,0,2,5\n", "2 headers but 4 fields"),
    "decimal commas without header": ("".join(f"0,{k:02d},0,0{k}\n" for k in range(5)), "looks like decimal commas"),
    "decimal commas between blanks": ("0,1 0,2\n0,2 0,4\n0,3 0,6\n", "has decimal commas"),
    "comma in one cell": (GOOD.replace(",", "\t") + "0,5\t1\n", "'0,5' is not a number; it looks like a decimal comma"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_clear_message_and_nothing_written(tmp_path, name):
    data, message = BAD[name]
    path = write(tmp_path, "data.csv", data)
    with pytest.raises(FileError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert error.value.__cause__ is None  # no chain of tracebacks
    assert os.listdir(tmp_path) == ["data.csv"]


def test_missing_file_and_folders_without_data(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(FileError, match="holds no measurement"):
        read(tmp_path)
    write(tmp_path, "README.md", "# Notes\n\nMeasured on Monday, at 300 K.\n")
    write(tmp_path, "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(FileError, match=r"left out: README.md \(no known layout\); picture.png \(not text\)"):
        read(tmp_path)
    with pytest.raises(FileError, match="no measurement"):
        read([])


def test_strangers_in_a_folder_are_left_out_with_a_note_but_not_if_asked_for(tmp_path):
    readme = write(tmp_path, "README.md", "# Notes\n\nMeasured on Monday.\n")
    write(tmp_path, "iv.csv", GOOD)
    (trace,) = read(tmp_path)
    assert [f.reason for f in trace.flags if f.name == "skipped files"] == [
        "Left out of the folder: README.md (no known layout)."
    ]
    with pytest.raises(FileError, match="no known layout"):
        read(readme)


def test_damaged_data_in_a_folder_are_not_left_out_silently(tmp_path):
    write(tmp_path, "iv.csv", GOOD)
    write(tmp_path, "more.csv.gz", truncated(GOOD))
    with pytest.raises(FileError, match="damaged gzip"):
        read(tmp_path)


def test_forbidden_file(tmp_path, monkeypatch):
    path = write(tmp_path, "iv.csv", GOOD)

    def forbidden(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(pathlib.Path, "open", forbidden)
    with pytest.raises(FileError, match="may not be read: you lack permission"):
        read(path)


@pytest.mark.parametrize("start, message", [(b"", "is not text"), (GOOD.encode() * 500, "max_megabytes = 2147")])
def test_two_gigabytes_are_refused_at_once(tmp_path, start, message):
    path = write(tmp_path, "large.csv", start)
    os.truncate(path, 2**31)
    begin = time.perf_counter()
    with pytest.raises(FileError, match=message):
        read(path)
    assert time.perf_counter() - begin < 1.0


def test_limit_of_size_can_be_moved(tmp_path):
    path = write(tmp_path, "a.csv.gz", gzip.compress((GOOD + "0,1\n" * 20_000).encode()))
    with pytest.raises(FileError, match=r"unpacks to more than 0\.01 MB"):
        read(path, sidecar={"max_megabytes": 0.01})
    assert len(read(path)[0]) == 20_009


def test_some_missing_values_are_excluded_and_byte_order_marks_read(tmp_path):
    (trace,) = read(write(tmp_path, "a.csv", "\ufeff" + GOOD + "#REF,1\n1,inf\n"))
    assert len(trace) == 11
    assert trace.good.sum() == 9
    (flag,) = [flag for flag in trace.flags if flag.name == "missing values"]
    np.testing.assert_array_equal(flag.rows, [9, 10])


def test_the_same_content_twice(tmp_path):
    write(tmp_path, "a.csv", GOOD)
    write(tmp_path, "b.csv", GOOD)
    write(tmp_path, "c.csv", GOOD.replace("1,11", "1,12"))
    (trace,) = read(tmp_path)
    assert trace.labels == ("a", "b", "c")
    excluded = [flag for flag in trace.flags if flag.name == "duplicate file" and flag.excluded]
    np.testing.assert_array_equal(excluded[0].rows, np.arange(9, 18))
    np.testing.assert_array_equal(trace.good, trace["device"] != 1)


@pytest.mark.parametrize("end", ["xlsx", "xls"])
def test_reader_of_workbooks_missing(tmp_path, monkeypatch, end):
    import openpyxl
    import xlwt

    book = openpyxl.Workbook() if end == "xlsx" else xlwt.Workbook()
    for name in ("Settings", "Run1", "Calc"):
        book.create_sheet(name) if end == "xlsx" else book.add_sheet(name)
    book.save(tmp_path / f"a.{end}")
    monkeypatch.setitem(sys.modules, "openpyxl" if end == "xlsx" else "xlrd", None)
    with pytest.raises(FileError, match=r"pip install 'xbar-sim\[lab\]'"):
        read(tmp_path / f"a.{end}")


def test_a_letter_beside_the_data_is_left_out_of_a_folder(tmp_path):
    """Old Word files are packed as old Excel ones are: named alone it is refused, in a folder it is noted and left out."""
    write(tmp_path, "a.csv", GOOD)
    letter = write(tmp_path, "letter.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000))
    (trace,) = read(tmp_path)
    assert any("letter.doc" in flag.reason for flag in trace.flags if flag.name == "skipped files")
    with pytest.raises(FileError, match="damaged Excel workbook"):
        read(letter)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_old_workbook_cut_off_or_overwritten(tmp_path, share):
    import xlwt

    book = xlwt.Workbook()
    for name in ("Settings", "Run1", "Calc"):
        sheet = book.add_sheet(name)
        for row in range(200):
            sheet.write(row, 0, float(row))
    book.save(tmp_path / "a.xls")
    data = (tmp_path / "a.xls").read_bytes()
    place = int(share * len(data))
    (tmp_path / "a.xls").write_bytes(data[:place])
    with pytest.raises(FileError):
        read(tmp_path / "a.xls")
    (tmp_path / "a.xls").write_bytes(data[:place] + b"\xff" * 600 + data[place + 600 :])
    with pytest.raises(FileError):
        read(tmp_path / "a.xls")


def test_header_alone_with_known_names_but_damaged_rows(tmp_path):
    with pytest.raises(FileError, match="no known layout"):
        read(write(tmp_path, "a.csv", "Voltage (V),Current (uA)\n1\n2\n"))


DAMAGED = {
    "easyexpert cut": ("SetupTitle,a\nDataName,V1,I1\nDataValue,0,1\nDataValue,0\n", "line 4: 1 values, but DataName names 2"),
    "easyexpert bare": ("SetupTitle,a\nDataName,V1,I1\n", "no DataValue lines"),
    "easyexpert unclear": ("SetupTitle,a\nDataName,V1,V2,I1\nDataValue,0,1,2\n", "which of V1, V2, I1"),
    "arc cut": (
        "x\ny\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n",
        "header but no rows",
    ),
    "clarius two terminals": ("Time\tAI\tAV\tBI\tBV\n1\t1\t1\t1\t1\n", "terminals A, B"),
    "trains that disagree": ("Gprog, 1, 2, 3\nGerase, 1, 2, 3\n", "disagree on"),
    "oscilloscope": ("x-axis,1\nsecond,Volt\n0,1\n", "an oscilloscope and does not say what its channels 1 measured"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_of_instruments(tmp_path, name):
    text, message = DAMAGED[name]
    with pytest.raises(FileError, match=message):
        read(write(tmp_path, "d.txt", text))
