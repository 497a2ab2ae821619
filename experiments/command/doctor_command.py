"""The command `xbar doctor`: what is installed, found and writable, and what is broken."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence

import tyro

from experiments.command.endings import DONE, FAILED, USAGE, attempt, show
from experiments.framework.memory import available_memory
from experiments.framework.progress import say
from experiments.framework.versions import installed

# module: package
NEEDED = {
    "jax": "jax",
    "jaxlib": "jaxlib",
    "numpy": "numpy",
    "scipy": "scipy",
    "h5py": "h5py",
    "equinox": "equinox",
    "jaxtyping": "jaxtyping",
    "optax": "optax",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "rich": "rich",
    "tyro": "tyro",
    "tomli_w": "tomli-w",
    "filelock": "filelock",
}
# extra: modules, and what for
EXTRAS = {
    "lab": (("openpyxl", "xlrd"), "Excel workbooks of instruments"),
    "data": (("pooch",), "xbar data fetch"),
    "results": (("xarray", "h5netcdf"), "experiments.open_results"),
    "ode": (("diffrax",), "compact models under adaptive solvers"),
    "import": (("safetensors",), "weights in .safetensors files"),
    "torch": (("torch", "torchax"), "xbar.from_torch"),
    "nir": (("nir",), "spiking networks of other simulators"),
    "distributed": (("distributed",), "--scheduler, a Dask cluster"),
    "codesign": (("pymoo",), "NSGA-II in xbar run codesign"),
}


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Shows what is installed, found and writable; exits with code 1 if something that xbar needs is broken."""

    out: pathlib.Path = pathlib.Path("results")
    """Folder of results that is tested for write access."""
    json: bool = False
    """Print one JSON document to standard output, and nothing else."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line. `state`: "ok", "missing" (something optional), or "broken" (something needed)."""

    topic: str
    what: str
    said: str
    state: str = "ok"


def carry_out(flags: Sequence[str]) -> int:
    """Carries out `xbar doctor`; the exit code."""
    try:
        settings = tyro.cli(Doctor, prog="xbar doctor", args=flags, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE
    found = attempt(lambda: examine(settings.out), "nothing was changed", debug=False)
    if isinstance(found, int):
        return found
    broken = [f for f in found if f.state == "broken"]
    if settings.json:
        show(json.dumps({"healthy": not broken, "findings": [dataclasses.asdict(f) for f in found]}))
    else:
        show(text(found))
    for finding in broken:
        say(f"xbar: broken: {finding.what}: {finding.said}")
    return FAILED if broken else DONE


def text(found: Sequence[Finding]) -> str:
    """Lines by topic."""
    width = max(len(f.what) for f in found)
    lines = []
    for topic in dict.fromkeys(f.topic for f in found):
        lines.append(topic)
        lines += [
            f"  {f.what.ljust(width)}  {'' if f.state == 'ok' else f.state.upper() + ': '}{f.said}"
            for f in found
            if f.topic == topic
        ]
    return "\n".join(lines)


def examine(out: pathlib.Path) -> list[Finding]:
    """Everything that is checked."""
    return [*_versions(), *_machine(), *_extras(), *_folders(out), *_data()]


def _versions() -> list[Finding]:
    found = [
        Finding("versions", "xbar-sim", installed("xbar-sim")),
        Finding("versions", "python", platform.python_version()),
    ]
    for module, package in NEEDED.items():
        found.append(
            _tried("versions", package, lambda m=module, p=package: (importlib.import_module(m), installed(p))[1])
        )
    return found


def _tried(topic: str, what: str, look: Callable[[], str], otherwise: str = "broken") -> Finding:
    """What `look` finds, or how it fails."""
    try:
        return Finding(topic, what, look())
    except Exception as error:  # whatever a broken installation raises
        return Finding(topic, what, f"{type(error).__name__}: {error}", otherwise)


def _machine() -> list[Finding]:
    def jax_device() -> str:
        import jax
        import jax.numpy as jnp

        jnp.ones(2).sum().block_until_ready()
        return ", ".join(f"{d.platform} {d.device_kind}" for d in jax.devices())

    memory = available_memory()
    return [
        _tried("machine", "JAX device", jax_device),
        Finding("machine", "processors", str(os.cpu_count() or "unknown")),
        Finding("machine", "free memory", "unknown" if memory is None else f"{memory / 1e9:.1f} GB"),
    ]


def _extras() -> list[Finding]:
    found = []
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [m for m in modules if importlib.util.find_spec(m) is None]
        if missing:
            said = f"{', '.join(missing)} not installed ({purpose}). Run: pip install 'xbar-sim[{extra}]'"
            found.append(Finding("extras", extra, said, "missing"))
        else:
            found.append(Finding("extras", extra, f"{', '.join(modules)} ({purpose})"))
    return found


def _folders(out: pathlib.Path) -> list[Finding]:
    from experiments.public_data.places import cache

    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    found = [
        Finding("folders", "compiled programs", f"{compiled}: {_size(compiled)}")
        if compiled
        else Finding("folders", "compiled programs", "not kept: the cache folder cannot be written", "missing"),
        Finding("folders", "data cache", f"{cache()}: {_size(cache())}"),
        _tried("folders", "results", lambda: _written(out)),
    ]
    return found


def _size(folder: str | os.PathLike[str]) -> str:
    path = pathlib.Path(folder)
    if not path.is_dir():
        return "nothing yet"
    return f"{sum(p.stat().st_size for p in path.rglob('*') if p.is_file()) / 1e6:.1f} MB"


def _written(out: pathlib.Path) -> str:
    """Writes a file where results would go, and removes it again."""
    there = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    with tempfile.NamedTemporaryFile(dir=there, prefix=".xbar-doctor-") as file:
        file.write(b"x")
        file.flush()
    return f"{out.absolute()} can be written, {shutil.disk_usage(there).free / 1e9:.1f} GB free"


def _data() -> list[Finding]:
    from experiments import datasets
    from experiments.public_data.places import located
    from experiments.public_data.registry import entries

    found = [_tried("data sets", "digits", lambda: f"included, {len(datasets.load('digits').x_train)} training images")]
    root = os.environ.get("XBAR_DATA")
    if root and not pathlib.Path(root).is_dir():
        found.append(Finding("data sets", "XBAR_DATA", f"{root} is not a folder", "broken"))
    try:
        for name in entries():
            folder = located(name)
            said = str(folder) if folder else f"not here. Run: xbar data fetch {name}"
            found.append(Finding("data sets", name, said, "ok" if folder else "missing"))
    except Exception as error:
        found.append(Finding("data sets", "registry", str(error), "broken"))
    return found
