"""The transformation: factors of gradients become pulses to the cells of a chip, which the state holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices._numerics import at_least_float32
from xbar.arguments import check_elapsed, typed_key
from xbar.chip import Chip
from xbar.execution import wait_layers
from xbar.graph.nodes import Layer
from xbar.macro.disturbing import read_often
from xbar.macro.programming import keys_of_stack, stacked_keys
from xbar.macro.reading import settle
from xbar.macro.state import ProgrammedArray, Settled
from xbar.training.insitu.algorithm import AbstractAlgorithm, Lines
from xbar.training.insitu.backpropagation import Factors, Gradients
from xbar.training.insitu.site import Site
from xbar.training.insitu.spent import Drive, Spent, Total

OneRate = float | Float[Array, ""] | Callable[[Int[Array, ""]], Any]
Rate = OneRate | Mapping[str, OneRate]


class OnArrays(eqx.Module):
    """A chip that learns, with all that the next update depends on.

    Args:
        chip: the cells, and the digital parameters. layers: what the algorithm keeps of each array. digital: state of the
            optimiser of digital parameters. number: of updates so far. last, total: what the last update of each
            layer took, and what all of them took. algorithm: as it was chosen.
    """

    chip: Chip
    layers: dict[int, Any]
    digital: Any
    number: Int[Array, ""]
    last: dict[int, Spent]
    total: dict[int, Total]
    algorithm: AbstractAlgorithm

    def reading(self, t: Float[Array, ""] | float | None = None) -> Chip:
        """The chip as it is read, at `t` [s] since the last update: with the arrays whose currents the algorithm adds to those
        of the network's own."""
        if not any(self.algorithm.beside(state) for state in self.layers.values()):
            return self.chip.at(t)
        chip, times = self.chip, self.chip.times(t)
        arrays = dict(chip.arrays)
        for i, array in chip.arrays.items():
            layer, tile = chip.plan_layers[i], chip.tiles[i]
            part = tile.partition(*layer.product.sizes)
            one = lambda a, state, tile=tile, part=part, i=i: _with_those_beside(  # noqa: E731
                tile, part, a, self.algorithm.beside(state), times[i]
            )
            for _ in layer.lengths:
                one = jax.vmap(one)
            arrays[i] = dataclasses.replace(array, settled=one(array, self.layers[i]))
        return dataclasses.replace(chip, arrays=arrays, taken=times)


def _with_those_beside(tile, part, array: ProgrammedArray, beside, t) -> Settled:
    """What a read sees of an array and of those whose currents are added to its own."""
    if tile.coupled or tile.needs_cells or not tile.device.conduction.linear:
        raise ValueError(
            "arrays whose currents are added (gamma > 0) are read together for ohmic cells between ideal wires only. Use "
            "gamma=0, or IdealWires()."
        )
    found = settle(tile, array, t, part)
    for other, factor in beside:
        also = settle(tile, dataclasses.replace(other, code=array.code), t, part)
        variance = (
            None if found.variance is None or also.variance is None else found.variance + factor**2 * also.variance
        )
        found = dataclasses.replace(
            found,
            conductance=jnp.concatenate([found.conductance, factor * also.conductance]),
            net=found.net + factor * also.net,
            variance=variance,
            readout=found.readout + factor * also.readout,
        )
    return found


@runtime_checkable
class LearningRule(Protocol):
    """An `optax.GradientTransformationExtraArgs` whose parameters are a chip."""

    def init(self, chip: Chip, key: PRNGKeyArray | None = None) -> OnArrays:
        """The state before the first update. Arrays that an algorithm keeps for itself are made with `key`.

        Raises:
            ValueError: for a wafer, or a chip that was taken at a time, compensates drift or is read with offset inputs.
        """
        ...

    def update(
        self,
        gradients: Gradients,
        state: OnArrays,
        params: Any = None,
        *,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float = 0.0,
    ) -> tuple[Any, OnArrays]:
        """Updates of the digital parameters, and the state after pulses, `t` [s] after the last ones."""
        ...


