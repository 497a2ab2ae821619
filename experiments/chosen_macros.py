"""The macro that settings name: a plain tile with a mapping, or that of a published architecture, with its prices.

Every experiment that builds chips takes its tile from here, so `--architecture` and `--mapping` mean the same everywhere.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal, get_args

from experiments import chosen_devices
from experiments.framework.errors import UsageError

Mapping = Literal["differential", "offset", "bit_sliced", "redundant"]
Named = Literal["isaac", "puma", "neurram", "hermes", "ibm_34tile", "neurosim_default"]
NAMES: tuple[str, ...] = get_args(Named)
V_READ = 0.2  # V, of a full-scale input, where no architecture says otherwise
PLAIN: dict[str, Any] = dict(rows=64, cols=64, dac_bits=8, encoding="amplitude", mapping="differential", copies=2)
DESCRIBED = {
    "differential": "differential pairs",
    "offset": "single cells beside a reference column",
    "bit_sliced": "pairs of cells of 2 bits, four to a weight of 8 bits (sign and magnitude)",
    "redundant": "differential pairs with {copies} copies of each cell",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """Settings of the macro, which experiments share."""

    architecture: Named | None = None
    """Macro, prices and order of work of a published architecture, with the cells chosen here; it sets rows, columns, mapping
    and input converters."""
    mapping: Mapping | None = None
    """How weights are mapped to cells; differential pairs by default."""
    copies: int | None = None
    """Copies of each cell of a pair, with --mapping redundant; 2 by default. Their independent errors average out."""
    rows: int | None = None
    """Word lines per tile; by default 64, or as in the architecture."""
    cols: int | None = None
    """Columns of weights per tile; by default 64, or as in the architecture."""
    dac_bits: int | None = None
    """Resolution of the input converters; by default 8, or as in the architecture."""
    encoding: Literal["amplitude", "bit_serial"] | None = None
    """How inputs are put on word lines: by default as amplitudes, or as the architecture does it."""


def check(config: Any) -> None:
    """Raises UsageError if the settings do not describe a valid macro."""
    if config.architecture is not None:
        given = [name for name in PLAIN if getattr(config, name, None) is not None]
        if given:
            flag = given[0].replace("_", "-")
            raise UsageError(
                f"--{flag} {getattr(config, given[0])}: --architecture {config.architecture} has its own, and its "
                f"prices are "
                f"those of its own arrays. Leave --{flag} or --architecture out."
            )
    if (copies := getattr(config, "copies", None)) is not None:
        if setting(config, "mapping") != "redundant":
            raise UsageError(
                f"--copies {copies}: only --mapping redundant takes copies; add it, or leave --copies out."
            )
        if not 2 <= copies <= 64:
            raise UsageError(f"--copies {copies}: give 2 to 64.")
    for name in ("rows", "cols"):
        if (value := getattr(config, name)) is not None and not 1 <= value <= 8192:
            most = "at least 1" if value < 1 else "at most 8192: no macro has that many lines"
            raise UsageError(f"--{name} {value}: give {most}.")
    if config.dac_bits is not None and not 2 <= config.dac_bits <= 16:
        raise UsageError(f"--dac-bits {config.dac_bits}: give 2 to 16 bits.")


def check_fits(config: Any, device: Any) -> None:
    """Raises UsageError if the cells cannot be used in the macro, such as non-ohmic cells with pulse-width inputs."""
    try:
        tile(config, device)
    except ValueError as error:
        name = config.architecture or config.mapping
        raise UsageError(f"--architecture {name}: {error}" if config.architecture else str(error)) from error


def of(config: Any, device: Any = None) -> Any:
    """The named architecture; None for a plain tile.

    Args:
        device: its cells. NeuroSim sizes access transistors and row drivers for their lowest resistance.
    """
    if config.architecture is None:
        return None
    sized = config.architecture == "neurosim_default" and device is not None
    return _made(config.architecture, _largest_conductance(config, device) if sized else None)


@functools.lru_cache(maxsize=16)
def _made(name: str, g_max: float | None) -> Any:
    """A named architecture, with concrete numbers even while something else is being traced."""
    import jax

    from xbar import architectures

    make: Any = architectures.ARCHITECTURES[name]
    with jax.ensure_compile_time_eval():
        return make() if g_max is None else make(r_on=1 / g_max)


def _largest_conductance(config: Any, device: Any) -> float:
    """Largest conductance of the cells [S]; under differentiation, that of the device that the settings name."""
    from jax.core import Tracer

    if isinstance(device.g_max, Tracer):
        device = chosen_devices.find(config.device, config.assume)
    return float(device.g_max)


def setting(config: Any, name: str) -> Any:
    """A setting of a plain macro: the value given, else the experiment's own value (`MACRO` of the class), else the common
    default."""
    given = getattr(config, name, None)
    return {**PLAIN, **getattr(config, "MACRO", {})}[name] if given is None else given


def tile(config: Any, device: Any, *, adc_bits: Any = None, wires: Any = None) -> Any:
    """The macro of the settings around some device.

    Args:
        adc_bits: of the output converters; those of the architecture, or 8, if None. wires: instead of those of the macro.
    """
    import xbar

    more = {} if wires is None else {"wires": wires}
    if (arch := of(config, device)) is not None:
        own = _any_weights(arch.tile)
        adc = own.adc if adc_bits is None else dataclasses.replace(own.adc, bits=adc_bits)
        return dataclasses.replace(own, device=device, adc=adc, **more)
    dac = xbar.DAC(bits=setting(config, "dac_bits"), encoding=setting(config, "encoding"))
    return xbar.Tile(
        device=device,
        rows=setting(config, "rows"),
        cols=setting(config, "cols"),
        mapping=mapping(config),
        dac=dac,
        adc=xbar.ADC(bits=8 if adc_bits is None else adc_bits),
        v_read=V_READ,
        **more,
    )


def _any_weights(own: Any) -> Any:
    """A macro whose weights and inputs have a fixed grid (NeuroSim's), with the scale of each column and calibrated ranges."""
    import xbar

    if getattr(own.mapping, "scale", None) is None:
        return own
    dac = dataclasses.replace(own.dac, range=None)
    assert isinstance(own.mapping, xbar.BitSliced)
    return dataclasses.replace(own, mapping=dataclasses.replace(own.mapping, scale=None), dac=dac)


def mapping(config: Any) -> Any:
    """The mapping of a plain macro."""
    import xbar

    made = {
        "differential": xbar.Differential,
        "offset": xbar.Offset,
        "bit_sliced": lambda: xbar.BitSliced(8, 2),
        "redundant": lambda: xbar.Redundant(setting(config, "copies")),
    }
    return made[setting(config, "mapping")]()


def prices(config: Any, device: Any) -> dict[str, Any]:
    """What `Chip.energy` is told about the macro: the architecture's prices and order of work; nothing for a plain tile."""
    arch = of(config, device)
    return {} if arch is None else {"technology": arch}


def own_adc_bits(config: Any, otherwise: int = 8) -> int:
    """The resolution of the architecture's output converters; `otherwise` for a plain tile."""
    arch = of(config)
    return otherwise if arch is None else int(arch.tile.adc.bits)


def v_read(config: Any) -> float:
    """The voltage of a full-scale input [V]."""
    arch = of(config)
    return V_READ if arch is None else float(arch.tile.v_read)


def sentences(config: Any) -> tuple[str, ...]:
    """What the macro is, and which of its parts were inferred."""
    if (arch := of(config)) is None:
        rows, cols = setting(config, "rows"), setting(config, "cols")
        described = DESCRIBED[setting(config, "mapping")].format(copies=setting(config, "copies"))
        return (
            f"Weights are stored on {described} in tiles of {rows} x {cols}; "
            f"{setting(config, 'dac_bits')}-bit "
            f"input converters ({setting(config, 'encoding').replace('_', '-')}); {V_READ:g} V.",
        )
    own = arch.tile
    kept = (
        ()
        if getattr(own.mapping, "scale", None) is None
        else ("its fixed grid of weights is replaced by column scales",)
    )
    return (
        f"The macro is that of {arch.name}: tiles of {own.rows} x {own.cols} weights, {type(own.mapping).__name__}, "
        f"{own.dac.bits}-bit inputs ({own.dac.encoding.replace('_', '-')}), {float(own.v_read):g} V, with cells as "
        f"chosen here.",
        *(f"{arch.name}: {line}." for line in (*arch.provenance, *kept)),
    )
