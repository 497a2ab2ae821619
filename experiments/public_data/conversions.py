"""Conversion of published files after unpacking, into the form in which loaders read a data set."""

from __future__ import annotations

import hashlib
import pathlib
import re
import wave
from collections.abc import Callable

from experiments.framework.files import replacing
from experiments.public_data.unpacking import ArchiveError


def spoken_digits(folder: pathlib.Path) -> tuple[str, ...]:
    """`recordings/{digit}_{speaker}_{index}.wav` (8 kHz, mono, 16 bit) -> `fsdd.npz`: `audio` int16, all clips one after
    another; `length`, `digit`, `speaker`, `index` of each clip; `rate` [Hz].

    Raises:
        ArchiveError: if a recording is damaged or has another format.
    """
    import numpy as np

    clips, rows = [], []
    for path in sorted((folder / "recordings").glob("*.wav")):
        try:
            digit, speaker, index = path.stem.split("_")
            with wave.open(str(path)) as file:
                if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, 8000):
                    raise ValueError("it is not mono, 16 bit, 8 kHz")
                clips.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
            rows.append((int(digit), speaker, int(index)))
        except (ValueError, EOFError, wave.Error) as error:
            raise ArchiveError(f"{path.name} cannot be read ({error})") from error
    if not rows:
        raise ArchiveError("the archive holds no recordings/*.wav")
    digit, speaker, index = zip(*rows, strict=True)
    with replacing(folder / "fsdd.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            audio=np.concatenate(clips).astype(np.int16),
            length=np.array([len(clip) for clip in clips], np.int32),
            digit=np.array(digit, np.uint8),
            speaker=np.array(speaker),
            index=np.array(index, np.uint8),
            rate=np.array(8000),
        )
    return ("fsdd.npz",)


def keyword_inputs(folder: pathlib.Path) -> tuple[str, ...]:
    """`datasets/kws01/tst_{number}_{word}_{label}.bin` (490 int8: 49 frames of 10 MFCCs) -> `kws_inputs.npz`: `inputs` int8,
    `labels`, `file_names`, and the quantisation of the benchmark's reference network, `scale` and `zero_point`.

    Raises:
        ArchiveError: if there are none, or one has another size or name.
    """
    import numpy as np

    paths = sorted((folder / "datasets" / "kws01").glob("*.bin"))
    if not paths:
        raise ArchiveError("the archive holds no datasets/kws01/*.bin")
    inputs, labels = [], []
    for path in paths:
        found = re.fullmatch(r"tst_\d+_\w+_(\d+)\.bin", path.name)
        values = np.fromfile(path, np.int8)
        if found is None or values.size != 490:
            raise ArchiveError(f"{path.name} has {values.size} bytes; tst_NUMBER_WORD_LABEL.bin of 490 are expected")
        inputs.append(values.reshape(49, 10))
        labels.append(int(found[1]))
    with replacing(folder / "kws_inputs.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            inputs=np.stack(inputs),
            labels=np.array(labels, np.int32),
            file_names=np.array([path.name for path in paths]),
            scale=np.float32(0.58470291),
            zero_point=np.int32(83),
        )
    return ("kws_inputs.npz",)


def held_against_its_sums(folder: pathlib.Path) -> tuple[str, ...]:
    """Compares every file that `SHA256SUMS.txt` lists with its checksum; writes nothing.

    Raises:
        ArchiveError: if the list is missing or empty, or a file is missing or differs.
    """
    path = folder / "SHA256SUMS.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    if not lines:
        raise ArchiveError("it has no SHA256SUMS.txt")
    for line in lines:
        digest, _, name = line.partition(" ")
        listed = folder / name.strip().lstrip("*")
        if not listed.is_file() or hashlib.sha256(listed.read_bytes()).hexdigest() != digest:
            raise ArchiveError(f"{name.strip()} is not the file that SHA256SUMS.txt lists")
    return ()


CONVERSIONS: dict[str, Callable[[pathlib.Path], tuple[str, ...]]] = {
    "fsdd": spoken_digits,
    "mitbih": held_against_its_sums,
    "mlperf-tiny-inputs": keyword_inputs,
}