def on_arrays(
    algorithm: AbstractAlgorithm,
    rate: Rate,
    *,
    drive: Drive | None = None,
    digital: optax.GradientTransformation | None = None,
    order: str = "summed",
    together: bool | None = None,
) -> LearningRule:
    """Learning on the arrays, as an Optax transformation whose state holds the chip.

    `state = rule.init(chip)`, with `key=` for algorithms with arrays of their own; then, for each batch,

        value, gradients = insitu.backpropagate(state.reading(), (x,), loss, key=read)
        updates, state = rule.update(gradients, state, key=write, t=seconds_since_the_last)

    `updates` are those of the digital parameters, by leaf of the chip, and are part of `state.chip` already.

    Args:
        algorithm: `SGD()`, `TikiTaka()`, `agad()`, ...
        rate: learning rate, or a function of the number of updates (an Optax schedule); or one for each layer, by its path.
        drive: voltages and duration of a pulse, for the energy.
        digital: optimiser of digital parameters (biases, gains); `optax.sgd(rate)` if None. Needed where layers have rates of
            their own.
        order: `"summed"`: the pulses of all vectors of a batch are counted exactly, one vector after the other, and then
            applied, all of one sign to a cell before all of the other. `"samples"`: one vector after the other is pulsed onto
            the cells, in the order of the factors, each on what the last one left, and every one is an update for the
            algorithm: what a machine does, at the cost of as many passes over all cells.
        together: whether a cell's pulses of one update are applied at once (`devices.ManyAtOnce`), rather than pulse by pulse;
            by default where the batch is summed. For laws in closed form and without noise there is no difference.

    Error of `"summed"`: a cell whose step changes by a share `s/w` of itself with each step ends off by up to
    `n_up n_down s^2/w`, with either sign, of what it would have reached one by one; the mean over the order is 0.
    """
    if order not in ("summed", "samples"):
        raise ValueError(f"on_arrays: order={order!r}; it must be 'summed' or 'samples'.")
    if digital is None and isinstance(rate, Mapping):
        raise ValueError(
            "on_arrays: with a rate for each layer, give digital=, such as optax.sgd(0.1), for all other parameters."
        )
    of_leaves: Any = optax.sgd(rate) if digital is None else digital  # pyright: ignore[reportArgumentType]
    at_once = order == "summed" if together is None else together
    rule = _Rule(algorithm, rate, Drive() if drive is None else drive, of_leaves, order, at_once)
    transformation: Any = optax.GradientTransformationExtraArgs(rule.init, rule.update)  # pyright: ignore[reportArgumentType]
    return cast(LearningRule, transformation)


