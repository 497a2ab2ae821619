"""Networks by name and by file: accuracies of published weights, weights from files, and what cannot be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from experiments import datasets, networks, supervised
from experiments.framework.errors import UsageError
from experiments.networks import recurrent, tiny, transformer, weights
from experiments.networks.quantised import integer_network
from tests.conftest import data_folder

KEY = jax.random.key(0)
EXACT = xbar.Tile(device=devices.ideal(), rows=256, cols=256, dac=xbar.DAC(None), adc=xbar.ADC(None))


def needs(*folders):
    root = data_folder()
    missing = [f for f in folders if root is None or not (root / "datasets" / f).is_dir()]
    return pytest.mark.skipif(bool(missing), reason=f"XBAR_DATA names no folder with {', '.join(missing)}")


def right(network, run, size=250):
    """How many of the first 1,000 test inputs are classified rightly, in batches."""
    x, y = network.data.x_test[:1000], network.data.y_test[:1000]
    logits = jnp.concatenate([run(jnp.asarray(x[i : i + size])) for i in range(0, len(x), size)])
    return round(1000 * float(network.metric(logits, y)))


PUBLISHED = [
    pytest.param("ds-cnn", 901, marks=needs("mlperf-tiny")),
    pytest.param("ds-cnn-float", 913, marks=[needs("mlperf-tiny"), pytest.mark.slow]),
    pytest.param("resnet8", 881, marks=[needs("mlperf-tiny", "cifar10-subset"), pytest.mark.slow]),
    pytest.param("mobilenet", 852, marks=[needs("mlperf-tiny"), pytest.mark.slow]),
    pytest.param("resnet14", 890, marks=[needs("cifar10-resnet-weights", "cifar10-subset"), pytest.mark.slow]),
    pytest.param("resnet20", 911, marks=[needs("cifar10-resnet-weights", "cifar10-subset"), pytest.mark.slow]),
    pytest.param("resnet32", 923, marks=[needs("cifar10-resnet-weights", "cifar10-subset"), pytest.mark.slow]),
]


@pytest.mark.parametrize("name, of_1000", PUBLISHED)
def test_published_weights_give_their_accuracy(name, of_1000, optimised):
    network = networks.find(name, KEY)
    assert network.trained
    assert right(network, jax.jit(lambda x: network.f(network.params, x))) == of_1000


@pytest.mark.slow
@pytest.mark.parametrize("name, of_1000", [p for p in PUBLISHED if p.values[0] in ("ds-cnn", "resnet8", "mobilenet")])
def test_ideal_crossbars_without_converters_give_it_too(name, of_1000, optimised):
    """Sums over tiles in another order must not turn an image: 1,000 of 1,000 classes agree with the digital ones."""
    network = networks.find(name, KEY)
    chip = xbar.analog(network.f, EXACT).program(network.params, network.data.x_test[:1], key=KEY).at()
    assert right(network, jax.jit(lambda x: chip(x))) == of_1000


@needs("mlperf-tiny")
def test_autoencoder_on_ideal_crossbars():
    """Against float64 NumPy on random log-mels, values up to some 60: to 1e-3."""
    network = networks.find("autoencoder", KEY)
    x = -30 + 10 * jax.random.normal(KEY, (20, 640))
    h = np.asarray(x, np.float64)
    for i in range(10):
        layer = network.params.layers[f"dense{i}"]
        h = h @ np.asarray(layer.weight, np.float64).T + np.asarray(layer.bias, np.float64)
        h = np.maximum(h, 0) if i < 9 else h
    chip = xbar.analog(network.f, EXACT).program(network.params, x, key=KEY)
    np.testing.assert_allclose(network.f(network.params, x), h, atol=1e-3)
    np.testing.assert_allclose(chip(x), h, atol=1e-3)
    with pytest.raises(UsageError, match=r"has no data to be measured on: ToyADMOS.*--network mine\.py"):
        network.measured_on()


def test_padding_is_that_of_tensorflow():
    """Stride 2, 10 x 4 taps on 49 x 10: 9 rows are added, 4 above; 2 columns, 1 left. Written out with NumPy."""
    layer = tiny.DSCNN(key=KEY).layers["conv0"]
    x = np.asarray(jax.random.normal(KEY, (49, 10)))
    padded = np.pad(x, ((4, 5), (1, 1)))
    w, b = np.asarray(layer.weight)[:, 0], np.asarray(layer.bias)[:, 0, 0]
    patches = np.lib.stride_tricks.sliding_window_view(padded, (10, 4))[::2, ::2]
    expected = np.einsum("hwij,oij->ohw", patches, w) + b[:, None, None]
    np.testing.assert_allclose(layer(jnp.asarray(x)[None]), expected, atol=1e-5)


def test_batch_norm_is_folded():
    """`bn(conv(x) + b)` written out; with a bias and without."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((4, 3)), rng.standard_normal((5, 3))
    norm = {k: rng.uniform(0.5, 2, 4) for k in ("gamma", "beta", "mean", "variance")}
    for bias in (None, rng.standard_normal(4)):
        y = x @ w.T + (0 if bias is None else bias)
        expected = norm["gamma"] * (y - norm["mean"]) / np.sqrt(norm["variance"] + 1e-2) + norm["beta"]
        folded, shift = weights.fold_batch_norm(w, bias, epsilon=1e-2, **norm)
        np.testing.assert_allclose(x @ folded.T + shift, expected, rtol=1e-12)


