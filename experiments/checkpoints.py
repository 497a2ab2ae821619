"""The state of a long computation on disk, from which the same computation resumes after it was killed."""

from __future__ import annotations

import hashlib
import io
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from experiments.framework.files import write_bytes
from experiments.framework.versions import source
from xbar.graph.work import inner_jaxprs


def fingerprint(*trees: Any) -> str:
    """A hash of all arrays and other leaves in some pytrees: what a computation depends on; the same in every process."""
    seen = hashlib.sha256(without_places(repr([jax.tree.structure(tree) for tree in trees])).encode())
    for leaf in jax.tree.leaves(trees):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        leaf = jax.random.key_data(leaf) if is_key else leaf
        if isinstance(leaf, jax.Array | np.ndarray):
            seen.update(f"{leaf.dtype} {leaf.shape}".encode() + np.ascontiguousarray(leaf).tobytes())
        else:
            seen.update(without_places(repr(leaf)).encode())
    return seen.hexdigest()


def program(f: Callable[..., Any], *args: Any) -> tuple[str, list[Any]]:
    """What a function computes, for a fingerprint: its trace, and all arrays that it closes over."""
    traced = eqx.filter_make_jaxpr(f)(*args)[0]
    return without_places(str(traced)), list(_constants(traced))


def _constants(traced: Any) -> Iterator[Any]:
    yield from (c if isinstance(c, jax.Array) else np.asarray(c) for c in traced.consts if c is not None)
    for eqn in traced.jaxpr.eqns:
        for inner in inner_jaxprs(eqn.params):
            yield from _constants(inner)


def without_places(text: str) -> str:
    """A printed object without places in memory, which are others in each process; the repr of a function has one."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def save(path: pathlib.Path, belongs_to: str, done: int, state: Any) -> None:
    """Writes how many parts are `done` and the `state` after them (a pytree of arrays), completely or not at all.

    It also belongs to this version of the program: what another version of the code computed is not mixed with it.
    """
    file = io.BytesIO()
    leaves = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    np.savez(file, belongs_to=np.asarray(_marked(belongs_to)), done=np.asarray(done), **leaves)  # pyright: ignore[reportArgumentType]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, file.getvalue())


def load(path: pathlib.Path, belongs_to: str, state: Any) -> tuple[int, Any]:
    """How many parts are done, and the state after them; 0 and the `state` given if the file is not there, damaged, or of
    another computation or program."""
    leaves, tree = jax.tree.flatten(state)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            if str(file["belongs_to"]) != _marked(belongs_to):
                return 0, state
            found = [file[f"leaf{i}"] for i in range(len(leaves))]
            done = int(file["done"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return 0, state
    if any(a.shape != np.shape(b) or a.dtype != np.asarray(b).dtype for a, b in zip(found, leaves, strict=True)):
        return 0, state
    return done, jax.tree.unflatten(tree, [jnp.asarray(a) for a in found])


def _marked(belongs_to: str) -> str:
    return f"{belongs_to}, JAX {jax.__version__}, source {source()}"
