"""Whatever is done to a file, reading it ends in a trace or in a `FileError`, never in another exception or a warning."""

import random

import pytest

from devices.instruments import FileError, read

SEEDS = {
    "headed": "Voltage (V),Current (uA)\n0,1\n1,2\n0,3\n-1,-2\n0,0\n",
    "keithley2600": "Item,Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1],\n1,0,1,2,\n2,1,1,2,\n",
    "easyexpert": "SetupTitle, a\nTestParameter, Channel.VName, V1\nDataName, V1, I1\nDataValue, 0, 1\nDataValue, 1, 1\n",
    "arc": "x\ny\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n1,1,1e4,0,0,F,R,0.5\n"
    + "".join(f"1,1,{9e3 - 100 * k},1,1e-4,P,,0.5\n" for k in range(12)) + "1,1,8e3,1,1e-4,CT,,0.5\n",
    "clarius": "Time\tAI\tAV\n1\t1e-6\t0.1\n2\t1e-5\t0.2\n3\t1e-6\t0.1\n",
    "scope": "x-axis,1,2\nsecond,Volt,Volt\n0,0.5,0.1\n1e-3,1.0,0.2\n",
    "devices": "device,G (uS),time (s)\nA1,1,0\nA1,2,1\nB2,3,0\n",
    "locale": "V (V);I (uA)\n0,0;0,0\n0,5;1,25\n0,0;0,1\n",
    "trains": "Gprog, 1e-6, 8e-7\nGerase, 5e-7, 7e-7\nGprog, 9e-7, 8e-7\n",
    "write-verify": "Init\t1\t2\t5\t99.0\t1e5\t1e-5\nWrite\t1\t2e3\t5\t101.0\t1e3\t1e-3\nRead\t0\t2e3\t5\t102.0\t1e3\t1e-3\n",
    "map": "".join(f"{k}\t1e-06\t2.5\t1.5\t1e5\t{1e4 + k}\n" for k in range(30)),
    "endurance": "".join(f"1\t1e4\t{1e5 + k}\t{k + 1}\n" for k in range(9)),
    "cycles": "".join(f"{c}\t" + "\t".join(f"{1e5 + k}\t5e3" for k in range(21)) + "\n" for c in (1, 2)),
    "read-iv": "".join(f"{c}\t{v / 1e4}\t{v}\n" for c in (1, 2) for v in (0.0, 0.1, 0.2, 0.3)),
    "bake": "".join(f"{c}\t{t}\t1e5\t1e-5\t{T}\n" for t in (0, 9) for T in (100, 200) for c in (1, 2)),
    "bursts": "# pulse_v,pulse_width,num_applied,meas_v,i_0,i_1\n"
    + "".join(f"1,1e-6,1,0.1,{k}e-7,{k}e-7\n" for k in range(1, 12)),
    "over time": "# resistance (ohms),time (s),res min,res_max\n1e8,0,1,2\n2e8,30,1,2\n",
    "wgfmu": "Device ID\tX\nstart,pulseWGFMU,pulseWidth,\n0,W,1e-3,\nindex, pulse amplitude (V), R_low (ohm), R_high (ohm)\n"
    + "".join(f"{k}, {0.1 * k},{1e5 - 100 * k},2e5\n" for k in range(12)),
    "noise": "\t".join(["1", "8", *(f"{1e-5 + k * 1e-9}" for k in range(220))]) + "\n",
}  # fmt: skip
SIDES = [
    None,
    {"columns": ["v", "i"], "units": ["V", "uA"]},
    {"columns": ["g_up", "g_down"], "units": ["1", "1"]},
    {"columns": ["t", "v_drive", "v_shunt"], "units": ["s", "V", "V"], "protocol": {"shunt": 10.0, "rate": 5.0}},
    {"pattern": {"up": 2, "down": 1}, "positive": "up", "channel": "R_low", "protocol": {"rate": 5.0}},
]
PIECES = [
    b",",
    b"\t",
    b"\n",
    b"nan",
    b"#REF",
    b"-",
    b"e",
    b'"',
    b"0",
    b";",
    b"inf",
    b"\xb5",
    b"1e999",
    b"\n\n",
    b"\x00",
]


def changed(data, rng):
    """The bytes with a few deletions, insertions, a cut, or the lines shuffled."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        place, what = rng.randrange(len(data) + 1), rng.random()
        if what < 0.3:
            data = data[:place] + data[place + rng.choice([1, 5, 40]) :]
        elif what < 0.7:
            data = data[:place] + rng.choice(PIECES) + data[place:]
        elif what < 0.85:
            data = data[:place]
        else:
            data = b"\n".join(rng.sample(data.split(b"\n"), len(data.split(b"\n"))))
    return data


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_but_traces_and_clear_messages(tmp_path, seed):
    rng, path, outcomes = random.Random(seed), tmp_path / "data.csv", set()
    for _ in range(60):
        path.write_bytes(changed(SEEDS[seed].encode(), rng))
        try:
            outcomes.add(type(read(path, sidecar=rng.choice(SIDES))))
        except FileError as error:
            outcomes.add(str(path) in str(error))
    assert True in outcomes
    assert False not in outcomes  # every message names the file
