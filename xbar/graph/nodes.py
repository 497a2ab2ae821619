"""A traced function as a graph whose stationary matrix products are marked.

A `Plan` is a flat list of nodes on numbered values: calls are inlined, loops and branches hold plans of their own
(`xbar.graph.control_flow`). Every node answers for itself: what it reads, how it runs, what digital work it is.
`xbar.graph.analysis` builds plans; `xbar.graph.stationary_weights` finds the matrices that are programmed.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn
from jaxtyping import Array, PRNGKeyArray

from devices._numerics import at_least_float32
from xbar.graph.products import Product
from xbar.graph.work import Work, work_of


class Level(enum.IntEnum):
    """What a value depends on."""

    CONSTANT = 0  # on nothing that is passed in
    STATIONARY = 1  # on the parameters only
    STREAMING = 2  # on the inputs


@dataclasses.dataclass(frozen=True)
class Value:
    """What the analysis knows of one value.

    Args:
        level: what it depends on.
        leaves: indices of the parameter leaves it depends on.
        scans: the scans with whose iterations it changes, outermost first.
        number: equal numbers mean equal values, so that one weight used twice is one array.
    """

    level: Level
    leaves: frozenset[int]
    scans: tuple[int, ...]
    number: int


@dataclasses.dataclass(frozen=True)
class Constant:
    """An operand that depends on nothing that is passed in.

    Scalars are kept as they are. Arrays are captured: a plan knows only their place among all that the function captures,
    so that what JAX keeps of a plan keeps no array alive, and no array is compiled into the code.
    """

    value: Any = None
    captured: int | None = None

    def among(self, captured: Sequence[Any]) -> Any:
        """Its value, given all captured arrays."""
        return self.value if self.captured is None else captured[self.captured]


Operand = int | Constant
Made = TypeVar("Made")
Read = Callable[[Operand], Any]
Watched = dict[int, Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One weight matrix (or a stack of them) that can sit on crossbars.

    Args:
        path: the parameter that it is made from.
        product: its layout at first use. leaves: all parameter leaves it is made from.
        scans, lengths: the scans that step through a stack of such matrices, and how many steps each makes.
        paths: the parameter of each step of the first scan, where equal blocks became a loop; else none.
    """

    path: str
    product: Product
    leaves: frozenset[int]
    scans: tuple[int, ...]
    lengths: tuple[int, ...]
    paths: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of all blocks that share this layer, one for each; the layer's own if there is one block."""
        return self.paths or (self.path,)

    @property
    def shape(self) -> tuple[int, ...]:
        """(k, n): inputs and outputs of one matrix; (groups, k, n) where there are several."""
        groups, k, n = self.product.sizes
        return (k, n) if groups == 1 else (groups, k, n)

    @property
    def signature(self) -> tuple:
        """What must agree between two traces for the same cells to serve both."""
        return self.path, self.product.sizes, self.product.layout, self.lengths


@dataclasses.dataclass(frozen=True)
class Digital:
    """A matrix product that stays digital, and why.

    Args:
        what: the operation. shapes: of its operands.
        path: the parameter that it holds; None if it holds none.
        surprising: one might have expected it on an array.
    """

    what: str
    shapes: tuple[tuple[int, ...], ...]
    reason: str
    path: str | None = None
    surprising: bool = False

    def __str__(self) -> str:
        shapes = " x ".join(str(list(shape)) for shape in self.shapes)
        return f"{self.path + ', ' if self.path else ''}{self.what} {shapes}: {self.reason}"


