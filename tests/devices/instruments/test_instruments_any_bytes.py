"""Whatever is done to a file, its sidecar and its kind, reading it and putting its data together for the models of its kind
ends in a trace or in a `FileError`, never in another exception or a warning."""

import subprocess
import sys

import pytest
import strange_files

from devices.instruments import FileError, read


def faults(*arguments):
    """What `strange_files.main` finds, in a process without type checks of every call, which would take most of the time."""
    command = [sys.executable, strange_files.__file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_nothing_but_traces_and_clear_messages():
    """100 changed files of every format."""
    assert faults(100, 0) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", strange_files.TEXTS)
def test_nothing_but_traces_and_clear_messages_of_many(name):
    assert faults(3000, 1, name) == ""


@pytest.mark.parametrize("name", strange_files.TEXTS)
def test_the_examples_themselves_are_read(tmp_path, name):
    path = strange_files.write(tmp_path, name, strange_files.TEXTS[name].encode())
    assert read(path, sidecar=strange_files.SIDES.get(name))


@pytest.mark.parametrize(
    "side, said",
    [
        ({"sign": {"i": "x"}}, "sign.i = 'x' must be 1 or -1"),
        ({"sign": {"i": 2}}, "sign.i = 2 must be 1 or -1"),
        ({"format": "Keithley 2600"}, "says format = 'Keithley 2600', but it does not have that layout"),
        ({"skip_rows": -5}, "skip_rows = -5 must be a number of lines"),
        ({"max_megabytes": float("nan")}, "max_megabytes = nan must be a number above 0"),
        ({"protocol": {"frequency": -1.0}}, "protocol.frequency = -1 must be above 0 Hz"),
        ({"protocol": {"shunt": 10**400}}, "protocol.shunt = 1000.* must be a number in ohm"),
        ({"protocol": {"g_min": 2e-6, "g_max": 1e-6}}, "g_min = 2e-06 S must be below"),
        ({"normalised": [1, 0]}, r"normalised = \[1, 0\] must be two numbers"),
        ({"normalised": ["x", None]}, "normalised = .* must be two numbers"),
        ({"files": {"*": 3}}, "must be tables"),
        ({"files": 3}, "must be tables"),
        ({"columns": [["v"], "i"]}, r"unknown column \['v'\]"),
        ({"units": [3]}, "3 of column 1 .not named. is not a unit"),
    ],
)
def test_sidecars_that_cannot_be(tmp_path, side, said):
    path = strange_files.write(tmp_path, "headed", strange_files.TEXTS["headed"].encode())
    with pytest.raises(FileError, match=said):
        read(path, sidecar=side)


@pytest.mark.parametrize(
    "text", ["a." * 20_000 + "a = 1", "kind = " + "[" * 5000, "kind = 1979-05-27", "skip_rows = " + 5000 * "9"]
)
def test_sidecars_are_bounded_before_they_are_parsed(tmp_path, text):
    path = strange_files.write(tmp_path, "headed", strange_files.TEXTS["headed"].encode())
    path.with_name("data.csv.toml").write_text(text)
    with pytest.raises(FileError, match=r"data\.csv\.toml"):
        read(path)
