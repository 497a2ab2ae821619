"""Augmentation of training inputs: small changes in every step, by kind of input."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

PIXELS = 3  # an image is shifted by up to this many
FRAMES = 3  # and a keyword by up to this many frames of 20 ms
PLAIN = ("digits", "mnist", "fashion-mnist", "mitbih-beats", "tinyshakespeare", "fsdd")


def augmented(name: str, x: Array, key: PRNGKeyArray) -> Array:
    """A batch of inputs of a data set, augmented: images of objects are mirrored at random and shifted, keywords shifted in
    time, others left as they are."""
    if name == "keywords":
        return _moved(x, key, (FRAMES,))
    if name not in PLAIN and x.ndim == 4:
        mirror, move = jax.random.split(key)
        flipped = jnp.where(jax.random.bernoulli(mirror, 0.5, (len(x), 1, 1, 1)), x[:, :, ::-1], x)
        return _moved(flipped, move, (PIXELS, PIXELS))
    return x


def _moved(x: Array, key: PRNGKeyArray, most: tuple[int, ...]) -> Array:
    """Each input rolled along its first axes by up to `most` places."""
    shifts = jax.random.randint(key, (len(x), len(most)), -jnp.array(most), jnp.array(most) + 1)
    axes = tuple(range(len(most)))
    return jax.vmap(lambda one, shift: jnp.roll(one, shift, axes))(x, shifts)
