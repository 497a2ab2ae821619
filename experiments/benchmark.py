"""How long things take, as ratios to a reference that is timed beside them in the same run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.errors import UsageError
from experiments.store import Dimension, Layout, Results, Variable

TITLE = "Benchmark: times as ratios to a reference run beside them"


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about a minute on two cores."""

    cells: int = 1_000_000
    """Cells of the device cases."""
    repeats: int = 11
    """Timed calls of each, taken in turns with the reference."""
    seed: int = 0
    """Decides the draws."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed, what beside it, and both in words."""

    what: str
    reference: str
    make: Callable[[Config], tuple[Callable[[Any], Any], Callable[[Any], Any]]]


def check(config: Config) -> None:
    """Raises UsageError for settings that cannot be."""
    for name in ("cells", "repeats"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")


def layout(config: Config) -> Layout:
    dimensions = {
        "case": Dimension(tuple(CASES), "what is timed"),
        "repeat": Dimension(tuple(range(config.repeats)), "call"),
    }
    variables = {
        "seconds": Variable(("case", "repeat"), "time of a call after compilation", "s"),
        "reference_seconds": Variable(("case", "repeat"), "time of the reference, called in turns", "s"),
        "compile_seconds": Variable(("case",), "time of the first call less that of a later one", "s"),
    }
    return Layout(dimensions, variables, ("case",))


def prepare(config: Config) -> None:
    """Nothing is shared."""


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """Times one case and its reference in turns."""
    import jax
    import numpy as np

    ours, reference = CASES[point["case"]].make(config)
    keys = jax.random.split(jax.random.key(config.seed), config.repeats + 1)
    first = _seconds(ours, keys[0])
    _seconds(reference, keys[0])
    pairs = np.array([(_seconds(ours, k), _seconds(reference, k)) for k in keys[1:]])
    return {
        "seconds": pairs[:, 0],
        "reference_seconds": pairs[:, 1],
        "compile_seconds": max(first - float(np.median(pairs[:, 0])), 0.0),
    }


def _seconds(f: Callable[[Any], Any], key: Any) -> float:
    import time

    import jax

    start = time.perf_counter()
    jax.block_until_ready(f(key))
    return time.perf_counter() - start


def _read_cells(name: str, t: float) -> Callable[[Config], Any]:
    def make(config: Config):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        target = jnp.linspace(float(device.g_min), float(device.g_max), config.cells)

        @jax.jit
        def read(key):
            write, noise = jax.random.split(key)
            cells = device.program(target, key=write)
            deviation = jnp.sqrt(device.read_variance(cells, t, 1e6))
            return device.conductance(cells, t) + deviation * jax.random.normal(noise, target.shape)

        return read, jax.jit(lambda key: jax.random.normal(key, target.shape))

    return make


def _pulse_cells(name: str, pulses: int) -> Callable[[Config], Any]:
    def make(config: Config):
        import jax
        import jax.numpy as jnp

        import devices

        device = devices.find(name)()
        cells = device.program(
            jnp.linspace(float(device.g_min), float(device.g_max), config.cells), key=jax.random.key(0)
        )
        pulse = jax.jit(lambda key: device.pulse(cells, pulses, key=key).g)
        return pulse, jax.jit(lambda key: jax.random.normal(key, (config.cells,)))

    return make


CASES = {
    "pcm": Case("program + drift + read, pcm_joshi2020", "as many normals", _read_cells("pcm_joshi2020", 86_400.0)),
    "hermes": Case(
        "program + drift + read, pcm_hermes2023", "as many normals", _read_cells("pcm_hermes2023", 86_400.0)
    ),
    "cmo": Case(
        "program + drift + read, reram_cmo_falcone2025",
        "as many normals",
        _read_cells("reram_cmo_falcone2025", 86_400.0),
    ),
    "pulse": Case(
        "10 pulses, ecram_lithium_tang2018", "as many normals as cells", _pulse_cells("ecram_lithium_tang2018", 10)
    ),
}


def present(config: Config, results: Results) -> Any:
    import numpy as np

    from experiments import plots
    from experiments.runner import Presentation

    lines = [f"{'case':<46}{'ratio':>7}{'P10 - P90':>15}{'time':>10}{'compile':>9}  beside"]
    medians = {}
    fig, (ax,) = plots.subplots(6.5, height=0.6 + 0.45 * len(CASES))
    for row, (name, case) in enumerate(CASES.items()):
        seconds, beside = (results.select(v, case=name) for v in ("seconds", "reference_seconds"))
        low, middle, high = np.quantile(seconds / beside, (0.1, 0.5, 0.9))
        medians[name] = float(middle)
        once = float(results.select("compile_seconds", case=name))
        lines.append(
            f"{case.what:<46}{middle:>7.2f}{f'{low:.2f} - {high:.2f}':>15}{f'{1e3 * np.median(seconds):.1f} ms':>10}"
            f"{f'{once:.1f} s':>9}  {case.reference}"
        )
        ax.errorbar(middle, row, xerr=[[middle - low], [high - middle]], marker="o", color=plots.PALETTE[0], capsize=3)
    ax.set(
        yticks=range(len(CASES)), yticklabels=[c.what for c in CASES.values()], xlabel="time / time of the reference"
    )
    ax.set_xlim(left=0)
    ax.invert_yaxis()
    method = (
        f"Medians of {config.repeats} calls after compilation, each taken in turns with its reference; bars are P10 - P90. "
        f"Device cases have {config.cells} cells in one jitted call. Times are of this machine and not a promise; ratios "
        "travel better.",
    )
    return Presentation("\n".join(lines), {"benchmark": fig}, method, {"ratios": medians})
