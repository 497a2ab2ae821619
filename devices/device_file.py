"""A device as a TOML file: its range, its laws, where its numbers come from, and how well they are known."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tomli_w
from jax.tree_util import GetAttrKey

from devices.catalogue import Provenance
from devices.device import Device
from devices.device_document import DeviceFileError, bools, check_fields, table
from devices.plain_toml import PlainTomlError, parsed, shown

FORMAT = 1
_LAW_MODULES = (
    "programming",
    "drift",
    "noise",
    "conduction",
    "faults",
    "disturb",
    "steps",
    "updates",
    "curves",
    "write_verify",
)


def save(device: Device, path: str | os.PathLike[str], draws: Device | None = None) -> None:
    """Writes a device, complete or not at all. `unmeasured` in the file lists the parts for which it has no law.

    Args:
        path: usually `*.toml`. draws: devices drawn from the posterior of a fit: the same laws, every array with one
            more leading axis.

    Raises:
        ValueError: if a law is not one of this package; such a device is Python code, and best kept as such.
    """
    document: dict[str, Any] = {"format": FORMAT, "unmeasured": list(device.unmeasured)}
    document["provenance"] = _plain(device.provenance)
    document["device"] = {k: v for k, v in _fields(device).items() if k != "provenance"}
    if draws is not None:
        named, varied = dict(_leaves(device)), dict(_leaves(draws))
        moving = {
            n: np.asarray(v) for n, v in varied.items() if not np.array_equal(v, np.broadcast_to(named[n], v.shape))
        }
        count = len(next(iter(varied.values())))
        table = {n: _numbers(v.reshape(count, -1), 7) for n, v in moving.items()}
        document["posterior"] = {"count": count, "draws": table}
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(_HEAD + tomli_w.dumps(document), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


_HEAD = "# A memristive device for xbar: all numbers in SI units. `devices.device_file.load` reads it.\n"


def load(path: str | os.PathLike[str]) -> Device:
    """The device in a file.

    Raises:
        DeviceFileError: if it cannot be read, or if the device or a draw of its posterior is impossible.
    """
    document = _document(path)
    device = _device(document, path)
    _posterior(document, device, path)
    return device


def load_draws(path: str | os.PathLike[str], count: int) -> Device:
    """`count` devices drawn from the posterior that a file carries: every array of the device gets a leading axis.

    Draws are used in the order of the file, again from the first if there are fewer than `count`.

    Raises:
        DeviceFileError: if the file carries no posterior, or an impossible one.
    """
    document = _document(path)
    device = _device(document, path)
    there, draws = _posterior(document, device, path)
    if not there:
        raise DeviceFileError(
            f"{path} carries no posterior; write one with `xbar fit FILES --out {pathlib.Path(path).name}`."
        )
    order = np.arange(count) % there
    arrays = [
        jnp.asarray((draws[name] if name in draws else np.broadcast_to(leaf, (there, *leaf.shape)))[order], leaf.dtype)
        for name, leaf in _leaves(device)
    ]
    dynamic, static = eqx.partition(device, eqx.is_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), arrays), static)


def _posterior(document: dict[str, Any], device: Device, path: Any) -> tuple[int, dict[str, np.ndarray]]:
    """How many draws there are (0 if the file has none), and those numbers of the device that differ among them.

    Raises:
        DeviceFileError: if it belongs to another device, is incomplete, or holds impossible numbers.
    """
    if "posterior" not in document:
        return 0, {}
    found = table(document, "posterior", f"{path}: ")
    there = found.get("count")
    if set(found) - {"count", "draws"} or not isinstance(there, int) or isinstance(there, bool) or there < 1:
        raise DeviceFileError(
            f"{path}: [posterior] has {', '.join(f'{k} = {shown(v)}' for k, v in found.items()) or 'nothing'}; it takes "
            "count, a whole number of 1 or more, and a table draws."
        )
    drawn, leaves = table(found, "draws", f"{path}: posterior."), dict(_leaves(device))
    if unknown := set(drawn) - set(leaves):
        raise DeviceFileError(
            f"{path}: [posterior.draws] has {', '.join(sorted(unknown))}, which the device does not have; it has "
            f"{', '.join(leaves)}."
        )
    arrays = {name: _drawn(f"{path}: posterior.draws.{name}", v, there, leaves[name]) for name, v in drawn.items()}
    _check_draws(device, arrays, path)
    return there, arrays


def _drawn(where: str, value: Any, count: int, leaf: np.ndarray) -> np.ndarray:
    """One number of the device in every draw, from `count` lists or numbers."""
    size = f"{count} rows (count) of {leaf.size} numbers" if leaf.size > 1 else f"{count} numbers (count)"
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "fi":
        raise DeviceFileError(f"{where} = {shown(value)}; it takes {size}.")
    if array.size != count * leaf.size or array.ndim not in (1, 2) or len(array) != count:
        raise DeviceFileError(f"{where} is {array.size} numbers in shape {array.shape}; it takes {size}.")
    return array.reshape(count, *leaf.shape)


def _check_draws(device: Device, draws: dict[str, np.ndarray], path: Any) -> None:
    """Refuses draws that the constructors of the device's laws would refuse, number by number."""
    for name, array in draws.items():
        check = getattr(_converter(device, name), "check", None)
        try:
            if check is not None:
                check(f"posterior.draws.{name}", jnp.asarray(array, jnp.result_type(float)))
            elif not np.isfinite(array).all():
                raise ValueError(f"posterior.draws.{name} has numbers that are not finite.")
        except (TypeError, ValueError) as error:
            raise DeviceFileError(f"{path}: {error}") from None
    low, high = (draws.get(name, np.asarray(getattr(device, name))) for name in ("g_min", "g_max"))
    if not (low < high).all():
        raise DeviceFileError(f"{path}: posterior.draws has a g_min that is not below g_max in some draws.")


