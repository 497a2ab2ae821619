"""devices <- xbar <- experiments: nobody imports upwards, and the lower rooms know no plotting, CLI or config library."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ("devices", "xbar", "experiments")
OUTER = {"matplotlib", "rich", "tyro", "h5py", "argparse", "yaml"}
FILES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    room = ROOMS.index(path.relative_to(ROOT).parts[0])
    forbidden = set(ROOMS[room + 1 :]) | (OUTER if room < 2 else set())
    assert not forbidden & set(imported(path))


def test_there_is_something_to_check():
    assert len(FILES) > 20
