"""Starts in a file of their own: named by a sidecar, or given as the first of two files."""

import numpy as np
import pytest

from devices.instruments import FileError, read

CELLS = [f"C{k}" for k in range(12)]
R = np.geomspace(1e4, 1e5, 12)
BAKE = {"protocol": {"bake_time": 7200.0, "temperature": 398.15}}


def write(folder, name, factor, cells=CELLS, more=""):
    path = folder / name
    head = "cell,R (ohm)" + (",t (h),T (C)" if more else "") + "\n"
    path.write_text(head + "".join(f"{c},{factor * r:.8g}{more}\n" for c, r in zip(cells, R, strict=False)))
    return path


def starts(trace):
    assert trace.kind == "retention"
    np.testing.assert_allclose(trace["g0"] / trace["g"], 1.25, rtol=1e-6)
    return {flag.name: flag.reason for flag in trace.flags}


@pytest.mark.parametrize(
    "names", [("fresh.csv", "baked.csv"), ("x_before.csv", "x_after.csv"), ("chip vorher.csv", "chip nachher.csv"),
     ("a.csv", "b.csv")]
)  # fmt: skip
def test_two_files_are_before_and_after(tmp_path, names):
    before, after = write(tmp_path, names[0], 1), write(tmp_path, names[1], 1.25)
    (trace,) = read([before, after], sidecar=BAKE)
    assert f'`start = "{names[0]}"`' in starts(trace)["assumed start"]
    assert set(trace["t"]) == {7200.0} and set(trace["temperature"]) == {398.15}
    if names[0] != "a.csv":  # names say it in any order, and in a folder
        assert starts(read([after, before], sidecar=BAKE)[0]) and starts(read(tmp_path, sidecar=BAKE)[0])


def test_times_and_temperatures_of_the_file_count(tmp_path):
    before, after = write(tmp_path, "a.csv", 1), write(tmp_path, "b.csv", 1.25, more=",10,125")
    (trace,) = read([before, after])
    assert set(trace["t"]) == {36000.0} and set(trace["temperature"]) == {398.15}


def test_the_sidecar_names_the_start_and_is_asked_for_the_time(tmp_path):
    write(tmp_path, "a.csv", 1)
    after = write(tmp_path, "b.csv", 1.25)
    side = tmp_path / "b.csv.toml"
    side.write_text('start = "a.csv"\n')
    with pytest.raises(FileError, match=r"how long after a\.csv it was read") as error:
        read(after)
    side.write_text(str(error.value).split("for example:")[1])
    (trace,) = read(after)
    assert set(trace["t"]) == {3600.0} and starts(trace)
    (trace,) = read(tmp_path)  # the file of starts is not a measurement of its own
    assert "assumed start" not in starts(trace)


def test_cells_without_a_start_and_repeated_ones(tmp_path):
    write(tmp_path, "a.csv", 1, CELLS[:9])
    after = write(tmp_path, "b.csv", 1.25)
    (trace,) = read(after, sidecar={"start": "a.csv", **BAKE})
    assert "3 of 12 devices have no start" in {f.name: f.reason for f in trace.flags}["starts missing"]
    assert trace.good.sum() == 9
    write(tmp_path, "a.csv", 1, ["C1", *CELLS[1:]])
    with pytest.raises(FileError, match=r"1 of its 12 reads are further reads of the same cells"):
        read(after, sidecar={"start": "a.csv", **BAKE})
    with pytest.raises(FileError, match="there is no file"):
        read(after, sidecar={"start": "none.csv", **BAKE})


def test_files_of_other_cells_are_other_devices(tmp_path):
    one, other = write(tmp_path, "a.csv", 1), write(tmp_path, "b.csv", 1, [f"D{k}" for k in range(12)])
    (trace,) = read([one, other])
    assert len(trace.labels) == 24 and trace.kind == "noise"
