"""Techniques of hardware-aware training side by side: splits that never test what was trained on, errors that are apart, and a
small study through the command's own path."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import training_study, training_study_view
from experiments.datasets import Dataset
from experiments.framework import runner
from experiments.framework.errors import UsageError
from experiments.framework.experiment import Source
from experiments.framework.store import Results
from experiments.hardware_training import augmentation, paired, splits, techniques
from experiments.hardware_training.techniques import TECHNIQUES
from experiments.networks import Network
from xbar.training import distillation_loss

STUDY = Source("training-study", module="experiments.training_study")


def unlabelled(x, y):
    data = Dataset("mine", x[:0], y[:0], x, y)
    return Network("mine", lambda p, x: x @ p, jnp.eye(2), data, trained=True)


def test_folds_never_test_what_they_train_on():
    """Every input is tested once; no fold trains on an equal copy of one that it tests, and none sees labels."""
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    x[7] = x[4]  # a pair, of which one lies in the fold that tests the other
    found = splits.folds(unlabelled(x, np.arange(20) % 2), 4, 1000)
    assert sorted(np.concatenate([f.places for f in found])) == list(range(20))
    for f in found:
        tested = {a.tobytes() for a in f.x_test}
        assert f.y_train is None and not tested & {a.tobytes() for a in (*f.x_train, *f.x_cal)}
    assert len(found[0].x_train) == 14 and len(found[1].x_train) == 15  # 4 is of fold 0, 7 of fold 3


def test_calibration_inputs_of_sorted_data_are_of_every_class():
    """A file sorted by label: its first inputs are of a few classes only."""
    x, y = np.arange(1200, dtype=np.float32)[:, None], np.arange(1200) // 120
    network = unlabelled(x, y)
    data = dataclasses.replace(network.measured_on(), in_runs=True)
    for f in splits.folds(dataclasses.replace(network, data=data), 4, 1200):
        assert len(f.x_cal) == splits.CALIBRATION and set(f.x_cal[:, 0] // 120) == set(range(10))
        assert not set(f.x_cal[:, 0]) & set(f.x_test[:, 0])


def test_test_inputs_are_spread_over_the_recordings():
    """Beats of one patient lie side by side: a part of the test set holds some of all patients."""
    x = np.arange(100, dtype=np.float32)[:, None]
    (found,) = splits.folds(
        dataclasses.replace(unlabelled(x, np.zeros(100, int)), data=Dataset("mine", x, x[:, 0], x, x[:, 0])), 4, 5
    )
    np.testing.assert_array_equal(found.x_test[:, 0], [0, 24, 49, 74, 99])


def test_errors_of_chips_and_of_inputs_are_apart():
    """What differs between chips alone, and between inputs alone, comes out by its own closed form; noise of both is no
    spread over chips."""
    draw = np.random.default_rng(0)
    chips, inputs = draw.normal(0, 0.1, 8), draw.normal(0, 0.5, 400)
    s = paired.summary(0.7 + chips[:, None] + inputs[None])
    assert s.mean == pytest.approx(0.7 + chips.mean() + inputs.mean())
    assert s.spread == pytest.approx(chips.std(ddof=1)) and s.over_chips == pytest.approx(s.spread / 8**0.5)
    assert s.over_inputs == pytest.approx(inputs.std(ddof=1) / 20)
    same = (draw.uniform(size=(8, 1000)) < 0.9).astype(float)  # equal chips: all that differs is chance
    assert paired.summary(same).spread < same.mean(1).std(ddof=1) or same.mean(1).std(ddof=1) < 0.006
    assert paired.summary(same).error == pytest.approx((0.09 / 8000) ** 0.5, rel=0.35)


def test_inputs_are_changed_by_kind():
    """Images keep their pixels, moved by three at most or mirrored; keywords move in time alone; heartbeats stay."""
    key = jax.random.key(0)
    image = jnp.arange(2 * 8 * 8 * 3, dtype=jnp.float32).reshape(2, 8, 8, 3)
    moved = augmentation.augmented("cifar10-subset", image, key)
    assert not np.array_equal(moved, image)
    np.testing.assert_array_equal(np.sort(moved.reshape(2, -1)), np.sort(image.reshape(2, -1)))
    word = jnp.arange(49.0)[None, :, None] + jnp.zeros((5, 49, 10))
    shifts = augmentation.augmented("keywords", word, key)[:, 0, 0] % 49
    assert set(np.minimum(shifts, 49 - shifts)) <= {0, 1, 2, 3}
    beats = jnp.ones((2, 128))
    assert augmentation.augmented("mitbih-beats", beats, key) is beats


@pytest.mark.parametrize(
    "settings, flag",
    [
        (dict(techniques=("noise",)), "--techniques"),
        (dict(chips=1), "--chips"),
        (dict(noise=0.0), "--noise"),
        (dict(devices=("sonos_agrawal2022",), times=("1y",), network="mlp"), "--times"),
    ],
)
def test_settings_that_cannot_be(settings, flag):
    with pytest.raises(UsageError, match=flag):
        training_study.check(training_study.Config(**{"network": "mlp", **settings}))


def test_help_names_every_technique():
    """The command's help does not import the techniques; it knows their names all the same."""
    assert tuple(TECHNIQUES) == training_study.NAMES


