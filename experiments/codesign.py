"""Co-design by gradient: weights and physics of a network's chips together, from accuracy to low energy.

`loss + lambda ln(cost)` is minimised over the design (and the weights, where there is data to train on) for one lambda after
another; the designs found are rounded and compared with a grid, random search and NSGA-II given the same budget.
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
FRONT = 10  # largest number of designs of a front
RATE = 0.12  # of Adam in the unit box
ROOM = 0.30  # error beyond the digital one at which a design counts as useless: the corner of the hypervolume


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take several minutes on two cores."""

    MACRO = {"rows": 256, "cols": 256}  # noqa: RUF012  (not a field: what `chosen_macros.setting` starts from)

    network: str = "ds-cnn"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, for networks that support several."""
    device: str = "pcm"
    """Memory cell; see `xbar run sensitivity --help`."""
    cost: Literal["energy", "latency", "area"] = "energy"
    """The cost that is traded off against the loss."""
    time: Literal["1s", "1h", "1d", "1mo", "1y"] = "1s"
    """Time after programming."""
    lambdas: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    """Weights of ln(cost) in the objective; each search starts where the one before ended."""
    gradients: int = 6
    """Gradient steps for each lambda."""
    batch: int = 24
    """Inputs per gradient, and per evaluation in the other searches."""
    images: int = 96
    """Inputs on which the designs found are verified, rounded up to whole batches."""
    chips: int = 2
    """Fresh chips on which they are verified, in each repetition."""
    slices: tuple[Literal[1, 2, 4, 7], ...] = (1,)
    """Slices that an 8-bit weight is cut into, each on cells of its own; 1 for none. There is no gradient between these
    numbers, so every search is run for each of them, with the same budget."""
    tile_rows: tuple[int, ...] = (64, 256)
    """Word lines per tile to choose from, in ascending order; --rows fixes them at one number."""
    amplifier_noise: float = 10e-9
    """Noise of the amplifier that holds a column at 0 V [V/sqrt(Hz)]: what limits how low the read voltage can be."""
    inferences: float = 1e4
    """Inferences over which the energy of writing the cells is spread."""
    repetitions: int = 3
    """Repetitions of all searches, each with chips and draws of its own."""
    train_weights: bool = True
    """Train the weights along with the design, where the network has a training set."""
    steps: int | None = None
    """Steps of digital training, for networks without given weights."""
    seed: int = 0
    """Random seed of the weights, the chips and the searches."""

    @property
    def seconds(self) -> float:
        return SECONDS[self.time]

    @property
    def budget(self) -> int:
        """Evaluations that every search may spend, for each way of slicing weights."""
        return GRADIENT * self.gradients * len(self.lambdas)


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    if config.architecture is not None:
        raise UsageError(
            f"--architecture {config.architecture}: its prices are those of its own circuits; a design needs prices "
            "that depend on its bits and times. Leave it out."
        )
    if config.slices != (1,) and config.mapping is not None:
        raise UsageError(
            f"--slices {' '.join(map(str, config.slices))} --mapping {config.mapping}: give only one of the two."
        )
    if not config.slices or len(set(config.slices)) != len(config.slices):
        raise UsageError(f"--slices: give one or more different numbers, not {list(config.slices)}.")
    if not config.tile_rows or list(config.tile_rows) != sorted({r for r in config.tile_rows if 1 <= r <= 8192}):
        raise UsageError(
            f"--tile-rows {list(config.tile_rows)}: give different numbers from 1 to 8192, in ascending order."
        )
    if not 0 <= config.amplifier_noise <= 1e-3:
        raise UsageError(f"--amplifier-noise {config.amplifier_noise}: give a number in V/sqrt(Hz), such as 10e-9.")
    if not 1 <= config.inferences < float("inf"):
        raise UsageError(f"--inferences {config.inferences}: give at least 1.")
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
        raise UsageError(f"--lambdas {list(config.lambdas)}: give different weights of 0 or more, in ascending order.")
    try:
        chosen_devices.find(config.device).check_time(config.seconds)
    except ValueError as error:
        raise UsageError(f"--time {config.time}: {error}") from error
    chosen_macros.check_fits(config, chosen_devices.find(config.device))
    network = chosen_networks.find(config)
    from experiments.networks import accuracy

    network.measured_on()
    if network.metric is not accuracy:
        raise UsageError(f"--network {config.network}: its metric is not an accuracy. Give a network that classifies.")


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
        "quantity": Dimension(design_space.QUANTITIES, "number of a design, mean over layers; times in s, volts in V"),
    }
    variables = {
        "error": Variable(("repetition", "method", "design", "chip"), "share of inputs classified wrongly"),
        "costs": Variable(("repetition", "method", "design", "cost"), "costs of an inference, SI units"),
        "values": Variable(("repetition", "method", "design", "quantity"), "what a design is; NaN: not a variable"),
        "hypervolume": Variable(("repetition", "method", "chip"), "of error and ln(cost), verified"),
        "digital_error": Variable((), "error without hardware"),
        "nominal_costs": Variable(("cost",), "costs of the nominal design, SI units"),
        "variables": Variable((), "numbers that a design is made of"),
    }
    return Layout(dimensions, variables, ("repetition",))


@dataclasses.dataclass(frozen=True)
class State:
    """The spaces (one for each way of slicing weights), the weights, and the inputs of the searches and the verification."""

    spaces: tuple[Any, ...]
    model: Any
    train: tuple[Any, Any]
    search: tuple[Any, Any]
    verify: tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Design:
    """A rounded point in the unit box of a space, and the weights that go with it."""

    space: Any
    z: np.ndarray
    model: Any

    def read(self, x: Any, y: Any, key: Any, batch: int) -> np.ndarray:
        """Loss and error of one chip, a batch at a time."""
        import jax

        row = self.space.first[self.space.box.row_number(self.z)]
        found = [
            self.space.read(
                self.z, self.model, x[i : i + batch], y[i : i + batch], key, jax.random.fold_in(key, i), row
            )
            for i in range(0, len(x), batch)
        ]
        return np.mean([np.asarray(f, float) for f in found], 0)


def prepare(config: Config) -> State:
    """Loads the network, and measures the nominal chips."""
    import jax
    import jax.numpy as jnp

    from experiments import design_chips, mlperf_tiny, supervised

    network = chosen_networks.find(config)
    model = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
    data = network.measured_on()
    x, y = map(jnp.asarray, data.some("test"))
    if len(x) < config.images + 2 * config.batch:
        raise UsageError(
            f"--images {config.images} --batch {config.batch}: {data.name} has {len(x)} test inputs for both."
        )
    count = -(-config.images // config.batch) * config.batch
    verify = (x[:count], y[:count])
    first, labels = data.some("train")
    seen = (jnp.asarray(first), jnp.asarray(labels)) if network.teachable else (x[count:], y[count:])
    search = (seen[0][: config.batch], seen[1][: config.batch])
    task = mlperf_tiny.Task(network, search[0], search[1], seen[0][-64:])
    spaces = tuple(design_chips.Space(config, task, model, n) for n in config.slices)
    return State(spaces, model, seen, search, verify)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Runs all searches once, and reads their designs on fresh chips."""
    import jax

    first, key = state.spaces[0], jax.random.fold_in(jax.random.key(config.seed), 10 + point["repetition"])
    objective, network = design_space.COSTS.index(config.cost), first.task.network
    digital = 1 - float(network.metric(network.f(state.model, state.verify[0]), state.verify[1]))
    names, nominal = methods(config), first.costs_of(first.box.nominal())
    found = {
        "error": np.full((len(names), FRONT, config.chips), np.nan),
        "costs": np.full((len(names), FRONT, 3), np.nan),
        "values": np.full((len(names), FRONT, len(design_space.QUANTITIES)), np.nan),
        "hypervolume": np.empty((len(names), config.chips)),
    }
    for m, name in enumerate(names):
        designs = search(name, config, state, key)
        for d, design in enumerate(designs):
            chips = [jax.random.fold_in(key, 1000 + c) for c in range(config.chips)]
            found["error"][m, d] = [design.read(*state.verify, chip, config.batch)[1] for chip in chips]
            found["costs"][m, d] = design.space.costs_of(design.z)
            found["values"][m, d] = design.space.box.values(design.z, design.space.slices)
        count = len(designs)
        log_costs = np.log(found["costs"][m, :count, objective] / nominal[objective])
        for c in range(config.chips):
            found["hypervolume"][m, c] = hypervolume(found["error"][m, :count, c] - digital, log_costs)
    return {**found, "digital_error": digital, "nominal_costs": nominal, "variables": first.box.size}


