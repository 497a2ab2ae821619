"""Spiking neurons that learn by STDP on memory cells: winner-takes-all, and homeostasis that gives each its turn."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices.steps import SoftBounds
from devices.updates import PulseUpdate
from xbar import spiking

DT = 20e-3  # s, a time step
STEPS = 15  # of an image
RATE = 0.4  # spikes of a white pixel in a step: 20 Hz
LEAK = 0.8  # of a membrane left after a step: 90 ms
G_MIN, G_MAX = 0.5e-6, 25e-6  # S
SCATTER = 0.1  # of conductances before learning, a share of the range: neurons that start alike would learn alike
WANTED = 4.0  # output spikes of an image that homeostasis aims at
HOMEOSTASIS = 0.5  # growth of a threshold at a spike more than wanted, in full conductances
UP, DOWN = (
    0.01,
    0.005,
)  # steps at the middle of the range, shares of it; their ratio is that of Querlioz et al. (recalled)


class Population(eqx.Module):
    """Output neurons and their cells.

    Args:
        g: conductances [S]. up, down: steps at the middle of the range [S]. low, high: ends of each cell's range [S].
        threshold: of each neuron, in full conductances.
    """

    g: Float[Array, "*chips outputs inputs"]
    up: Float[Array, "*chips outputs inputs"]
    down: Float[Array, "*chips outputs inputs"]
    low: Float[Array, "*chips outputs inputs"]
    high: Float[Array, "*chips outputs inputs"]
    threshold: Float[Array, "*chips outputs"]


def made(key: PRNGKeyArray, outputs: int, inputs: int, spread: float, start: float = 0.6) -> Population:
    """A population whose cells differ in every parameter, normal about its mean and cut off before it changes its sign.
    Starts also scatter at random, whatever the device: by `SCATTER`.

    Args:
        spread: relative standard deviation. start: mean conductance before learning, a share of the largest.
    """
    keys = jax.random.split(key, 6)
    about = lambda k, mean: mean * jnp.maximum(1 + spread * jax.random.normal(k, (outputs, inputs)), 0.05)  # noqa: E731
    width = G_MAX - G_MIN
    low = about(keys[0], G_MIN)
    high = jnp.maximum(about(keys[1], G_MAX), 2 * low)
    scatter = SCATTER * width * jax.random.normal(keys[2], low.shape)
    g = jnp.clip(about(keys[5], start * G_MAX) + scatter, low, high)
    threshold = jnp.full(outputs, start * RATE * inputs * 0.13 * 2)  # of what an average image gives in two steps
    return Population(g, about(keys[3], UP * width), about(keys[4], DOWN * width), low, high, threshold)


def run(cells: Population, images: Any, key: PRNGKeyArray, rule: str | None) -> tuple[Any, Any, Any]:
    """Shows images one after another to all chips, which see the same spikes.

    Args:
        cells: populations with a leading axis of chips. rule: of learning; None: nothing learns.

    Returns:
        The populations; output spikes `(images, chips, outputs)`; pulses of each chip.
    """

    def image(carry, given):
        cells, pulses = carry
        x, k = given
        spikes = (jax.random.uniform(k, (STEPS, *x.shape)) < RATE * x).astype(jnp.float32)
        keys = jax.random.split(jax.random.fold_in(k, 1), len(pulses))
        cells, won, sent = jax.vmap(lambda c, k: shown(c, spikes, k, rule))(cells, keys)
        return (cells, pulses + sent), won

    start = (cells, jnp.zeros(cells.g.shape[0]))
    keys = jax.random.split(key, len(images))
    (cells, pulses), won = jax.lax.scan(image, start, (images, keys))
    return cells, won, pulses


def shown(cells: Population, spikes: Any, key: PRNGKeyArray, rule: str | None) -> tuple[Any, Any, Any]:
    """One image on one chip: the population after it, spikes of each output, pulses."""
    outputs, inputs = cells.g.shape
    window = spiking.SimplifiedSTDP(window=2.5 * DT)
    pairs = spiking.PairSTDP(a_plus=1.0, a_minus=0.5, tau_plus=2.5 * DT, tau_minus=2.5 * DT)

    def step(carry, given):
        g, v, since, traces, sent = carry
        s, k = given
        v = LEAK * v + (g / G_MAX) @ s
        ahead = v / cells.threshold
        winner = jnp.argmax(ahead)
        fired = ahead[winner] >= 1
        post = jax.nn.one_hot(winner, outputs) * fired
        v = jnp.where(fired, 0.0, v)  # the winner is reset, the others are inhibited
        if rule is None:
            return (g, v, since, traces, sent), post
        if rule == "simplified":
            since, n = window.step(since, s, fired[None], DT)
            n = n[:, 0]
            g = g.at[winner].set(pulsed(cells, g, n, k, winner))
        else:  # the change that pairs call for becomes a pulse with that probability, to any cell
            traces, change = pairs.step(traces, s, post, DT)
            n = (jnp.sign(change) * (jax.random.uniform(k, change.shape) < jnp.abs(change))).T.astype(jnp.int32)
            g = pulsed(cells, g, n, k)
        return (g, v, since, traces, sent + jnp.sum(n != 0)), post

    start = (cells.g, jnp.zeros(outputs), window.start(inputs), pairs.start(inputs, outputs), jnp.zeros(()))
    keys = jax.random.split(key, len(spikes))
    (g, _, _, _, sent), posts = jax.lax.scan(step, start, (spikes, keys))
    won = jnp.sum(posts, 0)
    if rule is None:
        return cells, won, sent
    grown = cells.threshold + HOMEOSTASIS * (won - WANTED / outputs)
    cells = eqx.tree_at(lambda c: (c.g, c.threshold), cells, (g, jnp.maximum(grown, 1.0)))
    return cells, won, sent


def pulsed(
    cells: Population,
    g: Float[Array, "outputs inputs"],
    n: Int[Array, "*cells"],
    key: PRNGKeyArray,
    row: Any = slice(None),
) -> Float[Array, "*cells"]:
    """Conductances [S] of one neuron's cells (or all) after a pulse up (1), down (-1) or none, by the device's law: soft
    bounds."""
    up, down, low, high = (x[row] for x in (cells.up, cells.down, cells.low, cells.high))
    law = PulseUpdate(SoftBounds(up, down, 0.5 * (low + high), low, high))
    return law(g[row], law.latents(g[row], key=key), n, key=key, most=1)[0]
