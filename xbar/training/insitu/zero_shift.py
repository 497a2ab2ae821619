"""Zero shifting: the symmetry point of every cell is found by pulses and written to a reference, so that it reads zero."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import PRNGKeyArray

from devices._numerics import safe_sqrt
from devices.random import unit_normals
from xbar.macro.state import ProgrammedArray
from xbar.training.insitu.site import ByWeight, Pulses, Site


def shifted(site: Site, array: ProgrammedArray, pulses: int, key: PRNGKeyArray) -> ProgrammedArray:
    """The array after `pulses` pulses up and as many down, in turn, with each reference programmed to where its cell ended.

    Every pulse pair moves a cell towards the conductance at which both steps are equal: with soft bounds by a share `s
    / w` of the distance, w the distance to a bound. What is left is that distance after this many pairs, half a step,
    the noise of pulses about it (`sigma sqrt(w / 2 s)` for steps with noise sigma), of the read, and the error of
    writing the reference.

    Reference: Kim et al. 2019, "Zero-shifting technique for deep neural network training on resistive cross-point arrays",
    arXiv:1907.10228 (recalled, not read).

    Breaks when: steps are the same in both directions everywhere: there is no point, and cells stay where they are.
    """
    up_key, down_key, read, write = jax.random.split(key, 4)
    cells = jnp.arange(array.cells.g.shape[0]).reshape(-1, *(1,) * 5)
    one = jnp.broadcast_to((cells == 0).astype(jnp.float32), array.cells.g.shape)
    none, now = jnp.zeros_like(one), jnp.zeros(())

    def pair(array: ProgrammedArray, i):
        for n, k in ((Pulses(one, none, cells=(0,)), up_key), (Pulses(none, one, cells=(0,)), down_key)):
            array, _ = site.pulse(array, n, now, jax.random.fold_in(k, i), 1)
        return array, None

    array, _ = lax.scan(pair, array, jnp.arange(pulses))
    device = site.tile.device
    g = device.conductance(array.cells, now)
    seen = g
    if device.has_read_noise:
        seen = g + safe_sqrt(device.read_variance(array.cells, now, site.tile.bandwidth)) * unit_normals(read, g)
    references = jnp.broadcast_to(cells == 1, g.shape)
    array, _ = site.rewrite(array, jnp.broadcast_to(seen[:1], g.shape), references, now, write)
    return array


def offset(site: Site, array: ProgrammedArray) -> ByWeight:
    """What a weight reads when its cell is at its symmetry point [S]: the error of its reference."""
    law: Any = site.tile.device.update
    point = law.cell_law(array.cells.update).symmetry_point(array.cells.g)
    at_point = eqx.tree_at(lambda a: a.cells.g, array, array.cells.g.at[0].set(point[0]))
    return site.net(at_point, jnp.zeros(()))