def test_what_is_not_read_yet_is_not_ranked():
    config = training_study.Config(network="mlp", techniques=("naive", "noise"))
    shown = training_study_view.present(config, Results(training_study.layout(config)))
    assert "not run" in shown.text and "nan" not in shown.text


def test_every_setting_reaches_the_training(monkeypatch):
    """Fails if a number of the recipe is left at its default, or two are exchanged."""
    numbers = dict(batch=7, rate=0.02, noise=0.03, clip=2.5, clip_per="channel", temperature=1.5)
    config = training_study.Config(network="mlp", techniques=("naive",), training_steps=11, **numbers)
    given = []

    def train(name, network, params, fold, tile, times, recipe, key):
        given.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(techniques, "train", train)
    state = training_study.State(None, None, [types.SimpleNamespace(y_test=[0])])
    with pytest.raises(KeyboardInterrupt):
        training_study.compute(config, state, {"technique": "naive", "device": "pcm"})
    assert given == [techniques.Recipe(steps=11, **numbers)]


def test_temperature_softens_what_is_learned():
    """The loss of distillation is that of the recipe's temperature."""
    student, teacher = jnp.array([[2.0, 0.0, 1.0]]), jnp.array([[0.0, 3.0, 1.0]])
    for temperature in (1.0, 4.0):
        loss = techniques._loss(TECHNIQUES["distilled"], None, None, techniques.Recipe(temperature=temperature))
        want = distillation_loss(student, teacher, temperature)
        np.testing.assert_allclose(loss((student, teacher), None), want)


@pytest.mark.slow
def test_a_small_study(tmp_path, monkeypatch):
    """Times without data stay empty and are said; noise trains other weights, adapters leave them; chips are shared, so that
    the same weights give the same scores; and the second run of the same command computes nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = training_study.Config(
        network="mlp", devices=("reram",), techniques=("naive", "noise", "lora"), times=("1s", "1y"), chips=2,
        test_inputs=100, training_steps=40, steps=200, batch=32, rate=5e-3, rows=64, cols=64,
    )  # fmt: skip
    (outcome,) = runner.execute(STUDY, [config], out=tmp_path)
    results, text = outcome.results, outcome.presentation.text
    clean = {t: results.select("clean", technique=t, device="reram") for t in config.techniques}
    np.testing.assert_array_equal(clean["naive"], clean["lora"])
    assert clean["noise"].mean() > 0.8 and not np.array_equal(clean["noise"], clean["naive"])
    score = results["score"]
    assert np.isfinite(score[:, :, 0]).all() and np.isnan(score[:, :, 1]).all() and "1 year: no data" in text
    assert set(np.unique(score[:, :, 0])) == {0.0, 1.0} and score[0, 0, 0].mean() > 0.8
    assert not np.array_equal(score[0, 0, 0], score[2, 0, 0])  # adapters change outputs
    state = training_study.prepare(config)
    again = training_study.compute(config, state, {"technique": "naive", "device": "reram"})
    np.testing.assert_array_equal(again["score"][0], score[0, 0, 0])
