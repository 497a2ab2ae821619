"""The cases of `xbar run benchmark`: what is timed, and against what; and the cases of every size for `--grid`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from experiments.benchmark_arrays import array_step
from experiments.benchmark_peers import (
    AIHWKIT,
    BADCROSSBAR,
    SPARSE_LU,
    TORCH,
    Timed,
    available,
    circuit_solver,
    torch_product,
)

Make = Callable[[int, int], tuple[Timed, Timed | None]]  # (cells, seed) -> what is timed, and its reference
OHM = 5.0  # of a segment, cells log-uniform from 1 to 100 uS
LINES = 784  # pixels of an image
DAY = 86_400.0  # s


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed, its reference (none where no other program can do it), both in words, and how often at most."""

    what: str
    reference: str
    make: Make
    _: dataclasses.KW_ONLY
    repeats: int = 1000
    calls: int = 1  # of ours in a row, whose median counts, for each of a reference that takes seconds
    double: bool = False  # in float64
    needs: str = ""  # a package that may be missing
    long: bool = False  # run only where it is named
    family: str = ""  # cases that differ by size only
    size: int = 0  # lines of the tile


def read_cells(name: str, t: float) -> Make:
    def make(count: int, seed: int):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        target = jnp.linspace(float(device.g_min), float(device.g_max), count)

        @jax.jit
        def read(key):
            write, noise = jax.random.split(key)
            cells = device.program(target, key=write)
            deviation = jnp.sqrt(device.read_variance(cells, t, 1e6))
            return device.conductance(cells, t) + deviation * jax.random.normal(noise, target.shape)

        return read, jax.jit(lambda key: jax.random.normal(key, target.shape))

    return make


def pulse_cells(name: str, pulses: int) -> Make:
    def make(count: int, seed: int):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        cells = device.program(jnp.linspace(float(device.g_min), float(device.g_max), count), key=jax.random.key(0))
        pulse = jax.jit(lambda key: device.pulse(cells, pulses, key=key).g)
        return pulse, jax.jit(lambda key: jax.random.normal(key, (count,)))

    return make


# -- wires ---------------------------------------------------------------------------------------------------------------


def _wired(n: int, inputs: int):
    import jax
    import jax.numpy as jnp

    g = 10 ** jax.random.uniform(jax.random.key(0), (n, n), jnp.float64, -6.0, -4.0)
    return g, jax.random.uniform(jax.random.key(1), (inputs, n), jnp.float64)


def ir_drop(n: int, inputs: int, peer: str, ohm: float = OHM) -> Make:
    """Bit-line currents in float64: few inputs solved to a relative residual of 1e-9, many by the map."""

    def make(count: int, seed: int):
        import equinox as eqx

        import xbar

        g, v = _wired(n, inputs)
        wires = xbar.ResistiveWires(ohm, ohm)
        if wires.prefers_direct_solve(inputs):
            currents = eqx.filter_jit(lambda wires, g, v: wires.solve(g, v, tolerance=1e-9, throw=False).i_out)
        else:
            currents = eqx.filter_jit(lambda wires, g, v: wires.currents(g, v)[0])
        return lambda key: currents(wires, g, v), circuit_solver(peer, g, v, ohm)

    return make


def whole_map(n: int, peer: str) -> Make:
    """The effective conductances of a whole tile, compared with n inputs."""

    def make(count: int, seed: int):
        import equinox as eqx
        import jax.numpy as jnp

        import xbar

        g, _ = _wired(n, 1)
        wires = xbar.ResistiveWires(OHM, OHM)
        effective = eqx.filter_jit(lambda wires, g: wires.effective(g))
        return lambda key: effective(wires, g), circuit_solver(peer, g, jnp.eye(n), OHM)

    return make


# -- products and training -----------------------------------------------------------------------------------------------


