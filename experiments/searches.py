"""Searches for designs that are accurate and cheap: along a gradient, on a grid, at random, by NSGA-II."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Evaluate = Callable[[np.ndarray], tuple[float, float]]
Candidate = tuple[np.ndarray, float, float]  # design, loss, ln(cost)


def front(candidates: list[Candidate], most: int) -> list[np.ndarray]:
    """The designs that no other one beats in both loss and cost, the most accurate first; at most so many, evenly spread."""
    order = sorted(candidates, key=lambda c: (c[2], c[1]))
    kept: list[Candidate] = []
    for candidate in order:
        if not kept or candidate[1] < kept[-1][1]:
            kept.append(candidate)
    kept = kept[::-1]
    if len(kept) > most:
        kept = [kept[i] for i in np.round(np.linspace(0, len(kept) - 1, most)).astype(int)]
    return [z for z, _, _ in kept]


def random(evaluate: Evaluate, space: Any, budget: int, generator: np.random.Generator) -> list[Candidate]:
    """Uniform draws in the unit box."""
    return [(z, *evaluate(z)) for z in generator.random((budget, space.size))]


def grid(evaluate: Evaluate, space: Any, budget: int) -> list[Candidate]:
    """The same bits in all layers, on a grid with the three shared numbers that has no more points than `budget`."""
    levels, n = [6, 1, 1, 1], len(space.layers)  # of bits, read time, range, columns: whole bits first
    i = 0
    while np.prod([*(k + (j == i) for j, k in enumerate(levels[1:], 0)), levels[0]]) <= budget:
        levels[1 + i] += 1
        i = (i + 1) % 3
    axes = [np.linspace(0, 1, k) if k > 1 else np.array([0.7]) for k in levels]
    points = itertools.islice(itertools.product(*axes), budget)
    designs = [np.array([b] * n + list(rest)) for b, *rest in points]
    return [(z, *evaluate(z)) for z in designs]


def nsga2(evaluate: Evaluate, space: Any, budget: int, generator: np.random.Generator) -> list[Candidate]:
    """NSGA-II of pymoo (Deb et al. 2002, 10.1109/4235.996017), its own settings but for a population of 12."""
    from pymoo.algorithms.moo.nsga2 import NSGA2  # pyright: ignore[reportMissingImports]
    from pymoo.core.problem import ElementwiseProblem  # pyright: ignore[reportMissingImports]
    from pymoo.optimize import minimize  # pyright: ignore[reportMissingImports]

    seen: list[Candidate] = []

    class Designs(ElementwiseProblem):
        def __init__(self):
            super().__init__(n_var=space.size, n_obj=2, xl=0.0, xu=1.0)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            found = evaluate(x)
            seen.append((x.copy(), *found))
            out["F"] = np.array(found)

    size = min(12, budget)
    minimize(Designs(), NSGA2(pop_size=size), ("n_eval", budget), seed=int(generator.integers(2**31)), verbose=False)
    return seen[:budget]


def by_gradient(config: Any, state: Any, key: Any, z: np.ndarray, rate: float) -> list[tuple[np.ndarray, Any]]:
    """Adam on the design, and on the weights where there is data to train on, for one weight of the cost after the other."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    space, (x, y) = state.space, state.train
    trains = config.train_weights and space.task.network.teachable
    design, weights = optax.adam(rate), optax.adam(1e-4)
    model, place = state.model, jnp.asarray(z, jnp.float32)
    real, static = eqx.partition(model, eqx.is_inexact_array)
    moments = (design.init(place), weights.init(real))
    found = []
    for weight in config.lambdas:
        for _ in range(config.gradients):
            key, pick, noise = jax.random.split(key, 3)
            rows = jax.random.randint(pick, (config.batch,), 0, len(x))
            by_z, by_model = space.slope(
                (place, eqx.combine(real, static)), x[rows], y[rows], noise, jnp.asarray(weight)
            )
            step, first = design.update(by_z, moments[0])
            moved: Any = optax.apply_updates(place, step)
            place = jnp.clip(moved, 0.0, 1.0)
            moments = (first, moments[1])
            if trains:
                slopes = eqx.filter(by_model, eqx.is_inexact_array)
                step, second = weights.update(slopes, moments[1])
                real, moments = optax.apply_updates(real, step), (moments[0], second)
        found.append((space.rounded(np.asarray(place)), eqx.combine(real, static)))
    return found