class Line(transformer.eqx.Module):
    layers: list
    scale: float = 2.0


def line():
    return Line([transformer.eqx.nn.Linear(2, 3, key=KEY)])


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_weights_from_files(ending, tmp_path):
    arrays = {
        "layers.0.weight": np.arange(6, dtype=np.float32).reshape(3, 2),
        "layers.0.bias": np.ones((3, 1), np.float32),
    }
    path = tmp_path / f"w{ending}"
    if ending == ".npz":
        np.savez(path, **arrays)
    else:
        pytest.importorskip("safetensors.numpy").save_file(arrays, path)
    model = weights.load(line(), path)
    np.testing.assert_array_equal(model.layers[0].weight, arrays["layers.0.weight"])
    assert model.layers[0].bias.shape == (3,) and model.scale == 2.0
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UsageError, match=rf"w{ending}: (cannot be read|is damaged)"):
        weights.load(line(), path)
    with pytest.raises(UsageError, match=r"none\.npz: cannot be read"):
        weights.load(line(), tmp_path / "none.npz")
    with pytest.raises(UsageError, match=r"\.npz and \.safetensors"):
        weights.load(line(), tmp_path / "w.pt")


@pytest.mark.parametrize(
    "change, says",
    [
        ({"layers.0.bias": None}, r"lacks layers\.0\.bias"),
        ({"extra": np.ones(3, np.float32)}, "has, besides what is needed, extra"),
        ({"layers.0.weight": np.ones((2, 3), np.float32)}, r"weight is float32 \(2, 3\); floats of shape \(3, 2\)"),
        ({"layers.0.weight": np.ones((3, 2), np.int8)}, "weight is int8"),
        ({"layers.0.bias": np.full(3, np.nan, np.float32)}, "bias is not finite"),
    ],
)
def test_weights_that_do_not_fit_say_so(change, says):
    arrays = {"layers.0.weight": np.ones((3, 2), np.float32), "layers.0.bias": np.ones(3, np.float32)} | change
    with pytest.raises(UsageError, match=says):
        weights.put(line(), {k: a for k, a in arrays.items() if a is not None})


