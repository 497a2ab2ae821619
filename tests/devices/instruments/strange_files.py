"""Files of every format, and what happens to them: changed bytes, numbers, lines, sidecars and kinds."""

import pathlib
import random
import re
import sys
import tempfile
import traceback
import warnings

from devices.fitting.engine.parameters import Space
from devices.fitting.kinds import candidates
from devices.instruments import KINDS, FileError, read
from devices.instruments.formats import FORMATS
from devices.instruments.sidecar import EXTRA, KEYS, PROTOCOL
from devices.instruments.trace import UNITS

_SWEEP = [0.2 * k for k in (*range(6), *range(4, -6, -1), *range(-4, 1))]
_LOOP = [(v, (1e-5 if k < 5 or k > 14 else 5e-5) * v) for k, v in enumerate(_SWEEP)]

TEXTS = {
    "headed": "Voltage (V),Current (uA)\n" + "".join(f"{v:.1f},{1e6 * i:.2f}\n" for v, i in _LOOP),
    "headed pulses": "pulse,direction,G (uS),cycle,device\n"
    + "".join(f"{k % 8},{'up' if k % 16 < 8 else 'down'},{5 + abs(k % 16 - 8)},{k // 16},A\n" for k in range(32)),
    "headed retention": "cell,time (s),G (uS),G0 (uS),temperature (C)\n"
    + "".join(f"{c},{10**k},{5 - 0.1 * k + c},{5 + c},{25 + 60 * (c > 2)}\n" for c in range(5) for k in range(4)),
    "headed programming": "target (uS);time (s);G (uS);G0 (uS);device\n"
    + "".join(f"{20 + c % 2};{t};{20 + c % 2 + 0.3 * c};{20 + c % 2};{c}\n" for c in range(6) for t in (1, 9)),
    "headed endurance": "cycle\tRon (kohm)\tRoff (kohm)\n"
    + "".join(f"{k}\t{10 + 0.1 * k}\t{200 - k}\n" for k in range(1, 25)),
    "headed cycles": "Cycle,Vset (V),Vreset (V)\n"
    + "".join(f"{k},{1 + 0.01 * (k * 7 % 5)},{-1 - 0.01 * (k * 5 % 7)}\n" for k in range(30)),
    "headed noise": "time (s),G (uS)\n" + "".join(f"{k / 10},{5 + 0.1 * (k * 7 % 11)}\n" for k in range(64)),
    "headed clock": "Time,Voltage (V),Current (A),Remark\n"
    + "".join(f"2026-03-01 12:00:{k:02d},{v:.1f},{i:.3e},ok\n" for k, (v, i) in enumerate(_LOOP)),
    "headed map": "V (V),width (us),G before (uS),G after (uS)\n"
    + "".join(f"{1 + 0.1 * (k % 5)},{k % 3 + 1},{10 + k},{12 + k + k % 5}\n" for k in range(30)),
    "bare": "".join(f"{v:.1f} {1e6 * i:.2f}\n" for v, i in _LOOP),
    "locale": "V (V);I (uA)\n" + "".join(f"{v:.1f};{1e6 * i:.2f}\n" for v, i in _LOOP).replace(".", ","),
    "devices": "device,G (uS),time (s)\nA1,1,0\nA1,2,1\nB2,3,0\n",
    "keithley2600": "Item,Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1],\n"
    + "".join(f"{k},{k / 10},{v:.1f},{i:.2e},\n" for k, (v, i) in enumerate(_LOOP)),
    "easyexpert": "SetupTitle, a\nTestParameter, Channel.VName, V1\nDataName, V1, I1\n"
    + "".join(f"DataValue, {v:.1f}, {i:.2e}\n" for v, i in _LOOP),
    "arc": "x\ny\nWordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage\n1,1,1e4,0,0,F,R,0.5\n"
    + "".join(f"1,1,{9e3 - 100 * k},1,1e-4,P,,0.5\n" for k in range(12))
    + "".join(f"1,1,8e3,{v:.1f},1e-4,CT{'_s' if k == 0 else ''},,0.5\n" for k, (v, _) in enumerate(_LOOP)),
    "clarius": "Time\tAI\tAV\n" + "".join(f"{k}\t{i:.2e}\t{v:.1f}\n" for k, (v, i) in enumerate(_LOOP)),
    "scope": "x-axis,1,2\nsecond,Volt,Volt\n" + "".join(f"{k}e-3,{v:.1f},{1e3 * i:.3f}\n" for k, (v, i) in enumerate(_LOOP)),
    "trains": "".join(f"G{w}, " + ", ".join(f"{x:.2g}" for x in g) + "\n" for w, g in 3 * [
        ("prog", [1e-6, 9e-7, 8e-7, 7e-7]), ("erase", [6e-7, 8e-7, 9e-7])]),
    "write-verify": "".join(
        f"Init\t1\t2\t{c}\t{100 * c}\t1e5\t1e-5\nWrite\t1\t2e3\t{c}\t{100 * c + 1}\t1e3\t1e-3\n"
        + "".join(f"Read\t0\t2e3\t{c}\t{100 * c + t}\t1.{t}e3\t{1 / (1e3 + 100 * t)}\n" for t in (2, 5)) for c in range(9)),
    "map": "".join(f"{k}\t1e-06\t2.5\t1.5\t1e5\t{1e4 + k}\n" for k in range(30)),
    "endurance": "".join(f"{c}\t1e4\t{1e5 + k}\t{k + 1}\n" for c in (1, 2) for k in range(12)),
    "cycles": "".join(f"{c}\t" + "\t".join(f"{1e5 + k}\t5e3" for k in range(21)) + "\n" for c in (1, 2)),
    "read-iv": "".join(f"{c}\t{c * v / 1e4}\t{v}\n" for c in (1, 2) for v in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "bake": "".join(f"{c}\t{t}\t1e5\t1e-5\t{T}\n" for t in (0, 9) for T in (100, 200) for c in (1, 2)),
    "relaxation": "".join(f"{c}\t{t}\t{1e5 + 1e3 * t}\t{1 / (1e5 + 1e3 * t)}\t1e-5\t3\t{t}\n"
                          for c in (1, 2, 3) for t in (0, 1, 10, 100)),
    "bursts": "# pulse_v,pulse_width,num_applied,meas_v,i_0,i_1\n"
    + "".join(f"1,1e-6,1,0.1,{k}e-7,{k}e-7\n" for k in range(1, 12)),
    "over time": "# resistance (ohms),time (s),res min,res_max\n" + "".join(f"{1 + k}e8,{30 * k},1,2\n" for k in range(8)),
    "wgfmu": "Device ID\tX\nstart,pulseWGFMU,pulseWidth,\n0,W,1e-3,\nindex, pulse amplitude (V), R_low (ohm), R_high (ohm)\n"
    + "".join(f"{k}, {0.1 * k},{1e5 - 100 * k},2e5\n" for k in range(12)),
    "noise": "".join("\t".join([f"{c}", "8", *(f"{1e-5 + k % 7 * 1e-9}" for k in range(220))]) + "\n" for c in (1, 2)),
    "knowm": "".join(f"{v:.1f},{1e6 * i:.2f}\n" for v, i in _LOOP),
}  # fmt: skip
SIDES = {  # what makes a trace of a format that asks for it
    "scope": {"columns": ["t", "v_drive", "v_shunt"], "protocol": {"shunt": 10.0}},
    "bare": {"columns": ["v", "i"], "units": ["V", "uA"]},
    "wgfmu": {"channel": "R_low", "positive": "up"},
    "noise": {"protocol": {"rate": 5.0}},
}
VALUES = [
    "x", "", "up", "K", "cycle", 0, 1, -1, -5, 3, 0.5, -1.0, 1e-320, 1e300, 1e-29, 1e29, float("inf"), float("nan"), True, [],
    {}, ["v", "i"], ["v", "x"], ["V", "uA"], [1.0, 0.0], [0, 1], [None], {"i": -1}, {"i": "x"}, {"g": 0},
    {"up": 2, "down": 1}, {"up": -1}, {"up": "x"}, {"v_read": 0.1}, {"rate": -1.0}, {"*": {"kind": "loop"}}, {"*": 3},
]  # fmt: skip
NUMBERS = ["0", "1", "-1", "2", "nan", "1e300", "-1e300", "1e-320", "1e38", "9.9e37", "1e-29", "1e29", "1e16", "1e-17"]
SIGNS = ["nan", "#REF", "inf", "-inf", "", "x", "-", "0", "-0.0", "1", "-1", "1e300", "-1e300", "1e-320", "9.9e37", "1e999",
         "1e16", "9" * 300, "0x1", "1_0", "٣", "1e-17", "1e17", "0,5", "12:00:05", '"', "#"]  # fmt: skip
PIECES = [b",", b"\t", b"\n", b"nan", b"#REF", b"-", b"e", b'"', b"0", b";", b"inf", b"\xb5", b"1e999", b"\n\n", b"\x00", b" ",
          b"\r", b"\xff\xfe", b"\xe2\x84"]  # fmt: skip
NUMBER = re.compile(rb"[-+]?\d[\d.]*(?:e[-+]?\d+)?")


def changed(data, rng):
    """The bytes with a few changes: bytes put in or taken out, numbers replaced, lines repeated, shuffled or left out."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place, what = rng.randrange(len(data) + 1), rng.random()
        lines = data.split(b"\n")
        at = rng.randrange(len(lines))
        if what < 0.1:
            data = data[:place] + data[place + rng.choice([1, 5, 40]) :]
        elif what < 0.25:
            data = data[:place] + rng.choice(PIECES) + data[place:]
        elif what < 0.6:
            numbers = list(NUMBER.finditer(data))
            some = rng.sample(numbers, min(len(numbers), rng.choice([1, 1, 3, 30])))
            signs = rng.choice([SIGNS, NUMBERS, NUMBERS])
            for found in sorted(some, key=lambda m: -m.start()):
                data = data[: found.start()] + rng.choice(signs).encode() + data[found.end() :]
        elif what < 0.7:  # one number everywhere, as of a column
            numbers = NUMBER.findall(data)
            data = data.replace(rng.choice(numbers), rng.choice([*SIGNS, *NUMBERS]).encode()) if numbers else data
        elif what < 0.76:
            data = data[:place]
        elif what < 0.82:
            data = b"\n".join(rng.sample(lines, len(lines)))
        elif what < 0.9:
            data = b"\n".join(lines[:at] + lines[at + rng.choice([1, 1, 5, 50]) :])
        elif what < 0.95:
            data = b"\n".join(lines[:at] + [lines[at]] * rng.choice([2, 30]) + lines[at + 1 :])
        else:
            data = b"\n".join([lines[at]] * len(lines))
    return data


def side_for(name, rng):
    """A sidecar: none, the one that the format asks for, or with some of its keys changed to anything."""
    side = dict(SIDES.get(name, {}))
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        key = rng.choice(list(KEYS))
        what = rng.random()
        if key == "kind" and what < 0.8:
            side[key] = rng.choice(list(KINDS))
        elif key == "format" and what < 0.8:
            side[key] = rng.choice(FORMATS).NAME
        elif key == "columns" and what < 0.8:
            side[key] = [rng.choice([*UNITS, *EXTRA]) for _ in range(rng.choice([1, 2, 2, 3, 4]))]
        elif key == "units" and what < 0.8:
            side[key] = [rng.choice(["V", "uA", "s", "kohm", "uS", "1", "C"]) for _ in range(rng.choice([1, 2, 2, 3]))]
        elif key == "protocol" and what < 0.8:
            number = rng.choice([0, 1, -1, 0.1, 10.0, 1e-29, 1e29, -0.5, 300])
            side[key] = {**SIDES.get(name, {}).get(key, {}), rng.choice(list(PROTOCOL)): number}
        else:
            side[key] = rng.choice(VALUES)
    return side or None


def outcome(path, rng, side):
    """What comes of reading a file and of putting its data together for every model: a sentence, or None where it was read.

    Warnings are errors.
    """
    kind = rng.choice([None] * 3 * len(KINDS) + [*KINDS])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            traces = read(path, kind=kind, sidecar=side)
        except FileError as error:
            return str(error)
        for trace in traces:
            _assemble(trace)
    return None


def _assemble(trace):
    usable = trace.where(trace.good)
    for model in candidates(trace.kind).values() if len(usable) else ():
        try:
            candidate, data = model.of(trace if model.keeps_excluded else usable)
            assert data is not None and Space(candidate.parameters())
        except FileError:
            continue


def _behind_resistor(line):
    """A line of Knowm's second file: the voltage of the source before 10 kohm, and the same current [uA]."""
    try:
        v, i = map(float, line.split(b","))
    except ValueError:
        return line
    return f"{v + 1e-2 * i},".encode() + line.split(b",")[1]


def write(folder, name, data):
    """The file, under the name that its format wants, with its partner if it has one."""
    if name != "knowm":
        path = folder / "data.csv"
    else:
        path = folder / "Memristor.csv"
        (folder / "Resistor+Memristor.csv").write_bytes(b"\n".join(map(_behind_resistor, data.split(b"\n"))))
    path.write_bytes(data)
    return path


def damage(name, folder, seed, count):
    """Reads `count` changed files of a format, and returns how many were read, and a line for every fault."""
    rng, read_all, faults = random.Random(f"{name} {seed}"), 0, []
    for _ in range(count):
        data, side = changed(TEXTS[name].encode(), rng), side_for(name, rng)
        path = write(folder, name, data)
        try:
            said = outcome(path, rng, side)
        except Exception as error:
            place = [frame for frame in traceback.extract_tb(error.__traceback__) if "devices" in frame.filename][-1]
            faults.append(
                f"{name}: {type(error).__name__} {error} at {place.filename}:{place.lineno}, {side}, {data[:2000]!r}"
            )
            continue
        read_all += said is None
        if said is not None and str(folder) not in said:
            faults.append(f"{name}: the message does not name the file: {said}")
    return read_all, faults


def main(share, seed, *names):
    """Damages every text, or those named, `share` times for each format; texts of one format share them."""
    twins = [name for name in TEXTS if name.startswith("headed") or name in ("locale", "devices")]
    with tempfile.TemporaryDirectory() as folder:
        for name in names or TEXTS:
            count = -(-int(share) // (len(twins) // 3)) if name in twins else int(share)
            read_all, faults = damage(name, pathlib.Path(folder), seed, count)
            print(*dict.fromkeys(faults), sep="\n", end="\n" if faults else "")
            if not read_all:
                print(f"{name}: none of {count} was read")


if __name__ == "__main__":
    main(*sys.argv[1:])
