"""The network that settings name (`network`, `data`, `seed`, `steps`), and what must be stated about it."""

from __future__ import annotations

import functools
import pathlib
from typing import TYPE_CHECKING, Any

from experiments.framework import own_code
from experiments.framework.files import hash_of

if TYPE_CHECKING:
    from experiments.networks import Network


def find(config: Any) -> Network:
    """The network of a run, read once from its files as they are; other files that a user's own file loads are read when
    it is run, once in a process.

    Raises:
        UsageError: if it is not available; see `experiments.networks.find`.
    """
    return _found(config)[0]


def inputs(config: Any) -> dict[str, str]:
    """Hashes by which a run is identified: of the network's files; for a user's own file also of those that it imports from
    its folder, and of the parameters and data that it loads."""
    from experiments import networks

    return _files(config.network) | (_found(config)[1] if networks.is_own(config.network) else {})


def _files(name: str) -> dict[str, str]:
    from experiments import networks

    files = {path.name: hash_of(path) for path in networks.files(name)}
    return files | (own_code.neighbours(pathlib.Path(name)) if networks.is_own(name) else {})


def _found(config: Any) -> tuple[Network, dict[str, str]]:
    from experiments import networks

    name = config.network
    seed = 0 if networks.is_own(name) else config.seed  # its weights are given
    return _read(name, seed, config.data, tuple(_files(name).values()))


@functools.lru_cache(maxsize=2)
def _read(name: str, seed: int, data: str | None, hashes: tuple[str, ...]) -> tuple[Network, dict[str, str]]:
    import jax

    from experiments import networks
    from experiments.networks import own_file

    network = networks.find(name, jax.random.fold_in(jax.random.key(seed), 0), data)
    return network, own_file.contents(network) if networks.is_own(name) else {}


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
