"""Tables of any kind: units in headers, sidecars, locales, merging."""

import numpy as np
import pytest

from devices.instruments import FileError, column_headers, read

SWEEP = "0,0\n0.5,1\n1,2\n0.5,1.5\n0,0\n"


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text, column, dimension, factor",
    [
        ("Voltage (V)", "v", "V", 1.0), ("I [uA]", "i", "A", 1e-6), ("time_s", "t", "s", 1.0), ("R/kohm", "r", "ohm", 1e3),
        ("G (µS)", "g", "S", 1e-6), ("G (\u03bcS)", "g", "S", 1e-6), ("Current, nA", "i", "A", 1e-9),
        ("R (M\u2126)", "r", "ohm", 1e6),
        ("Pulse width (ms)", "width", "s", 1e-3), ("Pulse number", "pulse", None, None), ("Time/min", "t", "s", 60.0),
        ("conductance_uS", "g", "S", 1e-6), ("Temperature (°C)", "temperature", "K", 1.0), ("Note", None, None, None),
    ],
)  # fmt: skip
def test_headers(text, column, dimension, factor):
    header = column_headers.header(text)
    assert header.column == column
    assert (header.unit and header.unit.dimension, header.unit and header.unit.factor) == (dimension, factor)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_headed_table_in_every_encoding(tmp_path, encoding):
    (trace,) = read(write(tmp_path, "a.csv", "Sweep of today\nVoltage (V),I (µA)\n" + SWEEP, encoding))
    assert trace.kind == "loop"
    np.testing.assert_allclose(trace["i"], [0, 1e-6, 2e-6, 1.5e-6, 0])


def test_resistances_become_conductances_and_degrees_kelvin(tmp_path):
    path = write(tmp_path, "r.tsv", "t (h)\tR (kohm)\tR0 (kohm)\tTemperature (C)\n1\t10\t5\t85\n2\t20\t5\t85\n")
    (trace,) = read(path)
    assert trace.kind == "retention"
    np.testing.assert_allclose(trace["g"], [1e-4, 5e-5])
    np.testing.assert_allclose(trace["g0"], 2e-4)
    np.testing.assert_allclose(trace["t"], [3600, 7200])
    np.testing.assert_allclose(trace["temperature"], 358.15)


def test_names_of_devices(tmp_path):
    (trace,) = read(write(tmp_path, "d.csv", "device,G (uS),time (s),note\nA1,1,0,x\nA1,2,1,y\nB2,3,0,z\n"))
    assert trace.labels == ("A1", "B2")
    np.testing.assert_array_equal(trace["device"], [0, 0, 1])
    np.testing.assert_allclose(trace["g"], [1e-6, 2e-6, 3e-6])


def test_header_without_unit_is_asked_about(tmp_path):
    path = write(tmp_path, "a.csv", "Voltage,Current\n" + SWEEP)
    with pytest.raises(FileError, match="units are not guessed") as error:
        read(path)
    write(tmp_path, "a.csv.toml", str(error.value).split("for example:")[1])  # the example can be used as it stands
    np.testing.assert_allclose(read(path)[0]["i"][2], 2e-6)


@pytest.mark.parametrize("row", ["0.5", "0.5,2", "0,0.5,2"])
def test_example_of_the_message_makes_the_file_readable(tmp_path, row):
    numbers = "\n".join(",".join(str(float(x) * (k + 1) + k % 2) for x in row.split(",")) for k in range(4))
    path = write(tmp_path, "bare.txt", numbers)
    with pytest.raises(FileError, match="nothing says their columns and units") as error:
        read(path)
    count = row.count(",") + 1
    assert f"{count} columns; first row: {numbers.splitlines()[0]}" in str(error.value)
    write(tmp_path, "bare.txt.toml", str(error.value).split("for example:")[1])
    assert len(read(path)[0]) == 4


