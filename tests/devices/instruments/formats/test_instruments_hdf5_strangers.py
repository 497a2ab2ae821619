"""HDF5, MATLAB and Excel files of strangers: no other file is read, no more is unpacked than the limit, and nothing but a
`FileError` comes out."""

import contextlib
import io
import random
import time
import warnings
import zipfile

import h5py
import numpy as np
import openpyxl
import pytest
from scipy import io as scipy_io

from devices.instruments import FileError, read

V, I = "voltage (V)", "current (A)"
UP = np.linspace(0.1, 0.4, 50)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file[I] = 1e-6 * UP
    return tmp_path / "data.h5"


def refused(path, said, **options):
    began = time.perf_counter()
    with pytest.raises(FileError, match=said) as caught:
        read(path, **options)
    assert str(path) in str(caught.value) and time.perf_counter() - began < 2.0


def test_external_storage_is_not_read(path, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(50)))
    with h5py.File(path, "a") as file:
        file.create_dataset(V, (50,), "u1", external=[(str(tmp_path / "secret"), 0, 50)])
    refused(path, "lies in another file .*secret.* external storage")


def virtual(path, source, name="x", rows=50):
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((50,), "f8")
        layout[:rows] = h5py.VirtualSource(source, name, (rows,))
        file.create_virtual_dataset(V, layout)


