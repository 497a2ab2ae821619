"""Algorithms with a second array for a matrix: gradients gather on a fast one and are transferred to the one that is read."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices._checks import Whole, at_least_0, chance, positive
from devices.random import unit_uniforms
from xbar.macro.state import ProgrammedArray
from xbar.training.insitu.algorithm import AbstractAlgorithm, Lines, Wanted, rows_in_turn, send, split, wanted
from xbar.training.insitu.fast_array import UPDATES, Fast, FastArray, begun
from xbar.training.insitu.site import ByWeight, Pairing, Site
from xbar.training.insitu.spent import Spent
from xbar.training.pulse_trains import PulseTrains


def _reading(site: Site, values: Array) -> Spent:
    """What reading word lines takes: one after the other, all tiles at once."""
    return Spent.of(reads=float(values.size), seconds=values.shape[2] * site.tile.read_time)


class TikiTaka(AbstractAlgorithm):
    """Tiki-Taka: gradients gather on a fast array A, whose rows are read one by one and pulsed onto the network's array C.

    $$ W = C + \\gamma A, \\qquad A \\leftarrow A - \\mathrm{rate}_A \\sum x d^T, \\qquad
       C_r \\leftarrow C_r + \\lambda A_r \\text{ for the next row } r $$

    A forgets what does not last, at the pace at which its own asymmetry draws it to its symmetry point, which should be
    where A reads zero.

    Args:
        fast: the array A. transfer: lambda, or C's movement per update in units of `rate A` where A finds the scale of
            its own pulses (`FastArray(fast=None)`). gamma: share of A in what the network reads.
        decay: share of a row of A that is subtracted from it by pulses once it has been transferred; with `fast.reads`
            all rows, A is a momentum that keeps `1 - decay` of itself.

    Reference: Gokmen, Haensch 2020, 10.3389/fnins.2020.00103 (recalled, not read); the form of aihwkit 1.2.0,
    `TransferCompound`.
    With `gamma > 0` and a small `transfer` it is residual learning (Wu et al. 2024, recalled).

    Breaks when: A's symmetry point does not read zero: that offset is transferred forever.
    """

    fast: FastArray = eqx.field(default_factory=FastArray)
    transfer: Float[Array, ""] = eqx.field(converter=positive, default=0.1)
    gamma: float = eqx.field(static=True, default=0.0)
    decay: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    trains: PulseTrains = eqx.field(default_factory=PulseTrains)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Fast:
        return begun(self.fast, site, array, key, memory=False)

    def beside(self, state: Fast) -> tuple[tuple[ProgrammedArray, float], ...]:
        return ((state.array, self.gamma),) if self.gamma else ()

    def learn(self, site, array, state, lines, rate, t, key):
        gather, move = jax.random.split(key)
        fast, peaks, spent = self.fast.gather(site, state.array, state.peaks, lines, rate, t, gather)
        number = state.number + 1
        here = (array, fast, state.row, Spent.of())
        rest = lambda now: (site.wait(now[0], t), *now[1:])  # noqa: E731
        due = number % self.fast.every == 0
        pace = self.fast.pace(site, self.transfer, rate)
        array, fast, row, more = jax.lax.cond(
            due, lambda now: self._transfer(site, now[0], now[1], now[2], pace, t, move), rest, here
        )
        return array, Fast(fast, None, row, number, state.sign, peaks=peaks), spent + more

    def _transfer(
        self,
        site: Site,
        array: ProgrammedArray,
        fast: ProgrammedArray,
        row: Array,
        pace: Any,
        t: Array,
        key: PRNGKeyArray,
    ):
        read, draw, pulse, off, back = jax.random.split(key, 5)
        rows = self.fast.rows(site, row)
        values = site.read_rows(fast, rows, self.fast.adc, jnp.zeros_like(t), read)
        x = (rows[:, None] == jnp.arange(site.part.used_rows)).astype(values.dtype)
        x = jnp.broadcast_to(x, (*values.shape[:2], *x.shape))
        lines = Lines(x, -jnp.moveaxis(values, 2, 3))
        step = site.step(array, self.fast.pairing)
        what = wanted(self.trains, site, array, lines, pace, step, draw)
        array, spent = send(site, array, what, self.fast.pairing, t, pulse)
        spent = spent + _reading(site, values)
        step = site.step(fast, self.fast.pairing)
        wish = -self.decay * values / step
        n = jnp.zeros((*fast.cells.g.shape[1:-1], site.part.used_cols))
        n = n.at[:, :, rows].set(jnp.floor(wish + unit_uniforms(off, wish)))
        fast, more = jax.lax.cond(
            self.decay > 0,
            lambda a: _send_counted(site, a, n, 0.0, 1000, self.fast.pairing, jnp.zeros_like(t), back),
            lambda a: (a, Spent.of()),
            fast,
        )
        return array, fast, (row + len(rows)) % site.part.used_rows, spent + more


def _send_counted(
    site: Site,
    array: ProgrammedArray,
    n: ByWeight,
    digital: float,
    most: int,
    pairing: Pairing,
    t: Array,
    key: PRNGKeyArray,
) -> tuple[ProgrammedArray, Spent]:
    """Known numbers of pulses, row by row."""
    seconds = (site.drive.width + site.drive.gap) * rows_in_turn(n)
    return send(site, array, Wanted(*split(n), None, None, seconds, digital, most, True), pairing, t, key)


class BufferedTransfer(AbstractAlgorithm):
    """Tiki-Taka with a digital memory between the arrays: version 2, chopped version 2, and AGAD.

    $$ A \\leftarrow A - \\mathrm{rate}_A \\sum (c \\odot x) d^T, \\qquad H_r \\leftarrow H_r + \\lambda c_r (A_r -
       R_r), \\qquad n = \\mathrm{trunc}(H_r / s), \\quad C_r \\leftarrow C_r + n s, \\quad H_r \\leftarrow H_r - (1
       - m) n s $$

    The memory is a low-pass filter: pulses follow only what lasts. A chopper `c = +-1` for each word line flips the
    sign of gradients on A and of what is read back from it, so that an offset of A averages out; and with
    `reference="dynamic"` R is what A read on average before its chopper last turned, so that an offset is subtracted.

    Args:
        fast: the array A. transfer: as in `TikiTaka`. momentum: m. most: pulses of a cell in one transfer.
        chopper: `"none"`: version 2 (R = 0). `"random"`: turned after a transfer with probability `turn`. `"regular"`: after
            every `period` transfers of a word line.
        reference: `"zero"` or `"dynamic"` (AGAD). smoothing: share that a new read has in the running mean.

    Breaks when: choppers turn before A has responded (its memory is about `w / (s n)` updates, see `FastArray`): less
    of the gradient is left, and random turns leave more of an offset.

    Reference: version 2: Gokmen 2021, 10.3389/frai.2021.699148 (recalled, not read); choppers and AGAD: Rasch et al. 2023,
    arXiv:2303.04721 (recalled, not read); forms of aihwkit 1.2.0 (MIT licence).
    """

    fast: FastArray = eqx.field(default_factory=FastArray)
    transfer: Float[Array, ""] = eqx.field(converter=positive, default=0.1)
    momentum: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    most: int = eqx.field(static=True, converter=Whole(1, 1000, advice="1 as published."), default=1)
    chopper: Literal["none", "random", "regular"] = eqx.field(static=True, default="none")
    turn: Float[Array, ""] = eqx.field(converter=chance, default=0.1)
    period: int = eqx.field(static=True, converter=UPDATES, default=10)
    reference: Literal["zero", "dynamic"] = eqx.field(static=True, default="zero")
    smoothing: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.2)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Fast:
        state = begun(self.fast, site, array, key, memory=True)
        if self.reference == "zero":
            return dataclasses.replace(state, age=_none(state.sign))
        zeros = jnp.zeros_like(state.memory)
        return dataclasses.replace(state, seen=zeros, reference=zeros, age=_none(state.sign))

    def learn(self, site, array, state, lines, rate, t, key):
        gather, move = jax.random.split(key)
        x = lines.x * state.sign[:, :, None]
        fast, peaks, spent = self.fast.gather(site, state.array, state.peaks, Lines(x, lines.d), rate, t, gather)
        state = dataclasses.replace(state, array=fast, peaks=peaks, number=state.number + 1)
        due = state.number % self.fast.every == 0
        pace = self.fast.pace(site, self.transfer, rate)
        array, state, more = jax.lax.cond(
            due,
            lambda a, s: self._transfer(site, a, s, pace, t, move),
            lambda a, s: (site.wait(a, t), s, Spent.of()),
            array,
            state,
        )
        return array, state, spent + more

    def _transfer(self, site: Site, array: ProgrammedArray, state: Fast, pace: Any, t: Array, key: PRNGKeyArray):
        read, pulse, flip = jax.random.split(key, 3)
        rows = self.fast.rows(site, state.row)
        values = site.read_rows(state.array, rows, self.fast.adc, jnp.zeros_like(t), read)
        sign = state.sign[:, :, rows, None, None]
        lasting = values if state.reference is None else values - state.reference[:, :, rows]
        step = site.step(array, self.fast.pairing)
        memory = state.memory[:, :, rows] + pace * sign * lasting
        counts = jnp.clip(jnp.trunc(memory / step), -self.most, self.most)
        n = jnp.zeros_like(state.memory).at[:, :, rows].set(counts)
        digital = 4.0 * values.size
        array, spent = _send_counted(site, array, n, digital, self.most, self.fast.pairing, t, pulse)
        memory = state.memory.at[:, :, rows].set(memory - (1 - self.momentum) * counts * step)
        state = eqx.tree_at(lambda s: (s.memory, s.row), state, (memory, (state.row + len(rows)) % site.part.used_rows))
        return array, self._turned(state, rows, values, flip), spent + _reading(site, values)

    def _turned(self, state: Fast, rows: Array, values: Array, key: PRNGKeyArray) -> Fast:
        """The state with choppers turned where it is time, and references renewed there."""
        if self.chopper == "none":
            return state
        old, age = state.sign[:, :, rows], state.age[:, :, rows] + 1
        turn = age >= self.period if self.chopper == "regular" else unit_uniforms(key, old) < self.turn
        state = eqx.tree_at(
            lambda s: (s.sign, s.age),
            state,
            (
                state.sign.at[:, :, rows].set(jnp.where(turn, -old, old)),
                state.age.at[:, :, rows].set(jnp.where(turn, 0, age)),
            ),
        )
        if state.seen is None or state.reference is None:
            return state
        share = jnp.where(age == 1, 1.0, self.smoothing)[..., None, None]
        seen = (1 - share) * state.seen[:, :, rows] + share * values
        kept = jnp.where(turn[..., None, None], seen, state.reference[:, :, rows])
        where = lambda s: (s.seen, s.reference)  # noqa: E731
        return eqx.tree_at(
            where, state, (state.seen.at[:, :, rows].set(seen), state.reference.at[:, :, rows].set(kept))
        )


def _none(sign: Array) -> Int[Array, "blocks row_tiles rows"]:
    return jnp.zeros(sign.shape, jnp.int32)


def tiki_taka2(**settings: Any) -> BufferedTransfer:
    """Tiki-Taka version 2: `BufferedTransfer` without choppers."""
    return BufferedTransfer(**settings)


def chopped_tiki_taka2(**settings: Any) -> BufferedTransfer:
    """Chopped version 2: choppers turn at random."""
    return BufferedTransfer(chopper="random", **settings)


def agad(**settings: Any) -> BufferedTransfer:
    """Analog gradient accumulation with dynamic reference: choppers turn regularly, and references follow."""
    return BufferedTransfer(chopper="regular", reference="dynamic", **settings)


class Residuals(eqx.Module):
    """What multi-tile residual learning keeps: the arrays after the network's own, coarse to fine, and a memory for each."""

    arrays: tuple[ProgrammedArray, ...]
    memories: tuple[ByWeight, ...]
    rows: tuple[Int[Array, ""], ...]
    number: Int[Array, ""]


