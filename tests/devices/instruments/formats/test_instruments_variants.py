"""Tables as laboratories really write them: words between numbers, units elsewhere, cycles without numbers, dates."""

import numpy as np
import pytest

from devices.instruments import FileError, column_headers, read

V = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, -1, 20), np.linspace(-0.9, 0, 10)])
I_UA = 20 * V + np.where(np.arange(len(V)) < 11, 0, 0.5)


def write(folder, text, name="a.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def rows(*columns, sign=","):
    return "".join(
        sign.join(f"{x:g}" if not isinstance(x, str) else x for x in row) + "\n" for row in zip(*columns, strict=True)
    )


def flags(trace):
    return {flag.name: flag for flag in trace.flags}


@pytest.mark.parametrize(
    "text, column, dimension, factor",
    [
        ("Elapsed Time (s)", "t", "s", 1.0), ("Time (hours)", "t", "s", 3600.0), ("Time (days)", "t", "s", 86400.0),
        ("Icell (uA)", "i", "A", 1e-6), ("Device current (uA)", "i", "A", 1e-6), ("Vmem (mV)", "v", "V", 1e-3),
        ("HRS (kOhm)", "r_off", "ohm", 1e3), ("Resistance_LRS (Ohm)", "r_on", "ohm", 1.0), ("LTP (uS)", "g_up", "S", 1e-6),
        ("T (K)", "temperature", "K", 1.0), ("T (s)", "t", "s", 1.0), ("|I| (A)", "i", "A", 1.0), ("absI", "i", None, None),
        ("Sweep", "cycle", None, None), ("Sweep (V)", None, "V", 1.0), ("Frequency (Hz)", None, "Hz", 1.0),
        ("I (amperes)", "i", "A", 1.0), ("Voltage (A)", "v", "A", 1.0),
    ],
)  # fmt: skip
def test_headers_of_several_words(text, column, dimension, factor):
    header = column_headers.header(text)
    assert header.column == column
    assert (header.unit and header.unit.dimension, header.unit and header.unit.factor) == (dimension, factor)


@pytest.mark.parametrize(
    "head",
    [
        "Voltage,Current\nV,uA\n", "Voltage,Current\n(V),(uA)\n", "Device,A3\nTemperature,300\nVoltage (V),Current (uA)\n",
        "# by hand\nVoltage (V),Current (uA)\n# first loop\n", "Time,12:30\nSample,4\nVoltage (V),I (uA)\n",
    ],
)  # fmt: skip
def test_units_below_headers_comments_and_preambles(tmp_path, head):
    (trace,) = read(write(tmp_path, head + rows(V, I_UA) + "# end of sweep\n"))
    assert trace.kind == "loop" and len(trace) == len(V)
    np.testing.assert_allclose(trace["i"], I_UA * 1e-6, atol=1e-11)


def test_headers_apart_by_blanks(tmp_path):
    (trace,) = read(write(tmp_path, "Voltage (V)   Current (uA)\n" + rows(V, I_UA, sign=" ")))
    np.testing.assert_allclose(trace["i"], I_UA * 1e-6, atol=1e-11)


@pytest.mark.parametrize("word", ["", "D0;"])
def test_a_decimal_comma_may_first_come_in_a_later_row(tmp_path, word):
    v, i = ([f"{x:.4g}".replace(".", ",") for x in column] for column in (V, I_UA))
    text = "".join(f"{word}{a};{b}\n" for a, b in zip(v, i, strict=True))
    (trace,) = read(write(tmp_path, ("Device;" if word else "") + "V (V);I (uA)\n" + text))
    np.testing.assert_allclose(trace["v"], V, atol=1e-4)


def test_overflow_is_no_reading(tmp_path):
    i = [*I_UA * 1e-6]
    i[5], i[7], i[20] = 9.9e37, -9.91e37, 9.9e37
    (trace,) = read(write(tmp_path, "Voltage (V),Current (A)\n" + rows(V, i)))
    assert np.flatnonzero(~trace.good).tolist() == [5, 7, 20] == flags(trace)["overflow"].rows.tolist()
    assert np.nanmax(np.abs(trace["i"])) < 1e-4 and "compliance" not in flags(trace)
    # of a resistance, whose inverse would be a conductance of nothing
    r = ["1e4", "inf", "9.9e37", "2e4", "OVERFLOW"] * 5
    (trace,) = read(write(tmp_path, "Time (s),R (ohm)\n" + rows(range(25), r)))
    np.testing.assert_allclose(trace["g"][trace.good], [1e-4, 5e-5] * 5)


def test_words_and_gaps_in_columns_that_do_not_count(tmp_path):
    status = ["-"] * 10 + ["Compliance"] * (len(V) - 10)
    (trace,) = read(write(tmp_path, "V (V),I (uA),Status,Note\n" + rows(V, I_UA, status, [""] * len(V))))
    assert "Status, Note" in flags(trace)["columns left out"].reason and trace.good.all()
    (trace,) = read(write(tmp_path, "V (V),I (uA)\n" + rows(V, [*map("{:g}".format, I_UA[:-1]), ""])))
    assert np.flatnonzero(~trace.good).tolist() == [len(V) - 1]
    with pytest.raises(FileError, match="line 4: 'bad' is not a number"):
        read(write(tmp_path, "Device,V (V),I (uA)\n" + rows(["A"] * 3, V[:3], ["1", "2", "bad"])))


def test_columns_of_other_kinds_beside_those_of_one(tmp_path):
    t, r = np.arange(len(V)), np.full(len(V), 5e4)
    text = "Time (s),Voltage (V),Current (uA),Temperature (K),Resistance (ohm)\n" + rows(t, V, I_UA, 300 + 0 * V, r)
    (trace,) = read(write(tmp_path, text))
    assert trace.kind == "loop" and "temperature and g: no loop has" in flags(trace)["columns left out"].reason
    assert read(write(tmp_path, text), sidecar={"kind": "loop"})[0].kind == "loop"
    cycle, on, off = np.arange(1, 6), 5e3 + np.arange(5), 1e5 + np.arange(5)
    text = "Cycle,LRS (ohm),HRS (ohm),Read voltage (V)\n" + rows(cycle, on, off, np.full(5, 0.1))
    (trace,) = read(write(tmp_path, text))
    assert trace.kind == "endurance"
    np.testing.assert_allclose(trace["g_off"], 1 / off)


def test_a_known_name_counts_before_a_likely_one(tmp_path):
    text = "Time (s),Elapsed time (min),V (V),Vsource (V),I (uA),|I| (uA)\n" + rows(
        np.arange(len(V)), 7 + 0 * V, V, 2 * V, I_UA, np.abs(I_UA)
    )
    (trace,) = read(write(tmp_path, text))
    np.testing.assert_allclose(trace["v"], V, atol=1e-9)
    np.testing.assert_allclose(trace["t"], np.arange(len(V)))
    np.testing.assert_allclose(trace["i"], I_UA * 1e-6, atol=1e-11)


def test_a_magnitude_of_the_current_gets_the_sign_of_the_voltage(tmp_path):
    (trace,) = read(write(tmp_path, "V (V),|I| (uA)\n" + rows(V, np.abs(I_UA))))
    assert (trace["i"] * trace["v"] >= 0).all() and "magnitudes" in flags(trace)


@pytest.mark.parametrize("name", ["Repetition", "Sweep", "Loop", "Run", "Cycle index"])
def test_names_of_cycles(tmp_path, name):
    text = f"{name},V (V),I (uA)\n" + rows(np.repeat([1, 2], len(V)), [*V, *V], [*I_UA, *I_UA])
    (trace,) = read(write(tmp_path, text))
    assert np.unique(trace["cycle"]).tolist() == [1, 2]


def test_only_the_first_row_of_a_cycle_has_its_number(tmp_path):
    number = ["1", *[""] * (len(V) - 1), "2", *[""] * (len(V) - 1)]
    (trace,) = read(write(tmp_path, "Cycle,V (V),I (uA)\n" + rows(number, [*V, *V], [*I_UA, *I_UA])))
    np.testing.assert_array_equal(trace["cycle"], np.repeat([1, 2], len(V)))
    with pytest.raises(FileError, match="the first row has no number in its column of cycles"):
        read(write(tmp_path, "Cycle,V (V),I (uA)\n" + rows(["", "1", "1"], V[:3], I_UA[:3])))


@pytest.mark.parametrize("wave", ["triangle", "sine", "unipolar", "growing"])
def test_periods_are_cycles(tmp_path, wave):
    t = np.arange(200) / 50
    v = {
        "triangle": 2 / np.pi * np.arcsin(np.sin(2 * np.pi * t)),
        "sine": np.sin(2 * np.pi * t + 0.7),
        "unipolar": np.sin(np.pi * t) ** 2,
        "growing": np.sin(2 * np.pi * t) * (0.5 + np.floor(t) / 8),
    }[wave]
    (trace,) = read(write(tmp_path, "V (V),I (uA)\n" + rows(v, 10 * v)))
    counts = np.bincount(trace["cycle"].astype(int))
    assert len(counts) == 4 and np.abs(counts - 50).max() <= 2
    assert "4 periods" in flags(trace)["assumed cycles"].reason
    (alone,) = read(write(tmp_path, "V (V),I (uA)\n" + rows(v[:60], 10 * v[:60]), "b.csv"))
    assert "cycle" not in alone


def test_a_read_iv_of_several_cells_does_not_turn_back(tmp_path):
    v = np.linspace(-0.2, 0.2, 9)
    text = "Device,V (V),I (uA)\n" + rows(["A"] * 9 + ["B"] * 9, [*v, *v], 10 * np.array([*v, *v]))
    assert read(write(tmp_path, text))[0].kind == "read-iv"
    path = write(
        tmp_path, "Sweep,Time (s),V (V),I (uA)\n" + rows(np.repeat([1, 2], 9), range(18), [*v, *v], [*v, *v]), "b.csv"
    )
    assert [read(path, kind=k)[0].kind for k in ("loop", "read-iv")] == ["loop", "read-iv"]
    fine = np.linspace(-0.2, 0.2, 41)
    assert read(write(tmp_path, "V (V),I (uA)\n" + rows([*fine, *fine], [*fine, *fine])))[0].kind == "read-iv"


def test_a_current_at_one_voltage_is_a_conductance_over_time(tmp_path):
    t = np.arange(40) * 1e-3
    (trace,) = read(write(tmp_path, "Time (s),V (V),I (uA)\n" + rows(t, 0.1 + 0 * t, 5 + np.sin(t * 1e5))))
    assert trace.kind == "noise" and "V is 0.1 V" in flags(trace)["assumed kind"].reason
    np.testing.assert_allclose(trace["g"], (5 + np.sin(t * 1e5)) * 1e-5, rtol=1e-4)


def test_reads_at_times_decades_apart_are_a_retention(tmp_path):
    t = np.tile([1, 10, 100, 1000, 10000], 2)
    g = np.linspace(50, 41, 10)
    (trace,) = read(write(tmp_path, "Cell,Time (s),G (uS)\n" + rows(np.repeat([1, 2], 5), t, g)))
    assert trace.kind == "retention" and "assumed start" in flags(trace)
    np.testing.assert_allclose(trace["g0"], np.repeat([50e-6, 45e-6], 5))
    np.testing.assert_allclose(trace["t"], t - 1, err_msg="the first read is no observation after the start")
    even = write(tmp_path, "Time (s),G (uS)\n" + rows(np.arange(10), g), "even.csv")
    assert read(even)[0].kind == "noise"
    assert read(even, kind="retention")[0].kind == "retention"


def test_the_start_of_a_retention_is_the_earliest_read_that_was_made(tmp_path):
    text = "Cell,Time (s),G (uS)\n" + rows([1, 2, 1, 2, 1, 2], [1000, 2, 10, 200, 1, 1], [7, 5, 8, 4, 9, "nan"])
    (trace,) = read(write(tmp_path, text), kind="retention")
    np.testing.assert_allclose(trace["g0"], np.tile([9e-6, 5e-6], 3))
    np.testing.assert_allclose(trace["t"], [999, 0, 9, 198, 0, -1])
    twice = write(tmp_path, "Cell,Time (s),G (uS)\n" + rows([1, 1, 1, 2, 2], [1, 1, 9, 1, 9], [9, 8, 7, 6, 5]), "b.csv")
    with pytest.raises(FileError, match="1 of 2 devices have several reads at their earliest time"):
        read(twice, kind="retention")


def test_dates_are_no_times_since_a_write(tmp_path):
    text = "Time (s),G (uS),G0 (uS)\n" + rows(1.7e9 + np.arange(9.0), np.full(9, 40), np.full(9, 41))
    with pytest.raises(FileError, match="a date and not the time since a cell was written"):
        read(write(tmp_path, text))


@pytest.mark.parametrize("words", [("up", "down"), ("LTP", "LTD"), ("set", "reset"), ("Potentiation", "Depression")])
def test_directions_in_words(tmp_path, words):
    g = [10, 12, 14, 13, 11, 10]
    text = "Pulse,Direction,G (uS)\n" + rows([1, 2, 3, 1, 2, 3], [words[0]] * 3 + [words[1]] * 3, g)
    (trace,) = read(write(tmp_path, text))
    assert trace.kind == "pulses" and trace["direction"].tolist() == [1, 1, 1, -1, -1, -1]


def test_signed_amplitudes_and_columns_of_ltp_and_ltd_are_pulse_trains(tmp_path):
    g = np.concatenate([np.linspace(10, 20, 15), np.linspace(20, 10, 15)])
    amplitude = np.repeat([1.2, -1.1], 15)
    (trace,) = read(write(tmp_path, "Amplitude (V),Width (us),G (uS)\n" + rows(amplitude, np.full(30, 10), g)))
    assert trace.kind == "pulses" and (trace["direction"] == np.sign(amplitude)).all()
    assert "28 of 28 changes show it" in flags(trace)["polarity measured"].reason
    (trace,) = read(write(tmp_path, "Pulse,LTP (uS),LTD (uS)\n" + rows(range(15), g[:15], g[15:])))
    assert trace.kind == "pulses" and (trace["direction"] == np.sign(amplitude)).all()
    np.testing.assert_allclose(trace["g"], g * 1e-6, rtol=1e-4)


def test_a_table_of_the_weather_is_left_out_of_a_folder(tmp_path):
    write(tmp_path, "V (V),I (uA)\n" + rows(V, I_UA))
    write(tmp_path, "Date,Temp (C),Humidity (%)\n1,22.5,40\n2,22.7,41\n", "lab.csv")
    (trace,) = read(tmp_path, kind="loop")
    assert "lab.csv (no column of device readings)" in flags(trace)["skipped files"].reason
    with pytest.raises(FileError, match="unknown kind of measurement 'loops'; known kinds are loop, pulses"):
        read(tmp_path, kind="loops")


def test_the_unit_of_a_header_holds_where_the_sidecar_names_its_column(tmp_path):
    path = write(tmp_path, "Bias supply (mV),Channel 2 (uA)\n" + rows(1000 * V, I_UA))
    (trace,) = read(path, sidecar={"columns": ["v", "i"]})
    np.testing.assert_allclose(trace["v"], V, atol=1e-9)
    np.testing.assert_allclose(trace["i"], I_UA * 1e-6, atol=1e-11)


def test_a_potentiostat_export_with_two_potentials(tmp_path):
    """`;` and decimal commas, a bracket within a name, a range in words: what was measured counts, not what was applied."""
    comma = lambda x: f"{x:g}".replace(".", ",")  # noqa: E731
    table = rows(
        [comma(v) for v in V], [comma(0.05 * k) for k in range(len(V))], [comma(1e-6 * i) for i in I_UA],
        [comma(v + 0.002) for v in V], ["1"] * 21 + ["2"] * 20, ["10 µA"] * len(V), sign=";",
    )  # fmt: skip
    head = "Potential applied (V);Time (s);WE(1).Current (A);WE(1).Potential (V);Scan;Current range\n"
    (trace,) = read(write(tmp_path, head + table))
    np.testing.assert_allclose(trace["v"], V + 0.002, atol=1e-6)
    np.testing.assert_allclose(trace["i"], I_UA * 1e-6, atol=1e-11)
    assert trace["t"][-1] == 2.0 and list(np.unique(trace["cycle"])) == [1, 2]
    assert "Potential applied (V)" in flags(trace)["columns left out"].reason


@pytest.mark.parametrize(
    "stamp",
    [
        lambda s: f"2026-03-01 {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}.500",
        lambda s: f"2026/03/01T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}",
        lambda s: f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}",
    ],
)
def test_dates_and_times_of_day_are_seconds_since_the_first_row(tmp_path, stamp):
    stamps = [stamp(3590 + 5 * k) for k in range(len(V))]
    (trace,) = read(write(tmp_path, "Timestamp,Voltage (V),Current (uA)\n" + rows(stamps, V, I_UA)))
    assert trace.kind == "loop"
    np.testing.assert_allclose(trace["t"], 5.0 * np.arange(len(V)), atol=1e-6)
    assert "since the first row" in flags(trace)["assumed times"].reason