def test_sidecar_of_folder_with_globs_and_of_file(tmp_path):
    (tmp_path / "runs").mkdir()
    for name in ("a.csv", "b_reset.csv", "c.csv"):
        write(tmp_path / "runs", name, SWEEP)
    write(tmp_path, "xbar-data.toml", 'columns = ["v", "i"]\nunits = ["V", "uA"]\nkind = "loop"\n[protocol]\narea = 1e-12\n'
          '[files."*reset*"]\nunits = ["V", "mA"]\nsign = { v = -1, i = -1 }\n')  # fmt: skip
    write(tmp_path / "runs", "c.csv.toml", "[protocol]\nseries_resistance = 50.0\n")
    traces = {trace.source[0].rsplit("/", 1)[1]: trace for trace in read(tmp_path)}
    np.testing.assert_allclose(traces["a.csv"]["i"][: 5], [0, 1e-6, 2e-6, 1.5e-6, 0])  # fmt: skip
    assert traces["c.csv"].protocol == {"area": 1e-12, "series_resistance": 50.0}
    both = traces["a.csv"]  # a and b have one protocol, so they are one trace of two devices
    assert both.labels == ("a", "b_reset")
    np.testing.assert_allclose(both["i"][both["device"] == 1], [0, -1e-3, -2e-3, -1.5e-3, 0])
    assert "assumed devices" in [flag.name for flag in both.flags]


def test_each_file_a_cycle(tmp_path):
    for k in range(3):
        write(tmp_path, f"{k}.csv", f"V (V),I (uA)\n0,0\n1,{k}\n0,0\n")
    (trace,) = read(tmp_path, sidecar={"each_file": "cycle"})
    np.testing.assert_array_equal(trace["cycle"], np.repeat([0, 1, 2], 3))
    assert "assumed devices" not in [flag.name for flag in trace.flags]


def test_up_and_down_pulses_normalised_or_in_siemens(tmp_path):
    path = write(tmp_path, "w.csv", "-1,1\n0,0\n1,-1\n")
    side = {"kind": "pulses", "columns": ["g_up", "g_down"], "units": ["1", "1"]}
    (trace,) = read(path, sidecar=side)
    assert trace.unit == "1"
    np.testing.assert_array_equal(trace["g"], [-1, 0, 1, 1, 0, -1])
    np.testing.assert_array_equal(trace["direction"], [1, 1, 1, -1, -1, -1])
    np.testing.assert_array_equal(trace["pulse"], [1, 2, 3, 1, 2, 3])
    ends = {"protocol": {"g_min": 1e-6, "g_max": 3e-6}}
    with pytest.raises(FileError, match="normalised ="):
        read(path, sidecar={**side, **ends})
    (trace,) = read(path, sidecar={**side, **ends, "normalised": [-1, 1]})
    assert trace.unit == "S"
    np.testing.assert_allclose(trace["g"], [1e-6, 2e-6, 3e-6, 3e-6, 2e-6, 1e-6])
    assert "mapped to siemens" in [flag.name for flag in trace.flags]


def test_pattern_says_which_pulses_went_up(tmp_path):
    path = write(
        tmp_path,
        "p.csv",
        "Pulse number,G (uS)\n" + "\n".join(f"{k},{g}" for k, g in enumerate([1, 2, 3, 2, 1, 2, 3, 2])),
    )
    with pytest.raises(FileError, match="pattern"):
        read(path)
    (trace,) = read(path, sidecar={"pattern": {"up": 2, "down": 2}})
    np.testing.assert_array_equal(trace["direction"], [1, 1, -1, -1] * 2)
    np.testing.assert_array_equal(trace["cycle"], [0] * 4 + [1] * 4)


def test_sidecar_names_columns_that_headers_do_not(tmp_path):
    path = write(tmp_path, "a.csv", "Probe station 3\n\nSpannung,Strom\n" + SWEEP)
    with pytest.raises(FileError, match="2 columns; first row: 0,0"):
        read(path)
    np.testing.assert_allclose(read(path, sidecar={"columns": ["v", "i"], "units": ["V", "uA"]})[0]["i"][2], 2e-6)


def test_addresses_become_labels(tmp_path):
    path = write(tmp_path, "a.csv", "address,t (s),g (uS)\n5000,0,1\n5000,1,2\n70,0,3\n")
    (trace,) = read(path)
    assert [trace.labels[int(d)] for d in trace["device"]] == ["5000", "5000", "70"]
    with pytest.raises(FileError, match="devices has empty cells"):
        read(write(tmp_path, "b.csv", "address,t (s),g (uS)\n,0,1\n5000,1,2\n70,0,3\n"))


