"""EasyEXPERT results with stepped gates, empty vectors, swept gates, and columns named by a sidecar."""

import numpy as np
import pytest

from devices.instruments import FileError, read

V = [0, 0.5, 1, 0.5, 0]


def result(names, rows, functions="VAR1, CONST", channels=("Vd", "Vg"), more=""):
    head = (
        "SetupTitle, s\nPrimitiveTest, I/V Sweep\n"
        f"TestParameter, Channel.IName, {', '.join('I' + c[1:] for c in channels)}\n"
        f"TestParameter, Channel.VName, {', '.join(channels)}\nTestParameter, Channel.Func, {functions}\n{more}"
    )
    return f"{head}DataName, {', '.join(names)}\n" + "".join(f"DataValue, {', '.join(map(str, r))}\n" for r in rows)


def flags(trace):
    return {flag.name: flag.reason for flag in trace.flags}


def write(tmp_path, text):
    path = tmp_path / "b.csv"
    path.write_text(text)
    return path


STEPPED = [(v, g, 1e-5 * v * g) for g in (1, 2, 3) for v in V]
DIMENSIONS = "Dimension1, 5, 5, 5\nDimension2, 3, 3, 3\n"
COUNT = "TestParameter, Measurement.Secondary.Count, 3\n"


@pytest.mark.parametrize(
    "names, rows, more",
    [
        (("Vd", "Vg", "Id"), STEPPED, DIMENSIONS), (("Vd", "Vg", "Id"), STEPPED, ""),
        (("Vd", "Id"), [(v, i) for v, _, i in STEPPED], DIMENSIONS), (("Vd", "Id"), [(v, i) for v, _, i in STEPPED], COUNT),
    ],
)  # fmt: skip
def test_steps_of_a_second_channel_are_sweeps(tmp_path, names, rows, more):
    (trace,) = read(write(tmp_path, result(names, rows, "VAR1, VAR2", more=more)))
    np.testing.assert_array_equal(trace["cycle"], np.repeat([0, 1, 2], 5))
    assert "Vg was stepped" in flags(trace)["gate voltage left out"]
    assert ("1, 2, 3 V" in flags(trace)["gate voltage left out"]) == ("Vg" in names)


def test_a_stopped_measurement_and_two_results(tmp_path):
    one = result(("Vd", "Vg", "Id"), STEPPED[:13], "VAR1, VAR2", more=DIMENSIONS)
    (trace,) = read(write(tmp_path, one + result(("Vd", "Id"), [(v, 1e-6 * v) for v in V])))
    np.testing.assert_array_equal(trace["cycle"], np.repeat([0, 1, 2, 3], [5, 5, 3, 5]))
    assert "3 to 5 rows" in flags(trace)["sweeps of unequal length"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("tail", ["", ","])
def test_a_vector_may_be_empty_anywhere(tmp_path, place, tail):
    names = ["Vd", "Id"]
    names.insert(place, "Vaux")
    rows = [[v, 1e-5 * v] for v in V]
    for row in rows:
        row.insert(place, "")
    text = result(names, rows).replace("\n", f"{tail}\n")
    (trace,) = read(write(tmp_path, text))
    np.testing.assert_allclose(trace["v"], V)
    np.testing.assert_allclose(trace["i"], 1e-5 * np.array(V))


def test_values_that_end_early_are_a_file_cut_off(tmp_path):
    text = result(("Vd", "Id"), [(v, 1e-5 * v) for v in V]) + "DataValue, 0.5\n"
    with pytest.raises(FileError, match="line 12: 1 values, but DataName names 2"):
        read(write(tmp_path, text))


GATE = [(v, 1e-12 * v, 0.1, 1e-6 * v**2) for v in V]


def test_the_leakage_of_a_swept_gate_is_not_the_device(tmp_path):
    path = write(tmp_path, result(("Vg", "Ig", "Vd", "Id"), GATE, "CONST, VAR1"))
    with pytest.raises(FileError, match="swept voltage Vg is a gate's, and Ig its leakage") as error:
        read(path)
    path.with_name("b.csv.toml").write_text(str(error.value).split("for example:")[1])
    (trace,) = read(path)
    np.testing.assert_allclose(trace["i"], 1e-6 * np.array(V) ** 2)
    assert "Ig, Vd" in flags(trace)["columns left out"]


def test_a_far_larger_current_beside_is_named(tmp_path):
    rows = [(v, 1e-12 * v, 1e-6 * v) for v in V]
    (trace,) = read(write(tmp_path, result(("Va", "Ia", "Ib"), rows, channels=("Va", "Vb"))))
    assert "Ib reaches 1e-06 A" in flags(trace)["larger current left out"]


def test_columns_of_a_sidecar_make_any_kind(tmp_path):
    rows = [(t, 1e-6 + 1e-8 * t, 0.1) for t in range(5)]
    path = write(tmp_path, result(("Clock", "Ia", "Va"), rows))
    (trace,) = read(path, sidecar={"columns": ["t", "g", "-"], "units": ["ms", "uS", "1"]})
    assert trace.kind == "noise"
    np.testing.assert_allclose(trace["t"], [0, 1e-3, 2e-3, 3e-3, 4e-3])
    (trace,) = read(path, sidecar={"columns": ["t", "i", "v"]})  # the instrument's units are SI
    np.testing.assert_allclose(trace["g"], [1e-5, 1.01e-5, 1.02e-5, 1.03e-5, 1.04e-5])
    with pytest.raises(FileError, match="has the vectors Clock, Ia, Va, but its sidecar names 2 columns"):
        read(path, sidecar={"columns": ["t", "i"]})
