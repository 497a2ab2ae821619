"""Any settings of any experiment: they run, or are refused in a sentence; nothing crashes, and no number is NaN
without a reason."""

import dataclasses
import typing

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from experiments.framework import runner
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source
from experiments.framework.known_experiments import EXPERIMENTS

INTEGERS = st.sampled_from([-(10**9), -1, 0, 1, 2, 3, 8, 17, 1000, 2**31, 10**12])
FLOATS = st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 1e-9, 0.5, 1.0, 99.0, 1e300])
WORDS = st.sampled_from(["", "pcm", "mlp", "digits", "nope", "0.03", "x.toml", "./x.py", "ideal"])


def values(hint):
    """Values of a field's type, sensible ones and others."""
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(typing.get_args(hint))
    if typing.get_args(hint):  # a union with None
        return st.one_of(*(values(arg) for arg in typing.get_args(hint)))
    return {int: INTEGERS, float: FLOATS, str: WORDS, bool: st.booleans(), type(None): st.none()}[hint]


def configs(config):
    """Settings with up to four fields that are not the defaults."""
    hints = typing.get_type_hints(config)
    names = [field.name for field in dataclasses.fields(config)]
    changed = st.lists(st.sampled_from(names), max_size=4, unique=True)
    return changed.flatmap(lambda some: st.builds(config, **{name: values(hints[name]) for name in some}))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_are_refused_in_a_sentence_or_have_a_layout(name):
    module = Source(name, module=EXPERIMENTS[name][0]).load()

    @hypothesis.given(configs(module.Config))
    @hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
    def check(config):
        try:
            layout = runner._check(module, config)
        except UsageError:
            return
        assert all(np.prod(layout.shape(v.dims)) >= 1 for v in layout.variables.values())

    check()


SMALL = {
    "accuracy-energy": dict(
        network=st.sampled_from(["mlp", "cnn"]), devices=st.sampled_from([("ideal",), ("pcm",), ("reram_wan2022",)]),
        adc_bits=st.sampled_from([(2,), (8,), (16,)]), times=st.sampled_from([("1s",), ("1d", "1s")]),
        dac_bits=st.integers(2, 9), encoding=st.sampled_from(["amplitude", "bit_serial"]), chips=st.integers(1, 3),
        rows=st.integers(1, 70), cols=st.integers(1, 70), test_images=st.integers(1, 50), steps=st.integers(1, 30),
        hardware_steps=st.integers(0, 5), percentile=st.floats(2, 100), clip=st.floats(0.1, 10),
        seed=st.integers(0, 2**32 - 1),
    ),
    "ir-drop": dict(
        sizes=st.sampled_from([(2,), (3, 16), (17,)]), ohms=st.sampled_from([(0.0,), (1.0, 1e3), (1e6,)]),
        largest_trained=st.just(2),  # training through larger tiles takes minutes
        test_images=st.integers(1, 50), steps=st.integers(1, 30), seed=st.integers(0, 2**32 - 1),
    ),
    "device-zoo": dict(
        cells=st.integers(10, 50), devices=st.sampled_from([("pcm_joshi2020",), ("vteam_kvatinsky2015",), ("reram_wan2022",)]),
        seed=st.integers(0, 2**32 - 1),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_small_runs_end_with_numbers_or_a_sentence(name, tmp_path):
    source = Source(name, module=EXPERIMENTS[name][0])
    module = source.load()
    known = {field.name for field in dataclasses.fields(module.Config)}
    drawn = st.builds(module.Config, **{k: v for k, v in SMALL[name].items() if k in known})

    @hypothesis.given(drawn)
    @hypothesis.settings(max_examples=12, deadline=None, derandomize=True, database=None)
    def check(config):
        try:
            (outcome,) = runner.execute(source, [config], out=tmp_path, fresh=True)
        except UsageError:
            return
        assert outcome.results.finished.all() and outcome.presentation.text
        for variable in outcome.results.layout.variables:
            assert np.isfinite(outcome.results[variable]).any() or "posterior" in variable or name == "device-zoo", (
                variable
            )

    check()
