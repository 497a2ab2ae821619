"""Modules of PyTorch on crossbars: numbers of torch, whatever goes in and comes out, and sentences where it cannot be."""

import collections
import importlib.util
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'xbar-sim[torch]'")
if importlib.util.find_spec("torchax") is None:
    pytest.skip("torchax is not installed", allow_module_level=True)
nn = torch.nn
EXACT = xbar.Tile(device=devices.ideal(), rows=64, cols=64, dac=xbar.DAC(None), adc=xbar.ADC(None))


class First(nn.Module):
    """The first output of a module that has several."""

    def __init__(self, module, copies=1):
        super().__init__()
        self.module, self.copies = module, copies

    def forward(self, x):
        return self.module(*[x] * self.copies)[0]


def with_statistics(module, *shape):
    """A module whose batch norms have seen something, in evaluation mode."""
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(2 * torch.randn(*shape) + 0.5)
    return module.eval()


MODULES = {
    "linear": (lambda: nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.LayerNorm(9), nn.Linear(9, 3)), (4, 5)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 2)),
        (2, 3, 16, 16),
    ),
    "groups": (lambda: nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 12, 1, groups=4)), (2, 8, 9, 9)),
    "batch norm": (
        lambda: with_statistics(
            nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()), 4, 3, 8, 8
        ),
        (2, 3, 8, 8),
    ),
    "attention": (lambda: First(nn.MultiheadAttention(8, 2, batch_first=True), 3), (2, 6, 8)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 6, 8)),
    "gru": (lambda: First(nn.GRU(5, 7, batch_first=True)), (2, 4, 5)),
    "lstm": (lambda: First(nn.LSTM(5, 7, batch_first=True)), (2, 4, 5)),
}


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in ("encoder", "gru"))) for n in MODULES]
)
def test_numbers_are_those_of_torch_digitally_and_on_ideal_crossbars(name):
    """float32: to 1e-5, outputs are of order one; every weight that meets an input lies on arrays."""
    torch.manual_seed(1)
    make, shape = MODULES[name]
    module, x = make().eval(), torch.randn(*shape)
    f, params = xbar.from_torch(module)
    expected = module(x).detach().numpy()
    np.testing.assert_allclose(f(params, x.numpy()), expected, atol=1e-5)
    chip = xbar.analog(f, EXACT).program(params, x.numpy(), key=jax.random.key(0))
    np.testing.assert_allclose(chip(x.numpy()), expected, atol=1e-5)
    matrices = {n for n, p in module.named_parameters() if p.ndim > 1}
    assert {row.path for row in chip.layers} == matrices


class Output(collections.OrderedDict):
    """As model outputs of Hugging Face: a dictionary of its own class."""