def test_a_time_of_day_goes_on_over_midnight_and_a_word_is_no_time(tmp_path):
    stamps = ["23:59:58", "", "00:00:00", "00:00:01"]
    g = [5.0, 5.1, 4.9, 5.0]
    (trace,) = read(write(tmp_path, "Time,Conductance (uS)\n" + rows(stamps, g)))
    np.testing.assert_allclose(trace["t"], [0, np.nan, 2, 3])
    with pytest.raises(FileError, match="line 4: 'noon' is not a number"):
        read(write(tmp_path, "Time,Conductance (uS)\n" + rows([*stamps[:2], "noon", *stamps[2:]], [*g, 5.0]), "b.csv"))


def test_a_sidecar_may_name_a_column_of_dates_that_go_over_a_change_of_clocks(tmp_path):
    """Not known by its name; an hour back on the wall is none in the laboratory."""
    stamps = ["2026-10-25T02:59:59+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:00:01+01:00"]
    path = write(tmp_path, "Zeit,Conductance (uS)\n" + rows(stamps, [5.0, 5.1, 4.9]))
    write(tmp_path, 'columns = ["t", "g"]\nunits = ["s", "uS"]\n', "a.csv.toml")
    (trace,) = read(path)
    np.testing.assert_allclose(trace["t"], [0, 1, 2])


def test_currents_without_a_voltage_ask_for_that_of_the_reads(tmp_path):
    path = write(tmp_path, "Time (s),Current (uA)\n" + rows(np.arange(50) / 10, 5 + 0.1 * np.sin(np.arange(50))))
    with pytest.raises(FileError, match=r"no column gives the voltage .V. of the reads(.|\n)*v_read = 0\.1"):
        read(path)
    write(tmp_path, "[protocol]\nv_read = 0.2\n", "a.csv.toml")
    (trace,) = read(path)
    assert trace.kind == "noise"
    assert np.mean(trace["g"]) == pytest.approx(25e-6, rel=0.01)
