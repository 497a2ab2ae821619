"""A GPU on the same network: time and energy from the roofline."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from xbar.energy.units import as_float, engineering

HBM_ENERGY = 3.9e-12  # [J/bit] HBM2 device: [R] CACTI tables; primary O'Connor, MICRO 2017 [L]
PATH_ENERGY = 21e-12  # [J/bit] DRAM to L2 on an older GPU, restated by a third party [3]
LAUNCH_TIME = 5e-6  # [s] one kernel launch [L]
CACHE_NOTE = "weights come from memory once a batch; those that fit the last-level cache could stay there"


class GPU(eqx.Module):
    """Constants of one accelerator.

    Args:
        name: for tables.
        peak: dense operations per second by precision [1/s].
        bandwidth: memory bandwidth [B/s].
        tdp: board power [W].
        idle: power drawn without work [W].
        hbm_energy: energy of the memory device itself [J/bit].
        cache: last-level cache [B].
        notes: recalled constants.
    """

    name: str = eqx.field(static=True)
    peak: dict[str, Array] = eqx.field(converter=lambda peak: {k: as_float(v) for k, v in peak.items()})
    bandwidth: Float[Array, "*_"] = eqx.field(converter=as_float)
    tdp: Float[Array, "*_"] = eqx.field(converter=as_float)
    idle: Float[Array, "*_"] = eqx.field(converter=as_float)
    hbm_energy: Float[Array, "*_"] = eqx.field(converter=as_float)
    cache: Float[Array, "*_"] = eqx.field(converter=as_float)
    notes: tuple[str, ...] = eqx.field(static=True, default=())

    def peak_of(self, precision: str) -> Array:
        """Dense peak [op/s] at a precision."""
        if precision not in self.peak:
            raise ValueError(f"precision = {precision!r}: {self.name} has {', '.join(self.peak)}")
        return self.peak[precision]

    def operation_energy(self, precision: str) -> Array:
        """Energy per operation [J]: e_op = (P_tdp - P_idle - P_hbm) / P_peak, memory at full bandwidth."""
        return (self.tdp - self.idle - 8.0 * self.hbm_energy * self.bandwidth) / self.peak_of(precision)


def h100_sxm() -> GPU:
    """NVIDIA H100 SXM: [R] copies of the data sheet at glennklockwood.com and hpctech; idle power [L]."""
    peak = {"fp32": 66.9e12, "tf32": 494.7e12, "fp16": 989.4e12, "fp8": 1978.9e12, "int8": 1978.9e12}
    notes = ("H100 SXM: idle power 70 W and launch time 5 us are recalled [L]",)
    return GPU("H100 SXM", peak, 3.35e12, 700.0, 70.0, HBM_ENERGY, 50e6, notes)


def a100_sxm() -> GPU:
    """NVIDIA A100 SXM: all recalled [L]; idle power assumed a tenth of the board power, as on the H100."""
    peak = {"fp16": 312e12, "int8": 624e12}
    return GPU("A100 SXM", peak, 2.04e12, 400.0, 40.0, HBM_ENERGY, 40e6, ("A100 SXM: all constants recalled [L]",))


class Roofline(eqx.Module):
    """Time and energy of one inference, the mean over a batch; launches are kept apart.

    Args:
        time: arithmetic or memory time, whichever is longer [s].
        launch_time: kernel launches [s].
        idle: idle power over `time` [J].
        launch: idle power over `launch_time` [J].
        arithmetic: operations [J].
        memory: bytes moved [J].
        memory_bound: whether the memory sets `time`.
        batch: inferences in the batch.
        gpu: name of the accelerator.
        precision: number format.
        notes: recalled constants and assumptions.
    """

    time: Float[Array, "*_"]
    launch_time: Float[Array, "*_"]
    idle: Float[Array, "*_"]
    launch: Float[Array, "*_"]
    arithmetic: Float[Array, "*_"]
    memory: Float[Array, "*_"]
    memory_bound: Bool[Array, "*_"]
    batch: Float[Array, "*_"]
    gpu: str = eqx.field(static=True)
    precision: str = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def energy(self) -> Float[Array, "*_"]:
        """Energy per inference with kernel launches [J]."""
        return self.energy_without_launch + self.launch

    @property
    def energy_without_launch(self) -> Float[Array, "*_"]:
        """Energy per inference if launches cost nothing, as in a fused network [J]."""
        return self.idle + self.arithmetic + self.memory

    def __str__(self) -> str:
        if self.time.ndim:
            return f"{self.gpu} {self.precision}: {self.time.size} rooflines"
        bound = "memory" if self.memory_bound else "arithmetic"
        parts = [f"{name} {engineering(float(getattr(self, name)), 'J')}" for name in _PARTS]
        return (
            f"{self.gpu} {self.precision}, batch {float(self.batch):g}: "
            f"{engineering(float(self.energy), 'J')} per inference, {bound} bound\n  ({', '.join(parts)})"
        )


_PARTS = ("arithmetic", "memory", "idle", "launch")


def roofline(
    ops: ArrayLike,
    weight_bytes: ArrayLike,
    activation_bytes: ArrayLike,
    kernels: ArrayLike,
    *,
    gpu: GPU,
    batch: ArrayLike = 1,
    precision: str = "int8",
    compute_utilisation: ArrayLike = 0.5,
    memory_utilisation: ArrayLike = 0.8,
    memory_energy: ArrayLike = 9.05e-12,
    launch_time: ArrayLike = LAUNCH_TIME,
) -> Roofline:
    """Time and energy per inference of a network on a GPU.

        t = max(F / (u_c P), B / (u_m BW)) + n t_launch,    E = P_idle t + e_op F + e_mem B

    with F = batch * ops and B = weight_bytes + batch * activation_bytes; e_op is such that dense arithmetic
    at peak with the memory at full rate draws the board power.

    Args:
        ops: operations of one inference, two per MAC (`Work.total`).
        weight_bytes: weights, read once a batch [B].
        activation_bytes: memory traffic of one inference besides the weights [B].
        kernels: kernels launched a batch.
        gpu: `h100_sxm()`, `a100_sxm()` or another.
        batch: inferences that share one pass over the weights.
        precision: key of `gpu.peak`.
        compute_utilisation: u_c; 0.35-0.7 is usual.
        memory_utilisation: u_m.
        memory_energy: e_mem [J/bit]: 3.9e-12 (device) to 21e-12 (path to L2); default: geometric mean.
        launch_time: per kernel [s].

    Returns:
        `Roofline`, per inference.

    Breaks when: weights stay in the last-level cache (up to 50 MB on an H100): their traffic then vanishes
    after the first batch; a note says so. A high e_mem at the ridge can imply more than the board power.
    """
    batch, per_byte = as_float(batch), 8.0 * as_float(memory_energy)
    operations, traffic = batch * ops, weight_bytes + batch * activation_bytes
    compute = operations / (compute_utilisation * gpu.peak_of(precision))
    stream = traffic / (memory_utilisation * gpu.bandwidth)
    time, launches = jnp.maximum(compute, stream), as_float(kernels) * launch_time
    return Roofline(
        time=time / batch,
        launch_time=launches / batch,
        idle=gpu.idle * time / batch,
        launch=gpu.idle * launches / batch,
        arithmetic=gpu.operation_energy(precision) * operations / batch,
        memory=per_byte * traffic / batch,
        memory_bound=jnp.greater(stream, compute),
        batch=batch,
        gpu=gpu.name,
        precision=precision,
        notes=(
            *gpu.notes,
            CACHE_NOTE,
        ),
    )


def roofline_range(*args: Any, **kwargs: Any) -> tuple[Roofline, Roofline, Roofline]:
    """Low, middle and high roofline: u_c 0.7 and 3.9 pJ/bit; the defaults; u_c 0.35 and 21 pJ/bit.

    Takes the arguments of `roofline` except `compute_utilisation` and `memory_energy`.
    """
    low = roofline(*args, compute_utilisation=0.7, memory_energy=HBM_ENERGY, **kwargs)
    high = roofline(*args, compute_utilisation=0.35, memory_energy=PATH_ENERGY, **kwargs)
    return low, roofline(*args, **kwargs), high


def ridge_batch(
    ops: ArrayLike,
    weight_bytes: ArrayLike,
    *,
    gpu: GPU,
    precision: str = "int8",
    compute_utilisation: ArrayLike = 0.5,
    memory_utilisation: ArrayLike = 0.8,
) -> Float[Array, "*_"]:
    """Smallest batch at which reading the weights takes no longer than the arithmetic.

        batch = ceil( weight_bytes u_c P / (u_m BW ops) ),    at least 1

    Args:
        ops: operations of one inference.
        weight_bytes: weights [B].
        gpu: accelerator.
        precision: key of `gpu.peak`.
        compute_utilisation: u_c.
        memory_utilisation: u_m.

    Returns:
        Batch size, a whole number.

    Breaks when: activations dominate the traffic: no batch makes such a network arithmetic bound.
    """
    arithmetic = as_float(ops) / (compute_utilisation * gpu.peak_of(precision))
    stream = weight_bytes / (memory_utilisation * gpu.bandwidth)
    return jnp.maximum(jnp.ceil(stream / arithmetic), 1.0)
