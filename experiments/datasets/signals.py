"""Data sets of speech and heartbeats."""

from __future__ import annotations

import numpy as np

from experiments.datasets import mfcc
from experiments.datasets.dataset import Dataset, no_training, read_npz
from experiments.framework.errors import UsageError
from experiments.public_data.places import find as folder

BEATS = ("normal", "supraventricular", "ventricular", "fusion", "unknown")  # AAMI's five kinds
MILLIVOLT = 200.0  # units of the beats' samples
SPEECH_RATE = 8_000  # Hz, of the spoken digits


def keywords() -> Dataset:
    """MLPerf Tiny's 1,000 spoken keywords of 12 classes as MFCCs, `(n, 49, 10)`. There is no training set."""
    path = folder("mlperf-tiny", "kws_inputs.npz", also=("mlperf-tiny-inputs",)) / "kws_inputs.npz"
    found = read_npz(path, "inputs", "labels", "scale", "zero_point")
    codes = found["inputs"].astype(np.float32) - np.float32(found["zero_point"])
    x, y = (codes * np.float32(found["scale"])).astype(np.float32), found["labels"].astype(np.int32)
    if x.ndim != 3 or len(x) != len(y):
        raise UsageError(f"{path}: inputs {x.shape} and labels {y.shape} do not belong together. Fetch it again.")
    return Dataset("keywords", *no_training(x, y), x, y)


def spoken_digits() -> Dataset:
    """The Free Spoken Digit Dataset, resampled to 16 kHz, as MFCCs, `(n, 49, 10)`: 2,700 clips for training, 300 for testing.

    The split is its authors': recordings 0 to 4 of each digit of each speaker are for testing.
    """
    path = folder("fsdd", "fsdd.npz") / "fsdd.npz"
    found = read_npz(path, "audio", "length", "digit", "index", "rate")
    if int(found["rate"]) != SPEECH_RATE or found["length"].sum() != len(found["audio"]):
        raise UsageError(f"{path}: its clips do not fit its lengths, or are not at 8 kHz. Fetch it again.")
    clips = np.split(found["audio"], np.cumsum(found["length"])[:-1])
    padded = np.zeros((len(clips), mfcc.RATE))
    for row, clip in zip(padded, clips, strict=True):
        heard = mfcc.resampled(clip[:SPEECH_RATE], SPEECH_RATE)
        row[: len(heard)] = heard
    x = np.concatenate([mfcc.features(padded[i : i + 300]) for i in range(0, len(padded), 300)])
    y, test = found["digit"].astype(np.int32), found["index"] < 5
    cut = int((found["length"] > SPEECH_RATE).sum())
    notes = (f"{cut} clips of more than a second are cut there.",)
    return Dataset("fsdd", x[~test], y[~test], x[test], y[test], notes)


def heartbeats() -> Dataset:
    """100,691 beats of the MIT-BIH Arrhythmia Database, `(n, 128)` in mV at 180 Hz, of AAMI's five kinds.

    Trained on the patients of DS1, tested on those of DS2 (de Chazal et al. 2004): no patient is in both.
    """
    path = folder("mitbih-beats", "mitbih_beats.npz") / "mitbih_beats.npz"
    found = read_npz(path, "beats", "aami", "ds1")
    x, y, train = found["beats"].astype(np.float32) / MILLIVOLT, found["aami"].astype(np.int32), found["ds1"]
    if x.shape != (len(y), 128) or train.shape != y.shape or train.dtype != bool:
        raise UsageError(f"{path}: beats {x.shape} and labels {y.shape} do not belong together. Fetch it again.")
    return Dataset("mitbih-beats", x[train], y[train], x[~train], y[~train])
