"""The energy ledger: joules of one inference by layer and component, their uncertainty and assumptions."""

from __future__ import annotations

import functools
import html
from collections.abc import Iterable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.special import ndtri

from xbar.energy.adc import bound_notes
from xbar.energy.table import ledger_table, ledger_text
from xbar.energy.technology import Coefficient, Technology
from xbar.energy.units import as_float, concrete
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.work import Work

COMPONENTS = ("array", "dac", "adc", "accumulate", "digital", "memory")
# Every priced term, the component it belongs to, and the coefficients whose notes come with it.
TERMS = {
    "array": ("array", ("array",)),
    "wire": ("dac", ("wire",)),
    "dac": ("dac", ("dac",)),
    "driver": ("dac", ("driver",)),
    "adc": ("adc", ("adc",)),
    "shift_add": ("accumulate", ("shift_add",)),
    "fp16_multiply": ("accumulate", ("fp16_multiply",)),
    "operation": ("digital", ("fp16_add", "fp16_multiply")),
    "transcendental": ("digital", ("transcendental",)),
    "memory": ("memory", ("memory",)),
}
_COMPONENT = np.array([COMPONENTS.index(component) for component, _ in TERMS.values()])
# Terms priced by one coefficient vary together: here digital operations with the scale multiplications.
_LATENTS = tuple(dict.fromkeys(sources[-1] for _, sources in TERMS.values()))
_LATENT = np.array([_LATENTS.index(sources[-1]) for _, sources in TERMS.values()])
SCOPE_NOTE = "not priced: leakage, clock and control, links between tiles, off-chip memory, programming"
SPREAD_NOTE = "P10-P90: log-normal coefficients, shared by all layers, independent of each other; spreads are judged"


SUMS = ("total", "layer", "component")  # what `Ledger.quantiles` can sum over


class Ledger(eqx.Module):
    """Joules per inference, layer by layer and term by term; a pytree, so chips can be vmapped over.

    Args:
        terms: energy of each layer and priced term (`TERMS`) at the median coefficients [J].
        sigma_ln: log-normal spread of each term's coefficient.
        macs: multiply-accumulates per inference on the arrays and in the digital rest.
        layers: names of the rows; the last is the digital rest.
        notes: every assumption, extrapolation and recalled constant in play.
    """

    terms: Float[Array, "*batch layers terms"]
    sigma_ln: Float[Array, "*batch terms"]
    macs: Float[Array, "*batch"]
    layers: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    components: tuple[str, ...] = eqx.field(static=True, default=COMPONENTS)

    @property
    def joules(self) -> Float[Array, "*batch layers components"]:
        """Energy of one inference by layer and component [J]; NaN where a converter has no defined energy."""
        return _by_component(self.terms)

    @property
    def total(self) -> Float[Array, "*batch"]:
        """Energy of one inference at the median coefficients [J]."""
        return self.terms.sum((-2, -1))

    @property
    def by_layer(self) -> Float[Array, "*batch layers"]:
        """Energy by layer [J]."""
        return self.terms.sum(-1)

    @property
    def by_component(self) -> Float[Array, "*batch components"]:
        """Energy by component [J]."""
        return _by_component(self.terms.sum(-2))

    @property
    def per_mac(self) -> Float[Array, "*batch"]:
        """Energy per multiply-accumulate [J]."""
        return self.total / self.macs

    @property
    def elasticities(self) -> Float[Array, "*batch terms"]:
        """d ln(total) / d ln(coefficient) of each term: its share of the total [1]."""
        return self.terms.sum(-2) / self.total[..., None]

    def quantiles(
        self,
        probabilities: Sequence[float] = (0.1, 0.5, 0.9),
        by: str = "total",
    ) -> Float[Array, "probabilities ..."]:
        """Quantiles of the energy [J] under the log-normal uncertainty of the coefficients.

            E = sum_c E_c exp(sigma_c z_c),    z_c independent unit normals, one per coefficient

        A fixed Latin hypercube of 4096 points stands for z, so the answer is deterministic and
        differentiable, and exact to 0.1 % for a single coefficient. P50 exceeds `total` where several terms
        add up: the median of a sum of log-normals is above the sum of their medians.

        Args:
            probabilities: quantiles wanted, each in (0, 1).
            by: what to sum over.

        Returns:
            One row per probability [J].

        Breaks when: a probability is nearer to 0 or 1 than 1/4096.
        """
        if by not in SUMS:
            raise ValueError(f"by = {by!r}: sum over one of {', '.join(SUMS)}")
        normals = _hypercube(len(_LATENTS))[:, _LATENT]
        factors = jnp.exp(self.sigma_ln[..., None, :] * normals)
        if by == "layer":
            samples = jnp.einsum("...lt,...st->...sl", self.terms, factors)
        else:
            samples = self.terms.sum(-2)[..., None, :] * factors
            samples = _by_component(samples) if by == "component" else samples.sum(-1, keepdims=True)
        quantiles = jnp.quantile(samples, jnp.asarray(probabilities), axis=-2)
        return quantiles[..., 0] if by == "total" else quantiles

    @property
    def _has_values(self) -> bool:
        return isinstance(self.terms, jax.Array) and not isinstance(self.terms, Tracer)

    @property
    def _without_values(self) -> str:
        return f"Ledger of {len(self.layers)} layers, being traced"

    def table(self) -> str:
        """A terminal table, at most 100 columns: joules by layer and component, P10-P90, and the notes."""
        return ledger_table(self) if self._has_values else self._without_values

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return ledger_text(self) if self._has_values else self._without_values

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"


