"""The cases of `xbar run benchmark`: what is timed, and beside what."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.benchmark import Config

Timed = Callable[[Any], Any]  # takes a key
OHM = 5.0  # of a segment, cells log-uniform from 1 to 100 uS
LINES = 784  # pixels of an image
DAY = 86_400.0  # s


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed, what beside it, both in words, and how often at most (slow references)."""

    what: str
    reference: str
    make: Callable[[Config], tuple[Timed, Timed]]
    repeats: int = 1000
    double: bool = False  # in float64
    needs: str = ""  # a package that may be missing
    long: bool = False  # run only where it is named


def read_cells(name: str, t: float) -> Callable[[Config], Any]:
    def make(config: Config):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        target = jnp.linspace(float(device.g_min), float(device.g_max), config.cells)

        @jax.jit
        def read(key):
            write, noise = jax.random.split(key)
            cells = device.program(target, key=write)
            deviation = jnp.sqrt(device.read_variance(cells, t, 1e6))
            return device.conductance(cells, t) + deviation * jax.random.normal(noise, target.shape)

        return read, jax.jit(lambda key: jax.random.normal(key, target.shape))

    return make


def pulse_cells(name: str, pulses: int) -> Callable[[Config], Any]:
    def make(config: Config):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        cells = device.program(
            jnp.linspace(float(device.g_min), float(device.g_max), config.cells), key=jax.random.key(0)
        )
        pulse = jax.jit(lambda key: device.pulse(cells, pulses, key=key).g)
        return pulse, jax.jit(lambda key: jax.random.normal(key, (config.cells,)))

    return make


# -- wires ---------------------------------------------------------------------------------------------------------------


def _wired(n: int, inputs: int):
    import jax
    import jax.numpy as jnp

    g = 10 ** jax.random.uniform(jax.random.key(0), (n, n), jnp.float64, -6.0, -4.0)
    return g, jax.random.uniform(jax.random.key(1), (inputs, n), jnp.float64)


def ir_drop(n: int, inputs: int, peer: str) -> Callable[[Config], Any]:
    """Bit-line currents in float64: few inputs solved to a relative residual of 1e-9, many by the map."""

    def make(config: Config):
        import equinox as eqx

        import xbar

        g, v = _wired(n, inputs)
        wires = xbar.ResistiveWires(OHM, OHM)
        if wires.solves(inputs):
            currents = eqx.filter_jit(lambda wires, g, v: wires.solve(g, v, tolerance=1e-9, throw=False).i_out)
        else:
            currents = eqx.filter_jit(lambda wires, g, v: wires.currents(g, v)[0])
        return lambda key: currents(wires, g, v), _peer(peer, g, v)

    return make


def whole_map(n: int, peer: str) -> Callable[[Config], Any]:
    """The effective conductances of a whole tile, beside n inputs."""

    def make(config: Config):
        import equinox as eqx
        import jax.numpy as jnp

        import xbar

        g, _ = _wired(n, 1)
        wires = xbar.ResistiveWires(OHM, OHM)
        effective = eqx.filter_jit(lambda wires, g: wires.effective(g))
        return lambda key: effective(wires, g), _peer(peer, g, jnp.eye(n))

    return make


def _peer(name: str, g: Any, v: Any) -> Timed:
    import numpy as np

    g, v = np.asarray(g), np.asarray(v)
    if name == "badcrossbar":
        return lambda key: _badcrossbar(g, v)
    return lambda key: _sparse_lu(g, v)


def _badcrossbar(g, v):
    import logging

    import badcrossbar  # pyright: ignore[reportMissingImports]

    logging.disable(logging.INFO)
    return badcrossbar.compute(v.T, 1 / g, OHM).currents.output  # pyright: ignore[reportAttributeAccessIssue]


def _sparse_lu(g, v):
    """Nodal analysis of the whole tile by SciPy's sparse LU."""
    import numpy as np
    import scipy.sparse as sparse
    import scipy.sparse.linalg

    n, m = g.shape
    word, bit = np.arange(n * m).reshape(n, m), n * m + np.arange(n * m).reshape(n, m)
    ends = [(word, bit, g), (word[:, :-1], word[:, 1:], 1 / OHM), (bit[:-1], bit[1:], 1 / OHM)]
    a, b = (np.concatenate([x[k].ravel() for x in ends]) for k in (0, 1))
    s = np.concatenate([np.broadcast_to(x[2], x[0].shape).ravel() for x in ends])
    terminals = np.r_[word[:, 0], bit[-1]]
    values = np.r_[s, s, -s, -s, np.full(len(terminals), 1 / OHM)]
    places = np.r_[a, b, a, b, terminals], np.r_[a, b, b, a, terminals]
    matrix = sparse.coo_matrix((values, places), shape=(2 * n * m,) * 2)
    drive = np.zeros((2 * n * m, len(v)))
    drive[word[:, 0]] = v.T / OHM
    return scipy.sparse.linalg.splu(matrix.tocsc()).solve(drive)[bit[-1]] / OHM


# -- products and training -----------------------------------------------------------------------------------------------


