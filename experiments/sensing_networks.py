"""Decisions at the edge, and the networks that take them: frame networks and spiking ones, trained once per process."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments import datasets, front_ends

SPIKE_STEPS = 16
TWIN_STEPS = 32  # of the converted DS-CNN: in 16, deep layers lag behind so far that it finds 11 of 50 keywords, not 45


@dataclasses.dataclass(frozen=True)
class Task:
    """One classification task.

    Args:
        title, classes: in words. data: set. share: of each class in training; None: as in the data. front: its front end.
        hidden: neurons of the frame network's layers; None: DS-CNN with given weights. spiking: of the spiking network's.
        gain: of the spiking network's inputs.
    """

    title: str
    classes: tuple[str, ...]
    data: str
    front: Callable[[], front_ends.FrontEnd]
    hidden: tuple[int, ...] | None
    spiking: tuple[int, ...]
    share: tuple[float, ...] | None = None
    gain: float = 0.4


DIGITS = tuple("0123456789")
TASKS = {
    "ecg": Task(
        "heartbeats of new patients: normal, supraventricular, ventricular",
        ("N", "S", "V"),
        "mitbih-nsv",
        lambda: front_ends.electrodes(0.8),
        (64, 32),
        (64,),
        (0.6, 0.2, 0.2),
        0.5,
    ),
    "spoken": Task("spoken digits, official split", DIGITS, "fsdd", front_ends.microphone, (128,), (128,)),
    "spoken-new-speaker": Task(
        "spoken digits of an unseen speaker",
        DIGITS,
        "fsdd-new-speaker",
        front_ends.microphone,
        (128,),
        (128,),
    ),
    "keywords": Task(
        "MLPerf Tiny's keywords (target: 90 %)",
        ("Down", "Go", "Left", "No", "Off", "On", "Right", "Stop", "Up", "Yes", "Silence", "Unknown"),
        "keywords",
        front_ends.microphone,
        None,
        (),
    ),
}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network of one kind for one task, with its data.

    Args:
        f: `f(params, inputs) -> logits`. axis: of its inputs, along which the decisions are.
        x, y: test inputs as the network takes them, and labels. x_cal: for converter ranges. macs: of a decision.
    """

    f: Any
    params: Any
    x: Any
    y: Any
    x_cal: Any
    axis: int
    macs: float
    deep: bool = False


@functools.lru_cache(maxsize=12)
def trained(config: Any, name: str, kind: str) -> Trained:
    """Loads the data of a task and trains one kind of network; once per process."""
    task = TASKS[name]
    if task.hidden is None:
        return _keyword_network(config, kind)
    data = _prepared(name, config.seed)
    return _ann(config, task, *data) if kind == "ANN" else _snn(config, task, *data)


