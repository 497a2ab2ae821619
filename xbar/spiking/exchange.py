"""Spiking networks of other simulators, via the Neuromorphic Intermediate Representation (extra `[nir]`)."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from xbar.spiking.neurons import LIF, Method, Reset

Params = dict[str, dict[str, Array]]
_NEURONS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI")
_KNOWN = (
    *_NEURONS,
    "Affine",
    "Linear",
    "Scale",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "Flatten",
    "Delay",
    "Input",
    "Output",
)


@dataclasses.dataclass(frozen=True, eq=False)
class NIRNetwork:
    """A graph as a function: `network(params, x)` for `xbar.analog`, with `params` from `from_nir`.

    Args:
        graph: as it was read. order: nodes, each after what feeds it within a step. fed: by node, its sources and whether it
            takes them from the step before. dt: time step [s]. method, reset, late: how neurons are discretised, see `LIF`.
    """

    graph: Any
    order: tuple[str, ...]
    fed: Mapping[str, tuple[tuple[str, bool], ...]]
    dt: float
    method: Method
    reset: Reset
    late: int

    def __call__(self, params: Params, x: Array) -> dict[str, Array]:
        """What every neuron node and every output shows over time, for inputs `(steps, batch, ...)`.

        Returns:
            Spikes (currents of `LI` nodes: membranes) by node, `(steps, batch, ...)`; membranes as `NODE.v`.
        """
        state, held = self._at_rest(params, x[0])

        def step(carry, now):
            state, shown = self._step(params, carry[0], carry[1], now)
            return (state, shown), {n: a for n, a in shown.items() if self._is_shown(n)}

        return jax.lax.scan(step, (state, held), x)[1]

    def _at_rest(self, params: Params, x: Array) -> tuple[dict[str, Any], dict[str, Array]]:
        """States before the first step, and what was shown before it: nothing."""
        shown: dict[str, Array] = {}
        state: dict[str, Any] = {}
        for _ in self.order:  # what is fed by a loop alone takes one more pass to have a shape
            state, new = jax.eval_shape(lambda x, shown=shown: self._step(params, {}, shown, x), x)
            known = len(shown)
            shown = {n: jnp.zeros(a.shape, a.dtype) for n, a in new.items()}
            if len(shown) == known:
                break
        rest = {
            n: jnp.zeros(s.shape, s.dtype) if isinstance(s, jax.ShapeDtypeStruct) else self._neurons(n).start(s.v.shape)
            for n, s in state.items()
        }
        return rest, shown

    def _is_shown(self, name: str) -> bool:
        node = self.graph.nodes.get(name.removesuffix(".v"))
        return type(node).__name__ in (*_NEURONS, "Output")

    def _step(self, params: Params, state: dict[str, Any], last: dict[str, Array], x: Array) -> tuple[dict, dict]:
        new, shown = dict(state), {}
        for name in self.order:
            node, kind = self.graph.nodes[name], type(self.graph.nodes[name]).__name__
            if kind == "Input":
                shown[name] = jnp.asarray(x, jnp.float32)
                continue
            sources = [(last if before else shown).get(s) for s, before in self.fed[name]]
            known = [s for s in sources if s is not None]
            if not known:
                continue
            total = sum(known[1:], start=known[0])
            if kind in _NEURONS:
                new[name], shown[name], shown[f"{name}.v"] = self._fired(name, state.get(name), total)
            elif kind == "Delay":
                new[name], shown[name] = _delayed(node, state.get(name), total, self.dt)
            else:
                shown[name] = _OPERATIONS[kind](node, params.get(name, {}), total)
        return new, shown

    def _neurons(self, name: str) -> LIF:
        node = self.graph.nodes[name]
        return _body(node, type(node).__name__, self.method, self.reset, self.late)

    def _fired(self, name: str, state: Any, x: Array) -> tuple[Any, Array, Array]:
        """A node's neurons after a step: their state, what they show, their membranes."""
        body = self._neurons(name)
        state, spikes = body.step(body.start(x.shape) if state is None else state, x, self.dt)
        silent = type(self.graph.nodes[name]).__name__ in ("LI", "CubaLI")
        return state, state.v if silent else spikes, state.v


