"""Where JAX keeps compiled programs from one command to the next."""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform


def keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles in the user's cache folder, so that a second `xbar fit` starts at once.

    Not where `JAX_COMPILATION_CACHE_DIR` names a folder, `JAX_ENABLE_COMPILATION_CACHE=false` forbids it, or nothing can be
    written. Each kind of processor has a folder of its own: programs of one may not run on another that shares the home
    directory.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "xbar", hashlib.sha256(_processor()).hexdigest()[:12])
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")


def _processor() -> bytes:
    """What the processor can do, as far as the system tells."""
    about = [platform.machine(), platform.processor()]
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        about += [line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))][:1]
    return " ".join(about).encode()
