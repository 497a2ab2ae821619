"""The command `xbar show`: what an experiment does, or what is known about a device."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from experiments.command.endings import DONE, complain, show
from experiments.framework.errors import UsageError
from experiments.framework.known_experiments import EXPERIMENTS


def carry_out(name: str) -> int:
    """Prints it; returns the exit code."""
    try:
        show(_experiment(name) if name in EXPERIMENTS or name.endswith(".py") else _device(name))
    except UsageError as error:
        return complain(str(error))
    return DONE


def _experiment(name: str) -> str:
    from experiments.command.run_command import find

    module = find(name).load()
    settings = [f"  --{f.name.replace('_', '-')} {_default(f)}" for f in dataclasses.fields(module.Config)]
    head = [module.TITLE, "", (module.__doc__ or "").strip(), "", "settings, with their defaults:", *settings]
    return "\n".join([*head, "", f"`xbar run {name} --help` explains them."])


def _default(field: dataclasses.Field) -> str:
    value = field.default
    return " ".join(map(str, value)) if isinstance(value, tuple) else "" if value is dataclasses.MISSING else str(value)


def _device(name: str) -> str:
    """The catalogue's description of a published device or compact model, and the laws of a device."""
    import devices
    from experiments import chosen_devices

    full = chosen_devices.SHORT.get(name, name)
    if name.endswith(".toml"):
        return _laws(chosen_devices.find(name))
    try:
        make = devices.find(full)
    except ValueError as error:
        if close := difflib.get_close_matches(name, EXPERIMENTS, 1):
            raise UsageError(f"there is no experiment or device {name!r}. Did you mean {close[0]!r}?") from error
        raise UsageError(f"{error} `xbar list` names the experiments.") from error
    made = make() if devices.catalogue.makes_itself(full) else None
    laws = f"\n\n{_laws(made)}" if isinstance(made, devices.Device) else ""
    return devices.catalogue.description(full) + laws


def _laws(device: Any) -> str:
    return f"{device!r}\n\nnever measured: {', '.join(device.unmeasured) or 'nothing that an array needs'}"
