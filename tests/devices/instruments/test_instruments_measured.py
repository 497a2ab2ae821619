"""Every measured file that the machine has: rows, units, known facts of its source, and how long reading takes."""

import os
import pathlib
import time

import numpy as np
import pytest

from devices.instruments import FORMATS, FileError, read
from devices.instruments.source import File

FOLDER = pathlib.Path(os.environ.get("XBAR_DATA", "/nowhere")) / "measured"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="XBAR_DATA names no folder with measured/, files of laboratories"
)

GONG = {"kind": "pulses", "columns": ["g_up", "g_down"], "units": ["1", "1"]}
ASIC = {"kind": "loop", "columns": ["v", "i"], "units": ["V", "A"]}
# folder -> kinds and rows of its traces, in order of its files
TRACES = {
    "asic_cu_bipolar_iv": [("loop", 150)],
    "clarius_rram_dc": [("cycles", 1000), ("loop", 1402), ("loop", 502), ("cycles", 10), ("loop", 10040)],
    "gong_reram_pulse": [("pulses", 2000)],
    "hfo2_endurance": [("endurance", 10050)],
    "hfo2_pulse_map": [("pulse-map", 32768)] * 2,
    "hfo2_read_iv": [("read-iv", 36864)],
    "knowm_wsdc_iv": [("loop", 200)] * 18,
    "rram_relaxation": [("retention", 81920), ("noise", 500_000), ("retention", 72823)],
    "rram_target_program": [("programming", 5600), ("programming", 6400), ("programming", 22400)],
    "yflash_cycling": [("pulses", 53540), ("pulses", 6038)],
}


def traces(name, **options):
    side = {"gong_reram_pulse": GONG, "asic_cu_bipolar_iv": ASIC}.get(name)
    return read(FOLDER / name, sidecar=side, **options)


def flags(trace, name):
    return [flag for flag in trace.flags if flag.name == name]


@pytest.mark.parametrize("name", TRACES)
def test_rows_of_every_folder(name):
    begin = time.perf_counter()
    found = traces(name)
    seconds = time.perf_counter() - begin
    assert sorted((trace.kind, len(trace)) for trace in found) == sorted(TRACES[name])
    assert all("PROVENANCE.md" in flags(found[0], "skipped files")[0].reason for _ in found)
    for trace in found:
        for column, (low, high) in {"g": (1e-10, 1e-2), "g0": (1e-10, 1e-2), "i": (0, 0.1), "v": (0, 10)}.items():
            if column in trace and trace.unit == "S":
                assert low <= np.median(np.abs(trace[column])) <= high
    assert seconds < 20  # a few seconds; checked at run time, annotations make it slower


def test_every_file_is_of_one_format_alone():
    special = FORMATS[:-3]  # without the tables of any kind
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.suffix not in (".md", ".json"):
            file = File(path)
            assert sum(form.recognises(file) for form in special) == (path.parent.name[:4] not in ("gong", "asic")), (
                path
            )


def test_files_without_names_of_columns_are_asked_about():
    with pytest.raises(FileError, match=r"2 columns; first row: -0\.84444,0\.76667"):
        read(FOLDER / "gong_reram_pulse")
    with pytest.raises(FileError, match="nothing says their columns and units"):
        read(FOLDER / "asic_cu_bipolar_iv" / "example_bipolar_measurement.txt")
    with pytest.raises(FileError, match="no known layout"):
        read(FOLDER / "gong_reram_pulse" / "PROVENANCE.md")


def test_asic_compliance():
    (trace,) = traces("asic_cu_bipolar_iv")
    (flag,) = flags(trace, "compliance")
    assert len(flag.rows) == 29
    np.testing.assert_allclose(trace["i"][flag.rows], 1e-4, rtol=1e-4)
    assert trace["i"][trace.good].max() < 0.995e-4


def test_clarius():
    (trace,) = [t for t in traces("clarius_rram_dc", kind="loop") if len(t) == 10040]
    assert len(np.unique(trace["cycle"])) == 10
    (pairs,) = flags(trace, "paired runs")
    assert "0.0062 in ln G" in pairs.reason  # a run starts where its partner ended: the pairing is right
    for cycle in trace.split("cycle"):
        assert (cycle["v"][:502] <= 0).all()  # SET at negative AV, first
        assert (cycle["v"][502:] >= 0).all()
        assert cycle["v"].min() == -2.5
    (plateau,) = flags(trace, "compliance")
    np.testing.assert_allclose(trace["i"][plateau.rows], -5e-4, rtol=2e-3)
    assert np.abs(trace["i"][trace.good & (trace["v"] < 0)]).max() < 5e-4
    (forming,) = [t for t in traces("clarius_rram_dc", kind="loop") if len(t) == 1402]
    assert forming.protocol["compliance"] == 5e-4
    assert forming.protocol["v_stop"] == -7
    (table,) = [t for t in traces("clarius_rram_dc", kind="cycles") if len(t) == 1000]
    spread = {name: np.std(np.log10(np.abs(table[name]))) for name in ("i_on", "i_off", "v_set", "v_reset")}
    expected = {"i_on": 0.41, "i_off": 0.37, "v_set": 0.130, "v_reset": 0.118}  # computed apart, with openpyxl alone
    for name, value in expected.items():
        assert abs(spread[name] / value - 1) < 0.02


