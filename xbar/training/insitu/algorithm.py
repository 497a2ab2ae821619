"""The interface of learning algorithms: what one keeps of a matrix, and how it uses the signals of one update."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import Checked, Whole, check_word
from devices.random import unit_uniforms
from xbar.macro.state import ProgrammedArray
from xbar.training.insitu.site import ByWeight, Pairing, Site
from xbar.training.insitu.spent import Spent
from xbar.training.pulse_trains import PulseTrains


class Lines(NamedTuple):
    """The signals of one update at the lines of every tile.

    Args:
        x: inputs of the word lines. d: errors of the columns, so that `-rate sum_v x_v d_v` is a change of net
        conductance [S].
    """

    x: Float[Array, "blocks row_tiles vectors rows"]
    d: Float[Array, "blocks row_tiles col_tiles vectors cols"]


class Wanted(NamedTuple):
    """Pulses that the net conductance of each weight is to get, and what making them took besides heat."""

    up: ByWeight
    down: ByWeight
    rows: Array | None
    cols: Array | None
    seconds: Array
    digital: float
    most: int
    one_way: bool


class Rows(Checked):
    """The gradient computed digitally, and its pulses sent row by row.

    $$ n = \\mathrm{round}(-\\mathrm{rate} \\sum_v x_v d_v^T / s) $$

    Args:
        rounding: `"nearest"`, or `"stochastic"`: up with the fraction as probability. most: pulses of a cell
            at most; more are not sent.

    Reference: nearest rounding as in NeuroSim's online learning (Chen, Peng, Yu 2018, 10.1109/TCAD.2018.2789723).
    """

    rounding: Literal["nearest", "stochastic"] = eqx.field(static=True, default="nearest")
    most: int = eqx.field(static=True, converter=Whole(1, 100_000, advice="127 is seven bits."), default=127)

    def counts(self, wanted: ByWeight, step: Array, key: PRNGKeyArray) -> ByWeight:
        """Whole pulses for a change of net conductance [S]."""
        n = wanted / step
        n = jnp.round(n) if self.rounding == "nearest" else jnp.floor(n + unit_uniforms(key, n))
        return jnp.clip(n, -self.most, self.most)


Scheme = PulseTrains | Rows


def wanted(
    scheme: Scheme, site: Site, array: ProgrammedArray, lines: Lines, rate: Any, step: Array, key: PRNGKeyArray
) -> Wanted:
    """The pulses of `-rate sum_v x_v d_v^T` [S] by a scheme, `step` [S] each."""
    vectors, k, n = lines.x.shape[-2], site.part.k, site.part.n
    per_pulse = site.drive.width + site.drive.gap
    if isinstance(scheme, Rows):
        counts = scheme.counts(-rate * site.outer(*lines), step, key)
        seconds = per_pulse * rows_in_turn(counts)
        return Wanted(*split(counts), None, None, seconds, 2.0 * vectors * k * n * site.part.groups, scheme.most, True)
    trains, d = scheme, lines.d
    if trains.step is None:
        trains = dataclasses.replace(trains, step=step)
    else:  # a step in units of the weight, whatever the device's
        d = d * jnp.moveaxis(site.gain(array.code), 2, 3)
    x = jnp.broadcast_to(lines.x[:, :, None], (*d.shape[:3], *lines.x.shape[2:]))
    found = trains.summed(x, d, rate, key=key)
    by_row = lambda a: jnp.moveaxis(a, 2, 3)  # noqa: E731
    seconds = 2 * per_pulse * jnp.max(found.slots)  # both signs have a phase of their own
    digital = 2.0 * vectors * (k + n) * site.part.groups
    most = trains.slots * vectors
    return Wanted(
        by_row(found.up), by_row(found.down), by_row(found.rows), found.cols, seconds, digital, most, vectors == 1
    )


def split(counts: ByWeight) -> tuple[ByWeight, ByWeight]:
    """Signed numbers of pulses as those up and those down."""
    return jnp.maximum(counts, 0), jnp.maximum(-counts, 0)


def rows_in_turn(counts: ByWeight) -> Float[Array, ""]:
    """Pulses that pass if rows are written one after the other, all columns and tiles at once, both signs in turn."""
    longest = lambda n: jnp.sum(jnp.max(n, (0, 1, 3, 4)))  # noqa: E731
    up, down = split(counts)
    return longest(up) + longest(down)


def send(
    site: Site,
    array: ProgrammedArray,
    what: Wanted,
    pairing: Pairing,
    t: Float[Array, ""],
    key: PRNGKeyArray,
    chosen: Array | None = None,
) -> tuple[ProgrammedArray, Spent]:
    """Sends pulses to the cells of an array."""
    n = site.spread(array, what.up, what.down, pairing, chosen)
    n = n._replace(rows=what.rows, cols=what.cols)
    array, spent = site.pulse(array, n, t, key, what.most, what.one_way)
    return array, spent + Spent.of(seconds=what.seconds, digital=what.digital)


class AbstractAlgorithm(Checked):
    """How signals become pulses. Its numbers are leaves; what it keeps of a matrix is returned, never hidden."""

    @abc.abstractmethod
    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> Any:
        """What is kept of one matrix before the first update: other arrays, digital memories, counters."""

    @abc.abstractmethod
    def learn(
        self,
        site: Site,
        array: ProgrammedArray,
        state: Any,
        lines: Lines,
        rate: Any,
        t: Float[Array, ""],
        key: PRNGKeyArray,
    ) -> tuple[ProgrammedArray, Any, Spent]:
        """One update.

        Args:
            array: that the network reads. state: from `start` or the last update. rate: learning rate. t: time since the last
                update [s].

        Returns:
            The array, the state, and what it took.
        """

    def beside(self, state: Any) -> tuple[tuple[ProgrammedArray, float], ...]:
        """Other arrays whose currents are added to those of the network's own in every read, each with its factor."""
        return ()


def check_pairing(where: str, pairing: str) -> None:
    """Raises ValueError for a pairing that does not exist."""
    check_word(f"{where}: pairing", pairing, ("reference", "push_pull", "one_sided"))