def from_nir(
    source: Any,
    dt: float,
    *,
    method: Method = "euler",
    reset: Reset = "subtract",
    late: int = 0,
) -> tuple[NIRNetwork, Params]:
    """A graph of the Neuromorphic Intermediate Representation as a JAX function and its parameters.

    Args:
        source: a `nir.NIRGraph`, or the path of a `.nir` file. dt: time step [s].
        method, reset, late: how the continuous equations are discretised, see `LIF`; the representation leaves it open.
            Traces of one neuron on eleven platforms: norse is euler and to_reset, spiNNaker2 and snnTorch euler; sinabs and
            rockpool impulse; nengo exponential; spyx and Lava euler and late; Loihi `FixedPointLIF`.

    Returns:
        The network, and the weights and biases of its nodes by name.

    Raises:
        ImportError: without the package nir. ValueError: for a graph that is not flat, has no input or no output, or a loop
            without a neuron or delay. NotImplementedError: for a kind of node that is not known.

    Reference: Pedersen et al. 2024, 10.1038/s41467-024-52259-9.

    Breaks when: neurons' time constants are not large against `dt`.
    """
    nir = _nir()
    graph = nir.read(os.fspath(source)) if isinstance(source, str | os.PathLike) else source
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    for name, kind in kinds.items():
        if kind == "NIRGraph":
            raise ValueError(f"from_nir: node {name!r} is a graph of its own. Flatten the graph first.")
        if kind not in _KNOWN:
            raise NotImplementedError(f"from_nir: node {name!r} is a {kind}; supported are {', '.join(_KNOWN)}.")
    if "Input" not in kinds.values() or "Output" not in kinds.values():
        raise ValueError("from_nir: the graph has no input or no output; give it both.")
    order, fed = _ordered(kinds, [tuple(edge) for edge in graph.edges])
    params = {
        name: {
            field: jnp.asarray(np.asarray(getattr(node, field), np.float32))
            for field in ("weight", "bias", "scale")
            if hasattr(node, field)
        }
        for name, node in graph.nodes.items()
    }
    return NIRNetwork(graph, order, fed, dt, method, reset, late), {name: p for name, p in params.items() if p}


def to_nir(network: NIRNetwork, params: Params, path: str | os.PathLike[str] | None = None) -> Any:
    """The graph with these weights, everything else as it was read; written to `path` (whole or not at all) if given."""
    nir = _nir()
    graph = copy.deepcopy(network.graph)
    for name, arrays in params.items():
        for field, value in arrays.items():
            old = getattr(graph.nodes[name], field)
            setattr(graph.nodes[name], field, np.asarray(value).astype(old.dtype).reshape(old.shape))
    if path is not None:
        from xbar.storage.whole_files import replacing

        with replacing(path) as temporary:
            nir.write(os.fspath(temporary), graph)
    return graph


def _parameters(node: Any) -> dict[str, Array]:
    """What a node multiplies with and adds."""
    known = (field for field in ("weight", "bias", "scale") if hasattr(node, field))
    return {field: jnp.asarray(np.asarray(getattr(node, field), np.float32)) for field in known}


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise ImportError("spiking networks in NIR need the package nir: pip install 'xbar-sim[nir]'.") from error
    return nir


