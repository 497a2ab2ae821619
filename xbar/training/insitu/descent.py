"""Algorithms with one array for a matrix: plain descent, mixed precision, the Manhattan rule, one-sided pairs, several devices
for a weight, closed-loop writes."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices._checks import Whole, at_least_0, chance, positive
from xbar.macro.converters import ADC
from xbar.macro.state import ProgrammedArray
from xbar.training.insitu.algorithm import (
    AbstractAlgorithm,
    Lines,
    Rows,
    Scheme,
    Wanted,
    rows_in_turn,
    send,
    split,
    wanted,
)
from xbar.training.insitu.site import ByWeight, Pairing, Site
from xbar.training.insitu.spent import Spent
from xbar.training.pulse_trains import PulseTrains

_EVERY = Whole(1, advice="It counts updates.")


class SGD(AbstractAlgorithm):
    """Pulses for the gradient itself: `g <- g - rate sum_v x_v d_v^T`, in the steps of the device.

    Args:
        scheme: `PulseTrains()`, coincidences of pulse trains, or `Rows()`.
        pairing: which cells of a weight get them: `"reference"`, `"push_pull"` or `"one_sided"`.
        step: change of a net conductance [S] by one pulse, from which the number of pulses follows; None: the device's,
            in the middle of its range.

    Reference: Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333.

    Breaks when: steps up and down differ. Noise of the gradient then drives every weight to where they are equal, and the
    optimum is missed by an amount in proportion to that noise.
    """

    scheme: Scheme = eqx.field(default_factory=PulseTrains)
    pairing: Pairing = eqx.field(static=True, default="reference")
    step: Float[Array, ""] | None = eqx.field(converter=positive.but(unit="S", optional=True), default=None)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> None:
        return None

    def learn(self, site, array, state, lines, rate, t, key):
        draw, pulse = jax.random.split(key)
        step = site.step(array, self.pairing) if self.step is None else self.step
        what = wanted(self.scheme, site, array, lines, rate, step, draw)
        array, spent = send(site, array, what, self.pairing, t, pulse)
        return array, None, spent


class MixedPrecision(AbstractAlgorithm):
    """The gradient is added up digitally, and pulses are sent for whole steps of it.

    $$ \\chi \\leftarrow \\chi - \\mathrm{rate} \\sum_v x_v d_v^T, \\qquad n = \\mathrm{trunc}(\\chi / s), \\qquad
       \\chi \\leftarrow \\chi - n s $$

    Args:
        momentum: m; `\\chi` keeps `m n s` of what was sent.  most: pulses of a cell in one update at most.

    Its digital memory has a number for each weight, and takes a multiply-accumulate per weight and vector.

    Reference: Nandakumar et al. 2020, 10.3389/fnins.2020.00406 (recalled, not read).
    """

    momentum: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    pairing: Pairing = eqx.field(static=True, default="reference")
    most: int = eqx.field(static=True, converter=Whole(1, 1000, advice="31 will do."), default=31)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> ByWeight:
        return jnp.zeros((*array.cells.g.shape[1:-1], site.part.used_cols))

    def learn(self, site, array, state, lines, rate, t, key):
        step = site.step(array, self.pairing)
        sums = state - rate * site.outer(*lines)
        n = jnp.clip(jnp.trunc(sums / step), -self.most, self.most)
        digital = (2.0 * lines.x.shape[-2] + 3) * site.part.k * site.part.n * site.part.groups
        what = _counted(site, n, digital, self.most)
        array, spent = send(site, array, what, self.pairing, t, key)
        return array, sums - (1 - self.momentum) * n * step, spent


def _counted(site: Site, n: ByWeight, digital: float, most: int) -> Wanted:
    """Known numbers of pulses, sent row by row."""
    seconds = (site.drive.width + site.drive.gap) * rows_in_turn(n)
    return Wanted(*split(n), None, None, seconds, digital, most, True)


class Manhattan(AbstractAlgorithm):
    """One pulse to every weight, by the sign of its gradient alone.

    Args:
        threshold: gradients, times the rate, of less than this share of a step get none.

    Reference: the "Manhattan update rule" of Zamanidoost et al. 2015 for passive arrays (recalled, not
    read).

    Breaks when: one pulse is a large part of a weight: the optimum is circled at the distance of a step.
    """

    threshold: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    pairing: Pairing = eqx.field(static=True, default="reference")

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> None:
        return None

    def learn(self, site, array, state, lines, rate, t, key):
        step = site.step(array, self.pairing)
        wish = -rate * site.outer(*lines)
        n = jnp.where(jnp.abs(wish) > self.threshold * step, jnp.sign(wish), 0)
        digital = 2.0 * lines.x.shape[-2] * site.part.k * site.part.n * site.part.groups
        array, spent = send(site, array, _counted(site, n, digital, 1), self.pairing, t, key)
        return array, None, spent


class OneSided(AbstractAlgorithm):
    """Pairs of cells that are only ever potentiated, and refreshed before they saturate.

    Pulses up go to the positive cell and pulses down to the negative one. Every `every` updates the pairs are read;
    where a cell is beyond `high` of the range, both are rewritten: one to the difference, the other
    to the lowest conductance.

    Args:
        scheme: of the pulses. every: updates from one check to the next. high: share of the range. adc: of the reads, with the
            range of one cell for a full scale if it has none of its own.

    Reference: Boybat et al. 2018, 10.1038/s41467-018-04933-y (recalled, not read); thresholds as in aihwkit 1.2.0,
    `OneSidedUnitCell` (MIT licence).
    """

    scheme: Scheme = eqx.field(default_factory=PulseTrains)
    every: int = eqx.field(static=True, converter=_EVERY, default=100)
    high: Float[Array, ""] = eqx.field(converter=chance, default=0.75)
    adc: ADC = eqx.field(default_factory=ADC)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Int[Array, ""]:
        if array.cells.g.shape[0] != 2 or site.tile.mapping.extra_cols:
            raise ValueError("OneSided: weights of two cells are needed, such as those of Differential().")
        return jnp.zeros((), jnp.int32)

    def learn(self, site, array, state, lines, rate, t, key):
        draw, pulse, verify, write = jax.random.split(key, 4)
        step = site.step(array, "one_sided")
        what = wanted(self.scheme, site, array, lines, rate, step, draw)
        array, spent = send(site, array, what, "one_sided", t, pulse)
        number = state + 1
        kept = lambda a: (a, Spent.of())  # noqa: E731
        again = lambda a: self._refresh(site, a, jnp.zeros_like(t), verify, write)  # noqa: E731
        array, more = jax.lax.cond(number % self.every == 0, again, kept, array)
        return array, number, spent + more

    def _refresh(self, site: Site, array: ProgrammedArray, t: Array, verify: PRNGKeyArray, write: PRNGKeyArray):
        from devices._numerics import safe_sqrt
        from devices.random import unit_normals

        device, tile = site.tile.device, site.tile
        g = device.conductance(array.cells, t)
        seen = g
        if device.has_read_noise:
            seen = g + safe_sqrt(device.read_variance(array.cells, t, tile.bandwidth)) * unit_normals(verify, g)
        seen = self.adc.convert(seen, device.g_max if self.adc.range is None else self.adc.range / tile.v_read)
        full = jnp.any(seen > device.g_min + self.high * (device.g_max - device.g_min), 0, keepdims=True)
        net = seen[:1] - seen[1:]
        targets = device.g_min + jnp.concatenate([jnp.maximum(net, 0), jnp.maximum(-net, 0)])
        array, spent = site.rewrite(array, targets, jnp.broadcast_to(full, g.shape), t, write)
        reads = jnp.asarray(float(g.size))
        return array, spent + Spent.of(reads=reads, seconds=reads / g.shape[-1] * tile.read_time, digital=3.0 * g.size)


class MultiDevice(AbstractAlgorithm):
    """Several devices for a weight, one of which learns from each update, in turn.

    Their conductances are added (`xbar.Redundant`), so that a pulse to one of N is the N-th part of a step.

    Args:
        scheme: of the pulses. increment: by how many devices the counter advances.

    Reference: Boybat et al. 2018, "Neuromorphic computing with multi-memristive synapses", 10.1038/s41467-018-04933-y
    (recalled, not read).
    """

    scheme: Scheme = eqx.field(default_factory=PulseTrains)
    increment: int = eqx.field(static=True, converter=_EVERY, default=1)
    pairing: Pairing = eqx.field(static=True, default="reference")

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Int[Array, ""]:
        if getattr(site.tile.mapping, "n", 1) < 2:
            raise ValueError("MultiDevice: weights have only one device. Map them with xbar.Redundant(n, over=...).")
        return jnp.zeros((), jnp.int32)

    def learn(self, site, array, state, lines, rate, t, key):
        draw, pulse = jax.random.split(key)
        copies: Any = site.tile.mapping
        each = array.cells.g.shape[0] // copies.n
        chosen = (jnp.arange(array.cells.g.shape[0]) // each == state % copies.n).astype(jnp.float32)
        step = site.step(array, self.pairing, chosen)
        what = wanted(self.scheme, site, array, lines, rate, step, draw)
        array, spent = send(site, array, what, self.pairing, t, pulse, chosen)
        return array, state + self.increment, spent


class ClosedLoop(AbstractAlgorithm):
    """The gradient is added up digitally; where it reaches `threshold` steps, the cell is read and programmed to
    what it should be, by the loop of the device (`Device(programming=WriteVerify(...))`).

    Args:
        threshold: change that is worth a write [S]. adc: of the read before it, with the range of a weight for a full scale if
            it has none of its own.

    How many pulses writes take is for the device's programming law; here written cells and reads are counted, not
    joules.
    """

    threshold: Float[Array, ""] = eqx.field(converter=at_least_0)
    adc: ADC = eqx.field(default_factory=ADC)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> ByWeight:
        return jnp.zeros((*array.cells.g.shape[1:-1], site.part.used_cols))

    def learn(self, site, array, state, lines, rate, t, key):
        read, write = jax.random.split(key)
        sums = state - rate * site.outer(*lines)
        due = jnp.abs(sums) >= self.threshold
        seen = site.read_rows(array, jnp.arange(site.part.used_rows), self.adc, t, read)
        signs = site.signs(array)
        cells = site.tile.device.conductance(array.cells, t)
        lines_ = cells.shape[-1] - site.part.used_cols
        wide = lambda a: jnp.pad(a, [(0, 0)] * 4 + [(0, lines_)])[None]  # noqa: E731
        share = jnp.maximum(signs, 0) / jnp.sum(jnp.maximum(signs, 0) ** 2)
        rest = cells - share.reshape(-1, *(1,) * 5) * wide(site.net(array, t))
        targets = rest + share.reshape(-1, *(1,) * 5) * wide(seen + sums)
        where = (signs > 0).reshape(-1, *(1,) * 5) & (wide(due) > 0)
        array, spent = site.rewrite(array, targets, where, t, write)
        reads = jnp.sum(due)
        digital = (2.0 * lines.x.shape[-2] + 3) * site.part.k * site.part.n * site.part.groups
        more = Spent.of(reads=reads, seconds=reads * site.tile.read_time, digital=digital)
        return array, jnp.where(due, 0, sums), spent + more


__all__ = ["SGD", "ClosedLoop", "Lines", "Manhattan", "MixedPrecision", "MultiDevice", "OneSided", "Rows"]
