"""Calibration of a chip on data: converter ranges and drift compensation."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.arguments import typed_key
from xbar.chip import Chip
from xbar.graph.nodes import Layer
from xbar.macro.converters import ADC, DAC
from xbar.macro.reading import settle
from xbar.macro.state import ProgrammedArray, Ranges, Signals
from xbar.macro.tile import Tile
from xbar.order_statistics import percentile_of_magnitudes

Per = Literal["tile", "column"]


def calibrate(
    chip: Chip,
    *inputs: Any,
    key: PRNGKeyArray | None = None,
    t: Float[Array, ""] | float | None = None,
    method: Literal["max", "percentile"] | None = None,
    percentile: float | None = None,
    momentum: float = 0.0,
    compensate_drift: bool | Per = True,
) -> Chip:
    """Sets a chip's converter ranges from what its converters see, and stores the reference for drift compensation.

    Inputs are run twice: once with ideal converters, which gives the DAC range of each row of tiles, and once with the
    real DACs, which gives the ADC range of each tile. Either range is the largest magnitude, or a percentile of all
    magnitudes. Global drift compensation multiplies what each tile reports at time t by `S(t_cal) / S(t)`, where S is
    the sum over the tile of the magnitude of every weight's conductance, as measured by reading unit vectors.

    Args:
        chip: a programmed chip. inputs: a representative batch.
        key: for the noise of the reads; None reads without noise.
        t: time since programming at which the chip is calibrated [s].
        method: `"max"` or `"percentile"`; by default what `percentile` implies. percentile: in (0, 100], by default 99.9.
        momentum: weight of the ranges the chip already has, 0 to forget them; for a moving calibration over batches.
        compensate_drift: store the reference of each tile (True, or "tile") or of each of its columns ("column"), or read
            without compensation (False).

    Returns:
        The chip with ranges set; the same cells.

    Raises:
        ValueError: for a percentile or momentum out of range, or inputs that give no current at all.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9 (global drift compensation).

    Breaks when: later inputs are larger than these: they clip. A single outlier sets a range and all else is rounded
    coarsely: give `percentile=99.99` for networks with heavy tails and 8-bit converters (depthwise convolutions,
    residual streams); maxima, the default, never clip what was seen. The reference read is taken without read noise; a
    real chip would average enough reads.
    """
    share = _share(method, percentile)
    if not 0 <= momentum < 1:
        raise ValueError(f"calibrate: momentum={momentum!r} must lie in [0, 1).")
    if chip.wafer:
        settings: Any = dict(t=t, method=method, percentile=percentile, momentum=momentum)
        each = lambda one, k: calibrate(one, *inputs, key=k, compensate_drift=compensate_drift, **settings)  # noqa: E731
        return chip.each_chip(each, key)
    keys = (None, None) if key is None else jax.random.split(typed_key(key))

    now = _uncalibrated(chip if chip.taken is not None and t is None else chip.at(t))
    bare = _with_converters(now, dac=False, adc=False)
    dac = bare.watch(inputs, key=keys[0], watch=_Magnitude("inputs", share, chip.plan_layers), merge=jnp.maximum)[1]
    dac = _check_seen(chip, "input", dac)
    given = lambda i: 1.0 if chip.tiles[i].dac.range is None else chip.tiles[i].dac.range  # noqa: E731
    provisional = {i: Ranges(_positive(r, given(i)), jnp.ones((*r.shape, 1), r.dtype)) for i, r in dac.items()}
    driven = _with_converters(now, dac=True, adc=False).with_ranges(_complete(chip, provisional))
    adc = driven.watch(inputs, key=keys[1], watch=_Magnitude("current", share, chip.plan_layers), merge=jnp.maximum)[1]
    adc = _check_seen(chip, "current", adc)
    ranges = {i: Ranges(_positive(dac[i], given(i)), _positive(adc[i], _physical(chip, i))) for i in dac}
    ranges = _moved(chip.ranges, _complete(chip, ranges), momentum)
    ready = chip.with_ranges(ranges)
    if not compensate_drift:
        return _without_reference(ready)
    return compensate(ready, t=t, per="tile" if isinstance(compensate_drift, bool) else compensate_drift)


def compensate(chip: Chip, *, t: Float[Array, ""] | float | None = None, per: Per = "tile") -> Chip:
    """Drift compensation alone: stores the conductance read-out of each tile, or each of its columns, at `t` [s].

    From then on what is reported at a later time is multiplied by `S(t) / S(later)`; see `calibrate`.

    Args:
        t: time since programming at which the reference is taken [s]; the earliest with data if None.
        per: `"tile"` for one factor a tile, `"column"` for one a column of a tile.

    Raises:
        ValueError: for another `per`.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9 (one factor a layer).

    Breaks when: drift depends on the conductance, so that one factor does not fit all weights that share it.
    """
    if per not in get_args(Per):
        raise ValueError(f"compensate: per={per!r}; it must be 'tile' or 'column'.")
    if chip.wafer:
        return chip.each_chip(lambda one, _: compensate(one, t=t, per=per))
    references = _references(chip.plan_layers, chip.tiles, _without_reference(chip).arrays, chip.times(t))
    if per == "tile":
        references = {i: jnp.sum(x, -1, keepdims=True) for i, x in references.items()}
    return chip.with_arrays({i: dataclasses.replace(a, reference=references[i]) for i, a in chip.arrays.items()})


def _without_reference(chip: Chip) -> Chip:
    return chip.with_arrays({i: dataclasses.replace(a, reference=None) for i, a in chip.arrays.items()})


@dataclasses.dataclass(frozen=True)
class _Magnitude:
    """A watcher of reads: the largest, or a percentile, of one signal's magnitudes in each converter's tile.

    Rows and columns that a tile has beyond the matrix carry no signal and are not counted.
    """

    signal: Literal["inputs", "current"]
    percentile: float
    layers: tuple[Layer, ...]

    def __call__(self, i: int, tile: Tile, array: ProgrammedArray, signals: Signals) -> tuple[Array, Array]:
        """The magnitude, and 1: what a branch that is not taken leaves at 0."""
        return self._magnitude(i, tile, signals), jnp.ones(())

    def _magnitude(self, i: int, tile: Tile, signals: Signals) -> Array:
        x = jnp.abs(jax.lax.stop_gradient(getattr(signals, self.signal)))
        part = tile.partition(*self.layers[i].product.sizes)
        axes = (2, 3) if self.signal == "inputs" else (0, 1, 4, 6)
        # the axes of inputs, or of currents
        used = part.rows_in_use() if self.signal == "inputs" else part.columns_in_use()[None, None]
        if self.percentile == 100:
            return jnp.max(jnp.where(used > 0, x, 0), axis=axes)
        return percentile_of_magnitudes(jnp.where(used > 0, x, jnp.nan), self.percentile, axes)


def _share(method: str | None, percentile: float | None) -> float:
    """The percentile of magnitudes that sets a range; 100 is the largest."""
    if method not in ("max", "percentile", None):
        raise ValueError(f"calibrate: method={method!r}; it must be 'max' or 'percentile'.")
    if method == "max" and percentile is not None:
        raise ValueError(f"calibrate: percentile={percentile!r} with method='max'; leave one of them out.")
    if percentile is not None and not 0 < percentile <= 100:
        raise ValueError(f"calibrate: percentile={percentile!r} must lie in (0, 100].")
    if percentile is not None and percentile <= 1:
        warnings.warn(
            f"calibrate: percentile={percentile!r} cuts off {100 - percentile:g} % of all values. "
            "Give a percentage, such as 99.9.",
            stacklevel=3,
        )
    if percentile is None:
        return 99.9 if method == "percentile" else 100.0
    return percentile


def _check_seen(chip: Chip, what: str, seen: dict[int, tuple[Array, Array]]) -> dict[int, Array]:
    """The magnitudes; raises if a layer saw a value that is not finite, warns if one saw nothing but zeros. Traced values
    pass, and so do branches that were not taken."""
    for i, (largest, read) in seen.items():
        if isinstance(largest, Tracer) or not bool(jnp.all(read > 0)):
            continue
        name = chip.plan_layers[i].path
        if not bool(jnp.all(jnp.isfinite(largest))):
            raise ValueError(
                f"calibrate: {name} saw NaN or infinity in its {what}. Calibrate with inputs that are finite "
                "everywhere inside the network."
            )
        if what == "input" and not bool(jnp.any(largest > 0)):
            warnings.warn(
                f"calibrate: {name} saw only zeros in its {what}; its converters keep the ranges that they have "
                "without calibration. Calibrate with representative inputs.",
                stacklevel=3,
            )
    return {i: largest for i, (largest, _) in seen.items()}


def _physical(chip: Chip, i: int) -> Array:
    """The full-scale current of a converter that no data say anything about [A]."""
    tile = chip.tiles[i]
    part = tile.partition(*chip.plan_layers[i].product.sizes)
    if tile.adc.range is not None:
        return jnp.asarray(tile.adc.range)
    return tile.mapping.full_scale(tile.device.g_min, tile.device.g_max) * tile.v_read * part.used_rows**0.5


def _positive(x: Array, otherwise: Any) -> Array:
    """A range that a converter can have: what was seen, and where nothing was seen, another."""
    return jnp.where(x > 0, x, jnp.asarray(otherwise, x.dtype))


def with_ideal_converters(chip: Chip) -> Chip:
    """The chip with converters that neither round nor clip nor have noise; cells and their noise stay."""
    return _with_converters(chip, dac=False, adc=False)


def _uncalibrated(chip: Chip) -> Chip:
    arrays = {i: dataclasses.replace(a, ranges=None, reference=None) for i, a in chip.arrays.items()}
    return chip.with_arrays(arrays)


def _with_converters(chip: Chip, *, dac: bool, adc: bool) -> Chip:
    """The chip with its own converters or ideal ones."""

    def ideal(tile: Tile) -> Tile:
        tile = tile if dac else eqx.tree_at(lambda x: x.dac, tile, DAC(bits=None, range=tile.dac.range))
        return tile if adc else eqx.tree_at(lambda x: x.adc, tile, ADC(bits=None))

    return eqx.tree_at(lambda c: c.tiles, chip, {i: ideal(tile) for i, tile in chip.tiles.items()})


def _complete(chip: Chip, seen: dict[int, Ranges]) -> dict[int, Ranges]:
    missing = [chip.plan_layers[i].path for i in chip.arrays if i not in seen]
    if missing:
        raise ValueError(
            f"calibrate: these inputs never read {', '.join(missing)}. Calibrate with inputs that use every layer."
        )
    return seen


def _moved(old: dict[int, Ranges], new: dict[int, Ranges], momentum: float) -> dict[int, Ranges]:
    blend = lambda o, n: momentum * o + (1 - momentum) * n  # noqa: E731
    return {i: jax.tree.map(blend, old[i], r) if i in old else r for i, r in new.items()}


@functools.partial(jax.jit, static_argnums=0)
def _references(
    layers: tuple[Layer, ...],
    tiles: dict[int, Tile],
    arrays: dict[int, ProgrammedArray],
    times: dict[int, Array],
) -> dict[int, Array]:
    """The conductance read-out of every column at `times`."""
    references = {}
    for i, array in arrays.items():
        part = tiles[i].partition(*layers[i].product.sizes)
        measure = lambda a, i=i, part=part: (a.settled or settle(tiles[i], a, times[i], part)).readout  # noqa: E731
        for _ in layers[i].lengths:
            measure = jax.vmap(measure)
        references[i] = measure(array)
    return references
