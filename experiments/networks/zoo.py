"""The networks that experiments know by name: how each is made, what it is measured on, where its weights come from."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from jaxtyping import PRNGKeyArray

from experiments import datasets
from experiments.datasets import Dataset
from experiments.framework.errors import UsageError
from experiments.networks import cifar_resnet, convolutional, digits, recurrent, tiny, transformer, weights
from experiments.networks.network import Network, Score, accuracy, cross_entropy, forward, squared_error

GREY = ("digits", "mnist", "fashion-mnist")
NO_SOUNDS = (
    "ToyADMOS, the machine recordings that it was made for, has a licence of its own and is not among the data sets. "
    "Give inputs of your own: --network mine.py with f, params, x and y."
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the table.

    Args:
        what: in words. make: `(data, key) -> module` with random weights. data: sets it can be measured on, its own first.
        weights: `(folder, file)` of given weights. renamed: makes the module's arrays from the file's.
        steps, rate, loss, metric, no_data, kept: as in `Network`. origin: of weights that no command fetches, for a message.
    """

    what: str
    make: Callable[[Any, PRNGKeyArray], Any]
    data: tuple[str, ...]
    weights: tuple[str, str] | None = None
    renamed: Callable[[weights.Arrays], weights.Arrays] = dict
    steps: int = 1500
    rate: float = 3e-3
    loss: Score = cross_entropy
    metric: Score = accuracy
    no_data: str = ""
    kept: bool = False
    origin: str = ""


def _image(make: Callable[..., Any]) -> Callable[[Dataset, PRNGKeyArray], Any]:
    return lambda data, key: make(*data.x_test.shape[1:], data.classes, key=key)


def _plain(make: Callable[..., Any], *settings: Any) -> Callable[[Dataset, PRNGKeyArray], Any]:
    return lambda data, key: make(*settings, key=key)


def _resnet(layers: int) -> Entry:
    return Entry(
        f"CIFAR ResNet-{layers}",
        _plain(cifar_resnet.ResNet, (layers - 2) // 6),
        ("cifar10-subset",),
        ("cifar10-resnet-weights", f"resnet{layers}_cifar10.npz"),
        cifar_resnet.from_torch_names,
        origin=f": the tensors, under their own names, of resnet{layers}_cifar10.pth, which github.com/sandialabs/cross-sim "
        "has in applications/dnn/torch/cifar10_resnet/models (BSD-3)",
    )


ZOO: dict[str, Entry] = {
    "mlp": Entry("perceptron, 64-32-10 for digits", _image(digits.MLP), GREY),
    "cnn": Entry("two convolutions and a dense layer", _image(digits.CNN), GREY),
    "lenet5": Entry("LeNet-5", _image(digits.LeNet5), GREY[1:]),
    "ds-cnn": Entry(
        "keyword spotting of MLPerf Tiny, ordinary kernels of 8 bits",
        _plain(tiny.DSCNN),
        ("keywords",),
        ("mlperf-tiny", "kws_dscnn.npz"),
        tiny.from_keras,
    ),
    "ds-cnn-float": Entry(
        "the same network, another training, float",
        _plain(tiny.DSCNN),
        ("keywords",),
        ("mlperf-tiny", "kws_dscnn_float.npz"),
        tiny.from_keras,
    ),
    "resnet8": Entry(
        "image classification of MLPerf Tiny",
        _plain(tiny.ResNet8),
        ("cifar10-subset",),
        ("mlperf-tiny", "resnet8.npz"),
        tiny.from_keras,
    ),
    "mobilenet": Entry(
        "visual wake words of MLPerf Tiny, MobileNetV1 of width 0.25",
        _plain(tiny.MobileNet),
        ("wake-words",),
        ("mlperf-tiny", "vww_mobilenet_v1_025.npz"),
        tiny.from_keras,
    ),
    "autoencoder": Entry(
        "anomaly detection of MLPerf Tiny",
        _plain(tiny.Autoencoder),
        (),
        ("mlperf-tiny", "ad_autoencoder.npz"),
        tiny.from_keras,
        loss=squared_error,
        metric=squared_error,
        no_data=NO_SOUNDS,
    ),
    **{f"resnet{layers}": _resnet(layers) for layers in (14, 20, 32)},
    "gru": Entry("gated recurrent unit on spoken digits", _plain(recurrent.GRU, 10, 10), ("fsdd",)),
    "lstm": Entry("long short-term memory on spoken digits", _plain(recurrent.LSTM, 10, 10), ("fsdd",)),
    "speech-cnn": Entry("convolutions on spoken digits", _plain(convolutional.SpeechCNN, 10), ("fsdd",), rate=1e-3),
    "ecg-cnn": Entry("convolutions on heartbeats", _plain(convolutional.BeatCNN, 5), ("mitbih-beats",), rate=1e-3),
    "transformer": Entry(
        "character transformer, four layers of width 128",
        _plain(transformer.Transformer, 65),
        ("tinyshakespeare",),
        rate=1e-3,
        steps=3000,
        kept=True,
    ),
}
NAMES = tuple(ZOO)


def known(name: str, key: PRNGKeyArray, data: str | None = None) -> Network:
    """A network of the table, with its data, and its weights if they are given; random ones otherwise."""
    entry = ZOO[name]
    chosen = _chosen(name, entry, data)
    found = None if chosen is None else datasets.load(chosen)
    model = entry.make(found, key)
    if (file := weights_file(name)) is not None:
        model = weights.load(model, file, entry.renamed)
    return Network(
        name,
        forward,
        model,
        found,
        entry.weights is not None,
        entry.steps,
        entry.rate,
        entry.loss,
        entry.metric,
        entry.no_data,
        entry.kept,
    )


def weights_file(name: str) -> pathlib.Path | None:
    """The file of given weights of a network of the table; None for a network without.

    Raises:
        UsageError: if its folder is missing.
    """
    entry = ZOO.get(name)
    if entry is None or entry.weights is None:
        return None
    folder, file = entry.weights
    return datasets.folder(folder, file, entry.origin) / file


def _chosen(name: str, entry: Entry, data: str | None) -> str | None:
    if data is not None and data not in entry.data:
        raise UsageError(
            f"--data {data}: network {name!r} is measured on {' or '.join(entry.data) or 'no data set that is available'}."
        )
    return data or (entry.data[0] if entry.data else None)
