"""What a sweep makes of the settings of an experiment."""

import dataclasses
import pathlib
import types
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


def test_unknown_numbers_of_some_seeds_are_left_out_and_counted():
    """NaN as well as None; the mean of the others says how many they are, in the table and not only in the note."""
    summaries = [
        {"a": 1.0, "b": float("nan"), "c": 0.5, "d": None},
        {"a": 3.0, "b": float("nan"), "c": float("nan"), "d": 2.0},
        {"a": 2.0, "b": None, "c": 1.5, "d": None},
    ]
    outcomes = [types.SimpleNamespace(presentation=types.SimpleNamespace(summary=s), folder="f") for s in summaries]
    configs = [Config(seed=seed) for seed in range(3)]
    (row,) = sweep.rows(("seed",), configs, outcomes)
    assert [row.shown(n) for n in "abcd"] == ["2 +- 1", "-", "1 +- 0.71 (n=2)", "2 (n=1)"]
    assert sweep.text([row], 3).endswith("over 3 seeds; n: how many of them have the number")
    assert sweep._csv(("seed",), configs, outcomes).splitlines()[1:] == [
        "0,1.0,,0.5,,f",
        "1,3.0,,,2.0,f",
        "2,2.0,,1.5,,f",
    ]
