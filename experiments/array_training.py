"""Training loops on arrays, for experiments: epochs sample by sample or in batches, each epoch one compiled call."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.training import insitu

Loss = Callable[[Any, Any], Float[Array, ""]]


def cross_entropy(logits: Array, labels: Array) -> Float[Array, ""]:
    """Mean over a batch."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], -1))


@dataclasses.dataclass(frozen=True)
class ArrayTrainer:
    """Trains a chip in place.

    Args:
        rule: from `insitu.on_arrays`. loss: of (outputs, labels), a mean over the batch. batch: samples of an update.
        seconds: from one update to the next [s].
    """

    rule: Any
    loss: Loss = cross_entropy
    batch: int = 1
    seconds: float = 0.0

    def epoch(self, state: insitu.OnArrays, x: Array, y: Array, key: PRNGKeyArray) -> tuple[insitu.OnArrays, Array]:
        """The state after all samples, in the order given, and the loss of each update. Samples that do not fill a
        last batch are not used."""
        updates = len(x) // self.batch
        cut = lambda a: a[: updates * self.batch].reshape(updates, self.batch, *a.shape[1:])  # noqa: E731
        return self._epoch(state, cut(x), cut(y), jax.random.split(key, updates))

    @functools.partial(eqx.filter_jit)
    def _epoch(self, state, x, y, keys):
        arrays, static = eqx.partition(state, eqx.is_array)

        def step(arrays, at):
            (x, y), key = at[:2], at[2]
            state = eqx.combine(arrays, static)
            read, write = jax.random.split(key)
            value, found = insitu.backpropagate(state.reading(), (x,), lambda out: self.loss(out, y), key=read)
            _, state = self.rule.update(found, state, key=write, t=self.seconds)
            return eqx.filter(state, eqx.is_array), value

        arrays, losses = jax.lax.scan(step, arrays, (x, y, keys))
        return eqx.combine(arrays, static), losses


@eqx.filter_jit
def accuracy(state: insitu.OnArrays, x: Array, y: Array, key: PRNGKeyArray, batch: int = 1000) -> Float[Array, ""]:
    """Share of samples whose largest output is the label's, read by the chip as it is."""
    chip, size = state.reading(), min(batch, len(x))
    count = -(-len(x) // size)
    rows = jnp.arange(count * size).reshape(count, size)  # the last batch is filled up with samples that do not count

    def right(at: tuple[Array, PRNGKeyArray]) -> Array:
        rows, key = at
        own = rows % len(x)
        return jnp.sum((jnp.argmax(chip(x[own], key=key), -1) == y[own]) & (rows < len(x)))

    return jnp.sum(jax.lax.map(right, (rows, jax.random.split(key, count)))) / len(x)


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """A training that floating point and arrays share: the same initial weights, samples and learning rates.

    Args:
        network: of the zoo, with data. epochs: passes over the data. batch: samples per update. rate: learning rate, which
            falls to a tenth over the training.
    """

    network: Any
    x: Array
    y: Array
    x_test: Array
    y_test: Array
    epochs: int
    batch: int
    rate: float

    @classmethod
    def of(cls, network: Any, epochs: int, batch: int, rate: float) -> Course:
        """On the network's own data."""
        data = network.measured_on()
        x, y, x_test, y_test = (jnp.asarray(a) for a in (data.x_train, data.y_train, data.x_test, data.y_test))
        return cls(network, x, y, x_test, y_test, epochs, batch, rate)

    @property
    def updates(self) -> int:
        """Updates per epoch."""
        return len(self.x) // self.batch

    @property
    def schedule(self) -> Callable[[Any], Any]:
        """The learning rate by the number of updates so far."""
        return optax.exponential_decay(self.rate, self.updates * self.epochs, 0.1)

    def keys(self, seed: int, chips: int) -> PRNGKeyArray:
        """One for each chip; what it is for is folded in below."""
        return jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), chips)

    def rows(self, key: PRNGKeyArray, epoch: Any) -> Array:
        """The order of the samples."""
        return jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, 0), epoch), len(self.x))

    def start(self, key: PRNGKeyArray) -> Any:
        """Random initial weights: those of the network, with the entries of each tensor shuffled."""
        real, rest = eqx.partition(self.network.params, eqx.is_inexact_array)
        leaves, tree = jax.tree.flatten(real)
        keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))
        mixed = [jax.random.permutation(k, w.ravel()).reshape(w.shape) for w, k in zip(leaves, keys, strict=True)]
        return eqx.combine(jax.tree.unflatten(tree, mixed), rest)

    def floating_point(self, key: PRNGKeyArray) -> tuple[Any, Float[Array, " epochs"]]:
        """The weights of the same training in floating point, and the metric after each epoch."""
        network, schedule = self.network, self.schedule
        real, rest = eqx.partition(self.start(key), eqx.is_inexact_array)

        def step(carry, rows):
            p, number = carry
            loss = lambda p: network.loss(network.f(eqx.combine(p, rest), self.x[rows]), self.y[rows])  # noqa: E731
            slopes = jax.grad(loss)(p)
            return (jax.tree.map(lambda a, b: a - schedule(number) * b, p, slopes), number + 1), None

        def epoch(carry, i):
            rows = self.rows(key, i)[: self.updates * self.batch].reshape(self.updates, self.batch)
            carry, _ = jax.lax.scan(step, carry, rows)
            return carry, network.metric(network.f(eqx.combine(carry[0], rest), self.x_test), self.y_test)

        (p, _), found = jax.lax.scan(epoch, (real, jnp.zeros((), jnp.int32)), jnp.arange(self.epochs))
        return p, found

    def whole(self, p: Any) -> Any:
        """The network's parameters with these weights."""
        return eqx.combine(p, eqx.partition(self.network.params, eqx.is_inexact_array)[1])

    def begin(self, analog: Any, rule: Any, key: PRNGKeyArray) -> insitu.OnArrays:
        """A chip with the initial weights, before the first update."""
        chip = analog.program(self.start(key), self.x[: self.batch], key=jax.random.fold_in(key, 2))
        return rule.init(chip, key=jax.random.fold_in(key, 3))

    def epoch(
        self, trainer: ArrayTrainer, state: insitu.OnArrays, key: PRNGKeyArray, i: Any
    ) -> tuple[insitu.OnArrays, Float[Array, ""]]:
        """One chip after its epoch `i`, and its accuracy on the test data."""
        rows = self.rows(key, i)
        learn = jax.random.fold_in(jax.random.fold_in(key, 4), i)
        after, _ = trainer.epoch(state, self.x[rows], self.y[rows], learn)
        return after, accuracy(after, self.x_test, self.y_test, jax.random.fold_in(key, 5))


