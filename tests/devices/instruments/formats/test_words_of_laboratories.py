"""Words that laboratories write: columns in several languages, ways of pulses, targets, states, chips."""

import numpy as np
import pytest

from devices.instruments import column_headers, read


def write(tmp_path, text, name="a.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def flags(trace):
    return {flag.name: flag.reason for flag in trace.flags}


@pytest.mark.parametrize(
    "text, column, factor",
    [
        ("Spannung / V", "v", 1), ("Strom in mA", "i", 1e-3), ("Widerstand [kΩ]", "r", 1e3), ("Zeit (Sek.)", "t", 1),
        ("Leitwert_µS", "g", 1e-6), ("Temperatur (°C)", "temperature", 1), ("U/V", "v", 1), ("Messspannung (mV)", "v", 1e-3),
        ("Drainstrom (nA)", "i", 1e-9), ("Zielwiderstand / kOhm", "r_target", 1e3),
        ("Tension (V)", "v", 1), ("Courant [µA]", "i", 1e-6), ("Résistance (kohm)", "r", 1e3), ("Temps (s)", "t", 1),
        ("Température (°C)", "temperature", 1), ("Conductance / uS", "g", 1e-6),
        ("Voltaje en V", "v", 1), ("Tensión (V)", "v", 1), ("Corriente (mA)", "i", 1e-3), ("Resistencia (ohm)", "r", 1),
        ("Tiempo (ms)", "t", 1e-3), ("Conductancia (uS)", "g", 1e-6),
        ("电压（V）", "v", 1), ("电流(mA)", "i", 1e-3), ("电阻/kΩ", "r", 1e3), ("时间(秒)", "t", 1), ("电导(uS)", "g", 1e-6),
        ("施加电压(V)", "v", 1), ("温度(℃)", "temperature", 1), ("目标电阻 (kΩ)", "r_target", 1e3),
        ("電圧 [V]", "v", 1), ("電流【mA】", "i", 1e-3), ("抵抗 (kΩ)", "r", 1e3), ("時間 / s", "t", 1),
        ("コンダクタンス (μS)", "g", 1e-6), ("温度 (K)", "temperature", 1),
        ("target R (kOhm)", "r_target", 1e3), ("V_V", "v", 1), ("Gate Bias (V)", "v_gate", 1),
    ],
)  # fmt: skip
def test_columns_in_six_languages(text, column, factor):
    header = column_headers.header(text)
    assert header.column == column
    assert header.unit is not None and header.unit.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    "text, column",
    [("Pulsnummer", "pulse"), ("脉冲数", "pulse"), ("パルス番号", "pulse"), ("numéro", None), ("Zyklus", "cycle"),
     ("循环", "cycle"), ("サイクル", "cycle"), ("ciclo", "cycle"), ("sweep #", "cycle"), ("state", "level"),
     ("Ig (A)", None), ("Gate leakage (A)", None)],
)  # fmt: skip
def test_columns_without_units_and_currents_of_gates(text, column):
    assert column_headers.header(text).column == column


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_files(tmp_path, encoding):
    v = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, 0, 10)])
    text = "电压(V),电流(mA)\n" + "".join(f"{x:.2f},{x**2:.4f}\n" for x in v)
    (trace,) = read(write(tmp_path, text, encoding=encoding))
    np.testing.assert_allclose(trace["i"], 1e-3 * v**2, atol=1e-7)


def test_japanese_file_of_excel(tmp_path):
    text = "時間（秒）,電流（A）,電圧（V）\n" + "".join(
        f"{k},{1e-6 * k},{0.1 * k:.1f}\n" for k in (0, 1, 2, 3, 2, 1, 0)
    )
    (trace,) = read(write(tmp_path, text, encoding="cp932"))
    assert set(trace.columns) == {"t", "v", "i", "device"}


@pytest.mark.parametrize(
    "up, down", [("SET", "RESET"), ("LTP", "LTD"), ("potentiation", "depression"), ("P", "D"), ("Set", "reset"),
                 ("up", "down"), ("增强", "抑制")]
)  # fmt: skip
@pytest.mark.parametrize("header", ["polarity", "direction", "Pulse type", "was"])
def test_words_say_which_way_pulses_went(tmp_path, up, down, header):
    rows = "".join(f"{k},{up if k <= 3 else down},{g}\n" for k, g in enumerate([1, 2, 3, 2.5, 2, 1], 1))
    (trace,) = read(write(tmp_path, f"pulse no.,{header},G_uS\n" + rows))
    assert trace.kind == "pulses"
    np.testing.assert_array_equal(trace["direction"], [1, 1, 1, -1, -1, -1])
    assert "assumed directions" in flags(trace) or up == "up"


