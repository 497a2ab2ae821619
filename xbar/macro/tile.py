"""The recipe of one crossbar macro."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from devices import Device
from devices._checks import Checked, Whole, positive_seconds, volts
from xbar.macro.converters import ADC, DAC, Periphery
from xbar.macro.mappings import AbstractMapping, Differential
from xbar.macro.partition import Pack, Partition
from xbar.macro.probing import probe
from xbar.macro.sharding import Sharding
from xbar.macro.tile_summary import preformatted, tile_text
from xbar.macro.wires import AbstractWires, IdealWires

_LINES = Whole(1, likely=8192, advice="Write rows=256, for example.")


def _mend(sentence: str) -> dict[str, str]:
    return {"mend": sentence}


class Tile(Checked):
    """One crossbar macro: `rows` x `cols` weights with the converters around them.

    Args:
        device: the memory cell, from `devices`.
        rows, cols: word lines, and columns of weights: a mapping may put several cells, on bit lines of their own, at each
            crossing.
        dac, adc: input and output converters.
        wires: interconnect resistance.
        mapping: weights to conductances.
        v_read: read voltage at full scale of the DAC [V].
        read_noise: `"independent"` draws new read noise for each input vector, once per output, with the variance of
            its cells; `"frozen"` draws it once per call for each pair of cells, the same for all vectors: noise that is
            slow compared with a batch, such as 1/f and telegraph noise.
        read_time: time for which the voltages of one read are applied and the currents are integrated [s]; the noise
            bandwidth of a read is 1/(2 read_time).
        pack_groups: how small matrices of one layer (groups of a convolution) share a tile, block-diagonally, where rows and
            columns allow. `"in_turns"`: one is read after the other, the word lines of the others at rest and their bit lines
            open. True: all at once, in the time of one, but errors and noise of the cells where the rows of one cross the
            columns of another add up in every output. False: each has a tile of its own.
        fill_rows: whether the rows of a matrix fill one tile after the other, so that the last one has what is left; False
            shares them evenly.
        backward: converters of a read in the other direction; None: no such reads.
        sharding: devices of a mesh over which the tiles of each matrix are spread, if any. It does not change the chip.

    Raises:
        ValueError, TypeError: for a part of the wrong class, for sizes, a voltage, a time or a kind of noise that is not
            allowed, or cells that are not ohmic and wires that are defined for ohmic ones only.

    Warns, once per device, where `v_read` is above the voltages that the device's data reach, and of sizes, voltages
    and times that no macro has.

    Breaks when: `v_read` is high enough to disturb the cells; reads change them only where this is asked for
    (`Chip.wait(reads=)`).
    """

    device: Device = eqx.field(
        metadata=_mend("A device is an object, such as devices.pcm_joshi2020() or devices.Device(...).")
    )
    rows: int = eqx.field(static=True, converter=_LINES, default=256)
    cols: int = eqx.field(static=True, converter=_LINES, default=256)
    dac: DAC = eqx.field(default_factory=DAC, metadata=_mend("Write xbar.DAC(bits=8)."))
    adc: ADC = eqx.field(default_factory=ADC, metadata=_mend("Write xbar.ADC(bits=8)."))
    wires: AbstractWires = eqx.field(
        default_factory=IdealWires,
        metadata=_mend("Write xbar.ResistiveWires(r_row, r_col) in ohms per cell, or xbar.IdealWires()."),
    )
    mapping: AbstractMapping = eqx.field(
        default_factory=Differential, metadata=_mend("Write xbar.Differential(), or another of xbar's mappings.")
    )
    v_read: Float[Array, ""] = eqx.field(converter=volts.but(likely=3.0), default=0.2)
    read_noise: Literal["independent", "frozen"] = eqx.field(static=True, default="independent")
    read_time: Float[Array, ""] = eqx.field(converter=positive_seconds.but(likely=1.0, least=1e-12), default=100e-9)
    pack_groups: Pack = eqx.field(static=True, default="in_turns")
    fill_rows: bool = eqx.field(static=True, default=False)
    backward: Periphery | None = eqx.field(default=None, metadata=_mend("Write xbar.Periphery(dac=..., adc=...)."))
    sharding: Sharding | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if not isinstance(self.device, Device):
            return  # the classes of fields are checked after this
        v = self.v_read
        known = isinstance(v, jax.Array) and not isinstance(v, Tracer) and v.size  # NumPy's: nothing of it is traced
        if known and bool(np.all(np.isfinite(np.asarray(v)))):
            self.device.warn_beyond(v=float(np.max(np.asarray(v))))
        if self.fill_rows and self.backward is not None:
            raise ValueError("Tile: fill_rows=True and backward= do not go together. Leave one of them out.")
        if isinstance(self.dac, DAC) and self.dac.encoding == "pulse_width" and not self.device.conduction.linear:
            raise ValueError(
                f"Tile: inputs as pulse widths are defined for ohmic cells, and {self.device.provenance.name} conducts as "
                f"{type(self.device.conduction).__name__}. Use DAC(encoding='amplitude') or 'bit_serial'."
            )
        if (
            not self.device.conduction.linear
            and isinstance(self.wires, AbstractWires)
            and not isinstance(self.wires, IdealWires)
            and type(self.wires).currents is AbstractWires.currents
        ):
            raise ValueError(
                f"Tile: {type(self.wires).__name__} is a linear map of conductances, and {self.device.provenance.name} "
                f"conducts as {type(self.device.conduction).__name__}. Use ohmic cells, ResistiveWires or IdealWires."
            )
        probe(self)

    def __repr__(self) -> str:
        return tile_text(self)

    def _repr_html_(self) -> str:
        return preformatted(self)

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
        """Whether every read goes back to the cells themselves: their noise passes the wires input by input, or at once."""
        noisy = self.wired and self.device.has_read_noise
        return noisy and (self.read_noise == "frozen" or self.wires.exact_noise or not self.device.conduction.linear)

    def partition(self, groups: int, k: int, n: int) -> Partition:
        """How a stack of `groups` matrices of `k` x `n` falls on copies of this tile."""
        return Partition.of(groups, k, n, self.rows, self.cols, self.pack_groups, self.fill_rows)