class ResidualLearning(AbstractAlgorithm):
    """Several arrays of falling significance for one matrix, each of which learns the error that those before it leave.

    $$ W = \\sum_k \\gamma^k W_k, \\qquad W_K \\leftarrow W_K - \\mathrm{rate} \\sum x d^T, \\qquad
       W_{k-1} \\leftarrow W_{k-1} + \\lambda W_k $$

    Gradients go to the last; array k is transferred to the one before it, row by row, every `every^(K - k + 1)` updates.

    Args:
        fast: pulses and references of the arrays. arrays: K, besides the network's own. gamma: factor from one to the next.
        transfer: lambda.

    Reference: residual learning on analog tiles, Wu et al. 2024 (two), Li et al. 2025 (many); recalled, not read.
    """

    fast: FastArray = eqx.field(default_factory=lambda: FastArray(fast=1.0))
    arrays: int = eqx.field(static=True, converter=Whole(1, 8, advice="One or two will do."), default=1)
    gamma: float = eqx.field(static=True, default=0.2)
    transfer: Float[Array, ""] = eqx.field(converter=positive, default=0.1)

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Residuals:
        if self.fast.fast is None:
            raise ValueError(
                "ResidualLearning: all arrays are read together, so gradients must keep their scale. "
                "Give FastArray(fast=1.0)."
            )
        keys = jax.random.split(key, self.arrays)
        zeros = jnp.zeros((*array.cells.g.shape[1:-1], site.part.used_cols))
        none = jnp.zeros((), jnp.int32)
        made = tuple(self.fast.start(site, array, k) for k in keys)
        return Residuals(made, (zeros,) * self.arrays, (none,) * self.arrays, none)

    def beside(self, state: Residuals) -> tuple[tuple[ProgrammedArray, float], ...]:
        return tuple((a, self.gamma ** (k + 1)) for k, a in enumerate(state.arrays))

    def learn(self, site, array, state, lines, rate, t, key):
        gather, *keys = jax.random.split(key, self.arrays + 1)
        chain = [array, *state.arrays]
        chain[-1], _, spent = self.fast.gather(site, chain[-1], None, lines, rate, t, gather)
        number, memories, rows = state.number + 1, list(state.memories), list(state.rows)
        for k in range(self.arrays, 0, -1):
            due = number % self.fast.every ** (self.arrays - k + 1) == 0
            here = (chain[k - 1], memories[k - 1], rows[k - 1], Spent.of())
            move = lambda now, k=k: self._move(site, chain[k], now[0], now[1], now[2], t, keys[k - 1])  # noqa: E731
            rest = lambda now: (site.wait(now[0], t), *now[1:])  # noqa: E731
            chain[k - 1], memories[k - 1], rows[k - 1], more = jax.lax.cond(due, move, rest, here)
            spent = spent + more
        return chain[0], Residuals(tuple(chain[1:]), tuple(memories), tuple(rows), number), spent

    def _move(
        self, site: Site, fine: ProgrammedArray, coarse: ProgrammedArray, memory: Array, row: Array, t: Array, key
    ):
        read, pulse = jax.random.split(key)
        rows = self.fast.rows(site, row)
        values = site.read_rows(fine, rows, self.fast.adc, jnp.zeros_like(t), read)
        step = site.step(coarse, self.fast.pairing)
        memory = memory.at[:, :, rows].add(self.transfer * values)
        counts = jnp.clip(jnp.trunc(memory / step), -31, 31)
        only = jnp.zeros(memory.shape[2], bool).at[rows].set(True)[:, None, None]
        n = jnp.where(only, counts, 0)
        coarse, spent = _send_counted(site, coarse, n, 3.0 * values.size, 31, self.fast.pairing, t, pulse)
        return coarse, memory - n * step, (row + len(rows)) % site.part.used_rows, spent + _reading(site, values)
