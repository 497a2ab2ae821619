"""`Device`: a composition of one law of each kind."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from devices._checks import Checked, device_siemens
from devices._merging import chosen, undated
from devices._show import device_html, device_text
from devices.base import (
    AbstractConduction,
    AbstractDrift,
    AbstractFaults,
    AbstractProgramming,
    AbstractPulseUpdate,
    AbstractReadNoise,
    Cells,
)
from devices.catalogue import Provenance
from devices.conduction import Ohmic
from devices.disturb import Disturb, Worth
from devices.drift import NoDrift
from devices.faults import NoFaults
from devices.noise import NoReadNoise
from devices.probing import probe
from devices.programming import ExactProgramming

_WARNED: set[tuple[Provenance, str]] = set()  # devices that have warned that they extrapolate, in time or in voltage


PARTS = {  # a device without a law for one of these behaves ideally there, because nothing was measured
    "programming": ("write errors", ExactProgramming),
    "drift": ("drift", NoDrift),
    "read_noise": ("read noise", NoReadNoise),
}


class Device(Checked):
    """One kind of memristive cell: its conductance range and one law of each kind.

    $$ g(t) = F\\bigl(D(P(g_{target}), z, t)\\bigr), \\qquad i = C(g(t), v) + \\text{read noise} $$

    Args:
        g_min, g_max: lowest and highest conductance that is programmed [S].
        programming: write error P. drift: drift, relaxation and retention D. read_noise: variance of a read.
        conduction: read current C. faults: stuck cells F. By default each does nothing (conduction: Ohm's law).
        update: what programming pulses do; None: the cell is only ever programmed to a target.
        disturb: what pulses and reads not meant for a cell do to it, in shares of a step of `update`; None: nothing.
        provenance: source of the numbers and range of their data.

    Raises:
        ValueError: unless `0 <= g_min < g_max`.

    Breaks when: used beyond the data of its laws; see `provenance` and each law.
    """

    g_min: Float[Array, ""] = eqx.field(converter=device_siemens)
    g_max: Float[Array, ""] = eqx.field(converter=device_siemens)
    programming: AbstractProgramming = eqx.field(default_factory=ExactProgramming)
    drift: AbstractDrift = eqx.field(default_factory=NoDrift)
    read_noise: AbstractReadNoise = eqx.field(default_factory=NoReadNoise)
    conduction: AbstractConduction = eqx.field(default_factory=Ohmic)
    faults: AbstractFaults = eqx.field(default_factory=NoFaults)
    update: AbstractPulseUpdate | None = None
    disturb: Disturb | None = None
    provenance: Provenance = eqx.field(static=True, default=Provenance("unnamed"))

    def __check_init__(self):
        if isinstance(self.disturb, Disturb) and not hasattr(self.update, "on_average"):
            raise ValueError(
                "Device: disturb is in shares of the steps of a pulse law. Give it update=devices.updates.PulseUpdate(...)."
            )
        low, high = self.g_min, self.g_max
        if any(isinstance(g, Tracer) or not isinstance(g, jax.Array) or g.ndim for g in (low, high)):
            return  # a device under vmap, or of several draws, or something that every law refuses
        smallest = float(jnp.finfo(high.dtype).tiny)
        if not 0 <= float(low) < float(high) < np.inf or np.float64(high) < smallest:
            raise ValueError(
                f"Device needs 0 <= g_min < g_max in siemens, finite and above the {smallest:.2g} S that {high.dtype} can "
                f"hold, got g_min={float(low):g} S, g_max={float(high):g} S. Give both in siemens (25 uS is 25e-6)."
            )
        if float(high) < 1e-16:
            warnings.warn(
                f"Device: g_max = {float(high):g} S is far below any device, and variances, its squares, underflow in "
                "float32. Conductances are in siemens: 25 uS is 25e-6.",
                stacklevel=3,
            )
        probe(self)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The parts without a law, by name: "write errors", "drift", "read noise". Cells behave ideally there."""
        return tuple(words for name, (words, none) in PARTS.items() if type(getattr(self, name)) is none)

    def __repr__(self) -> str:
        return device_text(self)

    def _repr_html_(self) -> str:
        return device_html(self)

    def program(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Cells:
        """Programs cells to `target` [S]: draws the write error and everything that makes each cell itself.

        Raises:
            ValueError: if a concrete target is not finite or lies outside `[g_min, g_max]`.
        """
        target = jnp.asarray(target)
        self._check_target(target)
        write, drift, noise, faults = jax.random.split(key, 4)
        update = jax.random.fold_in(key, 4)
        g = self.programming(target, key=write)
        return Cells(
            g=g,
            drift=self.drift.latents(target, key=drift),
            read_noise=self.read_noise.latents(g, key=noise),
            faults=self.faults.latents(target, key=faults),
            update=None if self.update is None else self.update.latents(g, key=update),
            age=jnp.zeros_like(g) if self.update is not None and self._has_clock else None,
        )

    def reprogram(
        self,
        cells: Cells,
        target: Float[Array, "*#cells"] | float,
        where: Bool[Array, "*#cells"] | bool = True,
        *,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float = 0.0,
    ) -> Cells:
        """Programs the cells in `where` to `target` [S] again; the others grow older by `t`.

        What belongs to the state is drawn again (write error, drift, read noise); what belongs to the cell stays
        (faults, its response to pulses), and it has seen one more write cycle.

        Args:
            cells: left unchanged; the new cells are returned. t: time since they were returned [s].

        Raises:
            ValueError: as for `program`, for targets in `where`.
        """
        check_seconds(t)
        cells = cells.whole()
        hit = jnp.broadcast_to(jnp.asarray(where), cells.g.shape)
        wanted = jnp.where(hit, jnp.asarray(target, cells.g.dtype), self.g_min.astype(cells.g.dtype))
        fresh = self.program(wanted, key=key)
        update = None if self.update is None else self.update.rewritten(cells.update, fresh.g)
        fresh = Cells(fresh.g, fresh.drift, fresh.read_noise, cells.faults, update)
        return self._written(cells, fresh, where, hit.astype(int), t)

    def pulse(
        self,
        cells: Cells,
        n: Num[Array, "*#cells"] | int,
        *,
        key: PRNGKeyArray | None = None,
        t: Float[Array, ""] | float = 0.0,
        most: int | None = None,
        trusted: bool = False,
    ) -> Cells:
        """Applies `n` programming pulses to each cell: potentiation if positive, depression if negative.

        Pulsed cells start again at the conductance this leads to; those without (`n = 0`) grow older by `t`.

        Args:
            cells: left unchanged; the new cells are returned.
            n: whole numbers of pulses, one for all cells or one for each.
            key: for laws with cycle-to-cycle or write noise.
            t: time since the cells were returned [s]; the pulses act on what each has drifted to since its own last write.
            most: largest number of pulses to any cell. Needed where `n` is traced, found from `n` elsewhere.
            trusted: whether the caller has made sure that no cell gets more than `most`.

        Raises:
            ValueError: if the device has no pulse law, `n` is not whole, `t` is negative, or a bound on traced pulses is
                missing.
            RuntimeError: if a cell gets more pulses than `most`.
        """
        if self.update is None:
            raise ValueError(
                f"{self.provenance.name} has no pulse law: it can only be programmed to a target. "
                "Give Device(update=...) a law from devices.updates."
            )
        check_seconds(t)
        cells = cells.whole()
        hit = n != 0
        most = most_pulses(n) if most is None else most
        counts = jnp.asarray(n) if trusted else not_above(jnp.asarray(n), jnp.asarray(n), most)
        g = self.drift(cells.g, cells.drift, self._age(cells, t))
        g, z = self.update(g, cells.update, counts, key=key, most=most)
        fresh = Cells(
            g=g,
            drift=self.drift.rewritten(cells.drift, g),
            read_noise=self.read_noise.rewritten(cells.read_noise, g),
            faults=cells.faults,
            update=z,
        )
        return self._written(cells, fresh, hit, jnp.abs(counts), t)

    def disturbed(self, cells: Cells, worth: Worth) -> Cells:
        """The same cells after pulses and reads not meant for them: moved by the mean effect of so many pulses up,
        then down (`worth`). They do not count as written: their age, drift and wear go on.

        Raises:
            ValueError: without a law of disturbance.
        """
        update: Any = self.update
        if self.disturb is None:
            raise ValueError(
                f"{self.provenance.name} does not say what disturbs it. Give Device(disturb=devices.Disturb(...))."
            )
        cells = cells.whole()
        now = self.drift(cells.g, cells.drift, self._age(cells, 0.0))
        moved = update.on_average(update.on_average(now, cells.update, worth.up), cells.update, -worth.down)
        return dataclasses.replace(cells, g=jnp.maximum(cells.g + (moved - now), 0))

    def wait(self, cells: Cells, t: Float[Array, ""] | float) -> Cells:
        """The same cells `t` [s] later, none of them written: reads count their time from then on.

        Raises:
            ValueError: if a concrete `t` is negative or not finite.
        """
        check_seconds(t)
        return dataclasses.replace(cells, age=self._age(cells, t))

    def conductance(self, cells: Cells, t: Float[Array, ""] | float) -> Float[Array, "*cells"]:
        """Conductance [S] of the cells `t` [s] after they were returned by `program`, `reprogram`, `pulse` or `wait`: same
        cells, same time, same answer. Each has drifted since its own last write, for `cells.age + t`.

        Raises:
            ValueError: if a concrete `t` is negative or one for which the device has no data. A traced `t` of that
                kind gives NaN.

        Warns, once per device, if a concrete `t` lies beyond the times that the device's numbers come from.
        """
        self.check_time(t, cells.age)
        cells, age = cells.whole(), self._age(cells, t)
        g = self.faults(self.drift(cells.g, cells.drift, age), cells.faults)
        valid = self.time_is_valid(age) & (jnp.asarray(t) >= 0)
        return jnp.where(valid, g, jnp.nan)

    def read_variance(
        self, cells: Cells, t: Float[Array, ""] | float, bandwidth: Float[Array, ""] | float
    ) -> Float[Array, "*cells"]:
        """Variance [S^2] of one read with noise bandwidth [Hz] (1/(2 integration time)), `t` [s] after the cells were
        returned."""
        g, cells = self.conductance(cells, t), cells.whole()
        return self.read_noise(g, cells.read_noise, self._age(cells, t), jnp.asarray(bandwidth, g.dtype))

    def trace(
        self,
        cells: Cells,
        duration: float,
        rate: float,
        *,
        key: PRNGKeyArray,
        t: Float[Array, ""] | float = 0.0,
    ) -> Float[Array, "points *cells"]:
        """Conductance [S] of the cells in consecutive reads: a time series, for a spectrum or a histogram.

        Args:
            duration: of the series [s]. rate: reads per second [Hz]. t: time of the first read after the cells were
                returned [s]; drift during the series is left out.

        Raises:
            ValueError: unless there are two reads or more.
        """
        points = round(duration * rate)
        if points < 2:
            raise ValueError(f"Device.trace: {duration:g} s at {rate:g} Hz is {points} reads; two or more are needed.")
        g, age, cells = self.conductance(cells, t), self._age(cells, t), cells.whole()
        return g[None] + self.read_noise.trace(
            g, cells.read_noise, age, jnp.asarray(rate, g.dtype), points=points, key=key
        )

    def _age(self, cells: Cells, t: Float[Array, ""] | float) -> Float[Array, "*#cells"]:
        """Time [s] since each cell's own last write, `t` [s] after the cells were returned."""
        t = jnp.asarray(t, cells.g.dtype)
        return t if cells.age is None else cells.age + t

    def _written(self, old: Cells, fresh: Cells, hit: Any, writes: Any, t: Any) -> Cells:
        """The `fresh` cells where `hit`, the `old` ones elsewhere, older by `t` [s]; and `writes` more write cycles."""
        shape = old.g.shape
        if not isinstance(hit, Tracer) and np.all(hit):
            written, age = fresh, jnp.zeros(shape, old.g.dtype)
        else:
            hit = jnp.broadcast_to(jnp.asarray(hit), shape)
            written = chosen(hit, undated(fresh), undated(old))
            age = jnp.where(hit, 0, self._age(old, t))
        if old.age is None and not self._has_clock:
            age = None
        faults = self.faults.worn(old.faults, jnp.asarray(writes))
        return dataclasses.replace(written, faults=faults, age=age)

    @property
    def _has_clock(self) -> bool:
        """Whether anything depends on how old cells are."""
        return not (self.drift.timeless and self.read_noise.timeless)

    @property
    def has_read_noise(self) -> bool:
        """Whether reads differ from each other, so that a read needs a key."""
        return not self.read_noise.silent

    @property
    def first_time(self) -> float:
        """The earliest time after programming [s] that the device's data describe."""
        return 0.0 if self.provenance.times is None else self.provenance.times[0]

    def time_is_valid(self, t: Float[Array, "*any"]) -> Bool[Array, "*any"]:
        """Whether the device's data reach `t` [s] after a write."""
        if self.provenance.times is None:
            return t >= 0
        return jnp.any(jnp.isclose(t[..., None], jnp.asarray(self.provenance.times, t.dtype), rtol=1e-5), -1)

    def check_time(self, t: Float[Array, ""] | float, age: Float[Array, "*cells"] | None = None) -> None:
        """Raises ValueError if a concrete `t` [s] is one that the device's data do not reach, for cells of an `age` [s]."""
        if isinstance(t, Tracer):
            return
        check_seconds(t)
        times, span = self.provenance.times, self.provenance.span
        if isinstance(age, Tracer) or (times is None and span is None):
            return
        seconds = np.atleast_1d(np.asarray(t, float) + (0.0 if age is None else np.asarray(age, float)))
        if times is not None:
            bad = ~np.any([np.isclose(seconds, s, rtol=1e-5) for s in times], axis=0)
            if bad.any():
                own = "" if age is None else f", {seconds[bad].ravel()[0]:g} s after a cell's last write"
                raise ValueError(
                    f"t={t} s{own}: {self.provenance.name} was measured at {', '.join(f'{x:g}' for x in times)} s only, "
                    "and nothing is known in between or beyond. Use one of these times, or a device with a drift law."
                )
        self.warn_beyond(t=float(seconds.max(initial=0.0)))

    def extrapolates(self, t: float | None = None, v: float | None = None) -> str | None:
        """A sentence if the device is used beyond its data: `t` [s] after programming, or read at `v` [V]; None if within."""
        about, said = self.provenance, []
        if t is not None and about.span is not None and t > about.span[1] * (1 + 1e-6):
            said.append(f"t = {t:g} s is beyond the {about.span[1]:g} s that its data reach")
        if v is not None and about.volts is not None and abs(v) > about.volts * (1 + 1e-6):
            said.append(f"{abs(v):g} V is beyond the {about.volts:g} V that its data reach")
        return f"{about.name} extrapolates: {' and '.join(said)}." if said else None

    def warn_beyond(self, *, t: float | None = None, v: float | None = None) -> None:
        """Warns, once per device for times and once for voltages, if it is used beyond its data."""
        for kind, said in (("time", self.extrapolates(t=t)), ("voltage", self.extrapolates(v=v))):
            if said and (self.provenance, kind) not in _WARNED:
                _WARNED.add((self.provenance, kind))
                warnings.warn(said, stacklevel=4)

    def _check_target(self, target) -> None:
        if isinstance(target, Tracer) or isinstance(self.g_max, Tracer) or not target.size:
            return
        low, high, slack = float(self.g_min), float(self.g_max), 1e-5 * float(self.g_max)
        worst = np.asarray(target, float)
        bad = ~np.isfinite(worst) | (worst < low - slack) | (worst > high + slack)
        if bad.any():
            raise ValueError(
                f"Device.program: target holds {worst[bad].ravel()[0]:g} S ({int(bad.sum())} of {bad.size} cells), "
                f"outside this device's range {low:g} .. {high:g} S. Scale or clip the targets first."
            )


def check_seconds(t: Float[Array, ""] | float) -> None:
    if isinstance(t, Tracer):
        return
    seconds = np.asarray(t, float)
    if not np.all(np.isfinite(seconds)) or np.any(seconds < 0):
        raise ValueError(
            f"t={t} s: time since programming (or the last pulse) must be a finite number of seconds >= 0."
        )


def not_above(x: Any, n: Num[Array, "*cells"], most: int) -> Any:
    """`x`; a RuntimeError where a cell gets more pulses than `most`."""
    wrong = jnp.any(jnp.abs(n) > most)
    return eqx.error_if(x, wrong, f"Device.pulse: a cell gets more pulses than most={most} allows.")


def most_pulses(n: Num[Array, "*cells"] | int) -> int:
    """The largest number of pulses to any cell, where these numbers are known.

    Raises:
        ValueError: for traced numbers, or some that are not whole.
    """
    if isinstance(n, Tracer):
        raise ValueError(
            "Device.pulse: n is traced (inside jit, vmap or grad), so give most=, the largest number of pulses."
        )
    counts = np.asarray(n)
    if not np.all(np.isfinite(counts) & (counts == np.round(counts))):
        raise ValueError("Device.pulse: n must be whole numbers of pulses, positive up and negative down.")
    return int(np.max(np.abs(counts), initial=0))
