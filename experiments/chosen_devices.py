"""The memory cells that a setting names: published devices, device files, and what is assumed about them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.files import hash_of

SHORT = {"pcm": "pcm_joshi2020", "reram": "reram_wan2022"}


def find(name: str, assume: str | None = None) -> Any:
    """The device of this name, or in this file, with what is assumed about it.

    Args:
        assume: another device, or a share of the range; see `--assume`.

    Raises:
        UsageError: if there is no such device, or it cannot be programmed.
    """
    return _completed(_found(name, "--devices"), assume)


def inputs(*names: str | None) -> dict[str, str]:
    """Hashes of the device files among these names: what is kept for a device belongs to the contents of its file."""
    files = [pathlib.Path(name) for name in names if name is not None and name.endswith(".toml")]
    return {str(path): hash_of(path) for path in files}


def citations(names: Iterable[str]) -> tuple[str, ...]:
    """What to cite for published devices, as BibTeX; nothing for device files and ideal cells."""
    import devices

    published = [SHORT.get(name, name) for name in names if not name.endswith(".toml")]
    found = [devices.bibtex(name) for name in published if devices.find(name).provenance.dois]  # pyright: ignore[reportFunctionMemberAccess]
    return tuple(dict.fromkeys(found))


def drawn(name: str, count: int, assume: str | None = None) -> Any:
    """Devices drawn from the posterior of a device file, along a leading axis; None for a device without one.

    Raises:
        UsageError: if the file carries no posterior.
    """
    import jax

    from devices.device_file import DeviceFileError, load_draws

    if not name.endswith(".toml"):
        return None
    try:
        return jax.vmap(lambda device: _completed(device, assume))(load_draws(name, count))
    except DeviceFileError as error:
        raise UsageError(f"--posterior: {error}") from error


def completes(name: str, assume: str) -> bool:
    """Whether an assumption gives a device a law that it lacks."""
    return find(name, assume).unmeasured != find(name).unmeasured


def _found(name: str, option: str) -> Any:
    import devices
    from devices.device_file import DeviceFileError, load

    if name.endswith(".toml"):
        try:
            return load(name)
        except DeviceFileError as error:
            raise UsageError(f"{option} {error}") from error
    try:
        make = devices.find(SHORT.get(name, name))
    except ValueError as error:
        raise UsageError(f"{option} {name}: {error}") from error
    device = make() if devices.catalogue.makes_itself(make.__name__) else None
    if not isinstance(device, devices.Device):
        raise UsageError(
            f"{option} {name}: this is a compact model of a single cell, not a device that can be programmed. Make a device "
            "from it with devices.compact.pulse_response."
        )
    return device


def _completed(device: Any, assume: str | None) -> Any:
    """The device, with assumed laws where it lacks some; ideal cells stay ideal."""
    import devices

    if assume is None or device.provenance.numbers == "none":
        return device
    try:
        share = float(assume)
    except ValueError:
        source = _found(assume, "--assume")
        return devices.assume(device, source) if set(device.unmeasured) - set(source.unmeasured) else device
    try:
        return devices.assume_spread(device, share) if "write errors" in device.unmeasured else device
    except ValueError as error:
        raise UsageError(f"--assume {assume}: {error}") from error
