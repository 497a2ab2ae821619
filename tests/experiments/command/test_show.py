"""`xbar show`: an experiment, a device, a compact model, and names that are none of them."""

import pytest

from experiments.command import cli


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pcm", ["pcm_joshi2020: ", "measured ", "PowerLawDrift", "never measured: nothing"]),
        ("ag_hfo2_selector", ["A silver-nanodot selector", "up to 1.5 V"]),
        ("accuracy-energy", ["settings, with their defaults:", "--adc-bits"]),
    ],
)
def test_what_is_known(name, words, capsys):
    assert cli.command(["show", name]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in words)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acuracy-energy", "there is no experiment or device 'acuracy-energy'. Did you mean 'accuracy-energy'?"),
        ("pcm_josh2020", "there is no device 'pcm_josh2020'. Did you mean 'pcm_joshi2020'?"),
    ],
)
def test_what_is_not(name, said, capsys):
    assert cli.command(["show", name]) == 2
    assert said in capsys.readouterr().err
