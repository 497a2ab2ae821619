"""Data sets of speech and heartbeats."""

from __future__ import annotations

import numpy as np

from experiments.datasets import mfcc
from experiments.datasets.dataset import Dataset, no_training, read_npz
from experiments.framework.errors import UsageError
from experiments.public_data.places import find as folder

LOCAL = 10  # intervals before a beat that its own are compared with
PATIENT = 100  # beats over which a patient's usual beat is averaged
BEATS = ("normal", "supraventricular", "ventricular", "fusion", "unknown")  # AAMI's five kinds
MILLIVOLT = 200.0  # units of the beats' samples
NEW_SPEAKER = "theo"
SPEECH_RATE = 8_000  # Hz, of the spoken digits


def keywords() -> Dataset:
    """MLPerf Tiny's 1,000 spoken keywords of 12 classes as MFCCs, `(n, 49, 10)`. There is no training set."""
    path = folder("mlperf-tiny", "kws_inputs.npz", also=("mlperf-tiny-inputs",)) / "kws_inputs.npz"
    found = read_npz(path, "inputs", "labels", "scale", "zero_point")
    codes = found["inputs"].astype(np.float32) - np.float32(found["zero_point"])
    x, y = (codes * np.float32(found["scale"])).astype(np.float32), found["labels"].astype(np.int32)
    if x.ndim != 3 or len(x) != len(y):
        raise UsageError(f"{path}: inputs {x.shape} and labels {y.shape} do not match. Fetch it again.")
    return Dataset("keywords", *no_training(x, y), x, y)


def spoken_digits() -> Dataset:
    """The Free Spoken Digit Dataset, resampled to 16 kHz, as MFCCs, `(n, 49, 10)`: 2,700 clips for training, 300 for testing.

    The split is its authors': recordings 0 to 4 of each digit of each speaker are for testing.
    """
    path = folder("fsdd", "fsdd.npz") / "fsdd.npz"
    found = read_npz(path, "audio", "length", "digit", "index", "rate")
    if int(found["rate"]) != SPEECH_RATE or found["length"].sum() != len(found["audio"]):
        raise UsageError(f"{path}: its clips do not match its lengths, or are not at 8 kHz. Fetch it again.")
    clips = np.split(found["audio"], np.cumsum(found["length"])[:-1])
    padded = np.zeros((len(clips), mfcc.RATE))
    for row, clip in zip(padded, clips, strict=True):
        heard = mfcc.resampled(clip[:SPEECH_RATE], SPEECH_RATE)
        row[: len(heard)] = heard
    x = np.concatenate([mfcc.features(padded[i : i + 300]) for i in range(0, len(padded), 300)])
    y, test = found["digit"].astype(np.int32), found["index"] < 5
    cut = int((found["length"] > SPEECH_RATE).sum())
    notes = (f"{cut} clips of more than one second are cut at one second.",)
    return Dataset("fsdd", x[~test], y[~test], x[test], y[test], notes, in_runs=True)


def spoken_digits_of_new_speakers() -> Dataset:
    """The same clips, tested on the 500 of a speaker (theo) who does not occur among the 2,500 for training."""
    path = folder("fsdd", "fsdd.npz") / "fsdd.npz"
    known, order = spoken_digits(), read_npz(path, "index", "speaker")
    test = order["index"] < 5
    x, y = (np.empty((len(test), *a.shape[1:]), a.dtype) for a in (known.x_train, known.y_train))
    x[~test], x[test], y[~test], y[test] = known.x_train, known.x_test, known.y_train, known.y_test
    new = order["speaker"] == NEW_SPEAKER
    return Dataset("fsdd-new-speaker", x[~new], y[~new], x[new], y[new], known.notes, in_runs=True)


def heartbeats_in_context() -> Dataset:
    """Normal, supraventricular and ventricular beats with what came before them, `(n, 260)`, of the patients of DS1 and DS2.

    128 samples in mV; the same minus the patient's usual beat (a running mean over the last 100); and four numbers: the
    interval before the beat, and the one after it, divided by the mean of the ten before; the one before divided by the one
    after; the one before divided by the patient's mean so far; each minus 1. Fusion and unknown beats are left out. A beat
    can be classified once the next one has occurred.
    """
    path = folder("mitbih-beats", "mitbih_beats.npz") / "mitbih_beats.npz"
    found = read_npz(path, "beats", "aami", "ds1", "rr", "record")
    x, y = found["beats"].astype(np.float32) / MILLIVOLT, found["aami"].astype(np.int32)
    made = np.empty((len(y), 260), np.float32)
    for record in np.unique(found["record"]):
        own = found["record"] == record
        usual = _usual_beat(x[own])
        made[own] = np.concatenate([x[own], x[own] - usual, _intervals(found["rr"][own])], 1)
    kept, train = y < 3, found["ds1"]
    x, y, train = made[kept], y[kept], train[kept]
    notes = ("Fusion and unknown beats are left out.",)
    return Dataset("mitbih-nsv", x[train], y[train], x[~train], y[~train], notes, in_runs=True)


def _usual_beat(beats: np.ndarray) -> np.ndarray:
    """Running mean of a record's beats before each of them; for the first one, the beat itself."""
    usual, mean = np.empty_like(beats), beats[0].copy()
    for i, beat in enumerate(beats):
        usual[i] = mean
        mean += (beat - mean) / min(i + 1, PATIENT)
    return usual


def _intervals(rr: np.ndarray) -> np.ndarray:
    """Intervals of a record's beats, relative to others, minus 1; 0 where one is missing."""
    before, after = (np.where(r > 0, r, np.nan).astype(np.float64) for r in rr.T)
    known = np.where(np.isnan(before), np.nanmean(before), before)
    sums = np.concatenate([[0.0], np.cumsum(known)])
    i = np.arange(len(known))
    start = np.maximum(i - LOCAL, 0)
    local = np.where(i > 0, (sums[i] - sums[start]) / np.maximum(i - start, 1), known)
    so_far = sums[i + 1] / (i + 1)
    found = np.stack([before / local, after / local, before / after, before / so_far], 1) - 1
    return np.nan_to_num(np.clip(found, -1, 2)).astype(np.float32)


def heartbeats() -> Dataset:
    """100,691 beats of the MIT-BIH Arrhythmia Database, `(n, 128)` in mV at 180 Hz, of AAMI's five kinds.

    Trained on the patients of DS1, tested on those of DS2 (de Chazal et al. 2004): no patient is in both.
    """
    path = folder("mitbih-beats", "mitbih_beats.npz") / "mitbih_beats.npz"
    found = read_npz(path, "beats", "aami", "ds1")
    x, y, train = found["beats"].astype(np.float32) / MILLIVOLT, found["aami"].astype(np.int32), found["ds1"]
    if x.shape != (len(y), 128) or train.shape != y.shape or train.dtype != bool:
        raise UsageError(f"{path}: beats {x.shape} and labels {y.shape} do not match. Fetch it again.")
    return Dataset("mitbih-beats", x[train], y[train], x[~train], y[~train], in_runs=True)