@functools.lru_cache(maxsize=4)
def _prepared(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test data, every feature of about unit size, with the class shares wanted for training."""
    task, data = TASKS[name], datasets.load(TASKS[name].data)
    flat = lambda x: x.reshape(len(x), -1)  # noqa: E731
    x, x_test, y = flat(data.x_train), flat(data.x_test), data.y_train
    if task.data == "mitbih-nsv":
        scale = np.where(np.arange(x.shape[1]) < 256, 1.0, 2.0).astype(np.float32)  # intervals are small numbers
        x, x_test = scale * x, scale * x_test
    else:
        mean, spread = x.mean(0), x.std(0) + 1e-3
        x, x_test = (x - mean) / spread, (x_test - mean) / spread
    if task.share is not None:
        rng = np.random.default_rng(seed)
        rows = [rng.choice(np.flatnonzero(y == c), int(40_000 * s)) for c, s in enumerate(task.share)]
        x, y = x[np.concatenate(rows)], y[np.concatenate(rows)]
    return x, y, x_test, data.y_test


def _taken(config: Any, x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` test inputs, evenly from all."""
    rows = np.linspace(0, len(y) - 1, min(most, len(y))).astype(int)
    return x[rows], y[rows]


def _ann(config: Any, task: Task, x: Any, y: Any, x_test: Any, y_test: Any) -> Trained:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from experiments.networks.network import forward
    from experiments.supervised import Trainer, kept
    from xbar.training import weight_noise

    key = jax.random.key(config.seed)
    sizes = (x.shape[1], *(task.hidden or ()), len(task.classes))
    keys = jax.random.split(key, len(sizes))
    layers = [eqx.nn.Linear(a, b, key=k) for (a, b), k in zip(itertools.pairwise(sizes), keys, strict=False)]
    chain = eqx.nn.Sequential([m for layer in layers for m in (layer, eqx.nn.Lambda(jax.nn.relu))][:-1])
    perturb = lambda model, key, _: weight_noise(model, config.noise, key=key)  # noqa: E731
    trainer = Trainer(lambda m, x, k, extra: forward(m, x), steps=config.steps, batch=128, clip=2.5, perturb=perturb)
    program = str(jax.make_jaxpr(lambda a: forward(chain, a))(x[:1]))
    settings = (
        program,
        config.steps,
        config.noise,
        jax.random.key_data(keys[-1]).tolist(),
        "rate 1e-3, batch 128, clip 2.5",
    )
    params = kept("frames", chain, (x, y), settings, lambda: trainer.run(chain, x, y, key=keys[-1], rate=1e-3))
    taken, labels = _taken(config, x_test, y_test, config.images)
    macs = float(sum(a * b for a, b in itertools.pairwise(sizes)))
    return Trained(forward, params, jnp.asarray(taken), jnp.asarray(labels), jnp.asarray(x[:: len(x) // 256]), 0, macs)


def _snn(config: Any, task: Task, x: Any, y: Any, x_test: Any, y_test: Any) -> Trained:
    import jax
    import jax.numpy as jnp

    from experiments.spiking_networks import LIFNetwork

    sizes = (2 * x.shape[1], *task.spiking, len(task.classes))
    network = LIFNetwork(sizes, SPIKE_STEPS, gain=task.gain, signed=True)
    key = jax.random.key(config.seed)
    params = network.trained(x, y, steps=max(config.steps * 2 // 3, 1), key=key, noise=config.noise * 0.6)
    taken, labels = _taken(config, x_test, y_test, config.images)
    spikes, cal = (network.encode(jnp.asarray(a), key) for a in (taken, x[:: len(x) // 256]))
    macs = float(jax.jit(network.events)(params, spikes[:, :200]).synaptic)
    return Trained(network, params, spikes, jnp.asarray(labels), cal, 1, macs)


def _keyword_network(config: Any, kind: str) -> Trained:
    """MLPerf Tiny's DS-CNN with its given weights, or the same weights as spiking neurons."""
    import jax
    import jax.numpy as jnp

    from experiments import networks
    from experiments.networks import chains
    from xbar import spiking

    network = networks.find("ds-cnn", jax.random.key(0), None)
    data = network.measured_on()
    most = config.images // (5 if kind == "ANN" else 16)  # a spiking one costs as many passes as it has steps
    calibration = data.x_test[5:165:5]  # there is no training set; no labels are used
    seen = {a.tobytes() for a in calibration}
    rest = [i for i, a in enumerate(data.x_test) if a.tobytes() not in seen]
    x, y = _taken(config, data.x_test[rest], data.y_test[rest], max(most, 1))
    x_cal = jnp.asarray(calibration)
    if kind == "ANN":
        return Trained(network.f, network.params, jnp.asarray(x), jnp.asarray(y), x_cal, 0, 2_656_768.0, deep=True)
    twin = spiking.converted(chains.links(network.params) or [], x_cal, TWIN_STEPS, percentile=99.9)
    neurons, dt = twin.neurons, twin.dt

    def f(synapses, x):  # the inputs are analog: the first layer reads them in every step
        return spiking.rate_logits(spiking.Spiking(synapses, neurons, dt)(spiking.direct(x, TWIN_STEPS)))

    few = jnp.asarray(x[:16])
    run = jax.jit(lambda synapses, x: spiking.Spiking(synapses, neurons, dt)(x))(
        twin.synapses, spiking.direct(few, TWIN_STEPS)
    )
    counts = spiking.count_events(twin, spiking.direct(few, TWIN_STEPS), run)
    return Trained(f, twin.synapses, jnp.asarray(x), jnp.asarray(y), x_cal, 0, float(counts.synaptic), deep=True)