# Reads the array of one layer: (layer, array, product, streaming operand, key, probe) -> outputs, and what a watcher saw or
# None.
ReadArray = Callable[[int, Any, Product, Array, PRNGKeyArray | None, Any], tuple[Array, Any]]


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run needs besides its inputs.

    Args:
        arrays: the mapped layers' arrays, whatever `read` takes. scans: the scans that step through each layer's stack.
        read: reads an array with input vectors.
        merge: joins what was seen in two reads of one array, with 0 as its neutral element.
        captured: the arrays that constants stand for.
        probes: what each product (by its uid) hands to its read, with a leading axis for every loop around it; or none.
    """

    arrays: Mapping[int, Any]
    scans: Mapping[int, tuple[int, ...]]
    read: ReadArray
    merge: Callable[[Array, Array], Array] = jnp.add
    captured: Sequence[Any] = ()
    probes: Mapping[int, Any] = dataclasses.field(default_factory=dict)


def merged(a: Watched, b: Watched, ctx: Context) -> Watched:
    """What was seen in two reads of the same arrays."""
    joined = {i: jax.tree.map(ctx.merge, a[i], b[i]) for i in a.keys() & b.keys()}
    return {**a, **b, **joined}


def evaluate(eqn: JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    """The outputs of one equation."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    subfuns, params = bound if isinstance(bound, tuple) else ((), bound)  # jax < 0.9 gives a pair
    with eqn.ctx.manager:
        outs = eqn.primitive.bind(*subfuns, *values, **params)
    return list(outs) if eqn.primitive.multiple_results else [outs]


class AbstractNode(abc.ABC):
    """One step of a plan. `eqn` is the equation it stands for; `outs` number the values that it makes."""

    eqn: JaxprEqn
    outs: tuple[int, ...]
    holds_product: bool = True

    @abc.abstractmethod
    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        """What it reads when the layers in `mapped` sit on arrays."""

    @abc.abstractmethod
    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        """Its outputs, and what was seen of the arrays it reads."""

    @abc.abstractmethod
    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        """Digital work of one execution; `streams` says whether a value depends on the inputs."""

    @property
    @abc.abstractmethod
    def kernels(self) -> int:
        """Matrix products of one execution, each a kernel of a processor."""

    @property
    def bodies(self) -> tuple[Plan, ...]:
        """The plans inside."""
        return ()

    def with_bodies(self, bodies: tuple[Plan, ...]) -> AbstractNode:
        """The same node around other plans."""
        return self

    def inflow(self) -> list[list[tuple[int, Operand]]]:
        """For each body: its input numbers with the operands that stay the same while it runs."""
        return []

    def multiplies(self) -> Iterator[Multiply]:
        """Every product in it."""
        for body in self.bodies:
            yield from body.multiplies()


@dataclasses.dataclass(frozen=True)
class Equation(AbstractNode):
    """A jaxpr equation, evaluated as it stands."""

    eqn: JaxprEqn
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]
    holds_product = False

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        return list(self.ins)

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        return evaluate(self.eqn, [read(o) for o in self.ins]), {}

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return work_of(self.eqn) if any(map(streams, self.outs)) else Work()

    @property
    def kernels(self) -> int:
        return int(self.eqn.primitive.name in ("dot_general", "conv_general_dilated"))