def _ordered(kinds: Mapping[str, str], edges: list[tuple[str, str]]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Nodes in the order of a step. What a neuron sends back to its own sources arrives in the next step."""
    after: dict[str, set[str]] = {name: set() for name in kinds}
    for source, target in edges:
        after[source].add(target)
    reach = {name: _reached(name, after) for name in kinds}
    late = {(s, t) for s, t in edges if kinds[s] in (*_NEURONS, "Delay") and s in reach[t] | {t}}
    fed = {name: tuple((s, (s, t) in late) for s, t in edges if t == name) for name in kinds}
    order: list[str] = []
    while len(order) < len(kinds):
        ready = [n for n in kinds if n not in order and all(b or s in order for s, b in fed[n])]
        if not ready:
            raise ValueError(
                f"from_nir: {', '.join(n for n in kinds if n not in order)} form a loop without a neuron or delay."
            )
        order += ready
    if unfed := [n for n, kind in kinds.items() if kind != "Input" and not fed[n]]:
        raise ValueError(f"from_nir: nothing feeds {', '.join(unfed)}.")
    return tuple(order), fed


def _reached(name: str, after: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    new = {name}
    while new:
        new = {t for n in new for t in after[n]} - found
        found |= new
    return found


def _body(node: Any, kind: str, method: Method, reset: Reset, late: int) -> LIF:
    """A node's neurons; those that do not spike have a threshold out of reach."""
    value = lambda field, otherwise: np.asarray(getattr(node, field, otherwise), np.float32)  # noqa: E731
    current = kind.startswith("Cuba")
    return LIF(
        tau=value("tau_mem" if current else "tau", np.inf),
        r=value("r", 1.0),
        v_leak=value("v_leak", 0.0),
        threshold=value("v_threshold", 1e30),
        v_reset=value("v_reset", 0.0),
        tau_syn=value("tau_syn", 0.0) if current else None,
        w_in=value("w_in", 1.0) if current else 1.0,
        reset=reset,
        method=method,
        late=late,
    )


def _delayed(node: Any, state: Any, x: Array, dt: float) -> tuple[Array, Array]:
    """A line of spikes on their way; each neuron's delay is rounded to steps."""
    steps = np.broadcast_to(np.rint(np.asarray(node.delay) / dt).astype(int), x.shape[1:])
    line = jnp.zeros((int(steps.max()) + 1, *x.shape), x.dtype) if state is None else state
    line = jnp.concatenate([x[None], line[:-1]])
    return line, jnp.take_along_axis(line, jnp.broadcast_to(steps, x.shape)[None], 0)[0]


def _affine(node: Any, params: dict[str, Array], x: Array) -> Array:
    return x @ params["weight"].T + params.get("bias", 0.0)


def _convolved(node: Any, params: dict[str, Array], x: Array) -> Array:
    pair = lambda v: tuple(int(i) for i in np.broadcast_to(v, 2))  # noqa: E731
    padding = node.padding.upper() if isinstance(node.padding, str) else [(p, p) for p in pair(node.padding)]
    out = jax.lax.conv_general_dilated(
        x,
        params["weight"],
        pair(node.stride),
        padding,
        rhs_dilation=pair(node.dilation),
        feature_group_count=int(node.groups),
    )
    return out + params["bias"][:, None, None]


def _pooled(node: Any, params: dict[str, Array], x: Array) -> Array:
    sizes, strides = ((1, 1, *(int(i) for i in np.broadcast_to(v, 2))) for v in (node.kernel_size, node.stride))
    padding = [(0, 0), (0, 0), *((int(p), int(p)) for p in np.broadcast_to(node.padding, 2))]
    total = jax.lax.reduce_window(x, 0.0, jax.lax.add, sizes, strides, padding)
    return total / (sizes[2] * sizes[3]) if type(node).__name__ == "AvgPool2d" else total


def _flattened(node: Any, params: dict[str, Array], x: Array) -> Array:
    first, last = int(node.start_dim), int(node.end_dim)
    shape = x.shape[1:]
    end = len(shape) + last if last < 0 else last
    return x.reshape(x.shape[0], *shape[:first], -1, *shape[end + 1 :])


_OPERATIONS: dict[str, Callable[[Any, dict[str, Array], Array], Array]] = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": lambda node, params, x: x * params["scale"],
    "Conv2d": _convolved,
    "SumPool2d": _pooled,
    "AvgPool2d": _pooled,
    "Flatten": _flattened,
    "Output": lambda node, params, x: x,
}