def test_names_that_are_none_and_data_that_do_not_go_with_one(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match=r"resnet41: unknown network.*Did you mean 'resnet14'"):
        networks.find("resnet41", KEY)
    with pytest.raises(UsageError, match="--data mnist: network 'resnet14' is measured on cifar10-subset"):
        networks.find("resnet14", KEY, "mnist")
    monkeypatch.delenv("XBAR_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in set(networks.NAMES) - {"mlp", "cnn"}:
        with pytest.raises(UsageError, match=r"[Ss]et XBAR_DATA to a folder that holds"):
            networks.find(name, KEY)


@pytest.mark.parametrize(
    "model, x",
    [
        (recurrent.GRU(10, 10, key=KEY), jnp.ones((2, 5, 10))),
        (recurrent.LSTM(10, 10, key=KEY), jnp.ones((2, 5, 10))),
        (transformer.Transformer(9, context=6, width=16, depth=1, heads=2, key=KEY), jnp.arange(12).reshape(2, 6) % 9),
    ],
    ids=["gru", "lstm", "transformer"],
)
def test_every_product_of_sequences_lies_on_arrays(model, x):
    """Ideal crossbars compute the function; nothing stays digital but scores, and attention does not see what comes later."""
    chip = xbar.analog(networks.forward, EXACT).program(model, x, key=KEY)
    forward = jax.jit(networks.forward)
    digital = forward(model, x)
    np.testing.assert_allclose(chip(x), digital, atol=1e-5)
    assert not any(d.surprising for d in chip.digital_products(x))
    if isinstance(model, transformer.Transformer):
        other = forward(model, x.at[:, 4].add(1))
        np.testing.assert_allclose(other[:, :4], digital[:, :4], atol=1e-5)
        assert np.abs(other[:, 4:] - digital[:, 4:]).max() > 1e-3


def test_integers_are_those_of_weights_and_activations():
    """A dense layer: 127 steps of the largest weight of each output, and of the largest input seen; larger ones clip."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((7, 4)).astype(np.float32), rng.standard_normal((50, 7)).astype(np.float32)
    network = integer_network(lambda p, x: x @ p, w, jnp.asarray(x[:20]), key=KEY)
    s, r = np.abs(w).max(0), np.abs(x[:20]).max()
    expected = np.round(np.clip(x / r, -1, 1) * 127) * r / 127 @ (np.round(w / s * 127) * s / 127)
    np.testing.assert_allclose(network(x), expected, atol=1e-4)
    assert np.abs(network(x) - x @ w).max() > 1e-3


MINE = """
import numpy as np, jax
f = lambda p, x: x @ p["w"]
params = {"w": np.eye(3, dtype=np.float32)}
x, y = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])
"""


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    network = networks.find(str(path), KEY)
    assert network.trained and not network.teachable and networks.files(str(path)) == (path,)
    assert float(network.metric(network.f(network.params, network.data.x_test), network.data.y_test)) == 1.0
    path.write_text(MINE + "x_train, y_train = x, y")
    assert networks.find(str(path), KEY).teachable


@pytest.mark.parametrize(
    "text, says",
    [
        ("x = 1", "it lacks f and params, or module.*It defines f"),
        (MINE + "del y", "it lacks both of x and y"),
        (MINE + "del x, y", "it lacks x and y"),
        (MINE + "y = y / 2", r"y float64 \(4,\); numbers \(n, ...\) and n integer labels"),
        (MINE + "y = y[:3]", r"y int64 \(3,\)"),
        (MINE + "y = y + 1", "y ranges from 1 to 3, but f gives 3 classes, 0 to 2"),
        (MINE + "f = lambda p, x: p['v']", r"f\(params, x\[:2\]\) fails: KeyError: 'v'"),
        (MINE + "f = lambda p, x: x.sum()", r"gives float64 \(\)|gives float32 \(\)"),
        (MINE + "x_train, y_train = x[:, :2], y", r"x_train holds inputs of shape \(2,\), x of \(3,\)"),
        (MINE + "1 / 0", "line 6: ZeroDivisionError"),
        ("f = (", "SyntaxError"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_files_that_lack_something_say_what(text, says, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        networks.find(str(path), KEY)
    with pytest.raises(UsageError, match="there is no such file"):
        networks.find(str(tmp_path / "none.py"), KEY)
    with pytest.raises(UsageError, match="brings its own x and y"):
        networks.find(str(path), KEY, "digits")


def test_a_module_of_pytorch_in_a_file(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "mine.py"
    text = "import torch\nmodule = torch.nn.Linear(3, 2)\nx, y = torch.ones(4, 3), torch.zeros(4, dtype=int)\n"
    path.write_text(text)
    with pytest.raises(UsageError, match="in training mode"):
        networks.find(str(path), KEY)
    path.write_text(text + "module.eval()")
    network = networks.find(str(path), KEY)
    assert network.f(network.params, network.data.x_test).shape == (4, 2)


def test_long_training_is_done_once(monkeypatch, tmp_path):
    """Weights come from the cache, bit for bit; other data, steps or keys are trained; a damaged file is trained anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = dataclasses.replace(networks.find("mlp", KEY), kept=True)
    calls = []
    run = supervised.Trainer.run
    monkeypatch.setattr(supervised.Trainer, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    first = supervised.trained(network, 3, key=KEY)
    again = supervised.trained(network, 3, key=KEY)
    assert len(calls) == 1 and all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(again)))
    supervised.trained(network, 2, key=KEY)
    supervised.trained(network, 3, key=jax.random.key(1))
    fewer = dataclasses.replace(network.data, x_train=network.data.x_train[:99], y_train=network.data.y_train[:99])
    supervised.trained(dataclasses.replace(network, data=fewer), 3, key=KEY)
    assert len(calls) == 4 and len(list(tmp_path.rglob("mlp-*.npz"))) == 4
    for path in tmp_path.rglob("mlp-*.npz"):
        path.write_bytes(b"junk")
    anew = supervised.trained(network, 3, key=KEY)
    assert len(calls) == 5 and all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(anew)))


def test_data_sets_are_known_by_the_networks():
    assert {d for entry in networks.ZOO.values() for d in entry.data} <= set(datasets.NAMES)


def test_what_is_kept_does_not_depend_on_where_functions_lie(monkeypatch, tmp_path):
    """A program prints the places of its functions in memory, which differ from process to process; all else counts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []
    make = lambda: made.append(1) or {"w": jnp.ones(3)}  # noqa: E731
    for said in ("<lambda> at 0x7f12ab", "<lambda> at 0x1234cd", "<other> at 0x7f12ab"):
        found = supervised.kept("own", {"w": jnp.zeros(3)}, (np.ones(2),), said, make)
        np.testing.assert_array_equal(found["w"], 1.0)
    assert len(made) == 2


def test_a_file_of_ones_own_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text(MINE)
    path = tmp_path / "mine.py"
    path.write_text("from neighbour_of_mine import f, params, x, y")
    assert networks.find(str(path), KEY).data.x_test.shape == (4, 3)


@pytest.mark.slow
def test_weights_that_no_command_fetches_say_where_they_are_published(monkeypatch, tmp_path):
    monkeypatch.setenv("XBAR_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cifar10-subset").mkdir()
    with pytest.raises(
        UsageError, match=r"resnet14_cifar10.npz: the tensors.* of resnet14_cifar10.pth, which github.com/sandia"
    ):
        networks.files("resnet14")