@dataclasses.dataclass(frozen=True, eq=False)
class _Rule:
    """The settings of `on_arrays`, and its two functions."""

    algorithm: AbstractAlgorithm
    rate: Rate
    drive: Drive
    digital: Any
    order: str
    together: bool

    def site(self, chip: Chip, i: int) -> Site:
        tile = chip.tiles[i]
        return Site(tile, tile.partition(*chip.plan_layers[i].product.sizes), self.drive, self.together)

    def rate_of(self, layer: Layer, number: Array) -> Any:
        own = self.rate[layer.path] if isinstance(self.rate, Mapping) else self.rate
        return own(number) if callable(own) else own

    def init(self, chip: Chip, key: PRNGKeyArray | None = None) -> OnArrays:
        _check(chip)
        keys = typed_key(jax.random.key(0) if key is None else key)
        layers = {}
        for i, array in chip.arrays.items():
            layer, site = chip.plan_layers[i], self.site(chip, i)
            start = _over_stack(layer, lambda a, k, site=site: self.algorithm.start(site, a, k))
            layers[i] = start(array, keys_of_stack(jax.random.fold_in(keys, i), layer.lengths))
        spent = {i: Spent.of() for i in chip.arrays}
        total = {i: Total.start(s) for i, s in spent.items()}
        digital = self.digital.init(eqx.filter(chip.leaves, eqx.is_inexact_array))
        return OnArrays(chip, layers, digital, jnp.zeros((), jnp.int32), spent, total, self.algorithm)

    def update(
        self,
        gradients: Gradients,
        state: OnArrays,
        params: Any = None,
        *,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float = 0.0,
        **_: Any,
    ) -> tuple[Any, OnArrays]:
        check_elapsed(t)
        _check(state.chip)
        chip, keys = state.chip, typed_key(key)
        when = jnp.asarray(t, at_least_float32(jnp.result_type(float)))
        arrays, layers, spent = dict(chip.arrays), dict(state.layers), {}
        for i, array in chip.arrays.items():
            if i not in gradients.layers:  # an array that no sample has read
                arrays.update(wait_layers(chip.plan_layers, chip.tiles, {i: array}, when))
                spent[i] = Spent.of()
                continue
            own = jax.random.fold_in(keys, i)
            arrays[i], layers[i], spent[i] = self._one(chip, i, layers[i], gradients.layers[i], state.number, when, own)
        real, fixed = eqx.partition(chip.leaves, eqx.is_inexact_array)
        updates, digital = self.digital.update(gradients.leaves, state.digital, real)
        leaves = eqx.combine(optax.apply_updates(real, updates), fixed)
        total = {i: state.total[i].plus(spent[i]) for i in spent}
        chip = dataclasses.replace(chip, arrays=arrays, leaves=leaves)
        return updates, OnArrays(chip, layers, digital, state.number + 1, spent, total, state.algorithm)

    def _one(
        self, chip: Chip, i: int, kept: Any, factors: Factors, number: Array, when: Array, key: PRNGKeyArray
    ) -> tuple[ProgrammedArray, Any, Spent]:
        """One layer, each matrix of a stack with what is its own."""
        layer, site = chip.plan_layers[i], self.site(chip, i)
        rate = self.rate_of(layer, number)
        reads = float(factors.x.shape[-2] + factors.backward)  # of every cell, forward and backward
        worn = lambda a: read_often(site.tile, a, jnp.asarray(reads))  # noqa: E731
        learn = lambda a, s, x, d, k: _learn(self.algorithm, site, self.order, worn(a), s, x, d, rate, when, k)  # noqa: E731
        array, kept, took = _over_stack(layer, learn)(
            chip.arrays[i], kept, factors.x, factors.d, keys_of_stack(key, layer.lengths)
        )
        return array, kept, took.summed()


def _learn(
    algorithm: AbstractAlgorithm, site: Site, order: str, array: ProgrammedArray, state: Any, x, d, rate, t, key
) -> tuple[ProgrammedArray, Any, Spent]:
    """One batch of one matrix."""
    lines = Lines(site.inputs(x), site.errors(d, array.code))
    if order == "summed" or x.shape[-2] == 1:
        return algorithm.learn(site, array, state, lines, rate, t, key)
    samples = (jnp.moveaxis(lines.x, 2, 0)[:, :, :, None], jnp.moveaxis(lines.d, 3, 0)[:, :, :, :, None])

    def one(carry, at):
        array, state, passed = carry
        (x, d), k = at
        array, state, spent = algorithm.learn(site, array, state, Lines(x, d), rate, passed, k)
        return (array, state, jnp.zeros_like(passed)), spent

    keys = stacked_keys(key, x.shape[-2])
    (array, state, _), spent = jax.lax.scan(one, (array, state, t), (samples, keys))
    return array, state, spent.summed()


def _over_stack(layer: Layer, f: Callable) -> Callable:
    for _ in layer.lengths:
        f = jax.vmap(f)
    return f


def _check(chip: Chip) -> None:
    if not isinstance(chip, Chip):
        raise TypeError(
            f"on_arrays: init takes a programmed chip (xbar.analog(f, tile).program(...)), not a {type(chip).__name__}."
        )
    if chip.wafer:
        raise ValueError("on_arrays: this is a wafer of chips. Train each: jax.vmap over chips and keys.")
    if chip.taken is not None:
        raise ValueError(
            "on_arrays: this chip was taken at a time by chip.at(...), for reads only. Use the chip it came from."
        )
    offset = [chip.plan_layers[i].path for i, tile in chip.tiles.items() if tile.dac.negative == "offset"]
    if offset:
        raise ValueError(
            f"on_arrays: {', '.join(offset)} is read with offset inputs, and what is subtracted for them would have to follow "
            'the weights. Use DAC(negative="bipolar") or "two_phase".'
        )
    if any(array.reference is not None for array in chip.arrays.values()):
        raise ValueError(
            "on_arrays: this chip compensates drift, and what is learnt would be taken for drift. Train one of "
            "xbar.calibrate(..., compensate_drift=False); xbar.compensate(state.chip) sets the reference afterwards."
        )
