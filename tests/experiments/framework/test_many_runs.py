"""Processes that go through many runs."""

import jax
import jax.numpy as jnp
import pytest

from experiments import accuracy_energy
from experiments.framework import memory


def test_programs_are_dropped_when_a_process_has_grown(monkeypatch):
    sizes = iter([100e6, 900e6, 200e6, 1300e6, 400e6, 500e6])
    monkeypatch.setattr(memory, "resident_memory", lambda: next(sizes))
    twice = jax.jit(lambda x: 2 * x)
    twice(jnp.ones(3))
    programs = memory.Programs(growth=1e9)
    assert not programs.tidy() and not programs.tidy()  # the first size is what growth counts from
    assert not programs.tidy() and twice._cache_size() == 1
    assert programs.tidy() and twice._cache_size() == 0
    assert not programs.tidy()  # counted from 400 MB now
    assert memory.resident_memory is not None


@pytest.mark.slow
def test_seeds_of_a_sweep_share_their_programs():
    """A seed after the first compiles nothing: a sweep over seeds takes a hundredth of the time."""
    compiled = []
    watch = lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(watch)
    few = dict(network="mlp", devices=("pcm",), adc_bits=(4,), times=("1s",), chips=2, test_images=20, steps=10)
    counts = []
    for seed in range(2):
        config = accuracy_energy.Config(**few, hardware_steps=0, seed=seed)
        before = len(compiled)
        accuracy_energy.compute(config, accuracy_energy.prepare(config), {"device": "pcm", "adc_bits": 4})
        counts.append(len(compiled) - before)
    assert counts[0] > 10 and counts[1] == 0
