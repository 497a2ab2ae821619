"""`save` and `load`: one physical chip, or a wafer of them, in one HDF5 file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from xbar.chip import Chip
from xbar.graph.tracing import Function, trace
from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.chip_hdf5 import ChipFile, write
from xbar.storage.parameter_tree import decoded, encoded
from xbar.storage.plausible import check
from xbar.storage.structure import Decoder, Encoder, plain
from xbar.storage.whole_files import replacing

_BY_LAYER = {"arrays": (), "tiles": ("tile",), "taken": ("time",)}  # fields by layer, and where in its group they go
_APART = ("f", "frame", "avals")  # a function is code, and parameters have a part of their own
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)


def save(chip: Chip, path: str | os.PathLike[str]) -> None:
    """Writes a chip to an HDF5 file, complete or not at all.

    The file holds everything that the chip is: cells with everything that sets each of them apart, converters and their
    ranges, drift references, what `chip.at(t)` worked out, tiles, devices, wires and mappings, parameters that digital
    work needs; for each layer below `layers/<path>`, with units. `xbar.load` gives the same numbers bit for bit, in
    another process or on another machine. The function is not in it, nor is any other code: `load` takes it, and
    classes of your own must be defined when it is called. Nor does the file say which devices of a mesh held which
    tiles.

    Args:
        chip: as `Analog.program`, `xbar.calibrate` or `chip.at` return it; a wafer is one, too.
        path: usually `*.h5`. An existing file is replaced once the new one is complete.

    Raises:
        TypeError: if it is not a chip.
        ChipFileError: if it is traced, holds something that a file cannot (a function of your own in a law, say), or
            conductances that no cell has. OSError: if the disk is full or may not be written.
    """
    if not isinstance(chip, Chip):
        raise TypeError(
            f"xbar.save: {type(chip).__name__} is not a chip. Program one: network.program(params, x, key=key)."
        )
    encoder = Encoder()
    document = {"chip": _encoded(chip, encoder), "params": encoded(chip.frame, chip.avals)}
    check(_built(document, Decoder(lambda node: encoder.arrays[node["array"]]), chip.f, None, (chip.frame, chip.avals)))
    with replacing(path) as temporary:
        write(temporary, json.dumps(document, allow_nan=False), encoder.arrays, encoder.units)


def load(path: str | os.PathLike[str], f: Callable[..., Any], *inputs: Any, params: Any = None) -> Chip:
    """Reads the chip that `xbar.save` wrote.

    The file is not trusted: nothing in it is run or imported, no other file is opened, and it is refused unless every
    array has the size and the checksum that it claims, and the cells conductances that a cell can have.

    Args:
        path: the file.
        f: the function `f(params, *inputs)` that the chip was programmed with. Its products are compared with the chip's when
            the chip is called, and here if `inputs` are given; what it computes digitally is not compared.
        inputs: example inputs; only their shapes and dtypes matter.
        params: the parameters, or others of the same structure (`jax.eval_shape` gives some), where the file does not hold
            that structure: it can hold trees of dicts, tuples, lists, named tuples and Equinox modules. Their numbers
            are not looked at.

    Raises:
        ChipFileError: if the file holds no chip or is damaged, a class is missing, JAX is set to fewer bits than the chip
            has, or `f` or `params` are not those of the chip.

    Breaks when: `f` differs only in what is digital: the chip then computes the new function.
    """
    if not callable(f):
        raise TypeError(
            f"xbar.load: f is a {type(f).__name__}; it must be the function f(params, *inputs) of the chip."
        )
    try:
        with ChipFile(path) as file:
            document = json.loads(file.text(), parse_constant=_refuse_constant)
            decoder = Decoder(file.array)
            chip = _built(document, decoder, Function.of(f), params)
        check(chip)
    except ChipFileError as error:
        raise error if str(error).startswith(str(path)) else ChipFileError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise ChipFileError(
            f"{path} is damaged, or was not written by xbar.save ({type(error).__name__}: {error}). Take another copy of it."
        ) from error
    if inputs:
        _check_function(path, chip, inputs)
    return chip


def _refuse_constant(text: str) -> Any:
    raise ChipFileError(f"the description holds {text}, which is not a number that it may hold.")


def _encoded(chip: Chip, encoder: Encoder) -> dict[str, Any]:
    labels = _labels([layer.path for layer in chip.plan_layers])
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(chip):
        name, value = field.name, getattr(chip, field.name)
        if name in _APART:
            continue
        if name in _BY_LAYER and isinstance(value, dict):
            place = lambda i, name=name: ("layers", labels[i], *_BY_LAYER[name])  # noqa: E731
            unit = "s" if name == "taken" else ""
            fields[name] = {"dict": [[i, encoder.value(v, place(i), unit)] for i, v in value.items()]}
        elif name == "leaves":
            named = zip(_labels(chip.frame.paths), value, strict=True)
            fields[name] = {"tuple": [encoder.value(leaf, ("parameters", label)) for label, leaf in named]}
        else:
            fields[name] = encoder.value(value, (name,))
    return fields


def _labels(paths: Sequence[str]) -> list[str]:
    """Names of groups, one for each path."""
    labels: list[str] = []
    for path in map(plain, paths):
        same = sum(other == path or other.startswith(f"{path} (") for other in labels)
        labels.append(f"{path} ({same + 1})" if same else path)
    return labels


def _built(document: Any, decoder: Decoder, f: Function, template: Any, known: tuple | None = None) -> Chip:
    """The chip of a description.

    Args:
        template: parameters of the same structure, or None. known: frame and avals, if they need not be made.
    """
    frame, avals = known or decoded(document["params"], decoder, template)
    given = document["chip"]
    fields = {field.name: field for field in dataclasses.fields(Chip) if field.name not in _APART}
    if unknown := sorted(set(given) - set(fields)):
        raise ChipFileError(f"it holds {', '.join(unknown)}, which no chip of this version has. Update xbar.")
    if missing := sorted(n for n, field in fields.items() if n not in given and field.default is dataclasses.MISSING):
        raise ChipFileError(f"it lacks {', '.join(missing)}, which a chip of this version has. Save the chip again.")
    return Chip(f=f, frame=frame, avals=avals, **{name: decoder.value(node, name) for name, node in given.items()})


def _check_function(path: str | os.PathLike[str], chip: Chip, inputs: Sequence[Any]) -> None:
    """Raises unless the function has the chip's products with these inputs, and needs no parameter that the chip lacks."""
    try:
        traced, _ = trace(chip.f, chip.frame, chip.avals, inputs, chip.rolled)
    except Exception as error:
        error.add_note(f"xbar: f may not be the function of the chip in {path}.")
        raise
    found, expected = ([(x.path, *x.signature) for x in layers] for layers in (traced.layers, chip.plan_layers))
    if found != expected:
        say = lambda layers: ", ".join(f"{x.path} {list(x.shape)}" for x in layers) or "none"  # noqa: E731
        raise ChipFileError(
            f"{path} holds a chip of another function: f has the products {say(traced.layers)} for these inputs, but "
            f"the chip {say(chip.plan_layers)}. Give the function that it was programmed with, or program f again."
        )
    mapped = frozenset(chip.arrays)
    used = traced.pruned(mapped).inputs_used(mapped)[: len(chip.leaves)]
    lost = [p for p, u, leaf in zip(chip.frame.paths, used, chip.leaves, strict=True) if u and leaf is None]
    if lost:
        raise ChipFileError(
            f"{path} holds a chip of another function: f computes with {', '.join(lost)} digitally, but the chip has "
            "it on arrays only. Give the function that it was programmed with, or program f again."
        )
