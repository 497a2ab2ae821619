"""What simulating chips costs: memory, programming and reading by the number of weights, and what a large network would take.

One square dense layer on phase-change memory, of growing size. Unit costs of the largest size are extrapolated to
`--weights` weights on `--target-devices` devices like this one: the cost is proportional to weights, tiles, chips and
times, as tiles are independent; what links between machines add cannot be learned from a single machine.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from experiments import mesh
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "What simulating chips costs: memory and time by the number of weights"
QUANTITIES = ("program", "at", "read")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about a minute on two cores."""

    sizes: tuple[int, ...] = (256, 512, 1024, 2048)
    """Inputs and outputs of the layer."""
    device: str = "pcm_joshi2020"
    """Memory cell."""
    rows: int = 256
    """Word lines per tile, and bit-line pairs."""
    batch: int = 64
    """Inputs of one read."""
    repeats: int = 5
    """Timed calls of each quantity."""
    weights: float = 1e9
    """Number of weights of the large network."""
    target_devices: int = 8
    """Devices like this one over which it is spread."""
    mesh: int = 1
    """Devices over which the layer of this run is spread."""
    seed: int = 0
    """Random seed of the cells and the noise."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    mesh.check_mesh(config.mesh)
    for name in ("rows", "batch", "repeats", "target_devices"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least 1.")
    if not config.sizes or min(config.sizes) < 1 or len(set(config.sizes)) < len(config.sizes):
        raise UsageError(
            f"--sizes {' '.join(map(str, config.sizes))}: give one or more different numbers of at least 1."
        )
    if not 1 <= config.weights < float("inf"):
        raise UsageError(f"--weights {config.weights}: give a number of at least 1.")
    from experiments import chosen_devices

    chosen_devices.find(config.device)


def memory(config: Config) -> dict[str, float]:
    """Bytes of the largest layer: its weights, its cells, and what programming needs meanwhile [B]."""
    return {f"{max(config.sizes)} x {max(config.sizes)} weights": 100.0 * max(config.sizes) ** 2}


def layout(config: Config) -> Layout:
    dimensions = {
        "size": Dimension(config.sizes, "inputs and outputs"),
        "quantity": Dimension(QUANTITIES, "what is timed"),
        "repeat": Dimension(range(config.repeats), "call"),
    }
    variables = {
        "seconds": Variable(("size", "quantity", "repeat"), "time of a call", "s"),
        "compile_seconds": Variable(("size", "quantity"), "time of the first call less that of a later one", "s"),
        "chip_bytes": Variable(("size",), "bytes that one chip keeps", "B"),
        "temporary_bytes": Variable(("size",), "bytes that programming needs beside it", "B"),
    }
    return Layout(dimensions, variables, ("size",))


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """Programs and reads one layer."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    import xbar
    from experiments import chosen_devices

    n = point["size"]
    keys = jax.random.split(jax.random.key(config.seed), 4)
    weight, x = jax.random.normal(keys[0], (n, n)) / np.sqrt(n), jax.random.normal(keys[1], (config.batch, n))
    dac, adc = xbar.DAC(bits=8), xbar.ADC(bits=8)
    tile = xbar.Tile(chosen_devices.find(config.device), rows=config.rows, cols=config.rows, dac=dac, adc=adc)
    network = xbar.analog(lambda w, x: x @ w, mesh.spread(tile, config.mesh))
    program = eqx.filter_jit(lambda w, k: network.program(w, x[:1], key=k))
    chip = xbar.compensate(program(weight, keys[2]))
    at = eqx.filter_jit(lambda chip, k: chip.at(86_400.0))
    read = eqx.filter_jit(lambda chip, k: chip(x, key=k))
    calls = {"program": (program, weight), "at": (at, chip), "read": (read, at(chip, keys[2]))}
    seconds, first = np.zeros((len(QUANTITIES), config.repeats)), np.zeros(len(QUANTITIES))
    for i, name in enumerate(QUANTITIES):
        call, argument = calls[name]
        first[i], *seconds[i] = (_seconds(call, argument, k) for k in jax.random.split(keys[3], config.repeats + 1))
    bytes_of = lambda tree: sum(a.nbytes for a in jax.tree.leaves(tree) if eqx.is_array(a) and a.dtype != keys.dtype)  # noqa: E731
    compiled = jax.jit(
        lambda w, k: jnp.stack([a.sum() for a in jax.tree.leaves(program(w, k)) if eqx.is_inexact_array(a)])
    )
    plan = compiled.lower(weight, keys[2]).compile().memory_analysis()
    return {
        "seconds": seconds,
        "compile_seconds": np.maximum(first - np.median(seconds, 1), 0),
        "chip_bytes": bytes_of(chip),
        "temporary_bytes": plan.temp_size_in_bytes if plan is not None else np.nan,
    }


def _seconds(call: Any, argument: Any, key: Any) -> float:
    import jax

    start = time.perf_counter()
    jax.block_until_ready(call(argument, key))
    return time.perf_counter() - start


def present(config: Config, results: Results) -> Any:
    from experiments import scale_view

    return scale_view.present(config, results)
