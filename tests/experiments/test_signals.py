"""The keyword front end against closed forms and the benchmark's own inputs; data sets of signals and text."""

import pathlib

import numpy as np
import pytest

from experiments import datasets
from experiments.datasets import mfcc
from experiments.framework.errors import UsageError
from tests.conftest import data_folder


def test_silence_gives_the_floor_alone():
    """40 bands of ln(1e-6): c_0 = sqrt(2/40) 40 ln(1e-6), the others 0."""
    found = mfcc.features(np.zeros((2, 16_000)))
    assert found.shape == (2, 49, 10) and found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], np.sqrt(2 / 40) * 40 * np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(found[..., 1:], 0, atol=1e-5)


def test_a_tone_falls_into_the_bands_around_it():
    """1 kHz is line 32 of 512 at 16 kHz. Under a periodic Hann window of 480 samples the line holds a quarter of the window's
    sum times the amplitude, 120; all frames are alike but for the phase. Written out with a plain Fourier sum."""
    t = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 1000 * t)
    found = mfcc.features(3 * tone)
    n = np.arange(480)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 480)
    lines = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(257), n) / 512) @ (window * tone[:480]))
    assert lines.argmax() == 32 and lines[32] == pytest.approx(120, rel=1e-3)
    logs = np.log(lines @ mfcc.bands() + 1e-6)
    m = np.arange(40)
    expected = [np.sqrt(2 / 40) * np.sum(logs * np.cos(np.pi * k * (m + 0.5) / 40)) for k in range(10)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found, found[:1] + np.zeros((49, 1)), atol=0.05)


def test_bands_are_triangles_in_mel():
    """42 edges from 20 Hz to 4 kHz at equal mels: at its centre a band is 1, its neighbours 0; between, two sum to 1."""
    weights = mfcc.bands()
    assert weights.shape == (257, 40) and not weights[0].any() and not weights[129:].any()
    inner = slice(4, 100)  # well within the first and the last centre: 31.25 Hz a line
    np.testing.assert_allclose(weights[inner].sum(1), 1, atol=1e-9)
    assert ((weights > 0).sum(1) <= 2).all()


def test_scale_and_length():
    """Clips are divided by their largest sample; what is missing to a second is silence; more is refused."""
    rng = np.random.default_rng(0)
    clip = rng.standard_normal(8_000)
    short, loud = mfcc.features(clip), mfcc.features(np.concatenate([1000 * clip, np.zeros(8_000)]))
    np.testing.assert_allclose(short, loud, atol=1e-4)
    assert (short[26:, 0] < -123).all() and short[:24, 0].min() > -123
    with pytest.raises(ValueError, match="16001 samples; give at most 16000"):
        mfcc.features(np.zeros(16_001))


def test_resampling_keeps_a_tone():
    """8 to 16 kHz: a sine of 1 kHz stays one, to 1 % of its amplitude away from the ends."""
    t8, t16 = np.arange(800) / 8_000, np.arange(1600) / 16_000
    found = mfcc.resampled(np.round(1000 * np.sin(2 * np.pi * 1000 * t8)).astype(np.int16), 8_000)
    np.testing.assert_allclose(found[100:-100], 1000 * np.sin(2 * np.pi * 1000 * t16[100:-100]), atol=10)


def have(name):
    root = data_folder()
    return pytest.mark.skipif(
        root is None or not (root / "datasets" / name).is_dir(), reason=f"XBAR_DATA names no folder with {name}"
    )


@have("mlperf-tiny")
def test_keywords_have_the_front_end_s_silence():
    """The benchmark's frames of zeros: below the smallest code, -128, for c_0, and 0, code 83, or a little below
    (it was cut off, not rounded), for nearly all others."""
    x = datasets.load("keywords").x_test
    scale, zero = 0.58470291, 83
    codes = np.round(x / scale + zero)
    silent = codes[..., 0] == -128
    assert silent.sum() == 680
    ours = mfcc.features(np.zeros(16_000))[0] / scale + zero
    assert ours[0] < -128 and np.abs(ours[1:] - 83).max() < 1e-3
    assert np.abs(codes[silent][:, 1:] - 83).max() <= 4 and (codes[silent][:, 1:] >= 82).mean() > 0.9


