"""A traced function as a graph whose stationary matrix products are marked.

A `Plan` is a flat list of operations on numbered values: calls are inlined, loops and branches hold plans of their own.
`xbar.stationary` builds it; `xbar.execute` programs arrays from it and runs it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Hashable, Iterator
from typing import Any

from jax.extend.core import JaxprEqn

from xbar.products import Product


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
    number: Hashable


@dataclasses.dataclass(frozen=True)
class Constant:
    """An operand that is known when the function is traced."""

    value: Any


Operand = int | Constant


@dataclasses.dataclass(frozen=True)
class Layer:
    """One weight matrix (or a stack of them) that can sit on crossbars.

    Args:
        path: the parameter that it is made from.
        product: its layout at first use. leaves: all parameter leaves it is made from.
        scans, lengths: the scans that step through a stack of such matrices, and how many steps each makes.
    """

    path: str
    product: Product
    leaves: frozenset[int]
    scans: tuple[int, ...]
    lengths: tuple[int, ...]

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
    """A matrix product that stays digital, and why."""

    what: str
    shapes: tuple[tuple[int, ...], ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Equation:
    """A jaxpr equation, evaluated as it stands."""

    eqn: JaxprEqn
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Multiply:
    """A streaming operand times a stationary one: a read of a crossbar, or a digital product if the layer stays digital."""

    uid: int
    layer: int
    product: Product
    eqn: JaxprEqn
    x: Operand
    w: Operand
    out: int

    @property
    def outs(self) -> tuple[int, ...]:
        return (self.out,)


@dataclasses.dataclass(frozen=True)
class Scan:
    """`lax.scan` whose body holds products. `ins` are constants, initial carry and xs, as in the equation."""

    uid: int
    eqn: JaxprEqn
    body: Plan
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]
    invariant: tuple[bool, ...]  # for each carry: the body hands it on unchanged

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return (self.body,)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of constants and of carried values."""
        return scan_counts(self.eqn)


def scan_counts(eqn: JaxprEqn) -> tuple[int, int]:
    """Number of constants and of carried values of a `scan` equation."""
    if "num_consts" in eqn.params:
        return eqn.params["num_consts"], eqn.params["num_carry"]
    consts, carry, _ = eqn.params["ft_in"].unpack()  # newer jax keeps the operands as trees
    return len(list(consts)), len(list(carry))


@dataclasses.dataclass(frozen=True)
class While:
    """`lax.while_loop` whose body holds products. `ins` are cond constants, body constants and initial carry."""

    uid: int
    eqn: JaxprEqn
    body: Plan
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return (self.body,)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of constants of the condition and of the body."""
        return self.eqn.params["cond_nconsts"], self.eqn.params["body_nconsts"]


@dataclasses.dataclass(frozen=True)
class Branch:
    """`lax.cond` or `lax.switch` with products in a branch. `ins` are the index and the operands."""

    uid: int
    eqn: JaxprEqn
    branches: tuple[Plan, ...]
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return self.branches


@dataclasses.dataclass(frozen=True)
class Remat:
    """`jax.checkpoint` of a function that holds products."""

    uid: int
    eqn: JaxprEqn
    body: Plan
    ins: tuple[Operand, ...]
    outs: tuple[int, ...]

    @property
    def bodies(self) -> tuple[Plan, ...]:
        return (self.body,)


Nested = Scan | While | Branch | Remat
Operation = Equation | Multiply | Nested


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Operations in order, with the numbers of the values that go in and come out."""

    inputs: tuple[int, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Operand, ...]

    def multiplies(self) -> Iterator[Multiply]:
        """Every product, those inside loops and branches included."""
        for op in self.operations:
            if isinstance(op, Multiply):
                yield op
            elif not isinstance(op, Equation):
                for body in op.bodies:
                    yield from body.multiplies()

    @property
    def layers(self) -> frozenset[int]:
        """The layers used here."""
        return frozenset(m.layer for m in self.multiplies())


@dataclasses.dataclass(frozen=True, eq=False)
class Traced:
    """A traced function: its plan, what is known of each value, its layers, and the products that cannot be mapped."""

    plan: Plan
    values: tuple[Value, ...]
    layers: tuple[Layer, ...]
    digital: tuple[Digital, ...]
    n_params: int
    n_out: int  # elements of all outputs
    out_tree: Any
