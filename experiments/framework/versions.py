"""The code and machine that a run was made with: packages, commit, source, platform."""

from __future__ import annotations

import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def current_versions() -> dict[str, str]:
    """Every version that could affect a number."""
    import jax

    packages = {p: installed(p) for p in ("xbar-sim", "jax", "jaxlib", "numpy", "scipy", "equinox", "optax", "pymoo")}
    return {
        **packages,
        "commit": _commit(),
        "source": source(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "device": jax.devices()[0].device_kind,
    }


def installed(package: str) -> str:
    """Version of a package; a source tree that was not installed has none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    if not (ROOT / ".git").exists():  # an installed copy; a repository around it is somebody else's
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def source() -> str:
    """Hash of the code that computes: a working tree can change between two runs at the same commit."""
    files = sorted(f for package in ("devices", "xbar", "experiments") for f in (ROOT / package).rglob("*.py"))
    return hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files)).hexdigest()[:12]