@dataclasses.dataclass(frozen=True)
class Multiply(AbstractNode):
    """A streaming operand times a stationary one: a read of a crossbar, or a digital product if the layer stays digital."""

    uid: int
    layer: int
    product: Product
    eqn: JaxprEqn
    x: Operand
    w: Operand
    out: int

    @property
    def kernels(self) -> int:
        return 1

    @property
    def empty(self) -> bool:
        """There is no vector to read the array with."""
        aval: Any = self.eqn.outvars[0].aval
        return 0 in aval.shape

    @property
    def outs(self) -> tuple[int, ...]:
        return (self.out,)

    def operands(self, mapped: frozenset[int]) -> list[Operand]:
        return [self.x] if self.layer in mapped else [self.x, self.w]

    def run(self, read: Read, key: PRNGKeyArray | None, ctx: Context) -> tuple[Sequence[Any], Watched]:
        x = read(self.x)
        if self.layer not in ctx.arrays:
            pair = (x, read(self.w)) if self.product.stationary == 1 else (read(self.w), x)
            return evaluate(self.eqn, pair), {}
        aval: Any = self.eqn.outvars[0].aval
        x = jnp.asarray(x, at_least_float32(aval.dtype))
        noise = None if key is None else jax.random.fold_in(key, self.uid)
        probe = ctx.probes.get(self.uid)
        y, seen = ctx.read(self.layer, ctx.arrays[self.layer], self.product, x, noise, probe)
        return [self.product.result(y).astype(aval.dtype)], {} if seen is None else {self.layer: seen}

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        return Work() if self.layer in mapped else work_of(self.eqn)

    def multiplies(self) -> Iterator[Multiply]:
        yield self


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Nodes in order, with the numbers of the values that go in and come out."""

    inputs: tuple[int, ...]
    nodes: tuple[AbstractNode, ...]
    outputs: tuple[Operand, ...]

    def multiplies(self) -> Iterator[Multiply]:
        """Every product, those inside loops and branches included."""
        for node in self.nodes:
            yield from node.multiplies()

    @property
    def layers(self) -> frozenset[int]:
        """The layers used here."""
        return frozenset(m.layer for m in self.multiplies())

    def pruned(self, mapped: frozenset[int]) -> Plan:
        """The nodes that the outputs need when the layers in `mapped` sit on arrays (their weights are not computed)."""
        needed = {o for o in self.outputs if not isinstance(o, Constant)}
        kept: list[AbstractNode] = []
        for node in reversed(self.nodes):
            if not node.eqn.effects and needed.isdisjoint(node.outs):
                continue
            node = node.with_bodies(tuple(body.pruned(mapped) for body in node.bodies))
            kept.append(node)
            needed.update(o for o in node.operands(mapped) if not isinstance(o, Constant))
        return Plan(self.inputs, tuple(reversed(kept)), self.outputs)

    def inputs_used(self, mapped: frozenset[int]) -> list[bool]:
        """Which inputs a pruned plan reads."""
        used = {o for node in self.nodes for o in node.operands(mapped) if not isinstance(o, Constant)}
        used.update(o for o in self.outputs if not isinstance(o, Constant))
        return [i in used for i in self.inputs]

    def run(self, inputs: Sequence[Any], key: PRNGKeyArray | None, ctx: Context) -> tuple[list[Any], Watched]:
        """Evaluates a pruned plan: its outputs, and what was seen of each layer."""
        env = dict(zip(self.inputs, inputs, strict=True))
        watched: Watched = {}
        read = lambda o: o.among(ctx.captured) if isinstance(o, Constant) else env.get(o)  # noqa: E731
        for node in self.nodes:
            outs, seen = node.run(read, key, ctx)
            env.update(zip(node.outs, outs, strict=True))
            watched = merged(watched, seen, ctx)
        return [read(o) for o in self.outputs], watched

    def work(self, mapped: frozenset[int], streams: Callable[[int], bool]) -> Work:
        """The work of one call that stays digital."""
        return sum((node.work(mapped, streams) for node in self.nodes), Work())

    @property
    def kernels(self) -> int:
        """Matrix products of one call; products in a scan count once per step."""
        return sum(node.kernels for node in self.nodes)


@dataclasses.dataclass(frozen=True, eq=False)
class Traced:
    """A traced function.

    Args:
        values: what is known of each value of the plan. digital: the products that cannot be mapped.
        constants: the arrays that the function closes over; they follow those that it holds itself (`tracing.Function`).
        n_params: parameter leaves. n_out: elements of all outputs. out_tree: structure of the outputs.
    """

    plan: Plan
    values: tuple[Value, ...]
    layers: tuple[Layer, ...]
    digital: tuple[Digital, ...]
    constants: tuple[Any, ...]
    n_params: int
    n_out: int
    out_tree: Any
    _kept: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False)

    def kept(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once and kept for as long as this trace is.

        Functions are compiled for a trace in this way, so that code and plan go when it goes.
        """
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def plan_only(self) -> Traced:
        """The same without what is kept and captured, for functions that are kept themselves."""
        return dataclasses.replace(self, constants=(), _kept={})

    def pruned(self, mapped: frozenset[int]) -> Plan:
        """The plan of a call when the layers in `mapped` sit on arrays."""
        return self.kept(("pruned", mapped), lambda: self.plan.pruned(mapped))

    def digital_work(self, plan: Plan, mapped: frozenset[int]) -> Work:
        """The work of one call of a pruned plan that stays digital; what parameters alone decide was done at programming."""
        return plan.work(mapped, lambda i: self.values[i].level is Level.STREAMING)