def test_knowm_series_resistances_and_duplicate():
    found = {pathlib.Path(trace.source[0]).parent.name: trace for trace in traces("knowm_wsdc_iv")}
    for folder, trace in found.items():
        assert trace.protocol["series_resistance"] == (47_000 if folder.startswith("47k") else 5_000)
        assert trace.protocol["frequency"] == float(folder.split("_")[2].removesuffix("Hz"))
        assert trace.labels == (folder[-2:],)
        np.testing.assert_allclose(
            trace["v_drive"], trace["v"] + trace["i"] * trace.protocol["series_resistance"], atol=1e-9
        )
        assert abs(trace["t"][-1] * trace.protocol["frequency"] - 199 / 200) < 1e-12
        assert flags(trace, "conditions from the folder name")
    excluded = [folder for folder, trace in found.items() if not trace.good.any()]
    assert excluded == ["47kohm_0.8V_10Hz_M2"]
    assert flags(found["47kohm_0.8V_10Hz_M1"], "duplicate file")


def test_pulse_maps():
    reset, up = traces("hfo2_pulse_map")
    assert (reset.protocol["direction"], up.protocol["direction"]) == (-1, 1)  # measured, and as the files are called
    for trace in (reset, up):
        assert [len(np.unique(trace[name])) for name in ("width", "v_gate", "v")] == [7, 30, 6]
        assert (trace["width"].min(), trace["width"].max()) == (2e-8, 2e-6)
        assert not flags(trace, "suspicious pairs")


def test_programming():
    found = {len(trace): trace for trace in traces("rram_target_program")}
    for rows, levels, missed in ((6400, 8, 1), (22400, 28, 41), (5600, 7, 2)):
        trace = found[rows]
        assert len(trace.labels) == 100
        assert trace["level"].max() + 1 == levels
        assert flags(trace, "window not reached")[0].reason.startswith(f"{missed} of {rows // 8} writes")
        times = np.median(trace["t"].reshape(-1, 8), axis=0)
        late = times - np.array(
            [0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10]
        )  # the rig's clock comes up to 0.1 s after the nominal time
        assert ((late > 0) & (late < 0.1)).all()
        inside = (trace["g0"] >= trace["g_low"]) & (trace["g0"] <= trace["g_high"])
        np.testing.assert_array_equal(inside, trace["accepted"] == 1)


def test_relaxation_and_noise():
    bake, noise, relax = traces("rram_relaxation")
    np.testing.assert_allclose(np.unique(bake["temperature"]), np.array([100, 140, 180, 220, 260]) + 273.15)
    assert bake["t"].min() > 4000
    assert len(noise.labels) == 5
    assert noise.protocol["rate"] == 400
    np.testing.assert_allclose([t["g"].mean() * 1e6 for t in noise.split()], [9.5, 85, 134, 185, 253], rtol=0.01)
    assert "steps of 1.77e-08 S" in flags(noise, "quantisation")[0].reason
    assert len(relax.labels) == 16292
    assert len(flags(relax, "not positive")[0].rows) == 1


def test_yflash():
    c2c, d2d = traces("yflash_cycling")
    assert (c2c.labels, c2c["cycle"].max() + 1, len(d2d.labels)) == (("U2,2,4",), 400, 96)
    for trace in (c2c, d2d):
        assert trace.protocol == {"width_down": 2e-4, "width_up": 1e-4}
        step = np.diff(np.log(trace["g"]))[trace["pulse"][1:] > 0]
        way = trace["direction"][1:][trace["pulse"][1:] > 0]
        assert np.mean(np.sign(step) == way) > 0.98


def test_read_iv_offset_and_endurance():
    (trace,) = traces("hfo2_read_iv")
    assert "-1.99e-06 A" in flags(trace, "current floor")[0].reason
    (trace,) = traces("hfo2_endurance")
    assert trace["cycle"][-1] == 1_005_000
    assert abs(np.mean(trace["g_on"] / trace["g_off"] < 3) - 0.072) < 5e-4


def test_gong_in_siemens():
    side = GONG | {"protocol": {"g_min": 1e-6, "g_max": 5e-6}, "normalised": [-1.0, 1.0]}
    (trace,) = read(FOLDER / "gong_reram_pulse", sidecar=side)
    (plain,) = traces("gong_reram_pulse")
    assert (plain.unit, trace.unit) == ("1", "S")
    np.testing.assert_allclose(trace["g"], 3e-6 + 2e-6 * plain["g"])
    assert (plain["direction"][:1000] == 1).all()