def search(name: str, config: Config, state: State, key: Any) -> list[Design]:
    """The designs that a search ends with, at most `FRONT`: its front, or its path for the search along the gradient."""
    import jax

    from experiments import searches

    random = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**30)))
    if name == "gradient":
        path = [Design(s, *at) for s in state.spaces for at in searches.by_gradient(config, state, s, key, RATE)]
        return searches.spread_out(path, FRONT)
    candidates = []
    for space in state.spaces:
        evaluate = _evaluation(config, state, space, key)
        found = {
            "grid": lambda e=evaluate, s=space: searches.grid(e, s.box, config.budget),
            "random": lambda e=evaluate, s=space: searches.random(e, s.box, config.budget, random),
            "NSGA-II": lambda e=evaluate, s=space: searches.nsga2(e, s.box, config.budget, random),
        }[name]()
        candidates += [(Design(space, space.box.rounded(z), state.model), *values) for z, *values in found]
    return searches.front(candidates, FRONT)


def _evaluation(config: Config, state: State, space: Any, key: Any) -> Any:
    """Loss and ln(cost) of a design, rounded, on one chip and the inputs that searches see."""
    objective = design_space.COSTS.index(config.cost)

    def evaluate(z: np.ndarray) -> tuple[float, float]:
        design = Design(space, space.box.rounded(z), state.model)
        return float(design.read(*state.search, key, config.batch)[0]), float(
            np.log(space.costs_of(design.z)[objective])
        )

    return evaluate


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