@pytest.mark.parametrize("plus, minus", [("+1", "-1"), ("1", "-1"), ("+", "-"), ("pos", "neg")])
@pytest.mark.parametrize("raises", [True, False])
def test_a_polarity_is_the_sign_of_a_voltage(tmp_path, plus, minus, raises):
    g = np.concatenate([np.arange(10, 40), np.arange(40, 10, -1)])
    signs = [plus if (k < 30) == raises else minus for k in range(60)]
    rows = "".join(f"{k},{s},{x}\n" for k, (s, x) in enumerate(zip(signs, g, strict=True)))
    (trace,) = read(write(tmp_path, "pulse,polarity,G (uS)\n" + rows))
    np.testing.assert_array_equal(trace["direction"], np.repeat([1, -1], 30))
    assert ("raise" if raises else "lower") in flags(trace)["polarity measured"]


def test_directions_of_nought_and_one(tmp_path):
    rows = "".join(f"{d},{x}\n" for d, x in zip([1, 1, 1, 0, 0], [1, 2, 3, 2, 1], strict=True))
    (trace,) = read(write(tmp_path, "direction,G (uS)\n" + rows))
    np.testing.assert_array_equal(trace["direction"], [1, 1, 1, -1, -1])
    assert "0 and 1" in flags(trace)["assumed polarity"]


def test_targets_as_resistances_and_chips(tmp_path):
    (trace,) = read(write(tmp_path, "target R (kOhm),final R (kOhm),tries,chip\n12.5,12.4,3,A\n25,26,2,A\n50,40,1,B\n"))
    assert trace.kind == "programming" and trace.labels == ("A", "B")
    np.testing.assert_allclose(trace["target"], [8e-5, 4e-5, 2e-5])
    np.testing.assert_allclose(trace["g"], 1e-3 / np.array([12.4, 26, 40]))


@pytest.mark.parametrize("word", ["state", "level", "Zustand", "状态"])
@pytest.mark.parametrize("names", [("0", "1", "2"), ("LRS", "mid", "HRS")])
def test_states_are_devices_of_a_read_iv_and_cycles_of_a_loop(tmp_path, word, names):
    v = np.linspace(0, 0.5, 6)
    rows = "".join(f"{s},{x:.1f},{10.0**-k * x}\n" for k, s in enumerate(names) for x in v)
    (trace,) = read(write(tmp_path, f"{word},V (V),I (mA)\n" + rows))
    assert trace.kind == "read-iv"
    np.testing.assert_array_equal(trace["device"], np.repeat([0, 1, 2], 6))
    assert trace.labels == names
    v = [*v, *v[::-1]]
    rows = "".join(f"{k},{x:.1f},{10.0**-k * x}\n" for k in range(3) for x in v)
    (trace,) = read(write(tmp_path, f"{word},V (V),I (mA)\n" + rows))
    assert trace.kind == "loop" and np.unique(trace["cycle"]).tolist() == [0, 1, 2]


def test_a_state_of_its_own_in_each_row_is_no_name(tmp_path):
    rows = "".join(f"{0.01 * k},{0.1 * k},{0.2 * k}\n" for k in range(8))
    (trace,) = read(write(tmp_path, "state,V (V),I (mA)\n" + rows))
    assert np.unique(trace["device"]).tolist() == [0]
    assert "different value in most rows" in flags(trace)["columns left out"]


def test_several_columns_say_whose_a_reading_is(tmp_path):
    rows = "".join(f"{c},{w},{b},{k},{k + 1}\n" for c in "AB" for w in (0, 1) for b in (0, 5) for k in range(2))
    (trace,) = read(write(tmp_path, "chip,wordline,bitline,t (s),G (uS)\n" + rows))
    assert trace.labels == ("A/0/0", "A/0/5", "A/1/0", "A/1/5", "B/0/0", "B/0/5", "B/1/0", "B/1/5")
    np.testing.assert_array_equal(trace["device"], np.repeat(np.arange(8), 2))


def test_a_current_beside_a_resistance_is_left_out(tmp_path):
    rows = "".join(f"{2e6 + 1e4 * (k % 3)},{-5e-8},{1 + 0.01 * k},1.9e6\n" for k in range(12))
    (trace,) = read(write(tmp_path, "# resistance (ohms),current (A),time (s),res min\n" + rows))
    assert trace.kind == "noise"
    np.testing.assert_allclose(trace["g"][:3], [1 / 2e6, 1 / 2.01e6, 1 / 2.02e6])
    assert any("i:" in flag.reason for flag in trace.flags if flag.name == "columns left out")


def test_a_conductance_needs_no_shunt(tmp_path):
    rows = "".join(f"{k},1.0,{0.1 * k},{10 + k % 2}\n" for k in range(6))
    side = {"columns": ["t", "v_drive", "v_shunt", "g"], "units": ["s", "V", "V", "uS"]}
    (trace,) = read(write(tmp_path, rows, "a.txt"), sidecar=side)
    assert trace.kind == "noise"