def price(
    costs: Sequence[LayerCosts],
    usages: Sequence[Usage],
    work: Work,
    technology: Technology,
    inferences: ArrayLike = 1,
) -> Ledger:
    """Ledger of one inference: events times the price of an event, averaged over the inferences of a run.

    Args:
        costs: fixed facts of each analog layer.
        usages: events of each layer over the whole run, in the same order.
        work: digital work left over, of the whole run.
        technology: prices.
        inferences: number of inferences (batch elements) in the run.

    Returns:
        `Ledger` with one row per analog layer and a last row "(digital)".

    Breaks when: adc_bits or dac_bits is None: that entry and all its sums are NaN, and a note says so, for an
    unquantised converter has no defined energy.
    """
    if len(costs) != len(usages):
        raise ValueError(f"usages: {len(usages)} given for {len(costs)} layers in costs; give one per layer")
    rows = [_analog_terms(c, u, technology) for c, u in zip(costs, usages, strict=True)]
    rows.append(_digital_terms(work, technology))
    zero = jnp.zeros(())
    terms = jnp.stack([jnp.stack([as_float(row.get(term, zero)) for term in TERMS]) for row in rows])
    macs = sum((usage.macs for usage in usages), as_float(work.mac_ops / 2))
    return Ledger(
        terms=terms / inferences,
        sigma_ln=jnp.stack([_sigma(technology, sources) for _, sources in TERMS.values()]),
        macs=macs / inferences,
        layers=(*(cost.name for cost in costs), "(digital)"),
        notes=_notes(costs, usages, rows, work, technology),
    )


def _analog_terms(cost: LayerCosts, use: Usage, tech: Technology) -> dict[str, jax.Array]:
    drives = use.dac_conversions + use.driver_pulses
    return {
        "array": use.array_joules * tech.array.value,
        "wire": drives * tech.line_charge(cost.cols, cost.v_read),
        "dac": _times(use.dac_conversions, tech.dac_conversion(cost.dac_bits)),
        "driver": use.driver_pulses * tech.at_node(tech.driver),
        "adc": _times(use.adc_conversions, tech.adc_conversion(cost.adc_bits, cost.read_time)),
        "shift_add": use.accumulations * tech.at_node(tech.shift_add),
        "fp16_multiply": use.multiplications * tech.at_node(tech.fp16_multiply),
        "memory": use.buffer_accesses * tech.activation_bits * tech.memory_bit(),
    }


def _digital_terms(work: Work, tech: Technology) -> dict[str, jax.Array]:
    accesses = 2.0 * work.elements_moved + work.operands  # a move is one read and one write
    return {
        "operation": float(work.ops + work.mac_ops) * tech.operation(),
        "transcendental": float(work.transcendental) * tech.at_node(tech.transcendental),
        "memory": accesses * tech.activation_bits * tech.memory_bit(),
    }


def _times(events: jax.Array, joules: jax.Array) -> jax.Array:
    """events * joules, but no events cost nothing even where the price is undefined (NaN)."""
    return jnp.where(events == 0, 0.0, events * joules)


def _sigma(tech: Technology, sources: tuple[str, ...]) -> jax.Array:
    return jnp.mean(jnp.stack([getattr(tech, source).sigma_ln for source in sources]), axis=0)


def _by_component(terms: jax.Array) -> jax.Array:
    columns = [terms[..., np.flatnonzero(c == _COMPONENT)].sum(-1) for c in range(len(COMPONENTS))]
    return jnp.stack(columns, axis=-1)


@functools.cache
def _hypercube(dimensions: int, points: int = 4096) -> np.ndarray:
    """Unit normals whose every marginal is stratified; fixed, so that two runs give one answer."""
    strata = (np.arange(points) + 0.5) / points
    columns = np.random.default_rng(0).permuted(np.tile(strata, (dimensions, 1)), axis=1)
    return ndtri(columns).T


def _notes(
    costs: Sequence[LayerCosts],
    usages: Sequence[Usage],
    rows: list[dict[str, jax.Array]],
    work: Work,
    tech: Technology,
) -> tuple[str, ...]:
    """Assumptions in play, each once; terms that are known to be zero bring none."""
    notes = [SCOPE_NOTE, SPREAD_NOTE]
    for term, (_, sources) in TERMS.items():
        if any(term in row and concrete(row[term]) != 0 for row in rows):
            for source in sources:
                notes += _coefficient_notes(source, getattr(tech, source))
    notes += tech.notes()
    for cost, use in zip(costs, usages, strict=True):
        notes += _converter_notes(cost, use, tech)
    if usages and all(concrete(use.buffer_accesses) == 0 for use in usages):
        notes.append("analog layers: activation-buffer traffic was not counted")
    if work.unbounded:
        notes.append("a while loop of unknown length is in the digital work: counted as one turn")
    return tuple(dict.fromkeys(notes))


def _coefficient_notes(name: str, coefficient: Coefficient) -> Iterable[str]:
    if coefficient.note:
        yield coefficient.note
    if coefficient.tag == "L":
        yield f"{name} is recalled [L], not read: {coefficient.source}"
    if coefficient.tag == "3":
        yield f"{name} is restated by a third party [3]: {coefficient.source}"


def _converter_notes(cost: LayerCosts, use: Usage, tech: Technology) -> Iterable[str]:
    if cost.adc_bits is None and concrete(use.adc_conversions) != 0:
        yield f"{cost.name}: an unquantised ADC (bits=None) has no defined energy: entry is NaN"
    if cost.dac_bits is None and concrete(use.dac_conversions) != 0:
        yield f"{cost.name}: an unquantised DAC (bits=None) has no defined energy: entry is NaN"
    if cost.adc_bits is not None and concrete(use.adc_conversions) != 0:
        yield from tech.adc_model.notes(cost.adc_bits, tech.adc_rate(cost.read_time), tech.node)
        yield from bound_notes(tech.adc_conversion(cost.adc_bits, cost.read_time), cost.adc_bits)
