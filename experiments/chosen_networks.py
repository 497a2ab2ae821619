"""The network that settings name (`network`, `data`, `seed`, `steps`), and what must be stated about it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from experiments.framework.files import hash_of

if TYPE_CHECKING:
    from experiments.networks import Network


def find(config: Any) -> Network:
    """The network of a run, read once from its files as they are.

    Raises:
        UsageError: if it is not available; see `experiments.networks.find`.
    """
    return _found(config.network, config.seed, config.data, tuple(inputs(config).values()))


@functools.lru_cache(maxsize=2)
def _found(name: str, seed: int, data: str | None, hashes: tuple[str, ...]) -> Network:
    import jax

    from experiments import networks

    return networks.find(name, jax.random.fold_in(jax.random.key(seed), 0), data)


def inputs(config: Any) -> dict[str, str]:
    """Hashes of the network's files, by which a run is identified."""
    from experiments import networks

    return {path.name: hash_of(path) for path in networks.files(config.network)}


def macs(f: Any, params: Any, x: Any) -> float:
    """Multiply-accumulates of a call, from its trace; those with padding count, element-wise work does not."""
    import jax

    from xbar.energy import count

    return count(jax.make_jaxpr(lambda inputs: f(params, inputs))(x)).mac_ops / 2


def sentences(config: Any) -> tuple[str, ...]:
    """Where the network's weights come from, what its converters were calibrated on, and notes on its data."""
    network = find(config)
    data = network.measured_on()
    steps = network.steps if config.steps is None else config.steps
    weights = f"trained digitally on {data.name} ({steps} Adam steps)"
    said = [f"The network is {network.name}, {'with given weights' if network.trained else weights}."]
    if not network.teachable:
        said.append(
            f"{data.name} has no training set: no hardware-aware training, and converter ranges are taken from its first "
            "256 test inputs, without their labels."
        )
    return (*said, *data.notes)
