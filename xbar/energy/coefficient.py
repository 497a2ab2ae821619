"""One number of the energy model: a median, a log-normal spread, a node and where it comes from."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from devices._checks import Checked, Number
from xbar.energy.units import as_float

TAGS = {
    "R": "read in the source named",
    "M": "measured: a program was run",
    "D": "derived by arithmetic from tagged numbers",
    "L": "recalled from the literature, not read",
    "3": "read as restated by a third party",
}


@dataclasses.dataclass(frozen=True)
class FloatNumber(Number):
    """A checked number of the model's own precision, whatever it is multiplied by."""

    def __call__(self, value: Any) -> Any:
        found = super().__call__(value)
        return as_float(found) if isinstance(found, jax.Array) else found


POSITIVE = FloatNumber(low=0.0, above=True)
AT_LEAST_0 = FloatNumber(low=0.0)


class Coefficient(Checked):
    """One number of the energy model: a median, a log-normal spread and where it comes from.

    Args:
        value: median at `node` [unit].
        sigma_ln: standard deviation of ln(value): 1.28 sigma_ln to P10 and to P90.
        unit: unit of `value`; areas (m^2, m^2/B) scale between nodes as areas, everything else as energies.
        node: technology node of the value [m]; None where it does not scale.
        tag: provenance, one letter of `TAGS`.
        source: where the value was found.
        note: assumption to print wherever the coefficient is in play.
    """

    value: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0)
    sigma_ln: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0)
    unit: str = eqx.field(static=True)
    node: int | float | None = eqx.field(static=True)
    tag: str = eqx.field(static=True)
    source: str = eqx.field(static=True)
    note: str = eqx.field(static=True, default="")

    def __check_init__(self):
        check_tag(self.tag)

    def footnotes(self, name: str) -> tuple[str, ...]:
        """The notes that belong beside any result that uses the coefficient."""
        notes = [self.note] if self.note else []
        if self.tag == "L":
            notes.append(f"{name} is recalled [L], not read: {self.source}")
        if self.tag == "3":
            notes.append(f"{name} is restated by a third party [3]: {self.source}")
        return tuple(notes)


def check_tag(tag: str) -> None:
    """Raises ValueError unless the provenance is one of `TAGS`."""
    if tag not in TAGS:
        raise ValueError(f"tag = {tag!r}: a provenance tag is one of {', '.join(TAGS)}")


class Part(Checked):
    """A component of an architecture that draws its power while its arrays work, whatever the data.

    An array that works for t seconds is charged `watts t / arrays`, one that waits `idle` of that.

    Args:
        name: for tables. component: the column of the ledger it belongs to.
        watts: power while working [W]. area: of one [m^2]. arrays: physical arrays that share one.
        level: "macro", "tile" or "chip": what it is a part of. idle: share of the power while its arrays wait.
        tag, source: provenance.
    """

    name: str = eqx.field(static=True)
    component: str = eqx.field(static=True)
    watts: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0)
    area: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0)
    arrays: Float[Array, "*_"] = eqx.field(converter=POSITIVE)
    level: str = eqx.field(static=True)
    tag: str = eqx.field(static=True)
    source: str = eqx.field(static=True)
    idle: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0, default=0.0)

    def __check_init__(self):
        check_tag(self.tag)
        if self.level not in ("macro", "tile", "chip"):
            raise ValueError(f"Part: level={self.level!r}; it must be 'macro', 'tile' or 'chip'.")
