"""E5: MNIST trained by stochastic pulses, and which cell imperfections it tolerates (Gokmen and Vlasov's study)."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.published.case import Case, Claim

PAPER = "Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333 (recalled, not read)"
UNIT = 10e-6  # S of a weight of 1
SIZES = (784, 256, 128, 10)
RATE = 0.01
IMAGES, EPOCHS = 10_000, 2
PARTS = ("floating point", "stochastic", "coarse step", "asymmetry", "tight bound", "baseline")


def device(part: str) -> Any:
    """The cells of a part: one property differs from ideal steps of 0.001, or the paper's whole baseline."""
    import devices
    from devices import steps, updates

    bound = {"tight bound": 0.1, "baseline": 0.6}.get(part, 4.0) * UNIT
    step = (0.01 if part == "coarse step" else 0.001) * UNIT
    down = step * 0.9 if part == "asymmetry" else step
    cells = pulses = None
    if part == "baseline":
        others = {"g_min": 0.3 * bound, "g_max": 0.3 * bound}
        cells = updates.CellSpread(step=0.3, balance=0.01, others=others)  # 2 % between both directions
        pulses = updates.CycleNoise(relative=0.3)
    law = steps.ConstantStep(step, down, 0.0, 2 * bound)
    return devices.Device(0.0, 2 * bound, update=updates.PulseUpdate(law, cells=cells, pulses=pulses))


def tile(part: str) -> Any:
    """One tile per layer, a digital reference, and read noise in the parts that have it: 0.06 of a full-scale input
    times a weight of 1."""
    import dataclasses

    import xbar

    own = device(part)
    volts = 0.2
    adc = xbar.ADC(bits=None, noise=0.06 * UNIT * volts if part == "baseline" else None)
    free = xbar.DAC(bits=None)
    mapping = xbar.Offset(reference="digital", scale=float(own.g_max) / 2 / UNIT)
    made = xbar.Tile(own, 1024, 1024, free, adc, mapping=mapping, v_read=volts)
    return dataclasses.replace(made, backward=xbar.Periphery(free, adc))


def forward(p: Any, x: Any) -> Any:
    """Three layers with sigmoids between them; biases are one more row of each array."""
    import jax
    import jax.numpy as jnp

    for i, w in enumerate(p):
        x = jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], -1) @ w
        x = x if i == len(p) - 1 else jax.nn.sigmoid(x)
    return x


class State:
    """The images."""

    def __init__(self, config: Any):
        import jax.numpy as jnp

        from experiments import datasets

        data = datasets.load("mnist")
        flat = lambda x: jnp.asarray(x).reshape(len(x), -1)  # noqa: E731
        self.x, self.y = flat(data.x_train), jnp.asarray(data.y_train)
        self.x_test, self.y_test = flat(data.x_test), jnp.asarray(data.y_test)
        self.images = len(self.x) if config.full else IMAGES
        self.epochs = config.epochs or (10 if config.full else EPOCHS)


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """Error on the test images, the mean of the last epochs (half of all, at most five)."""
    import jax
    import jax.numpy as jnp

    start, order, learn = jax.random.split(key, 3)
    scale = lambda fan: fan**-0.5  # noqa: E731
    params = [
        jax.random.uniform(k, (a + 1, b), minval=-scale(a), maxval=scale(a))
        for k, a, b in zip(jax.random.split(start, 3), SIZES, SIZES[1:], strict=False)
    ]
    epoch, error = _digital(params) if part == "floating point" else _on_arrays(part, params, state, learn)
    found = []
    for number in range(state.epochs):
        rows = jax.random.permutation(jax.random.fold_in(order, number), len(state.x))[: state.images]
        now = jax.random.fold_in(learn, number + 1)
        epoch(state.x[rows], state.y[rows], now)
        if number >= state.epochs - max(1, min(5, state.epochs // 2)):
            found.append(float(error(state.x_test, state.y_test, now)))
    return {part: float(jnp.mean(jnp.asarray(found)))}


def _digital(params: Any) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    from experiments.array_training import cross_entropy

    @jax.jit
    def pass_(params, x, y):
        def step(p, at):
            slopes = jax.grad(lambda p: cross_entropy(forward(p, at[0][None]), at[1][None]))(p)
            return jax.tree.map(lambda a, b: a - RATE * b, p, slopes), None

        return jax.lax.scan(step, params, (x, y))[0]

    held = [params]

    def epoch(x: Any, y: Any, key: Any) -> None:
        held[0] = pass_(held[0], x, y)

    return epoch, lambda x, y, key: jnp.mean(jnp.argmax(forward(held[0], x), -1) != y)


def _on_arrays(part: str, params: Any, state: State, key: Any) -> tuple[Any, Any]:
    import jax
    import optax

    import xbar
    from experiments import array_training
    from xbar.training import PulseTrains, insitu

    program, begin = jax.random.split(key)
    chip = xbar.analog(forward, tile(part)).program(params, state.x[:1], key=program)
    trains = PulseTrains(slots=10, manage_slots=False)
    algorithm = insitu.SGD(trains, step=(0.01 if part == "coarse step" else 0.001) * UNIT)
    rule = insitu.on_arrays(algorithm, RATE, digital=optax.set_to_zero(), order="samples", together=True)
    trainer = array_training.ArrayTrainer(rule)
    held = [rule.init(chip, key=begin)]

    def epoch(x: Any, y: Any, key: Any) -> None:
        held[0] = trainer.epoch(held[0], x, y, key)[0]

    return epoch, lambda x, y, key: 1 - array_training.accuracy(held[0], x, y, key)


def _excess(part: str) -> Any:
    return lambda found: np.asarray(found[part]) - np.asarray(found["floating point"])


def _claim(what: str, published: str, part: str, low: float = -np.inf, high: float = np.inf) -> Claim:
    return Claim(what, published, PAPER, _excess(part), low, high, read=False)


CASE = Case(
    title="MNIST by stochastic pulses, 784-256-128-10, one image after another",
    parts=PARTS,
    quantities=PARTS,
    prepare=State,
    measure=measure,
    claims=(
        Claim("floating point: error", "2.0", PAPER, lambda f: f["floating point"], 0.0, 0.10, read=False),
        _claim("trains of 10 slots: excess error", "0", "stochastic", -0.003, 0.003),
        _claim("baseline of all imperfections: excess", "< 0.3", "baseline", -np.inf, 0.005),
        _claim("steps of 0.01: excess", "> 0.3", "coarse step", 0.004),
        _claim("10 % asymmetry: excess", "> 0.3", "asymmetry", 0.01),
        _claim("bound of 0.1: excess", "> 0.3", "tight bound", 0.05),
    ),
    method=(
        "Sigmoids and a softmax, biases on a row of their own, learning rate 0.01, one update per image. Rows and columns "
        "carry Bernoulli trains of 10 slots whose largest probabilities are made equal; coincidences are pulses of 0.001. "
        "Baseline: pulses and cells vary by 30 %, directions by 2 %, bounds are 0.6 +- 30 %, reads have noise of 0.06. "
        "Short: 2 epochs of 10,000 images each, error after the last one, which only shows that it runs (in floating point "
        "the error is still 16 % then); --full: 10 epochs of all 60,000, mean of the last five.",
    ),
    minutes=15,
)
