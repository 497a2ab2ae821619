"""E4: seven measured devices that learn MNIST by pulses, one image after another, as in NeuroSim's benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.published.case import Case, Claim

TABLE = "NeuroSim's benchmark of online learning (MLP_NeuroSim): its table of devices"
IMAGES = 8000  # of an epoch
RANGE = 1e-5  # S, from the lowest to the highest conductance; on/off ratios decide the lowest
DEVICES = {  # pulses of a full sweep up and down, nonlinearity labels, cycle noise (share of the range), on/off, published %
    "EpiRAM": (64, 64, 0.5, -0.5, 0.02, 50.2, 92),
    "PCM": (100, 120, 0.105, 2.4, 0.015, 19.8, 89),
    "FeFET": (32, 32, 1.75, 1.46, 0.005, 45.0, 88),
    "TaOx/HfOx": (128, 128, 0.04, -0.63, 0.037, 10.0, 80),
    "Ag:a-Si": (97, 100, 2.4, -4.88, 0.035, 12.5, 72),
    "PCMO": (50, 50, 3.68, -6.76, 0.01, 6.84, 33),
    "AlOx/HfO2": (40, 40, 1.94, -0.61, 0.05, 4.43, 20),
}
RATES = {"hidden": 0.4, "output": 0.1}  # of weights g - 1/2; the benchmark's are 0.4 and 0.2, of 2 g - 1
TIE = 1e-4  # added before a sigmoid, so that an activation of exactly 1/2 passes as 1; far below a step of a converter
SHORT, SHORT_EPOCHS = ("EpiRAM", "PCMO"), 5


def device(name: str) -> Any:
    """A device whose pulses follow the benchmark's exponential sweeps; the signs of the labels say which way a sweep
    bends."""
    import jax.numpy as jnp

    import devices
    from devices import steps, updates
    from devices.neurosim_labels import a_from_label

    up, down, label_up, label_down, noise, ratio, _ = DEVICES[name]
    g_min, g_max = RANGE / (ratio - 1), RANGE * ratio / (ratio - 1)
    middle = (g_min + g_max) / 2

    def sweep(pulses: int, label: float) -> tuple[float, float]:
        """Where a sweep ends, and the constant of its exponential in pulses."""
        a = pulses * float(np.sign(label) * a_from_label(jnp.asarray(abs(label))))
        return g_min - RANGE / float(np.expm1(-pulses / a)), a

    (high, a_up), (low, a_down) = sweep(up, label_up), sweep(down, label_down)
    step_up, step_down = -(high - middle) * np.expm1(-1 / a_up), (low - middle) * np.expm1(1 / a_down)
    law = steps.SoftBounds(step_up, step_down, middle, g_min, g_max, low, high)
    update = updates.PulseUpdate(law, pulses=updates.CycleNoise(additive=noise * RANGE))
    return devices.Device(g_min, g_max, update=update)


class State:
    """The images, and one compiled epoch for all devices."""

    def __init__(self, config: Any):
        import jax.numpy as jnp

        from experiments import datasets

        data = datasets.load("mnist")
        crop = lambda x: jnp.asarray((x[:, 4:24, 4:24] >= 0.5).reshape(len(x), -1), jnp.float32)  # noqa: E731
        self.x, self.y = crop(data.x_train), jnp.asarray(data.y_train)
        self.x_test, self.y_test = crop(data.x_test), jnp.asarray(data.y_test)
        self.names = tuple(DEVICES) if config.full else SHORT
        self.epochs = SHORT_EPOCHS if config.epochs is None else config.epochs


def forward(p: Any, x: Any) -> Any:
    """400-100-10 with sigmoids; the second array's converters pass activations on as one bit.

    The benchmark divides currents by that of cells at g_max, which shrinks weights by the share `p["lost"]` of the lowest
    conductance, and leaves this out of its derivatives.
    """
    import jax

    shrunk = lambda y: y - jax.lax.stop_gradient(p["lost"] * y)  # noqa: E731
    return jax.nn.sigmoid(shrunk(jax.nn.sigmoid(shrunk(x @ p["hidden"]) + TIE) @ p["output"]))


def tile(name: str) -> Any:
    """Both layers on one tile each: one bit in; out, 255 steps of the current of all cells at g_max, in whole steps from
    the current of reference cells in the middle of the range."""
    import xbar

    def of(path: str, shape: tuple[int, ...]) -> Any:
        volts = 0.2
        own = device(name)
        adc = xbar.ADC(bits=9, range=shape[0] * float(own.g_max) * volts)
        mapping = xbar.Offset(reference="cell", scale=0.5)
        return xbar.Tile(own, 512, 256, xbar.DAC(bits=2, range=1.0), adc, mapping=mapping, v_read=volts)

    return of


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """Accuracy of one device, the mean of the last five epochs (of fewer, if there are fewer)."""
    import jax
    import jax.numpy as jnp

    import xbar
    from experiments import array_training
    from xbar.training import insitu

    if part not in state.names:
        return {}
    up, down, _, _, _, ratio, _ = DEVICES[part]
    start, program, begin, order, learn = jax.random.split(key, 5)
    shapes = {"hidden": (400, 100), "output": (100, 10)}
    draw = lambda k, shape: jax.random.randint(k, shape, 0, 7) / 6 - 0.5  # noqa: E731  # conductances of 0 .. 6 sixths
    params = {n: draw(k, s) for (n, s), k in zip(shapes.items(), jax.random.split(start), strict=True)}
    params["lost"] = jnp.asarray(1 / ratio)
    chip = xbar.analog(forward, tile(part)).program(params, state.x[:1], key=program)
    algorithm = insitu.SGD(insitu.Rows(), step=2 * RANGE / (up + down))
    rule = insitu.on_arrays(algorithm, RATES, digital=_none(), order="samples", together=True)
    loss = lambda out, y: jnp.sum((jax.nn.one_hot(y, 10) - out) ** 2)  # noqa: E731
    trainer = array_training.ArrayTrainer(rule, loss)
    learned, found = rule.init(chip, key=begin), []
    for epoch in range(state.epochs):
        rows = jax.random.randint(jax.random.fold_in(order, epoch), (IMAGES,), 0, len(state.x))
        now = jax.random.fold_in(learn, epoch)
        learned, _ = trainer.epoch(learned, state.x[rows], state.y[rows], now)
        if epoch >= state.epochs - 5:
            found.append(float(array_training.accuracy(learned, state.x_test, state.y_test, now)))
    return {part: float(np.mean(found))}


def _none() -> Any:
    import optax

    return optax.set_to_zero()


def _spearman(found: Any) -> np.ndarray:
    """Rank correlation with the published table, of each draw in which all devices were trained."""
    import scipy.stats

    ours = np.array([found[name] for name in DEVICES])
    published = [row[-1] for row in DEVICES.values()]
    whole = np.atleast_1d(np.isfinite(ours).all(0))
    return np.array(
        [scipy.stats.spearmanr(o, published)[0] if w else np.nan for o, w in zip(ours.T, whole, strict=True)]
    )


def _claim(name: str) -> Claim:
    published = DEVICES[name][-1]
    low, high = published / 100 - 0.15, min(published / 100 + 0.15, 1.0)
    return Claim(f"{name}: accuracy", f"{published}", TABLE, lambda f: f[name], low, high)


CASE = Case(
    title="online learning of MNIST on seven measured devices, 400-100-10, one image after another",
    parts=tuple(DEVICES),
    quantities=tuple(DEVICES),
    prepare=State,
    measure=measure,
    claims=(
        *(_claim(name) for name in DEVICES),
        Claim("rank correlation with the table", "1", TABLE, _spearman, 0.85, read=False, scale=1.0, unit=""),
    ),
    method=(
        "Images of 20 x 20 pixels, black or white; weights g - 1/2 on one cell, g from 0 to 1, read in whole steps of "
        "an 8-bit converter from a reference in the middle of the range, relative to the current at g_max; hidden "
        "activations passed on as one bit, 1/2 as 1; squared error, learning rates of 0.4 and 0.2 for weights 2 g - 1. "
        "After each image n = round(change x pulses of a sweep) pulses follow the device's exponential curves, and "
        "noise of sqrt(n) times the cycle-to-cycle spread is added. Epochs of 8,000 images drawn at random; the "
        "published runs have 125 of them, here 5 (--epochs), on two devices (--full: all seven). Differences: pulses up "
        "and down are computed with one mean number of states; the reference is subtracted before the converter, which "
        "rounds the difference to nearest, where the benchmark rounds both down.",
    ),
    minutes=8,
)
