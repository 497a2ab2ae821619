"""Every format from a tiny made-up file: values in, values out (to 1e-12 unless the file holds fewer digits)."""

import gzip
import json

import h5py
import numpy as np
import openpyxl
import pytest
import xlwt

from devices.instruments import FORMATS, FileError, read

CLOSE = dict(rtol=1e-12, atol=0)


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def names(trace):
    return [flag.name for flag in trace.flags]


SETTINGS = [
    ("====",), ("Run{n}",), ("====",), (), ("Test Name", "{test}@1"), ("Last Executed", "12/02/2025 15:06:30"),
    ("Device Terminal", "B", "A"), ("Operation Mode", "Common", "Voltage Linear Sweep"), ("Start/Bias", "N/A", "0"),
    ("Stop", "N/A", "{stop}"), ("Compliance", "0.105", "{compliance}"), ("Dual Sweep", "N/A", "Enabled"),
]  # fmt: skip


def clarius(path, runs, test="", stop=1.0, compliance=0.1, settings=True):
    """A workbook with runs {number: (v, i)}, newest first as Clarius writes them."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for n in sorted(runs, reverse=True):
        sheet = book.create_sheet(f"Run{n}")
        sheet.append(("Time", "AI", "AV", "NORM_COND"))
        for k, (v, i) in enumerate(zip(*runs[n], strict=True)):
            sheet.append((0.1 * (k + 1), i, v, "#REF" if k == 0 else 1.0))
    book.create_sheet("Calc")
    sheet = book.create_sheet("Settings")
    for n in runs if settings else ():
        for row in SETTINGS:
            sheet.append([cell.format(n=n, test=test, stop=stop, compliance=compliance) for cell in row])
    book.save(path)
    return path


def sweep(top, g):
    """A dual sweep 0 -> top -> 0 of 60 points through a conductance that goes from g[0] to g[1] half way."""
    v = np.concatenate([np.linspace(0, top, 30), np.linspace(top, 0, 30)])
    return v, v * np.repeat(g, 30)


def test_clarius_workbook_with_settings(tmp_path):
    v, i = sweep(-2.0, (1e-6, 1e-4))
    path = clarius(tmp_path / "a.xlsx", {4: (v, i), 3: (v, 2 * i)}, "SET_negative#1", -2.0, 5e-4)
    (trace,) = read(path)
    assert (trace.kind, trace.format, len(trace)) == ("loop", "Keithley Clarius", 120)
    np.testing.assert_allclose(trace["i"][trace["cycle"] == 0], 2 * i, **CLOSE)  # run 3 comes first
    np.testing.assert_allclose(trace["v"][trace["cycle"] == 1], v, **CLOSE)
    assert trace.protocol["compliance"] == 5e-4
    assert trace.protocol["v_stop"] == -2.0
    assert trace.protocol["test"] == "SET_negative#1"
    assert trace.protocol["runs"] == ("Run3", "Run4")


def test_clarius_set_and_reset_become_whole_cycles(tmp_path):
    on = np.array([1e-4, 2e-4, 3e-4])
    sets = {n: sweep(-1.0, (1e-6, g)) for n, g in zip((11, 12, 13), on, strict=True)}
    resets = {n: sweep(1.0, (g, 1e-6)) for n, g in zip((21, 22, 23), on, strict=True)}
    clarius(tmp_path / "d1_reset.xlsx", resets, settings=False)
    clarius(tmp_path / "d1_set.xlsx", sets, settings=False)
    (trace,) = read(tmp_path)
    assert "paired runs" in names(trace)
    assert len(trace) == 360
    for k, cycle in enumerate(trace.split("cycle")):
        assert (cycle["v"][:60] <= 0).all()  # SET first: its end is where RESET starts
        np.testing.assert_allclose(cycle["i"][30:90] / np.where(cycle["v"][30:90] == 0, np.nan, cycle["v"][30:90]),
                                   np.where(cycle["v"][30:90] == 0, np.nan, on[k]), rtol=1e-9)  # fmt: skip


def test_clarius_text_with_mark_and_engineering_notation(tmp_path):
    (trace,) = read(
        write(
            tmp_path,
            "a.csv",
            "\ufeffTime\tAI\tAV\tR\r\n1E+0\t410.5E-9\t100E-3\t#REF\r\n2E+0\t1.25E-6\t0.2\t\r\n3\t2E-6\t.1\t\r\n",
        )
    )
    np.testing.assert_allclose(trace["i"], [410.5e-9, 1.25e-6, 2e-6], **CLOSE)
    np.testing.assert_allclose(trace["v"], [0.1, 0.2, 0.1], **CLOSE)
    assert trace.format == "Keithley Clarius"


def test_clarius_workbook_of_old_excel(tmp_path):
    v, i = sweep(-2.0, (1e-6, 1e-4))
    book = xlwt.Workbook()
    run, settings = book.add_sheet("Run7"), book.add_sheet("Settings")
    book.add_sheet("Calc")
    rows = [("Time", "AI", "AV", "NORM_COND")] + [
        (0.1 * (k + 1), i[k], v[k], "#REF" if k == 0 else 1.0) for k in range(60)
    ]
    words = [tuple(c.format(n=7, test="SET_negative#1", stop=-2.0, compliance=5e-4) for c in row) for row in SETTINGS]
    for sheet, cells in ((run, rows), (settings, words)):
        for r, row in enumerate(cells):
            for c, value in enumerate(row):
                sheet.write(r, c, value)
    book.save(tmp_path / "a.xls")
    (trace,) = read(tmp_path / "a.xls")
    assert (trace.kind, trace.format) == ("loop", "Keithley Clarius")
    np.testing.assert_allclose(trace["v"], v, **CLOSE)
    np.testing.assert_allclose(trace["i"], i, **CLOSE)
    assert trace.protocol["compliance"] == 5e-4 and trace.protocol["test"] == "SET_negative#1"


def test_clarius_table_of_cycles(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(("Cycle", *["SET_negative#1"] * 3, "SET_positive#1", *["RESET_positive#1"] * 3))
    sheet.append(("Index", "ILRS", "IHRS", "VSET", "ILRS", "ILRS", "IHRS", "VRESET"))
    sheet.append(("1", 1e-4, 1e-6, 1.4, None, 2e-4, 2e-6, 0.9))
    sheet.append(("2", 3e-4, 3e-6, 1.5, None, 4e-4, "#REF", 1.1))
    book.create_sheet("Calc")
    book.create_sheet("Settings")
    book.save(tmp_path / "r.xlsx")
    (trace,) = read(tmp_path / "r.xlsx")
    assert trace.kind == "cycles"
    np.testing.assert_allclose(trace["i_on"], [1e-4, 3e-4], **CLOSE)
    np.testing.assert_allclose(trace["i_off"], [2e-6, np.nan], **CLOSE)
    np.testing.assert_allclose(trace["v_set"], [1.4, 1.5], **CLOSE)
    np.testing.assert_allclose(trace["v_reset"], [0.9, 1.1], **CLOSE)


EASYEXPERT = """SetupTitle, I/V Sweep
PrimitiveTest, I/V Sweep
TestParameter, Channel.VName, V1, V2
TestParameter, Channel.IName, I1, I2
TestParameter, Channel.Func, VAR1, CONST
TestParameter, Measurement.Primary.Compliance, 0.001
AnalysisSetup, Analysis.Setup.Vector.Graph.XAxis.Name, V1
Dimension1, 3, 3
DataName, V1, I1, I2
DataValue, 0, 1.2E-12, 0
DataValue, 0.5, {a}, 0
DataValue, 0, 2E-12, 0
"""


def test_easyexpert(tmp_path):
    text = EASYEXPERT.format(a="3.5E-6") + EASYEXPERT.format(a="4.5E-6")
    (trace,) = read(write(tmp_path, "b1500.csv", text.replace("\n", "\r\n")))
    np.testing.assert_allclose(trace["i"], [1.2e-12, 3.5e-6, 2e-12, 1.2e-12, 4.5e-6, 2e-12], **CLOSE)
    np.testing.assert_allclose(trace["cycle"], [0, 0, 0, 1, 1, 1])
    assert trace.protocol["compliance"] == 0.001


KICKSTART = (
    "Item,Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1],Smu1.R[1][1],\r\n1,0.1,0.0,1e-9,,\r\n2,0.2,0.5,2e-6,250000,\r\n"
)


def test_kickstart(tmp_path):
    (trace,) = read(write(tmp_path, "k.csv", KICKSTART))
    np.testing.assert_allclose(trace["t"], [0.1, 0.2], **CLOSE)
    np.testing.assert_allclose(trace["i"], [1e-9, 2e-6], **CLOSE)
    two = write(
        tmp_path, "two.csv", "Item,A.V[1][1],A.I[1][1],B.V[1][1],B.I[1][1],\n1,0,1e-6,1,2e-6,\n2,1,3e-6,2,4e-6,\n"
    )
    with pytest.raises(FileError, match='channel = "A"'):
        read(two)
    np.testing.assert_allclose(read(two, sidecar={"channel": "B"})[0]["i"], [2e-6, 4e-6], **CLOSE)


def test_oscilloscope_needs_channels_and_shunt(tmp_path):
    path = write(tmp_path, "scope.csv", "x-axis,1,2\nsecond,Volt,Volt\n0,0.5,0.1\n1e-3,1.0,0.2\n2e-3,0.5,0.1\n")
    with pytest.raises(FileError, match=r"shunt = 1000.0") as error:
        read(path)
    path.with_name("scope.csv.toml").write_text(str(error.value).split("for example:")[1])
    (trace,) = read(path)
    np.testing.assert_allclose(trace["i"], [1e-4, 2e-4, 1e-4], **CLOSE)
    np.testing.assert_allclose(trace["v"], [0.4, 0.8, 0.4], **CLOSE)
    np.testing.assert_allclose(trace["v_drive"], [0.5, 1.0, 0.5], **CLOSE)
    with pytest.raises(FileError, match="shunt whose resistance"):
        read(write(tmp_path, "other.csv", path.read_text()), sidecar={"columns": ["t", "v_drive", "v_shunt"]})


def arc_one(pulses):
    rows = [
        "session",
        "2024-01-01",
        "Wordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage",
    ]
    return "\n".join([*rows, *pulses]) + "\n"


def pulse_train(cell, up, down):
    """ArC ONE rows of a cell: a read, positive pulses that lower R, negative ones that raise it."""
    rows = [f"{cell},10000,0,0,F R0 V=0.5,R0,0.5"]
    rows += [f"{cell},{10000 * 0.9 ** (k + 1)},1.0,1e-4,P,,0.5" for k in range(up)]
    rows += [f"{cell},{10000 * 0.9 ** (up - k - 1)},-1.2,2e-4,P,,0.5" for k in range(down)]
    return rows


def test_arc_one_pulses_and_curve_tracer(tmp_path):
    loop = [f"1,1,{r},{v},1e-3,CT_i,,0.5" for v, r in ((0.5, 1000), (1.0, 500), (0.5, 400))]
    path = write(tmp_path, "arc.csv.gz", arc_one([*pulse_train("1,1", 8, 8), *pulse_train("2,3", 8, 8), *loop]))
    pulses, curve = read(path)
    assert pulses.labels == ("W1B1", "W2B3")
    assert pulses.protocol["v_read"] == 0.5
    first = pulses.where(pulses["device"] == 0)
    np.testing.assert_allclose(first["g"][:3], [1e-4, 1e-4 / 0.9, 1e-4 / 0.81], **CLOSE)
    np.testing.assert_array_equal(first["pulse"], [*range(9), *range(1, 9)])
    np.testing.assert_array_equal(first["direction"], [1] * 9 + [-1] * 8)
    assert "polarity measured" in names(pulses)
    np.testing.assert_allclose(curve["i"], [5e-4, 2e-3, 1.25e-3], **CLOSE)


def test_polarity_of_pulses_is_asked_for_if_they_do_not_show_it(tmp_path):
    path = write(tmp_path, "flat.csv", arc_one([f"1,1,{1000 + k % 2},1.0,1e-4,P,,0.5" for k in range(12)]))
    with pytest.raises(FileError, match='positive = "up"'):
        read(path)
    (trace,) = read(path, sidecar={"positive": "down"})
    assert (trace["direction"] == -1).all()


def test_arc_two(tmp_path):
    path = tmp_path / "arc.h5"
    fields = [
        ("current", "<f4"),
        ("voltage", "<f4"),
        ("pulse_width", "<f4"),
        ("read_voltage", "<f4"),
        ("op_type", "<u4"),
    ]
    with h5py.File(path, "w") as h5:
        h5.attrs["H5DS_VERSION_MAJOR"] = 0
        data = h5.create_dataset("crosspoints/W01B02/timeseries", (100,), fields)
        rows = [(1e-6, 0, 0, 0.2, 1)] + [(1e-6 * 1.1**k, 1.0, 1e-6, 0.2, 3) for k in range(1, 13)]
        data[: len(rows)] = np.array(rows, fields)
        data.attrs["NROWS"] = len(rows)
    (trace,) = read(path)
    np.testing.assert_allclose(trace["g"], 5e-6 * 1.1 ** np.arange(13), rtol=1e-6)  # stored as float32
    assert trace.labels == ("W01B02",)
    assert (trace["direction"] == 1).all()
    assert trace["pulse"][0] == 0


def test_knowm_pair(tmp_path):
    folder = tmp_path / "10kohm_0.5V_100Hz_M7"
    phase = 2 * np.pi * np.arange(50) / 50
    drive, ua = 0.5 * np.sin(phase), 20 * np.sin(phase)
    for name, v in (("Memristor.csv", drive - 1e4 * ua * 1e-6), ("Resistor+Memristor.csv", drive)):
        write(folder, name, "\n".join(f"{a!r},{b!r}" for a, b in zip(v.tolist(), ua.tolist(), strict=True)))
    (trace,) = read(tmp_path)
    assert trace.protocol["series_resistance"] == 1e4
    assert trace.protocol["frequency"] == 100
    assert trace.labels == ("M7",)
    np.testing.assert_allclose(trace["t"], np.arange(50) / 5000, **CLOSE)
    np.testing.assert_allclose(trace["v_drive"], drive, **CLOSE)
    np.testing.assert_allclose(trace["i"], ua * 1e-6, **CLOSE)
    (folder / "Memristor.csv").unlink()
    with pytest.raises(FileError, match="nothing says their columns"):
        read(tmp_path)


def test_write_verify_log(tmp_path):
    def row(word, low, high, cell, t, r):
        return f"{word}\t{low}\t{high}\t{cell}\t{t}\t{r}\t{1 / r!r}"

    rows = [
        row("Init", 3e4, 1e7, 5, 100.0, 2e5),
        row("Write", 8000, 8100, 5, 101.0, 8050),
        row("Read", 0, 8200, 5, 101.5, 8060),
        row("Write", 8000, 8100, 6, 102.0, 9000),
        row("Read", 0, 8200, 5, 103.0, 8070),
        row("Read", 0, 8200, 6, 103.0, 9010),
    ]
    (trace,) = read(write(tmp_path, "log.tsv.gz", "\n".join(rows)))
    assert trace.kind == "programming"
    np.testing.assert_allclose(trace["t"], [0.5, 2.0, 1.0], **CLOSE)
    np.testing.assert_allclose(trace["target"], (1 / 8000 + 1 / 8100) / 2, **CLOSE)
    np.testing.assert_allclose(trace["g0"], [1 / 8050, 1 / 8050, 1 / 9000], **CLOSE)
    np.testing.assert_array_equal(trace["accepted"], [1, 1, 0])
    np.testing.assert_array_equal(trace["write"], [0, 0, 1])
    assert {"assumed layout", "window not reached"} <= set(names(trace))


def test_pulse_map_log(tmp_path):
    rows = [f"{k}\t1e-06\t2.5\t1.5\t{1e5 + k}\t{1e4 if k < 30 else 9e4 + k}" for k in range(60)]
    (trace,) = read(write(tmp_path, "map.tsv", "\n".join(rows)))
    np.testing.assert_allclose(trace["g_before"][:2], [1e-5, 1 / 100001], **CLOSE)
    assert (trace["v"][0], trace["v_gate"][0], trace["width"][0]) == (1.5, 2.5, 1e-6)
    assert (trace["direction"] == 1).all()
    quiet = [f"{k}\t1e-06\t2.5\t1.5\t{1e5 + k}\t{9e4 + k}" for k in range(60)]
    path = write(tmp_path, "quiet.tsv", "\n".join(quiet))
    assert "direction" not in read(path)[0]
    assert (read(path, sidecar={"positive": "down"})[0]["direction"] == -1).all()


def test_read_iv_and_endurance_logs(tmp_path):
    rows = [f"{cell}\t{v * 1e-4 + 2e-6}\t{v}" for cell in (7, 9) for v in (0.0, 0.1, 0.2, 0.3)]
    (trace,) = read(write(tmp_path, "iv.tsv", "\n".join(rows)))
    assert (trace.kind, trace.labels) == ("read-iv", ("7", "9"))
    np.testing.assert_allclose(trace["i"][:2], [2e-6, 1.2e-5], **CLOSE)
    rows = [f"186\t{1e4 + k}\t{1e6 - k}\t{100 * (k + 1)}" for k in range(9)]
    (trace,) = read(write(tmp_path, "end.tsv.gz", "\n".join(rows)))
    np.testing.assert_allclose(trace["g_on"][:2], [1e-4, 1 / 10001], **CLOSE)
    assert trace["cycle"][-1] == 900


def test_relaxation_and_bake_logs(tmp_path):
    rows = [
        f"{c}\t{t}\t{1e5 / f!r}\t{f / 1e5!r}\t1e-05\t8\t{n}"
        for t, n, f in ((0.0, 0.0, 1.0), (0.011, 0.01, 0.98))
        for c in (3, 4)
    ]
    (trace,) = read(write(tmp_path, "relax.tsv", "\n".join(rows)))
    np.testing.assert_allclose(trace["g"], [9.8e-6, 9.8e-6], **CLOSE)
    np.testing.assert_allclose(trace["t"], 0.011)
    rows = [
        f"{c}\t{t}\t{1e5 * f!r}\t{1 / (1e5 * f)!r}\t{C}"
        for t, f in ((0.0, 1.0), (3600.0, 2.0))
        for C in (100, 260)
        for c in (3, 4)
    ]
    (trace,) = read(write(tmp_path, "bake.tsv", "\n".join(rows)))
    np.testing.assert_allclose(trace["temperature"], [373.15, 373.15, 533.15, 533.15], **CLOSE)
    np.testing.assert_allclose(trace["g0"] / trace["g"], 2.0, **CLOSE)
    hot = write(
        tmp_path,
        "hot.tsv",
        "\n".join(row.removesuffix("100") + "300" if row.endswith("\t100") else row for row in rows),
    )
    with pytest.raises(FileError, match="kelvin or degrees Celsius"):
        read(hot)
    (trace,) = read(hot, sidecar={"units": ["1", "s", "ohm", "S", "K"]})
    assert trace["temperature"].min() == 260


def test_noise_log_takes_its_rate_from_settings_or_sidecar(tmp_path):
    g = 1e-5 * (1 + 0.01 * np.sin(np.arange(300)))
    path = write(
        tmp_path, "ts.tsv.gz", "".join(f"{c}\t8\t" + "\t".join(map(repr, (g * c).tolist())) + "\n" for c in (1, 2))
    )
    with pytest.raises(FileError, match="rate = 400"):
        read(path)
    assert read(path, sidecar={"protocol": {"rate": 50.0}})[0]["t"][1] == 0.02
    (tmp_path / "settings.json").write_text(json.dumps({"fs": 400}))
    (trace,) = read(path)
    assert trace.protocol["rate"] == 400
    np.testing.assert_allclose(trace["g"].reshape(2, -1), [g, 2 * g], **CLOSE)
    assert "rate" in names(trace)


def test_pulse_trains_in_rows(tmp_path):
    text = "(U2,2,4) tprog: 0.0002, terase: 0.0001\nGprog, 1e-6, 8e-7, 6e-7\nGerase, 5e-7, 7e-7\n"
    text += "Gprog, 9e-7, 8e-7\nGerase, 6e-7, 9e-7\n"
    (trace,) = read(write(tmp_path, "c2c.txt", text))
    np.testing.assert_array_equal(trace["direction"], [-1, -1, -1, 1, 1, -1, -1, 1, 1])
    np.testing.assert_array_equal(trace["pulse"], [0, 1, 2, 0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(trace["cycle"], [0, 0, 0, 0, 0, 1, 1, 1, 1])
    assert trace.protocol == {"width_down": 2e-4, "width_up": 1e-4}
    rows = [
        f"(U2,{k},0),tprog=0.0002,Gprog, 1e-6, 5e-7\n(U2,{k},0),terase=0.0001,Gerase, 5e-7, 1e-6, 1.1e-6\n"
        for k in range(3)
    ]
    (trace,) = read(write(tmp_path, "d2d.txt", "".join(rows)))
    assert trace.labels == ("U2,0,0", "U2,1,0", "U2,2,0")
    np.testing.assert_allclose(trace["g"][:5], [1e-6, 5e-7, 5e-7, 1e-6, 1.1e-6], **CLOSE)


def test_plain_hdf5(tmp_path):
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as h5:
        for k, name in enumerate(("a", "b")):
            h5[f"{name}/voltage"] = [0.0, 0.5, 0.0]
            h5[f"{name}/voltage"].attrs["units"] = "V"
            h5[f"{name}/current (uA)"] = [0.0, 2.0 + k, 0.0]
    one, two = read(path)
    np.testing.assert_allclose(one["i"], [0, 2e-6, 0], **CLOSE)
    np.testing.assert_allclose(two["i"], [0, 3e-6, 0], **CLOSE)
    with h5py.File(path, "a") as h5:
        h5["c/voltage"], h5["c/current"] = [0.0, 1.0], [0.0, 1.0]
    with pytest.raises(FileError, match="units"):
        read(path)


def test_formats_have_names_of_their_own():
    assert len({form.NAME for form in FORMATS}) == len(FORMATS) == 20


def bursts(volts, currents, v_read=-0.1):
    rows = [f"{v},5e-07,1000,{v_read},{i},{1.02 * i},{0.98 * i}" for v, i in zip(volts, currents, strict=True)]
    return "# pulse_v,pulse_width,num_applied,meas_v,i_0,i_1,i_2\n" + "\n".join(rows) + "\n"


def test_bisol_bursts(tmp_path):
    volts = np.repeat([-1.0, 1.2], 15)
    g = 1e-8 * np.concatenate([0.95 ** np.arange(15), 0.95**14 * 1.04 ** np.arange(1, 16)])
    (trace,) = read(write(tmp_path, "a.csv", bursts(volts, -0.1 * g)))
    assert (trace.kind, trace.format, trace.protocol["v_read"]) == ("pulses", "pulse and read log", -0.1)
    np.testing.assert_allclose(trace["g"], g, rtol=1e-12)
    np.testing.assert_array_equal(trace["direction"], np.sign(volts))
    np.testing.assert_array_equal(trace["amplitude"], volts)
    np.testing.assert_array_equal(trace["width"], 5e-7)
    assert {"polarity measured", "bursts of pulses", "reads averaged"} <= set(names(trace))


def test_bisol_bursts_that_do_not_show_a_polarity_ask_for_it(tmp_path):
    text = bursts(np.full(6, -1.0), -1e-9 * np.array([1, 2, 1, 2, 1, 2]))
    with pytest.raises(FileError, match="do not show which sign raises"):
        read(write(tmp_path, "a.csv", text))
    write(tmp_path, "a.csv.toml", 'positive = "up"\n')
    (trace,) = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(trace["direction"], -1)
    with pytest.raises(FileError, match="line 3: meas_v = 0"):
        read(write(tmp_path, "a.csv", text.replace("1000,-0.1,-2e-09", "1000,0,-2e-09", 1)))


def test_bisol_resistance_over_time(tmp_path):
    text = "# resistance (ohms),time (s),res min,res_max\n2e8,5,1e8,1e10\n2.5e8,35,1e8,1e10\n4e8,65,1e8,1e10\n"
    (trace,) = read(write(tmp_path, "x_retentiondata.csv", text))
    assert (trace.kind, trace.labels) == ("retention", ("x_retentiondata",))
    np.testing.assert_allclose(trace["g"], [5e-9, 4e-9, 2.5e-9], **CLOSE)
    np.testing.assert_allclose(trace["g0"], 5e-9, **CLOSE)
    np.testing.assert_allclose(trace["t"], [0, 30, 60], **CLOSE)


def wgfmu(volts, r):
    rows = [f"{k}, {v:.3f},{x},{2 * x}" for k, (v, x) in enumerate(zip(volts, r, strict=True))]
    return "\n".join([
        "Setup title\tpulsedAmplitudeSweep", "test date\t01.02.2025", "test time\t14:00:00", "Device ID\tX7", "Count\t1",
        "Measurement parameters", "groundWGFMU,pulseWGFMU,startVolage1,pulseWidth,measName,", "SMU2,WGFMU1,0.1,0.005,test,",
        "Measurement Data", "index, pulse amplitude (V), R_low (ohm), R_high (ohm)", *rows,
    ]) + "\n"  # fmt: skip


def test_wgfmu_amplitude_sweep(tmp_path):
    volts = np.concatenate([[0], np.linspace(0.1, 3, 20), np.linspace(-0.1, -3, 20)])
    r = 1e6 * np.exp(np.concatenate([[0], 0.1 * np.arange(1, 21), 2 - 0.1 * np.arange(1, 21)]))
    path = write(tmp_path, "a.csv", wgfmu(volts, r))
    with pytest.raises(FileError, match=r"(?s)two resistances.*channel = .R_low."):
        read(path)
    (trace,) = read(path, sidecar={"channel": "R_high"})
    assert (trace.kind, trace.labels) == ("pulses", ("X7",))
    np.testing.assert_allclose(trace["g"], 0.5 / r, rtol=1e-12)
    np.testing.assert_array_equal(trace["direction"], np.where(np.arange(41) < 21, -1, 1))
    np.testing.assert_array_equal(trace["width"], 0.005)
    np.testing.assert_allclose(trace["amplitude"], volts, atol=5e-4)


@pytest.mark.parametrize("on_first", [True, False])
def test_cycles_of_a_cell_in_one_line(tmp_path, on_first):
    r = np.stack([5e3 + np.arange(60.0).reshape(2, 30), 1e5 + np.arange(60.0).reshape(2, 30)], -1)
    lines = ["\t".join(map(str, [k + 7, *line[:, :: 1 if on_first else -1].ravel()])) for k, line in enumerate(r)]
    (trace,) = read(write(tmp_path, "a.csv", "\n".join(lines) + "\n"))
    assert (trace.kind, trace.labels) == ("endurance", ("7", "8"))
    np.testing.assert_allclose(trace["g_on"], 1 / r[..., 0].ravel(), **CLOSE)
    np.testing.assert_allclose(trace["g_off"], 1 / r[..., 1].ravel(), **CLOSE)
    np.testing.assert_array_equal(trace["cycle"], np.tile(np.arange(1, 31), 2))
    assert "assumed layout" in names(trace)


def test_a_header_without_unit_is_shown_with_one_of_its_own_kind(tmp_path):
    with pytest.raises(FileError, match=r"Write it into the header \(Time \(s\)\)"):
        read(write(tmp_path, "a.csv", "Time,Voltage,Current\n0,0,0\n1,1,1\n2,0,1\n"))


def test_clarius_appended_runs_old_sheets_and_terminals_of_any_name(tmp_path):
    """`Run1` and `Append1` are two runs; the sheet `Data` of older versions is one, too."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for k, name in enumerate(("Append1", "Run1", "Data")):
        sheet = book.create_sheet(name)
        sheet.append(("Time", "AnodeI", "AnodeV"))
        for n, v in enumerate(sweep(1.0, (1e-6, 1e-4))[0]):
            sheet.append((0.1 * n, (k + 1) * 1e-6 * v, v))
    book.create_sheet("Settings")
    book.save(tmp_path / "a.xlsx")
    (trace,) = read(tmp_path / "a.xlsx")
    tops = [trace["i"][trace["cycle"] == k].max() for k in range(3)]
    np.testing.assert_allclose(tops, [3e-6, 2e-6, 1e-6])  # Data, Run1, Append1
    assert trace.protocol["runs"] == ("Data", "Run1", "Append1")
    (text,) = read(write(tmp_path, "a.csv", "Time,AI,AV\n0,0,0\n1,2E-6,1\n2,0,0\n3,-2E-6,-1\n4,0,0\n"))
    np.testing.assert_allclose(text["i"], [0, 2e-6, 0, -2e-6, 0])


def test_arc_one_curves_are_cycles(tmp_path):
    tags = ["CT_s", "CT_i", "CT_i", "CT_e"]
    text = "x\n2020\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n"
    rows = zip((0.5, 1, -1, -0.5) * 3, tags * 3, np.repeat([1e4, 2e4, 3e4], 4), strict=True)
    text += "".join(f"1,1,{r},{v},0.001,{tag},,\n" for v, tag, r in rows)
    (trace,) = read(write(tmp_path, "a.csv", text))
    np.testing.assert_array_equal(trace["cycle"], np.repeat([0, 1, 2], 4))
    np.testing.assert_allclose(trace["i"][[1, 5, 9]], [1e-4, 5e-5, 1e-4 / 3])
