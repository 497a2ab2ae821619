"""E1: the accuracy of CIFAR ResNets with the programming errors of four devices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.published.case import Case, Claim, Found

NETWORKS = ("resnet14", "resnet20", "resnet32")
ISCA = "CrossSim co-design notebook, ISCA 2024: one draw, 5,000 images, 8-bit converters"


def _published(name: str) -> Callable[[], Any]:
    def make() -> Any:
        import devices

        return devices.find(name)()

    return make


def wan_of_crosssim() -> Any:
    """NeuRRAM's cells after one second as CrossSim fits them; aihwkit's fit has a third of the spread at 0 S.

    $$ \\sigma = 1.053 + 0.2374 G - 1.167 \\cdot 10^{-2} G^2 + 1.536 \\cdot 10^{-4} G^3, \\qquad G \\le 39.26 $$

    in microsiemens.

    Reference: CrossSim, device model `RRAM_Wan`.
    """
    import devices
    from devices import curves, programming

    top = 39.26
    spread = curves.Polynomial([c * top**k * 1e-6 for k, c in enumerate((1.053, 0.2374, -1.167e-2, 1.536e-4))])
    error = programming.SpreadProgramming(spread=spread, g_max=top * 1e-6)
    return devices.Device(0.0, top * 1e-6, programming=error)


DEVICES: dict[str, Callable[[], Any]] = {
    "SONOS": _published("sonos_agrawal2022"),
    "PCM": _published("pcm_joshi2020"),
    "ReRAM Milo": _published("reram_milo2021"),
    "ReRAM Wan (aihwkit)": _published("reram_wan2022"),
    "ReRAM Wan": wan_of_crosssim,
}
ORDER = ("SONOS", "PCM", "ReRAM Milo", "ReRAM Wan")


class State:
    """Networks and images, and one compiled program for each network and kind of converter."""

    def __init__(self, config: Any):
        from experiments.published import images

        self.images = images.Images.of("cifar10-subset")
        self.networks = {name: images.network(name) for name in NETWORKS}

    @functools.lru_cache(maxsize=4)  # noqa: B019
    def digital(self, name: str) -> float:
        """Accuracy of the network without hardware."""
        import equinox as eqx

        network = self.networks[name]
        read = eqx.filter_jit(lambda p, images: images.accuracy(lambda x: network.f(p, x)))
        return float(read(network.params, self.images))

    @functools.lru_cache(maxsize=4)  # noqa: B019
    def reader(self, name: str, device: str, bits: int | None) -> Any:
        """`key -> accuracy` of one chip."""
        import equinox as eqx
        import jax

        import xbar
        from experiments.published import images

        network = self.networks[name]
        weights = images.rounded(network.params)
        tile = images.one_tile_a_layer(images.write_errors_alone(DEVICES[device]()), bits)
        analog = xbar.analog(network.f, tile)

        @eqx.filter_jit
        def read(key, weights, images):
            write, calibrate = jax.random.split(key)
            chip = analog.program(weights, images.x[0], key=write)
            if bits is not None:
                chip = xbar.calibrate(chip, images.x[0], key=calibrate, method="percentile", percentile=99.99)
            return images.accuracy(lambda x: chip(x, key=calibrate))

        return lambda key: read(
            key, weights, self.images
        )  # arguments: XLA would fold constants of this size for minutes


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """Accuracy of one draw of one network on one device."""
    name, device, bits = part.split("|")
    if device == "digital":
        return {f"{name} digital": state.digital(name)}
    value = float(state.reader(name, device, int(bits) if bits else None)(key))
    return {f"{name} {device}{f' {bits} bits' if bits else ''}": value}


PARTS = (
    *(f"{n}|digital|" for n in NETWORKS),
    *(f"resnet14|{d}|" for d in DEVICES),
    *(f"resnet14|{d}|8" for d in ("SONOS", "ReRAM Milo")),
    *(f"resnet20|{d}|" for d in ("SONOS", "ReRAM Milo")),
)
QUANTITIES = tuple(f"{n} {d}{f' {b} bits' if b else ''}" for n, d, b in (p.split("|") for p in PARTS))


def _of(name: str) -> Any:
    return lambda found: found[name]


def _mean(values: np.ndarray) -> float:
    """Mean of what was run; NaN if nothing was."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _order(found: Found) -> np.ndarray:
    """1 where the means of ResNet-14 are in the order SONOS, PCM, Milo, Wan."""
    means = [_mean(found[f"resnet14 {d}"]) for d in ORDER]
    return np.array([np.nan if np.isnan(means).any() else float(np.all(np.diff(means) < 0))])


CASE = Case(
    title="programming errors of CIFAR-10 ResNets, 8-bit weights, differential cells, one tile per layer",
    parts=PARTS,
    quantities=QUANTITIES,
    prepare=State,
    measure=measure,
    claims=(
        Claim("ResNet-14, digital, 1,000 images", "89.40", ISCA, _of("resnet14 digital"), 0.889, 0.891, read=False),
        Claim("ResNet-20, digital", "", "measured elsewhere", _of("resnet20 digital"), 0.910, 0.912, read=False),
        Claim("ResNet-32, digital", "", "measured elsewhere", _of("resnet32 digital"), 0.922, 0.924, read=False),
        Claim(
            "ResNet-14 on SONOS: loss",
            "0.54",
            ISCA,
            lambda f: _mean(f["resnet14 digital"]) - f["resnet14 SONOS"],
            high=0.015,
        ),
        Claim("ResNet-14 on ReRAM (Milo)", "64.48", ISCA, _of("resnet14 ReRAM Milo"), 0.565, 0.725),
        Claim("the same with 8-bit converters", "64.48", ISCA, _of("resnet14 ReRAM Milo 8 bits"), 0.565, 0.725),
        Claim(
            "SONOS with 8-bit converters: loss",
            "0.54",
            ISCA,
            lambda f: _mean(f["resnet14 digital"]) - f["resnet14 SONOS 8 bits"],
            high=0.015,
        ),
        Claim("ResNet-14 on PCM", "", "a prototype: 84.0", _of("resnet14 PCM"), 0.81, 0.87, read=False),
        Claim(
            "the same cells (Wan) as aihwkit fits them",
            "",
            "aihwkit 1.2.0, ReRamWan2022NoiseModel: another fit",
            _of("resnet14 ReRAM Wan (aihwkit)"),
            0.55,
            0.80,
            read=False,
        ),
        Claim(
            "ResNet-14 on ReRAM (Wan)",
            "",
            "a prototype: 37.8 +- 10.3",
            _of("resnet14 ReRAM Wan"),
            0.18,
            0.58,
            read=False,
        ),
        Claim(
            "order SONOS > PCM > Milo > Wan", "", "follows from the spreads", _order, 0.5, read=False, scale=1, unit=""
        ),
        Claim(
            "ResNet-20 on ReRAM (Milo)",
            "",
            "a prototype: 78.2 +- 4.3",
            _of("resnet20 ReRAM Milo"),
            0.70,
            0.87,
            read=False,
        ),
    ),
    method=(
        "Batch normalisation is folded into the convolutions; each layer's weights are rounded to 8 bits and written "
        "on pairs of cells of one tile with one scale, the unused cell at the lowest conductance; both get the "
        "device's write error. No read noise; no converters unless stated. The published figures are one draw on 5,000 "
        "images with 8-bit converters; here there are several draws on the first 1,000 test images, whose own standard "
        "error is 1 point at 89 %.",
    ),
    minutes=6,
)
