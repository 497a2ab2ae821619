"""Co-design by gradient: weights and physics of a network's chips together, from accuracy to low energy.

`loss + lambda ln(cost)` is made small over the design (and the weights, where there is data to train on) for one lambda after
the other; the designs found are rounded and held against a grid, random search and NSGA-II that were given as much work.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from experiments import chosen_devices, chosen_macros, chosen_networks, design_space
from experiments.accuracy_energy import SECONDS
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Co-design by gradient: accuracy against energy, latency or area"
METHODS = ("gradient", "grid", "random", "NSGA-II")
GRADIENT = 3  # evaluations that a gradient costs: forward, and twice as much backward
FRONT = 16  # designs of a front at most
RATE = 0.12  # of Adam in the unit box
ROOM = 0.30  # error beyond the digital one at which a design counts as useless: the corner of the hypervolume


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take several minutes on two cores."""

    MACRO = {"rows": 256, "cols": 256}  # noqa: RUF012  (not a field: what `chosen_macros.setting` starts from)

    network: str = "ds-cnn"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, where a network knows several."""
    device: str = "pcm"
    """Memory cell; see `xbar run sensitivity --help`."""
    cost: Literal["energy", "latency", "area"] = "energy"
    """What is weighed against the loss."""
    time: Literal["1s", "1h", "1d", "1mo", "1y"] = "1s"
    """Time after programming."""
    lambdas: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    """Weights of ln(cost) in the objective, each from where the one before has ended."""
    gradients: int = 6
    """Gradients for each lambda."""
    batch: int = 24
    """Inputs of a gradient, and of an evaluation of the other searches."""
    images: int = 100
    """Inputs on which the designs found are verified."""
    chips: int = 2
    """Fresh chips on which they are verified, in each repetition."""
    repetitions: int = 3
    """Repetitions of all searches, each with chips and draws of its own."""
    train_weights: bool = True
    """Train the weights along with the design, where the network has a training set."""
    steps: int | None = None
    """Steps of digital training, of networks without given weights."""
    seed: int = 0
    """Decides the weights, the chips and the searches."""

    @property
    def seconds(self) -> float:
        return SECONDS[self.time]

    @property
    def budget(self) -> int:
        """Evaluations that every search may spend."""
        return GRADIENT * self.gradients * len(self.lambdas)


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    if config.architecture is not None:
        raise UsageError(
            f"--architecture {config.architecture}: its prices are those of its own circuits; a design needs ones "
            f"that follow its "
            "bits and times. Leave it out."
        )
    for name in ("gradients", "batch", "images", "chips", "repetitions"):
        if not 1 <= getattr(config, name) <= 100_000:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")
    if config.steps is not None and config.steps < 1:
        raise UsageError(f"--steps {config.steps}: give at least 1.")
    if (
        not config.lambdas
        or not all(0 <= x < 1e6 for x in config.lambdas)
        or list(config.lambdas) != sorted(set(config.lambdas))
    ):
        raise UsageError(f"--lambdas {list(config.lambdas)}: give different weights from 0 on, the smallest first.")
    try:
        chosen_devices.find(config.device).check_time(config.seconds)
    except ValueError as error:
        raise UsageError(f"--time {config.time}: {error}") from error
    chosen_macros.check_fits(config, chosen_devices.find(config.device))
    network = chosen_networks.find(config)
    from experiments.networks import accuracy

    network.measured_on()
    if network.metric is not accuracy:
        raise UsageError(f"--network {config.network}: it is not measured by an accuracy.")


inputs = chosen_networks.inputs


def methods(config: Config) -> tuple[str, ...]:
    """The searches that can be made here: NSGA-II needs pymoo."""
    import importlib.util

    return METHODS if importlib.util.find_spec("pymoo") else METHODS[:-1]


def layout(config: Config) -> Layout:
    dimensions = {
        "repetition": Dimension(range(config.repetitions), "repetition, with chips and draws of its own"),
        "method": Dimension(methods(config), "search"),
        "design": Dimension(range(FRONT), "design of the front found, the most accurate first; NaN: fewer"),
        "chip": Dimension(range(config.chips), "fresh chip"),
        "cost": Dimension(design_space.COSTS, "energy [J], latency [s], area [m^2]"),
    }
    variables = {
        "error": Variable(("repetition", "method", "design", "chip"), "share of inputs classified wrongly"),
        "costs": Variable(("repetition", "method", "design", "cost"), "costs of an inference, SI units"),
        "mean_bits": Variable(("repetition", "method", "design"), "mean resolution of the converters", "bit"),
        "hypervolume": Variable(("repetition", "method", "chip"), "of error and ln(cost), verified"),
        "digital_error": Variable((), "error without hardware"),
        "nominal_costs": Variable(("cost",), "costs with 8 bits, 100 ns, the whole range, 8 columns a converter"),
    }
    return Layout(dimensions, variables, ("repetition",))


@dataclasses.dataclass(frozen=True)
class State:
    """The space, the weights, and the inputs that searches see and verification sees."""

    space: Any
    model: Any
    train: tuple[Any, Any]
    search: tuple[Any, Any]
    verify: tuple[Any, Any]


def prepare(config: Config) -> State:
    """Loads the network and compiles nothing yet but the nominal chip."""
    import jax
    import jax.numpy as jnp

    from experiments import mlperf_tiny, supervised

    network = chosen_networks.find(config)
    model = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
    data = network.measured_on()
    x, y = jnp.asarray(data.x_test), jnp.asarray(data.y_test)
    if len(x) < config.images + config.batch:
        raise UsageError(
            f"--images {config.images} --batch {config.batch}: {data.name} has {len(x)} test inputs for both."
        )
    verify = (x[: config.images], y[: config.images])
    seen = (
        (jnp.asarray(data.x_train), jnp.asarray(data.y_train))
        if network.teachable
        else (x[config.images :], y[config.images :])
    )
    search = (seen[0][: config.batch], seen[1][: config.batch])
    task = mlperf_tiny.Task(network, search[0], search[1], seen[0][-64:])
    return State(design_space.Space(config, task, model), model, seen, search, verify)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """All searches once, and their designs on fresh chips."""
    import jax

    space, key = state.space, jax.random.fold_in(jax.random.key(config.seed), 10 + point["repetition"])
    objective = design_space.COSTS.index(config.cost)
    digital = 1 - float(space.task.network.metric(space.task.network.f(state.model, state.verify[0]), state.verify[1]))
    names = methods(config)
    found = {
        "error": np.full((len(names), FRONT, config.chips), np.nan),
        "costs": np.full((len(names), FRONT, 3), np.nan),
        "mean_bits": np.full((len(names), FRONT), np.nan),
        "hypervolume": np.empty((len(names), config.chips)),
    }
    nominal = space.costs_of(space.start())
    for m, name in enumerate(names):
        designs = search(name, config, state, key)
        for d, (z, model) in enumerate(designs):
            found["error"][m, d] = [
                float(space.read(z, model, *state.verify, jax.random.fold_in(key, 1000 + c))[1])
                for c in range(config.chips)
            ]
            found["costs"][m, d] = space.costs_of(z)
            found["mean_bits"][m, d] = float(np.mean(np.asarray(space.physics(z).bits)))
        count = len(designs)
        log_costs = np.log(found["costs"][m, :count, objective] / nominal[objective])
        for c in range(config.chips):
            found["hypervolume"][m, c] = hypervolume(found["error"][m, :count, c] - digital, log_costs)
    return {**found, "digital_error": digital, "nominal_costs": nominal}


def search(name: str, config: Config, state: State, key: Any) -> list[tuple[np.ndarray, Any]]:
    """The designs on the front that a search finds, with their weights, the most accurate first."""
    import jax

    from experiments import searches

    space, objective = state.space, design_space.COSTS.index(config.cost)
    random = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**30)))
    if name == "gradient":
        return searches.by_gradient(config, state, key, space.start(), RATE)

    def evaluate(z: np.ndarray) -> tuple[float, float]:
        loss = float(space.read(space.rounded(z), state.model, *state.search, key)[0])
        return loss, float(np.log(space.costs_of(space.rounded(z))[objective]))

    candidates = {
        "grid": lambda: searches.grid(evaluate, space, config.budget),
        "random": lambda: searches.random(evaluate, space, config.budget, random),
        "NSGA-II": lambda: searches.nsga2(evaluate, space, config.budget, random),
    }[name]()
    chosen = searches.front(candidates, FRONT)
    return [(space.rounded(z), state.model) for z in chosen]


def hypervolume(error: np.ndarray, log_cost: np.ndarray) -> float:
    """Area that a set of designs dominates, up to an error of `ROOM` beyond the digital one and the nominal cost.

        integral over ln(cost / nominal) <= 0 of max(ROOM - least error at that cost, 0)

    in units of error times e-folds of cost; costs below a hundredth of the nominal one count as a hundredth.
    """
    low = -np.log(100.0)
    order = np.argsort(log_cost)
    edges, best, total, last = np.clip(log_cost[order], low, 0.0), ROOM, 0.0, None
    for x, e in zip(edges, error[order], strict=True):
        if last is not None:
            total += (x - last) * (ROOM - best)
        best, last = min(best, max(float(e), 0.0)), x
    return float(total if last is None else total + (0.0 - last) * (ROOM - best))


def present(config: Config, results: Results) -> Any:
    from experiments import codesign_view

    return codesign_view.present(config, results)