def product(n: int, batch: int, device: str, ohm: float = 0.0) -> Callable[[Config], Any]:
    """A call of a programmed chip, beside the plain product."""

    def make(config: Config):
        import jax

        import devices
        import xbar

        w = jax.random.normal(jax.random.key(0), (n, n)) / n**0.5
        x = jax.random.normal(jax.random.key(1), (batch, n))
        wires = xbar.ResistiveWires(ohm, ohm) if ohm else xbar.IdealWires()
        tile = xbar.Tile(devices.find(device)(), n, n, wires=wires, adc=xbar.ADC(8), dac=xbar.DAC(8))
        chip = xbar.analog(lambda w, x: x @ w, tile).program(w, x[:1], key=jax.random.key(2))
        chip = xbar.calibrate(chip, x, key=jax.random.key(3)).at(1.0)
        call, plain = jax.jit(lambda chip, x, key: chip(x, key=key)), jax.jit(lambda w, x: x @ w)
        return lambda key: call(chip, x, key), lambda key: plain(w, x)

    return make


def training_step(network: str, batch: int) -> Callable[[Config], Any]:
    """Value and gradient of a hardware-aware forward pass, beside the digital one."""

    def make(config: Config):
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import optax

        import devices
        import xbar

        model, x = _network(network, batch)
        y = jnp.arange(batch) % 10
        params, static = eqx.partition(model, eqx.is_inexact_array)
        forward = lambda p, x: jax.vmap(eqx.combine(p, static))(x)  # noqa: E731
        analog = xbar.analog(forward, xbar.Tile(devices.pcm_joshi2020(), 256, 256))

        def loss(f):
            return jax.jit(
                jax.grad(lambda p, key: optax.softmax_cross_entropy_with_integer_labels(f(p, x, key), y).mean())
            )

        aware, plain = loss(lambda p, x, key: analog(p, x, key=key)), loss(lambda p, x, key: forward(p, x))
        return lambda key: aware(params, key), lambda key: plain(params, key)

    return make


def _network(name: str, batch: int):
    import equinox as eqx
    import jax

    keys = jax.random.split(jax.random.key(0), 5)
    if name == "mlp":
        sizes = (LINES, 256, 128, 10)
        layers = [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=False)]
        model = eqx.nn.Sequential(
            [layers[0], eqx.nn.Lambda(jax.nn.relu), layers[1], eqx.nn.Lambda(jax.nn.relu), layers[2]]
        )
        return model, jax.random.normal(keys[4], (batch, LINES))
    relu, pool = eqx.nn.Lambda(jax.nn.relu), eqx.nn.MaxPool2d(2, 2)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 6, 5, padding=2, key=keys[0]), relu, pool, eqx.nn.Conv2d(6, 16, 5, key=keys[1]), relu, pool,
            eqx.nn.Lambda(lambda x: x.ravel()),
            eqx.nn.Linear(400, 120, key=keys[2]), relu, eqx.nn.Linear(120, 10, key=keys[3]),
        ]
    )  # fmt: skip
    return model, jax.random.normal(keys[4], (batch, 1, 28, 28))


def available(needs: str) -> bool:
    """Whether a package that a case needs is installed."""
    return not needs or importlib.util.find_spec(needs) is not None


_LU, _BAD = "SciPy sparse LU", "badcrossbar"
CASES = {
    "pcm": Case("program + drift + read, pcm_joshi2020", "as many normals", read_cells("pcm_joshi2020", DAY)),
    "hermes": Case("program + drift + read, pcm_hermes2023", "as many normals", read_cells("pcm_hermes2023", DAY)),
    "cmo": Case("program + drift + read, reram_cmo_falcone2025", "as many normals", read_cells("reram_cmo_falcone2025", DAY)),
    "pulse": Case("10 pulses, ecram_lithium_tang2018", "as many normals as cells", pulse_cells("ecram_lithium_tang2018", 10)),
    "ir-64": Case("IR drop 64 x 64, 1 input", _LU, ir_drop(64, 1, _LU), double=True),
    "ir-256": Case("IR drop 256 x 256, 1 input", _LU, ir_drop(256, 1, _LU), 5, True),
    "ir-256-bad": Case("IR drop 256 x 256, 1 input", _BAD, ir_drop(256, 1, _BAD), 5, True, _BAD),
    "ir-512-bad": Case("IR drop 512 x 512, 1 input", _BAD, ir_drop(512, 1, _BAD), 2, True, _BAD),
    "ir-512-32-bad": Case("IR drop 512 x 512, 32 inputs", _BAD, ir_drop(512, 32, _BAD), 1, True, _BAD),
    "map-64": Case("effective map 64 x 64", f"{_LU}, 64 inputs", whole_map(64, _LU), double=True),
    "map-256-bad": Case("effective map 256 x 256", f"{_BAD}, 256 inputs", whole_map(256, _BAD), 2, True, _BAD),
    "map-512-bad": Case("effective map 512 x 512", f"{_BAD}, 512 inputs", whole_map(512, _BAD), 1, True, _BAD, True),
    "mvm": Case("512 x 512, batch 256, 8-bit converters", "plain product", product(512, 256, "ideal")),
    "mvm-noise": Case("the same with PCM read noise and drift", "plain product", product(512, 256, "pcm_joshi2020")),
    "mvm-wires": Case("the same behind 1 ohm a cell", "plain product", product(512, 256, "pcm_joshi2020", 1.0)),
    "mlp": Case("hardware-aware gradient, MLP 784-256-128-10, batch 128", "digital gradient", training_step("mlp", 128)),
    "lenet": Case("hardware-aware gradient, LeNet, batch 64", "digital gradient", training_step("lenet", 64)),
}  # fmt: skip
