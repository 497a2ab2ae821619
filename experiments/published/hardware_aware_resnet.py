"""E3: ResNet-20 trained with noise on its weights, and read on three memories; then with matched statistics."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from experiments.published.case import Case, Claim, Found
from experiments.published.programming_errors import _of, wan_of_crosssim

DAY, YEAR = 86_400.0, 31_536_000.0
BATCH, EPOCHS, RATE = 128, 6, 0.01
NOISE, CLIP = 0.06, 2.5  # share of the largest weight of a layer; standard deviations of a layer
CALIBRATION = 256  # training images that statistics are matched on: 5 % of them, as Joshi et al.
PLACES = {  # name: (device, time since programming [s])
    "ReRAM Milo": ("milo", None),
    "ReRAM Wan": ("wan", None),
    "PCM 1 y": ("pcm", YEAR),
    "PCM 1 d": ("pcm", DAY),
}
KINDS = ("as given", "trained", "trained, matched")
PROTOTYPE = "a prototype of the same recipe"
JOSHI = "Joshi et al. 2020, 10.1038/s41467-020-16108-9: the recipe; its networks and images differ"


def _device(name: str) -> Any:
    import devices
    from experiments.published import images

    makers = {
        "milo": lambda: images.write_errors_alone(devices.find("reram_milo2021")()),
        "wan": wan_of_crosssim,
        "pcm": lambda: devices.find("pcm_joshi2020")(),
    }
    return makers[name]()


class State:
    """The network as given and trained, and the images."""

    def __init__(self, config: Any):
        import jax.numpy as jnp

        from experiments.published import images

        self.images = images.Images.of("cifar10-subset")
        self.network = images.network("resnet20")
        data = self.network.measured_on()
        self.x_cal = jnp.asarray(data.x_train[:CALIBRATION])
        self.models = {"as given": self.network.params, "trained": trained(self.network, config.seed)}

    @functools.lru_cache(maxsize=8)  # noqa: B019
    def analog(self, device: str) -> Any:
        """The network on this device, compiled once for all chips."""
        import xbar
        from experiments.published import images

        return xbar.analog(self.network.f, images.one_tile_a_layer(_device(device)))

    def read(self, device: str, kind: str, key: Any, t: float | None) -> tuple[float, float]:
        """Accuracy of one chip, as it is and with statistics matched."""
        import jax

        import xbar

        write, noise = jax.random.split(key)
        params = self.models[kind]
        chip = xbar.compensate(self.analog(device).program(params, self.images.x[0], key=write)).at(t)
        matched = xbar.training.match_statistics(chip, params, self.x_cal, key=noise)
        return self.accuracy(lambda x: chip(x, key=noise)), self.accuracy(lambda x: matched(x, key=noise))

    def accuracy(self, f: Any) -> float:
        """Share of images whose largest output is the label's; batch by batch in Python, as convolutions are slow in XLA
        loops."""
        import jax.numpy as jnp

        batches = zip(self.images.x, self.images.y, strict=True)
        return float(np.mean([float(jnp.mean(jnp.argmax(f(x), -1) == y)) for x, y in batches]))

    def clean(self, kind: str) -> float:
        """Accuracy of the weights without hardware."""
        import equinox as eqx

        f = eqx.filter_jit(self.network.f)
        return self.accuracy(lambda x: f(self.models[kind], x))


def trained(network: Any, seed: int) -> Any:
    """The network after six epochs of noise on its weights, clipped after each step; kept in the cache."""
    import jax
    import jax.numpy as jnp
    import optax

    from experiments import checkpoints, supervised
    from experiments.hardware_training.augmentation import augmented
    from experiments.public_data.places import cache
    from xbar.training import weight_noise

    data = network.measured_on()
    steps = EPOCHS * len(data.x_train) // BATCH

    def forward(m: Any, x: Any, key: Any, extra: Any) -> Any:
        return network.f(m, augmented(data.name, x, key))

    schedule = optax.cosine_decay_schedule(1.0, steps)
    trainer = supervised.Trainer(
        forward,
        steps=steps,
        batch=BATCH,
        clip=CLIP,
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(schedule, momentum=0.9)),
        perturb=lambda m, key, progress: weight_noise(m, NOISE, key=key),
    )
    key = jax.random.fold_in(jax.random.key(seed), 3)
    mark = checkpoints.fingerprint(NOISE, CLIP, BATCH, EPOCHS, RATE, seed)
    place = cache().parent / "training" / f"{network.name}-E3-{mark[:16]}.npz"
    x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)
    return trainer.run(network.params, x, y, key=key, rate=RATE, checkpoint=place)


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """Accuracy of one chip of each kind at one place; or without hardware."""
    if part == "digital":
        return {f"digital {kind}": state.clean(kind) for kind in KINDS[:2]}
    device, t = PLACES[part]
    given, ours = (state.read(device, kind, key, t) for kind in KINDS[:2])
    return {f"{part} {kind}": float(a) for kind, a in zip(KINDS, (given[0], ours[0], ours[1]), strict=True)}


def _gain(place: str) -> Any:
    """What matching the statistics adds to the recipe, chip by chip."""
    return lambda found: found[f"{place} trained, matched"] - found[f"{place} trained"]


def _lower_limit(place: str) -> Any:
    """The lower 95 % limit of that gain over chips: the mean minus 1.96 standard errors."""

    def limit(found: Found) -> np.ndarray:
        gain = _gain(place)(found)
        gain = gain[np.isfinite(gain)]
        if len(gain) < 2:
            return np.array([np.nan])
        return np.array([gain.mean() - 1.96 * gain.std(ddof=1) / len(gain) ** 0.5])

    return limit


def _claim(what: str, name: str, prototype: str, low: float) -> Claim:
    return Claim(what, "", f"{PROTOTYPE}: {prototype}", _of(name), low, read=False)


CASE = Case(
    title="ResNet-20 trained with noise on its weights (5,000 images), on ReRAM and phase-change memory",
    parts=("digital", *PLACES),
    quantities=(*(f"digital {k}" for k in KINDS[:2]), *(f"{p} {k}" for p in PLACES for k in KINDS)),
    prepare=State,
    measure=measure,
    claims=(
        Claim(
            "loss of clean accuracy by training",
            "",
            f"{PROTOTYPE}: 1.1",
            lambda f: f["digital as given"] - f["digital trained"],
            high=0.02,
            read=False,
        ),
        _claim("trained, ReRAM (Milo)", "ReRAM Milo trained", "89.6", 0.86),
        _claim("trained, ReRAM (Wan)", "ReRAM Wan trained", "87.6", 0.80),
        _claim("trained, PCM after 1 y", "PCM 1 y trained", "87.6", 0.84),
        Claim(
            "gain of training, ReRAM (Milo)",
            "",
            JOSHI,
            lambda f: f["ReRAM Milo trained"] - f["ReRAM Milo as given"],
            low=0.05,
            read=False,
        ),
        *(
            Claim(
                f"matching statistics adds to it, {place}: lower 95 % limit",
                "",
                "better than the recipe, paired by chip",
                _lower_limit(place),
                low=0.0,
                read=False,
            )
            for place in ("ReRAM Milo", "ReRAM Wan", "PCM 1 y")
        ),
    ),
    method=(
        f"Folded ResNet-20; SGD with momentum 0.9 at {RATE:g}, cosine schedule, batches of {BATCH}, gradient norm of at most"
        f" 1, {EPOCHS} epochs of 5,000 images with mirroring and shifts by up to 3 pixels; in each step normal noise of "
        f"{100 * NOISE:g} % of a layer's largest weight on every weight, then each layer clipped at {CLIP:g} standard "
        "deviations. One training seed. Chips: one tile and one scale per layer, no converters; ReRAM with write errors "
        "alone, PCM with drift (compensated by one factor per layer) and read noise. Matched: a gain and an offset of each "
        f"channel from {CALIBRATION} training images without labels, at the time of reading.",
    ),
    minutes=10,
)
