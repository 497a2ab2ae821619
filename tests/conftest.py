"""Shared set-up: annotations of the packages are checked at run time, oracles are found through XBAR_DATA."""

import collections
import functools
import gc
import importlib.metadata
import json
import os
import pathlib

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # tests compile far longer than they run

if importlib.metadata.version("jaxlib").startswith("0.10."):  # other versions may lack this flag
    # the older emitters compile a quarter faster
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")  # commands that tests start leave nothing behind

import jax
import pytest
from jaxtyping import install_import_hook

gc.set_threshold(
    50_000, 20, 50
)  # traces are millions of small objects, hardly any of them in circles: a tenth of the time

MOST_MAPS = 15_000  # one module of tests adds up to 30,000

install_import_hook(["devices", "xbar"], "beartype.beartype")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`@pytest.mark.few(n)`: the first n cases of a test run by default, the others are slow."""
    seen = collections.Counter()
    for item in items:
        mark = item.get_closest_marker("few")
        if mark is not None and item.get_closest_marker("slow") is None:
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > mark.args[0]:
                item.add_marker(pytest.mark.slow)


@functools.cache
def data_folder() -> pathlib.Path | None:
    """The folder with independent oracles and data sets, if the machine has one."""
    folder = os.environ.get("XBAR_DATA")
    return pathlib.Path(folder) if folder and pathlib.Path(folder).is_dir() else None


@pytest.fixture(autouse=True, scope="module")
def room_for_compiled_code():
    """Drops compiled functions before a worker has used up its memory maps (65,530 a process on Linux), where XLA crashes.

    After every module; a test that compiles hundreds of them calls it in between.
    """

    def drop():
        maps = pathlib.Path("/proc/self/maps")
        if maps.is_file() and len(maps.read_bytes().splitlines()) > MOST_MAPS:
            jax.clear_caches()

    yield drop
    drop()


@pytest.fixture
def optimised():
    """Compiles with every optimisation what runs longer than that takes."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")


@pytest.fixture(scope="session")
def aihwkit():
    """Answers of aihwkit 1.2.0 (`oracles/aihwkit.json`); tests that need them skip where XBAR_DATA does not lead there."""
    folder = data_folder()
    path = folder / "oracles" / "aihwkit.json" if folder else None
    if path is None or not path.is_file():
        pytest.skip("XBAR_DATA names no folder with oracles/aihwkit.json, answers of aihwkit to compare with")
    return json.loads(path.read_text())


@pytest.fixture
def key():
    return jax.random.key(0)
