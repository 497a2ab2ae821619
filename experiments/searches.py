"""Searches for designs that are accurate and cheap: along a gradient, on a grid, at random, by NSGA-II."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.design_space import Box

Evaluate = Callable[[np.ndarray], tuple[float, float]]
Candidate = tuple[Any, float, float]  # design, loss, ln(cost)
FINEST = ("bits", "volts", "read_time", "columns", "pulses", "range", "rows")  # which numbers a grid resolves first


def front(candidates: list[Candidate], most: int) -> list[Any]:
    """The designs that no other one beats in both loss and cost, most accurate first; at most `most`, evenly spread."""
    order = sorted(candidates, key=lambda c: (c[2], c[1]))
    kept: list[Candidate] = []
    for candidate in order:
        if not kept or candidate[1] < kept[-1][1]:
            kept.append(candidate)
    return [z for z, _, _ in spread_out(kept[::-1], most)]


def spread_out(items: list[Any], most: int) -> list[Any]:
    """At most `most` items of a list, evenly spread, including both ends."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.round(np.linspace(0, len(items) - 1, most)).astype(int)]


def random(evaluate: Evaluate, box: Box, budget: int, generator: np.random.Generator) -> list[Candidate]:
    """Uniform draws in the unit box."""
    return [(z, *evaluate(z)) for z in generator.random((budget, box.size))]


def grid(evaluate: Evaluate, box: Box, budget: int) -> list[Candidate]:
    """The same bits in all layers and fair shares of the pulses, on a grid of no more points than `budget`."""
    names = [*box.each, *box.shared]
    order = [n for n in FINEST if n in names]
    levels = dict.fromkeys(names, 1)
    levels["bits"] = min(4, budget)
    while True:  # the next level goes to the variable with the fewest levels, the most important one first
        name = min(order, key=lambda n: levels[n] - 2 * (n == "bits"))
        levels[name] += 1
        if np.prod(list(levels.values())) > budget:
            levels[name] -= 1
            break
    axes = [np.linspace(0, 1, k) if k > 1 else np.array([0.7]) for k in levels.values()]
    designs = [box.together(dict(zip(levels, point, strict=True))) for point in itertools.product(*axes)]
    return [(z, *evaluate(z)) for z in designs[:budget]]


def nsga2(evaluate: Evaluate, box: Box, budget: int, generator: np.random.Generator) -> list[Candidate]:
    """NSGA-II of pymoo (Deb et al. 2002, 10.1109/4235.996017), with its default settings except for a population of 12."""
    from pymoo.algorithms.moo.nsga2 import NSGA2  # pyright: ignore[reportMissingImports]
    from pymoo.core.problem import ElementwiseProblem  # pyright: ignore[reportMissingImports]
    from pymoo.optimize import minimize  # pyright: ignore[reportMissingImports]

    seen: list[Candidate] = []

    class Designs(ElementwiseProblem):
        def __init__(self):
            super().__init__(n_var=box.size, n_obj=2, xl=0.0, xu=1.0)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            found = evaluate(x)
            seen.append((x.copy(), *found))
            out["F"] = np.array(found)

    size = min(12, budget)
    minimize(Designs(), NSGA2(pop_size=size), ("n_eval", budget), seed=int(generator.integers(2**31)), verbose=False)
    return seen[:budget]


def by_gradient(config: Any, state: Any, space: Any, key: Any, rate: float) -> list[tuple[np.ndarray, Any]]:
    """Adam on the design, and on the weights where there is data to train on, for one weight of the cost after another:
    the point after every step, and the weights there."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    x, y = state.train
    trains = config.train_weights and space.task.network.teachable
    design, weights = optax.adam(rate), optax.adam(1e-4)
    place = jnp.asarray(space.box.nominal(fair=True), jnp.float32)
    real, static = eqx.partition(state.model, eqx.is_inexact_array)
    moments = (design.init(place), weights.init(real))
    path = []
    for weight in np.repeat(config.lambdas, config.gradients):
        key, pick, noise = jax.random.split(key, 3)
        rows = jax.random.randint(pick, (config.batch,), 0, len(x))
        row = space.first[space.box.row_number(np.asarray(place))]
        both = (place, eqx.combine(real, static))
        by_z, by_model = space.slope(both, x[rows], y[rows], noise, float(weight), row)
        step, first = design.update(by_z, moments[0])
        moved: Any = optax.apply_updates(place, step)
        place, moments = jnp.clip(moved, 0.0, 1.0), (first, moments[1])
        if trains:
            step, second = weights.update(eqx.filter(by_model, eqx.is_inexact_array), moments[1])
            real, moments = optax.apply_updates(real, step), (moments[0], second)
        path.append((space.box.rounded(np.asarray(place)), eqx.combine(real, static)))
    return path
