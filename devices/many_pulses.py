"""Many pulses in one step: the mean effect of a train, and its accumulated noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Num, PRNGKeyArray

from devices._checks import Whole
from devices.base import AbstractPulseUpdate
from devices.device import Device
from devices.random import unit_normals
from devices.steps import AbstractStep, mean_after
from devices.updates import PulseHeat, PulseLatents, PulseUpdate


class ManyAtOnce(AbstractPulseUpdate):
    """`n` pulses in one step, at a cost that does not depend on `n`.

    $$ g' = \\mathrm{clip}\\bigl(A_n(g) + \\sqrt{n}\\,\\sigma(g)\\,\\xi\\bigr) $$

    with `A_n` the law's closed form, where it has one, and midpoint steps elsewhere.

    Args:
        update: the law pulse by pulse. parts: number of midpoint steps per train.

    Raises:
        ValueError: for correlated pulses (`CycleNoise(correlation=...)`).

    Exact in distribution for constant steps away from the bounds. Elsewhere the spread of a train has a relative error
    of `n s / (2 w)`, s the step and w the distance over which it changes by as much as itself; a train is clipped only
    once.

    Breaks when: a train crosses much of the range.
    """

    update: PulseUpdate
    parts: int = eqx.field(static=True, converter=Whole(1, 1000, advice="1 will do for short trains."), default=1)

    def __check_init__(self):
        pulses = self.update.pulses if isinstance(self.update, PulseUpdate) else None
        rho = None if pulses is None else pulses.correlation
        if isinstance(rho, jax.Array) and not isinstance(rho, Tracer) and np.any(np.asarray(rho) != 0):
            raise ValueError(
                "ManyAtOnce: pulses of this device are correlated (CycleNoise(correlation=...)), and a train of them "
                "is not a sum of independent ones. Apply them one by one."
            )

    @property
    def law(self) -> AbstractStep:
        """The mean step."""
        return self.update.law

    @property
    def heat(self) -> PulseHeat | None:
        """What one pulse dissipates; None: `V^2 g t`."""
        return self.update.heat

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> PulseLatents:
        return self.update.latents(programmed, key=key)

    def rewritten(self, z: PulseLatents, g: Float[Array, "*cells"]) -> PulseLatents:
        return self.update.rewritten(z, g)

    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: PulseLatents,
        n: Num[Array, "*#cells"],
        *,
        key: PRNGKeyArray | None,
        most: int,
    ) -> tuple[Float[Array, "*cells"], Any]:
        pulses, write_noise = self.update.pulses, self.update.write_noise
        self.update.check_key(key)
        law, n = self.update.cell_law(z), jnp.broadcast_to(n, g.shape).astype(g.dtype)
        hidden = g if z.offset is None else g - z.offset
        moved = mean_after(law, hidden, n, self.parts)
        if pulses is not None and key is not None:
            step = jnp.where(n > 0, law.up(hidden), law.down(hidden))
            noise = jnp.sqrt(jnp.abs(n)) * pulses.spread(hidden, step)
            moved = law.clip(moved + noise * unit_normals(jax.random.fold_in(key, 0), g))
        hidden = jnp.where(n == 0, hidden, jnp.maximum(moved, 0))
        if write_noise is None or z.offset is None or key is None:
            return hidden, PulseLatents(z.normals, z.xi, z.offset)
        fresh = write_noise * unit_normals(jax.random.fold_in(key, 1), g)
        offset = jnp.where(n == 0, z.offset, jnp.maximum(fresh, -hidden))
        return hidden + offset, PulseLatents(z.normals, z.xi, offset)

    def on_average(
        self, g: Float[Array, "*cells"], z: PulseLatents, n: Float[Array, "*cells"]
    ) -> Float[Array, "*cells"]:
        """Conductance [S] that `n` pulses lead to without their noise, `n` any real number."""
        return self.update.on_average(g, z, n)


def at_once(device: Device) -> Device:
    """The device with `ManyAtOnce` for its pulses, where they can be taken together; unchanged otherwise."""
    update = device.update
    exact = isinstance(update, PulseUpdate) and update.pulses is None and update.law.closed_form
    if not isinstance(update, PulseUpdate) or exact:
        return device
    return dataclasses.replace(device, update=ManyAtOnce(update))
