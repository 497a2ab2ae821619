"""devices <- xbar <- experiments: nobody imports upwards or in a circle, the lower rooms know no plotting, CLI or config
library, and no module shares its name with what is imported from it."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ("devices", "xbar", "experiments")
OUTER = {"matplotlib", "rich", "tyro", "argparse", "yaml"}
FILES_OF_LABS = {
    "csv",
    "gzip",
    "zipfile",
    "h5py",
    "openpyxl",
    "xlrd",
}  # formats of files, known to the rooms below alone
ROOMS_OF_FILES = (("devices", "instruments"), ("xbar", "storage"))
CIRCLES_TO_MEND: tuple[str, ...] = ()  # packages that still have circles of imports
NAMES_TO_MEND: tuple[str, ...] = ()  # packages with modules that still share their name with something they define
FILES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    parts = path.relative_to(ROOT).parts
    room = ROOMS.index(parts[0])
    formats = set() if parts[:2] in ROOMS_OF_FILES else FILES_OF_LABS
    forbidden = set(ROOMS[room + 1 :]) | (OUTER | formats if room < 2 else set())
    assert not forbidden & set(imported(path))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(room):
    """Syntax trees of the modules of a package by their dotted names."""
    return {module_of(p): ast.parse(p.read_text()) for p in FILES if p.relative_to(ROOT).parts[0] == room}


def neighbours(tree, known):
    """Modules that are imported as this one is: those inside functions and `if TYPE_CHECKING` come later or never."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from full & known or {node.module} & known
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known


@pytest.mark.parametrize("room", ROOMS)
def test_modules_do_not_import_in_circles(room):
    """What is imported through a package's `__init__` counts for nothing: it only passes names on."""
    if room in CIRCLES_TO_MEND:
        pytest.skip("known")
    trees = {m: t for m, t in modules(room).items() if (ROOT / (m.replace(".", "/") + ".py")).exists()}
    edges = {m: set(neighbours(tree, set(trees))) for m, tree in trees.items()}

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            fresh = edges[todo.pop()] - seen
            seen |= fresh
            todo += fresh
        return seen

    assert [m for m in edges if m in reached(m)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_shares_its_name_with_what_it_defines_or_stands_beside(room):
    """`import a.b as m` gives a function where `a/__init__.py` has imported a function `b`."""
    if room in NAMES_TO_MEND:
        pytest.skip("known")
    trees, found = modules(room), []
    for module, tree in trees.items():
        named = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        found += [f"{module} defines {name}" for name in named if name == module.rsplit(".", 1)[-1]]
        if (ROOT / module.replace(".", "/") / "__init__.py").exists():
            found += [
                f"{module} imports {name} from {node.module}"
                for node in tree.body
                if isinstance(node, ast.ImportFrom)
                for name in (alias.asname or alias.name for alias in node.names)
                if f"{module}.{name}" in trees and node.module != module
            ]
    assert found == []


def test_devices_do_not_load_the_readers_of_files():
    readers = ("devices.instruments", "openpyxl", "xlrd", "h5py")
    loaded = f"import sys, devices; print(*(n for n in {readers} if n in sys.modules))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not result.stdout.split()


def test_there_is_something_to_check():
    assert len(FILES) > 20
