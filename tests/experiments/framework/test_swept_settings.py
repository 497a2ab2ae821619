"""What a sweep makes of the settings of an experiment."""

import dataclasses
import pathlib
from typing import Literal

import pytest

from experiments.command import cli, run_command
from experiments.framework import sweep


@dataclasses.dataclass(frozen=True)
class Shared:
    rows: int | None = None
    """Word lines of a tile."""


@dataclasses.dataclass(frozen=True)
class Config(Shared):
    bits: tuple[int, ...] | None = None
    """Resolutions; those of the macro."""
    times: tuple[Literal["1s", "1d"], ...] = ("1s",)
    seed: int = 0
    """Decides everything."""


def test_lists_stay_lists_and_single_values_are_swept():
    """A list that may be None is one setting of a run, not several runs; texts of inherited settings are found."""
    made = sweep.swept_config(Config)
    assert {f.name: f.default for f in dataclasses.fields(made)} == {
        "rows": (None,), "bits": None, "times": ("1s",), "seed": (0,)
    }  # fmt: skip
    names, runs = sweep.combinations(Config, made(bits=(4, 6, 8), rows=(None, 32), seed=(0, 1)))
    assert names == ("rows", "seed") and len(runs) == 4
    assert {run.bits for run in runs} == {(4, 6, 8)} and {run.rows for run in runs} == {None, 32}
    assert sweep._explanations(Config)["rows"] == "Word lines of a tile."


@pytest.mark.parametrize(
    "line, runs",
    [("accuracy-energy --adc-bits 4 6 8 --seed 0..4", 5), ("platforms --network mlp cnn --rows 64 128", 4)],
)
def test_commands_as_users_write_them(line, runs, monkeypatch):
    found = []
    monkeypatch.setattr(run_command, "_execute", lambda source, output, configs: found.extend(configs))
    monkeypatch.setattr(sweep, "publish", lambda *_: ("", {}, pathlib.Path()))
    assert cli.command(["sweep", *line.split()]) == 0
    assert len(found) == runs
