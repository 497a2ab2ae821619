"""A frequency or a rate in a sidecar is a clock for every file that has none, whatever its format."""

import numpy as np
import pytest

from devices.instruments import FileError, read

V = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, -1, 20), np.linspace(-0.9, -0.1, 9)])  # 40 rows a period
EXPERT = "SetupTitle, s\nDataName, V1, I1\n"
LOOPS = {
    "headed.csv": "V (V),I (uA)\n" + "".join(f"{v:.3f},{20 * v:.3f}\n" for v in V),
    "german.csv": "Spannung / V;Strom / uA\n" + "".join(f"{v:.3f};{20 * v:.3f}\n".replace(".", ",") for v in V),
    "bare.txt": "".join(f"{v:.3f} {20 * v:.3f}\n" for v in V),
    "expert.csv": EXPERT + "".join(f"DataValue, {v:.3f}, {2e-5 * v:.3e}\n" for v in V),
    "kick.csv": "Item,Smu1.V[1][1],Smu1.I[1][1]\n" + "".join(f"{k},{v:.3f},{2e-5 * v:.3e}\n" for k, v in enumerate(V)),
    "clarius.txt": "AI\tAV\n" + "".join(f"{2e-5 * v:.3e}\t{v:.3f}\n" for v in V),
    "arc.csv": "x\ny\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n"
    + "".join(f"1,1,5e4,{v:.3f},0,CT{'_s' * (k == 0)},,0.5\n" for k, v in enumerate(V)),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("frequency", [1.0, 1000.0])
def test_rows_are_a_period(tmp_path, name, frequency):
    (tmp_path / name).write_text(LOOPS[name])
    more = {"columns": ["v", "i"], "units": ["V", "uA"]} if name == "bare.txt" else {}
    (trace,) = read(tmp_path / name, sidecar={"protocol": {"frequency": frequency}, **more})
    np.testing.assert_allclose(trace["t"], np.arange(40) / 40 / frequency)
    assert any(flag.name == "times from the frequency" and f"{frequency:g} Hz" in flag.reason for flag in trace.flags)


def test_several_periods_a_rate_and_two_devices(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("V (V),I (uA)\n" + "".join(f"{v:.3f},{20 * v:.3f}\n" for v in [*V, *V, *V[:20]]))
    (trace,) = read(path, sidecar={"protocol": {"frequency": 50.0}})
    np.testing.assert_allclose(trace["t"], np.arange(100) / 40 / 50)
    (trace,) = read(path, sidecar={"protocol": {"rate": 1e3}})
    np.testing.assert_allclose(trace["t"], np.arange(100) * 1e-3)
    path.write_text("Device,V (V),I (uA)\n" + "".join(f"{d},{v:.3f},{20 * v:.3f}\n" for d in "AB" for v in V))
    (trace,) = read(path, sidecar={"protocol": {"frequency": 2.0}})
    np.testing.assert_allclose(trace["t"], np.tile(np.arange(40) / 80, 2))


def test_a_clock_of_the_file_counts_unless_it_stands_still(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t (s),V (V),I (uA)\n" + "".join(f"{0.1 * k:.1f},{v:.3f},{20 * v:.3f}\n" for k, v in enumerate(V)))
    (trace,) = read(path, sidecar={"protocol": {"frequency": 2.0}})
    np.testing.assert_allclose(trace["t"], 0.1 * np.arange(40))
    path.write_text("t (s),V (V),I (uA)\n" + "".join(f"7,{v:.3f},{20 * v:.3f}\n" for v in V))
    (trace,) = read(path, sidecar={"protocol": {"frequency": 2.0}})
    np.testing.assert_allclose(trace["t"], np.arange(40) / 80)
    with pytest.raises(FileError, match=r"protocol.frequency = -1 must be above 0 Hz"):
        read(path, sidecar={"protocol": {"frequency": -1.0}})


def test_a_voltage_that_does_not_come_back_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("V (V),I (uA)\n" + "".join(f"{v:.3f},{20 * v:.3f}\n" for v in V[:25]))
    (trace,) = read(tmp_path / "a.csv", sidecar={"protocol": {"frequency": 2.0}})
    assert any("does not come back" in flag.reason for flag in trace.flags)