def test_virtual_data_sets_are_put_together_within_the_folder(path, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = UP
    virtual(path, "source.h5")
    (trace,) = read(path)
    np.testing.assert_array_equal(trace["v"], UP)


def test_what_no_source_fills_is_missing(path, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = UP[:30]
    virtual(path, "source.h5", rows=30)
    (trace,) = read(path)
    np.testing.assert_array_equal(trace.good, np.arange(50) < 30)


@pytest.mark.parametrize("source, said", [
    ("gone.h5", "which is not there"), ("../source.h5", "outside of its folder"), ("/etc/hostname", "outside of its folder"),
    ("text.txt", "cannot be put together"), ("chain.h5", "a virtual data set made of"), (".", "no numbers at x"),
])  # fmt: skip
def test_virtual_data_sets_of_other_sources_are_refused(path, tmp_path, source, said):
    (tmp_path / "text.txt").write_text("1 2 3")
    with h5py.File(tmp_path / "chain.h5", "w") as file:
        layout = h5py.VirtualLayout((50,), "f8")
        layout[:] = h5py.VirtualSource("gone.h5", "x", (50,))
        file.create_virtual_dataset("x", layout)
    virtual(path, source)
    refused(path, said)


def test_what_data_sets_unpack_to_counts(path):
    with h5py.File(path, "w") as file:
        for name in (V, I):
            file.create_dataset(name, (2 * 10**8,), "f4", chunks=(65536,))
    refused(path, "unpack to 3200 MB, more than the limit of 1024 MB.*`max_megabytes = 3200")


@pytest.mark.parametrize(
    "units", [3, 2.5, np.arange(3), h5py.Empty("S1"), np.array([b"V", b"A"]), np.array([1.5]), "x", ""]
)
def test_units_that_are_no_units(path, units):
    with h5py.File(path, "a") as file:
        file["voltage"] = UP
        file["voltage"].attrs["units"] = units
    refused(path, "voltage.*unit|column v is in no unit")


@pytest.mark.parametrize("units", ["V", b"V", np.array([b"V"]), np.array(["V"], object), np.bytes_("V")])
def test_units_in_every_form(path, units):
    with h5py.File(path, "a") as file:
        file["voltage"] = UP
        file["voltage"].attrs["units"] = units
    np.testing.assert_array_equal(read(path)[0]["v"], UP)


def test_odd_data_sets_are_left_out_and_links_are_said(path):
    rows = np.zeros((), [("voltage (V)", "f8"), ("current (A)", "f8")])
    with h5py.File(path, "a") as file:
        file[V] = UP
        file["null"] = h5py.Empty("f8")
        file["scalar table"], file["scalar"] = rows, 3.0
        file["words"] = np.array([b"a", b"b"])
        file["nested"] = np.zeros(3, [("v (V)", "f8", (2,)), ("i", [("x", "f8")])])
        file["soft"], file["dangling"] = h5py.SoftLink(f"/{V}"), h5py.SoftLink("/nowhere")
        file["outside"] = h5py.ExternalLink("/etc/hostname", "/x")
    (trace,) = read(path)
    assert len(trace) == 50
    assert ["outside -> /etc/hostname/x" in f.reason for f in trace.flags if f.name == "links left out"] == [True]


def arc_two(path):
    fields = [("current", "f4"), ("voltage", "f4"), ("pulse_width", "f4"), ("read_voltage", "f4"), ("op_type", "u4")]
    with h5py.File(path, "w") as file:
        file.attrs["H5DS_VERSION_MAJOR"] = 0
        rows = [(1e-6, 0, 0, 0.2, 1)] + [(1e-6 * 1.1**k, 1.0, 1e-6, 0.2, 3) for k in range(1, 13)]
        file["crosspoints/W01B02/timeseries"] = np.array(rows, fields)


@pytest.mark.parametrize("count", [-1, 99, "x", np.arange(2), 1.5])
def test_arc_two_with_an_impossible_number_of_rows(path, count):
    arc_two(path)
    with h5py.File(path, "a") as file:
        file["crosspoints/W01B02/timeseries"].attrs["NROWS"] = count
    refused(path, "NROWS of /crosspoints/W01B02/timeseries must be a whole number from 0 to 13")


def test_arc_two_whose_rows_are_something_else(path):
    arc_two(path)
    with h5py.File(path, "a") as file:
        file["crosspoints/W02B02/timeseries"] = np.arange(3.0)
    refused(path, "timeseries lack current, op_type|timeseries lack current, pulse_width")


@pytest.mark.parametrize("make", [arc_two, lambda path: None])
def test_damaged_bytes(path, make):
    """150 files with bytes changed or cut off: nothing but traces and refusals."""
    with h5py.File(path, "a") as file:
        file[V] = UP
    make(path)
    data, rng, refusals = path.read_bytes(), random.Random(0), 0
    for _ in range(150):
        changed = bytearray(data[: rng.choice([len(data), rng.randrange(len(data))])])
        for _ in range(rng.choice([1, 3, 30])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                read(path)
            except FileError:
                refusals += 1
    assert refusals > 30


def workbook(path):
    book = openpyxl.Workbook()
    book.active.title = "Run1"
    for row in [("Time", "AI", "AV"), *((k, 1e-6 * k, 0.1 * k) for k in range(30))]:
        book.active.append(row)
    for name in ("Calc", "Settings"):
        book.create_sheet(name)
    book.save(path)
    return path


def test_a_workbook_that_unpacks_to_too_much(tmp_path):
    path = workbook(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image.bin", bytes(20_000_000))
    assert path.stat().st_size < 100_000
    assert len(read(path)[0]) == 30
    refused(path, "unpacks to more than 10 MB", sidecar={"max_megabytes": 10})


def test_cells_far_out_count_as_those_before_them(tmp_path):
    book = openpyxl.load_workbook(workbook(tmp_path / "a.xlsx"))
    book["Run1"]["XFD300000"] = 1
    book.save(tmp_path / "a.xlsx")
    refused(tmp_path / "a.xlsx", "unpacks to more than 50 MB", sidecar={"max_megabytes": 50})


def test_damaged_workbooks(tmp_path):
    path = workbook(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rng = random.Random(0)
    for _ in range(40):
        content = io.BytesIO()
        hit = rng.choice(list(parts))
        with zipfile.ZipFile(content, "w") as archive:
            for name, part in parts.items():
                at = rng.randrange(len(part))
                archive.writestr(
                    name,
                    part[:at] + rng.choice([b"<", b"&x;", b'"', b"9" * 400]) + part[at + 5 :] if name == hit else part,
                )
        path.write_bytes(content.getvalue())
        with contextlib.suppress(FileError):
            read(path)


def test_a_matlab_structure_counts_unpacked(tmp_path):
    scipy_io.savemat(
        tmp_path / "a.mat", {"s": {"V": np.zeros(2_000_000), "I": np.zeros(2_000_000)}}, do_compression=True
    )
    assert (tmp_path / "a.mat").stat().st_size < 100_000
    refused(tmp_path / "a.mat", "unpacks to 1. MB or more, above the limit of 10 MB", sidecar={"max_megabytes": 10})


def test_matlab_7_3_reads_no_other_file(tmp_path):
    path = tmp_path / "a.mat"
    (tmp_path / "secret").write_bytes(bytes(range(50)))
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("voltage (V)", (50,), "u1", external=[(str(tmp_path / "secret"), 0, 50)])
        file["current (A)"] = UP
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    refused(path, "external storage")