def product(
    n: int, batch: int, device: str, ohm: float = 0.0, noise: float | None = None, peer: str = "", frozen: bool = False
) -> Make:
    """A call of a programmed chip, against the plain product; behind wires of `ohm` per cell, against a chip without wires.

    Args:
        noise: of the ADC [A]. frozen: whether that of the cells is.
    """

    def make(count: int, seed: int):
        import jax
        import numpy as np

        import devices
        import xbar

        w = jax.random.normal(jax.random.key(0), (n, n)) / n**0.5
        x = jax.random.normal(jax.random.key(1), (batch, n))
        slow = "frozen" if frozen else "independent"
        tile = xbar.Tile(devices.find(device)(), n, n, adc=xbar.ADC(8, noise=noise), dac=xbar.DAC(8), read_noise=slow)
        call, plain = jax.jit(lambda chip, x, key: chip(x, key=key)), jax.jit(lambda w, x: x @ w)

        def on(wires) -> Timed:
            network = xbar.analog(lambda w, x: x @ w, dataclasses.replace(tile, wires=wires))
            chip = network.program(w, x[:1], key=jax.random.key(2))
            chip = xbar.calibrate(chip, x, key=jax.random.key(3)).at(1.0)
            return lambda key: call(chip, x, key)

        if ohm:
            return on(xbar.ResistiveWires(ohm, ohm)), on(xbar.IdealWires())
        beside = torch_product(np.asarray(w), np.asarray(x)) if peer == TORCH else lambda key: plain(w, x)
        return on(xbar.IdealWires()), beside

    return make


def training_step(network: str, batch: int, way: Literal["weights", "outputs", "fresh"]) -> Make:
    """A step of Adam on an analog forward pass, against the digital one, on tiles of 512 x 512.

    Args:
        way: `"weights"` draws the spread of devices once per step for each pair of cells, with straight-through gradients;
            `"outputs"` draws it at every output, with exact gradients; `"fresh"` programs devices in every step, with
            exact gradients.
    """

    def make(count: int, seed: int):
        import jax
        import jax.numpy as jnp
        import optax

        import devices
        import xbar

        forward, params, x = {"mlp": _mlp, "lenet": _lenet}[network](batch)
        y = jnp.arange(batch) % 10
        tile = xbar.Tile(devices.pcm_joshi2020(), 512, 512, read_noise="frozen" if way == "weights" else "independent")
        if way != "fresh":
            tile = xbar.training.moment_matched(tile, key=jax.random.key(seed))
        analog = xbar.analog(forward, tile, gradient="straight_through" if way == "weights" else "exact")
        optimiser = optax.adam(1e-3)
        state = params, optimiser.init(params)

        def step(f):
            loss = lambda p, x, key: optax.softmax_cross_entropy_with_integer_labels(f(p, x, key), y).mean()  # noqa: E731

            @jax.jit
            def step(state, x, key):
                params, moments = state
                updates, moments = optimiser.update(jax.grad(loss)(params, x, key), moments)
                return optax.apply_updates(params, updates), moments

            return step

        aware, plain = step(lambda p, x, key: analog(p, x, key=key)), step(lambda p, x, key: forward(p, x))
        return lambda key: aware(state, x, key), lambda key: plain(state, x, key)

    return make


def _mlp(batch: int):
    """784-256-128-10, weights stored as [inputs, outputs]; stored the other way round, they are transposed in every step."""
    import jax
    import jax.numpy as jnp

    sizes = (LINES, 256, 128, 10)
    *keys, last = jax.random.split(jax.random.key(0), len(sizes))
    params = [
        (jax.random.normal(k, (a, b)) / a**0.5, jnp.zeros(b))
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]

    def forward(params, x):
        *hidden, (w, b) = params
        for v, c in hidden:
            x = jax.nn.relu(x @ v + c)
        return x @ w + b

    return forward, params, jax.random.normal(last, (batch, LINES))


