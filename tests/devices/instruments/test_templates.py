"""Every refusal of a file that can be read shows a sidecar with which it is read, right for that very file."""

import h5py
import numpy as np
import pytest
import scipy.io

from devices.instruments import FileError, read

V = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, -1, 20), np.linspace(-0.9, 0, 10)])
I = 1e-5 * V * (1 + V**2)
rng = np.random.default_rng(0)
CYCLES = np.arange(1, 30)
RAMP = np.linspace(-1, 1, 40)


def rows(*columns, sign=","):
    return "".join(
        sign.join(x if isinstance(x, str) else f"{x:.6g}" for x in row) + "\n" for row in zip(*columns, strict=True)
    )


def comma(text):
    return text.replace(".", ",")


def template(error):
    assert "for example:\n\n# " in str(error.value), str(error.value)
    return str(error.value).split("for example:")[1]


def filled(path):
    """The kind, columns and units of the sidecar that a refusal shows, and the trace that is read with it."""
    with pytest.raises(FileError) as error:
        read(path)
    path.with_name(path.name + ".toml").write_text(template(error), encoding="utf-8")
    (trace,) = read(path)
    return trace, template(error)


up_down = 10 + 5 * np.concatenate([np.linspace(0, 1, 20), np.linspace(1, 0, 20)]) + 0.05 * rng.standard_normal(40)
TEXTS = {  # text, kind, a line of the template
    "volts and amperes": (rows(V, I, sign=" "), "loop", 'units = ["V", "A"]'),
    "a tiny first current": (rows(V, I + 1.7e-13, sign=" "), "loop", 'units = ["V", "A"]'),
    "microamperes": (rows(V, 1e6 * I), "loop", 'units = ["V", "uA"]'),
    "millivolts": (rows(1e3 * V, 1e6 * I), "loop", 'units = ["mV", "uA"]'),
    "microamperes first": (rows(1e6 * I, V), "loop", 'columns = ["i", "v"]'),
    "current first": (rows(I, V), "loop", 'columns = ["i", "v"]'),
    "time, volts, amperes": (rows(1e-3 * np.arange(41), V, I), "loop", 'columns = ["t", "v", "i"]'),
    "four columns": (rows(np.full(41, 7.0), V, I, np.full(41, 300.0)), "loop", 'columns = ["-", "v", "i", "-"]'),
    "conductances over time": (rows(0.1 * np.arange(40), 1e-5 + 1e-7 * rng.random(40)), "noise", 'columns = ["t", "g"]'),
    "resistances over time": (rows(0.1 * np.arange(40), 1e5 + 1e3 * rng.random(40)), "noise", 'columns = ["t", "r"]'),
    "up and down": (rows(RAMP + 0.1 * rng.standard_normal(40), -RAMP + 0.1 * rng.standard_normal(40)),
                    "pulses", 'units = ["1", "1"]'),
    "conductances": (rows(1e-5 + 1e-7 * rng.random(40)), "noise", 'units = ["S"]'),
    "resistances": (rows(1e5 + 1e3 * rng.random(40)), "noise", 'units = ["ohm"]'),
    "endurance": (rows(CYCLES * 100, 5e3 + rng.random(29), 1e5 + 9e3 * rng.random(29)), "endurance",
                  'columns = ["cycle", "r_on", "r_off"]'),
    "unknown headers": ("Foo,Bar\n" + rows(V, I), "loop", "# of Foo, Bar"),
    "decimal commas": ("Foo;Bar\n" + comma(rows(V, 1e6 * I, sign=";")), "loop", 'units = ["V", "uA"]'),
    "words among numbers": ("Foo;Bar;Note\n" + comma(rows(V, 1e6 * I, ["ok"] * 41, sign=";")), "loop",
                            'columns = ["v", "i", "-"]'),
    "no units": ("Voltage,Current\n" + rows(V, I), "loop", 'units = ["V", "A"]'),
    "no unit of one": ("Time (ms),Voltage,Current (uA)\n" + rows(np.arange(41), V, 1e6 * I), "loop",
                       'units = ["ms", "V", "uA"]'),
    "only the voltage known": ("Voltage (V),Bar\n" + rows(V, I), "loop", 'columns = ["v", "i"]'),
    "wrong unit": ("Voltage (V),Current (V)\n" + rows(V, I), "loop", 'units = ["V", "A"]'),
    "swapped": ("Voltage (V),Current (A)\n" + rows(I, V), "loop", 'columns = ["i", "v"]'),
    "currents at no voltage": ("t (s),I (uA)\n" + rows(np.arange(40), 1 + rng.random(40)), "noise", "v_read = 0.1"),
    "pulses of no direction": ("Pulse number,G (uS)\n" + rows(np.arange(1, 41), up_down), "pulses", "pattern = { up = "),
    "normalised and siemens": ("g (S),g0 (1),t (s)\n1e-6,0.5,1\n1e-6,0.5,2\n", "retention", ""),
    "scope": ("x-axis,1,2\nsecond,Volt,Volt\n" + rows(1e-3 * np.arange(41), V, 0.1 * V), "loop", "shunt = 1000.0"),
    "two units": ("Item,A.V[1][1],A.I[1][1],B.V[1][1],B.I[1][1],\n" + rows(np.arange(41), V, I, V, I), "loop",
                  'channel = "A"'),
    "two terminals": ("Time\tAI\tAV\tBI\tBV\n" + rows(np.arange(41), I, V, -I, 0 * V, sign="\t"), "loop", ""),
    "polarity not shown": ("pulse,polarity,G (uS)\n" + rows(np.arange(20), [1, -1] * 10, 10 + rng.random(20)), "pulses",
                           'positive = "up"'),
    "bake": ("".join(f"{c}\t{t}\t1e5\t1e-5\t{T}\n" for t in (0, 9) for T in (300, 400) for c in (1, 2)), "retention",
             '"S", "C"]'),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_the_template_as_shown_makes_the_file_readable(tmp_path, name):
    text, kind, line = TEXTS[name]
    (tmp_path / "a.csv").write_text(text)
    trace, shown = filled(tmp_path / "a.csv")
    assert trace.kind == kind, shown
    assert line in shown
    last = text.splitlines()[-1].rstrip(",")
    sign = next((one for one in "\t;," if one in last), " ")
    assert f"# a.csv: {len(last.split(sign))} columns; first row: " in shown


def test_units_are_a_question(tmp_path):
    (tmp_path / "a.txt").write_text(rows(V, I))
    _, shown = filled(tmp_path / "a.txt")
    assert "is that right? The largest magnitudes of those used are 1, 2e-05" in shown


def test_a_template_keeps_what_the_sidecar_says(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(rows(np.arange(41) * 1e-3, V, 0.1 * V))
    path.with_name("a.csv.toml").write_text(
        'columns = ["t", "v_drive", "v_shunt"]\nunits = ["s", "V", "V"]\n[protocol]\narea = 1e-12\n'
    )
    trace, shown = filled(path)
    assert trace.protocol["area"] == 1e-12 and trace.protocol["shunt"] == 1000
    assert "shunt = 1000.0   # [ohm] put in your value" in shown


def test_no_template_where_the_damage_is_elsewhere(tmp_path):
    path = tmp_path / "a.csv"
    for text in (
        "Voltage (V),Current (uA)\n" + rows(V, I) + "1,2,3\n",  # a row too long
        "Voltage (V),Current (uA)\n"
        + rows(np.tile(V, 200), np.tile(I, 200))
        + "1,oops\n",  # far behind the first 64 kB
        "Dear Sir,\n\nplease find enclosed the data of last week.\n",
    ):
        path.write_text(text)
        with pytest.raises(FileError) as error:
            read(path)
        assert "for example" not in str(error.value)


def test_long_files_are_tried_by_their_first_lines_and_then_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(rows(np.tile(V, 400), np.tile(I, 400)))
    trace, _ = filled(path)
    assert len(trace) == 400 * len(V)


def matlab73(path, arrays):
    with h5py.File(path, "w", userblock_size=512) as h5:
        for name, x in arrays.items():
            h5.create_dataset(
                name.replace(".", "/"), data=np.atleast_2d(x).T if np.ndim(x) > 1 else np.reshape(x, (1, -1))
            )
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")


def matlab5(path, arrays):
    nested = {}
    for name, x in arrays.items():
        *above, last = name.split(".")
        (nested.setdefault(above[0], {}) if above else nested)[last] = x
    scipy.io.savemat(path, {**nested, "note": "measured on Monday"}, do_compression=True)


def plain_hdf5(path, arrays):
    with h5py.File(path, "w") as h5:
        for name, x in arrays.items():
            h5[name.replace(".", "/")] = x


ARRAYS = {
    "without units": {"Vd": V, "Id": I},
    "in a structure": {"run.x": V, "run.y": 1e6 * I},
    "a matrix": {"IV": np.stack([V, I], 1)},
}


@pytest.mark.parametrize("save", [matlab5, matlab73, plain_hdf5])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_by_name(tmp_path, save, name):
    path = tmp_path / ("a.h5" if save is plain_hdf5 else "a.mat")
    save(path, ARRAYS[name])
    trace, _ = filled(path)
    assert trace.kind == "loop"
    np.testing.assert_allclose(trace["i"], I, atol=1e-20)


@pytest.mark.parametrize("save", [matlab5, matlab73, plain_hdf5])
def test_a_sidecar_chooses_arrays(tmp_path, save):
    path = tmp_path / "a.mat"
    save(path, {"a": V, "b": I, "c": np.arange(7.0)})
    (trace,) = read(path, sidecar={"arrays": ["b", "a"], "columns": ["i", "v"], "units": ["mA", "V"]})
    np.testing.assert_allclose(trace["i"], 1e-3 * I)
    with pytest.raises(FileError, match="no array 'x'; it has a 41"):
        read(path, sidecar={"arrays": ["x"], "columns": ["i"]})


@pytest.mark.parametrize("save", [matlab5, matlab73])
def test_a_matrix_beside_a_vector_is_a_device_a_row(tmp_path, save):
    v, g = np.linspace(0.01, 0.3, 12), np.array([1.0, 2.0, 4.0])
    save(tmp_path / "a.mat", {"V_V": v, "I_uA": np.outer(g, v)})
    (trace,) = read(tmp_path / "a.mat")
    assert trace.kind == "read-iv"
    np.testing.assert_array_equal(trace["device"], np.repeat([0, 1, 2], 12))
    np.testing.assert_allclose(trace["i"], 1e-6 * np.outer(g, v).ravel())


def test_damaged_matlab_files(tmp_path):
    path = tmp_path / "a.mat"
    matlab5(path, {"Vd": V, "Id": I})
    data = path.read_bytes()
    for cut in (130, 200, len(data) - 7):
        path.write_bytes(data[:cut])
        with pytest.raises(FileError, match=r"a\.mat"):
            read(path)
    matlab73(path, {"Vd": V})
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(FileError, match="damaged"):
        read(path)


def test_the_pattern_of_noisy_trains_is_that_of_their_turns(tmp_path):
    n, g = np.arange(60), []
    for _ in range(4):
        up = 5 + 50 * (1 - np.exp(-(n + 1) / 20))
        g += [*up, *(5 + (up[-1] - 5) * np.exp(-(n + 1) / 20))]
    g = np.array([5.0, *g]) * (1 + 0.005 * np.random.default_rng(1).standard_normal(4 * 120 + 1))
    path = tmp_path / "ltp.csv"
    path.write_text("Pulse number,Conductance (uS)\n" + rows(np.arange(len(g)), g))
    with pytest.raises(FileError, match=r"pattern = \{ up = 60, down = 60 \}"):
        read(path)
