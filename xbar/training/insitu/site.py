"""One weight matrix as an update sees it: signals by tile, cells by polarity, pulses with their price, reads of
single rows."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices._numerics import safe_sqrt
from devices.many_pulses import at_once
from devices.random import bits, unit_normals
from xbar.macro.converters import ADC
from xbar.macro.disturbing import at_part_of_the_voltage, disturbed, unselected, unselected_by_trains
from xbar.macro.partition import Partition
from xbar.macro.programming import program
from xbar.macro.reading import freeze, settle
from xbar.macro.state import ProgrammedArray
from xbar.macro.tile import Tile
from xbar.macro.updating import pulse_cells, retarget
from xbar.macro.write_counts import pulse_joules
from xbar.training.insitu.spent import Drive, Spent

Pairing = Literal["reference", "push_pull", "one_sided"]
ByWeight = Float[Array, "blocks row_tiles rows col_tiles cols"]
ByCell = Float[Array, "cells blocks row_tiles rows col_tiles lines"]


class Pulses(NamedTuple):
    """Pulses to the cells of an array, as floats; and how often each line carried one, where half-selected cells matter.

    Args:
        cells: those of a weight that can get any; None: all.
    """

    up: Array
    down: Array
    rows: Array | None = None
    cols: Array | None = None
    cells: tuple[int, ...] | None = None


class Site(eqx.Module):
    """One weight matrix on its tiles.

    Everything here has the layout of tiles: `[block, row tile, row, column tile, column]`, in siemens of the *net* conductance
    that the mapping makes of a weight's cells.

    Args:
        tile, part: the macro and the partition. drive: the pulses. together: whether the pulses that one cell gets
            in an update are applied at once (`devices.ManyAtOnce`), where the device's law is otherwise applied
            pulse by pulse.
    """

    tile: Tile
    part: Partition
    drive: Drive
    together: bool = eqx.field(static=True, default=True)

    @property
    def writing(self) -> Tile:
        """The macro with the device's law for many pulses."""
        return dataclasses.replace(self.tile, device=at_once(self.tile.device)) if self.together else self.tile

    # -- signals ------------------------------------------------------------------------------------------------------------

    def inputs(self, x: Float[Array, "groups vectors k"]) -> Float[Array, "blocks row_tiles vectors rows"]:
        """Vectors on the word lines of each row of tiles."""
        return self.part.split_inputs(x)

    def errors(
        self, d: Float[Array, "groups vectors n"], code: Any
    ) -> Float[Array, "blocks row_tiles col_tiles vectors cols"]:
        """Errors on the columns of each tile, per siemens of net conductance: `dL/dg = x (d * gain)`; a change of weight of
        `-rate x d` is one of `-rate x d / gain` siemens, which is what comes out."""
        part = self.part
        across = Partition(part.groups, part.n, part.k, part.cols, part.rows, part.packed)
        lines = across.split_inputs(d)[:, None]  # [block, 1, column tile, vector, column]
        return lines / jnp.moveaxis(self.gain(code), 2, 3)

    def gain(self, code: Any) -> Float[Array, "blocks row_tiles 1 col_tiles cols"]:
        """Weight per siemens of net conductance, of each column."""
        mapping, part = self.tile.mapping, self.part
        if mapping.reads != 1:
            raise ValueError(
                f"training on arrays: {type(mapping).__name__} reads a weight in {mapping.reads} parts of different "
                "significance, and one outer product cannot be pulsed onto all of them. Use Differential, Offset or Redundant."
            )
        shape = (part.blocks, part.row_tiles, 1, part.col_tiles, part.used_cols)
        ones = jnp.ones((1, *shape))
        return jnp.broadcast_to(mapping.decode(ones, jnp.zeros((*shape[:3], 1, 1)), code), shape)

    def outer(
        self,
        x: Float[Array, "blocks row_tiles vectors rows"],
        d: Float[Array, "blocks row_tiles col_tiles vectors cols"],
    ) -> ByWeight:
        """`sum_v x_v d_v^T` of every tile."""
        return jnp.einsum("bivr,bijvc->birjc", x, d, precision=jax.lax.Precision.HIGHEST)

    # -- cells --------------------------------------------------------------------------------------------------------------

    def signs(self, array: ProgrammedArray) -> Float[Array, " cells"]:
        """The factor with which each cell of a weight counts in its net conductance."""
        shape = array.cells.g.shape
        part = self.part
        few = (shape[0], part.blocks, part.row_tiles, 1, part.col_tiles, shape[-1])
        with jax.ensure_compile_time_eval():  # known while compiling, unless the mapping makes them of its code
            own = (jnp.arange(shape[-1]) < part.used_cols).astype(jnp.float32)
            one = lambda c: self.tile.mapping.combine(jnp.zeros(few).at[c].set(own), array.code)[0, 0, 0, 0, 0, 0]  # noqa: E731
            return jnp.stack([one(c) for c in range(shape[0])])

    def step(self, array: ProgrammedArray, pairing: Pairing, chosen: Array | None = None) -> Float[Array, ""]:
        """Change of a net conductance by one pulse [S]: the device's, in the middle of its range, of all cells that
        it goes to."""
        signs = self.signs(array)
        pulsed = jnp.abs(signs) if pairing == "push_pull" else jnp.maximum(signs, 0)
        return typical_step(self.tile.device) * jnp.sum(pulsed if chosen is None else pulsed * chosen)

    def spread(
        self,
        array: ProgrammedArray,
        up: ByWeight,
        down: ByWeight,
        pairing: Pairing,
        chosen: Float[Array, " cells"] | None = None,
    ) -> Pulses:
        """Pulses to each cell, from those that a weight's net conductance is to get.

        Args:
            pairing: `"reference"`: to the cells that count positively, the others stay; `"push_pull"`: to all, to the negative
                ones in the other direction; `"one_sided"`: only ever up, to the positive or to the negative ones.
            chosen: 1 for cells of a weight that take part, 0 for others.
        """
        signs = self.signs(array)
        lines = array.cells.g.shape[-1] - self.part.used_cols
        wide = [jnp.pad(a, [(0, 0)] * 4 + [(0, lines)]) for a in (up, down)]
        of = lambda which: which.reshape(-1, *(1,) * 5).astype(jnp.float32)  # noqa: E731
        take = jnp.ones_like(signs) if chosen is None else chosen
        positive, negative = of((signs > 0) * take), of((signs < 0) * take)
        if pairing == "reference":
            cells = None if isinstance(signs, Tracer) else tuple(np.flatnonzero(np.asarray(signs) > 0).tolist()) or None
            return Pulses(positive * wide[0], positive * wide[1], cells=cells)
        if pairing == "push_pull":
            return Pulses(positive * wide[0] + negative * wide[1], positive * wide[1] + negative * wide[0])
        return Pulses(positive * wide[0] + negative * wide[1], jnp.zeros_like(array.cells.g))

    def pulse(
        self,
        array: ProgrammedArray,
        n: Pulses,
        t: Float[Array, ""],
        key: PRNGKeyArray,
        most: int,
        one_way: bool = False,
    ) -> tuple[ProgrammedArray, Spent]:
        """The array after the pulses, `t` [s] after its cells were last returned; and what they took.

        A cell that gets pulses of both kinds gets all of one and then all of the other, with the order drawn for each
        cell and update: on average over the order no error of first order is left.

        Args:
            most: largest number of pulses to a cell, for laws that go pulse by pulse.
            one_way: whether no cell gets pulses of both kinds.
        """
        spent = self.price(array, n, t)
        if one_way:
            return self._suffered(self._sent(array, (n.up - n.down,), n.cells, t, (key,), most), n), spent
        order, *keys = jax.random.split(key, 3)
        first_up = bits(order, n.up.shape) < jnp.uint32(2**31)
        first = jnp.where(n.down == 0, n.up, jnp.where(n.up == 0, 0, jnp.where(first_up, n.up, -n.down)))
        second = jnp.where(n.up == 0, -n.down, jnp.where(n.down == 0, 0, jnp.where(first_up, -n.down, n.up)))
        return self._suffered(self._sent(array, (first, second), n.cells, t, tuple(keys), most), n), spent

    def wait(self, array: ProgrammedArray, t: Float[Array, ""]) -> ProgrammedArray:
        """The array `t` [s] later, in the form that `pulse` leaves it in, so that either may be chosen while compiled code
        runs."""
        if array.cells.age is None:  # nothing about it depends on time
            return array
        later: Any = self.tile.device.wait(array.cells, t).age
        cells = dataclasses.replace(array.cells, age=jnp.broadcast_to(later, array.cells.g.shape))
        return dataclasses.replace(array, cells=cells)

    def _suffered(self, array: ProgrammedArray, n: Pulses) -> ProgrammedArray:
        """The array after what these pulses did to cells that are not selected."""
        select, law = self.drive.select, self.tile.device.disturb
        if law is None:
            return array
        if n.rows is None or n.cols is None:
            return disturbed(self.tile, array, unselected(n.up, n.down, select, law))
        return disturbed(self.tile, array, unselected_by_trains(n.up, n.down, *self._lines(n), select, law))

    def _lines(self, n: Pulses) -> tuple[Array, Array]:
        """Pulses on word and bit lines, as axes of the cells'."""
        lines = n.up.shape[-1] - self.part.used_cols
        rows, cols = n.rows, n.cols
        return rows[None, :, :, :, :, None], jnp.pad(cols, [(0, 0)] * 3 + [(0, lines)])[None, :, :, None]  # pyright: ignore[reportOptionalSubscript, reportArgumentType]

    def _sent(
        self,
        array: ProgrammedArray,
        trains: tuple[ByCell, ...],
        pulsed: tuple[int, ...] | None,
        t: Array,
        keys: tuple[PRNGKeyArray, ...],
        most: int,
    ) -> ProgrammedArray:
        """The array after trains of pulses to each cell, the first `t` [s] after the cells were returned, the others at once.

        Only the cells `pulsed` of a weight are computed; the others age. Noise is drawn for all cells from one
        key, which takes a fraction of the time of a key for each word line; where tiles are spread over devices of a mesh,
        lines have keys of their own.
        """
        tile, cells = self.writing, array.cells.whole()
        times = (t, *(jnp.zeros_like(t) for _ in trains[1:]))
        if tile.spread:
            for n, now, key in zip(trains, times, keys, strict=True):
                array = pulse_cells(tile, array, self.part, n, now, key, most=most, trusted=True)
            return array
        if cells.age is not None:
            cells = dataclasses.replace(cells, age=jnp.broadcast_to(cells.age, cells.g.shape))
        new = jax.tree.map(lambda a: _some(a, pulsed), cells)
        for n, now, key in zip(trains, times, keys, strict=True):
            new = tile.device.pulse(new, _some(n, pulsed), key=key, t=now, most=most, trusted=True)
        if pulsed is not None:
            later: Any = tile.device.wait(cells, t).age
            old = dataclasses.replace(cells, age=None if new.age is None else jnp.broadcast_to(later, cells.g.shape))
            new = jax.tree.map(lambda a, b: _in_place(a, b, pulsed), old, new)
        return dataclasses.replace(array, cells=new)

    def price(self, array: ProgrammedArray, n: Pulses, t: Float[Array, ""]) -> Spent:
        """Heat of the pulses at the conductance before them; in half-selected cells as if half of them went each way."""
        drive, device = self.drive, self.tile.device
        g, heat = device.conductance(array.cells, t), getattr(device.update, "heat", None)
        up, down, own = (_some(a, n.cells) for a in (n.up, n.down, g))
        return Spent.of(
            pulses_up=jnp.sum(up),
            pulses_down=jnp.sum(down),
            joules=pulse_joules(own, up, down, drive.v_up, drive.v_down, drive.width, heat),
            disturbing=self._disturbing(n, g) * drive.width,
        )

    def _disturbing(self, n: Pulses, g: Array) -> Array | float:
        """`V^2 g`, summed over pulses and cells that see part of the voltage of pulses that are not meant for them."""
        drive = self.drive
        if drive.select == "transistor":
            return 0.0
        if n.rows is None or n.cols is None:
            seen = [at_part_of_the_voltage(pulses, drive.select) for pulses in (n.up, n.down)]
            v2 = drive.v_up**2 * jnp.sum(seen[0] * g) + drive.v_down**2 * jnp.sum(seen[1] * g)
            return v2 / (4 if drive.select == "half" else 9)
        v2 = (drive.v_up**2 + drive.v_down**2) / 2
        rows, cols = self._lines(n)
        mine = n.up + n.down
        if self.drive.select == "half":
            return v2 / 4 * jnp.sum(jnp.maximum(rows + cols - 2 * mine, 0) * g)
        slots = jnp.maximum(jnp.max(rows, (3,), keepdims=True), jnp.max(cols, (5,), keepdims=True))
        return v2 / 9 * jnp.sum(jnp.maximum(slots - mine, 0) * g)

    # -- reads --------------------------------------------------------------------------------------------------------------

    def blank(self, key: PRNGKeyArray) -> ProgrammedArray:
        """Another array of the same cells that holds zeros, with the code of the matrix left to its owner."""
        part = self.part
        return program(self.tile, jnp.zeros((part.groups, part.k, part.n)), key=key)

    def net(self, array: ProgrammedArray, t: Float[Array, ""]) -> ByWeight:
        """Net conductances as a read meets them [S], wires included, noise left out."""
        return settle(self.tile, array, t, self.part).net[0]

    def read_rows(
        self,
        array: ProgrammedArray,
        rows: Int[Array, " reads"],
        adc: ADC,
        t: Float[Array, ""],
        key: PRNGKeyArray,
    ) -> Float[Array, "blocks row_tiles reads col_tiles cols"]:
        """Net conductances of single word lines of every tile [S], through a converter whose full scale is the range of one
        weight if it has none of its own."""
        tile = self.tile
        found = settle(tile, array, t, self.part)
        value = jnp.take(found.net[0], rows, 2) * tile.v_read
        noise, own = jax.random.split(key)
        if found.variance is not None and (tile.mapping.shared_lines or tile.needs_cells):
            moved: Any = freeze(dataclasses.replace(tile, read_noise="frozen"), array, t, self.part, noise)
            value = value + jnp.take(moved[0], rows, 2) * tile.v_read
        elif found.variance is not None:
            variance = jnp.take(found.variance[0], rows, 2) * tile.v_read**2
            value = value + safe_sqrt(variance) * unit_normals(noise, value)
        if adc.noise is not None:
            value = value + adc.noise * unit_normals(own, value)
        span = tile.mapping.full_scale(tile.device.g_min, tile.device.g_max) * tile.v_read
        return adc.convert(value, jnp.asarray(span if adc.range is None else adc.range, value.dtype)) / tile.v_read

    def rewrite(
        self, array: ProgrammedArray, targets: ByCell, where: Any, t: Float[Array, ""], key: PRNGKeyArray
    ) -> tuple[ProgrammedArray, Spent]:
        """The array with the cells in `where` programmed to `targets` [S]."""
        device = self.tile.device
        safe = jnp.clip(targets, device.g_min, device.g_max)
        return retarget(self.tile, array, self.part, safe, where, t, key), Spent.of(written=jnp.sum(where))


def _some(a: Array, cells: tuple[int, ...] | None) -> Array:
    """What belongs to some cells of each weight. Slices, as XLA copies all of an array for anything else."""
    return a if cells is None else jnp.concatenate([a[c : c + 1] for c in cells])


def _in_place(a: Array, new: Array, cells: tuple[int, ...]) -> Array:
    """`a` with the `new` ones of some cells."""
    at = {c: i for i, c in enumerate(cells)}
    return jnp.concatenate([new[at[c] : at[c] + 1] if c in at else a[c : c + 1] for c in range(len(a))])


def typical_step(device: Any) -> Float[Array, ""]:
    """Step of a pulse in the middle of the device's range, mean of both directions [S].

    Raises:
        ValueError: for a device without a law for pulses, or with one whose step is not known.
    """
    law = getattr(device.update, "law", None)
    if law is None:
        raise ValueError(
            f"training on arrays: {device.provenance.name} has no pulse law whose step is known. Give Device(update=...) a "
            "devices.PulseUpdate, or train with closed-loop writes (insitu.ClosedLoop)."
        )
    middle = (device.g_min + device.g_max) / 2
    return jnp.mean((law.up(middle[None]) + law.down(middle[None])) / 2)
