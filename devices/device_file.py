"""A device as a TOML file: its range, its laws, where its numbers come from, and how well they are known."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import os
import pathlib
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tomli_w

from devices.assumptions import unmeasured
from devices.catalogue import Provenance
from devices.device import Device

FORMAT = 1
_LAW_MODULES = ("programming", "drift", "noise", "conduction", "faults", "steps", "updates", "curves", "write_verify")


class DeviceFileError(ValueError):
    """A device file that cannot be read: what is wrong with it, and how to mend it."""


def save(device: Device, path: str | os.PathLike[str], draws: Device | None = None) -> None:
    """Writes a device, complete or not at all. `unmeasured` in the file lists the parts for which it has no law.

    Args:
        path: by custom `*.toml`. draws: devices drawn from the posterior of a fit: the same laws, every array with one
            more leading axis.

    Raises:
        ValueError: if a law is not one of this package; such a device is Python code, and best kept as such.
    """
    document: dict[str, Any] = {"format": FORMAT, "unmeasured": list(unmeasured(device))}
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
        DeviceFileError: if it cannot be read, or says something that no device has.
    """
    return _device(_document(path), path)


def load_draws(path: str | os.PathLike[str], count: int) -> Device:
    """`count` devices drawn from the posterior that a file carries: every array of the device gets a leading axis.

    Draws are used in the order of the file, again from the first if there are fewer than `count`.

    Raises:
        DeviceFileError: if the file carries no posterior.
    """
    document = _document(path)
    posterior = document.get("posterior")
    if not posterior:
        raise DeviceFileError(
            f"{path} carries no posterior; write one with `xbar fit FILES --out {pathlib.Path(path).name}`."
        )
    device, there = _device(document, path), int(posterior["count"])
    order = np.arange(count) % there
    names, arrays, unknown = [], [], set(posterior["draws"])
    for name, leaf in _leaves(device):
        drawn = posterior["draws"].get(name)
        unknown.discard(name)
        whole = (
            np.broadcast_to(leaf, (there, *leaf.shape))
            if drawn is None
            else np.asarray(drawn, leaf.dtype).reshape(there, *leaf.shape)
        )
        names.append(name)
        arrays.append(jnp.asarray(whole[order], leaf.dtype))
    if unknown:
        raise DeviceFileError(
            f"{path}: [posterior.draws] has {', '.join(sorted(unknown))}, which the device does not have."
        )
    dynamic, static = eqx.partition(device, eqx.is_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), arrays), static)


def _leaves(device: Device) -> list[tuple[str, np.ndarray]]:
    dynamic = eqx.filter(device, eqx.is_array)
    found, _ = jax.tree_util.tree_flatten_with_path(dynamic)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), np.asarray(leaf)) for path, leaf in found]


def _document(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceFileError(f"{path}: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeviceFileError(f"{path} is not a TOML file: {error}.") from error
    if document.get("format") != FORMAT or "device" not in document:
        raise DeviceFileError(
            f"{path} is not a device file of format {FORMAT}: it needs `format = {FORMAT}` and a table [device]. "
            "`xbar fit FILES "
            "--out FILE` writes one."
        )
    return document


def _device(document: dict[str, Any], path: Any) -> Device:
    try:
        about: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in document.get("provenance", {}).items()
        }
        about.setdefault("name", pathlib.Path(path).stem)
        laws = {name: _built(value, f"device.{name}") for name, value in document["device"].items()}
        return Device(**laws, provenance=Provenance(**about))
    except DeviceFileError as error:
        raise DeviceFileError(f"{path}: {error}") from error
    except (TypeError, ValueError) as error:
        raise DeviceFileError(f"{path}: {error}") from error


# -- to plain values and back --------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and tables."""
    if isinstance(value, Provenance):
        return {
            f.name: _plain(v) for f in dataclasses.fields(value) if (v := getattr(value, f.name)) not in (None, (), "")
        }
    if isinstance(value, eqx.Module):
        return {"type": _name(type(value)), **_fields(value)}
    if isinstance(value, (bool, int, str)):
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
    """Nested lists of the shortest decimals that give the same binary numbers, or of so many digits."""
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
        f"{law.__module__}.{law.__qualname__} is not a law of this package, so a device file cannot name it."
    )


def _built(value: Any, where: str) -> Any:
    if isinstance(value, dict) and "type" in value:
        make: Callable[..., Any] | None = _classes().get(value["type"])
        if make is None:
            raise DeviceFileError(f"{where}: there is no law {value['type']!r}; laws are {', '.join(_classes())}.")
        known = [f.name for f in dataclasses.fields(make)]  # pyright: ignore[reportArgumentType]
        if unknown := set(value) - set(known) - {"type"}:
            raise DeviceFileError(
                f"{where}: {value['type']} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}."
            )
        built = {k: _built(v, f"{where}.{k}") for k, v in value.items() if k != "type"}
        static = {f.name for f in dataclasses.fields(make) if f.metadata.get("static")}  # pyright: ignore[reportArgumentType]
        return make(**{k: tuple(v) if k in static and isinstance(v, list) else v for k, v in built.items()})
    if isinstance(value, dict):
        return {k: _built(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return tuple(_built(v, f"{where}[{k}]") for k, v in enumerate(value))
    if isinstance(value, float) and math.isnan(value):
        raise DeviceFileError(f"{where} is not a number.")
    return value