def _converter(device: Device, name: str) -> Any:
    """The converter of the field that holds an array of the device, if it has one."""
    *parents, last = next(path for path, _ in _paths(device) if _name_of(path) == name)
    owner: Any = device
    for key in parents:
        owner = (
            getattr(owner, key.name)
            if isinstance(key, GetAttrKey)
            else owner[getattr(key, "key", getattr(key, "idx", 0))]
        )
    if not isinstance(last, GetAttrKey):
        return None
    return next(f.metadata.get("converter") for f in dataclasses.fields(owner) if f.name == last.name)


def _leaves(device: Device) -> list[tuple[str, np.ndarray]]:
    return [(_name_of(path), np.asarray(leaf)) for path, leaf in _paths(device)]


def _paths(device: Device) -> list[tuple[Any, jax.Array]]:
    return jax.tree_util.tree_flatten_with_path(eqx.filter(device, eqx.is_array))[0]


def _name_of(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _document(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        document = parsed(path)
    except PlainTomlError as error:
        raise DeviceFileError(str(error)) from None
    kind = document.get("format")
    if isinstance(kind, bool) or kind != FORMAT or "device" not in document:
        raise DeviceFileError(
            f"{path} is not a device file of format {FORMAT}: it needs `format = {FORMAT}` and a table [device]. "
            "`xbar fit FILES --out FILE` writes one."
        )
    if unknown := set(document) - set(_TABLES):
        raise DeviceFileError(f"{path} has {', '.join(sorted(unknown))}; a device file has {', '.join(_TABLES)}.")
    parts = document.get("unmeasured", [])  # written for people; `Device.unmeasured` asks the laws
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise DeviceFileError(f"{path}: unmeasured = {shown(parts)}; it takes a list of words.")
    return document


_TABLES = ("format", "unmeasured", "provenance", "device", "posterior")  # unmeasured: for readers of the file


def _device(document: dict[str, Any], path: Any) -> Device:
    try:
        about = {k: tuple(v) if isinstance(v, list) else v for k, v in table(document, "provenance").items()}
        about.setdefault("name", pathlib.Path(path).stem)
        source = _made(Provenance, about, "provenance")
        laws = {name: _part(name, value) for name, value in table(document, "device").items()}
        return _made(Device, {**laws, "provenance": source}, "device")
    except DeviceFileError as error:
        raise DeviceFileError(f"{path}: {error}") from error


def _part(name: str, value: Any) -> Any:
    """A number or a law of the device."""
    kinds = (
        [k for k in typing.get_args(_laws()[name]) or (_laws()[name],) if k is not type(None)]
        if name in _laws()
        else []
    )
    if kinds and not (isinstance(value, dict) and "type" in value):
        known = [n for n, one in _classes().items() if issubclass(one, tuple(kinds))]
        raise DeviceFileError(
            f"device.{name} = {shown(value)} is not a law; write [device.{name}] and below it type = one of "
            f"{', '.join(known)}."
        )
    return _built(value, f"device.{name}")


@functools.cache
def _laws() -> dict[str, Any]:
    """Fields of a device that are laws, with their interfaces."""
    hints = typing.get_type_hints(Device)
    return {f.name: hints[f.name] for f in dataclasses.fields(Device) if f.name not in ("g_min", "g_max", "provenance")}


# -- to plain values and back --------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and tables."""
    if isinstance(value, Provenance):
        return {
            f.name: _plain(v) for f in dataclasses.fields(value) if (v := getattr(value, f.name)) not in (None, (), "")
        }
    if isinstance(value, eqx.Module):
        return {"type": _name(type(value)), **_fields(value)}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # a file's name may not be UTF-8
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, np.ndarray, np.generic, jax.Array)):
        return _numbers(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    raise ValueError(f"a {type(value).__name__} cannot be written to a device file")


def _fields(module: Any) -> dict[str, Any]:
    return {f.name: _plain(v) for f in dataclasses.fields(module) if (v := getattr(module, f.name)) is not None}


def _numbers(array: np.ndarray, digits: int | None = None) -> Any:
    """Nested lists of the shortest decimals that give the same binary numbers, or with the given number of digits."""
    if array.ndim:
        return [_numbers(np.asarray(a), digits) for a in array]
    if array.dtype.kind in "bi":
        return array.item()
    return float(str(array[()]) if digits is None else f"{float(array):.{digits}g}")


@functools.cache
def _classes() -> dict[str, type]:
    """Every law by its name in files: `drift.PowerLawDrift`."""
    found = {}
    for module in _LAW_MODULES:
        for name, one in vars(importlib.import_module(f"devices.{module}")).items():
            if isinstance(one, type) and issubclass(one, eqx.Module) and one.__module__ == f"devices.{module}":
                found[f"{module}.{name}"] = one
    return found


def _name(law: type) -> str:
    for name, known in _classes().items():
        if known is law:
            return name
    raise ValueError(
        f"{law.__module__}.{law.__qualname__} is not a law of this package, so a device file cannot name it. Keep "
        "the device in Python; xbar.save stores its chips, and a program that loads them must import the class first."
    )


def _built(value: Any, where: str) -> Any:
    if isinstance(value, dict) and "type" in value:
        kind = value["type"]
        make = _classes().get(kind) if isinstance(kind, str) else None
        if make is None:
            raise DeviceFileError(f"{where}: unknown law {shown(kind)}; known laws are {', '.join(_classes())}.")
        static = {f.name for f in dataclasses.fields(make) if f.metadata.get("static")}  # pyright: ignore[reportArgumentType]
        built = {k: _built(v, f"{where}.{k}") for k, v in value.items() if k != "type"}
        return _made(make, {k: tuple(v) if k in static and isinstance(v, list) else v for k, v in built.items()}, where)
    if isinstance(value, dict):
        return {k: _built(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return tuple(_built(v, f"{where}[{k}]") for k, v in enumerate(value))
    return value


def _made(make: type, values: dict[str, Any], where: str) -> Any:
    """A law, a device or a provenance, from values that it allows."""
    fields = dataclasses.fields(make)  # pyright: ignore[reportArgumentType]
    name, known = make.__name__, [f.name for f in fields]
    if unknown := set(values) - set(known):
        raise DeviceFileError(f"{where}: {name} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}.")
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [n for n in needed if n not in values]:
        raise DeviceFileError(f"{where}: {name} needs {', '.join(missing)}, which the file does not give.")
    check_fields(make, values, where)
    try:
        made = make(
            **{k: jnp.asarray(v, bool) if k in bools(make) and _true_or_false(v) else v for k, v in values.items()}
        )
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
    ) as error:  # whatever a law makes of them
        raise DeviceFileError(f"{where}: {error}") from error
    check_fields(make, vars(made), where)
    return made


def _true_or_false(value: Any) -> bool:
    """Whether a value is `true`, `false`, or lists of them."""
    return all(map(_true_or_false, value)) if isinstance(value, list) else isinstance(value, bool)
