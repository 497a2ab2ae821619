"""The recipe of one crossbar macro."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from devices import Device
from xbar.macro.converters import ADC, DAC, Periphery
from xbar.macro.mappings import AbstractMapping, Differential
from xbar.macro.partition import Partition
from xbar.macro.sharding import Sharding
from xbar.macro.wires import AbstractWires, IdealWires


class Tile(eqx.Module):
    """One crossbar macro: `rows` x `cols` weights with the converters around them.

    Args:
        device: the memory cell, from `devices`.
        rows, cols: word lines, and columns of weights: a mapping may put several cells, on bit lines of their own, at each
            crossing.
        dac, adc: input and output converters.
        wires: interconnect resistance.
        mapping: weights to conductances.
        v_read: read voltage at full scale of the DAC [V].
        read_noise: `"independent"` draws the read noise of each input vector anew, once per output, with the variance of
            its cells; `"frozen"` draws it once a call for each pair of cells, the same for all vectors: noise that is slow
            against a batch, such as 1/f and telegraph noise.
        read_time: time for which the voltages of one read are applied and the currents are integrated [s]; the noise
            bandwidth of a read is 1/(2 read_time).
        pack_groups: whether several small matrices of one layer (groups of a convolution) share a tile, block-diagonally, where
            rows and columns allow; False gives each a tile of its own.
        backward: converters of a read in the other direction; None: there is none.
        sharding: devices of a mesh over which the tiles of each matrix are spread, if any. It changes no chip.

    Raises:
        ValueError: for sizes, a voltage, a time or a kind of noise that cannot be, or cells that are not ohmic and wires
            that are defined for ohmic ones only.

    Warns, once a device, where `v_read` is above the voltages that the device's data reach.

    Breaks when: `v_read` is high enough to disturb the cells; no read disturb is modelled.
    """

    device: Device
    rows: int = eqx.field(static=True, default=256)
    cols: int = eqx.field(static=True, default=256)
    dac: DAC = eqx.field(default_factory=DAC)
    adc: ADC = eqx.field(default_factory=ADC)
    wires: AbstractWires = eqx.field(default_factory=IdealWires)
    mapping: AbstractMapping = eqx.field(default_factory=Differential)
    v_read: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=0.2)
    read_noise: Literal["independent", "frozen"] = eqx.field(static=True, default="independent")
    read_time: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=100e-9)
    pack_groups: bool = eqx.field(static=True, default=True)
    backward: Periphery | None = None
    sharding: Sharding | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        for name in ("rows", "cols"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Tile: {name}={value!r}; give a whole number of at least 1, for example 256.")
        if self.read_noise not in ("independent", "frozen"):
            raise ValueError(f"Tile: read_noise={self.read_noise!r}; it is 'independent' or 'frozen'.")
        for name, unit in (("v_read", "V"), ("read_time", "s")):
            value = getattr(self, name)
            if isinstance(value, jax.Array) and not isinstance(value, Tracer) and not jnp.all(value > 0):
                raise ValueError(f"Tile: {name}={value} {unit} must be above 0.")
        if (
            isinstance(self.v_read, jax.Array)
            and not isinstance(self.v_read, Tracer)
            and isinstance(self.device, Device)
        ):
            self.device.warn_beyond(v=float(jnp.max(self.v_read)))
        if (
            isinstance(self.device, Device)
            and not self.device.conduction.linear
            and not isinstance(self.wires, IdealWires)
            and type(self.wires).currents is AbstractWires.currents
        ):
            raise ValueError(
                f"Tile: {type(self.wires).__name__} is a linear map of conductances, and {self.device.provenance.name} "
                f"conducts as {type(self.device.conduction).__name__}. Use ohmic cells, ResistiveWires or IdealWires."
            )

    @property
    def bandwidth(self) -> Float[Array, ""]:
        """Noise bandwidth of one read [Hz]."""
        return 0.5 / self.read_time

    @property
    def wired(self) -> bool:
        """Whether wires have a resistance."""
        return not isinstance(self.wires, IdealWires)

    @property
    def spread(self) -> bool:
        """Whether tiles are spread over devices of a mesh."""
        return self.sharding is not None

    @property
    def coupled(self) -> bool:
        """Whether wires are a map of the conductances, worked out before inputs come."""
        return self.wired and self.device.conduction.linear

    @property
    def needs_cells(self) -> bool:
        """Whether every read goes back to the cells themselves: their noise passes the wires input by input, or in one draw."""
        noisy = self.wired and self.device.has_read_noise
        return noisy and (self.read_noise == "frozen" or self.wires.exact_noise or not self.device.conduction.linear)

    def partition(self, groups: int, k: int, n: int) -> Partition:
        """How a stack of `groups` matrices of `k` x `n` falls on copies of this tile."""
        return Partition.of(groups, k, n, self.rows, self.cols, self.pack_groups)
