"""The cost of writing weight matrices: pulses, verifying reads and joules, for the same cells that programming
makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from devices._checks import Checked, at_least_0, positive_seconds, seconds, volts
from devices.updates import PulseHeat
from devices.write_verify import WriteVerify
from xbar.macro.programming import AT_ONCE, Job, encoded


class AssumedWrites(Checked):
    """The assumed cost of writing a cell, where its device does not say.

    Args:
        pulses, reads: of each cell. v_write, v_read: of a pulse and of a verifying read [V]. width, t_read: durations [s].
    """

    pulses: Float[Array, ""] = eqx.field(converter=at_least_0)
    reads: Float[Array, ""] = eqx.field(converter=at_least_0)
    v_write: Float[Array, ""] = eqx.field(converter=volts)
    width: Float[Array, ""] = eqx.field(converter=positive_seconds)
    v_read: Float[Array, ""] = eqx.field(converter=volts, default=0.2)
    t_read: Float[Array, ""] = eqx.field(converter=seconds, default=1e-6)


class Writes(eqx.Module):
    """Sums over all cells of one layer.

    Args:
        cells: written. pulses_up, pulses_down, reads: how many in all. joules: heat in the cells [J]. refused: cells that were
            given up. assumed: whether they were assumed rather than counted.
    """

    cells: Float[Array, ""]
    pulses_up: Float[Array, ""]
    pulses_down: Float[Array, ""]
    reads: Float[Array, ""]
    joules: Float[Array, ""]
    refused: Float[Array, ""]
    assumed: bool = eqx.field(static=True, default=False)


def writes_of(jobs: Sequence[Job], assumed: AssumedWrites | None = None) -> list[Writes]:
    """What programming these matrices takes. Write-verify loops run again with the keys that programming gives them, so that
    pulses and reads are those that were really sent; padding of tiles is written, too.

    Raises:
        ValueError: for a device that gives how far cells land from their targets but not what that takes, if nothing is
            assumed.
    """
    return _all_writes(list(jobs), assumed)


@jax.jit
def _all_writes(jobs: list[Job], assumed: AssumedWrites | None) -> list[Writes]:
    return [_writes(job, assumed) for job in jobs]


def _writes(job: Job, assumed: AssumedWrites | None) -> Writes:
    law = job.tile.device.programming
    encode = lambda w, key: encoded(job.tile, w, key)  # noqa: E731
    for _ in job.w.shape[:-3]:
        encode = jax.vmap(encode)
    targets, keys = encode(job.w, job.key)
    lines, keys = targets.reshape(-1, targets.shape[-1]), keys.reshape(-1)
    if isinstance(law, WriteVerify):
        return _verified(law, lines, keys)
    if assumed is None:
        name = job.tile.device.provenance.name
        raise ValueError(
            f"programming: {name} says how far cells land from their targets ({type(law).__name__}), but not how many "
            "pulses that takes. Use a device whose programming= is a devices.write_verify.WriteVerify, or give "
            "assumed=xbar.energy.AssumedWrites(pulses=20, reads=20, v_write=1.75, width=8.52e-6), with your numbers."
        )
    total, number = jnp.sum(lines), jnp.asarray(float(lines.size))
    joules = total * (
        assumed.pulses * assumed.v_write**2 * assumed.width + assumed.reads * assumed.v_read**2 * assumed.t_read
    )
    none = jnp.zeros(())
    return Writes(number, number * assumed.pulses, none, number * assumed.reads, joules, none, True)


def pulse_writes(
    g: Float[Array, "*cells"],
    n: Num[Array, "*#cells"],
    v_up: ArrayLike,
    v_down: ArrayLike,
    width: ArrayLike,
    heat: PulseHeat | None = None,
) -> Writes:
    """What `n` pulses (up if positive) to cells of conductance `g` [S] take, at the conductance before: |n| V^2 g width each,
    or as `heat` gives it.

    Breaks when: a train changes the conductance by much; then give it in parts.
    """
    n = jnp.broadcast_to(n, g.shape).astype(g.dtype)
    up, down = jnp.maximum(n, 0), jnp.maximum(-n, 0)
    joules = pulse_joules(g, up, down, v_up, v_down, width, heat)
    none = jnp.zeros((), g.dtype)
    return Writes(jnp.sum(jnp.abs(jnp.sign(n))), jnp.sum(up), jnp.sum(down), none, joules, none)


def pulse_joules(
    g: Float[Array, "*cells"],
    up: Float[Array, "*cells"],
    down: Float[Array, "*cells"],
    v_up: ArrayLike,
    v_down: ArrayLike,
    width: ArrayLike,
    heat: PulseHeat | None,
) -> Float[Array, ""]:
    """Heat of all pulses in the cells [J], each at the conductance before: `V^2 g width`, or that of the law `heat`."""
    if heat is None:
        return jnp.sum((up * jnp.square(v_up) + down * jnp.square(v_down)) * g) * jnp.asarray(width)
    return jnp.sum(heat(g, up) + heat(g, -down))


def _verified(law: WriteVerify, lines: Float[Array, "lines cells"], keys: Any) -> Writes:
    """Sums over the loops of all word lines, some of them at a time."""

    def one(at: Any) -> Writes:
        line, key = at
        found = law.write(line, key=jax.random.split(key, 4)[0])  # as `Device.program` does
        total = lambda x: jnp.sum(x.astype(line.dtype))  # noqa: E731
        return Writes(
            cells=jnp.asarray(float(line.size)),
            pulses_up=total(found.pulses_up),
            pulses_down=total(found.pulses_down),
            reads=total(found.reads),
            joules=total(found.energy),
            refused=total(~found.accepted),
        )

    together = max(1, AT_ONCE // lines.shape[-1])
    return jax.tree.map(jnp.sum, lax.map(one, (lines, keys), batch_size=together))