def _lenet(batch: int):
    import equinox as eqx
    import jax

    keys = jax.random.split(jax.random.key(0), 5)
    relu, pool = eqx.nn.Lambda(jax.nn.relu), eqx.nn.MaxPool2d(2, 2)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 6, 5, padding=2, key=keys[0]), relu, pool, eqx.nn.Conv2d(6, 16, 5, key=keys[1]), relu, pool,
            eqx.nn.Lambda(lambda x: x.ravel()),
            eqx.nn.Linear(400, 120, key=keys[2]), relu, eqx.nn.Linear(120, 10, key=keys[3]),
        ]
    )  # fmt: skip
    params, static = eqx.partition(model, eqx.is_inexact_array)
    forward = lambda p, x: jax.vmap(eqx.combine(p, static))(x)  # noqa: E731
    return forward, params, jax.random.normal(keys[4], (batch, 1, 28, 28))


_STEP = "digital step"
_SLOW: dict[str, Any] = {"calls": 5, "double": True, "needs": BADCROSSBAR}
SINGLE = {
    "pcm": Case("program + drift + read, pcm_joshi2020", "as many normal draws", read_cells("pcm_joshi2020", DAY)),
    "hermes": Case("program + drift + read, pcm_hermes2023", "as many normal draws", read_cells("pcm_hermes2023", DAY)),
    "cmo": Case(
        "program + drift + read, reram_cmo_falcone2025", "as many normal draws", read_cells("reram_cmo_falcone2025", DAY)
    ),
    "pulse": Case(
        "10 pulses, ecram_lithium_tang2018", "one normal draw per cell", pulse_cells("ecram_lithium_tang2018", 10)
    ),
    "ir-64": Case("IR drop 64 x 64, 1 input", SPARSE_LU, ir_drop(64, 1, SPARSE_LU), double=True),
    "ir-256": Case("IR drop 256 x 256, 1 input", SPARSE_LU, ir_drop(256, 1, SPARSE_LU), repeats=5, double=True),
    "ir-256-bad": Case("IR drop 256 x 256, 1 input", BADCROSSBAR, ir_drop(256, 1, BADCROSSBAR), repeats=5, **_SLOW),
    "ir-512-bad": Case("IR drop 512 x 512, 1 input", BADCROSSBAR, ir_drop(512, 1, BADCROSSBAR), repeats=3, **_SLOW),
    "ir-512-32-bad": Case("IR drop 512 x 512, 32 inputs", BADCROSSBAR, ir_drop(512, 32, BADCROSSBAR), repeats=1, **_SLOW),
    "map-64": Case("effective map 64 x 64", f"{SPARSE_LU}, 64 inputs", whole_map(64, SPARSE_LU), double=True),
    "map-256-bad": Case(
        "effective map 256 x 256", f"{BADCROSSBAR}, 256 inputs", whole_map(256, BADCROSSBAR), repeats=2, **_SLOW
    ),
    "map-512-bad": Case(
        "effective map 512 x 512", f"{BADCROSSBAR}, 512 inputs", whole_map(512, BADCROSSBAR), repeats=1, long=True, **_SLOW
    ),
    "mvm": Case("512 x 512, batch 256, 8-bit converters", "plain product", product(512, 256, "ideal")),
    "mvm-noise": Case("512 x 512, PCM read noise and drift", "plain product", product(512, 256, "pcm_joshi2020")),
    "mvm-frozen": Case(
        "512 x 512, PCM read noise frozen for a batch", "plain product", product(512, 256, "pcm_joshi2020", frozen=True)
    ),
    "mvm-wires": Case(
        "512 x 512, PCM read noise, behind 1 ohm per cell", "ideal wires", product(512, 256, "pcm_joshi2020", 1.0)
    ),
    "mvm-torch": Case(
        "512 x 512, PCM read noise", "PyTorch's product", product(512, 256, "pcm_joshi2020", peer=TORCH), needs=TORCH
    ),
    "mlp": Case("training step, MLP 784-256-128-10, batch 128, weight noise", _STEP, training_step("mlp", 128, "weights")),
    "lenet": Case("training step, LeNet, batch 64, weight noise", _STEP, training_step("lenet", 64, "weights")),
    "mlp-exact": Case("MLP, spread at outputs, exact gradient", _STEP, training_step("mlp", 128, "outputs")),
    "lenet-exact": Case("LeNet, spread at outputs, exact gradient", _STEP, training_step("lenet", 64, "outputs")),
    "mlp-pulses": Case("10 training steps on arrays, MLP, batch 128, pulses summed", "digital SGD", array_step("sgd")),
    "mlp-pulses-tt2": Case("10 training steps on arrays, MLP, Tiki-Taka 2", "digital SGD", array_step("tiki-taka2")),
    "mlp-pulses-each": Case(
        "training step on arrays, one sample after another", "digital SGD", array_step("sgd", "samples"), repeats=3, long=True
    ),
    "lenet-pulses": Case(
        "10 training steps on arrays, LeNet, batch 64", "digital SGD", array_step("sgd", network=_lenet), repeats=3, long=True
    ),
    "mlp-pulses-aihwkit": Case(
        "10 training steps on arrays, MLP, batch 128", AIHWKIT, array_step("sgd", peer=AIHWKIT), needs=AIHWKIT
    ),
    "mlp-pulses-tt2-aihwkit": Case(
        "10 training steps on arrays, MLP, Tiki-Taka 2", AIHWKIT, array_step("tiki-taka2", peer=AIHWKIT), needs=AIHWKIT
    ),
    "lenet-pulses-aihwkit": Case(
        "10 training steps on arrays, LeNet, batch 64",
        AIHWKIT,
        array_step("sgd", peer=AIHWKIT, network=_lenet),
        repeats=3,
        needs=AIHWKIT,
        long=True,
    ),
    "mlp-fresh": Case("MLP, fresh devices, exact gradient", _STEP, training_step("mlp", 128, "fresh")),
    "lenet-fresh": Case("LeNet, fresh devices, exact gradient", _STEP, training_step("lenet", 64, "fresh")),
}  # fmt: skip


