"""The energy ledger: joules, seconds and square metres of one inference by layer and component, with their uncertainty."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.special import ndtri

from xbar.energy.assumptions import notes_of
from xbar.energy.coefficient import AT_LEAST_0
from xbar.energy.pricing import COMPONENTS, TERMS, Recipe, by_component, converters, priced
from xbar.energy.schedule import Schedule, balanced_copies, schedule_text
from xbar.energy.sensitivity import elasticities
from xbar.energy.table import ledger_table, ledger_text
from xbar.energy.technology import Technology, coefficients
from xbar.energy.units import as_float
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.work import Work
from xbar.macro.write_counts import Writes

# Terms priced by one coefficient vary together: here the four shares of the arrays' heat.
_LATENTS = tuple(dict.fromkeys(sources[-1] for _, sources in TERMS.values()))
_LATENT = np.array([_LATENTS.index(sources[-1]) for _, sources in TERMS.values()])
SUMS = ("total", "layer", "component")  # what `Ledger.quantiles` can sum over


class Ledger(eqx.Module):
    """Joules, seconds and square metres of one inference, layer by layer; a pytree, so chips can be vmapped over.

    Args:
        terms: energy of each layer and priced term (`TERMS`) at the median coefficients [J].
        seconds: time of each layer by component [s]. area: of each layer's circuits by component [m^2].
        macs: multiply-accumulates per inference on the arrays and in the digital rest.
        recipe: everything that the prices depend on.
        notes: every assumption, extrapolation and recalled constant in play.
        programming: energy of writing the arrays once [J], by layer, and over how many inferences it is shared; or None.
    """

    terms: Float[Array, "*batch layers terms"]
    seconds: Float[Array, "*batch layers components"]
    area: Float[Array, "*batch layers components"]
    macs: Float[Array, "*batch"]
    recipe: Recipe
    notes: tuple[str, ...] = eqx.field(static=True)
    programming: tuple[Float[Array, "*batch written"], Float[Array, "..."]] | None = None
    components: tuple[str, ...] = eqx.field(static=True, default=COMPONENTS)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the rows: layers on arrays, then digital work."""
        return self.recipe.names

    @property
    def schedule(self) -> Schedule:
        return self.recipe.schedule

    # -- energy ---------------------------------------------------------------------------------------------------

    @property
    def joules(self) -> Float[Array, "*batch layers components"]:
        """Energy of one inference by layer and component [J]; NaN where a converter has no defined energy."""
        return by_component(self.terms)

    @property
    def total(self) -> Float[Array, "*batch"]:
        """Energy of one inference at the median coefficients [J]; programming is not in it."""
        return self.terms.sum((-2, -1))

    @property
    def by_layer(self) -> Float[Array, "*batch layers"]:
        """Energy by layer [J]."""
        return self.terms.sum(-1)

    @property
    def by_component(self) -> Float[Array, "*batch components"]:
        """Energy by component [J]."""
        return by_component(self.terms.sum(-2))

    @property
    def array_parts(self) -> dict[str, Float[Array, "*batch layers"]]:
        """The arrays' heat [J] in cells, word lines, bit lines, and what is in series with them."""
        names = tuple(TERMS)
        return {name: self.terms[..., names.index(name)] for name in ("cells", "word_wires", "bit_wires", "access")}

    @property
    def per_mac(self) -> Float[Array, "*batch"]:
        """Energy per multiply-accumulate [J]."""
        return self.total / self.macs

    def with_technology(self, technology: Technology) -> Ledger:
        """The same events at other prices, for circuits that would have done the same. Programming is left out."""
        batch = self.total.shape
        spread = lambda a: jnp.broadcast_to(a, (*batch, *jnp.shape(a))) if eqx.is_array(a) else a  # noqa: E731
        recipe = dataclasses.replace(self.recipe, technology=jax.tree.map(spread, technology))
        of = priced
        for _ in batch:
            of = jax.vmap(of)
        found = of(recipe)
        return Ledger(found.terms, found.seconds, found.area, self.macs, recipe, notes_of(recipe, found.terms))

    @property
    def amortised_programming(self) -> Float[Array, "*batch"]:
        """Energy of programming per inference that shares it [J]; 0 where it was not given."""
        if self.programming is None:
            return jnp.zeros_like(self.total)
        joules, inferences = self.programming
        return joules.sum(-1) / inferences

    def with_programming(self, writes: Mapping[str, Writes], *, inferences: ArrayLike) -> Ledger:
        """This ledger with the energy of writing its arrays, shared by this many inferences, as a row of its own.

        Cells: V^2 g t of each pulse and verifying read; each read also costs one input and one output conversion.

        Args:
            writes: by layer, from `Analog.programming`.

        Breaks when: cells that are half-selected take current; charge pumps of the writing voltage cost as much.
        """
        AT_LEAST_0.but(above=True).check("with_programming: inferences", as_float(inferences))
        tech, cost = self.recipe.technology, self.recipe.costs[0]
        drive = tech.at_node(tech.driver)
        if cost.encoding != "bit_serial" and cost.dac_bits is not None:
            drive = tech.input_conversion(cost.dac_bits, cost.encoding)
        read = tech.adc_conversion(8.0 if cost.adc_bits is None else cost.adc_bits, cost.read_time) + drive
        joules = jnp.stack([w.joules + w.reads * read for w in writes.values()], -1)
        said = (
            f"programming: {'pulses and reads are assumed' if any(w.assumed for w in writes.values()) else 'counted'}"
        )
        said += "; cells in half-selected lines and charge pumps are left out"
        return dataclasses.replace(self, programming=(joules, as_float(inferences)), notes=(*self.notes, said))

    # -- time and area --------------------------------------------------------------------------------------------

    @property
    def latency(self) -> Float[Array, "*batch"]:
        """Time of one inference at batch 1 [s]."""
        return self.seconds.sum((-2, -1))

    @property
    def period(self) -> Float[Array, "*batch"]:
        """Time from one inference to the next [s]: of the slowest layer in a pipeline, else the latency."""
        return self.schedule.period(self.seconds.sum(-1))

    @property
    def throughput(self) -> Float[Array, "*batch"]:
        """Inferences per second [1/s]."""
        return 1.0 / self.period

    @property
    def watts(self) -> Float[Array, "*batch"]:
        """Mean power at full throughput [W]."""
        return self.total / self.period

    @property
    def tops(self) -> Float[Array, "*batch"]:
        """Tera-operations per second at full throughput, two operations per MAC."""
        return 2e-12 * self.macs / self.period

    @property
    def tops_per_watt(self) -> Float[Array, "*batch"]:
        """Operations per picojoule, two per MAC."""
        return 2e-12 / self.per_mac

    @property
    def square_metres(self) -> Float[Array, "*batch"]:
        """Area of all circuits, overhead included [m^2]."""
        return self.area.sum((-2, -1))

    @property
    def energy_delay(self) -> Float[Array, "*batch"]:
        """Energy times latency of one inference [J s]."""
        return self.total * self.latency

    def timetable(self) -> str:
        """The schedule as a table: reads, copies, start and end of every layer in one inference."""
        if not self._has_values:
            return self._without_values
        costs, usages, work = self.recipe.costs, self.recipe.usages, self.recipe.work
        none = [None] * len(work)
        facts = {
            "arrays": [*(c.tiles * self.recipe.copies(i) for i, c in enumerate(costs)), *none],
            "copies": [*(self.recipe.copies(i) for i in range(len(costs))), *none],
            "vectors": [*(u.vectors / self.recipe.inferences for u in usages), *none],
            "planes": [*(c.planes for c in costs), *none],
            "ADCs": [*(converters(c, self.recipe.technology) for c in costs), *none],
        }
        return schedule_text(self.schedule, self.layers, self.seconds.sum(-1), facts, self.period)

    def balanced(self, arrays: int) -> Schedule:
        """A pipeline of this network whose slowest layers have copies, for at most `arrays` more arrays.

        Raises:
            TypeError: for a ledger that is being traced.
        """
        if not self._has_values:
            raise TypeError("Ledger.balanced needs numbers; it cannot decide on copies while it is being traced.")
        n = len(self.recipe.costs)
        seconds = np.asarray(self.seconds.sum(-1)).reshape(-1, len(self.layers)).mean(0)[:n]
        once = [float(t) * self.recipe.copies(i) for i, t in enumerate(seconds)]
        vectors = [float(np.mean(np.asarray(u.vectors))) / float(self.recipe.inferences) for u in self.recipe.usages]
        copies, _ = balanced_copies(
            once, [c.tiles for c in self.recipe.costs], [max(1, int(v)) for v in vectors], arrays
        )
        return Schedule(
            "pipelined", tuple((c.name, k) for c, k in zip(self.recipe.costs, copies, strict=True) if k > 1)
        )

    # -- uncertainty ----------------------------------------------------------------------------------------------

    @property
    def elasticities(self) -> Float[Array, "*batch terms"]:
        """d ln(total) / d ln(term): the share of each term [1]."""
        return self.terms.sum(-2) / self.total[..., None]

    def sensitivities(self) -> dict[str, Float[Array, "*batch"]]:
        """d ln(energy) / d ln(theta) of every coefficient, of the node, rates and sizes of the technology, and of each
        layer's read time, read voltage and ADC bits, by automatic differentiation; the largest first.

        Event counts are held fixed: the effect of a longer read or a higher voltage on the arrays' heat, which the
        simulation counted, is in the sensitivity to `array`.
        """
        return elasticities(self.recipe, self.total.ndim)

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
        quantiles = jnp.quantile(self.samples(by), jnp.asarray(probabilities), axis=-2)
        return quantiles[..., 0] if by == "total" else quantiles

    def samples(self, by: str = "total") -> Float[Array, "*batch samples sums"]:
        """The energies [J] whose quantiles `quantiles` gives; a last axis of one for the total.

        The coefficient of one name has the same deviation in the same sample of every ledger, so that differences and ratios
        of two ledgers have their own quantiles.
        """
        if by not in SUMS:
            raise ValueError(f"by = {by!r}: sum over one of {', '.join(SUMS)}")
        normals = _hypercube(len(_LATENTS))[:, _LATENT]
        factors = jnp.exp(self.sigma_ln[..., None, :] * normals)
        if by == "layer":
            return jnp.einsum("...lt,...st->...sl", self.terms, factors)
        samples = self.terms.sum(-2)[..., None, :] * factors
        return by_component(samples) if by == "component" else samples.sum(-1, keepdims=True)

    @property
    def sigma_ln(self) -> Float[Array, "*batch terms"]:
        """Log-normal spread of each term's coefficient."""
        spreads = {name: c.sigma_ln for name, c in coefficients(self.recipe.technology).items()}
        of_term = lambda names: sum(spreads[name] for name in names) / len(names)  # noqa: E731
        return jnp.stack([as_float(of_term(sources)) for _, sources in TERMS.values()], -1)

    # -- printing -------------------------------------------------------------------------------------------------

    @property
    def _has_values(self) -> bool:
        return isinstance(self.terms, jax.Array) and not isinstance(self.terms, Tracer)

    @property
    def _without_values(self) -> str:
        return f"Ledger of {len(self.layers)} layers, being traced"

    def table(self) -> str:
        """A terminal table, at most 100 columns: joules by component, by layer with P10-P90, time and area, and the notes."""
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
    work: Work | Mapping[str, tuple[Work, int | None]],
    technology: Technology,
    inferences: ArrayLike = 1,
    *,
    schedule: Schedule | None = None,
    fixed: bool = False,
    elements: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
) -> Ledger:
    """Ledger of one inference: events times the price of an event, averaged over the inferences of a run.

    Args:
        costs: fixed facts of each analog layer.
        usages: events of each layer over the whole run, in the same order.
        work: digital work left over, of the whole run: one row, or several by name, each with the number of the layer whose
            outputs it works on.
        technology: prices.
        inferences: number of inferences (batch elements) in the run.
        schedule: order of work; layers one after the other if None.
        fixed: the events are the same for any data; word lines then switch with `technology.activity`.
        elements: numbers that go into, and come out of, the network in the run.

    Returns:
        `Ledger` with one row per analog layer and one per piece of digital work, "(digital)" for a single one.

    Breaks when: adc_bits or dac_bits is None: that entry and all its sums are NaN, and a note says so, for an
    unquantised converter has no defined energy.
    """
    if len(costs) != len(usages):
        raise ValueError(f"usages: {len(usages)} given for {len(costs)} layers in costs; give one per layer")
    named = {"(digital)": (work, None)} if isinstance(work, Work) else dict(work)
    schedule = schedule or Schedule()
    schedule.check_names([cost.name for cost in costs])
    recipe = Recipe(
        costs=tuple(costs),
        usages=tuple(usages),
        technology=technology,
        schedule=schedule,
        inferences=as_float(inferences),
        elements=(as_float(elements[0]), as_float(elements[1])),
        work=tuple((name, w, after) for name, (w, after) in named.items()),
        fixed=fixed,
    )
    found = priced(recipe)
    macs = sum((usage.macs for usage in usages), as_float(sum(w.mac_ops for _, w, _ in recipe.work) / 2))
    return Ledger(
        terms=found.terms,
        seconds=found.seconds,
        area=found.area,
        macs=macs / inferences,
        recipe=recipe,
        notes=notes_of(recipe, found.terms),
    )


@functools.cache
def _hypercube(dimensions: int, points: int = 4096) -> np.ndarray:
    """Unit normals whose every marginal is stratified; fixed, so that two runs give one answer."""
    strata = (np.arange(points) + 0.5) / points
    columns = np.random.default_rng(0).permuted(np.tile(strata, (dimensions, 1)), axis=1)
    return ndtri(columns).T