class Reader(nn.Module):
    """A model as Hugging Face writes them: arguments by name, an output with a loss left out, tied embeddings, positions."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.register_buffer("positions", torch.arange(6), persistent=False)
        self.places = nn.Embedding(6, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, input_ids=None, attention_mask=None, return_states=False):
        x = self.embed(input_ids) + self.places(self.positions[: input_ids.shape[1]])
        x = self.layer(x, src_key_padding_mask=attention_mask == 0)
        out = Output(logits=self.head(x))
        if return_states:
            out["states"] = (x, [x.mean(1)])
        return out


def test_arguments_by_name_and_structured_outputs():
    """Names, masks and flags go in; a dictionary with tuples and lists comes out; tied weights are one array."""
    torch.manual_seed(0)
    model = Reader().eval()
    ids, mask = torch.randint(0, 11, (2, 6)), torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    expected = model(input_ids=ids, attention_mask=mask, return_states=True)
    f, params = xbar.from_torch(model)
    found = f(params, input_ids=ids.numpy(), attention_mask=mask.numpy(), return_states=True)
    assert type(found) is dict and type(found["states"]) is tuple and type(found["states"][1]) is list
    np.testing.assert_allclose(found["logits"], expected["logits"].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(found["states"][1][0], expected["states"][1][0].detach().numpy(), atol=1e-5)
    assert ("head.weight" in params) + ("embed.weight" in params) == 1 and "positions" not in params
    by_place = lambda p, ids, mask: f(p, input_ids=ids, attention_mask=mask)["logits"]  # noqa: E731
    chip = xbar.analog(by_place, EXACT).program(params, ids.numpy(), mask.numpy(), key=jax.random.key(0))
    np.testing.assert_allclose(chip(ids.numpy(), mask.numpy()), expected["logits"].detach().numpy(), atol=1e-5)


def test_dictionaries_and_tuples_as_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(3, 2)

        def forward(self, batch, pair):
            return self.line(batch["x"]) + pair[0] * pair[1], batch["x"].sum()

    module = Two().eval()
    x, a, b = torch.randn(4, 3), torch.randn(4, 2), torch.tensor(2.0)
    f, params = xbar.from_torch(module)
    found = f(params, {"x": x.numpy()}, (a.numpy(), jnp.asarray(2.0)))
    for ours, theirs in zip(found, module({"x": x}, (a, b)), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


def test_gradients_are_those_of_torch_and_leave_statistics_and_frozen_weights_alone():
    torch.manual_seed(0)
    module = with_statistics(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2)), 4, 2, 6, 6
    )
    module[0].weight.requires_grad_(False)
    x = torch.randn(3, 2, 6, 6)
    (module(x) ** 2).sum().backward()
    f, params = xbar.from_torch(module)
    slope = jax.jit(jax.grad(lambda p: jnp.sum(f(p, x.numpy()) ** 2)))(params)
    for name, parameter in module.named_parameters():
        expected = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        np.testing.assert_allclose(slope[name], expected, rtol=1e-4, atol=1e-4)
    assert set(slope) - {n for n, _ in module.named_parameters()} == {"1.running_mean", "1.running_var"}
    assert not np.any(slope["1.running_var"])


def test_weights_are_copied():
    module = nn.Linear(2, 2).eval()
    f, params = xbar.from_torch(module)
    before = np.asarray(f(params, np.ones(2, np.float32)))
    with torch.no_grad():
        module.weight.zero_()
    np.testing.assert_array_equal(f(params, np.ones(2, np.float32)), before)


class Unheard(nn.Module):
    def forward(self, x):
        return torch.special.airy_ai(x)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.anchors = [torch.ones(2)]

    def forward(self, x):
        return x * self.anchors[0]


def test_what_cannot_be_says_why():
    with pytest.raises(TypeError, match=r"int is not a torch\.nn\.Module"):
        xbar.from_torch(3)
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    with pytest.raises(ValueError, match=r"the module itself is in training mode.*module\.eval\(\)"):
        xbar.from_torch(module)
    module.eval()
    f, params = xbar.from_torch(module)
    with pytest.raises(TypeError, match=r"a torch\.Tensor.*x\.numpy\(\)"):
        f(params, torch.ones(2))
    module[1].train()
    with pytest.raises(ValueError, match="1 is in training mode"):
        f(params, np.ones(2, np.float32))
    f, params = xbar.from_torch(Unheard().eval())
    with pytest.raises(NotImplementedError, match=r"an operator of Unheard.*airy_ai"):
        f(params, np.ones(2, np.float32))
    f, params = xbar.from_torch(Listed().eval())
    with pytest.raises(NotImplementedError, match=r"in Listed a tensor .*register_buffer"):
        f(params, np.ones(2, np.float32))


def test_without_torchax_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchax", None)
    with pytest.raises(ImportError, match=r"xbar-sim\[torch\]"):
        xbar.from_torch(nn.Linear(2, 2))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"xbar-sim\[torch\]"):
        xbar.from_torch(nn.Linear(2, 2))


def test_xbar_alone_loads_no_torch():
    loaded = "import sys, xbar; print(*(n for n in ('torch', 'torchax') if n in sys.modules))"
    assert not subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