def _sizes() -> dict[str, Case]:
    """IR drop and products of every size, up to the largest that the other programs manage."""
    cases = {}
    for n in (64, 128, 256, 512, 1024, 2048, 4096):
        kinds: dict[str, tuple[str, int, float]] = {
            "1": ("IR drop, 1 input", 1, OHM),
            "1-fixed": ("IR drop, 1 input, drop of 256 x 256 at every size", 1, OHM * (256 / n) ** 2),
        }
        if n <= 1024:
            kinds |= {"32": ("IR drop, 32 inputs", 32, OHM), "n": ("IR drop, n inputs", n, OHM)}
        for kind, (family, inputs, ohm) in kinds.items():
            peer = _peer_of(n, inputs)
            make = ir_drop(n, inputs, peer, ohm)
            repeats = 3 if n < 2048 and peer != BADCROSSBAR else 1
            size = {"long": True, "family": family, "size": n}
            calls = 5 if peer == BADCROSSBAR else 1
            what = f"{family}, {n} lines"
            cases[f"ir-{n}x{kind}"] = Case(what, peer, make, repeats=repeats, calls=calls, double=True, **size)
    noises = {"ideal": ("ideal", None), "output": ("ideal", 1e-7), "read": ("pcm_joshi2020", None)}
    for n in (128, 256, 512, 1024):
        for batch in (1, 32, 256):
            for noise, (device, amperes) in noises.items():
                family = f"product, batch {batch}, {noise + ' noise' if noise != 'ideal' else 'no noise'}"
                make = product(n, batch, device, noise=amperes)
                what = f"{family}, {n} lines"
                cases[f"mvm-{n}x{batch}-{noise}"] = Case(what, "plain product", make, long=True, family=family, size=n)
    return cases


def _peer_of(n: int, inputs: int) -> str:
    if n <= 128:
        return SPARSE_LU
    return BADCROSSBAR if n <= 512 and inputs <= 32 and available(BADCROSSBAR) else SPARSE_LU if n <= 256 else ""


CASES = SINGLE | _sizes()
