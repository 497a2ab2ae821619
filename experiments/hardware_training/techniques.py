"""Techniques of hardware-aware training, each a configuration of one trainer, built from parts of `xbar.training`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

import xbar
from experiments import checkpoints, supervised
from experiments.hardware_training.augmentation import augmented
from experiments.hardware_training.splits import Fold
from experiments.networks.network import Network
from experiments.public_data.places import cache
from xbar import training
from xbar.training.array_weights import Per

Perturbed = Literal["nothing", "weights", "open cells", "device"]


@dataclasses.dataclass(frozen=True)
class Technique:
    """How weights are trained from the digital network.

    Args:
        what: in words. perturbed: what is random in the forward pass: normal noise on weights, cells that are open, or the
            device's own spread and drift at a time that is drawn in each step.
        trains: whether there is any training. clips: weights are clipped after each step. distils: the digital network's
            outputs are learned instead of labels. flat: gradients are sharpness-aware. adapts: weights are fixed; digital
            low-rank matrices beside them are trained.
    """

    what: str
    perturbed: Perturbed = "nothing"
    trains: bool = True
    clips: bool = True
    distils: bool = False
    flat: bool = False
    adapts: bool = False


TECHNIQUES = {
    "naive": Technique("the digital network as it is", trains=False, clips=False),
    "longer": Technique("digital training continued for as many steps: the control", clips=False),
    "clipped": Technique("digital training continued, with weights clipped"),
    "drop-connect": Technique("cells open at random, clipped", "open cells"),
    "noise": Technique("normal noise on weights, clipped", "weights"),
    "flat": Technique("noise on weights, sharpness-aware gradients, clipped", "weights", flat=True),
    "distilled": Technique(
        "noise on weights, clipped, learning the digital network's outputs", "weights", distils=True
    ),
    "device": Technique("the device's own spread and drift, clipped", "device"),
    "device, distilled": Technique(
        "the device's own spread and drift, clipped, learning the digital network's outputs", "device", distils=True
    ),
    "lora": Technique("low-rank digital adapters beside fixed weights", "device", clips=False, adapts=True),
}
RANK = 4  # of adapters


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Numbers of the training.

    Args:
        steps, batch: gradient steps, and inputs per step. rate: initial learning rate of Adam, with a cosine schedule.
        noise: standard deviation of weights as a share of the largest of their channel. clip: standard deviations that weights
            are clipped to, clip_per: of a tensor or of a channel. temperature: of distillation. drop: share of cells that are
            open.
    """

    steps: int = 600
    batch: int = 64
    rate: float = 3e-4
    noise: float = 0.05
    clip: float = 3.0
    clip_per: Per = "tensor"
    temperature: float = 2.0
    drop: float = 0.02
    radius: float = 0.02


@dataclasses.dataclass(frozen=True)
class Trained:
    """Weights, and adapters beside them or None."""

    params: Any
    adapters: Any = None


def train(
    name: str,
    network: Network,
    params: Any,
    fold: Fold,
    tile: xbar.Tile,
    times: Sequence[float],
    recipe: Recipe,
    key: PRNGKeyArray,
) -> Trained:
    """A network after training by one technique.

    Args:
        params: of the digital network, the starting point and the teacher. tile: the macro whose device is trained for.
        times: after programming [s], from which that of each step is drawn.
    """
    technique = TECHNIQUES[name]
    if not technique.trains:
        return Trained(params)
    run, start = jax.random.split(key)
    adapters = _adapters(network, params, fold, tile, start) if technique.adapts else None
    forward, loss = _Forward(technique, network, tile, times, key, fold), _loss(technique, network, fold, recipe)
    weights = training.weights_of(network.f, params, jnp.asarray(fold.x_test[:1]))
    trainer = supervised.Trainer(
        forward,
        steps=recipe.steps,
        batch=recipe.batch,
        clip=recipe.clip if technique.clips else None,
        clip_per=recipe.clip_per,
        weights=weights,
        loss=loss,
        perturb=_perturbation(technique, weights, recipe),
        gradient=(lambda f: training.sharpness_aware(f, recipe.radius)) if technique.flat else None,
    )
    labels = jnp.zeros(len(fold.x_train), jnp.int32) if fold.y_train is None else fold.y_train
    place = _checkpoint(name, network, recipe, tile if technique.perturbed == "device" else None, times, key)
    found = trainer.run(
        params if adapters is None else adapters,
        fold.x_train,
        labels,
        key=run,
        rate=recipe.rate,
        extra=params,
        checkpoint=place,
    )
    return Trained(found) if adapters is None else Trained(params, found)


class _Forward:
    """Outputs of the network in training and of the digital one, on the same augmented inputs."""

    def __init__(self, technique: Technique, network: Network, tile: Any, times: Any, key: Any, fold: Fold):
        self.technique, self.network, self.times = technique, network, jnp.asarray(times)
        data = network.measured_on()
        self.data, self.teaches = data.name, technique.distils or fold.y_train is None
        self.analog = None
        if technique.perturbed == "device":
            bare = dataclasses.replace(
                tile, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None), read_noise="frozen"
            )  # one draw of cells per step, as on a chip
            drawn = training.moment_matched(bare, tuple(times), key=jax.random.fold_in(key, 1))
            self.analog = xbar.analog(network.f, drawn, gradient="straight_through")

    def __call__(self, model: Any, x: Any, key: PRNGKeyArray, digital: Any) -> Any:
        change, cells, when = jax.random.split(key, 3)
        x = augmented(self.data, x, change)
        taught = self.network.f(digital, x) if self.teaches else None
        if self.analog is None:
            return self.network.f(model, x), taught
        t = jax.random.choice(when, self.times)
        adapts = self.technique.adapts
        given = dict(corrections=model) if adapts else {}
        return self.analog(digital if adapts else model, x, key=cells, t=t, compensate="tile", **given), taught


def _loss(technique: Technique, network: Network, fold: Fold, recipe: Recipe) -> Any:
    def loss(outputs: tuple[Any, Any], labels: Any) -> Any:
        student, teacher = outputs
        if teacher is None:
            return network.loss(student, labels)
        return training.distillation_loss(student, teacher, recipe.temperature)

    return loss


def _perturbation(technique: Technique, weights: training.ArrayWeights, recipe: Recipe) -> Any:
    if technique.perturbed not in ("weights", "open cells"):
        return None
    if technique.perturbed == "open cells":
        return lambda m, key, progress: training.drop_weights(m, recipe.drop, key=key, weights=weights)
    return lambda m, key, progress: training.weight_noise(m, recipe.noise, key=key, per="channel", weights=weights)


def _adapters(network: Network, params: Any, fold: Fold, tile: xbar.Tile, key: PRNGKeyArray) -> Any:
    chip = xbar.analog(network.f, tile).program(params, jnp.asarray(fold.x_test[:1]), key=key)
    return training.low_rank_adapters(chip, RANK, key=key)


def _checkpoint(name: str, network: Network, recipe: Recipe, tile: Any, times: Any, key: Any) -> pathlib.Path:
    """Where the state and the result of the training are kept: the same training is not done twice."""
    where = () if tile is None else (tile, tuple(times), repr(tile))
    mark = checkpoints.fingerprint(dataclasses.astuple(recipe), jax.random.key_data(key), where)
    return cache().parent / "training" / f"{network.name}-{name.replace(', ', '-')}-{mark[:16]}.npz".replace("/", "_")
