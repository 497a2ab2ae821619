"""Pulse updates: a step law, how cells differ in it, and what is different from one pulse to the next."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Num, PRNGKeyArray

from devices._checks import Checked, Number, at_least_0, same_length, siemens, signed_siemens
from devices._numerics import between_nodes
from devices.base import AbstractPulseUpdate
from devices.random import unit_normals
from devices.steps import AbstractStep, mean_after


@dataclasses.dataclass(frozen=True)
class Spreads:
    """A converter for fields of standard deviations, by the name of what varies."""

    number: Number = at_least_0

    def __call__(self, value: Any) -> Any:
        return {str(k): self.number(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    def check(self, where: str, value: Any) -> None:
        """Raises unless there is a number for each name."""
        if not isinstance(value, Mapping):
            raise TypeError(f'{where} is {value!r}; it takes standard deviations by name, such as {{"g_max": 2e-6}}.')
        for name, spread in value.items():
            self.number.check(f"{where}[{name!r}]", spread)


class CellSpread(Checked):
    """How the cells of a chip differ in their step law.

    With unit normals z of each cell and `s` the larger of the two mean steps:

    $$ s_\\pm' = |s_\\pm + s\\,(\\epsilon \\pm \\sigma_b z_b)|, \\quad
       \\epsilon = \\sigma_s z_s \\text{ or } e^{\\sigma_s z_s} - 1, \\qquad p' = p + \\sigma_p z_p $$

    Args:
        step: `sigma_s`, relative spread of the steps, common to both directions. log_normal: whether it is of their logarithm.
        balance: `sigma_b`, relative spread between the directions.
        others: standard deviations of other parameters of the law by name, in their own units: `{"g_max": 2e-6}`.

    Reference: the form of aihwkit 1.2.0, `PulsedDevice` (MIT licence).

    Breaks when: parameters are correlated from cell to cell; they are drawn independently here.
    """

    step: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    balance: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    others: Mapping[str, Float[Array, ""]] = eqx.field(converter=Spreads(), default_factory=dict)
    log_normal: bool = eqx.field(static=True, default=False)

    def draw(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "*cells"]]:
        """Unit normals of each cell, by the name of what they vary."""
        names = ["step", "balance", *sorted(self.others)]
        keys = jax.random.split(key, len(names))
        return {name: unit_normals(k, like) for name, k in zip(names, keys, strict=True)}

    def apply(self, law: AbstractStep, z: Mapping[str, Float[Array, "*cells"]]) -> AbstractStep:
        """The law of each cell: parameters become arrays over cells."""
        for name, spread in self.others.items():
            where = functools.partial(_attribute, name=name)
            law = eqx.tree_at(where, law, where(law) + spread * z[name])
        base: Any = _innermost(law)
        if not hasattr(base, "step_up"):
            return law  # `PulseUpdate` has refused a spread of steps for such a law
        nominal = jnp.maximum(base.step_up, base.step_down)
        gain = jnp.expm1(self.step * z["step"]) if self.log_normal else self.step * z["step"]
        tilt = self.balance * z["balance"]
        steps = jnp.abs(base.step_up + nominal * (gain + tilt)), jnp.abs(base.step_down + nominal * (gain - tilt))
        return eqx.tree_at(lambda l: (_innermost(l).step_up, _innermost(l).step_down), law, steps)


def _attribute(law, name):
    return functools.reduce(getattr, name.split("."), law)


def _innermost(law):
    return _innermost(law.law) if hasattr(law, "law") else law


class CycleNoise(Checked):
    """How one pulse differs from the next.

    $$ \\sigma = \\sigma_r |\\Delta g| + \\sigma_a + \\sigma_g |g - g_0|, \\qquad \\Delta g' = \\Delta g + \\sigma \\xi_k,
       \\qquad \\xi_k = \\rho\\,\\xi_{k-1} + \\sqrt{1 - \\rho^2}\\,\\epsilon_k $$

    Args:
        relative: `sigma_r`. additive: `sigma_a` [S]. slope: `sigma_g`. g_zero: `g_0` [S].
        correlation: rho, of one pulse with the next; 0 for independent pulses.
    """

    relative: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    additive: Float[Array, ""] = eqx.field(converter=siemens, default=0.0)
    slope: Float[Array, ""] = eqx.field(converter=at_least_0, default=0.0)
    g_zero: Float[Array, ""] = eqx.field(converter=signed_siemens, default=0.0)
    correlation: Float[Array, ""] = eqx.field(converter=Number(low=-1.0, high=1.0), default=0.0)

    def spread(self, g: Float[Array, "*cells"], step: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Standard deviation [S] of a step of mean `step` [S] at `g` [S]."""
        return self.relative * jnp.abs(step) + self.additive + self.slope * jnp.abs(g - self.g_zero)

    def advance(self, xi: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        """The unit normal of the next pulse."""
        fresh = unit_normals(key, xi)
        return self.correlation * xi + jnp.sqrt(1 - self.correlation**2) * fresh


class PulseHeat(Checked):
    """What one pulse dissipates at every conductance: `integral of v i dt`, linear between equidistant nodes.

    Args:
        joules_up, joules_down: of a pulse that makes the cell more, and less, conductive, at the nodes [J].
        g_min, g_max: range of the nodes [S].

    Breaks when: the conductance leaves the range (the end nodes are used there), or pulses differ from each other: the
    table describes their mean course.
    """

    joules_up: Float[Array, " nodes"] = eqx.field(converter=at_least_0.but(unit="J"))
    joules_down: Float[Array, " nodes"] = eqx.field(converter=at_least_0.but(unit="J"))
    g_min: Float[Array, ""] = eqx.field(converter=siemens)
    g_max: Float[Array, ""] = eqx.field(converter=siemens)

    def __check_init__(self):
        same_length(self, "joules_up", "joules_down")

    def __call__(self, g: Float[Array, "*cells"], n: Num[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Heat [J] of `n` pulses (up if positive) to cells of conductance `g` [S], each counted as the first."""
        up, down = (
            between_nodes(j.astype(g.dtype), g, self.g_min, self.g_max) for j in (self.joules_up, self.joules_down)
        )
        return jnp.abs(n) * jnp.where(n > 0, up, down)


class PulseLatents(eqx.Module):
    """The latents of a pulsed cell.

    Args:
        normals: unit normals of the cell's own parameters. xi: the last pulse's unit normal.
        offset: what the last write added to the cell's hidden conductance [S].
    """

    normals: dict[str, Float[Array, "*cells"]]
    xi: Float[Array, "*cells"] | None
    offset: Float[Array, "*cells"] | None


class PulseUpdate(AbstractPulseUpdate):
    """A step law with spread between cells, noise between pulses, and write noise.

    After each pulse the hidden conductance `h` is `clip(h +- step(h) + noise)`; the visible one, `h` plus write noise,
    is drawn again by each call. Neither goes below 0 S.

    Args:
        law: mean step at every conductance.
        cells: how cells differ; None: not at all. pulses: how pulses differ; None: not at all.
        write_noise: standard deviation [S] of the visible conductance around the hidden one; None: both are the same.
        heat: what a pulse dissipates; None: `V^2 g t`, with the voltage and duration given where energy is asked for.

    Raises:
        ValueError: if the spread is of a parameter, or of steps, that the law does not have.

    Many pulses are applied by one formula if the law has one and pulses do not differ, by a scan over pulses otherwise.

    Breaks when: pulses of different amplitude or width are mixed (a law is for one pulse shape).
    """

    law: AbstractStep
    cells: CellSpread | None = None
    pulses: CycleNoise | None = None
    write_noise: Float[Array, ""] | None = eqx.field(converter=siemens.but(optional=True), default=None)
    heat: PulseHeat | None = None

    def __check_init__(self):
        if self.cells is not None and not isinstance(self.cells, CellSpread):
            return  # refused by what every law checks
        if self.cells is not None and not hasattr(_innermost(self.law), "step_up"):
            spreads = (self.cells.step, self.cells.balance)
            if not all(isinstance(s, jax.Array) and not isinstance(s, Tracer) and not s.any() for s in spreads):
                raise ValueError(
                    f"CellSpread: {type(self.law).__name__} has no step_up and step_down for step= or balance= to vary. Name "
                    "its own parameters in others=."
                )
        for name in () if self.cells is None else self.cells.others:
            try:
                _attribute(self.law, name)
            except AttributeError:
                there = [f.name for f in dataclasses.fields(self.law)]
                inner: Any = getattr(self.law, "law", None)
                if inner is not None:
                    there += [f"law.{f.name}" for f in dataclasses.fields(inner)]
                raise ValueError(
                    f"CellSpread: {type(self.law).__name__} has no parameter {name!r} to vary; it has {', '.join(there)}."
                ) from None

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> PulseLatents:
        first, last = jax.random.split(key)
        return PulseLatents(
            normals={} if self.cells is None else self.cells.draw(programmed, key=first),
            xi=None if self.pulses is None else unit_normals(last, programmed),
            offset=None if self.write_noise is None else jnp.zeros_like(programmed),
        )

    def rewritten(self, z: PulseLatents, g: Float[Array, "*cells"]) -> PulseLatents:
        return PulseLatents(z.normals, z.xi, None if z.offset is None else jnp.zeros_like(g))

    def check_key(self, key: PRNGKeyArray | None) -> None:
        """Raises ValueError without a key for pulses that differ from each other."""
        if key is None and (self.pulses is not None or self.write_noise is not None):
            raise ValueError(
                "pulses of this device differ from each other. Give a key: pulse(..., key=jax.random.key(0))."
            )

    def cell_law(self, z: PulseLatents) -> AbstractStep:
        """The step law of each cell."""
        return self.law if self.cells is None else self.cells.apply(self.law, z.normals)

    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: PulseLatents,
        n: Num[Array, "*#cells"],
        *,
        key: PRNGKeyArray | None,
        most: int,
    ) -> tuple[Float[Array, "*cells"], PulseLatents]:
        self.check_key(key)
        law, n = self.cell_law(z), jnp.broadcast_to(n, g.shape).astype(g.dtype)
        hidden = g if z.offset is None else g - z.offset
        if law.closed_form and self.pulses is None:
            hidden = jnp.where(n == 0, hidden, jnp.maximum(law.after(hidden, n), 0))
            xi = z.xi
        else:
            hidden, xi = self._one_by_one(law, hidden, z.xi, n, key, most)
        if self.write_noise is None or z.offset is None or key is None:
            return hidden, PulseLatents(z.normals, xi, z.offset)
        fresh = self.write_noise * unit_normals(jax.random.fold_in(key, 1), g)
        offset = jnp.where(n == 0, z.offset, jnp.maximum(fresh, -hidden))
        return hidden + offset, PulseLatents(z.normals, xi, offset)

    def on_average(
        self, g: Float[Array, "*cells"], z: PulseLatents, n: Float[Array, "*cells"]
    ) -> Float[Array, "*cells"]:
        """Conductance [S] that `n` pulses lead to without their noise, `n` any real number."""
        hidden = g if z.offset is None else g - z.offset
        moved = mean_after(self.cell_law(z), hidden, n, parts=8)
        return g + jnp.where(n == 0, 0, jnp.maximum(moved, 0) - hidden)

    def _one_by_one(self, law, hidden, xi, n, key, most):
        keys = None if self.pulses is None else jax.random.split(jax.random.fold_in(key, 0), most)
        longest = jnp.max(jnp.abs(n), initial=0)

        def pulse(g, xi, k, key):
            step = jnp.where(n > 0, law.up(g), -law.down(g))
            if self.pulses is not None:
                fresh = self.pulses.advance(xi, key=key)
                step = step + self.pulses.spread(g, step) * fresh
                xi = jnp.where(k < jnp.abs(n), fresh, xi)
            return jnp.where(k < jnp.abs(n), jnp.maximum(law.clip(g + step), 0), g), xi

        def next_(carry, at):  # a scan, which has derivatives; the pulses that no cell gets are passed over
            return lax.cond(at[0] < longest, lambda: pulse(*carry, *at), lambda: carry), None

        (hidden, xi), _ = lax.scan(next_, (hidden, xi), (jnp.arange(most, dtype=n.dtype), keys), length=most)
        return hidden, xi
