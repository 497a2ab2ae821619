"""Models of PyTorch as JAX functions, via torchax. Neither is imported before a model is converted."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

TRIED = "torchax 0.0.13 was tried with torch 2.12 to 2.14"
_LOADING = threading.Lock()


def from_torch(module: Any) -> tuple[Callable[..., Any], dict[str, jax.Array]]:
    """A PyTorch module as a JAX function and its parameters, for `xbar.analog`, `jax.jit` and `jax.grad`.

    `f(params, *inputs, **options)` is `module(*inputs, **options)` on arrays of NumPy or JAX. Tuples, lists and dictionaries
    of them go in and come out as such (a model output of another library, such as a dataclass that is a dictionary, as a
    dictionary). `xbar.analog` passes inputs by position: `xbar.analog(lambda p, ids, mask: f(p, input_ids=ids,
    attention_mask=mask), tile)`.

    Args:
        module: a `torch.nn.Module` in evaluation mode. Its weights are copied; it is run, with arrays
            for tensors, whenever `f` is traced.

    Returns:
        `f`, and `params`: every parameter and buffer of floats by its name in the module; one that several layers share
        appears once, and lies on one array. Buffers (running statistics) and parameters that do not require a gradient
        have a derivative of zero. Buffers of integers are constants of `f`.

    Raises:
        ImportError: if torch or torchax is not installed, or they are incompatible. TypeError: if it is not a module.
        ValueError: if it is in training mode, `f` too. `f` raises NotImplementedError for what torchax cannot run,
            TypeError for tensors of PyTorch.

    Reference: torchax, `extract_jax`. torchax 0.0.13 was tried with torch 2.12 to 2.14.

    Breaks when: the module's control flow depends on the values of its inputs, or it changes its own buffers in
    evaluation.
    """
    torchax, torch = _loaded()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"xbar.from_torch: {type(module).__name__} is not a torch.nn.Module; give a model, such as nn.Linear(2, 3)."
        )
    _check_evaluates(module)
    states, run = torchax.extract_jax(_plain_outputs(torch, module))
    states = {name.removeprefix("module."): array for name, array in states.items()}
    floats = {n: a for n, a in states.items() if jnp.issubdtype(a.dtype, jnp.inexact)}
    constants = {n: a for n, a in states.items() if n not in floats}
    frozen = floats.keys() - {n for n, p in module.named_parameters() if p.requires_grad}

    def f(params: Mapping[str, Any], *inputs: Any, **options: Any) -> Any:
        _check_evaluates(module)
        held = {n: jax.lax.stop_gradient(a) if n in frozen else a for n, a in params.items()}
        arrays = {f"module.{n}": jnp.asarray(a) for n, a in (held | constants).items()}
        inputs, options = jax.tree.map(functools.partial(_array, torch), (inputs, options))
        with _explained(torchax, type(module).__name__):
            return run(arrays, inputs, options)

    return f, floats


def _check_evaluates(module: Any) -> None:
    training = [name or "the module itself" for name, part in module.named_modules() if part.training]
    if training:
        raise ValueError(
            f"xbar.from_torch: {training[0]} is in training mode, where dropout and batch norm are random or update "
            "their statistics. Call module.eval()."
        )


@contextlib.contextmanager
def _explained(torchax: Any, name: str) -> Iterator[None]:
    """torchax's refusals in sentences that say what to do."""
    try:
        yield
    except torchax.tensor.OperatorNotFound as error:
        raise NotImplementedError(
            f"xbar.from_torch: torchax cannot run an operator of {name}: {str(error).strip().splitlines()[0]}. Write that "
            "part with other operators of torch, or in JAX."
        ) from error
    except AssertionError as error:
        if "mixed math" not in str(error):
            raise
        raise NotImplementedError(
            f"xbar.from_torch: in {name} a tensor that is neither a parameter nor a buffer is combined with an input: "
            "one in a list, one made from an array, or one made by an operator that torchax does not know. Register it "
            "with module.register_buffer, or write that part differently."
        ) from error


def _array(torch: Any, leaf: Any) -> Any:
    """Arrays as JAX's, which torchax asks for; everything else as it is."""
    if isinstance(leaf, torch.Tensor):
        raise TypeError("xbar.from_torch: an input is a torch.Tensor; f takes arrays: give x.numpy().")
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf


def _plain_outputs(torch: Any, module: Any) -> Any:
    """A module around this one that returns plain tuples, lists and dictionaries."""

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module
            self.eval()

        def forward(self, *inputs: Any, **options: Any) -> Any:
            return _plain(self.module(*inputs, **options))

    return Plain()


def _plain(out: Any) -> Any:
    if isinstance(out, Mapping):
        return {key: _plain(value) for key, value in out.items()}
    if isinstance(out, tuple | list):
        made = [_plain(value) for value in out]
        return tuple(made) if isinstance(out, tuple) else made
    return out


def _loaded() -> tuple[Any, Any]:
    """torchax, with its operators, and torch."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "xbar.from_torch needs PyTorch and torchax, which are not installed: pip install 'xbar-sim[torch]'."
        ) from error
    try:
        with _LOADING, _missing_operators(torch):
            import torchax

            torchax.default_env()
    except ImportError as error:
        raise ImportError(
            "xbar.from_torch needs torchax, which is not installed: pip install 'xbar-sim[torch]'."
        ) from error
    except Exception as error:
        raise ImportError(
            f"xbar.from_torch: torchax does not load with torch {torch.__version__} ({type(error).__name__}: {error}). "
            f"{TRIED}."
        ) from error
    return torchax, torch


class _Absent:
    """Stands for an operator that torch does not have, and has any overload."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object()


@contextlib.contextmanager
def _missing_operators(torch: Any) -> Iterator[None]:
    """Lets torchax name operators and overloads that torch no longer has while it loads.

    torch 2.13 dropped the overloads with named dimensions (`aten.prod.dim_Dimname`) and torch 2.14 operators that were long
    deprecated (`aten.cholesky`), which torchax 0.0.13 lists in its tables; no module can call what torch does not have.
    To be removed once torchax no longer needs it.
    """
    with _tolerant(torch._ops.OpOverloadPacket, object), _tolerant(torch._ops._OpNamespace, _Absent):
        yield


@contextlib.contextmanager
def _tolerant(kind: Any, make: Callable[[], Any]) -> Iterator[None]:
    """Lets a class give `make()` for attributes that it lacks."""
    given = kind.__getattr__

    def tolerant(self: Any, name: str) -> Any:
        try:
            return given(self, name)
        except AttributeError:
            if name.startswith("__"):
                raise
            return make()

    kind.__getattr__ = tolerant
    try:
        yield
    finally:
        kind.__getattr__ = given
