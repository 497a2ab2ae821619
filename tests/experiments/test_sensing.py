"""Sensing at the edge: features by hand, recalls, front ends and batteries by arithmetic, the choice of `sense`."""

import dataclasses

import numpy as np
import pytest

from experiments import front_ends, sense, sensing
from experiments.datasets import signals
from tests.conftest import data_folder

needs_data = pytest.mark.skipif(data_folder() is None, reason="XBAR_DATA names no folder with the data sets")


def test_intervals_of_beats():
    """A beat that comes early: its interval is short against those before it and the one after it."""
    before = np.array([0, 300, 300, 300, 150, 450])
    found = signals._intervals(np.stack([before, np.append(before[1:], 0)], 1))
    np.testing.assert_allclose(found[4], [-0.5, 0.5, 150 / 450 - 1, 150 / 270 - 1], atol=0.03)
    np.testing.assert_allclose(found[2, :3], 0, atol=1e-6)
    assert np.isfinite(found).all()


def test_the_usual_beat_is_a_mean_of_those_before():
    beats = np.arange(4.0)[:, None] * np.ones((1, 3))
    np.testing.assert_allclose(signals._usual_beat(beats)[:, 0], [0, 0, 0.5, 1.0])


def test_recall_of_each_class():
    right, y = np.array([[1, 0, 1, 1.0]]), np.array([0, 0, 1, 2])
    found = sensing.recalls(right, y, 3)
    np.testing.assert_allclose(found[0, :3], [0.5, 1.0, 1.0])
    assert np.isnan(found[0, 3:]).all()


def test_a_coin_cell():
    """225 mAh at 3 V are 2,430 J: 100 uJ every second last 281 days."""
    assert pytest.approx(2430.0) == front_ends.COIN_CELL
    assert front_ends.days(100e-6, 1.0) == pytest.approx(2430 / 100e-6 / 86_400)
    assert front_ends.decisions_per_day(1e-3) == pytest.approx(2430 / 365 / 1e-3)


def test_front_ends_are_always_on():
    """Twice the time between beats, twice the amplifier's energy; each part has a band and a source."""
    one, two = front_ends.electrodes(0.8), front_ends.electrodes(1.6)
    assert one.parts[0].joules[1] == pytest.approx(50e-6 * 1.8 * 0.8)
    assert two.parts[0].joules[1] == pytest.approx(2 * one.parts[0].joules[1])
    for part in (*one.parts, *front_ends.microphone().parts):
        assert 0 < part.joules[0] < part.joules[1] < part.joules[2] and part.source


def candidate(accuracy, joules):
    return sense.Candidate(
        dict(kind="ANN", device="pcm", readout="8-bit ADC"), accuracy, 0.5, (joules / 2, joules, joules * 2)
    )


def test_the_choice():
    """The least energy of those that meet the wish; else the nearest. Fails if an accurate one that costs too much, or a
    frugal one that errs, is taken for meeting it."""
    config = sense.Config(max_uj=1.0, min_accuracy=90.0)
    frugal, good, dear = candidate(85.0, 0.1e-6), candidate(91.0, 0.8e-6), candidate(95.0, 5e-6)
    assert sense.chosen(config, [frugal, good, dear]) == (good, True)
    assert sense.chosen(config, [frugal, dear]) == (frugal, False)
    assert sense.chosen(dataclasses.replace(config, min_accuracy=94.0), [frugal, dear]) == (dear, False)


@needs_data
def test_boards_that_were_measured():
    """One row a system, without repeated logs; the least energy first."""
    found = sense.boards()
    assert len({b["name"] for b in found}) == len(found) > 5
    assert found == sorted(found, key=lambda b: b["energy"]) and all(b["accuracy"] > 80 for b in found)


@needs_data
def test_keywords_are_not_tested_on_what_ranges_are_taken_from():
    made = sensing.trained(sensing.Setting(images=500), "keywords", "ANN")
    assert len(made.x) == 100 and len(made.x_cal) == 32
    assert not {np.asarray(a).tobytes() for a in made.x} & {np.asarray(a).tobytes() for a in made.x_cal}


@needs_data
@pytest.mark.slow
def test_splits_share_nobody():
    """No patient, and no speaker, is in both parts."""
    from experiments import datasets

    new = datasets.load("fsdd-new-speaker")
    assert len(new.x_test) == 500 and len(new.x_train) == 2500
    beats = datasets.load("mitbih-nsv")
    assert beats.x_train.shape == (50_578, 260) and np.bincount(beats.y_test).tolist() == [44_239, 1_837, 3_220]
    assert np.isfinite(beats.x_test).all()


@needs_data
@pytest.mark.slow
def test_heartbeats_of_new_patients():
    """Better on S than the reference's 15 %, at no less accuracy (89.4 %), digitally."""
    config = sensing.Setting(images=50_000)
    made = sensing.trained(config, "ecg", "ANN")
    found = sensing.digital(made, 3)
    assert found["digital_accuracy"] > 0.88 and found["digital_recall"][1] > 0.35