def test_columns_of_numbered_units_need_units(tmp_path):
    path = write(tmp_path, "a.csv", "V1,I1,absI\n0,1e-9,1e-9\n0.1,-1e-9,1e-9\n0,2e-9,2e-9\n")
    with pytest.raises(FileError, match="header 'V1' has no unit"):
        read(path)
    np.testing.assert_allclose(read(path, sidecar={"units": ["V", "A"]})[0]["i"], [1e-9, -1e-9, 2e-9])


def test_kind_is_chosen_or_kept(tmp_path):
    write(tmp_path, "iv.csv", "V (V),I (A)\n0,0\n0.1,1e-6\n0.2,2e-6\n")
    write(tmp_path, "n.csv", "t (s),G (uS)\n0,1\n1,2\n")
    assert {trace.kind for trace in read(tmp_path)} == {"read-iv", "noise"}
    assert [trace.kind for trace in read(tmp_path, kind="loop")] == ["loop"]
    with pytest.raises(FileError, match="holds no endurance; it holds noise, read-iv"):
        read(tmp_path, kind="endurance")


@pytest.mark.parametrize(
    "text", ["V (V);I (uA)\n0,0;0,0\n0,5;1,25\n0,0;0,1\n", "V (V)\tI (uA)\n0,0\t0,0\n0,5\t1,25\n0,0\t0,1\n"]
)
def test_decimal_commas_are_read_where_they_can_be_told(tmp_path, text):
    (trace,) = read(write(tmp_path, "de.csv", text))
    np.testing.assert_allclose(trace["v"], [0, 0.5, 0])
    np.testing.assert_allclose(trace["i"], [0, 1.25e-6, 1e-7])


@pytest.mark.parametrize("side, match", [
    ({"colums": ["v"]}, "unknown key 'colums'"), ({"columns": ["volt"]}, "unknown column 'volt'"),
    ({"columns": ["v"], "units": ["Vs"]}, "'Vs' of column 1 .v. is not a unit"),
    ({"protocol": {"speed": 1.0}}, r"protocol\.speed"), ({"protocol": {"rate": "fast"}}, "must be a number"),
    ({"kind": "iv"}, "unknown kind 'iv'"), ({"each_file": "run"}, "each_file"), ({"format": "X"}, "unknown format 'X'"),
    ({"columns": ["v", "i", "t"], "units": ["V", "A", "s"]}, "has 2 columns, but the sidecar names 3"),
    ({"columns": ["v", "v"], "units": ["V", "V"]}, "appears twice"), ({"columns": "v"}, "wrong type"),
    ({"columns": ["v", "i"], "units": ["A", "V"]}, "column v is in A"),
])  # fmt: skip
def test_wrong_sidecars(tmp_path, side, match):
    with pytest.raises(FileError, match=match):
        read(write(tmp_path, "a.csv", SWEEP), sidecar=side)


def test_sidecar_that_is_no_toml(tmp_path):
    path = write(tmp_path, "a.csv", SWEEP)
    write(tmp_path, "a.csv.toml", "columns = [v, i]")
    with pytest.raises(FileError, match="is not a TOML file"):
        read(path)
    with pytest.raises(FileError, match="no sidecar"):
        read(write(tmp_path, "b.csv", SWEEP), sidecar=tmp_path / "none.toml")


def test_a_reading_before_the_first_pulse_is_pulse_0(tmp_path):
    for first, pulses, directions in ((0, [0, 1, 2, 1, 2], [1, 1, 1, -1, -1]), (1, [1, 2, 1, 2, 1], [1, 1, -1, -1, 1])):
        lines = "".join(f"{k + first},{g}\n" for k, g in enumerate([1, 2, 3, 2, 1]))
        path = write(tmp_path, f"from_{first}.csv", "Pulse number,G (uS)\n" + lines)
        (trace,) = read(path, sidecar={"pattern": {"up": 2, "down": 2}})
        assert trace["pulse"].tolist() == pulses and trace["direction"].tolist() == directions