def pairs(device: Any, weight: float, adc_bits: int) -> Any:
    """A tile on which a weight is a cell and a reference of its own in the middle of the range, with converters for both
    directions; the end of the range stands for `weight`."""
    import xbar

    adc = xbar.ADC(bits=adc_bits)
    mapping = xbar.Offset(reference="cell", scale=weight)
    return xbar.Tile(device, adc=adc, mapping=mapping, backward=xbar.Periphery(xbar.DAC(), adc))


def algorithm(name: str, reference_error: float = 0.0) -> insitu.AbstractAlgorithm:
    """An algorithm with the settings that worked best on digits, the same for every device.

    Args:
        reference_error: standard deviation of the references of fast arrays from the symmetry points [S].
    """
    fast = insitu.FastArray(reads=8, reference_error=reference_error)
    made: dict[str, Callable[[], insitu.AbstractAlgorithm]] = {
        "sgd": lambda: insitu.SGD(),
        "tiki-taka": lambda: insitu.TikiTaka(fast),
        "tiki-taka2": lambda: insitu.tiki_taka2(fast=fast),
        "c-tiki-taka2": lambda: insitu.chopped_tiki_taka2(fast=fast),
        "agad": lambda: insitu.agad(fast=fast),
        "mixed-precision": lambda: insitu.MixedPrecision(),
        "manhattan": lambda: insitu.Manhattan(threshold=0.5),
    }
    return made[name]()


def energy_of_reads(chip: Any, x: Array) -> tuple[float, float]:
    """Energy of the forward pass of one sample of `x` [J], digital work included, and the ratio of backward to forward
    reads, in multiply-accumulates."""
    from xbar.training.insitu.backpropagation import uses

    ledger = chip.energy(x, inferences=len(x))
    found = uses(chip, (x,))
    work = lambda chosen: sum(u.vectors[0] * u.vectors[1] * u.vectors[2] * u.n for u in chosen)  # noqa: E731
    return float(ledger.total), work([u for u in found if u.backward]) / work(found)