@pytest.mark.slow
@have("fsdd")
def test_spoken_digits_look_like_keywords():
    """The same front end on other speech: each coefficient's mean and spread, where there is sound, are near."""
    data = datasets.load("fsdd")
    assert data.x_train.shape == (2700, 49, 10) and np.bincount(data.y_test).tolist() == [30] * 10
    keywords = datasets.load("keywords").x_test
    for k in range(10):
        ours, theirs = (x[..., k][x[..., 0] > -100] for x in (data.x_train, keywords))
        assert abs(ours.mean() - theirs.mean()) < 1.5 * theirs.std() and 0.3 < ours.std() / theirs.std() < 3


@have("mitbih-beats")
def test_heartbeats():
    data = datasets.load("mitbih-beats")
    assert np.bincount(data.y_train).tolist() == [45846, 944, 3788, 414, 8]
    assert np.bincount(data.y_test).tolist() == [44239, 1837, 3220, 388, 7]
    assert 0.5 < np.abs(data.x_train).max(1).mean() < 3  # mV


LIES = {"keywords": "mlperf-tiny", "wake-words": "mlperf-tiny"}
LABELLED = ("keywords", "wake-words", "cifar10-subset", "fsdd", "mitbih-beats")


@pytest.mark.parametrize("name", [pytest.param(n, marks=have(LIES.get(n, n))) for n in LABELLED])
def test_some_of_the_test_set_has_the_labels_of_all(name):
    """Files sorted by label or patient are known as such: 200 inputs have the shares of all, to four standard errors."""
    data = datasets.load(name)
    share = np.bincount(data.y_test) / len(data.y_test)
    some = np.bincount(data.some("test", 200)[1], minlength=len(share)) / 200
    assert np.all(np.abs(some - share) <= 4 * np.sqrt(share * (1 - share) / 200) + 1e-9)


@have("cifar10-subset")
def test_cifar():
    data = datasets.load("cifar10-subset")
    assert data.x_train.shape == (5000, 32, 32, 3) and data.x_test.min() == 0 and data.x_test.max() == 1
    assert np.bincount(data.y_test).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]


@have("tinyshakespeare")
def test_text():
    """Labels are the text a character later, and no test window overlaps the training text."""
    data = datasets.load("tinyshakespeare")
    np.testing.assert_array_equal(data.x_train[:, 1:], data.y_train[:, :-1])
    np.testing.assert_array_equal(data.y_train[:-1, -1], data.x_train[1:, 0])
    assert data.classes == 65 and len(data.x_train) + len(data.x_test) in (1_115_394 // 64, 1_115_394 // 64 - 1)


ARCHIVES = {
    "keywords": "mlperf-tiny/kws_inputs.npz",
    "fsdd": "fsdd/fsdd.npz",
    "mitbih-beats": "mitbih-beats/mitbih_beats.npz",
}


@pytest.mark.parametrize("name", ["cifar10-subset", "wake-words", "tinyshakespeare", *ARCHIVES])
def test_damaged_sets_say_so(name, tmp_path, monkeypatch):
    """Absent: where it belongs. Empty folder, junk, an archive of other arrays: the file, and what to do, in a UsageError."""
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"[Ss]et XBAR_DATA to a folder that holds"):
        datasets.load(name)
    files = {
        "cifar10-subset": "cifar10-subset/labels.npz",
        "wake-words": "mlperf-tiny/vww_images.zip",
        "tinyshakespeare": "tinyshakespeare/input.txt",
    } | ARCHIVES
    path = pathlib.Path(tmp_path, "datasets", files[name])
    path.parent.mkdir(parents=True)
    for content in (None, b"", b"\xff junk", b"PK\x03\x04 junk"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError, match=rf"{path.name}.*Fetch it again"):
            datasets.load(name)
    if path.suffix == ".npz":
        np.savez(path, other=np.ones(3))
        with pytest.raises(UsageError, match=rf"{path.name}.*Fetch it again"):
            datasets.load(name)
        np.savez(path, **{n: np.array([None]) for n in ("inputs", "labels", "train", "audio", "beats", "test")})
        with pytest.raises(UsageError, match=rf"{path.name}.*Fetch it again"):
            datasets.load(name)
