"""A user's own Python file: which of its neighbours it imports, and how it comes to import them."""

from __future__ import annotations

import ast
import importlib
import pathlib
import sys
from collections.abc import Iterator

from experiments.framework.files import hash_of

INSTALLED = ("devices", "experiments", "xbar")  # never a neighbour; `versions.source` is their hash


def neighbours(file: pathlib.Path, text: str | None = None) -> dict[str, str]:
    """Hashes of the Python files that a file imports from its folder, directly or through each other, by their paths from
    there. An import inside a function counts.

    Args:
        text: of the file, if it is not read from the disk.
    """
    root = file.resolve().parent
    found: set[pathlib.Path] = set()
    waiting = list(_imported(file.resolve(), root, file.read_text(encoding="utf-8") if text is None else text))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _imported(one, root, one.read_text(encoding="utf-8", errors="replace"))
    return {one.relative_to(root).as_posix(): hash_of(one) for one in sorted(found - {file.resolve()})}


def _imported(file: pathlib.Path, root: pathlib.Path, text: str) -> Iterator[pathlib.Path]:
    """The files below `root` that the imports in a text name, with the packages that hold them."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # said when the file is run
        return
    for node in ast.walk(tree):
        level, names = 0, []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            level, names = node.level, [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
        folder = pathlib.Path(*file.parts[:-level]) if level else root
        for name in names:
            parts = name.split(".")
            if (level or parts[0] not in INSTALLED) and folder.is_relative_to(root):
                for end in range(1, len(parts) + 1):
                    place = folder.joinpath(*parts[:end])
                    yield from (p for p in (place.with_name(f"{place.name}.py"), place / "__init__.py") if p.is_file())


def let_import(file: pathlib.Path, text: str | None = None) -> None:
    """Lets a file import its neighbours, as under `python`: as they are now, also if they were imported earlier."""
    root = file.resolve().parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    files = {str(root / name) for name in neighbours(file, text)}
    for name, module in list(sys.modules.items()):
        if name != "__main__" and getattr(module, "__dict__", {}).get("__file__") in files:
            del sys.modules[name]
    importlib.invalidate_caches()
