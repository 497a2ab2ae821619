"""Networks that are a chain of linear layers with ReLU between them, layer by layer: those that can be made to spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from experiments.networks import convolutional, digits, tiny

Layer = Callable[[Array], Array]


class Link(eqx.Module):
    """One layer, with the form its input must have: "flat", "channel" (an axis is added in front), "mean" (over positions),
    or as it is."""

    layer: Layer
    form: str = eqx.field(static=True, default="")

    def __call__(self, x: Array) -> Array:
        forms = {"flat": jnp.ravel, "channel": lambda x: x[None], "mean": lambda x: x.mean((1, 2)), "": lambda x: x}
        return self.layer(forms[self.form](x))


def links(model: Any) -> list[Link] | None:
    """The layers of a network that is such a chain, in order; None for any other network."""
    if isinstance(model, digits.MLP):
        return [Link(layer, "" if i else "flat") for i, layer in enumerate(model.layers)]
    if isinstance(model, digits.CNN):
        return [Link(model.first, "channel"), Link(model.second), Link(model.dense, "flat")]
    if isinstance(model, convolutional.BeatCNN):
        convolutions = [Link(layer, "" if i else "channel") for i, layer in enumerate(model.convolutions)]
        return [*convolutions, Link(model.dense, "flat")]
    if isinstance(model, tiny.DSCNN):
        names = ("conv0", *(f"{kind}{i}" for i in range(1, 5) for kind in ("dw", "pw")))
        return [
            *(Link(model.layers[name], "" if i else "channel") for i, name in enumerate(names)),
            Link(model.layers["dense"], "mean"),
        ]
    return None
