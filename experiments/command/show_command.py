"""The command `xbar show`: what an experiment does, or what is known of a device."""

from __future__ import annotations

import dataclasses

from experiments.command.endings import DONE, complain, show
from experiments.framework.errors import UsageError
from experiments.framework.known_experiments import EXPERIMENTS


def carry_out(name: str) -> int:
    """Prints it; the exit code."""
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
    from experiments import chosen_devices

    device = chosen_devices.find(name)
    return f"{device!r}\n\nnever measured: {', '.join(device.unmeasured) or 'nothing that an array needs'}"
